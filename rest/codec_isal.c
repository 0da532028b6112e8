/* SPDX-License-Identifier: BSD-3-Clause */
/* codec_isal.c - compresses as zlib and gzip do, with isa-l; and parts of what zlib does. */
#include "rest/codec_builtin.h"

#include "base/memory.h"
#include "base/status.h"

#include <stdlib.h>

#ifdef PARLOOM_HAVE_ISAL
#include "rest/codec_library.h"

#include <isa-l/igzip_lib.h>

enum { STEP_MAX = 1 << 30, LEVEL = 1 /* its 2 and 3 are slower and no smaller on numbers */ };

static struct {
    __typeof__(isal_deflate_init) *begin;
    __typeof__(isal_deflate) *deflate;
    __typeof__(isal_adler32) *adler32;
} isal;
static const char *const NAMES[] = { "isal_deflate_init", "isal_deflate", "isal_adler32", NULL };
static struct loom_codec_library library = { "libisal.so.2", "libisal2", NAMES, &isal, false };

struct stream {
    struct isal_zstream z;
    enum loom_codec_zlib_form form;
    uint32_t check;
    uint8_t level_buffer[ISAL_DEF_LVL1_DEFAULT];
};

parloom_status loom_codec_isal_open(enum loom_codec_zlib_form form, void **stream_out, parloom_error *error)
{
    parloom_status status = loom_codec_library_open(&library, error);
    if (status != PARLOOM_OK) return status;
    struct stream *stream = loom_memory_aligned(64, sizeof *stream);
    if (stream == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for isa-l");
    isal.begin(&stream->z);
    stream->z.level = LEVEL;
    stream->z.level_buf = stream->level_buffer;
    stream->z.level_buf_size = sizeof stream->level_buffer;
    stream->z.gzip_flag = form == LOOM_CODEC_GZIP ? IGZIP_GZIP : form == LOOM_CODEC_ZLIB ? IGZIP_ZLIB : IGZIP_DEFLATE;
    stream->form = form;
    stream->check = 1;
    *stream_out = stream;
    return PARLOOM_OK;
}

parloom_status loom_codec_isal_step(void *opaque, parloom_codec_step *step, parloom_error *error)
{
    struct stream *stream = opaque;
    struct isal_zstream *z = &stream->z;
    size_t in = step->in_nbytes < STEP_MAX ? step->in_nbytes : STEP_MAX;
    size_t out = step->out_nbytes < STEP_MAX ? step->out_nbytes : STEP_MAX;
    z->next_in = (uint8_t *)(uintptr_t)step->in;
    z->next_out = step->out;
    z->avail_in = (uint32_t)in;
    z->avail_out = (uint32_t)out;
    bool is_last = step->is_last && in == step->in_nbytes;
    z->end_of_stream = is_last && stream->form != LOOM_CODEC_PART;
    z->flush = is_last && stream->form == LOOM_CODEC_PART ? SYNC_FLUSH : NO_FLUSH;
    int result = isal.deflate(z);
    if (stream->form >= LOOM_CODEC_PART) stream->check = isal.adler32(stream->check, step->in, in - z->avail_in);
    step->in = z->next_in;
    step->out = z->next_out;
    step->in_nbytes -= in - z->avail_in;
    step->out_nbytes -= out - z->avail_out;
    step->is_done = z->internal_state.state == ZSTATE_END;
    if (stream->form == LOOM_CODEC_PART) step->is_done = is_last && z->avail_in == 0 && z->avail_out > 0;
    if (result == COMP_OK) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INTERNAL, 0, "isa-l cannot compress: %d", result);
}

void loom_codec_isal_close(void *stream)
{
    free(stream);
}

uint32_t loom_codec_isal_check(const void *stream)
{
    return ((const struct stream *)stream)->check;
}
#else
parloom_status loom_codec_isal_open(enum loom_codec_zlib_form form, void **stream_out, parloom_error *error)
{
    (void)form;
    (void)stream_out;
    return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0, "this build of parloom is without isa-l");
}

parloom_status loom_codec_isal_step(void *opaque, parloom_codec_step *step, parloom_error *error)
{
    (void)opaque;
    (void)step;
    return loom_status_fail(error, PARLOOM_ERR_INTERNAL, 0, "this build of parloom is without isa-l");
}

void loom_codec_isal_close(void *stream)
{
    (void)stream;
}

uint32_t loom_codec_isal_check(const void *stream)
{
    (void)stream;
    return 0;
}
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * codec_zlib.c - zlib and gzip, by zlib; fast levels by isa-l where it is there.
 *
 * Why        isa-l compresses noise about 20 times as fast as zlib's level 3, at a better ratio, and what repeats about
 *            10 times as fast at a ratio within a tenth. It has nothing that is smaller, so from level 4 on it is zlib.
 * Parts      as pigz does it: what is compressed is cut, each part is deflated by itself and ends at a byte with an
 *            empty block, and one header and one checksum are put around all of them. Readers see one stream of zlib.
 */
#include "rest/codec_builtin.h"

#include "base/memory.h"
#include "base/status.h"

#include <stdlib.h>

enum { DEFLATE_EXPANSION = 1100 /* 1032 : 1 is what deflate reaches */ };

static bool recognise_zlib(void *state, const void *bytes, size_t nbytes)
{
    const unsigned char *head = bytes;
    (void)state;
    return nbytes >= 2 && head[0] == 0x78 && (head[0] * 256 + head[1]) % 31 == 0 && (head[1] & 0x20) == 0;
}

static bool recognise_gzip(void *state, const void *bytes, size_t nbytes)
{
    const unsigned char *head = bytes;
    (void)state;
    return nbytes >= 2 && head[0] == 0x1f && head[1] == 0x8b && (nbytes == 2 || head[2] == 8);
}

#ifdef PARLOOM_HAVE_ZLIB
#include "rest/codec_library.h"

#include <zlib.h>

enum { DEFAULT_LEVEL = 3, FAST_LEVEL_MAX = 3, STEP_MAX = 1 << 30 };

#define ZLIB_CALLS(X) \
    X(deflateInit2_) X(deflate) X(deflateEnd) X(inflateInit2_) X(inflate) X(inflateEnd) X(adler32) X(adler32_combine)
static struct {
#define ZLIB_CALL(name) __typeof__(name) *name; /* NOLINT(bugprone-macro-parentheses): a declaration */
    ZLIB_CALLS(ZLIB_CALL)
} zlib;
#define ZLIB_NAME(name) #name,
static const char *const NAMES[] = { ZLIB_CALLS(ZLIB_NAME) NULL };
static struct loom_codec_library library = { "libz.so.1", "zlib1g", NAMES, &zlib, false };

struct stream {
    z_stream z;
    bool is_compressing;
    enum loom_codec_zlib_form form;
    uint32_t check; /* of a part */
    void *fast;     /* isa-l's, in place of z */
};

static int begin(struct stream *stream, int level)
{
    enum loom_codec_zlib_form form = stream->form;
    int bits = form == LOOM_CODEC_GZIP ? 15 + 16 : form == LOOM_CODEC_ZLIB ? 15 : -15;
    const int size = (int)sizeof(z_stream);
    if (!stream->is_compressing) return zlib.inflateInit2_(&stream->z, bits, ZLIB_VERSION, size);
    if (level <= FAST_LEVEL_MAX && loom_codec_isal_open(form, &stream->fast, NULL) == PARLOOM_OK) return Z_OK;
    return zlib.deflateInit2_(&stream->z, level, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size);
}

static parloom_status open_form(enum loom_codec_zlib_form form, int level, void **stream_out, parloom_error *error)
{
    parloom_status status = loom_codec_library_open(&library, error);
    if (status != PARLOOM_OK) return status;
    struct stream *stream = loom_memory_zeroed(1, sizeof *stream);
    if (stream != NULL) {
        stream->is_compressing = level != PARLOOM_CODEC_DECOMPRESS;
        stream->form = form;
        stream->check = 1;
    }
    if (stream == NULL || begin(stream, level == 0 ? DEFAULT_LEVEL : level) != Z_OK) {
        free(stream);
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for zlib");
    }
    *stream_out = stream;
    return PARLOOM_OK;
}

static parloom_status open_zlib(void *state, int level, size_t item_nbytes, void **stream_out, parloom_error *error)
{
    const int *form = state;
    (void)item_nbytes;
    return open_form((enum loom_codec_zlib_form) * form, level, stream_out, error);
}

/* How far deflate is to go with what it was given last. */
static int flush_of(const struct stream *stream, bool is_last)
{
    return !is_last ? Z_NO_FLUSH : stream->form == LOOM_CODEC_PART ? Z_SYNC_FLUSH : Z_FINISH;
}

static parloom_status step_zlib(void *opaque, parloom_codec_step *step, parloom_error *error)
{
    struct stream *stream = opaque;
    if (stream->fast != NULL) return loom_codec_isal_step(stream->fast, step, error);
    z_stream *z = &stream->z;
    size_t in = step->in_nbytes < STEP_MAX ? step->in_nbytes : STEP_MAX;
    size_t out = step->out_nbytes < STEP_MAX ? step->out_nbytes : STEP_MAX;
    z->next_in = (Bytef *)(uintptr_t)step->in;
    z->next_out = step->out;
    z->avail_in = (uInt)in;
    z->avail_out = (uInt)out;
    bool is_last = step->is_last && in == step->in_nbytes;
    int result = stream->is_compressing ? zlib.deflate(z, flush_of(stream, is_last)) : zlib.inflate(z, Z_NO_FLUSH);
    if (stream->form >= LOOM_CODEC_PART)
        stream->check = (uint32_t)zlib.adler32(stream->check, step->in, (uInt)(in - z->avail_in));
    step->in = z->next_in;
    step->out = z->next_out;
    step->in_nbytes -= in - z->avail_in;
    step->out_nbytes -= out - z->avail_out;
    step->is_done = result == Z_STREAM_END;
    /* Room that is left says that the flush has come to its end. */
    if (stream->form == LOOM_CODEC_PART) step->is_done = is_last && z->avail_in == 0 && z->avail_out > 0;
    if (result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR) return PARLOOM_OK;
    if (result == Z_MEM_ERROR) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for zlib");
    return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "damaged: %s",
                            z->msg != NULL ? z->msg : "zlib cannot read it");
}

static void close_zlib(void *opaque)
{
    struct stream *stream = opaque;
    if (stream->fast != NULL)
        loom_codec_isal_close(stream->fast);
    else if (stream->is_compressing)
        (void)zlib.deflateEnd(&stream->z);
    else
        (void)zlib.inflateEnd(&stream->z);
    free(stream);
}

/* ------------------------------------------------------------------------- parts */

/* Its window, and how hard was tried: as zlib says it. */
static size_t begin_parts(int level, unsigned char *bytes)
{
    int wanted = level == 0 ? DEFAULT_LEVEL : level;
    unsigned effort = wanted < 2 ? 0 : wanted < 6 ? 1 : wanted == 6 ? 2 : 3;
    unsigned head = 0x7800 | effort << 6;
    head += 31 - head % 31;
    bytes[0] = (unsigned char)(head >> 8);
    bytes[1] = (unsigned char)head;
    return 2;
}

static parloom_status open_part(int level, bool is_final, void **stream_out, parloom_error *error)
{
    return open_form(is_final ? LOOM_CODEC_LAST_PART : LOOM_CODEC_PART, level, stream_out, error);
}

static uint32_t check_part(const void *opaque)
{
    const struct stream *stream = opaque;
    return stream->fast != NULL ? loom_codec_isal_check(stream->fast) : stream->check;
}

static uint32_t combine_parts(uint32_t check, uint32_t next, uint64_t next_nbytes)
{
    return (uint32_t)zlib.adler32_combine(check, next, (z_off_t)next_nbytes);
}

static size_t end_parts(uint32_t check, unsigned char *bytes)
{
    for (int k = 0; k < 4; k++) bytes[k] = (unsigned char)(check >> (24 - 8 * k));
    return 4;
}
#define ZLIB_OPS .open = open_zlib, .step = step_zlib, .close = close_zlib
#define ZLIB_JOINT \
    .begin = begin_parts, .open = open_part, .check = check_part, .combine = combine_parts, .end = end_parts
#else
#define ZLIB_JOINT .open = NULL
#define ZLIB_OPS   .open = NULL
#endif

const parloom_codec_ops loom_codec_zlib_ops = { .struct_size = sizeof(parloom_codec_ops),
                                                .abi = PARLOOM_CODEC_ABI,
                                                .ending = ".z",
                                                .recognise = recognise_zlib,
                                                .frame_nbytes = (size_t)4 << 20, /* of a part */
                                                .most_expansion = DEFLATE_EXPANSION,
                                                ZLIB_OPS };
const parloom_codec_ops loom_codec_gzip_ops = { .struct_size = sizeof(parloom_codec_ops),
                                                .abi = PARLOOM_CODEC_ABI,
                                                .flags = PARLOOM_CODEC_FRAMES,
                                                .ending = ".gz",
                                                .recognise = recognise_gzip,
                                                .frame_nbytes = (size_t)4 << 20,
                                                .most_expansion = DEFLATE_EXPANSION,
                                                ZLIB_OPS };
const struct loom_codec_joint loom_codec_zlib_joint = { .check_of_nothing = 1, ZLIB_JOINT };

/* SPDX-License-Identifier: BSD-3-Clause */
/* codec_bz2.c - bz2, by libbz2. */
#include "rest/codec_builtin.h"

#include "base/memory.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

static bool recognise(void *state, const void *bytes, size_t nbytes)
{
    const char *head = bytes;
    (void)state;
    if (nbytes < 4 || memcmp(head, "BZh", 3) != 0 || head[3] < '1' || head[3] > '9') return false;
    size_t block = nbytes - 4 < 6 ? nbytes - 4 : 6; /* a block begins, or the end of what has none */
    return memcmp(head + 4, "\x31\x41\x59\x26\x53\x59", block) == 0 ||
           memcmp(head + 4, "\x17\x72\x45\x38\x50\x90", block) == 0;
}

#ifdef PARLOOM_HAVE_BZ2
#include "rest/codec_library.h"

#include <bzlib.h>

enum { DEFAULT_LEVEL = 9, STEP_MAX = 1 << 30 };

#define BZ2_CALLS(X)      \
    X(BZ2_bzCompressInit) \
    X(BZ2_bzCompress) X(BZ2_bzCompressEnd) X(BZ2_bzDecompressInit) X(BZ2_bzDecompress) X(BZ2_bzDecompressEnd)
static struct {
#define BZ2_CALL(name) __typeof__(name) *name; /* NOLINT(bugprone-macro-parentheses): a declaration */
    BZ2_CALLS(BZ2_CALL)
} bz2;
#define BZ2_NAME(name) #name,
static const char *const NAMES[] = { BZ2_CALLS(BZ2_NAME) NULL };
static struct loom_codec_library library = { "libbz2.so.1.0", "libbz2-1.0", NAMES, &bz2, false };

struct stream {
    bz_stream bz;
    bool is_compressing;
};

static parloom_status open_bz2(void *state, int level, size_t item_nbytes, void **stream_out, parloom_error *error)
{
    (void)state;
    (void)item_nbytes;
    parloom_status status = loom_codec_library_open(&library, error);
    if (status != PARLOOM_OK) return status;
    struct stream *stream = loom_memory_zeroed(1, sizeof *stream);
    int result = BZ_MEM_ERROR;
    if (stream != NULL) stream->is_compressing = level != PARLOOM_CODEC_DECOMPRESS;
    if (stream != NULL)
        result = stream->is_compressing ? bz2.BZ2_bzCompressInit(&stream->bz, level == 0 ? DEFAULT_LEVEL : level, 0, 0)
                                        : bz2.BZ2_bzDecompressInit(&stream->bz, 0, 0);
    if (result != BZ_OK) {
        free(stream);
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for libbz2");
    }
    *stream_out = stream;
    return PARLOOM_OK;
}

static int run(struct stream *stream, bool is_last)
{
    if (!stream->is_compressing) return bz2.BZ2_bzDecompress(&stream->bz);
    /* Without anything to do it would say that it was called wrongly. */
    if (stream->bz.avail_in == 0 && !is_last) return BZ_OK;
    return bz2.BZ2_bzCompress(&stream->bz, is_last ? BZ_FINISH : BZ_RUN);
}

static parloom_status step_bz2(void *opaque, parloom_codec_step *step, parloom_error *error)
{
    struct stream *stream = opaque;
    bz_stream *bz = &stream->bz;
    size_t in = step->in_nbytes < STEP_MAX ? step->in_nbytes : STEP_MAX;
    size_t out = step->out_nbytes < STEP_MAX ? step->out_nbytes : STEP_MAX;
    bz->next_in = (char *)(uintptr_t)step->in;
    bz->next_out = step->out;
    bz->avail_in = (unsigned)in;
    bz->avail_out = (unsigned)out;
    int result = run(stream, step->is_last && in == step->in_nbytes);
    step->in = bz->next_in;
    step->out = bz->next_out;
    step->in_nbytes -= in - bz->avail_in;
    step->out_nbytes -= out - bz->avail_out;
    step->is_done = result == BZ_STREAM_END;
    if (result >= BZ_OK) return PARLOOM_OK;
    if (result == BZ_MEM_ERROR) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for libbz2");
    return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "damaged: libbz2 cannot read it (%d)", result);
}

static void close_bz2(void *opaque)
{
    struct stream *stream = opaque;
    (void)(stream->is_compressing ? bz2.BZ2_bzCompressEnd(&stream->bz) : bz2.BZ2_bzDecompressEnd(&stream->bz));
    free(stream);
}
#define BZ2_OPS .open = open_bz2, .step = step_bz2, .close = close_bz2
#else
#define BZ2_OPS .open = NULL
#endif

const parloom_codec_ops loom_codec_bz2_ops = { .struct_size = sizeof(parloom_codec_ops),
                                               .abi = PARLOOM_CODEC_ABI,
                                               .flags = PARLOOM_CODEC_FRAMES,
                                               .ending = ".bz2",
                                               .recognise = recognise,
                                               .frame_nbytes = (size_t)9 * 900000, /* its largest blocks, whole */
                                               .most_expansion = (size_t)1 << 21,  /* 46 MB of zeros in 40 bytes */
                                               BZ2_OPS };

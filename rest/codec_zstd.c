/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * codec_zstd.c - zstd, by libzstd. Frames carry a checksum, and their size where they are compressed in one step.
 *
 *     0 word   4 flags   window, unless flagged   dictionary, as flagged   nbytes, as flagged
 *     last: 1 bit, kind: 2 bits, length: 21 bits   the block   ...   checksum, if so flagged
 */
#include "rest/codec_builtin.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

static bool recognise(void *state, const void *bytes, size_t nbytes)
{
    (void)state;
    return nbytes >= 4 && memcmp(bytes, "\x28\xb5\x2f\xfd", 4) == 0;
}

enum { ZSTD_SINGLE = 32, ZSTD_CHECKED = 4, ZSTD_BLOCKS_MAX = 1 << 16, ZSTD_RLE = 1, ZSTD_RESERVED = 3 };

static uint64_t take(const unsigned char *bytes, int count)
{
    uint64_t number = 0;
    for (int k = 0; k < count; k++) number |= (uint64_t)bytes[k] << 8 * k;
    return number;
}

/* From the first block on; *next becomes what is behind the last. */
static bool skip_blocks(int fd, uint64_t *next)
{
    unsigned char head[3];
    for (int k = 0; k < ZSTD_BLOCKS_MAX; k++) {
        if (loom_file_read_all(fd, head, sizeof head, *next) != 0) return false;
        uint64_t word = take(head, 3), kind = word >> 1 & 3;
        if (kind == ZSTD_RESERVED) return false;
        *next += sizeof head + (kind == ZSTD_RLE ? 1 : word >> 3);
        if ((word & 1) != 0) return true;
    }
    return false;
}

bool loom_codec_zstd_measure(int fd, uint64_t at, struct loom_codec_extent *extent_out)
{
    static const int DICTIONARY_NBYTES[] = { 0, 1, 2, 4 }, SIZE_NBYTES[] = { 0, 2, 4, 8 };
    unsigned char head[18] = { 0 };
    /* A whole header is longer only in frames that are longer, too. */
    if (loom_file_read_all(fd, head, 9, at) != 0 || !recognise(NULL, head, sizeof head)) return false;
    unsigned flags = head[4];
    bool is_single = (flags & ZSTD_SINGLE) != 0;
    int size_nbytes = flags >> 6 == 0 && is_single ? 1 : SIZE_NBYTES[flags >> 6];
    int header_nbytes = 5 + !is_single + DICTIONARY_NBYTES[flags & 3] + size_nbytes;
    if (size_nbytes == 0 || loom_file_read_all(fd, head, (size_t)header_nbytes, at) != 0) return false;
    uint64_t nbytes = take(head + header_nbytes - size_nbytes, size_nbytes) + (size_nbytes == 2 ? 256 : 0);
    uint64_t next = at + (uint64_t)header_nbytes;
    if (!skip_blocks(fd, &next)) return false;
    if ((flags & ZSTD_CHECKED) != 0) next += 4;
    *extent_out = (struct loom_codec_extent){ next - at, nbytes };
    return true;
}

#ifdef PARLOOM_HAVE_ZSTD
#include "rest/codec_library.h"

#include <zstd.h>

enum { DEFAULT_LEVEL = 3 };

#define ZSTD_CALLS(X)         \
    X(ZSTD_createCCtx)        \
    X(ZSTD_freeCCtx)          \
    X(ZSTD_CCtx_setParameter) \
    X(ZSTD_compressStream2)   \
    X(ZSTD_createDCtx)        \
    X(ZSTD_freeDCtx) X(ZSTD_decompressStream) X(ZSTD_isError) X(ZSTD_getErrorName)
static struct {
#define ZSTD_CALL(name) __typeof__(name) *name; /* NOLINT(bugprone-macro-parentheses): a declaration */
    ZSTD_CALLS(ZSTD_CALL)
} zstd;
#define ZSTD_NAME(name) #name,
static const char *const NAMES[] = { ZSTD_CALLS(ZSTD_NAME) NULL };
static struct loom_codec_library library = { "libzstd.so.1", "libzstd1", NAMES, &zstd, false };

struct stream {
    ZSTD_CCtx *compress; /* one of them */
    ZSTD_DCtx *decompress;
};

static bool begin(struct stream *stream, int level)
{
    if (level == PARLOOM_CODEC_DECOMPRESS) return (stream->decompress = zstd.ZSTD_createDCtx()) != NULL;
    stream->compress = zstd.ZSTD_createCCtx();
    if (stream->compress == NULL) return false;
    (void)zstd.ZSTD_CCtx_setParameter(stream->compress, ZSTD_c_compressionLevel, level == 0 ? DEFAULT_LEVEL : level);
    (void)zstd.ZSTD_CCtx_setParameter(stream->compress, ZSTD_c_checksumFlag, 1);
    return true;
}

static parloom_status open_zstd(void *state, int level, size_t item_nbytes, void **stream_out, parloom_error *error)
{
    (void)state;
    (void)item_nbytes;
    parloom_status status = loom_codec_library_open(&library, error);
    if (status != PARLOOM_OK) return status;
    struct stream *stream = loom_memory_zeroed(1, sizeof *stream);
    if (stream == NULL || !begin(stream, level)) {
        free(stream);
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for libzstd");
    }
    *stream_out = stream;
    return PARLOOM_OK;
}

static parloom_status step_zstd(void *opaque, parloom_codec_step *step, parloom_error *error)
{
    struct stream *stream = opaque;
    ZSTD_inBuffer in = { step->in, step->in_nbytes, 0 };
    ZSTD_outBuffer out = { step->out, step->out_nbytes, 0 };
    size_t left = stream->decompress != NULL ? zstd.ZSTD_decompressStream(stream->decompress, &out, &in)
                                             : zstd.ZSTD_compressStream2(stream->compress, &out, &in,
                                                                         step->is_last ? ZSTD_e_end : ZSTD_e_continue);
    if (zstd.ZSTD_isError(left))
        return loom_status_fail(error, stream->decompress != NULL ? PARLOOM_ERR_FORMAT : PARLOOM_ERR_MEMORY, 0,
                                "libzstd: %s", zstd.ZSTD_getErrorName(left));
    step->in = (const char *)step->in + in.pos;
    step->in_nbytes -= in.pos;
    step->out = (char *)step->out + out.pos;
    step->out_nbytes -= out.pos;
    step->is_done = left == 0 && (stream->decompress != NULL || step->is_last);
    return PARLOOM_OK;
}

static void close_zstd(void *opaque)
{
    struct stream *stream = opaque;
    (void)zstd.ZSTD_freeCCtx(stream->compress);
    (void)zstd.ZSTD_freeDCtx(stream->decompress);
    free(stream);
}
#define ZSTD_OPS .open = open_zstd, .step = step_zstd, .close = close_zstd
#else
#define ZSTD_OPS .open = NULL
#endif

const parloom_codec_ops loom_codec_zstd_ops = { .struct_size = sizeof(parloom_codec_ops),
                                                .abi = PARLOOM_CODEC_ABI,
                                                .flags = PARLOOM_CODEC_FRAMES,
                                                .ending = ".zst",
                                                .recognise = recognise,
                                                .frame_nbytes = (size_t)8 << 20,
                                                .most_expansion = (size_t)1 << 16, /* 128 KiB in 4 bytes */
                                                ZSTD_OPS };

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * codec_lz4.c - lz4 frames, by liblz4. Frames carry a checksum, and their size where it is known when they begin.
 *
 *     0 word   4 flags   5 largest block   6 nbytes, if so flagged   dictionary, if so flagged   checksum of these
 *     length of a block, its top bit: not compressed   the block   its checksum, if so flagged   ...   0   checksum
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
    return nbytes >= 4 && memcmp(bytes, "\x04\x22\x4d\x18", 4) == 0;
}

enum { LZ4_DICTIONARY = 1, LZ4_CHECKED = 4, LZ4_SIZED = 8, LZ4_BLOCKS_CHECKED = 16, LZ4_BLOCKS_MAX = 1 << 16 };

static uint64_t take(const unsigned char *bytes, int count)
{
    uint64_t number = 0;
    for (int k = 0; k < count; k++) number |= (uint64_t)bytes[k] << 8 * k;
    return number;
}

bool loom_codec_lz4_measure(int fd, uint64_t at, struct loom_codec_extent *extent_out)
{
    unsigned char head[14], length[4];
    if (loom_file_read_all(fd, head, sizeof head, at) != 0 || !recognise(NULL, head, sizeof head)) return false;
    unsigned flags = head[4];
    if ((flags & LZ4_SIZED) == 0) return false;
    uint64_t next = at + 15 + ((flags & LZ4_DICTIONARY) != 0 ? 4 : 0);
    for (int k = 0; k < LZ4_BLOCKS_MAX; k++) {
        if (loom_file_read_all(fd, length, sizeof length, next) != 0) return false;
        uint64_t nbytes = take(length, 4) & 0x7fffffff;
        next += sizeof length;
        if (nbytes == 0) {
            if ((flags & LZ4_CHECKED) != 0) next += 4;
            *extent_out = (struct loom_codec_extent){ next - at, take(head + 6, 8) };
            return true;
        }
        next += nbytes + ((flags & LZ4_BLOCKS_CHECKED) != 0 ? 4 : 0);
    }
    return false;
}

#ifdef PARLOOM_HAVE_LZ4
#include "rest/codec_library.h"

#include <lz4frame.h>

enum { DEFAULT_LEVEL = 1, PIECE_NBYTES = 1 << 20 };

#define LZ4_CALLS(X)                   \
    X(LZ4F_createCompressionContext)   \
    X(LZ4F_freeCompressionContext)     \
    X(LZ4F_compressBound)              \
    X(LZ4F_compressBegin)              \
    X(LZ4F_compressUpdate)             \
    X(LZ4F_compressEnd)                \
    X(LZ4F_createDecompressionContext) \
    X(LZ4F_freeDecompressionContext)   \
    X(LZ4F_decompress) X(LZ4F_isError) X(LZ4F_getErrorName)
static struct {
#define LZ4_CALL(name) __typeof__(name) *name; /* NOLINT(bugprone-macro-parentheses): a declaration */
    LZ4_CALLS(LZ4_CALL)
} lz4;
#define LZ4_NAME(name) #name,
static const char *const NAMES[] = { LZ4_CALLS(LZ4_NAME) NULL };
static struct loom_codec_library library = { "liblz4.so.1", "liblz4-1", NAMES, &lz4, false };

/* liblz4 wants room for the worst case: what it writes waits in staged until there is room for it. */
struct stream {
    LZ4F_cctx *compress; /* one of them */
    LZ4F_dctx *decompress;
    LZ4F_preferences_t wish;
    char *staged;
    size_t room, at, end;
    bool has_begun, has_ended;
};

static void close_lz4(void *opaque)
{
    struct stream *stream = opaque;
    if (stream->compress != NULL) (void)lz4.LZ4F_freeCompressionContext(stream->compress);
    if (stream->decompress != NULL) (void)lz4.LZ4F_freeDecompressionContext(stream->decompress);
    free(stream->staged);
    free(stream);
}

static bool begin(struct stream *stream, int level)
{
    if (level == PARLOOM_CODEC_DECOMPRESS)
        return !lz4.LZ4F_isError(lz4.LZ4F_createDecompressionContext(&stream->decompress, LZ4F_VERSION));
    stream->wish.frameInfo.blockSizeID = LZ4F_max1MB;
    stream->wish.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    stream->wish.compressionLevel = level == 0 ? DEFAULT_LEVEL : level;
    stream->wish.autoFlush = 1;
    stream->room = lz4.LZ4F_compressBound(PIECE_NBYTES, &stream->wish) + LZ4F_HEADER_SIZE_MAX;
    stream->staged = loom_memory_aligned(64, stream->room);
    return stream->staged != NULL &&
           !lz4.LZ4F_isError(lz4.LZ4F_createCompressionContext(&stream->compress, LZ4F_VERSION));
}

static parloom_status open_lz4(void *state, int level, size_t item_nbytes, void **stream_out, parloom_error *error)
{
    (void)state;
    (void)item_nbytes;
    parloom_status status = loom_codec_library_open(&library, error);
    if (status != PARLOOM_OK) return status;
    struct stream *stream = loom_memory_zeroed(1, sizeof *stream);
    if (stream != NULL && begin(stream, level)) {
        *stream_out = stream;
        return PARLOOM_OK;
    }
    if (stream != NULL) close_lz4(stream);
    return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for liblz4");
}

static parloom_status refuse(size_t code, parloom_status status, parloom_error *error)
{
    return loom_status_fail(error, status, 0, "liblz4: %s", lz4.LZ4F_getErrorName(code));
}

/* What comes next, to where there is room for it. */
static size_t produce(struct stream *stream, parloom_codec_step *step, size_t taken, char *to)
{
    if (!stream->has_begun) return lz4.LZ4F_compressBegin(stream->compress, to, stream->room, &stream->wish);
    if (taken > 0) return lz4.LZ4F_compressUpdate(stream->compress, to, stream->room, step->in, taken, NULL);
    return lz4.LZ4F_compressEnd(stream->compress, to, stream->room, NULL);
}

/* staged is empty. */
static parloom_status go_on(struct stream *stream, parloom_codec_step *step, parloom_error *error)
{
    size_t taken = step->in_nbytes < PIECE_NBYTES ? step->in_nbytes : PIECE_NBYTES;
    bool is_direct = step->out_nbytes >= stream->room;
    if (!stream->has_begun && step->is_last) stream->wish.frameInfo.contentSize = step->in_nbytes;
    if (stream->has_begun && taken == 0 && !step->is_last) return PARLOOM_OK;
    size_t result = produce(stream, step, taken, is_direct ? step->out : stream->staged);
    if (lz4.LZ4F_isError(result)) return refuse(result, PARLOOM_ERR_MEMORY, error);
    stream->has_ended = stream->has_begun && taken == 0;
    if (stream->has_begun) {
        step->in = (const char *)step->in + taken;
        step->in_nbytes -= taken;
    }
    stream->has_begun = true;
    stream->at = 0;
    stream->end = is_direct ? 0 : result;
    if (is_direct) step->out = (char *)step->out + result;
    if (is_direct) step->out_nbytes -= result;
    return PARLOOM_OK;
}

static void unstage(struct stream *stream, parloom_codec_step *step)
{
    size_t staged = stream->end - stream->at;
    size_t nbytes = staged < step->out_nbytes ? staged : step->out_nbytes;
    if (nbytes > 0) memcpy(step->out, stream->staged + stream->at, nbytes);
    stream->at += nbytes;
    step->out = (char *)step->out + nbytes;
    step->out_nbytes -= nbytes;
    step->is_done = stream->has_ended && stream->at == stream->end;
}

static parloom_status step_lz4(void *opaque, parloom_codec_step *step, parloom_error *error)
{
    struct stream *stream = opaque;
    if (stream->compress != NULL) {
        parloom_status status = PARLOOM_OK;
        if (stream->at == stream->end && !stream->has_ended) status = go_on(stream, step, error);
        if (status == PARLOOM_OK) unstage(stream, step);
        return status;
    }
    size_t in = step->in_nbytes, out = step->out_nbytes;
    size_t left = lz4.LZ4F_decompress(stream->decompress, step->out, &out, step->in, &in, NULL);
    if (lz4.LZ4F_isError(left)) return refuse(left, PARLOOM_ERR_FORMAT, error);
    step->in = (const char *)step->in + in;
    step->in_nbytes -= in;
    step->out = (char *)step->out + out;
    step->out_nbytes -= out;
    step->is_done = left == 0;
    return PARLOOM_OK;
}
#define LZ4_OPS .open = open_lz4, .step = step_lz4, .close = close_lz4
#else
#define LZ4_OPS .open = NULL
#endif

const parloom_codec_ops loom_codec_lz4_ops = { .struct_size = sizeof(parloom_codec_ops),
                                               .abi = PARLOOM_CODEC_ABI,
                                               .flags = PARLOOM_CODEC_FRAMES,
                                               .ending = ".lz4",
                                               .recognise = recognise,
                                               .frame_nbytes = (size_t)8 << 20,
                                               .most_expansion = 256, /* a length is counted in 255s */
                                               LZ4_OPS };

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * codec_blosc.c - blosc: the bytes of items are shuffled, then compressed by lz4 or zstd. The fast choice.
 *
 * A frame is compressed, and decompressed, as a whole: straight from and to the array where all of it is there, else by
 * way of a block of memory of its own. Threads are ours, one for each frame; blosc starts none.
 *
 *     0 version 2   1 of the coder   2 flags   3 item_nbytes   4 nbytes   8 blocksize   12 nbytes of the frame   16 ...
 */
#include "rest/codec_builtin.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER_NBYTES = 16 };

static size_t take_u32(const unsigned char *bytes)
{
    return (size_t)bytes[0] | (size_t)bytes[1] << 8 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 24;
}

static bool recognise(void *state, const void *bytes, size_t nbytes)
{
    const unsigned char *head = bytes;
    (void)state;
    if (nbytes < HEADER_NBYTES || head[0] != 2 || head[1] != 1 || head[3] == 0) return false;
    size_t whole = take_u32(head + 4), block = take_u32(head + 8), frame = take_u32(head + 12);
    return whole < (size_t)1 << 31 && block <= whole && (whole == 0 || block > 0) && frame >= HEADER_NBYTES &&
           frame <= whole + HEADER_NBYTES;
}

bool loom_codec_blosc_measure(int fd, uint64_t at, struct loom_codec_extent *extent_out)
{
    unsigned char head[HEADER_NBYTES];
    if (loom_file_read_all(fd, head, sizeof head, at) != 0 || !recognise(NULL, head, sizeof head)) return false;
    *extent_out = (struct loom_codec_extent){ take_u32(head + 12), take_u32(head + 4) };
    return true;
}

#ifdef PARLOOM_HAVE_BLOSC
#include "rest/codec_library.h"

#include <blosc.h>

enum {
    DEFAULT_LEVEL = 5,
    FIRST_NBYTES = 1 << 16,      /* memory for a frame grows with what is there, not with what is claimed */
    BELIEVED_NBYTES = 64 << 20,  /* a frame may claim this much */
    BELIEVED_EXPANSION = 1 << 10 /* or so many times of what it has */
};

#define BLOSC_CALLS(X) X(blosc_compress_ctx) X(blosc_decompress_ctx) X(blosc_cbuffer_validate)
static struct {
#define BLOSC_CALL(name) __typeof__(name) *name; /* NOLINT(bugprone-macro-parentheses): a declaration */
    BLOSC_CALLS(BLOSC_CALL)
} blosc;
#define BLOSC_NAME(name) #name,
static const char *const NAMES[] = { BLOSC_CALLS(BLOSC_NAME) NULL };
static struct loom_codec_library library = { "libblosc.so.1", "libblosc1", NAMES, &blosc, false };

struct block {
    char *bytes;
    size_t used, room;
};

struct stream {
    const char *coder; /* NULL: decompressing */
    int level;
    size_t item_nbytes;
    struct block in;  /* of a frame, or of what is to become one, as far as it came */
    struct block out; /* what did not fit where it was wanted; at of it was handed over */
    size_t at;
    bool is_whole; /* out holds all there will be */
};

static parloom_status open_blosc(void *state, int level, size_t item_nbytes, void **stream_out, parloom_error *error)
{
    const int *form = state;
    parloom_status status = loom_codec_library_open(&library, error);
    if (status != PARLOOM_OK) return status;
    struct stream *stream = loom_memory_zeroed(1, sizeof *stream);
    if (stream == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for blosc");
    const char *coder = *form == LOOM_CODEC_BLOSC_ZSTD ? BLOSC_ZSTD_COMPNAME : BLOSC_LZ4_COMPNAME;
    stream->coder = level == PARLOOM_CODEC_DECOMPRESS ? NULL : coder;
    stream->level = level == 0 ? DEFAULT_LEVEL : level;
    stream->item_nbytes = item_nbytes >= 1 && item_nbytes <= BLOSC_MAX_TYPESIZE ? item_nbytes : 1;
    *stream_out = stream;
    return PARLOOM_OK;
}

static void close_blosc(void *opaque)
{
    struct stream *stream = opaque;
    free(stream->in.bytes);
    free(stream->out.bytes);
    free(stream);
}

static parloom_status refuse(const char *what, parloom_error *error)
{
    return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "damaged: %s", what);
}

static parloom_status make_room(struct block *block, size_t nbytes, parloom_error *error)
{
    if (nbytes <= block->room) return PARLOOM_OK;
    size_t room = block->room == 0 ? FIRST_NBYTES : block->room;
    while (room < nbytes) room *= 2;
    char *grown = loom_memory_grow(block->bytes, room, 1);
    if (grown == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for %zu bytes of blosc", room);
    block->bytes = grown;
    block->room = room;
    return PARLOOM_OK;
}

/* Moves at most nbytes of what the step has to in. */
static parloom_status gather(struct stream *stream, parloom_codec_step *step, size_t nbytes, parloom_error *error)
{
    size_t taken = step->in_nbytes < nbytes ? step->in_nbytes : nbytes;
    parloom_status status = make_room(&stream->in, stream->in.used + taken, error);
    if (status != PARLOOM_OK || taken == 0) return status;
    memcpy(stream->in.bytes + stream->in.used, step->in, taken);
    stream->in.used += taken;
    step->in = (const char *)step->in + taken;
    step->in_nbytes -= taken;
    return PARLOOM_OK;
}

static void hand_over(struct stream *stream, parloom_codec_step *step)
{
    size_t left = stream->out.used - stream->at;
    size_t nbytes = left < step->out_nbytes ? left : step->out_nbytes;
    if (nbytes > 0) memcpy(step->out, stream->out.bytes + stream->at, nbytes);
    stream->at += nbytes;
    step->out = (char *)step->out + nbytes;
    step->out_nbytes -= nbytes;
    step->is_done = stream->at == stream->out.used;
}

/* ---------------------------------------------------------------------- compress */

static parloom_status compress(struct stream *stream, const void *from, size_t nbytes, void *to, size_t room,
                               size_t *used_out, parloom_error *error)
{
    int used = blosc.blosc_compress_ctx(stream->level, BLOSC_SHUFFLE, stream->item_nbytes, nbytes, from, to, room,
                                        stream->coder, 0, 1);
    if (used <= 0) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "blosc could not compress %zu bytes", nbytes);
    *used_out = (size_t)used;
    return PARLOOM_OK;
}

static parloom_status compress_whole(struct stream *stream, parloom_codec_step *step, parloom_error *error)
{
    bool is_there = stream->in.used == 0; /* nothing had to wait: all of it is in the step */
    const void *from = is_there ? step->in : stream->in.bytes;
    size_t nbytes = is_there ? step->in_nbytes : stream->in.used, used = 0;
    size_t room = nbytes + BLOSC_MAX_OVERHEAD;
    bool fits = step->out_nbytes >= room;
    parloom_status status = fits ? PARLOOM_OK : make_room(&stream->out, room, error);
    if (status == PARLOOM_OK)
        status = compress(stream, from, nbytes, fits ? step->out : stream->out.bytes, room, &used, error);
    if (status != PARLOOM_OK) return status;
    if (is_there) step->in = (const char *)step->in + nbytes;
    if (is_there) step->in_nbytes = 0;
    stream->is_whole = true;
    stream->out.used = fits ? 0 : used;
    if (fits) step->out = (char *)step->out + used;
    if (fits) step->out_nbytes -= used;
    hand_over(stream, step);
    return PARLOOM_OK;
}

static parloom_status step_compress(struct stream *stream, parloom_codec_step *step, parloom_error *error)
{
    if (stream->in.used + step->in_nbytes > BLOSC_MAX_BUFFERSIZE)
        return loom_status_fail(error, PARLOOM_ERR_LIMIT, 0, "a frame of blosc has less than 2 GiB");
    if (!step->is_last || stream->in.used > 0) {
        parloom_status status = gather(stream, step, step->in_nbytes, error);
        if (status != PARLOOM_OK || !step->is_last) return status;
    }
    return compress_whole(stream, step, error);
}

/* -------------------------------------------------------------------- decompress */

static parloom_status decompress(const struct stream *stream, void *to, size_t nbytes, parloom_error *error)
{
    if (blosc.blosc_decompress_ctx(stream->in.bytes, to, nbytes, 1) == (int)nbytes) return PARLOOM_OK;
    return refuse("blosc cannot read it", error);
}

static parloom_status decompress_whole(struct stream *stream, size_t nbytes, parloom_codec_step *step,
                                       parloom_error *error)
{
    size_t checked = 0;
    if (blosc.blosc_cbuffer_validate(stream->in.bytes, stream->in.used, &checked) != 0 || checked != nbytes)
        return refuse("blosc contradicts itself", error);
    stream->is_whole = true;
    if (nbytes > 0 && step->out_nbytes >= nbytes) {
        parloom_status status = decompress(stream, step->out, nbytes, error);
        if (status != PARLOOM_OK) return status;
        step->out = (char *)step->out + nbytes;
        step->out_nbytes -= nbytes;
    } else if (nbytes > 0) {
        if (nbytes > BELIEVED_NBYTES && nbytes / BELIEVED_EXPANSION > stream->in.used)
            return refuse("a frame of blosc claims more than is believed", error);
        parloom_status status = make_room(&stream->out, nbytes, error);
        if (status == PARLOOM_OK) status = decompress(stream, stream->out.bytes, nbytes, error);
        if (status != PARLOOM_OK) return status;
        stream->out.used = nbytes;
    }
    hand_over(stream, step);
    return PARLOOM_OK;
}

static parloom_status step_decompress(struct stream *stream, parloom_codec_step *step, parloom_error *error)
{
    parloom_status status = PARLOOM_OK;
    if (stream->in.used < HEADER_NBYTES) status = gather(stream, step, HEADER_NBYTES - stream->in.used, error);
    if (status != PARLOOM_OK || stream->in.used < HEADER_NBYTES) return status;
    const unsigned char *head = (const unsigned char *)stream->in.bytes;
    if (!recognise(NULL, head, HEADER_NBYTES)) return refuse("no frame of blosc begins like this", error);
    size_t nbytes = take_u32(head + 4), frame = take_u32(head + 12);
    status = gather(stream, step, frame - stream->in.used, error);
    if (status != PARLOOM_OK || stream->in.used < frame) return status;
    return decompress_whole(stream, nbytes, step, error);
}

static parloom_status step_blosc(void *opaque, parloom_codec_step *step, parloom_error *error)
{
    struct stream *stream = opaque;
    if (stream->is_whole) {
        hand_over(stream, step);
        return PARLOOM_OK;
    }
    return stream->coder != NULL ? step_compress(stream, step, error) : step_decompress(stream, step, error);
}
#define BLOSC_OPS .open = open_blosc, .step = step_blosc, .close = close_blosc
#else
#define BLOSC_OPS .open = NULL
#endif

#define BLOSC_SHAPE                                                                                               \
    .struct_size = sizeof(parloom_codec_ops), .abi = PARLOOM_CODEC_ABI,                                           \
    .flags = PARLOOM_CODEC_FRAMES | PARLOOM_CODEC_ITEMS, .recognise = recognise, .frame_nbytes = (size_t)8 << 20, \
    .most_expansion = (size_t)1 << 16
const parloom_codec_ops loom_codec_blosc_ops = { BLOSC_SHAPE, .ending = ".blosc", BLOSC_OPS };
const parloom_codec_ops loom_codec_blosc_zstd_ops = { BLOSC_SHAPE, BLOSC_OPS };

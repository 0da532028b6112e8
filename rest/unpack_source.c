/* SPDX-License-Identifier: BSD-3-Clause */
/* unpack_source.c - the bytes of a descriptor in sequence, decompressed where they are compressed. */
#include "rest/unpack_source.h"

#include "base/memory.h"
#include "base/status.h"
#include "rest/descriptor.h"
#include "rest/npy.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER_NBYTES = 1 << 18, PIECE_NBYTES = 8 << 20, PACKED_PIECE_NBYTES = 1 << 20, MAGIC_NBYTES = 6 };

static parloom_status fail_read(const struct loom_unpack_source *source, int failed, parloom_error *error)
{
    return loom_status_fail(error, loom_status_of_errno(failed), failed, "could not read %.400s: %m", source->name);
}

static size_t waiting(const struct loom_unpack_source *source)
{
    return source->have - source->at;
}

/* More into the buffer, at most until wanted bytes wait there. */
static parloom_status fill(struct loom_unpack_source *source, size_t wanted, parloom_error *error)
{
    if (source->at == source->have) source->at = source->have = 0;
    while (!source->has_ended && waiting(source) < wanted) {
        size_t got = 0;
        int failed =
            loom_descriptor_read_some(source->fd, source->buffer + source->have, wanted - waiting(source), &got);
        if (failed != 0) return fail_read(source, failed, error);
        source->has_ended = got == 0;
        source->have += got;
    }
    return PARLOOM_OK;
}

/* What is there, once: a pipe whose writer is slow is not waited for longer than it has to be. */
static parloom_status fill_some(struct loom_unpack_source *source, parloom_error *error)
{
    if (waiting(source) > 0 || source->has_ended) return PARLOOM_OK;
    source->at = source->have = 0;
    int failed = loom_descriptor_read_some(source->fd, source->buffer, BUFFER_NBYTES, &source->have);
    source->has_ended = failed == 0 && source->have == 0;
    return failed == 0 ? PARLOOM_OK : fail_read(source, failed, error);
}

static bool is_npy(const struct loom_unpack_source *source)
{
    return waiting(source) >= MAGIC_NBYTES && memcmp(source->buffer, "\x93NUMPY", MAGIC_NBYTES) == 0;
}

static parloom_status find_codec(struct loom_unpack_source *source, parloom_error *error)
{
    size_t ignored = 0;
    parloom_status status = fill(source, MAGIC_NBYTES, error);
    /* Of what is not compressed not a byte is read that is not taken: there may be something else behind it. */
    if (status != PARLOOM_OK || is_npy(source)) return status;
    status = fill(source, LOOM_CODEC_PROBE_NBYTES, error);
    if (status != PARLOOM_OK) return status;
    source->codec = loom_codec_recognise(source->buffer, waiting(source));
    if (source->codec != NULL) return loom_codec_check(source->codec, error);
    status = loom_npy_measure(source->buffer, waiting(source), source->name, &ignored, error);
    if (status != PARLOOM_OK) return status;
    return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "%.400s is no .npy", source->name);
}

parloom_status loom_unpack_source_open(struct loom_unpack_source *source, int fd, const char *name,
                                       parloom_error *error)
{
    *source = (struct loom_unpack_source){ .fd = fd, .name = name, .left = loom_descriptor_left(fd) };
    source->buffer = loom_memory_aligned(64, BUFFER_NBYTES);
    if (source->buffer == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short to read %.400s", name);
    parloom_status status = find_codec(source, error);
    if (status != PARLOOM_OK) loom_unpack_source_close(source);
    return status;
}

void loom_unpack_source_close(struct loom_unpack_source *source)
{
    if (source->stream != NULL) source->codec->ops.close(source->stream);
    loom_codec_release(source->codec);
    free(source->buffer);
    *source = (struct loom_unpack_source){ .fd = -1 };
}

/* -------------------------------------------------------------------------- read */

static parloom_status advance(const struct loom_unpack_source *source, size_t nbytes, parloom_error *error)
{
    return source->effort == NULL ? PARLOOM_OK : loom_effort_advance(source->effort, nbytes, error);
}

static parloom_status read_plain(struct loom_unpack_source *source, char *data, size_t nbytes, size_t *got_out,
                                 parloom_error *error)
{
    size_t done = waiting(source) < nbytes ? waiting(source) : nbytes, got = 1;
    memcpy(data, source->buffer + source->at, done);
    source->at += done;
    parloom_status status = advance(source, done, error);
    if (status != PARLOOM_OK) return status;
    for (; done < nbytes && got > 0; done += got) {
        size_t wanted = nbytes - done < PIECE_NBYTES ? nbytes - done : PIECE_NBYTES;
        int failed = loom_descriptor_read_some(source->fd, data + done, wanted, &got);
        status = failed != 0 ? fail_read(source, failed, error) : advance(source, got, error);
        if (status != PARLOOM_OK) return status;
    }
    *got_out = done;
    return PARLOOM_OK;
}

/* Another stream, if there is one; stream stays NULL at the end. */
static parloom_status begin_stream(struct loom_unpack_source *source, parloom_error *error)
{
    const struct loom_codec *codec = source->codec;
    size_t kept = waiting(source);
    memmove(source->buffer, source->buffer + source->at, kept);
    source->at = 0;
    source->have = kept;
    parloom_status status = fill(source, LOOM_CODEC_PROBE_NBYTES, error);
    if (status != PARLOOM_OK || waiting(source) == 0) return status;
    bool may_follow = source->streams == 0 || (codec->ops.flags & PARLOOM_CODEC_FRAMES) != 0;
    if (!may_follow || !codec->ops.recognise(codec->state, source->buffer, waiting(source)))
        return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "%.400s has something behind its %s stream that is none",
                                source->name, codec->name);
    source->streams++;
    return loom_codec_open(codec, PARLOOM_CODEC_DECOMPRESS, 0, &source->stream, error);
}

parloom_status loom_unpack_source_blame(const struct loom_unpack_source *source, parloom_status status,
                                        const parloom_error *own, parloom_error *error)
{
    if (status == PARLOOM_OK) return PARLOOM_OK;
    return loom_status_fail(error, status, 0, "%.400s, compressed as %s: %.300s", source->name, source->codec->name,
                            own->message);
}

static parloom_status step(struct loom_unpack_source *source, parloom_codec_step *step, parloom_error *error)
{
    parloom_error own;
    size_t in = waiting(source), out = step->out_nbytes;
    step->in = source->buffer + source->at;
    step->in_nbytes = in;
    step->is_last = source->has_ended;
    parloom_status status = loom_codec_step(source->codec, source->stream, step, &own);
    if (status != PARLOOM_OK) return loom_unpack_source_blame(source, status, &own, error);
    source->at += in - step->in_nbytes;
    if (step->is_done) {
        source->codec->ops.close(source->stream);
        source->stream = NULL;
        return PARLOOM_OK;
    }
    if (in > step->in_nbytes || out > step->out_nbytes || (in == 0 && !source->has_ended) || out == 0)
        return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "%.400s is cut short within its %s stream", source->name,
                            source->codec->name);
}

/* A coder may hold what it has taken: it is asked with nothing new before more is waited for. What wants whole frames
 * is given room for them; others write a piece at a time, and it is told how far they are. */
static parloom_status read_packed(struct loom_unpack_source *source, char *data, size_t nbytes, bool is_one,
                                  size_t *got_out, parloom_error *error)
{
    size_t most = (source->codec->ops.flags & PARLOOM_CODEC_ITEMS) != 0 ? SIZE_MAX : PACKED_PIECE_NBYTES, done = 0;
    parloom_status status = PARLOOM_OK;
    while (status == PARLOOM_OK && done < nbytes) {
        if (source->stream == NULL && is_one) break;
        if (source->stream == NULL) status = begin_stream(source, error);
        if (status != PARLOOM_OK || source->stream == NULL) break;
        size_t room = nbytes - done < most ? nbytes - done : most, in = waiting(source);
        parloom_codec_step piece = { .out = data + done, .out_nbytes = room };
        status = step(source, &piece, error);
        size_t written = room - piece.out_nbytes;
        done += written;
        if (status == PARLOOM_OK) status = advance(source, written, error);
        if (status == PARLOOM_OK && written == 0 && waiting(source) == 0 && in == 0) status = fill_some(source, error);
    }
    *got_out = done;
    return status;
}

parloom_status loom_unpack_source_read(struct loom_unpack_source *source, void *data, size_t nbytes, size_t *got_out,
                                       parloom_error *error)
{
    return source->codec == NULL ? read_plain(source, data, nbytes, got_out, error)
                                 : read_packed(source, data, nbytes, false, got_out, error);
}

parloom_status loom_unpack_source_read_stream(struct loom_unpack_source *source, void *data, size_t nbytes,
                                              size_t *got_out, parloom_error *error)
{
    return read_packed(source, data, nbytes, true, got_out, error);
}

bool loom_unpack_source_place(const struct loom_unpack_source *source, uint64_t *place_out)
{
    off_t position = source->left == UINT64_MAX ? -1 : lseek(source->fd, 0, SEEK_CUR);
    if (position < 0 || source->stream != NULL || (uint64_t)position < waiting(source)) return false;
    *place_out = (uint64_t)position - waiting(source);
    return true;
}

void loom_unpack_source_move(struct loom_unpack_source *source, uint64_t place, size_t streams)
{
    (void)lseek(source->fd, (off_t)place, SEEK_SET);
    source->at = source->have = 0;
    source->has_ended = false;
    source->streams += streams;
}

/* ------------------------------------------------------------------------ finish */

static parloom_status refuse_more(const struct loom_unpack_source *source, parloom_error *error)
{
    return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "%.400s holds more than its header declares", source->name);
}

/* The stream in which the last item came: to its end, which brings its checksum. */
static parloom_status end_stream(struct loom_unpack_source *source, parloom_error *error)
{
    char more[1];
    while (source->stream != NULL) {
        parloom_codec_step last = { .out = more, .out_nbytes = sizeof more };
        size_t in = waiting(source);
        parloom_status status = step(source, &last, error);
        if (status == PARLOOM_OK && last.out_nbytes == 0) return refuse_more(source, error);
        if (status == PARLOOM_OK && source->stream != NULL && in == 0) status = fill_some(source, error);
        if (status != PARLOOM_OK) return status;
    }
    return PARLOOM_OK;
}

static parloom_status put_back(const struct loom_unpack_source *source, parloom_error *error)
{
    if (waiting(source) == 0 || lseek(source->fd, -(off_t)waiting(source), SEEK_CUR) >= 0) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0,
                            "%.400s has %zu bytes behind the array, which was compressed: through what cannot seek "
                            "nothing may follow it",
                            source->name, waiting(source));
}

parloom_status loom_unpack_source_finish(struct loom_unpack_source *source, bool is_all, parloom_error *error)
{
    char more[1];
    size_t got = 0;
    if (source->codec == NULL) return PARLOOM_OK;
    parloom_status status = end_stream(source, error);
    if (status != PARLOOM_OK || !is_all) return status != PARLOOM_OK ? status : put_back(source, error);
    status = read_packed(source, more, sizeof more, false, &got, error);
    return status == PARLOOM_OK && got > 0 ? refuse_more(source, error) : status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unpack_frames.c - streams of a file that say how long they are, decompressed at once.
 *
 * Round by round the lengths of as many streams as there are slots are read; then a loop decompresses them, each
 * straight to its place in the array.
 * Nothing is believed: a stream has to fit in what is left of the array, and to be no longer than that can become; it
 * is given no room but its place, and has to fill it. What does not say its length, or a strange one, is left to who
 * reads one stream after the other, and to its judgement.
 */
#include "rest/unpack_frames.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"

#include <errno.h>
#include <stdlib.h>

enum { FRAME_MOST_NBYTES = 64 << 20, HEADROOM = 4096 };

struct slot {
    uint64_t place; /* in the file */
    struct loom_codec_extent extent;
    char *data;        /* where it goes */
    unsigned char *in; /* the slot's thread alone writes what follows; free() it */
    size_t room;
    parloom_status status;
    parloom_error error;
};

struct round {
    const struct loom_unpack_source *source;
    struct slot *slots;
    size_t count; /* of slots in use */
};

static parloom_status fill_slot(const struct loom_unpack_source *source, struct slot *slot)
{
    size_t nbytes = (size_t)slot->extent.packed_nbytes;
    if (slot->room < nbytes) {
        free(slot->in);
        slot->in = loom_memory_aligned(64, nbytes);
        slot->room = slot->in != NULL ? nbytes : 0;
    }
    if (slot->in == NULL)
        return loom_status_fail(&slot->error, PARLOOM_ERR_MEMORY, 0, "memory is short for %zu compressed bytes",
                                nbytes);
    int failed = loom_file_read_all(source->fd, slot->in, nbytes, slot->place);
    if (failed == 0) return PARLOOM_OK;
    if (failed == ENODATA)
        return loom_status_fail(&slot->error, PARLOOM_ERR_FORMAT, 0, "it became shorter while it was read");
    return loom_status_fail(&slot->error, loom_status_of_errno(failed), failed, "it could not be read: %m");
}

/* To the end of the stream, which has to be that of the slot and of its place. */
static parloom_status step_to_end(const struct loom_codec *codec, void *stream, struct slot *slot)
{
    parloom_codec_step step = { .in = slot->in,
                                .in_nbytes = (size_t)slot->extent.packed_nbytes,
                                .out = slot->data,
                                .out_nbytes = (size_t)slot->extent.nbytes,
                                .is_last = true };
    size_t left = 0;
    do {
        left = step.in_nbytes + step.out_nbytes;
        parloom_status status = loom_codec_step(codec, stream, &step, &slot->error);
        if (status != PARLOOM_OK) return status;
    } while (!step.is_done && step.in_nbytes + step.out_nbytes < left);
    if (step.is_done && step.in_nbytes + step.out_nbytes == 0) return PARLOOM_OK;
    return loom_status_fail(&slot->error, PARLOOM_ERR_FORMAT, 0, "damaged: a stream is not as long as it says");
}

static void read_slot(void *state, size_t k)
{
    const struct round *round = state;
    const struct loom_codec *codec = round->source->codec;
    struct slot *slot = &round->slots[k];
    void *stream = NULL;
    slot->status = fill_slot(round->source, slot);
    if (slot->status == PARLOOM_OK)
        slot->status = loom_codec_open(codec, PARLOOM_CODEC_DECOMPRESS, 0, &stream, &slot->error);
    if (slot->status != PARLOOM_OK) return;
    slot->status = step_to_end(codec, stream, slot);
    codec->ops.close(stream);
    if (slot->status == PARLOOM_OK)
        slot->status = loom_effort_advance(round->source->effort, (size_t)slot->extent.nbytes, &slot->error);
}

/* Slots for streams from the place on, at most for nbytes of items. */
static void measure_slots(struct round *round, size_t slots, uint64_t place, char *data, size_t nbytes)
{
    const struct loom_unpack_source *source = round->source;
    round->count = 0;
    while (round->count < slots && nbytes > 0) {
        struct slot *slot = &round->slots[round->count];
        struct loom_codec_extent extent = { 0, 0 };
        if (!source->codec->measure(source->fd, place, &extent)) break;
        if (extent.nbytes == 0 || extent.nbytes > nbytes || extent.packed_nbytes > FRAME_MOST_NBYTES ||
            extent.packed_nbytes > extent.nbytes + extent.nbytes / 64 + HEADROOM)
            break;
        slot->place = place;
        slot->extent = extent;
        slot->data = data;
        slot->status = PARLOOM_ERR_CANCELLED;
        round->count++;
        place += extent.packed_nbytes;
        data += extent.nbytes;
        nbytes -= (size_t)extent.nbytes;
    }
}

/* Adds to what is done, in items and in the file. */
static parloom_status read_round(struct round *round, uint64_t *place, size_t *done, parloom_error *error)
{
    parloom_status status = loom_effort_share(round->source->effort, round->count, read_slot, round, error);
    for (size_t k = 0; k < round->count && status == PARLOOM_OK; k++) {
        const struct slot *slot = &round->slots[k];
        if (slot->status == PARLOOM_ERR_CANCELLED && error != NULL) *error = slot->error;
        status = slot->status == PARLOOM_ERR_CANCELLED
                     ? slot->status
                     : loom_unpack_source_blame(round->source, slot->status, &slot->error, error);
        *place += slot->extent.packed_nbytes;
        *done += (size_t)slot->extent.nbytes;
    }
    return status;
}

static parloom_status read_rounds(struct loom_unpack_source *source, struct round *round, size_t slots, char *data,
                                  size_t nbytes, size_t *done, parloom_error *error)
{
    uint64_t place = 0;
    parloom_status status = PARLOOM_OK;
    if (!loom_unpack_source_place(source, &place)) return PARLOOM_OK;
    do {
        measure_slots(round, slots, place, data + *done, nbytes - *done);
        if (round->count > 0) status = read_round(round, &place, done, error);
        if (status == PARLOOM_OK && round->count > 0) loom_unpack_source_move(source, place, round->count);
    } while (status == PARLOOM_OK && round->count > 0);
    return status;
}

parloom_status loom_unpack_frames(struct loom_unpack_source *source, char *data, size_t nbytes, size_t *done_out,
                                  parloom_error *error)
{
    size_t slots = loom_effort_slots(source->effort, nbytes);
    *done_out = 0;
    if (slots <= 1 || source->codec == NULL || source->codec->measure == NULL || source->left == UINT64_MAX)
        return PARLOOM_OK;
    parloom_status status = loom_unpack_source_read_stream(source, data, nbytes, done_out, error);
    struct slot *memory = status == PARLOOM_OK ? loom_memory_zeroed(slots, sizeof *memory) : NULL;
    if (memory == NULL) return status; /* without slots it is read one by one */
    struct round round = { source, memory, 0 };
    status = read_rounds(source, &round, slots, data, nbytes, done_out, error);
    for (size_t k = 0; k < slots; k++) free(memory[k].in);
    free(memory);
    return status;
}

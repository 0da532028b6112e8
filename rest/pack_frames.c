/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pack_frames.c - an array to a descriptor, in streams that follow one another, or in parts that become one stream.
 *
 * Round by round a loop compresses as many frames as there are slots, each into memory of its own; then they are
 * written in order. Where frames are cut depends on the codec alone: the bytes are the same for any number of threads.
 */
#include "rest/pack.h"

#include "base/memory.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

enum { FRAME_NBYTES = 4 << 20, HEADROOM = 4096 };

struct slot {
    uint64_t begin, end; /* of the bytes that are written; the slot's thread alone writes what follows */
    char *in;            /* of a frame whose parts lie apart */
    char *out;
    size_t used, room;
    uint32_t check; /* of a part */
    parloom_status status;
    parloom_error error;
};

struct round {
    const struct loom_pack *pack;
    struct slot *slots;
    uint64_t next;  /* byte that no slot has yet */
    size_t count;   /* of slots in use */
    uint32_t check; /* of the parts that were written */
};

/* At first for what cannot be compressed: codecs are faster when all of it fits, and pages are not there before they
 * are written. */
static parloom_status make_room(struct slot *slot)
{
    size_t whole = (size_t)(slot->end - slot->begin);
    size_t room = slot->room == 0 ? whole + whole / 64 + HEADROOM : slot->room + slot->room / 2;
    char *grown = loom_memory_grow(slot->out, room, 1);
    if (grown == NULL)
        return loom_status_fail(&slot->error, PARLOOM_ERR_MEMORY, 0, "memory is short for %zu compressed bytes", room);
    slot->out = grown;
    slot->room = room;
    return PARLOOM_OK;
}

/* One piece into the slot's memory. */
static parloom_status feed(const struct loom_codec *codec, void *stream, parloom_codec_step *step, struct slot *slot)
{
    do {
        size_t before = step->in_nbytes;
        parloom_status status = slot->used == slot->room ? make_room(slot) : PARLOOM_OK;
        if (status != PARLOOM_OK) return status;
        step->out = slot->out + slot->used;
        step->out_nbytes = slot->room - slot->used;
        status = loom_codec_step(codec, stream, step, &slot->error);
        if (status != PARLOOM_OK) return status;
        size_t used = slot->room - step->out_nbytes;
        bool is_stuck = used == slot->used && step->in_nbytes == before && !step->is_done;
        if (is_stuck && step->out_nbytes < HEADROOM && make_room(slot) == PARLOOM_OK) continue;
        if (is_stuck)
            return loom_status_fail(&slot->error, PARLOOM_ERR_INTERNAL, 0, "the codec %s does not end", codec->name);
        slot->used = used;
    } while (!step->is_done && (step->in_nbytes > 0 || step->is_last));
    return PARLOOM_OK;
}

static parloom_status open_frame(const struct loom_pack *pack, struct slot *slot, void **stream_out)
{
    const struct loom_codec *codec = pack->codec;
    parloom_status status = loom_codec_check(codec, &slot->error);
    if (status == PARLOOM_OK && codec->joint != NULL)
        return codec->joint->open(pack->level, slot->end == pack->nbytes, stream_out, &slot->error);
    return loom_codec_open(codec, pack->level, pack->array->item_nbytes, stream_out, &slot->error);
}

/* The whole frame, in a row: where its parts lie apart, they are brought together. */
static parloom_status next_whole(struct loom_pack_cursor *cursor, struct slot *slot, parloom_codec_step *step)
{
    size_t whole = (size_t)(cursor->end - cursor->at), used = 0;
    parloom_status status = loom_pack_next(cursor, &step->in, &step->in_nbytes, &slot->error);
    if (status != PARLOOM_OK || step->in_nbytes == whole) return status;
    char *grown = loom_memory_grow(slot->in, whole, 1);
    if (grown == NULL)
        return loom_status_fail(&slot->error, PARLOOM_ERR_MEMORY, 0, "memory is short for %zu bytes of items", whole);
    slot->in = grown;
    while (status == PARLOOM_OK && used < whole) {
        memcpy(slot->in + used, step->in, step->in_nbytes);
        used += step->in_nbytes;
        if (used < whole) status = loom_pack_next(cursor, &step->in, &step->in_nbytes, &slot->error);
    }
    step->in = slot->in;
    step->in_nbytes = whole;
    return status;
}

static parloom_status compress_pieces(const struct loom_pack *pack, struct slot *slot, struct loom_pack_cursor *cursor,
                                      void *stream)
{
    parloom_codec_step step = { .is_last = false };
    parloom_status status = PARLOOM_OK;
    while (status == PARLOOM_OK && !step.is_last) {
        status = cursor->most == 0 ? next_whole(cursor, slot, &step)
                                   : loom_pack_next(cursor, &step.in, &step.in_nbytes, &slot->error);
        size_t nbytes = step.in_nbytes;
        step.is_last = cursor->at == cursor->end;
        if (status == PARLOOM_OK) status = feed(pack->codec, stream, &step, slot);
        if (status == PARLOOM_OK) status = loom_effort_advance(pack->effort, nbytes, &slot->error);
    }
    return status;
}

static parloom_status compress_frame(const struct loom_pack *pack, struct slot *slot)
{
    bool is_whole = (pack->codec->ops.flags & PARLOOM_CODEC_ITEMS) != 0 || pack->codec->measure != NULL;
    struct loom_pack_cursor cursor = { pack, slot->begin, slot->end, is_whole ? 0 : LOOM_PACK_PIECE_NBYTES, NULL };
    void *stream = NULL;
    slot->used = 0;
    parloom_status status = open_frame(pack, slot, &stream);
    if (status != PARLOOM_OK) return status;
    status = compress_pieces(pack, slot, &cursor, stream);
    if (pack->codec->joint != NULL) slot->check = pack->codec->joint->check(stream);
    pack->codec->ops.close(stream);
    free(cursor.gathered);
    return status;
}

/* A failure is the slot's, so that the caller reports the first one of the file. */
static void compress_slot(void *state, size_t k)
{
    struct round *round = state;
    round->slots[k].status = compress_frame(round->pack, &round->slots[k]);
}

static size_t frame_nbytes(const struct loom_pack *pack)
{
    size_t nbytes = pack->codec->ops.frame_nbytes > 0 ? pack->codec->ops.frame_nbytes : FRAME_NBYTES;
    size_t item_nbytes = pack->array->item_nbytes;
    if ((pack->codec->ops.flags & PARLOOM_CODEC_ITEMS) == 0) return nbytes;
    return nbytes > item_nbytes ? nbytes / item_nbytes * item_nbytes : item_nbytes;
}

static void hand_out(struct round *round, size_t slots)
{
    const struct loom_pack *pack = round->pack;
    bool has_own_header = (pack->codec->ops.flags & PARLOOM_CODEC_ITEMS) != 0;
    round->count = 0;
    while (round->count < slots && round->next < pack->nbytes) {
        struct slot *slot = &round->slots[round->count++];
        uint64_t left = pack->nbytes - round->next, nbytes = frame_nbytes(pack);
        if (has_own_header && round->next == 0) nbytes = pack->header_nbytes;
        slot->begin = round->next;
        slot->end = round->next + (nbytes < left ? nbytes : left);
        slot->status = PARLOOM_ERR_CANCELLED;
        round->next = slot->end;
    }
}

/* What stands before the first part. */
static parloom_status write_begin(struct round *round, const struct slot *slot, parloom_error *error)
{
    const struct loom_codec_joint *joint = round->pack->codec->joint;
    unsigned char bytes[16];
    if (joint == NULL || slot->begin > 0) return PARLOOM_OK;
    round->check = joint->check_of_nothing;
    return loom_pack_write(round->pack, bytes, joint->begin(round->pack->level, bytes), error);
}

/* And behind the last. */
static parloom_status write_end(struct round *round, const struct slot *slot, parloom_error *error)
{
    const struct loom_codec_joint *joint = round->pack->codec->joint;
    unsigned char bytes[16];
    if (joint == NULL) return PARLOOM_OK;
    round->check = joint->combine(round->check, slot->check, slot->end - slot->begin);
    if (slot->end < round->pack->nbytes) return PARLOOM_OK;
    return loom_pack_write(round->pack, bytes, joint->end(round->check, bytes), error);
}

static parloom_status write_round(struct round *round, parloom_error *error)
{
    for (size_t k = 0; k < round->count; k++) {
        const struct slot *slot = &round->slots[k];
        if (slot->status != PARLOOM_OK && error != NULL) *error = slot->error;
        if (slot->status != PARLOOM_OK) return slot->status;
        parloom_status status = write_begin(round, slot, error);
        if (status == PARLOOM_OK) status = loom_pack_write(round->pack, slot->out, slot->used, error);
        if (status == PARLOOM_OK) status = write_end(round, slot, error);
        if (status != PARLOOM_OK) return status;
    }
    return PARLOOM_OK;
}

static parloom_status write_rounds(struct round *round, size_t slots, parloom_error *error)
{
    const struct loom_pack *pack = round->pack;
    parloom_status status = PARLOOM_OK;
    while (status == PARLOOM_OK && round->next < pack->nbytes) {
        hand_out(round, slots);
        status = loom_effort_share(pack->effort, round->count, compress_slot, round, error);
        if (status == PARLOOM_OK) status = write_round(round, error);
    }
    return status;
}

parloom_status loom_pack_frames(const struct loom_pack *pack, parloom_error *error)
{
    size_t slots = loom_effort_slots(pack->effort, (pack->nbytes - 1) / frame_nbytes(pack) + 2);
    struct slot *memory = loom_memory_zeroed(slots, sizeof *memory);
    if (memory == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short to compress");
    struct round round = { pack, memory, 0, 0, 0 };
    parloom_status status = write_rounds(&round, slots, error);
    for (size_t k = 0; k < slots; k++) free(memory[k].in);
    for (size_t k = 0; k < slots; k++) free(memory[k].out);
    free(memory);
    return status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * belt.c - post, take, end: the protocol between a stream and its workers (see belt.h).
 *
 * Path of a call    program: place, POSTED, posted, bell     worker: RUNNING ... ENDED, bell if awaited
 * Asleep            the program stores is_awaited, then reads the stages; a worker stores ENDED, then reads is_awaited.
 *                   All full: at least one sees the other.
 */
#include "shm/belt.h"

#include "base/clock.h"
#include "base/futex.h"

size_t loom_belt_nbytes(uint32_t n_places, uint32_t log_nbytes)
{
    return sizeof(struct loom_belt_shared) + n_places * (sizeof(struct loom_belt_place_shared) + log_nbytes);
}

struct loom_belt_shared *loom_belt_init(void *memory, uint32_t n_places, uint32_t log_nbytes, uint32_t seats)
{
    struct loom_belt_shared *belt = memory;
    belt->magic = LOOM_BELT_MAGIC;
    belt->layout_version = 2;
    belt->n_places = n_places;
    belt->log_nbytes = log_nbytes;
    belt->seats = seats;
    loom_store_relaxed(&belt->stop_before, UINT64_MAX >> 2); /* relaxed: nobody knows of it yet */
    return belt;
}

bool loom_belt_is_sound(const struct loom_belt_shared *belt)
{
    return belt->magic == LOOM_BELT_MAGIC && belt->layout_version == 2 && belt->n_places > 0 &&
           (belt->n_places & (belt->n_places - 1)) == 0;
}

static void raise(_Atomic uint64_t *word, uint64_t to)
{
    uint64_t seen = loom_load_relaxed(word);
    while (seen < to && !loom_cas_relaxed(word, &seen, to)) {
        /* relaxed: a hint where to look first */
    }
}

struct loom_belt_place_shared *loom_belt_take(struct loom_belt_shared *belt, uint32_t seat)
{
    uint64_t ticket = loom_load_relaxed(&belt->next); /* relaxed: only raised */
    for (; ticket < loom_load_full(&belt->posted); ticket++) {
        struct loom_belt_place_shared *place = loom_belt_place(belt, ticket);
        uint64_t posted = LOOM_BELT_STAGE(ticket, 0, LOOM_BELT_POSTED);
        /* full: what the program wrote on the place; pairs with its post and its recall */
        if (!loom_cas_full(&place->stage, &posted, LOOM_BELT_STAGE(ticket, seat, LOOM_BELT_RUNNING))) continue;
        raise(&belt->next, ticket + 1);
        return place;
    }
    raise(&belt->next, ticket);
    return NULL;
}

parloom_status loom_belt_want(struct loom_belt_place_shared *place, uint64_t nbytes, void (*ring)(void *state),
                              void *state)
{
    uint64_t running = loom_load_relaxed(&place->stage); /* relaxed: this worker wrote it */
    uint64_t wanting = LOOM_BELT_STAGE(LOOM_BELT_TICKET(running), LOOM_BELT_SEAT(running), LOOM_BELT_WANTING);
    place->wanted_nbytes = nbytes;
    uint32_t answered = loom_load_full(&place->answered); /* full: before the question; pairs with the answer */
    loom_store_full(&place->stage, wanting);
    ring(state);
    while (loom_load_full(&place->stage) == wanting) /* pairs with the answer */
        (void)loom_futex_wait_until(&place->answered, answered, LOOM_NEVER_NS);
    return (parloom_status)place->answer;
}

bool loom_belt_end(struct loom_belt_shared *belt, struct loom_belt_place_shared *place)
{
    uint64_t running = loom_load_relaxed(&place->stage); /* relaxed: this worker wrote it */
    /* full: all results, and before the look at is_awaited; pairs with the program's collecting */
    loom_store_full(&place->stage,
                    LOOM_BELT_STAGE(LOOM_BELT_TICKET(running), LOOM_BELT_SEAT(running), LOOM_BELT_ENDED));
    return loom_load_full(&belt->is_awaited) != 0;
}

void loom_belt_post(struct loom_belt_shared *belt, struct loom_belt_place_shared *place, uint64_t ticket)
{
    /* full, both: the place before its stage, the stage before posted; pair with take */
    loom_store_full(&place->stage, LOOM_BELT_STAGE(ticket, 0, LOOM_BELT_POSTED));
    loom_store_full(&belt->posted, ticket + 1);
}

bool loom_belt_recall(struct loom_belt_place_shared *place, uint64_t ticket)
{
    uint64_t posted = LOOM_BELT_STAGE(ticket, 0, LOOM_BELT_POSTED);
    /* full: pairs with take, of which one wins */
    return loom_cas_full(&place->stage, &posted, LOOM_BELT_STAGE(ticket, 0, LOOM_BELT_EMPTY));
}

void loom_belt_clear(struct loom_belt_place_shared *place)
{
    loom_store_relaxed(&place->stage, 0); /* relaxed: no worker looks at a place that is not posted */
}

void loom_belt_answer(struct loom_belt_place_shared *place, parloom_status answer)
{
    uint64_t wanting = loom_load_relaxed(&place->stage); /* relaxed: the worker waits */
    place->answer = (int32_t)answer;
    /* full, both: room and answer before the stage, the stage before the bell; pair with want */
    loom_store_full(&place->stage,
                    LOOM_BELT_STAGE(LOOM_BELT_TICKET(wanting), LOOM_BELT_SEAT(wanting), LOOM_BELT_RUNNING));
    loom_add_full(&place->answered, 1);
    loom_futex_wake(&place->answered, 1);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * worker_belt.c - a worker process at a belt (see worker_belt.h).
 *
 * Path        visit, take, run, end; until the belt is empty or a loop is open.
 * Visits      the program frees a belt once nobody is at it: a worker says that it comes in, then looks at the board
 *             again; the program takes the belt off the board, then looks who is in. Both full: one sees the other.
 */
#include "backends/worker_belt.h"

struct visit {
    struct loom_board_shared *board;
    const struct loom_worker_belt_ops *ops;
    void *state;
    uint32_t number, seat;
    struct loom_belt_shared *belt;
    struct loom_belt_work work; /* begun with the first call of the visit */
    bool is_begun;
};

static void ring_for_room(void *state)
{
    struct visit *visit = state;
    visit->ops->ring_all(visit->state, visit->number);
}

static parloom_status grow(struct loom_belt_work *work, uint64_t nbytes)
{
    struct visit *visit = work->grow_state;
    parloom_status status = loom_belt_want(work->place, nbytes, ring_for_room, visit);
    if (status == PARLOOM_OK) visit->ops->sync(visit->state);
    return status;
}

/* The program empties a log that is full. */
static parloom_status write_log(struct loom_belt_work *work, const struct loom_belt_entry_shared *entry,
                                const void *bytes)
{
    struct visit *visit = work->grow_state;
    parloom_status status = PARLOOM_OK;
    if (visit->belt->log_nbytes == 0) return PARLOOM_OK; /* nobody reads it */
    while (status == PARLOOM_OK && !loom_belt_log_append(visit->belt, work->place, entry, bytes))
        status = loom_belt_want(work->place, LOOM_BELT_LOG_FULL, ring_for_room, visit);
    return status;
}

static bool begin(struct visit *visit, parloom_error *error)
{
    if (visit->is_begun) return true;
    if (visit->ops->begin(visit->state, &visit->work, error) != PARLOOM_OK) return false;
    loom_belt_work_begin(&visit->work, &visit->belt->stop_before);
    visit->work.grow = grow;
    visit->work.log = write_log;
    visit->work.grow_state = visit;
    visit->is_begun = true;
    loom_shift_enter(&visit->work.shift);
    return true;
}

static void run(struct visit *visit, struct loom_belt_place_shared *place)
{
    parloom_error error;
    const struct loom_letter_parcel *letter = (const struct loom_letter_parcel *)(uintptr_t)place->work;
    visit->ops->sync(visit->state); /* the letter may be in a segment that is new */
    visit->work.place = place;
    if (begin(visit, &error) && visit->ops->prepare(visit->state, letter, &visit->work, &error) == PARLOOM_OK) {
        loom_belt_work_run(&visit->work, place);
        visit->ops->finish(visit->state, letter, &visit->work);
    } else {
        loom_belt_work_refuse(place, &error);
    }
    if (loom_belt_end(visit->belt, place)) visit->ops->ring(visit->state, visit->number);
}

static bool work_at(struct visit *visit)
{
    bool has_worked = false;
    struct loom_belt_place_shared *place;
    if (!loom_belt_is_sound(visit->belt) || visit->seat >= visit->belt->seats) return false;
    if (!loom_belt_has_more(visit->belt)) return false;
    if (!visit->ops->enter(visit->state, visit->belt)) return true;
    while ((place = loom_belt_take(visit->belt, visit->seat)) != NULL) {
        has_worked = true;
        run(visit, place);
        if (visit->ops->leaves(visit->state)) break;
    }
    if (visit->is_begun) {
        loom_shift_leave(&visit->work.shift);
        loom_shift_end(&visit->work.shift);
    }
    return has_worked;
}

static bool serve_one(struct visit *visit, uint64_t address)
{
    _Atomic uint32_t *mine = &loom_board_seat(visit->board, visit->seat)->visit;
    bool has_worked = false;
    /* full, both: pair with the program's closing */
    loom_store_full(mine, visit->number + 1);
    if (loom_load_full(&visit->board->belts[visit->number]) == address) {
        visit->ops->sync(visit->state);
        visit->belt = (struct loom_belt_shared *)(uintptr_t)address;
        has_worked = work_at(visit);
    }
    loom_store_full(mine, 0);
    if (has_worked) visit->ops->left(visit->state);
    return has_worked;
}

bool loom_worker_belt_serve(struct loom_board_shared *board, uint32_t seat, const struct loom_worker_belt_ops *ops,
                            void *state)
{
    bool has_worked = false;
    for (uint32_t k = 0; k < LOOM_BOARD_BELTS; k++) {
        struct visit visit = { .board = board, .ops = ops, .state = state, .number = k, .seat = seat };
        uint64_t address = loom_load_acquire(&board->belts[k]); /* a hint: looked at again after coming in */
        if (address != 0 && serve_one(&visit, address)) has_worked = true;
    }
    return has_worked;
}

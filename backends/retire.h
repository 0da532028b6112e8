/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * retire.h - when a worker process ends by itself: it had no work for long, or its memory has grown too much.
 *
 * It goes between calls, or after it has left one, and says so in its seat: a death in which nothing was lost. The
 * program reads of it when it looks next, and starts another worker where one is needed. So no thread of the program
 * and no clock of the supervisor is in it, and a call that begins at the same moment loses nothing.
 */
#ifndef LOOM_BACKENDS_RETIRE_H
#define LOOM_BACKENDS_RETIRE_H

#include "shm/board.h"

struct loom_retire {
    struct loom_board_shared *board;
    struct loom_seat_shared *seat;
    uint64_t worked_ns;     /* when the last call was left, or the worker began */
    uint64_t first_nbytes;  /* of its own memory after the first task; 0: not known yet */
    uint64_t next_look_ns;  /* at the memory */
    uint64_t growth_nbytes; /* seen when it was too much; 0: it was not */
};

void loom_retire_begin(struct loom_retire *retire, struct loom_board_shared *board, struct loom_seat_shared *seat);
/* Sleeps until the bell is no longer seen; does not return where that takes too long. */
void loom_retire_await_bell(struct loom_retire *retire, uint32_t seen);
/* After a call was left: does not return where the worker has grown too much. */
void loom_retire_if_grown(struct loom_retire *retire);
/* Whether its growth is looked at. */
bool loom_retire_is_watched(const struct loom_retire *retire);
bool loom_retire_look(struct loom_retire *retire);

/* Between two claims: whether to leave the call. One load where nobody asked for it. */
static inline bool loom_retire_is_grown(struct loom_retire *retire)
{
    if (__builtin_expect(loom_load_relaxed(&retire->board->growth_nbytes) == 0, 1)) return false; /* relaxed: a hint */
    return loom_retire_look(retire);
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * worker_self.h - what a worker process knows of itself: private to the files of the worker.
 *
 *   worker.c        start, the main loop, bells, segments
 *   worker_call.c   its part in a loop
 *   worker_belt.c, worker_parcel.c   calls of streams
 */
#ifndef LOOM_BACKENDS_WORKER_SELF_H
#define LOOM_BACKENDS_WORKER_SELF_H

#include "backends/letter.h"
#include "backends/retire.h"
#include "backends/shift.h"
#include "backends/worker.h"
#include "base/file.h"
#include "shm/board.h"
#include "shm/segment.h"

enum {
    LOOM_WORKER_RESOLVED = 64,       /* functions remembered, by the address of their reference */
    LOOM_WORKER_NO_DESCRIPTOR = 123, /* exit: a task closed what the worker needs: another one takes its place */
    LOOM_WORKER_BROKEN_BOARD = 124   /* exit */
};

struct loom_worker_self {
    const struct loom_worker_post *post;
    loom_segment_fetch fetch;
    void *fetch_state;
    struct loom_board_shared *board;
    struct loom_seat_shared *seat;
    struct loom_file_identity bell; /* what the bells were when the worker started */
    struct {
        uint64_t reference;
        parloom_body function;
    } resolved[LOOM_WORKER_RESOLVED];
    /* of the call that is served now */
    uint32_t slot_index;
    struct loom_slot_shared *slot;
    struct loom_desk_shared *desk;
    const struct loom_letter *letter;
    struct loom_work work;            /* of a list: the task that runs */
    const volatile uint32_t *is_here; /* 1; 0 in a process that a task forked */
    const _Atomic uint64_t *epoch;    /* of the segments; what was allocated since is mapped before the next task */
    uint64_t synced;                  /* up to which segments are mapped */
    struct loom_retire retire;        /* when this worker goes by itself */
    struct loom_shift shift;
    uint64_t tasks; /* that it has run in its life */
    bool is_worn;   /* seen at a belt */
};

void loom_worker_ring(const struct loom_worker_self *worker, uint32_t bell);
void loom_worker_map_segments(struct loom_worker_self *worker);

static inline void loom_worker_sync(struct loom_worker_self *worker)
{
    /* acquire: the entries of the table; pairs with the program's raising it */
    if (__builtin_expect(worker->epoch != NULL && loom_load_acquire(worker->epoch) != worker->synced, 0))
        loom_worker_map_segments(worker);
}

/* The function of a reference in letter memory; remembered. */
parloom_status loom_worker_resolve(struct loom_worker_self *worker, uint64_t reference, parloom_body *function_out,
                                   parloom_error *error);
/* A shift for what the letter says that the worker has; its words and callbacks are set by the caller. */
parloom_status loom_worker_begin_shift(struct loom_worker_self *worker, struct loom_shift *shift, parloom_error *error);
/* What travels with the letter and is set in the process: floating point, inner threads. */
void loom_worker_set_environment(struct loom_worker_self *worker);
/* Does its part of the call that it has joined. */
void loom_worker_run_call(struct loom_worker_self *worker);
/* It has run as many tasks as a worker of this call may. */
bool loom_worker_is_worn(const struct loom_worker_self *worker);
/* Ends by itself: nothing is lost with it. */
__attribute__((noreturn)) void loom_worker_retire(struct loom_worker_self *worker);
/* The oldest call that is open and that this worker has not been in; LOOM_BOARD_SLOTS: none. */
uint32_t loom_worker_oldest_call(const struct loom_worker_self *worker);
/* Runs calls of streams until there are none, or a call is open. False: there was nothing to do. */
bool loom_worker_serve_belts(struct loom_worker_self *worker);

#endif

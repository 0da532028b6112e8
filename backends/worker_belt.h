/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_belt.h - what a worker process does at the belts of streams, between calls. */
#ifndef LOOM_BACKENDS_WORKER_BELT_H
#define LOOM_BACKENDS_WORKER_BELT_H

#include "backends/belt_work.h"
#include "backends/letter.h"
#include "shm/board.h"

/* What the worker does for it. */
struct loom_worker_belt_ops {
    /* Comes to a belt that has work; false: it cannot do any, and leaves. */
    bool (*enter)(void *state, const struct loom_belt_shared *belt);
    /* Begins a shift for the calls of this belt; the worker is set as its letter says. */
    parloom_status (*begin)(void *state, struct loom_belt_work *work, parloom_error *error);
    /* Around each call: what it runs and finds there; what it left there. */
    parloom_status (*prepare)(void *state, const struct loom_letter_parcel *letter, struct loom_belt_work *work,
                              parloom_error *error);
    void (*finish)(void *state, const struct loom_letter_parcel *letter, struct loom_belt_work *work);
    bool (*leaves)(void *state); /* between two calls: something else goes first, or it has run enough */
    void (*left)(void *state);   /* nothing of the belt is touched any more; may not come back */
    void (*sync)(void *state);   /* maps what was allocated since */
    void (*ring)(void *state, uint32_t belt);
    void (*ring_all)(void *state, uint32_t belt); /* whoever may give room */
};

/* Runs calls of the belts on the board until there are none, or a loop is open. False: there was nothing to do. */
bool loom_worker_belt_serve(struct loom_board_shared *board, uint32_t seat, const struct loom_worker_belt_ops *ops,
                            void *state);

#endif

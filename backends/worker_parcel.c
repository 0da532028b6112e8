/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * worker_parcel.c - one call of a stream in a worker process: what it finds there, what it leaves (worker_belt.h).
 *
 * Path        function; state, floating point, as the program had them when the call was made; its clock; body; what
 *             is to be put back. Each call is a call of its own: what a task leaves of environment, working directory
 *             and locale is not there for the next.
 */
#include "backends/worker_self.h"

#include "backends/globals.h"
#include "backends/state.h"
#include "backends/worker_belt.h"
#include "backends/worker_clock.h"
#include "base/fpu.h"

#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>

static bool enter(void *state, const struct loom_belt_shared *belt)
{
    struct loom_worker_self *worker = state;
    worker->letter = (const struct loom_letter *)(uintptr_t)belt->letter;
    if (worker->letter->magic != LOOM_LETTER_MAGIC) _exit(LOOM_WORKER_BROKEN_BOARD);
    worker->is_worn = loom_worker_is_worn(worker); /* by earlier calls */
    return !worker->is_worn;
}

static parloom_status begin(void *state, struct loom_belt_work *work, parloom_error *error)
{
    struct loom_worker_self *worker = state;
    parloom_status status = loom_worker_begin_shift(worker, &work->shift, error);
    if (status == PARLOOM_OK) loom_worker_set_environment(worker);
    return status;
}

/* Functions of the program's states are no task's. */
static parloom_status take_on(struct loom_worker_self *worker, const struct loom_letter_parcel *letter,
                              struct loom_belt_work *work, parloom_error *error)
{
    if (loom_state_holds(letter->state)) return PARLOOM_OK;
    loom_shift_leave(&work->shift);
    parloom_status status = loom_state_apply(letter->state, worker->seat, worker->fetch, worker->fetch_state, error);
    loom_shift_resume(&work->shift);
    return status;
}

static parloom_status prepare(void *state, const struct loom_letter_parcel *letter, struct loom_belt_work *work,
                              parloom_error *error)
{
    struct loom_worker_self *worker = state;
    work->work.arguments = (const struct loom_argument *)(uintptr_t)letter->work.arguments;
    work->work.n_arguments = (size_t)letter->work.n_arguments;
    parloom_status status = loom_worker_resolve(worker, letter->work.function, &work->work.body, error);
    if (status == PARLOOM_OK) status = take_on(worker, letter, work, error);
    if (status != PARLOOM_OK) return status;
    loom_fpu_write(letter->fp_control);
    if (worker->letter->checks_globals) loom_globals_watch(&work->shift);
    return loom_worker_clock_set(worker->letter, &work->shift, work->place, error);
}

static void put_back(const struct loom_letter_parcel *letter, struct loom_belt_work *work)
{
    if (loom_state_has_restore(letter->state)) {
        loom_shift_leave(&work->shift);
        loom_state_restore(letter->state);
        loom_shift_resume(&work->shift);
    }
    loom_state_check();
}

static void finish(void *state, const struct loom_letter_parcel *letter, struct loom_belt_work *work)
{
    struct loom_worker_self *worker = state;
    loom_worker_clock_stop(worker->letter);
    put_back(letter, work);
    if (__fpending(stdout) > 0) (void)fflush(stdout);
    worker->tasks++;
}

static bool leaves(void *state)
{
    struct loom_worker_self *worker = state;
    worker->is_worn = loom_worker_is_worn(worker);
    return worker->is_worn || loom_worker_oldest_call(worker) < LOOM_BOARD_SLOTS ||
           loom_retire_is_grown(&worker->retire);
}

static void left(void *state)
{
    struct loom_worker_self *worker = state;
    sigset_t none;
    if (worker->is_worn) loom_worker_retire(worker);
    sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL); /* what a task has blocked */
}

static void sync_segments(void *state)
{
    loom_worker_sync(state);
}

static void ring(void *state, uint32_t belt)
{
    loom_worker_ring(state, LOOM_BOARD_SLOTS + belt);
}

/* Whoever waits for a call of this crew gives room too. */
static void ring_all(void *state, uint32_t belt)
{
    const struct loom_worker_self *worker = state;
    ring(state, belt);
    for (uint32_t k = 0; k < LOOM_BOARD_SLOTS; k++)
        if (loom_load_full(&worker->board->slots[k].call) != 0) loom_worker_ring(worker, k); /* full: after the wish */
}

static const struct loom_worker_belt_ops ops = { enter, begin,         prepare, finish,  leaves,
                                                 left,  sync_segments, ring,    ring_all };

bool loom_worker_serve_belts(struct loom_worker_self *worker)
{
    return loom_worker_belt_serve(worker->board, worker->post->seat, &ops, worker);
}

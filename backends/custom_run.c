/* SPDX-License-Identifier: BSD-3-Clause */
/* custom_run.c - begin, account and end of a call on a registered backend (see custom_run.h). */
#include "backends/custom_run.h"

#include "base/clock.h"
#include "base/futex.h"
#include "base/memory.h"
#include "base/status.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WATCH_NS UINT64_C(100000000) /* between two looks at progress, */
#define LOOK_NS  UINT64_C(10000000)  /* and at stop */

void loom_custom_lower(struct loom_custom_run *run, uint64_t bound)
{
    loom_shift_lower(&run->local.stop_before, bound);
    for (int k = 0; k < run->n_seats; k++) loom_shift_lower(&run->seats[k].bound, bound);
}

void loom_custom_blame(struct loom_custom_run *run, const char *format, ...)
{
    char what[PARLOOM_MESSAGE_BYTES / 2];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&run->local.lock);
    if (!run->is_defective)
        loom_status_fail(&run->defect, PARLOOM_ERR_INTERNAL, 0, "the backend \"%s\" is defective: %s",
                         run->custom->name, what);
    run->is_defective = true;
    pthread_mutex_unlock(&run->local.lock);
    loom_custom_lower(run, 0);
}

struct loom_custom_seat *loom_custom_sit(struct loom_custom_run *run, int worker)
{
    uint32_t is_free = 0;
    if (worker < 0 || worker >= run->n_seats) {
        loom_custom_blame(run, "it speaks of worker %d, and there are %d", worker, run->n_seats);
        return NULL;
    }
    if (loom_cas_full(&run->seats[worker].is_busy, &is_free, 1)) return &run->seats[worker]; /* pairs with leave */
    loom_custom_blame(run, "two threads use worker %d at once", worker);
    return NULL;
}

void loom_custom_leave(struct loom_custom_seat *seat)
{
    loom_store_full(&seat->is_busy, 0); /* pairs with sit */
}

/* -------------------------------------------------------------------- begin */

static void begin_seats(struct loom_custom_run *run)
{
    for (int k = 0; k < run->n_seats; k++) {
        struct loom_custom_seat *seat = &run->seats[k];
        seat->run = run;
        seat->ticket = (uint64_t)k;
        seat->worker.local = &run->local;
        seat->worker.next_watch_ns = run->next_watch_ns;
    }
}

static struct loom_custom_run *make(const struct loom_run *frozen)
{
    enum { LINE = 128 };
    size_t head = loom_memory_round_up(sizeof(struct loom_custom_run), LINE);
    size_t nbytes = head + (size_t)frozen->n_jobs * sizeof(struct loom_custom_seat);
    struct loom_custom_run *run = loom_memory_aligned(LINE, loom_memory_round_up(nbytes, LINE));
    if (run == NULL) return NULL;
    memset(run, 0, nbytes);
    run->n_seats = frozen->n_jobs;
    run->seats = (struct loom_custom_seat *)(void *)((char *)run + head);
    return run;
}

parloom_status loom_custom_begin(parloom_backend_run **run_out, struct loom_custom *custom,
                                 struct loom_local_crew *crew, const struct loom_run *frozen, parloom_error *error)
{
    struct loom_custom_run *run = make(frozen);
    parloom_backend_run *handle = run != NULL ? loom_custom_handle_open(run) : NULL;
    if (handle == NULL) {
        free(run);
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a call with %d workers", frozen->n_jobs);
    }
    loom_local_begin(&run->local, frozen);
    run->custom = custom;
    run->crew = crew;
    run->handle = handle;
    run->caller = pthread_self();
    run->pid = getpid();
    run->next_watch_ns = frozen->watch != NULL ? loom_clock_ns() + WATCH_NS : LOOM_NEVER_NS;
    loom_store_full(&run->untaken, run->local.tickets);
    begin_seats(run);
    (void)loom_local_is_over(&run->local, loom_clock_ns());
    *run_out = handle;
    return PARLOOM_OK;
}

/* --------------------------------------------------------------------- wait */

/* full, all: pairs with what next and report do before they wake. */
static bool is_over(struct loom_custom_run *run)
{
    struct loom_local *local = &run->local;
    if (loom_load_full(&run->open) > 0) return false;
    uint64_t bound = loom_load_full(&local->stop_before), taken = loom_load_full(&local->counter);
    if (bound == 0) return true;
    if (local->run->is_static) return loom_load_full(&run->untaken) == 0;
    return taken >= local->tickets || taken * local->grain >= bound;
}

void loom_custom_tell_caller(struct loom_custom_run *run)
{
    if (loom_load_full(&run->open) > 0) return;
    (void)loom_add_full(&run->events, 1); /* pairs with the caller's load before it looks */
    if (is_over(run)) loom_futex_wake(&run->events, INT_MAX);
}

static uint64_t look_around(struct loom_custom_run *run)
{
    const struct loom_run *frozen = run->local.run;
    uint64_t now = loom_clock_ns();
    if (!loom_local_needs_look(frozen)) return LOOM_NEVER_NS;
    if (loom_local_is_over(&run->local, now) || loom_load_relaxed(&run->local.is_cancelled)) loom_custom_lower(run, 0);
    if (frozen->watch != NULL && now >= run->next_watch_ns && pthread_equal(run->caller, pthread_self())) {
        run->next_watch_ns = now + WATCH_NS;
        loom_local_tell_progress(&run->local);
    }
    return now + LOOK_NS;
}

void parloom_backend_wait(parloom_backend_run *handle)
{
    struct loom_custom_run *run = loom_custom_handle_enter(handle);
    if (run == NULL) return;
    for (;;) {
        uint32_t seen = loom_load_full(&run->events); /* pairs with tell_caller */
        uint64_t until = look_around(run);
        if (is_over(run)) break;
        (void)loom_futex_wait_until(&run->events, seen, until);
    }
    loom_custom_handle_leave(handle);
}

int parloom_backend_workers(parloom_backend_run *handle)
{
    const struct loom_custom_run *run = loom_custom_handle_enter(handle);
    if (run == NULL) return 0;
    int count = run->n_seats;
    loom_custom_handle_leave(handle);
    return count;
}

/* ---------------------------------------------------------------------- end */

static void hurry(struct loom_custom_run *run)
{
    loom_custom_lower(run, 0);
}

/* Tasks nobody reported: CANCELLED. How many of them nothing had stopped. */
static size_t cancel(struct loom_custom_run *run, size_t begin, size_t end, uint64_t bound)
{
    loom_tally_note(run->local.run->tally, begin, end, PARLOOM_ERR_CANCELLED);
    if (end > bound) end = (size_t)bound;
    return begin < end ? end - begin : 0;
}

/* bound: where the call stopped before its end was looked at. */
static size_t cancel_rest(struct loom_custom_run *run, uint64_t bound)
{
    struct loom_local *local = &run->local;
    size_t missing = 0, begin, end;
    for (int k = 0; k < run->n_seats; k++) {
        struct loom_custom_seat *seat = &run->seats[k];
        missing += cancel(run, seat->next, seat->end, bound);
        while (local->run->is_static && loom_local_take_own(local, &seat->ticket, &begin, &end))
            missing += cancel(run, begin, end, bound);
    }
    struct loom_local_pace pace = { 0, 0, 0 };
    while (!local->run->is_static && loom_local_take(local, &pace, &begin, &end))
        missing += cancel(run, begin, end, bound);
    return missing;
}

static void close_seats(struct loom_custom_run *run)
{
    for (int k = 0; k < run->n_seats; k++)
        if (run->seats[k].is_begun) loom_shift_end(&run->seats[k].worker.shift);
}

/* Its own mistakes outweigh what happened to the call, and that what it said. */
static parloom_status settle(struct loom_custom_run *run, parloom_status status, parloom_error *error)
{
    parloom_error failure;
    parloom_status ended = loom_local_end(&run->local, &failure);
    if (run->is_defective) {
        ended = PARLOOM_ERR_INTERNAL;
        failure = run->defect;
    }
    if (ended == PARLOOM_OK) return status;
    if (error != NULL) *error = failure;
    return ended;
}

parloom_status loom_custom_end(parloom_backend_run *handle, parloom_status status, parloom_error *error)
{
    struct loom_custom_run *run = loom_custom_handle_enter(handle);
    loom_custom_handle_leave(handle);
    uint64_t bound = loom_load_full(&run->local.stop_before);
    uint32_t executing = loom_load_full(&run->executing); /* pairs with execute */
    loom_custom_handle_close(handle, hurry);
    if (executing > 0) loom_custom_blame(run, "its run returned while %u of its workers still ran tasks", executing);
    size_t missing = cancel_rest(run, bound);
    if (missing > 0 && status == PARLOOM_OK)
        loom_custom_blame(run, "its run returned, and %zu of %zu tasks were not reported", missing, run->local.run->n);
    close_seats(run);
    status = settle(run, status, error);
    free(run);
    return status;
}

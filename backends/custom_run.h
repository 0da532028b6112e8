/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * custom_run.h - one call on a registered backend: who has which tasks, and what was reported of them.
 *
 *   next      open claim of the worker := tasks from the counter, or of its own batches
 *   execute   runs from run_to on; keeps what came out (in this process)
 *   report    must begin where the last one ended, and be what came out; settles in the tally; the claim gets smaller
 *   end       what is claimed or was never taken is CANCELLED, and a defect if nothing had stopped the call
 *
 * So no task is run or counted twice whatever a backend does. A seat is used by one thread at a time, which is seen to.
 */
#ifndef LOOM_BACKENDS_CUSTOM_RUN_H
#define LOOM_BACKENDS_CUSTOM_RUN_H

#include "backends/custom.h"
#include "backends/local.h"

#include <sys/types.h>

struct loom_custom_seat {
    struct loom_local_worker worker; /* first: what its shift tells is told of the seat */
    struct loom_custom_run *run;
    _Atomic uint32_t is_busy; /* full: what the thread before did in the seat is seen */
    _Atomic uint64_t bound;   /* stop_before of its shift: that of the call, or behind a task that failed */
    bool is_begun;            /* the shift */
    uint64_t ticket;          /* the next of its own batches */
    struct loom_local_pace pace;
    size_t end, next, run_to; /* the claim: [next, end) is not reported, [run_to, end) not run */
    bool is_first;            /* of the claim: nothing of it was run */
    bool is_executed;         /* what is below came out and was not reported */
    size_t out_end, out_failed;
    parloom_status out_status;
    parloom_backend_result *filling; /* by the shift, now */
};

struct loom_custom_run {
    struct loom_local local;
    struct loom_custom *custom;
    struct loom_local_crew *crew;
    parloom_backend_run *handle;
    pthread_t caller;
    pid_t pid;
    uint64_t next_watch_ns;
    bool is_defective; /* under local.lock, with defect: what the backend did that it must not */
    parloom_error defect;
    _Atomic uint32_t events;    /* full: grows when the call may be over; the caller sleeps here */
    _Atomic uint32_t open;      /* full: claims that are not reported, or being made */
    _Atomic uint32_t executing; /* full: seats in which tasks run now */
    _Atomic uint64_t untaken;   /* full: batches that belong to workers and were not taken */
    int n_seats;
    struct loom_custom_seat *seats;
};

/* The backend broke a rule: the call ends as INTERNAL, with the first of these. */
void loom_custom_blame(struct loom_custom_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Tasks at or beyond it are not started any more, also not by who is in the midst of a chunk. */
void loom_custom_lower(struct loom_custom_run *run, uint64_t bound);
/* The seat, to be left by loom_custom_leave; NULL: there is none of that number, or it is taken: blamed. */
struct loom_custom_seat *loom_custom_sit(struct loom_custom_run *run, int worker);
void loom_custom_leave(struct loom_custom_seat *seat);
/* Something was reported, or nothing is left: wakes the caller if that was all. */
void loom_custom_tell_caller(struct loom_custom_run *run);

#endif

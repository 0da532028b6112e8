/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * local.h - tasks in the caller's own process: what the sequential and the threads backend share.
 *
 * Here nobody else watches: deadline and stop are looked at between tasks, by the worker itself, and progress is told
 * by the thread that made the call.
 */
#ifndef LOOM_BACKENDS_LOCAL_H
#define LOOM_BACKENDS_LOCAL_H

#include "backends/inner_threads.h"
#include "backends/shift.h"

#include <pthread.h>

/* One call, as all its threads see it. Words on lines of their own: each is written by many. */
struct loom_local {
    const struct loom_run *run;
    pthread_mutex_t lock;   /* of the tally and of failure */
    parloom_status failure; /* the call could not be run: error says why */
    parloom_error error;
    _Alignas(128) _Atomic uint64_t counter; /* next ticket */
    _Alignas(128) _Atomic uint64_t stop_before;
    _Alignas(128) struct loom_local_worker *working; /* under lock; for progress only, as is the next */
    uint64_t done_before;                            /* tasks of workers that are through; under lock */
    _Atomic uint64_t done;                           /* of registered backends, which tell of whole chunks */
    _Atomic uint32_t is_timed_out, is_cancelled;
    struct loom_inner_of_call inner; /* what the process had before */
    uint64_t tickets, grain;
    bool is_auto;
};

/* A worker of the call: its shift and the words that a worker process would have on its desk. */
struct loom_local_worker {
    struct loom_shift shift;
    struct loom_local *local;
    bool is_caller;
    uint64_t next_watch_ns, looked_ns;
    uint32_t stride; /* tasks from one look to the next */
    struct loom_local_worker *next;
    _Atomic uint64_t done; /* tasks; written by the worker, read by the caller */
    _Alignas(128) _Atomic uint64_t current, range_begin, range_end;
};

void loom_local_begin(struct loom_local *local, const struct loom_run *run);
/* What it comes to: OK, TIMEOUT, CANCELLED, or why it could not be run. */
parloom_status loom_local_end(struct loom_local *local, parloom_error *error);

/* What outlives a call: whose worker_init has run. open and close as the ops of a backend (local_init.c). */
struct loom_local_crew;
parloom_status loom_local_open(void **workers_out, const parloom_options *options, int n_jobs, parloom_error *error);
void loom_local_close(void *workers, bool kill);
/* Runs worker_init where the call has one and the worker has not run it. False: it failed, nothing is started. */
bool loom_local_init(struct loom_local *local, struct loom_local_crew *crew, int number);
/* The frame of a call, around work, which does the part of every worker. workers: of open, or NULL. */
parloom_status loom_local_run(void *workers, const struct loom_run *run,
                              void (*work)(struct loom_local *local, struct loom_local_crew *crew),
                              parloom_error *error);

/* Takes the next tasks. False: none is left. */
struct loom_local_pace { /* of one worker; zeroed at first */
    uint64_t want, count, taken_ns;
};
bool loom_local_take(struct loom_local *local, struct loom_local_pace *pace, size_t *begin_out, size_t *end_out);
/* The same where batches belong to workers: ticket begins as the worker's number and moves on. */
bool loom_local_take_own(struct loom_local *local, uint64_t *ticket, size_t *begin_out, size_t *end_out);
/* The call cannot go on: nothing more is started. */
void loom_local_give_up(struct loom_local *local, const parloom_error *error);
/* Looks at stop and deadline; true: it has passed. */
bool loom_local_is_over(struct loom_local *local, uint64_t now);
/* The look of a shift whose look_state is a worker, and whether the call has anything to look at. */
parloom_status loom_local_look(struct loom_shift *shift);
bool loom_local_needs_look(const struct loom_run *run);
/* The record of a shift whose tell_state is a worker. */
parloom_status loom_local_record(struct loom_shift *shift, size_t task, uint32_t channel, const void *data,
                                 size_t nbytes);
/* In the caller's thread, outside of tasks; where the call has a watch. */
void loom_local_tell_progress(struct loom_local *local);

/* Does worker's part of the call until nothing is left. */
void loom_local_work(struct loom_local *local, int number, bool is_caller);
/* Notes what nobody took: CANCELLED. After all workers are done. */
void loom_local_collect(struct loom_local *local);

#endif

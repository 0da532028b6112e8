/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * effort.h - the work of one dump or load: on how many threads it is done, and who is told how far it has come.
 *
 *   field         written by                          read by
 *   caller, ...   the thread that began it, before    all
 *   told_ns       that thread                         that thread
 *   done          all, relaxed                        that thread, relaxed: only a number that is shown
 *   is_over       that thread, relaxed                all, relaxed: who sees it late has worked in vain
 */
#ifndef LOOM_REST_EFFORT_H
#define LOOM_REST_EFFORT_H

#include <parloom/parloom.h>

#include <pthread.h>
#include <stdatomic.h>

struct loom_effort {
    int n_jobs;                                                          /* as in options; 0: as a loop would have */
    int (*progress)(uint64_t done_nbytes, uint64_t nbytes, void *state); /* NULL: nobody is told */
    void *state;
    pthread_t caller;
    uint64_t nbytes; /* of the items */
    uint64_t told_ns;
    _Atomic uint64_t done;
    _Atomic bool is_over; /* progress asked for it */
};

/* In the thread that is to be told. */
void loom_effort_begin(struct loom_effort *effort, int n_jobs,
                       int (*progress)(uint64_t done_nbytes, uint64_t nbytes, void *state), void *state);
/* Before the first advance. header_nbytes: of what is advanced by, so many are no items. */
void loom_effort_expect(struct loom_effort *effort, uint64_t nbytes, size_t header_nbytes);
/* So many more bytes are done. CANCELLED: it is over. Any thread; tells in the one that began it, now and then. */
parloom_status loom_effort_advance(struct loom_effort *effort, size_t nbytes, parloom_error *error);
/* All is done: tells that. CANCELLED: not wanted after all. In the thread that began it. */
parloom_status loom_effort_end(struct loom_effort *effort, parloom_error *error);
/* How many parts it is worth to have at hand for loom_effort_share: 1 where there is one thread. */
size_t loom_effort_slots(const struct loom_effort *effort, uint64_t parts);
/* Calls work(state, k) for k below count: at once on threads, or one by one where no loop can be run as things are.
 * Statuses of the loop; what fails in work is kept by work. */
parloom_status loom_effort_share(const struct loom_effort *effort, size_t count, void (*work)(void *state, size_t k),
                                 void *state, parloom_error *error);

#endif

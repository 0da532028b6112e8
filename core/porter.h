/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * porter.h - what futures with the same options share: a lane, and a thread, the keeper, that collects what comes back.
 *
 * There is a porter while futures have not ended: it is opened for the first one and closed with the last. On the
 * backend that the caller itself is, each future has one of its own, and the caller is its keeper.
 */
#ifndef LOOM_CORE_PORTER_H
#define LOOM_CORE_PORTER_H

#include "core/future.h"
#include "core/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Beside the options: what a call takes over from the thread that makes it. */
struct loom_porter_place {
    int level, parallel_level, cores;
    const parloom_stop *interrupt;
};

struct loom_porter {
    struct loom_plan plan; /* its options are a copy, with their strings */
    struct loom_porter_place place;
    parloom_options inherited;
    bool is_inherited;
    struct loom_run run;
    struct loom_placement *placement; /* of the run, or NULL */
    struct loom_tally tally;
    struct loom_lane *lane;
    /* under the lock of futures */
    struct loom_porter *next; /* of all that are open */
    int refs;                 /* the lane, the keeper, and each future until it is freed */
    bool is_listed;           /* with all that are open */
    bool is_renewed;          /* takes no more futures: its workers are being ended */
    bool is_closing;          /* nobody enters the lane any more */
    bool is_told;             /* that the program ends */
    int n_inside;             /* threads that use the lane, the keeper not counted */
    parloom_future *first;    /* outstanding: not ended, or its callbacks run, or not back */
    size_t n_outstanding, n_handles;
    size_t n_deadlines;     /* of what is outstanding */
    size_t n_left;          /* of what is outstanding */
    long n_posted;          /* with the lane; may be behind for a moment */
    parloom_future *ending; /* its callbacks run in the keeper */
    parloom_status refusal; /* why the lane was closed while something was outstanding */
    parloom_error refusal_error;
    pthread_t keeper;
    bool has_keeper; /* to be joined or detached */
};

/* For a call that was planned so: one that is there already, or a new one, with its keeper. The future is outstanding
 * with it, and the caller inside its lane. The plan's options are borrowed; its pool, which was entered, is taken.
 * Where the plan is the caller's own work (is_alone), the caller works as the keeper when it has posted. */
parloom_status loom_porter_find(struct loom_porter **porter_out, struct loom_plan *plan, parloom_future *future,
                                parloom_error *error);
/* Under the lock. False: the lane is being closed. */
bool loom_porter_enter(struct loom_porter *porter);
void loom_porter_leave(struct loom_porter *porter);
/* Under the lock: the future is no business of the porter's any more. The porter's reference to it is the caller's. */
void loom_porter_forget(struct loom_porter *porter, parloom_future *future);
/* Under the lock: is found no more. */
void loom_porter_delist(struct loom_porter *porter);
/* Under the lock, when a handle was released: whether the caller joins the keeper. */
bool loom_porter_is_to_join(struct loom_porter *porter);
void loom_porter_unref(struct loom_porter *porter); /* not under the lock */
/* Closes lane and pool; not under the lock. */
void loom_porter_close_lane(struct loom_porter *porter);
/* Those on shared workers take no more futures: the workers are being ended. */
void loom_porters_renew(void);
bool loom_porters_are_ending(void);        /* under the lock: with the program */
void loom_porters_note_keeper(int change); /* under the lock */

/* keeper.c: looks after the lane until nothing is outstanding, then closes it; takes the keeper's reference. */
void loom_keeper_work(struct loom_porter *porter);
parloom_status loom_keeper_start(struct loom_porter *porter, parloom_error *error);
bool loom_keeper_is_here(void); /* this thread is one */

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lane.h - calls handed to workers one by one, while the program goes on: what streams and futures run on.
 *
 * A loop is frozen before it runs, and its backend returns when all of it has ended. A lane stays open: parcels are
 * posted when their owner has them, and come back, each with its result, in the order in which they end. Nothing works
 * in the background for it in the program: deaths and limits are settled by whoever waits.
 */
#ifndef LOOM_BACKENDS_LANE_H
#define LOOM_BACKENDS_LANE_H

#include "backends/run.h"
#include "backends/side_channel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A result's bytes, or room for them. */
struct loom_room {
    void *address;
    size_t nbytes;
};

/* One call. Its owner keeps it, and what its work points to, until the lane gives it back or drops it. */
struct loom_parcel {
    struct loom_work work; /* addresses valid where the tasks run */
    size_t index;          /* task->index */
    /* What its worker takes on first, where it is another process; NULL: nothing. Only post looks at it. */
    const struct loom_state *state;
    bool has_fp_control; /* a floating-point environment of its own; else it has the run's */
    uint64_t fp_control;
    /* filled by the lane when it has ended */
    parloom_status status;
    parloom_error error;    /* if status is not OK */
    size_t returned_nbytes; /* in room; LOOM_PARCEL_NOTHING: parloom_return was not called */
    struct loom_room room;
    double seconds;              /* the body ran */
    struct loom_records records; /* what it recorded, in its order, the last attempt alone; its owner releases them */
    /* the lane's own */
    int attempt;
    bool is_cancelled; /* its owner has given it up: not retried */
    bool has_begun;    /* threads: a worker has taken it; processes: it has ended */
    uint64_t ticket;
    void *letter;
    struct loom_parcel *next;
};

#define LOOM_PARCEL_NOTHING SIZE_MAX

/* In order. */
struct loom_parcel_queue {
    struct loom_parcel *first, *last;
};

void loom_parcel_push(struct loom_parcel_queue *queue, struct loom_parcel *parcel);
struct loom_parcel *loom_parcel_pop(struct loom_parcel_queue *queue); /* NULL: empty */
bool loom_parcel_remove(struct loom_parcel_queue *queue, struct loom_parcel *parcel);

/* What a lane is opened with. run: as for a call, with n 0 and no works; it stays valid until the lane is closed.
 * tally->retried, workers_started and workers_lost are counted there. */
struct loom_lane_order {
    const struct loom_run *run;
    /* The lane has done with a parcel that had not come back when it was closed; its status says how it ended,
     * CANCELLED if it did not begin or was ended by the closing. Called by close or, on threads, later, by the thread
     * that was in it. */
    void (*drop)(struct loom_parcel *parcel, void *state);
    /* After the last drop: nothing of the order is used any more. */
    void (*end)(void *state);
    void *state;
};

/* Of the run by itself: OK, or TIMEOUT or CANCELLED: no more will come. */
parloom_status loom_lane_look_for_end(const struct loom_run *run, parloom_error *error);

struct loom_lane {
    const struct loom_lane_ops *ops;
};

struct loom_lane_ops {
    /* Takes it. FUNCTION, MEMORY, SPACE, POOL: it stays its owner's. */
    parloom_status (*post)(struct loom_lane *lane, struct loom_parcel *parcel, parloom_error *error);
    /* Gives back one that has ended; waits for it at most until until_ns, then NULL with OK, like when nothing is
     * posted. TIMEOUT, CANCELLED (of the run), POOL, CALLBACK ...: no more will come. */
    parloom_status (*await)(struct loom_lane *lane, uint64_t until_ns, struct loom_parcel **parcel_out,
                            parloom_error *error);
    /* Takes back one that has not begun; false: it has, or has ended. */
    bool (*recall)(struct loom_lane *lane, struct loom_parcel *parcel);
    /* Whether a worker has begun it, or it has ended; false while it waits to be run again. */
    bool (*has_begun)(struct loom_lane *lane, struct loom_parcel *parcel);
    /* Ends one that runs, by killing its worker: it comes back with TIMEOUT, or as it ended meanwhile. False: that
     * cannot be done, it comes back when its body returns. */
    bool (*expire)(struct loom_lane *lane, struct loom_parcel *parcel);
    /* The run is over: nothing more is begun, and bodies that run are told. NULL: they look for themselves. */
    void (*stop)(struct loom_lane *lane);
    /* Has await, in another thread, return now, or when it is called next. */
    void (*wake)(struct loom_lane *lane);
    /* Lets go of a parcel that was given back or recalled, with its room. */
    void (*release)(struct loom_lane *lane, struct loom_parcel *parcel);
    /* Ends it: what has not begun is not begun any more, what runs is told (parloom_cancelled) and, where workers can
     * be killed, killed a moment later. */
    void (*close)(struct loom_lane *lane);
};

/* Of the backends that have lanes. workers: of open, or NULL. */
parloom_status loom_lane_open_sequential(void *workers, const struct loom_lane_order *order,
                                         struct loom_lane **lane_out, parloom_error *error);
parloom_status loom_lane_open_threads(void *workers, const struct loom_lane_order *order, struct loom_lane **lane_out,
                                      parloom_error *error);

#ifdef __cplusplus
}
#endif
#endif

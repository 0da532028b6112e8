/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * future.h - one call that was submitted, from its handle to its end.
 *
 *   future.c          the public calls but for waiting
 *   future_wait.c     waiting for one, for several, and as they come
 *   future_end.c      how a future ends: result, who waits, callbacks
 *   porter.c          what futures with the same options share: a lane, and a thread that looks after it
 *   keeper.c          that thread
 *
 * One lock for all futures and porters, never held while a lane, a callback or a pool is called: a lane drops parcels
 * under a lock of its own.
 */
#ifndef LOOM_CORE_FUTURE_H
#define LOOM_CORE_FUTURE_H

#include "backends/lane.h"
#include "core/arguments.h"

#include <pthread.h>

#ifdef __cplusplus
extern "C" {
#endif

struct loom_porter;

struct loom_future_done {
    parloom_future_callback callback;
    void *state;
    struct loom_future_done *next;
};

struct parloom_future {
    struct loom_parcel parcel; /* first: what comes back from the lane is a future */
    struct loom_arguments arguments;
    struct loom_porter *porter;
    int owner_pid;        /* in a child that the program forked, nothing ends it */
    uint64_t deadline_ns; /* LOOM_NEVER_NS: none */
    double timeout;
    /* under the lock */
    int refs;                               /* the handle, and the porter until the lane is done with it */
    struct parloom_future *previous, *next; /* outstanding with the porter */
    bool is_posted;
    int n_cancelling; /* threads that try to take it back; the keeper leaves it to them */
    bool is_recalled; /* whoever cancelled it ends it */
    bool is_left;     /* that one's thread was ended by a callback: the keeper goes on */
    bool is_back;     /* the lane has let go of it */
    bool is_orphan;   /* the lane was closed over it: a thread is in its body, and drops it at last */
    bool is_expired;  /* its deadline was seen: it is not cancelled any more */
    bool has_ended;   /* on threads perhaps before it is back */
    uint64_t ended_number;
    struct loom_future_done *first_done, *last_done;
    /* when it has ended */
    parloom_status status;
    parloom_error error;
    void *data;
    size_t nbytes;
    double seconds;
};

/* What there is once in a process. */
struct loom_futures {
    pthread_mutex_t lock;
    pthread_cond_t news; /* something ended, was posted, was left */
    int n_sleeping;      /* on news */
    uint64_t n_ended;
};
extern struct loom_futures loom_futures;

static inline void loom_futures_lock(void)
{
    pthread_mutex_lock(&loom_futures.lock);
}

static inline void loom_futures_unlock(void)
{
    pthread_mutex_unlock(&loom_futures.lock);
}

/* Under the lock, which is let go meanwhile; false: until_ns has passed. */
bool loom_futures_sleep(uint64_t until_ns);
/* Under the lock: wakes who sleeps. */
void loom_futures_tell(void);

/* Under the lock: it has ended so, unless it had before (false). error: NULL where status is OK. */
bool loom_future_end(parloom_future *future, parloom_status status, const parloom_error *error);
/* Calls the callbacks of one that has ended. Not under the lock; one thread at a time. */
void loom_future_call_back(parloom_future *future);
/* Calls one of them, which may fail. */
void loom_future_call_one(parloom_future *future, parloom_future_callback callback, void *state);
/* Keeps what the body returned; false: memory is short. Before the lane releases the parcel. */
bool loom_future_take_data(parloom_future *future);
/* Not under the lock. */
void loom_future_unref(parloom_future *future);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keeper.c - the thread that looks after a porter's lane, so that futures end although nobody waits (see porter.h).
 *
 * It gives each parcel that comes back to its future and calls the callbacks, watches deadlines, and closes the lane
 * when nothing is outstanding. When the lane refuses, and when the program ends, it closes it first: what had not ended
 * ends with that status. A callback that ends its thread finds another keeper going on where it was. All signals are
 * blocked in it.
 */
#include "core/porter.h"

#include "backends/shift.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"

#include <signal.h>
#include <string.h>

static _Thread_local bool is_keeper;

/* A callback may fork: in the child there is nothing to keep. */
static void forget_in_child(void)
{
    is_keeper = false;
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, forget_in_child);
}

bool loom_keeper_is_here(void)
{
    return is_keeper;
}

/* -------------------------------------------------------------------- ends */

/* Under the lock, which is let go meanwhile. It has ended: callbacks first. What a thread is still in stays
 * outstanding, or, when the lane is closed, its own business. */
static void finish(struct loom_porter *porter, parloom_future *future)
{
    porter->ending = future;
    while (future->first_done != NULL) {
        loom_futures_unlock();
        loom_future_call_back(future);
        loom_futures_lock();
    }
    porter->ending = NULL;
    if (!future->is_back && !porter->is_closing) return;
    loom_porter_forget(porter, future);
    future->is_orphan = !future->is_back;
    if (future->is_orphan) return;
    loom_futures_unlock();
    loom_future_unref(future);
    loom_futures_lock();
}

/* Under the lock, which is let go meanwhile: what a thread was calling back for until a callback ended it. */
static void finish_left(struct loom_porter *porter)
{
    parloom_future *future = porter->first;
    while (!future->is_left) future = future->next;
    future->is_left = false;
    porter->n_left--;
    finish(porter, future);
}

static void describe_timeout(const parloom_future *future, parloom_error *error)
{
    loom_status_fail(error, PARLOOM_ERR_TIMEOUT, 0, "the future ran past its timeout of %g s", future->timeout);
    error->task = 0;
}

/* What it holds is let go before anybody is told. */
static void unpack(struct loom_porter *porter, parloom_future *future)
{
    struct loom_parcel *parcel = &future->parcel;
    if (!loom_future_take_data(future) && parcel->status == PARLOOM_OK)
        parcel->status = loom_status_fail(&parcel->error, PARLOOM_ERR_MEMORY, 0, "no memory for %zu bytes of a result",
                                          parcel->returned_nbytes);
    if (future->is_expired && parcel->status == PARLOOM_ERR_TIMEOUT) describe_timeout(future, &parcel->error);
    future->seconds = parcel->seconds;
    porter->lane->ops->release(porter->lane, parcel);
    loom_arguments_release(&future->arguments);
}

/* Under the lock, which is let go meanwhile. One that has ended was past its deadline: nobody reads its result. */
static void settle(struct loom_porter *porter, parloom_future *future)
{
    bool has_ended = future->has_ended;
    loom_futures_unlock();
    if (has_ended)
        porter->lane->ops->release(porter->lane, &future->parcel);
    else
        unpack(porter, future);
    loom_futures_lock();
    porter->n_posted--;
    future->is_back = true;
    (void)loom_future_end(future, future->parcel.status, &future->parcel.error);
    finish(porter, future);
}

/* ---------------------------------------------------------------- deadlines */

static bool is_watched(const parloom_future *future)
{
    return future->is_posted && !future->is_expired && !future->is_back && future->n_cancelling == 0;
}

/* Under the lock. LOOM_NEVER_NS: none. */
static uint64_t next_deadline(const struct loom_porter *porter)
{
    uint64_t next = LOOM_NEVER_NS;
    if (porter->n_deadlines == 0) return next;
    for (const parloom_future *future = porter->first; future != NULL; future = future->next)
        if (is_watched(future) && future->deadline_ns < next) next = future->deadline_ns;
    return next;
}

/* Under the lock, which is let go meanwhile: nobody but this thread ends it from now on. */
static void expire(struct loom_porter *porter, parloom_future *future)
{
    parloom_error error;
    struct loom_lane *lane = porter->lane;
    future->is_expired = true;
    describe_timeout(future, &error);
    loom_futures_unlock();
    bool is_back = lane->ops->recall(lane, &future->parcel);
    if (is_back) lane->ops->release(lane, &future->parcel);
    bool comes_back = !is_back && lane->ops->expire(lane, &future->parcel);
    loom_futures_lock();
    if (is_back) porter->n_posted--;
    future->is_back |= is_back;
    if (comes_back || !loom_future_end(future, PARLOOM_ERR_TIMEOUT, &error)) return;
    finish(porter, future);
}

/* Under the lock, which is let go meanwhile. */
static void expire_due(struct loom_porter *porter)
{
    uint64_t now = loom_clock_ns();
    parloom_future *future = porter->first;
    while (future != NULL) {
        bool is_due = is_watched(future) && future->deadline_ns <= now;
        if (is_due) expire(porter, future);
        future = is_due ? porter->first : future->next; /* what was next may be gone */
    }
}

/* ----------------------------------------------------------------- refusal */

/* Under the lock, which is let go meanwhile. Nobody comes in, or is in. */
static void close_lane(struct loom_porter *porter)
{
    if (porter->is_listed) loom_porter_delist(porter);
    porter->is_closing = true;
    while (porter->n_inside > 0) (void)loom_futures_sleep(LOOM_NEVER_NS);
    loom_futures_unlock();
    loom_porter_close_lane(porter);
    loom_futures_lock();
}

static void describe_refusal(struct loom_porter *porter)
{
    if (porter->refusal != PARLOOM_ERR_CANCELLED || !loom_shift_run_is_cancelled(&porter->run)) return;
    loom_status_fail(&porter->refusal_error, PARLOOM_ERR_CANCELLED, 0, "the future was cancelled %s",
                     loom_shift_run_canceller(&porter->run));
}

/* How one ended that was with the lane when it was closed: as it had, if nothing of it was lost. */
static bool has_ended_itself(const struct loom_porter *porter, const parloom_future *future)
{
    const struct loom_parcel *parcel = &future->parcel;
    bool has_limit = porter->run.task_timeout_ns > 0 || future->is_expired;
    if (!future->is_back || parcel->status == PARLOOM_ERR_CANCELLED) return false;
    if (parcel->status == PARLOOM_OK) return parcel->returned_nbytes == LOOM_PARCEL_NOTHING;
    return parcel->status != PARLOOM_ERR_TIMEOUT || has_limit; /* else it was killed by the closing */
}

/* Under the lock. NULL: those that are left are ended by who cancelled them. */
static parloom_future *next_unended(const struct loom_porter *porter)
{
    parloom_future *future = porter->first;
    while (future != NULL && future->is_recalled) future = future->next;
    return future;
}

/* Under the lock, which is let go meanwhile. The lane is closed. */
static void end_all(struct loom_porter *porter)
{
    parloom_future *future;
    while ((future = next_unended(porter)) != NULL) {
        bool is_own = has_ended_itself(porter, future);
        (void)loom_future_end(future, is_own ? future->parcel.status : porter->refusal,
                              is_own ? &future->parcel.error : &porter->refusal_error);
        finish(porter, future);
    }
    while (porter->n_outstanding > 0) {
        if (porter->n_left > 0)
            finish_left(porter);
        else
            (void)loom_futures_sleep(LOOM_NEVER_NS);
    }
}

/* ------------------------------------------------------------------- keeping */

/* Under the lock, which is let go meanwhile. */
static void await(struct loom_porter *porter)
{
    struct loom_parcel *parcel = NULL;
    uint64_t until_ns = next_deadline(porter);
    loom_futures_unlock();
    parloom_status status = porter->lane->ops->await(porter->lane, until_ns, &parcel, &porter->refusal_error);
    loom_futures_lock();
    if (parcel != NULL) {
        settle(porter, (parloom_future *)parcel);
    } else if (status != PARLOOM_OK) {
        porter->refusal = status;
        describe_refusal(porter);
        close_lane(porter);
    }
}

/* Under the lock, which is let go meanwhile. */
static void step(struct loom_porter *porter)
{
    if (loom_porters_are_ending()) {
        porter->refusal = loom_status_fail(&porter->refusal_error, PARLOOM_ERR_CANCELLED, 0,
                                           "the future was cancelled: the program ends");
        close_lane(porter);
    } else if (porter->n_left > 0) {
        finish_left(porter);
    } else if (porter->n_posted <= 0) {
        (void)loom_futures_sleep(LOOM_NEVER_NS);
    } else {
        if (porter->n_deadlines > 0) expire_due(porter);
        await(porter);
    }
}

/* Under the lock, which is let go. */
static void leave(struct loom_porter *porter)
{
    if (is_keeper) {
        loom_porters_note_keeper(-1);
        /* Nobody is left who would join it; at the end of the program nobody will. */
        bool is_detached = porter->has_keeper && (porter->n_handles == 0 || loom_porters_are_ending());
        if (is_detached) (void)pthread_detach(pthread_self());
        if (is_detached) porter->has_keeper = false;
    }
    loom_futures_unlock();
    loom_porter_unref(porter);
}

void loom_keeper_work(struct loom_porter *porter)
{
    loom_futures_lock();
    if (porter->ending != NULL) finish(porter, porter->ending);
    while (porter->n_outstanding > 0 && !porter->is_closing) step(porter);
    if (!porter->is_closing) close_lane(porter);
    end_all(porter);
    leave(porter);
}

/* ------------------------------------------------------------------ threads */

static int create_thread(struct loom_porter *porter);

/* A callback ended the thread: another one goes on. */
static void go_on(void *state)
{
    struct loom_porter *porter = state;
    loom_log(LOOM_LOG_WARNING, "a callback of a future ended the library's thread; another goes on");
    loom_futures_lock();
    (void)pthread_detach(pthread_self());
    int failure = create_thread(porter);
    loom_futures_unlock();
    if (failure != 0) loom_keeper_work(porter);
}

static void *keep(void *state)
{
    is_keeper = true;
    pthread_cleanup_push(go_on, state);
    loom_keeper_work(state);
    pthread_cleanup_pop(0);
    return NULL;
}

/* Under the lock, so that it knows itself before it begins. */
static int create_thread(struct loom_porter *porter)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&porter->keeper, NULL, keep, porter);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    porter->has_keeper = failure == 0;
    return failure;
}

parloom_status loom_keeper_start(struct loom_porter *porter, parloom_error *error)
{
    loom_futures_lock();
    int failure = create_thread(porter);
    if (failure == 0) loom_porters_note_keeper(1);
    loom_futures_unlock();
    if (failure == 0) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_LIMIT, failure, "no thread could be started for futures: %m");
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * future.c - one call is submitted, looked at, cancelled, let go (see future.h).
 *
 * Path        options planned as for a call, arguments copied, a porter found or opened, posted on its lane; what comes
 *             back is the keeper's business.
 */
#include "base/clock.h"
#include "base/fpu.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/stop.h"
#include "core/pool.h"
#include "core/porter.h"
#include "core/state.h"
#include "shm/window.h"

#include <stdlib.h>
#include <unistd.h>

/* --------------------------------------------------------------- submitting */

/* A call of one job is mostly the caller's own work; a future is for who does not want to do it. In a worker process
 * it stays so: there are no workers below. */
static void choose_workers(struct loom_plan *plan)
{
    if (plan->backend == plan->chosen || loom_window_is_attached()) return;
    plan->backend = plan->chosen;
    plan->is_alone = false;
}

/* What is said of one future is not what it shares with others, and what loops are told of, nobody fills here. */
static void narrow_options(parloom_options *options)
{
    options->timeout = 0;
    options->statuses = NULL;
    options->n_statuses = 0;
    options->errors = NULL;
    options->n_errors = 0;
    options->report = NULL;
    options->progress = NULL;
    options->progress_state = NULL;
    options->batch_size = 0;
    options->pre_dispatch = NULL;
    options->on_error = PARLOOM_ON_ERROR_GO_ON;
    options->schedule = PARLOOM_SCHEDULE_UNSET;
    options->pool = NULL; /* the plan's counts, wherever it came from */
}

static parloom_status check_plan(const struct loom_plan *plan, parloom_error *error)
{
    if (loom_stop_is_requested(plan->options.stop))
        return loom_status_fail(error, PARLOOM_ERR_CANCELLED, 0,
                                "the future was cancelled through its stop before it began");
    if (plan->backend->open_lane != NULL) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                            "the backend \"%s\" runs no futures, only loops and lists of calls: use processes or "
                            "threads",
                            plan->backend->name);
}

static parloom_status stage(parloom_future *future, const parloom_call *call, const parloom_options *options,
                            parloom_error *error)
{
    parloom_status status = loom_arguments_stage_call(&future->arguments, call, options, "future", error);
    if (status != PARLOOM_OK) return status;
    future->parcel.work = future->arguments.works[0];
    future->parcel.has_fp_control = true;
    future->parcel.fp_control = loom_fpu_read();
    return PARLOOM_OK;
}

/* Under the lock. */
static void note_posted(parloom_future *future)
{
    future->is_posted = true;
    future->porter->n_posted++;
    loom_futures_tell();
}

/* Under the lock. */
static void note_refused(parloom_future *future)
{
    future->porter->n_handles--;
    future->refs--; /* the porter's */
    loom_porter_forget(future->porter, future);
}

/* What its worker takes on is what the program has now; where tasks see the program's own there is nothing to carry. */
static parloom_status post_with_state(parloom_future *future, parloom_error *error)
{
    struct loom_state *state = NULL;
    struct loom_lane *lane = future->porter->lane;
    parloom_status status = PARLOOM_OK;
    if (future->porter->plan.backend->memory == LOOM_MEMORY_SEPARATE) status = loom_state_capture(&state, error);
    if (status != PARLOOM_OK) return status;
    future->parcel.state = state;
    status = lane->ops->post(lane, &future->parcel, error);
    loom_state_release(state);
    return status;
}

/* The caller is inside the lane. */
static parloom_status post(parloom_future *future, parloom_error *error)
{
    struct loom_porter *porter = future->porter;
    parloom_status status = post_with_state(future, error);
    loom_futures_lock();
    if (status == PARLOOM_OK)
        note_posted(future);
    else
        note_refused(future);
    loom_futures_unlock();
    /* The keeper may sleep until a later deadline, or for as long as it takes. */
    if (status == PARLOOM_OK && future->deadline_ns != LOOM_NEVER_NS) porter->lane->ops->wake(porter->lane);
    loom_futures_lock();
    loom_porter_leave(porter);
    loom_futures_unlock();
    return status;
}

static parloom_status hand_over(parloom_future *future, struct loom_plan *plan, parloom_error *error)
{
    struct loom_porter *porter;
    bool is_alone = plan->is_alone;
    parloom_status status = loom_porter_find(&porter, plan, future, error);
    if (status != PARLOOM_OK) return status;
    status = post(future, error);
    if (is_alone) loom_keeper_work(porter);
    return status;
}

static parloom_status submit(parloom_future *future, const parloom_call *call, const parloom_options *options,
                             parloom_error *error)
{
    struct loom_plan plan;
    parloom_status status = loom_plan_make(&plan, options, error);
    if (status != PARLOOM_OK) return status;
    if (plan.options.timeout > 0) {
        future->timeout = plan.options.timeout;
        future->deadline_ns = loom_clock_deadline(plan.options.timeout);
    }
    choose_workers(&plan);
    narrow_options(&plan.options);
    status = check_plan(&plan, error);
    if (status == PARLOOM_OK) status = stage(future, call, &plan.options, error);
    if (status == PARLOOM_OK && plan.pool != NULL) status = loom_pool_enter(plan.pool, &plan.options, error);
    return status == PARLOOM_OK ? hand_over(future, &plan, error) : status;
}

parloom_status parloom_submit(parloom_future **future_out, const parloom_call *call, const parloom_options *options,
                              parloom_error *error)
{
    parloom_error unasked;
    if (error == NULL) error = &unasked;
    loom_status_clear(error);
    if (future_out == NULL || call == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "future_out and call must not be NULL");
    parloom_future *future = loom_memory_zeroed(1, sizeof *future);
    if (future == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a future");
    future->refs = 1;
    future->owner_pid = (int)getpid();
    future->deadline_ns = LOOM_NEVER_NS;
    parloom_status status = submit(future, call, options, error);
    if (status == PARLOOM_OK)
        *future_out = future;
    else
        loom_future_unref(future);
    return status;
}

/* ------------------------------------------------------------------ looking */

static bool is_foreign(const parloom_future *future)
{
    return future->owner_pid != (int)getpid();
}

static parloom_future_state state_of_end(const parloom_future *future)
{
    if (future->status == PARLOOM_OK) return PARLOOM_FUTURE_DONE;
    return future->status == PARLOOM_ERR_CANCELLED ? PARLOOM_FUTURE_CANCELLED : PARLOOM_FUTURE_FAILED;
}

parloom_future_state parloom_future_poll(parloom_future *future)
{
    struct loom_porter *porter = future->porter;
    loom_futures_lock();
    bool may_look = !future->has_ended && !is_foreign(future) && loom_porter_enter(porter);
    loom_futures_unlock();
    bool has_begun = may_look ? porter->lane->ops->has_begun(porter->lane, &future->parcel) : true;
    loom_futures_lock();
    if (may_look) loom_porter_leave(porter);
    bool has_ended = future->has_ended;
    loom_futures_unlock();
    if (has_ended) return state_of_end(future);
    return has_begun ? PARLOOM_FUTURE_RUNNING : PARLOOM_FUTURE_PENDING;
}

const char *parloom_future_state_name(parloom_future_state state)
{
    static const char *const names[] = { "pending", "running", "cancelled", "done", "failed" };
    size_t k = (size_t)state;
    return k < sizeof names / sizeof names[0] ? names[k] : "unknown";
}

/* --------------------------------------------------------------- cancelling */

static bool recall(parloom_future *future)
{
    struct loom_lane *lane = future->porter->lane;
    if (!lane->ops->recall(lane, &future->parcel)) return false;
    lane->ops->release(lane, &future->parcel);
    lane->ops->wake(lane); /* the keeper may wait for nothing now */
    return true;
}

/* A callback ended this thread: the keeper calls those after it. It is woken wherever it waits. */
static void leave_to_keeper(void *state)
{
    parloom_future *future = state;
    struct loom_porter *porter = future->porter;
    loom_log(LOOM_LOG_WARNING, "a callback of a future ended the thread that cancelled it; the library's goes on");
    loom_futures_lock();
    future->is_left = future->is_back = true;
    porter->n_left++;
    loom_futures_tell();
    bool may_wake = loom_porter_enter(porter);
    loom_futures_unlock(); /* the future may be gone now; the porter stays while somebody is inside */
    if (!may_wake) return;
    porter->lane->ops->wake(porter->lane);
    loom_futures_lock();
    loom_porter_leave(porter);
    loom_futures_unlock();
}

/* It is back from the lane, which is left before the callbacks. Nobody else ends it: the keeper leaves it alone. */
static void end_as_cancelled(parloom_future *future)
{
    parloom_error error;
    struct loom_porter *porter = future->porter;
    loom_status_fail(&error, PARLOOM_ERR_CANCELLED, 0, "the future was cancelled before a worker had begun it");
    error.task = 0;
    loom_futures_lock();
    future->is_recalled = true;
    porter->n_posted--;
    (void)loom_future_end(future, PARLOOM_ERR_CANCELLED, &error);
    loom_porter_leave(porter);
    loom_futures_unlock();
    pthread_cleanup_push(leave_to_keeper, future);
    loom_future_call_back(future);
    pthread_cleanup_pop(0);
    loom_futures_lock();
    loom_porter_forget(porter, future);
    loom_futures_unlock();
    loom_future_unref(future);
}

/* Under the lock. One whose deadline was seen is the keeper's, which ends it without holding the lock; and it leaves
 * alone what somebody tries to cancel. */
static bool begin_cancelling(parloom_future *future)
{
    if (future->has_ended || future->is_expired || is_foreign(future)) return false;
    if (!loom_porter_enter(future->porter)) return false;
    future->n_cancelling++;
    return true;
}

/* It runs, or has ended: the keeper looks at its deadline again. */
static bool give_up_cancelling(parloom_future *future)
{
    struct loom_lane *lane = future->porter->lane;
    loom_futures_lock();
    future->n_cancelling--;
    loom_futures_unlock();
    if (future->deadline_ns != LOOM_NEVER_NS) lane->ops->wake(lane);
    loom_futures_lock();
    loom_porter_leave(future->porter);
    bool is_cancelled = future->has_ended && future->status == PARLOOM_ERR_CANCELLED;
    loom_futures_unlock();
    return is_cancelled;
}

bool parloom_future_cancel(parloom_future *future)
{
    loom_futures_lock();
    bool is_cancelled = future->has_ended && future->status == PARLOOM_ERR_CANCELLED;
    bool may_try = begin_cancelling(future);
    loom_futures_unlock();
    if (!may_try) return is_cancelled;
    if (!recall(future)) return give_up_cancelling(future);
    end_as_cancelled(future);
    return true;
}

/* ---------------------------------------------------------------- callbacks */

/* False: it has ended, nobody would call it. */
static bool add_done(parloom_future *future, struct loom_future_done *done)
{
    loom_futures_lock();
    bool is_added = !future->has_ended;
    if (is_added && future->last_done != NULL)
        future->last_done->next = done;
    else if (is_added)
        future->first_done = done;
    if (is_added) future->last_done = done;
    loom_futures_unlock();
    return is_added;
}

parloom_status parloom_future_on_done(parloom_future *future, parloom_future_callback callback, void *state,
                                      parloom_error *error)
{
    loom_status_clear(error);
    if (future == NULL || callback == NULL || is_foreign(future))
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "future and callback must not be NULL, nor the future that of another process");
    struct loom_future_done *done = loom_memory_zeroed(1, sizeof *done);
    if (done == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a callback");
    *done = (struct loom_future_done){ callback, state, NULL };
    if (add_done(future, done)) return PARLOOM_OK;
    free(done);
    loom_future_call_one(future, callback, state);
    return PARLOOM_OK;
}

/* -------------------------------------------------------------------- end */

void parloom_future_release(parloom_future *future)
{
    if (future == NULL || is_foreign(future)) return;
    struct loom_porter *porter = future->porter;
    loom_futures_lock();
    porter->n_handles--;
    bool joins = loom_porter_is_to_join(porter);
    pthread_t keeper = porter->keeper;
    loom_futures_unlock();
    if (joins) pthread_join(keeper, NULL);
    loom_future_unref(future);
}

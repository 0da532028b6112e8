/* SPDX-License-Identifier: BSD-3-Clause */
/* future_wait.c - waiting for one future, for several, and for each as it ends (see future.h). */
#include "core/porter.h"

#include "base/clock.h"
#include "base/status.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

static parloom_status check(parloom_future *const *futures, size_t n, double timeout, parloom_error *error)
{
    if (futures == NULL && n > 0) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "futures is NULL");
    if (isnan(timeout)) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "timeout is not a number");
    for (size_t k = 0; k < n; k++)
        if (futures[k] != NULL && futures[k]->owner_pid != (int)getpid())
            return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                    "the future was submitted by process %d, which forked this one: it ends there",
                                    futures[k]->owner_pid);
    return PARLOOM_OK;
}

static uint64_t until_of(double timeout)
{
    if (timeout < 0) return LOOM_NEVER_NS;
    return timeout > 0 ? loom_clock_deadline(timeout) : loom_clock_ns();
}

struct wait {
    parloom_future *const *futures;
    size_t n;
    parloom_until until;
    size_t n_seen; /* before it all have ended, and none of them was what is waited for */
};

static bool has_failed(const parloom_future *future)
{
    return future->status != PARLOOM_OK && future->status != PARLOOM_ERR_CANCELLED;
}

static bool is_wanted(const struct wait *wait, const parloom_future *future)
{
    if (future == NULL || !future->has_ended || wait->until == PARLOOM_UNTIL_ALL) return false;
    return wait->until == PARLOOM_UNTIL_FIRST || has_failed(future);
}

/* Under the lock. Of many, those that have ended are looked at once. */
static bool is_over(struct wait *wait)
{
    for (; wait->n_seen < wait->n; wait->n_seen++) {
        const parloom_future *future = wait->futures[wait->n_seen];
        if (is_wanted(wait, future)) return true;
        if (future != NULL && !future->has_ended) break;
    }
    if (wait->n_seen == wait->n) return true;
    for (size_t k = wait->n_seen; wait->until != PARLOOM_UNTIL_ALL && k < wait->n; k++)
        if (is_wanted(wait, wait->futures[k])) return true;
    return false;
}

/* Under the lock, which is let go meanwhile. */
static parloom_status await(struct wait *wait, double timeout, parloom_error *error)
{
    uint64_t until_ns = until_of(timeout);
    bool has_time = timeout != 0;
    while (!is_over(wait)) {
        if (has_time && loom_keeper_is_here())
            return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                    "a callback in the library's thread cannot wait for a future that has not ended: "
                                    "nobody else would end it; add a callback to that one");
        if (!has_time)
            return loom_status_fail(error, PARLOOM_ERR_TIMEOUT, 0, "it has not come to that within %g s", timeout);
        has_time = loom_futures_sleep(until_ns);
    }
    return PARLOOM_OK;
}

static parloom_status wait_for(struct wait *wait, double timeout, parloom_error *error)
{
    parloom_status status = check(wait->futures, wait->n, timeout, error);
    if (status != PARLOOM_OK) return status;
    loom_futures_lock();
    status = await(wait, timeout, error);
    loom_futures_unlock();
    return status;
}

/* It has ended: nothing of it changes any more. */
static void read_result(const parloom_future *future, parloom_result *result)
{
    memset(result, 0, sizeof *result);
    result->status = future->status;
    result->error = future->error;
    result->data = future->data;
    result->nbytes = future->nbytes;
    result->seconds = future->seconds;
}

parloom_status parloom_future_wait(parloom_future *future, double timeout, parloom_result *result_out,
                                   parloom_error *error)
{
    parloom_future *const futures[] = { future };
    struct wait wait = { futures, 1, PARLOOM_UNTIL_ALL, 0 };
    loom_status_clear(error);
    if (future == NULL) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "future is NULL");
    parloom_status status = wait_for(&wait, timeout, error);
    if (status == PARLOOM_OK && result_out != NULL) read_result(future, result_out);
    return status;
}

parloom_status parloom_future_wait_for(parloom_future *const *futures, size_t n, parloom_until until, double timeout,
                                       parloom_error *error)
{
    struct wait wait = { futures, n, until, 0 };
    loom_status_clear(error);
    if (until != PARLOOM_UNTIL_ALL && until != PARLOOM_UNTIL_FIRST && until != PARLOOM_UNTIL_FIRST_ERROR)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "until is %d, which is none of all, first, first error",
                                (int)until);
    return wait_for(&wait, timeout, error);
}

/* Under the lock. NULL: none has ended. */
static parloom_future *first_ended(parloom_future *const *futures, size_t n)
{
    parloom_future *first = NULL;
    for (size_t k = 0; k < n; k++) {
        if (futures[k] == NULL || !futures[k]->has_ended) continue;
        if (first == NULL || futures[k]->ended_number < first->ended_number) first = futures[k];
    }
    return first;
}

parloom_status parloom_future_next(parloom_future **futures, size_t n, double timeout, parloom_future **ended_out,
                                   parloom_error *error)
{
    struct wait wait = { futures, n, PARLOOM_UNTIL_FIRST, 0 };
    loom_status_clear(error);
    if (ended_out == NULL) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "ended_out is NULL");
    parloom_status status = wait_for(&wait, timeout, error);
    if (status != PARLOOM_OK) return status;
    loom_futures_lock();
    parloom_future *ended = first_ended(futures, n);
    loom_futures_unlock();
    for (size_t k = 0; k < n && ended != NULL; k++)
        if (futures[k] == ended) futures[k] = NULL;
    *ended_out = ended;
    return PARLOOM_OK;
}

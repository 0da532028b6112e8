/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * worker_clock.c - a timer of the kernel that ends its own process (see worker_clock.h).
 *
 * A stream has nobody in the program who watches its tasks while its consumer is busy. So the worker sets a timer whose
 * signal is SIGKILL: no handler, no thread, nothing that a body could block or catch; forked children do not inherit
 * it. The program learns of the death when it looks next, and tells by its time that it was the clock.
 */
#include "backends/worker_clock.h"

#include "base/clock.h"
#include "base/status.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

/* One worker in a process. */
static struct {
    timer_t timer;
    bool is_made;
} own;

static bool has_limit(const struct loom_letter *letter)
{
    return letter->task_timeout_ns > 0 || letter->deadline_ns != LOOM_NEVER_NS;
}

static parloom_status make(parloom_error *error)
{
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL };
    event.sigev_signo = SIGKILL;
    if (own.is_made) return PARLOOM_OK;
    if (timer_create(CLOCK_MONOTONIC, &event, &own.timer) != 0)
        return loom_status_fail(error, PARLOOM_ERR_LIMIT, errno,
                                "a worker has no timer for the limit of its task: %m; raise the limit on pending "
                                "signals");
    own.is_made = true;
    return PARLOOM_OK;
}

static void set(uint64_t at_ns)
{
    struct itimerspec when = { .it_value = { .tv_sec = (time_t)(at_ns / 1000000000u) } };
    when.it_value.tv_nsec = (long)(at_ns % 1000000000u);
    (void)timer_settime(own.timer, TIMER_ABSTIME, &when, NULL); /* 0: none */
}

parloom_status loom_worker_clock_set(const struct loom_letter *letter, struct loom_shift *shift,
                                     struct loom_belt_place_shared *place, parloom_error *error)
{
    if (!has_limit(letter)) return PARLOOM_OK;
    parloom_status status = make(error);
    if (status != PARLOOM_OK) return status;
    uint64_t now = loom_clock_ns(), at_ns = letter->deadline_ns;
    if (now >= letter->deadline_ns) {
        loom_shift_lower(shift->stop_before, 0);
        return PARLOOM_OK;
    }
    if (letter->task_timeout_ns > 0 && letter->task_timeout_ns < at_ns - now) at_ns = now + letter->task_timeout_ns;
    loom_store_relaxed(&place->limit_ns, at_ns); /* relaxed: read after this worker's death */
    set(at_ns);
    return PARLOOM_OK;
}

void loom_worker_clock_stop(const struct loom_letter *letter)
{
    if (own.is_made && has_limit(letter)) set(0);
}

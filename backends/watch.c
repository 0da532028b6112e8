/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * watch.c - the limits of a call while it runs: its deadline, its stop, and the time of its tasks (see watch.h).
 *
 * A task's clock starts when its desk is first seen saying so: generous by one look, never short.
 */
#include "backends/watch.h"

#include "backends/catch.h"
#include "backends/shift.h"
#include "base/clock.h"

#define LIMIT_LOOK_LEAST_NS UINT64_C(1000000)
#define LIMIT_LOOK_MOST_NS  UINT64_C(10000000)
#define ANY_TASK            UINT64_MAX

struct suspect {
    const struct loom_dispatch *dispatch;
    int seat;
    uint64_t current; /* as it was seen; ANY_TASK: anything of this call */
};

static bool is_guilty(const void *state)
{
    const struct suspect *suspect = state;
    const struct loom_desk_shared *desk = loom_dispatch_desk(suspect->dispatch, suspect->seat);
    uint64_t now = loom_load_acquire(&desk->current); /* acquire: it is stopped, or wrote on */
    if (!loom_dispatch_is_in(suspect->dispatch, suspect->seat)) return false;
    return suspect->current == ANY_TASK || now == suspect->current;
}

static void kill_seat(struct loom_dispatch *dispatch, int seat, uint64_t current)
{
    struct suspect suspect = { dispatch, seat, current };
    loom_catch(dispatch->crew, (uint32_t)seat, is_guilty, &suspect);
}

static void watch_deadline(struct loom_dispatch *dispatch, uint64_t now)
{
    if (now < dispatch->run->deadline_ns || dispatch->is_timed_out) return;
    dispatch->is_timed_out = true;
    loom_shift_lower(&loom_dispatch_slot(dispatch)->stop_before, 0);
    for (int seat = dispatch->first; seat < dispatch->end; seat++)
        if (loom_dispatch_is_in(dispatch, seat)) kill_seat(dispatch, seat, ANY_TASK);
}

static void watch_stop(struct loom_dispatch *dispatch)
{
    if (dispatch->is_cancelled || !loom_shift_run_is_cancelled(dispatch->run)) return;
    dispatch->is_cancelled = true;
    loom_shift_lower(&loom_dispatch_slot(dispatch)->stop_before, 0);
}

/* A worker whose desk says the same since the limit is killed; the clock starts when the program first sees it. */
static void watch_tasks(struct loom_dispatch *dispatch, uint64_t now)
{
    if (dispatch->run->task_timeout_ns == 0) return;
    for (int seat = dispatch->first; seat < dispatch->end; seat++) {
        uint64_t current =
            loom_load_relaxed(&loom_dispatch_desk(dispatch, seat)->current); /* relaxed: only the value matters */
        bool is_running = loom_dispatch_is_in(dispatch, seat) && current != 0 && !(current & LOOM_SHIFT_FINISHED);
        struct loom_crew_watch *seen = &dispatch->crew->seats[seat].watched[dispatch->slot];
        if (!is_running || seen->call != dispatch->call || seen->current != current) {
            seen->call = is_running ? dispatch->call : 0;
            seen->current = current;
            seen->since_ns = now;
        } else if (now - seen->since_ns >= dispatch->run->task_timeout_ns) {
            kill_seat(dispatch, seat, current);
        }
    }
}

static uint64_t limit_look_ns(const struct loom_run *run)
{
    uint64_t period = run->task_timeout_ns / 10;
    if (period < LIMIT_LOOK_LEAST_NS) return LIMIT_LOOK_LEAST_NS;
    return period > LIMIT_LOOK_MOST_NS ? LIMIT_LOOK_MOST_NS : period;
}

uint64_t loom_watch_next(const struct loom_dispatch *dispatch, uint64_t now, uint64_t next_watch)
{
    const struct loom_run *run = dispatch->run;
    uint64_t next = dispatch->is_timed_out ? LOOM_NEVER_NS : run->deadline_ns;
    if (loom_shift_run_is_stoppable(run) && !dispatch->is_cancelled && now + LOOM_WATCH_STOP_NS < next)
        next = now + LOOM_WATCH_STOP_NS;
    if (run->task_timeout_ns > 0 && now + limit_look_ns(run) < next) next = now + limit_look_ns(run);
    if (run->watch != NULL && next_watch < next) next = next_watch;
    return next;
}

void loom_watch_limits(struct loom_dispatch *dispatch, uint64_t now)
{
    watch_deadline(dispatch, now);
    watch_stop(dispatch);
    watch_tasks(dispatch, now);
}

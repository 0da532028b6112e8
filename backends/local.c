/* SPDX-License-Identifier: BSD-3-Clause */
/* local.c - a worker in the caller's own process (see local.h). */
#include "backends/local.h"

#include "backends/letter.h"
#include "base/clock.h"
#include "base/status.h"

#include <string.h>

#define WATCH_NS UINT64_C(100000000)
enum { CHUNK_SHORT_NS = 50000, CHUNK_LONG_NS = 200000 };

void loom_local_begin(struct loom_local *local, const struct loom_run *run)
{
    memset(local, 0, sizeof *local);
    local->run = run;
    run->tally->is_begun = true;
    pthread_mutex_init(&local->lock, NULL);
    loom_letter_cut(run, &local->tickets, &local->grain, &local->is_auto);
    loom_store_relaxed(&local->stop_before, UINT64_MAX >> 2); /* relaxed: no other thread yet */
}

parloom_status loom_local_end(struct loom_local *local, parloom_error *error)
{
    pthread_mutex_destroy(&local->lock);
    if (local->failure != PARLOOM_OK) {
        if (error != NULL) *error = local->error;
        return local->failure;
    }
    if (loom_load_relaxed(&local->is_timed_out)) /* relaxed, both: the workers are done */
        return loom_status_fail(error, PARLOOM_ERR_TIMEOUT, 0, "the call ran past its limit");
    if (loom_load_relaxed(&local->is_cancelled))
        return loom_status_fail(error, PARLOOM_ERR_CANCELLED, 0, "the call was cancelled %s",
                                loom_shift_run_canceller(local->run));
    return PARLOOM_OK;
}

static void tell(struct loom_shift *shift, size_t begin, size_t end, const parloom_error *error)
{
    struct loom_local_worker *worker = shift->tell_state;
    struct loom_tally *tally = worker->local->run->tally;
    pthread_mutex_lock(&worker->local->lock);
    if (error == NULL)
        loom_tally_note(tally, begin, end, PARLOOM_ERR_CANCELLED);
    else
        loom_tally_fail(tally, begin, end, error->status, error);
    pthread_mutex_unlock(&worker->local->lock);
}

static void tell_progress(struct loom_local_worker *worker, uint64_t now)
{
    const struct loom_run *run = worker->local->run;
    if (!worker->is_caller || run->watch == NULL || now < worker->next_watch_ns) return;
    worker->next_watch_ns = now + WATCH_NS;
    pthread_mutex_lock(&worker->local->lock);
    struct loom_tally_counts counts = loom_tally_count_noted(run->tally);
    pthread_mutex_unlock(&worker->local->lock);
    loom_shift_leave(&worker->shift); /* what the callback allocates or calls is the caller's, not a task's */
    /* relaxed: progress only */
    run->watch((size_t)loom_load_relaxed(&worker->local->done), &counts, run->watch_state);
    loom_shift_resume(&worker->shift);
}

static parloom_status look(struct loom_shift *shift)
{
    struct loom_local_worker *worker = shift->look_state;
    struct loom_local *local = worker->local;
    const struct loom_run *run = local->run;
    uint64_t now = loom_clock_ns();
    tell_progress(worker, now);
    if (loom_shift_run_is_cancelled(run)) {
        loom_store_relaxed(&local->is_cancelled, 1); /* relaxed: read when all are done */
        loom_shift_lower(&local->stop_before, 0);
    }
    if (now < run->deadline_ns) return PARLOOM_OK;
    loom_store_relaxed(&local->is_timed_out, 1); /* relaxed: read when all are done */
    loom_shift_lower(&local->stop_before, 0);
    return PARLOOM_ERR_TIMEOUT;
}

static bool needs_look(const struct loom_run *run)
{
    return run->deadline_ns != LOOM_NEVER_NS || loom_shift_run_is_stoppable(run) || run->watch != NULL;
}

static uint64_t task_at(const struct loom_local *local, uint64_t ticket)
{
    uint64_t task = ticket * local->grain;
    return task < local->run->n ? task : local->run->n;
}

/* Guided, as in worker processes: never more than a fair share of what is left. */
static uint64_t fair(const struct loom_local *local, uint64_t want)
{
    uint64_t taken = loom_load_relaxed(&local->counter); /* relaxed: a hint */
    uint64_t left = taken < local->tickets ? local->tickets - taken : 0;
    uint64_t share = left / (2 * (uint64_t)local->run->n_jobs);
    if (want > share) want = share;
    return want > 0 ? want : 1;
}

static bool run_tickets(struct loom_local_worker *worker, uint64_t first, uint64_t end)
{
    struct loom_local *local = worker->local;
    uint64_t from = task_at(local, first), to = task_at(local, end);
    bool goes_on = loom_shift_run(&worker->shift, (size_t)from, (size_t)to);
    if (local->run->watch != NULL) loom_add_relaxed(&local->done, to - from); /* relaxed: progress only */
    return goes_on;
}

static void take_shared(struct loom_local_worker *worker)
{
    struct loom_local *local = worker->local;
    uint64_t want = 1, before = local->is_auto ? loom_clock_ns() : 0;
    for (;;) {
        uint64_t count = local->is_auto ? fair(local, want) : 1;
        uint64_t first = loom_add_relaxed(&local->counter, count); /* relaxed: a ticket carries no data */
        if (first >= local->tickets) return;
        uint64_t end = local->tickets - first < count ? local->tickets : first + count;
        if (!run_tickets(worker, first, end)) return;
        if (!local->is_auto) continue;
        uint64_t now = loom_clock_ns();
        if (now - before < CHUNK_SHORT_NS && count >= want)
            want *= 2;
        else if (now - before > CHUNK_LONG_NS && want > 1)
            want /= 2;
        before = now;
    }
}

static void take_own(struct loom_local_worker *worker)
{
    struct loom_local *local = worker->local;
    uint64_t stride = (uint64_t)local->run->n_jobs;
    for (uint64_t ticket = (uint64_t)worker->shift.task.worker; ticket < local->tickets; ticket += stride)
        (void)run_tickets(worker, ticket, ticket + 1); /* stopped: told as not run, ticket by ticket */
}

static void note_own(struct loom_local *local, int number)
{
    for (uint64_t ticket = (uint64_t)number; ticket < local->tickets; ticket += (uint64_t)local->run->n_jobs)
        loom_tally_note(local->run->tally, (size_t)task_at(local, ticket), (size_t)task_at(local, ticket + 1),
                        PARLOOM_ERR_CANCELLED);
}

static void give_up(struct loom_local *local, const parloom_error *error)
{
    pthread_mutex_lock(&local->lock);
    local->failure = error->status;
    local->error = *error;
    pthread_mutex_unlock(&local->lock);
    loom_shift_lower(&local->stop_before, 0);
}

static void refuse(struct loom_shift *shift, const parloom_error *error)
{
    struct loom_local_worker *worker = shift->tell_state;
    give_up(worker->local, error);
}

static bool is_begun(struct loom_local_worker *worker, int number)
{
    parloom_error error;
    const struct loom_run *run = worker->local->run;
    if (loom_shift_begin(&worker->shift, run, number, &error) == PARLOOM_OK) return true;
    pthread_mutex_lock(&worker->local->lock);
    if (run->is_static) note_own(worker->local, number);
    pthread_mutex_unlock(&worker->local->lock);
    give_up(worker->local, &error);
    return false;
}

void loom_local_work(struct loom_local *local, int number, bool is_caller)
{
    struct loom_local_worker worker;
    worker.local = local;
    worker.is_caller = is_caller;
    worker.next_watch_ns = is_caller && local->run->watch != NULL ? loom_clock_ns() + WATCH_NS : 0;
    loom_store_relaxed(&worker.current, 0); /* relaxed: nobody else reads it */
    if (!is_begun(&worker, number)) return;
    worker.shift.current = &worker.current;
    worker.shift.range_begin = &worker.range_begin;
    worker.shift.range_end = &worker.range_end;
    worker.shift.stop_before = &local->stop_before;
    worker.shift.tell = tell;
    worker.shift.refuse = refuse;
    worker.shift.tell_state = &worker;
    if (needs_look(local->run)) {
        worker.shift.look = look;
        worker.shift.look_state = &worker;
    }
    loom_shift_enter(&worker.shift);
    if (local->run->is_static)
        take_own(&worker);
    else
        take_shared(&worker);
    loom_shift_leave(&worker.shift);
    loom_shift_end(&worker.shift);
}

void loom_local_collect(struct loom_local *local)
{
    if (local->run->is_static) return;                   /* each worker has told of its own */
    uint64_t taken = loom_load_relaxed(&local->counter); /* relaxed: the workers are done */
    if (taken < local->tickets)
        loom_tally_note(local->run->tally, (size_t)task_at(local, taken), local->run->n, PARLOOM_ERR_CANCELLED);
}

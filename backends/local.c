/* SPDX-License-Identifier: BSD-3-Clause */
/* local.c - a worker in the caller's own process (see local.h). */
#include "backends/local.h"

#include "backends/letter.h"
#include "backends/side_channel.h"
#include "base/clock.h"
#include "base/status.h"

#include <string.h>

#define WATCH_NS UINT64_C(100000000)
#define LOOK_NS  UINT64_C(1000000) /* progress is not in a hurry: so long the clock may go unread, */
enum { CHUNK_SHORT_NS = 50000, CHUNK_LONG_NS = 200000, STRIDE_MOST = 32 }; /* but not for more tasks than that */

void loom_local_begin(struct loom_local *local, const struct loom_run *run)
{
    memset(local, 0, sizeof *local);
    local->run = run;
    run->tally->is_begun = true;
    loom_inner_threads_begin(&run->inner, &local->inner);
    pthread_mutex_init(&local->lock, NULL);
    loom_letter_cut(run, &local->tickets, &local->grain, &local->is_auto);
    loom_store_relaxed(&local->stop_before, UINT64_MAX >> 2); /* relaxed: no other thread yet */
}

parloom_status loom_local_end(struct loom_local *local, parloom_error *error)
{
    loom_inner_threads_end(&local->inner);
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

/* Tasks that have ended. Under lock. */
static size_t count_done(const struct loom_local *local)
{
    uint64_t done = local->done_before + loom_load_relaxed(&local->done); /* relaxed: progress only */
    for (const struct loom_local_worker *worker = local->working; worker != NULL; worker = worker->next)
        done += loom_load_relaxed(&worker->done); /* relaxed: progress only */
    return (size_t)done;
}

parloom_status loom_local_record(struct loom_shift *shift, size_t task, uint32_t channel, const void *data,
                                 size_t nbytes)
{
    struct loom_local_worker *worker = shift->tell_state;
    struct loom_record made = { .task = task, .channel = channel, .worker = shift->task.worker, .is_last = true };
    pthread_mutex_lock(&worker->local->lock);
    bool is_added = loom_records_add(worker->local->run->records, &made, data, nbytes);
    pthread_mutex_unlock(&worker->local->lock);
    return is_added ? PARLOOM_OK : PARLOOM_ERR_MEMORY;
}

void loom_local_tell_progress(struct loom_local *local)
{
    const struct loom_run *run = local->run;
    pthread_mutex_lock(&local->lock);
    struct loom_tally_counts counts = loom_tally_count_noted(run->tally);
    size_t done = count_done(local);
    pthread_mutex_unlock(&local->lock);
    run->watch(done, &counts, run->watch_state);
}

static void tell_progress(struct loom_local_worker *worker, uint64_t now)
{
    const struct loom_run *run = worker->local->run;
    if (!worker->is_caller || run->watch == NULL || now < worker->next_watch_ns) return;
    worker->next_watch_ns = now + WATCH_NS;
    loom_shift_leave(&worker->shift); /* what the callback allocates or calls is the caller's, not a task's */
    loom_local_tell_progress(worker->local);
    loom_shift_resume(&worker->shift);
}

static bool is_urgent(const struct loom_run *run)
{
    return run->deadline_ns != LOOM_NEVER_NS || loom_shift_run_is_stoppable(run);
}

/* Reading the clock takes tens of nanoseconds: for progress alone it is not read after each task. */
static void excuse(struct loom_local_worker *worker, uint64_t now)
{
    if (is_urgent(worker->local->run)) return;
    if (now - worker->looked_ns >= LOOK_NS)
        worker->stride = 1;
    else if (worker->stride < STRIDE_MOST)
        worker->stride *= 2;
    worker->looked_ns = now;
    worker->shift.looks_excused = worker->stride - 1;
}

bool loom_local_is_over(struct loom_local *local, uint64_t now)
{
    if (loom_shift_run_is_cancelled(local->run)) {
        loom_store_relaxed(&local->is_cancelled, 1); /* relaxed: read when all are done */
        loom_shift_lower(&local->stop_before, 0);
    }
    if (now < local->run->deadline_ns) return false;
    loom_store_relaxed(&local->is_timed_out, 1); /* relaxed: read when all are done */
    loom_shift_lower(&local->stop_before, 0);
    return true;
}

parloom_status loom_local_look(struct loom_shift *shift)
{
    struct loom_local_worker *worker = shift->look_state;
    uint64_t now = loom_clock_ns();
    tell_progress(worker, now);
    excuse(worker, now);
    return loom_local_is_over(worker->local, now) ? PARLOOM_ERR_TIMEOUT : PARLOOM_OK;
}

bool loom_local_needs_look(const struct loom_run *run)
{
    return is_urgent(run) || run->watch != NULL;
}

/* Progress alone is the caller's to look at. */
static bool needs_look(const struct loom_local_worker *worker)
{
    const struct loom_run *run = worker->local->run;
    return is_urgent(run) || (worker->is_caller && run->watch != NULL);
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

static bool run_tasks(struct loom_local_worker *worker, size_t begin, size_t end)
{
    bool goes_on = loom_shift_run(&worker->shift, begin, end);
    /* relaxed, both: progress only, and nobody else writes it */
    loom_store_relaxed(&worker->done, loom_load_relaxed(&worker->done) + (end - begin));
    return goes_on;
}

/* What was taken last took too short a time, or too long. */
static void adapt(struct loom_local_pace *pace)
{
    uint64_t now = loom_clock_ns();
    if (pace->want == 0)
        pace->want = 1;
    else if (now - pace->taken_ns < CHUNK_SHORT_NS && pace->count >= pace->want)
        pace->want *= 2;
    else if (now - pace->taken_ns > CHUNK_LONG_NS && pace->want > 1)
        pace->want /= 2;
    pace->taken_ns = now;
}

bool loom_local_take(struct loom_local *local, struct loom_local_pace *pace, size_t *begin_out, size_t *end_out)
{
    if (local->is_auto) adapt(pace);
    pace->count = local->is_auto ? fair(local, pace->want) : 1;
    uint64_t first = loom_add_relaxed(&local->counter, pace->count); /* relaxed: a ticket carries no data */
    if (first >= local->tickets) return false;
    uint64_t end = local->tickets - first < pace->count ? local->tickets : first + pace->count;
    *begin_out = (size_t)task_at(local, first);
    *end_out = (size_t)task_at(local, end);
    return true;
}

static void take_shared(struct loom_local_worker *worker)
{
    struct loom_local_pace pace = { 0, 0, 0 };
    size_t begin, end;
    while (loom_local_take(worker->local, &pace, &begin, &end))
        if (!run_tasks(worker, begin, end)) return;
}

bool loom_local_take_own(struct loom_local *local, uint64_t *ticket, size_t *begin_out, size_t *end_out)
{
    if (*ticket >= local->tickets) return false;
    *begin_out = (size_t)task_at(local, *ticket);
    *end_out = (size_t)task_at(local, *ticket + 1);
    *ticket += (uint64_t)local->run->n_jobs;
    return true;
}

static void take_own(struct loom_local_worker *worker)
{
    uint64_t ticket = (uint64_t)worker->shift.task.worker;
    size_t begin, end;
    while (loom_local_take_own(worker->local, &ticket, &begin, &end))
        (void)run_tasks(worker, begin, end); /* stopped: told as not run, ticket by ticket */
}

static void note_own(struct loom_local *local, int number)
{
    uint64_t ticket = (uint64_t)number;
    size_t begin, end;
    while (loom_local_take_own(local, &ticket, &begin, &end))
        loom_tally_note(local->run->tally, begin, end, PARLOOM_ERR_CANCELLED);
}

void loom_local_give_up(struct loom_local *local, const parloom_error *error)
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
    loom_local_give_up(worker->local, error);
}

static bool is_begun(struct loom_local_worker *worker, int number)
{
    parloom_error error;
    const struct loom_run *run = worker->local->run;
    if (loom_shift_begin(&worker->shift, run, number, &error) == PARLOOM_OK) return true;
    pthread_mutex_lock(&worker->local->lock);
    if (run->is_static) note_own(worker->local, number);
    pthread_mutex_unlock(&worker->local->lock);
    loom_local_give_up(worker->local, &error);
    return false;
}

/* Workers of a call that is watched are known to its caller while they work. */
static void come(struct loom_local_worker *worker)
{
    struct loom_local *local = worker->local;
    loom_store_relaxed(&worker->done, 0); /* relaxed: nobody else knows it */
    if (local->run->watch == NULL) return;
    pthread_mutex_lock(&local->lock);
    worker->next = local->working;
    local->working = worker;
    pthread_mutex_unlock(&local->lock);
}

static void go(struct loom_local_worker *worker)
{
    struct loom_local *local = worker->local;
    if (local->run->watch == NULL) return;
    pthread_mutex_lock(&local->lock);
    struct loom_local_worker **at = &local->working;
    while (*at != worker) at = &(*at)->next;
    *at = worker->next;
    local->done_before += loom_load_relaxed(&worker->done); /* relaxed: this thread wrote it */
    pthread_mutex_unlock(&local->lock);
}

void loom_local_work(struct loom_local *local, int number, bool is_caller)
{
    struct loom_local_worker worker;
    worker.local = local;
    worker.is_caller = is_caller;
    worker.looked_ns = is_caller && local->run->watch != NULL ? loom_clock_ns() : 0;
    worker.next_watch_ns = worker.looked_ns + WATCH_NS;
    worker.stride = 1;
    loom_store_relaxed(&worker.current, 0); /* relaxed: nobody else reads it */
    if (!is_begun(&worker, number)) return;
    worker.shift.current = &worker.current;
    worker.shift.range_begin = &worker.range_begin;
    worker.shift.range_end = &worker.range_end;
    worker.shift.stop_before = &local->stop_before;
    worker.shift.tell = tell;
    worker.shift.refuse = refuse;
    worker.shift.record = loom_local_record;
    worker.shift.tell_state = &worker;
    if (needs_look(&worker)) {
        worker.shift.look = loom_local_look;
        worker.shift.look_state = &worker;
    }
    come(&worker);
    loom_shift_enter(&worker.shift);
    if (local->run->is_static)
        take_own(&worker);
    else
        take_shared(&worker);
    loom_shift_leave(&worker.shift);
    go(&worker);
    loom_shift_end(&worker.shift);
}

void loom_local_collect(struct loom_local *local)
{
    if (local->run->is_static) return;                   /* each worker has told of its own */
    uint64_t taken = loom_load_relaxed(&local->counter); /* relaxed: the workers are done */
    if (taken < local->tickets)
        loom_tally_note(local->run->tally, (size_t)task_at(local, taken), local->run->n, PARLOOM_ERR_CANCELLED);
}

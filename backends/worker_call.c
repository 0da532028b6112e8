/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * worker_call.c - a worker process's part in a loop or a list: claim tickets, run them, tell what went wrong.
 *
 * Nothing but its own desk is written, and the program is rung only by the last to leave.
 */
#include "backends/worker_self.h"

#include "backends/globals.h"
#include "backends/inner_threads.h"
#include "backends/side_channel.h"
#include "backends/state.h"
#include "base/binding.h"
#include "base/clock.h"
#include "base/fpu.h"
#include "base/futex.h"

#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <time.h>

enum {
    CHUNK_SHORT_NS = 50000, /* chunks of auto batches grow while they take less, */
    CHUNK_LONG_NS = 200000  /* and shrink when they take more */
};

/* ---------------------------------------------------------------- telling */

void loom_worker_append(void *told_by, const struct loom_log_entry *entry, const char *message)
{
    struct loom_worker_self *worker = told_by;
    for (;;) {
        uint32_t moved = loom_load_full(&worker->desk->log_moved); /* full: before the try; pairs with the drain */
        if (loom_board_log_try_append(worker->desk, entry, message)) return;
        loom_worker_ring(worker, worker->slot_index);
        (void)loom_futex_wait_until(&worker->desk->log_moved, moved, LOOM_NEVER_NS);
    }
}

static void tell(struct loom_shift *shift, size_t begin, size_t end, const parloom_error *error)
{
    struct loom_log_entry entry = { .begin = begin, .end = end, .status = PARLOOM_ERR_CANCELLED };
    if (error != NULL) {
        entry.status = error->status;
        entry.code = error->code;
        entry.attempt = error->attempt;
        size_t length = strnlen(error->message, sizeof error->message - 1);
        if (length > 0) entry.message_nbytes = (uint32_t)length + 1;
    }
    loom_worker_append(shift->tell_state, &entry, error != NULL ? error->message : NULL);
}

static void warn(struct loom_shift *shift, size_t task, const char *text)
{
    struct loom_log_entry entry = { .begin = task, .end = task + 1, .status = LOOM_GLOBALS_ENTRY };
    entry.message_nbytes = (uint32_t)strlen(text) + 1;
    loom_worker_append(shift->tell_state, &entry, text);
}

/* The whole call cannot be run here: the program refuses it. */
static void tell_refusal(struct loom_worker_self *worker, const parloom_error *error)
{
    struct loom_log_entry entry = { .begin = UINT64_MAX, .end = UINT64_MAX, .status = error->status };
    entry.code = error->code;
    entry.message_nbytes = (uint32_t)strnlen(error->message, sizeof error->message - 1) + 1;
    loom_shift_lower(&worker->slot->stop_before, 0);
    loom_worker_append(worker, &entry, error->message);
}

static void refuse(struct loom_shift *shift, const parloom_error *error)
{
    tell_refusal(shift->tell_state, error);
}

/* -------------------------------------------------------------- functions */

parloom_status loom_worker_resolve(struct loom_worker_self *worker, uint64_t reference, parloom_body *function_out,
                                   parloom_error *error)
{
    if (worker->letter->functions_inherited) {
        memcpy(function_out, &reference, sizeof *function_out);
        return PARLOOM_OK;
    }
    size_t at = (size_t)(reference / 64) % LOOM_WORKER_RESOLVED;
    if (worker->resolved[at].reference != reference) {
        const struct loom_task_ref *ref = (const struct loom_task_ref *)(uintptr_t)reference;
        parloom_status status = loom_task_resolve(ref, &worker->resolved[at].function, error);
        if (status != PARLOOM_OK) return status;
        worker->resolved[at].reference = reference;
    }
    *function_out = worker->resolved[at].function;
    return PARLOOM_OK;
}

static parloom_status read_work(struct loom_worker_self *worker, size_t index, parloom_error *error)
{
    const struct loom_letter_work *work = (const struct loom_letter_work *)(uintptr_t)worker->letter->works + index;
    worker->work.arguments = (const struct loom_argument *)(uintptr_t)work->arguments;
    worker->work.n_arguments = (size_t)work->n_arguments;
    return loom_worker_resolve(worker, work->function, &worker->work.body, error);
}

/* A list: a function that cannot be reached from here stops the call; NULL: its task is not run. */
static const struct loom_work *find_work(struct loom_shift *shift, size_t index)
{
    struct loom_worker_self *worker = shift->tell_state;
    parloom_error error;
    if (read_work(worker, index, &error) == PARLOOM_OK) return &worker->work;
    tell_refusal(worker, &error);
    return NULL;
}

/* ------------------------------------------------------------------ tasks */

static void run_tickets(struct loom_worker_self *worker, uint64_t first, uint64_t count)
{
    uint64_t begin = loom_letter_begin(worker->letter, first);
    uint64_t end = loom_letter_end(worker->letter, first + count - 1);
    if (worker->letter->repairs != 0) {
        const struct loom_repair *repair = (const struct loom_repair *)(uintptr_t)worker->letter->repairs + first;
        worker->shift.task.attempt = (int)repair->attempt;
    }
    loom_worker_sync(worker);
    (void)loom_shift_run(&worker->shift, (size_t)begin, (size_t)end);
    worker->tasks += end - begin;
    /* relaxed: progress only */
    loom_store_relaxed(&worker->desk->done, loom_load_relaxed(&worker->desk->done) + (end - begin));
}

/* Of the worker in its call: task->worker. */
static uint32_t number_of(const struct loom_worker_self *worker)
{
    return worker->post->seat - (uint32_t)worker->letter->first_seat;
}

/* It has run as many tasks as a worker of this call may. */
bool loom_worker_is_worn(const struct loom_worker_self *worker)
{
    uint64_t most = worker->letter->fresh_worker_every;
    return most > 0 && worker->tasks >= most;
}

/* In tickets, before it is worn. */
static uint64_t left_to_live(const struct loom_worker_self *worker)
{
    uint64_t most = worker->letter->fresh_worker_every;
    return most > 0 ? (most - worker->tasks) / worker->letter->grain : UINT64_MAX;
}

/* Guided: never more than a fair share of what is left, so that the end is balanced. */
static uint64_t fair(const struct loom_worker_self *worker, uint64_t want)
{
    uint64_t taken = loom_load_relaxed(&worker->slot->counter); /* relaxed: a hint */
    uint64_t left = taken < worker->letter->tickets ? worker->letter->tickets - taken : 0;
    uint64_t share = left / (2 * (uint64_t)worker->letter->n_jobs);
    if (want > share) want = share;
    if (want > left_to_live(worker)) want = left_to_live(worker);
    return want > 0 ? want : 1;
}

static bool is_stopped(const struct loom_worker_self *worker, uint64_t ticket)
{
    /* relaxed: a late look runs one task more */
    return loom_letter_begin(worker->letter, ticket) >= loom_load_relaxed(&worker->slot->stop_before);
}

/* Chunks as long as the clock says; the time between claims is the time of the tasks. */
static void take_auto(struct loom_worker_self *worker, _Atomic uint64_t *bitmap)
{
    uint64_t want = 1, first, count, before = loom_clock_ns();
    while ((count = loom_board_claim(worker->slot, bitmap, worker->letter->tickets, fair(worker, want), &first)) > 0) {
        run_tickets(worker, first, count);
        if (is_stopped(worker, first + count - 1) || loom_worker_is_worn(worker) ||
            loom_retire_is_grown(&worker->retire))
            return;
        uint64_t now = loom_clock_ns();
        if (now - before < CHUNK_SHORT_NS && count >= want)
            want *= 2;
        else if (now - before > CHUNK_LONG_NS && want > 1)
            want /= 2;
        before = now;
    }
}

/* The shortest way from ticket to body, for index loops with chunks of one. */
static void take_singles(struct loom_worker_self *worker, _Atomic uint64_t *bitmap)
{
    uint64_t total = worker->letter->tickets, done = 0, first;
    while (loom_board_claim(worker->slot, bitmap, total, 1, &first) > 0) {
        loom_worker_sync(worker);
        if (!loom_shift_run_plain(&worker->shift, (size_t)first)) break;
        loom_store_relaxed(&worker->desk->done, ++done); /* relaxed: progress only */
    }
    worker->tasks += done;
}

static void take_one_by_one(struct loom_worker_self *worker, _Atomic uint64_t *bitmap)
{
    uint64_t first;
    while (loom_board_claim(worker->slot, bitmap, worker->letter->tickets, 1, &first) > 0) {
        run_tickets(worker, first, 1);
        if (is_stopped(worker, first) || loom_worker_is_worn(worker) || loom_retire_is_grown(&worker->retire)) return;
    }
}

static void take_own(struct loom_worker_self *worker, _Atomic uint64_t *bitmap)
{
    uint64_t stride = (uint64_t)worker->letter->n_jobs;
    for (uint64_t ticket = number_of(worker); ticket < worker->letter->tickets; ticket += stride) {
        loom_board_mark(bitmap, ticket, 1);
        run_tickets(worker, ticket, 1);
        if (is_stopped(worker, ticket) || loom_worker_is_worn(worker) || loom_retire_is_grown(&worker->retire)) return;
    }
}

/* ------------------------------------------------------------------ calls */

parloom_status loom_worker_begin_shift(struct loom_worker_self *worker, struct loom_shift *shift, parloom_error *error)
{
    const struct loom_letter *letter = worker->letter;
    loom_binding_of_process((const struct loom_placement *)(uintptr_t)letter->placement, number_of(worker));
    struct loom_run run = {
        .n = (size_t)letter->n,
        .works = letter->is_list ? NULL : &worker->work,
        .is_list = letter->is_list,
        .is_range = letter->is_range,
        .most_arguments = letter->most_arguments,
        .batch_size = (size_t)letter->batch_size,
        .block_size = (size_t)letter->block_size,
        .n_jobs = letter->n_jobs,
        .level = letter->level,
        .backend_name = letter->backend,
        .go_on = letter->go_on,
        .scope = (const parloom_options *)(uintptr_t)letter->scope,
        .channels = (const struct loom_channels *)(uintptr_t)letter->channels,
        .stop = (const parloom_stop *)(uintptr_t)letter->stop,
        /* Forked in the midst of a task: its words are the ones the program writes, or copies that stay as they are. */
        .around = letter->functions_inherited ? loom_shift_current() : NULL,
        .parallel_level = letter->parallel_level,
        .cores = letter->cores,
        .inner = letter->inner,
        .deadline_ns = LOOM_NEVER_NS, /* the program watches it */
    };
    parloom_status status = loom_shift_begin(shift, &run, (int)number_of(worker), error);
    if (status != PARLOOM_OK) return status;
    shift->is_stoppable = letter->is_stoppable;
    shift->is_here = worker->is_here;
    return PARLOOM_OK;
}

/* The shift of a loop or a list: told of at the worker's desk. */
static parloom_status begin_call(struct loom_worker_self *worker, parloom_error *error)
{
    const struct loom_letter *letter = worker->letter;
    parloom_status status = letter->is_list ? PARLOOM_OK : read_work(worker, 0, error);
    if (status == PARLOOM_OK) status = loom_worker_begin_shift(worker, &worker->shift, error);
    if (status != PARLOOM_OK) return status;
    worker->shift.find_work = find_work;
    worker->shift.skips = (const uint64_t *)(uintptr_t)letter->skips;
    worker->shift.n_skips = (size_t)letter->n_skips;
    worker->shift.current = &worker->desk->current;
    worker->shift.range_begin = &worker->desk->range_begin;
    worker->shift.range_end = &worker->desk->range_end;
    worker->shift.stop_before = &worker->slot->stop_before;
    worker->shift.tell = tell;
    worker->shift.warn = warn;
    worker->shift.refuse = refuse;
    worker->shift.record = loom_record_tell;
    worker->shift.tell_state = worker;
    return PARLOOM_OK;
}

void loom_worker_set_environment(struct loom_worker_self *worker)
{
    const struct loom_inner_threads *inner = &worker->letter->inner;
    loom_fpu_write(worker->letter->fp_control);
    if (loom_inner_threads_are_settled(inner)) return;
    loom_state_check(); /* before our variables: theirs is no change that a task has left */
    loom_inner_threads_settle(inner);
    loom_state_mark();
}

static uint64_t cpu_ns(const struct loom_worker_self *worker)
{
    struct timespec used;
    if (!worker->letter->wants_cpu || clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0) return 0;
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

void loom_worker_run_call(struct loom_worker_self *worker)
{
    parloom_error error;
    parloom_status status =
        loom_state_apply(worker->letter->state, worker->seat, worker->fetch, worker->fetch_state, &error);
    if (status != PARLOOM_OK || begin_call(worker, &error) != PARLOOM_OK) {
        tell_refusal(worker, &error);
        return;
    }
    uint64_t at = worker->letter->bitmaps + number_of(worker) * worker->letter->bitmap_stride;
    _Atomic uint64_t *bitmap = (_Atomic uint64_t *)(uintptr_t)at;
    uint64_t cpu_before = cpu_ns(worker);
    loom_worker_set_environment(worker);
    if (worker->letter->checks_globals) loom_globals_watch(&worker->shift);
    loom_shift_enter(&worker->shift);
    bool is_single = !loom_retire_is_watched(&worker->retire) && worker->shift.is_plain && worker->letter->grain == 1 &&
                     worker->letter->repairs == 0 && worker->letter->fresh_worker_every == 0;
    if (loom_worker_is_worn(worker))
        ; /* by earlier calls: it leaves at once */
    else if (worker->letter->is_static)
        take_own(worker, bitmap);
    else if (worker->letter->is_auto)
        take_auto(worker, bitmap);
    else if (is_single)
        take_singles(worker, bitmap);
    else
        take_one_by_one(worker, bitmap);
    loom_shift_leave(&worker->shift);
    loom_shift_end(&worker->shift);
    loom_state_restore(worker->letter->state);
    /* relaxed: ordered by leaving */
    loom_store_relaxed(&worker->seat->cpu_ns, loom_load_relaxed(&worker->seat->cpu_ns) + cpu_ns(worker) - cpu_before);
    if (__fpending(stdout) > 0) (void)fflush(stdout);
}

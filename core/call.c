/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * call.c - the front door: from the order to the guest's plate.
 *
 * Path        arguments checked, options resolved (plan), private memory staged, the run frozen and given to the
 *             backend, its tally settled, results delivered, the report written. Everything before the backend can
 *             refuse the call; then no task has run and every status is CANCELLED.
 */
#include "core/call.h"

#include "base/clock.h"
#include "base/fpu.h"
#include "base/interrupt.h"
#include "base/memory_policy.h"
#include "base/process.h"
#include "base/status.h"
#include "base/topology.h"
#include "core/channel.h"
#include "core/pool.h"
#include "core/progress.h"
#include "core/report.h"
#include "core/scope.h"
#include "core/state.h"

#include "backends/inner_threads.h"
#include "backends/shift.h"
#include "shm/window.h"

#include <stdlib.h>
#include <string.h>

struct call {
    const struct loom_request *request;
    struct loom_plan plan;
    parloom_options inherited; /* by tasks */
    struct loom_arguments arguments;
    struct loom_tally tally;
    struct loom_run run;
    struct loom_state *state; /* or NULL */
    struct loom_channels channels;
    struct loom_records records;
    struct loom_placement *placement; /* or NULL */
    struct loom_progress progress;
    uint64_t started_ns;
    double cpu_before;
};

/* The cores of the caller are divided among the workers: each task may fill its share with OpenMP and BLAS threads, or
 * with calls of its own. A call that the caller runs itself leaves all as it is. */
static void freeze_cores(const struct loom_plan *plan, struct loom_run *run)
{
    int most = plan->options.inner_max_num_threads;
    run->cores = loom_shift_cores();
    if (most <= 0 && plan->backend->memory == LOOM_MEMORY_SAME && plan->n_jobs == 1) return;
    if (run->cores <= 0) run->cpus = loom_topology_cpu_count(false);
    int all = run->cores > 0 ? run->cores : run->cpus;
    int share = all / plan->n_jobs > 0 ? all / plan->n_jobs : 1;
    if (run->placement != NULL && loom_placement_least(run->placement) < share)
        share = loom_placement_least(run->placement);
    if (share < 1) share = 1;
    run->cores = most > 0 ? most : share;
    loom_inner_threads_choose(&run->inner, most, share, plan->options.worker_environment);
}

/* What cancels it, beside its deadline. */
static void freeze_stops(const struct loom_plan *plan, struct loom_run *run)
{
    const struct loom_shift *around = loom_shift_current();
    run->stop = plan->options.stop;
    run->interrupt = loom_interrupt_stop();
    if (around != NULL && around->is_stoppable) run->around = around;
}

static void before_retry(size_t begin, size_t end, void *state)
{
    const struct call *call = state;
    loom_arguments_restore(&call->arguments, begin, end);
}

static void watch(size_t ended, const struct loom_tally_counts *counts, void *state)
{
    struct call *call = state;
    loom_progress_tell(&call->progress, loom_clock_ns(), ended, counts);
}

void loom_call_freeze_plan(const struct loom_plan *plan, struct loom_run *run)
{
    const parloom_options *options = &plan->options;
    run->params = plan->params;
    run->batch_size = options->batch_size;
    run->is_static = options->schedule == PARLOOM_SCHEDULE_STATIC;
    run->n_jobs = plan->n_jobs;
    run->level = loom_shift_level();
    run->parallel_level = loom_shift_parallel_level() + !plan->is_alone;
    run->backend_name = plan->backend->name;
    run->retries = options->retries > 0 ? options->retries : 0;
    run->checks_globals = options->check_globals > 0;
    run->fresh_worker_every = options->fresh_worker_every > 0 ? (size_t)options->fresh_worker_every : 0;
    run->go_on = options->on_error == PARLOOM_ON_ERROR_GO_ON;
    run->task_timeout_ns = options->task_timeout > 0 ? loom_clock_of_seconds(options->task_timeout) : 0;
    run->deadline_ns = options->timeout > 0 ? loom_clock_deadline(options->timeout) : LOOM_NEVER_NS;
    run->idle_ns = options->idle_timeout < 0   ? LOOM_NEVER_NS
                   : options->idle_timeout > 0 ? loom_clock_of_seconds(options->idle_timeout)
                                               : 0;
    run->growth_nbytes = options->worker_growth_limit == PARLOOM_NEVER ? 0 : options->worker_growth_limit;
    freeze_stops(plan, run);
    freeze_cores(plan, run);
    run->fp_control = loom_fpu_read();
    run->modules_by_value = options->modules == PARLOOM_MODULES_BY_VALUE;
    run->wants_cpu = options->report != NULL || options->progress != NULL;
    run->worker_environment = options->worker_environment;
    run->worker_init = options->worker_init;
    run->worker_init_state = options->worker_init_state;
    run->worker_init_state_nbytes = options->worker_init_state_nbytes;
}

/* More workers than tasks would only be woken. */
static int useful_jobs(const struct call *call)
{
    return (size_t)call->plan.n_jobs < call->request->n ? call->plan.n_jobs : (int)call->request->n;
}

static void freeze(struct call *call)
{
    struct loom_run *run = &call->run;
    run->placement = call->placement = loom_plan_placement(&call->plan, useful_jobs(call));
    loom_call_freeze_plan(&call->plan, run);
    run->n = call->request->n;
    run->works = call->arguments.works;
    run->is_list = call->request->is_list;
    for (size_t i = 0; i < call->arguments.n_works; i++)
        if (run->works[i].n_arguments > run->most_arguments) run->most_arguments = run->works[i].n_arguments;
    run->is_range = call->request->is_range;
    run->block_size = call->arguments.block_size;
    run->n_jobs = useful_jobs(call);
    run->tally = &call->tally;
    run->state = call->state;
    if (loom_channels_freeze(&call->channels)) run->channels = &call->channels;
    run->records = &call->records;
    if (loom_scope_inherit(&call->inherited)) run->scope = &call->inherited;
    if (loom_progress_is_wanted(&call->progress)) {
        run->watch = watch;
        run->watch_state = call;
    }
    run->before_retry = before_retry;
    run->before_retry_state = call;
}

/* What tasks inherit needs no capturing; those of a call made in a worker process are forked from it. */
static parloom_status capture_state(struct call *call, parloom_error *error)
{
    if (call->plan.backend->memory != LOOM_MEMORY_SEPARATE || loom_window_is_attached()) return PARLOOM_OK;
    return loom_state_capture(&call->state, error);
}

/* Before workers could take a first task. */
static parloom_status look_for_stop(struct call *call, parloom_error *error)
{
    freeze_stops(&call->plan, &call->run);
    if (!loom_shift_run_is_cancelled(&call->run)) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_CANCELLED, 0, "the call was cancelled %s before it began",
                            loom_shift_run_canceller(&call->run));
}

static parloom_status prepare(struct call *call, parloom_error *error)
{
    const parloom_options *options = &call->plan.options;
    bool reduces = loom_arguments_have_reduction(call->request);
    size_t block_size = reduces ? loom_plan_block_size(call->request->n, options->batch_size) : 0;
    size_t errors_room = options->errors != NULL ? options->n_errors : 1;
    parloom_status status = loom_tally_init(&call->tally, call->request->n, errors_room, error);
    if (status == PARLOOM_OK) status = look_for_stop(call, error);
    if (status != PARLOOM_OK) return status;
    parloom_memory_policy before = loom_memory_policy_set(options->memory_policy);
    status = loom_arguments_stage(&call->arguments, call->request, options, (int)call->plan.backend->memory,
                                  call->plan.n_jobs, block_size, error);
    if (status == PARLOOM_OK) status = capture_state(call, error);
    (void)loom_memory_policy_set(before);
    if (status == PARLOOM_OK) freeze(call);
    return status;
}

static parloom_status failed_task(const struct call *call, parloom_error *error)
{
    size_t first = loom_tally_first_failure(&call->tally);
    if (first == PARLOOM_NO_TASK && call->tally.n_ranges > 0)
        return loom_status_fail(error, PARLOOM_ERR_INTERNAL, 0,
                                "%zu of %zu tasks were not run although nothing stopped the call: a task has written "
                                "over the memory in which workers and program agree",
                                loom_tally_count(&call->tally, PARLOOM_ERR_CANCELLED), call->tally.n);
    if (first == PARLOOM_NO_TASK) return PARLOOM_OK;
    parloom_status status = loom_tally_status(&call->tally, first);
    loom_report_failure(&call->tally, first, status, error);
    return status;
}

/* What happened to the call as a whole outweighs what happened to a task. */
static parloom_status run(struct call *call, parloom_error *error)
{
    parloom_error failure;
    void *workers = call->plan.pool != NULL ? loom_pool_workers(call->plan.pool, call->plan.backend) : NULL;
    parloom_status status = loom_backend_run(call->plan.backend, workers, &call->run, &failure);
    if (status != PARLOOM_OK) loom_report_refusal(&call->tally);
    parloom_status settled = loom_tally_settle(&call->tally, status == PARLOOM_OK ? &failure : NULL);
    if (status == PARLOOM_OK) status = settled;
    if (status != PARLOOM_OK) {
        if (error != NULL) *error = failure;
        return status;
    }
    return failed_task(call, error);
}

/* Of failed calls too. */
static parloom_status merge(struct call *call, parloom_status status, parloom_error *error)
{
    if (call->run.channels == NULL) return status;
    bool is_whole = loom_channels_merge(&call->channels, &call->records, &call->tally);
    loom_records_release(&call->records);
    if (is_whole || status != PARLOOM_OK) return status;
    return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for what the tasks recorded: some of it is lost");
}

static void report(struct call *call, size_t returned_nbytes)
{
    const struct loom_spill *spill = call->arguments.spill; /* NULL: nothing was copied */
    struct loom_report_facts facts = {
        .tally = &call->tally,
        .inline_nbytes = spill != NULL ? loom_spill_inline_nbytes(spill) : 0,
        .spilled_nbytes = spill != NULL ? loom_spill_spilled_nbytes(spill) : 0,
        .place = spill != NULL ? loom_spill_place(spill) : "",
        .returned_nbytes = returned_nbytes,
        .seconds = 1e-9 * (double)(loom_clock_ns() - call->started_ns),
        .cpu_seconds = call->tally.cpu_seconds + loom_process_cpu_seconds() - call->cpu_before,
        .n_jobs = call->plan.n_jobs,
        .backend = call->plan.backend->name,
    };
    loom_report_write(&call->plan.options, &facts);
    loom_progress_end(&call->progress, &facts);
}

static bool wants_report(const parloom_options *options)
{
    return options->report != NULL || options->progress != NULL || loom_progress_is_shown(options);
}

static void begin_report(struct call *call)
{
    const parloom_options *options = &call->plan.options;
    if (!wants_report(options)) return;
    call->started_ns = loom_clock_ns();
    call->cpu_before = loom_process_cpu_seconds();
    loom_progress_begin(&call->progress, options, call->plan.backend->name, call->plan.n_jobs, call->request->n,
                        call->started_ns);
}

static void deliver_report(struct call *call, size_t returned_nbytes)
{
    const parloom_options *options = &call->plan.options;
    loom_report_statuses(options, &call->tally);
    if (wants_report(options)) report(call, returned_nbytes);
}

static parloom_status make_call(struct call *call, parloom_error *error)
{
    size_t returned_nbytes = 0;
    begin_report(call);
    parloom_status status = prepare(call, error);
    if (status == PARLOOM_OK) {
        status = run(call, error);
        returned_nbytes = loom_arguments_deliver(&call->arguments, &call->tally);
        status = merge(call, status, error);
    } else {
        loom_report_refusal(&call->tally);
    }
    deliver_report(call, returned_nbytes);
    loom_arguments_release(&call->arguments);
    loom_state_release(call->state);
    loom_tally_fini(&call->tally);
    free(call->placement);
    return status;
}

/* No task: nothing is copied, and no worker is started. */
static parloom_status make_nothing(struct call *call, parloom_error *error)
{
    parloom_status status = loom_tally_init(&call->tally, 0, 1, error);
    if (status != PARLOOM_OK) return status;
    begin_report(call);
    deliver_report(call, 0);
    loom_tally_fini(&call->tally);
    return PARLOOM_OK;
}

static parloom_status check_room(const parloom_options *options, size_t n, parloom_error *error)
{
    if (options->statuses != NULL && options->n_statuses > 0 && options->n_statuses < n)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "statuses has room for %zu of %zu tasks: make it larger, or leave it unset",
                                options->n_statuses, n);
    if (options->report != NULL && options->report->struct_size == 0)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "report->struct_size is 0: set it to sizeof(parloom_report)");
    return PARLOOM_OK;
}

static parloom_status make_planned(struct call *call, parloom_error *error)
{
    const parloom_options *options = &call->plan.options;
    parloom_status status = check_room(options, call->request->n, error);
    if (status == PARLOOM_OK) status = loom_arguments_check(call->request, error);
    if (status != PARLOOM_OK) {
        loom_report_refused(options, call->request->n);
        return status;
    }
    return call->request->n > 0 ? make_call(call, error) : make_nothing(call, error);
}

parloom_status loom_call_make(const struct loom_request *request, const parloom_options *options, parloom_error *error)
{
    parloom_error unasked; /* inner functions rely on a record */
    struct call call;
    if (error == NULL) error = &unasked;
    memset(&call, 0, sizeof call);
    call.request = request;
    loom_status_clear(error);
    parloom_status status = loom_plan_make(&call.plan, options, error);
    if (status == PARLOOM_OK && call.plan.pool != NULL)
        status = loom_pool_enter(call.plan.pool, &call.plan.options, error);
    if (status != PARLOOM_OK) {
        loom_report_refused(options, request->n); /* the call's own: a pool's may be in use by another call */
        return status;
    }
    status = make_planned(&call, error);
    if (call.plan.pool != NULL) loom_pool_leave(call.plan.pool, &call.plan.options);
    return status;
}

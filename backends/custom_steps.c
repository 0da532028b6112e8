/* SPDX-License-Identifier: BSD-3-Clause */
/* custom_steps.c - next, execute and report: what the workers of a registered backend do (see custom_run.h). */
#include "backends/custom_run.h"

#include "base/binding.h"
#include "base/clock.h"
#include "base/fpu.h"
#include "base/status.h"

#include <string.h>
#include <unistd.h>

/* --------------------------------------------------------------------- next */

static bool take(struct loom_custom_seat *seat, size_t *begin, size_t *end)
{
    struct loom_custom_run *run = seat->run;
    if (!run->local.run->is_static) return loom_local_take(&run->local, &seat->pace, begin, end);
    if (!loom_local_take_own(&run->local, &seat->ticket, begin, end)) return false;
    (void)loom_sub_full(&run->untaken, 1); /* pairs with the caller, who waits for the last */
    return true;
}

static void note_cancelled(struct loom_local *local, size_t begin, size_t end)
{
    pthread_mutex_lock(&local->lock);
    loom_tally_note(local->run->tally, begin, end, PARLOOM_ERR_CANCELLED);
    pthread_mutex_unlock(&local->lock);
}

/* Tasks beyond the bound are not handed out, but taken: they are nobody else's. */
static bool claim(struct loom_custom_seat *seat)
{
    struct loom_local *local = &seat->run->local;
    size_t begin, end;
    if (loom_local_needs_look(local->run)) (void)loom_local_is_over(local, loom_clock_ns());
    while (take(seat, &begin, &end)) {
        if (begin >= loom_load_relaxed(&local->stop_before)) { /* relaxed: a late look runs one chunk more */
            note_cancelled(local, begin, end);
            continue;
        }
        seat->next = seat->run_to = begin;
        seat->end = end;
        seat->is_first = true;
        return true;
    }
    return false;
}

static bool next(struct loom_custom_seat *seat, int worker, parloom_backend_chunk *chunk_out)
{
    struct loom_custom_run *run = seat->run;
    if (seat->next < seat->end) {
        loom_custom_blame(run, "worker %d asked for tasks before it had reported [%zu, %zu)", worker, seat->next,
                          seat->end);
        return false;
    }
    (void)loom_add_full(&run->open, 1); /* before the counter moves: pairs with the caller, who looks at both */
    if (claim(seat)) {
        *chunk_out = (parloom_backend_chunk){ seat->next, seat->end };
        return true;
    }
    (void)loom_sub_full(&run->open, 1);
    return false;
}

bool parloom_backend_next(parloom_backend_run *handle, int worker, parloom_backend_chunk *chunk_out)
{
    struct loom_custom_run *run = loom_custom_handle_enter(handle);
    if (run == NULL) return false;
    struct loom_custom_seat *seat = loom_custom_sit(run, worker);
    bool has_more = seat != NULL && next(seat, worker, chunk_out);
    if (seat != NULL) loom_custom_leave(seat);
    if (!has_more) loom_custom_tell_caller(run);
    loom_custom_handle_leave(handle);
    return has_more;
}

/* ------------------------------------------------------------------ execute */

static void give_up(struct loom_custom_run *run, const parloom_error *error)
{
    loom_local_give_up(&run->local, error);
    loom_custom_lower(run, 0);
}

static void not_started(parloom_backend_result *result, size_t from)
{
    result->failed = from;
    result->status = PARLOOM_ERR_CANCELLED;
}

/* The result has room for one failure: the shift stops behind it, and goes on in the next execute. */
static void tell(struct loom_shift *shift, size_t begin, size_t end, const parloom_error *error)
{
    struct loom_custom_seat *seat = shift->tell_state;
    parloom_backend_result *result = seat->filling;
    if (error == NULL && result->status != PARLOOM_OK) {
        result->end = begin; /* behind what failed */
    } else if (error == NULL) {
        not_started(result, begin);
    } else {
        result->failed = begin;
        result->end = end;
        result->status = error->status;
        result->error = *error;
        loom_shift_lower(&seat->bound, end);
        if (!seat->run->local.run->go_on) loom_custom_lower(seat->run, begin);
    }
}

static void refuse(struct loom_shift *shift, const parloom_error *error)
{
    struct loom_custom_seat *seat = shift->tell_state;
    give_up(seat->run, error);
}

static parloom_status look(struct loom_shift *shift)
{
    struct loom_custom_seat *seat = shift->tell_state;
    parloom_status status = loom_local_look(shift);
    uint64_t bound = loom_load_relaxed(&seat->run->local.stop_before); /* relaxed: a late look runs one task more */
    loom_shift_lower(&seat->bound, bound);
    return status;
}

static bool begin_shift(struct loom_custom_seat *seat, int worker)
{
    parloom_error error;
    struct loom_shift *shift = &seat->worker.shift;
    const struct loom_run *run = seat->run->local.run;
    if (loom_shift_begin(shift, run, worker, &error) != PARLOOM_OK) {
        give_up(seat->run, &error);
        return false;
    }
    shift->current = &seat->worker.current;
    shift->range_begin = &seat->worker.range_begin;
    shift->range_end = &seat->worker.range_end;
    shift->stop_before = &seat->bound;
    shift->tell = tell;
    shift->refuse = refuse;
    shift->record = loom_local_record;
    shift->tell_state = seat;
    seat->worker.stride = 1;
    shift->look = loom_local_needs_look(run) ? look : NULL;
    shift->look_state = &seat->worker;
    seat->is_begun = true;
    return true;
}

/* That of the call, also where it is lowered meanwhile: who lowers it writes the call's before the seats'. */
static void raise_bound(struct loom_custom_seat *seat)
{
    _Atomic uint64_t *of_call = &seat->run->local.stop_before;
    loom_store_full(&seat->bound, loom_load_full(of_call)); /* pairs with lower in custom_run.c */
    loom_shift_lower(&seat->bound, loom_load_full(of_call));
}

static void run_tasks(struct loom_custom_seat *seat, int worker, const parloom_backend_chunk *chunk)
{
    struct loom_shift *shift = &seat->worker.shift;
    bool is_new = !seat->is_begun;
    seat->worker.is_caller = pthread_equal(seat->run->caller, pthread_self());
    if (is_new && !begin_shift(seat, worker)) {
        not_started(seat->filling, chunk->begin);
        return;
    }
    (void)loom_local_init(&seat->run->local, seat->run->crew, worker); /* if not, nothing is started any more */
    raise_bound(seat);
    if (is_new)
        loom_shift_enter(shift);
    else
        loom_shift_resume(shift);
    if (seat->is_first)
        (void)loom_shift_run(shift, chunk->begin, chunk->end);
    else
        (void)loom_shift_run_rest(shift, chunk->begin, chunk->end);
    loom_shift_leave(shift);
    seat->is_first = false;
}

/* In the environment of the caller: its rounding, and as many threads inside tasks as the call says; where the call
 * puts this worker. The thread is the backend's, and goes back to where it was. */
static void run_as_caller(struct loom_custom_seat *seat, int worker, const parloom_backend_chunk *chunk)
{
    const struct loom_run *run = seat->run->local.run;
    uint64_t control = loom_fpu_read();
    struct loom_binding binding;
    struct loom_inner_of_thread before;
    loom_inner_threads_enter(&run->inner, &seat->run->local.inner, &before);
    /* After OpenMP has heard of the thread: libomp puts those that are new to it on all CPUs. */
    loom_binding_enter(&binding, run->placement, worker);
    loom_fpu_write(run->fp_control);
    run_tasks(seat, worker, chunk);
    loom_binding_leave(&binding);
    loom_inner_threads_leave(&before);
    loom_fpu_write(control);
}

/* Why a worker could not go on: in a child of the program nobody else knows. */
static void take_failure(struct loom_local *local, parloom_error *error)
{
    pthread_mutex_lock(&local->lock);
    if (local->failure != PARLOOM_OK) *error = local->error;
    pthread_mutex_unlock(&local->lock);
}

static void execute(struct loom_custom_seat *seat, int worker, parloom_backend_chunk *chunk,
                    parloom_backend_result *result)
{
    memset(result, 0, sizeof *result);
    loom_status_clear(&result->error);
    result->begin = chunk->begin;
    result->end = chunk->end;
    seat->filling = result;
    run_as_caller(seat, worker, chunk);
    if (result->status == PARLOOM_OK) result->failed = result->end;
    if (result->status == PARLOOM_ERR_CANCELLED) take_failure(&seat->run->local, &result->error);
    chunk->begin = result->end;
    seat->is_executed = true;
    seat->out_end = result->end;
    seat->out_failed = result->failed;
    seat->out_status = result->status;
    seat->run_to = result->end;
}

/* Whether these are tasks that the worker has and that were not run. */
static bool may_execute(struct loom_custom_seat *seat, int worker, const parloom_backend_chunk *chunk)
{
    bool is_own = chunk->begin == seat->run_to && chunk->end == seat->end && !seat->is_executed;
    if (chunk->begin == chunk->end || is_own) return chunk->begin < chunk->end;
    loom_custom_blame(seat->run, "worker %d was to run tasks [%zu, %zu): it %s", worker, chunk->begin, chunk->end,
                      seat->is_executed ? "has not reported those it ran before" : "does not have them");
    return false;
}

static bool execute_here(struct loom_custom_run *run, int worker, parloom_backend_chunk *chunk,
                         parloom_backend_result *result_out)
{
    struct loom_custom_seat *seat = loom_custom_sit(run, worker);
    if (seat == NULL) return false;
    bool may = may_execute(seat, worker, chunk);
    if (may) {
        (void)loom_add_full(&run->executing, 1); /* pairs with the end of the call */
        execute(seat, worker, chunk, result_out);
        (void)loom_sub_full(&run->executing, 1);
    }
    loom_custom_leave(seat);
    return may;
}

/* In a process that run forked: what was claimed since is not known here, and is checked where it is reported. */
static bool execute_in_child(struct loom_custom_run *run, int worker, parloom_backend_chunk *chunk,
                             parloom_backend_result *result_out)
{
    if (worker < 0 || worker >= run->n_seats || chunk->begin >= chunk->end || chunk->end > run->local.run->n)
        return false;
    run->seats[worker].is_first = true;
    execute(&run->seats[worker], worker, chunk, result_out);
    return true;
}

bool parloom_backend_execute(parloom_backend_run *handle, int worker, parloom_backend_chunk *chunk,
                             parloom_backend_result *result_out)
{
    struct loom_custom_run *run = loom_custom_handle_enter(handle);
    if (run == NULL) return false;
    bool is_child = run->custom->backend.memory != LOOM_MEMORY_SAME && getpid() != run->pid;
    bool is_done =
        is_child ? execute_in_child(run, worker, chunk, result_out) : execute_here(run, worker, chunk, result_out);
    loom_custom_handle_leave(handle);
    return is_done;
}

/* ------------------------------------------------------------------- report */

static bool is_status_of_tasks(const struct loom_custom_run *run, parloom_status status)
{
    if (status == PARLOOM_ERR_CRASHED || status == PARLOOM_ERR_EXITED)
        return run->custom->backend.memory != LOOM_MEMORY_SAME;
    return status == PARLOOM_OK || status == PARLOOM_ERR_TASK || status == PARLOOM_ERR_TIMEOUT ||
           status == PARLOOM_ERR_CANCELLED;
}

/* Not started: by a call that stops, or because the worker could not go on. */
static bool is_cancelled_rightly(struct loom_custom_run *run, const parloom_backend_result *result)
{
    if (result->status != PARLOOM_ERR_CANCELLED || result->error.status != PARLOOM_OK) return true;
    (void)loom_local_is_over(&run->local, loom_clock_ns());
    return loom_load_full(&run->local.stop_before) <= result->failed;
}

/* What is wrong with it; NULL: nothing. */
static const char *find_fault(struct loom_custom_seat *seat, const parloom_backend_result *result)
{
    struct loom_custom_run *run = seat->run;
    bool is_here = run->custom->backend.memory == LOOM_MEMORY_SAME;
    if (result->begin >= result->end) return "there are none";
    if (result->begin < seat->next || result->end > seat->end || seat->next == seat->end)
        return "it does not have them, or they were reported before";
    if (result->begin > seat->next) return "others before them were not reported";
    if (result->failed < result->begin || result->failed > result->end) return "the failed one is not among them";
    if (!is_status_of_tasks(run, result->status)) return "tasks cannot end so on this backend";
    if ((result->status == PARLOOM_OK) != (result->failed == result->end)) return "status and failed differ";
    if (!is_cancelled_rightly(run, result)) return "nothing has stopped the call";
    if (!seat->is_executed) return is_here ? "they were not run" : NULL;
    if (result->end != seat->out_end || result->failed != seat->out_failed || result->status != seat->out_status)
        return "they did not end so";
    return NULL;
}

static void note(struct loom_custom_run *run, int worker, const parloom_backend_result *result)
{
    struct loom_local *local = &run->local;
    parloom_error error = result->error;
    error.message[sizeof error.message - 1] = '\0';
    error.worker = worker;
    pthread_mutex_lock(&local->lock);
    if (result->status == PARLOOM_ERR_CANCELLED)
        loom_tally_note(local->run->tally, result->failed, result->end, PARLOOM_ERR_CANCELLED);
    else
        loom_tally_fail(local->run->tally, result->failed, result->end, result->status, &error);
    pthread_mutex_unlock(&local->lock);
    if (result->status == PARLOOM_ERR_CANCELLED && error.status != PARLOOM_OK) {
        give_up(run, &error);
    } else if (!local->run->go_on) {
        loom_custom_lower(run, result->failed);
    }
}

static void accept(struct loom_custom_seat *seat, int worker, const parloom_backend_result *result)
{
    struct loom_custom_run *run = seat->run;
    if (result->failed < result->end) note(run, worker, result);
    (void)loom_add_relaxed(&run->local.done, result->end - result->begin); /* relaxed: progress only */
    seat->next = result->end;
    if (seat->run_to < seat->next) seat->run_to = seat->next;
    seat->is_executed = false;
    if (seat->next == seat->end) (void)loom_sub_full(&run->open, 1); /* pairs with the caller, who waits */
}

parloom_status parloom_backend_report(parloom_backend_run *handle, int worker, const parloom_backend_result *result)
{
    struct loom_custom_run *run = loom_custom_handle_enter(handle);
    if (run == NULL) return PARLOOM_ERR_INVALID;
    struct loom_custom_seat *seat = loom_custom_sit(run, worker);
    const char *fault = seat != NULL ? find_fault(seat, result) : "";
    if (fault == NULL)
        accept(seat, worker, result);
    else if (seat != NULL)
        loom_custom_blame(run, "worker %d reported tasks [%zu, %zu) as %s: %s", worker, result->begin, result->end,
                          parloom_status_name(result->status), fault);
    if (seat != NULL) loom_custom_leave(seat);
    loom_custom_tell_caller(run);
    loom_custom_handle_leave(handle);
    return fault == NULL ? PARLOOM_OK : PARLOOM_ERR_INVALID;
}

void parloom_backend_work(parloom_backend_run *run, int worker)
{
    parloom_backend_chunk chunk;
    parloom_backend_result result;
    while (parloom_backend_next(run, worker, &chunk))
        while (parloom_backend_execute(run, worker, &chunk, &result))
            (void)parloom_backend_report(run, worker, &result);
}

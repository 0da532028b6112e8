/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shift.c - the loop that runs a chunk, for all backends (see shift.h).
 *
 * Path of a task: bound checked, arguments moved, current written, body called, failure told. In an index loop the
 * next store of current says that the task before has ended: one store a task.
 */
#include "backends/shift.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/stop.h"
#include "shm/alloc.h"
#include "shm/segment.h"
#include "shm/window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const volatile uint32_t always_here = 1;    /* in the caller's own process nobody watches for forks */
static _Thread_local struct loom_shift *innermost; /* of this thread */

struct loom_shift *loom_shift_current(void)
{
    return innermost;
}

size_t loom_shift_task(const struct loom_shift *shift)
{
    if (!shift->is_range) return shift->task.index;
    uint64_t current = loom_load_relaxed(shift->current); /* relaxed: this thread wrote it */
    size_t index = (size_t)LOOM_SHIFT_INDEX(current);
    bool is_announced = (current & LOOM_SHIFT_ANNOUNCED) != 0 && index >= shift->task.begin && index < shift->task.end;
    return is_announced ? index : shift->task.begin;
}

int loom_shift_level(void)
{
    return innermost != NULL ? innermost->task.level + 1 : 0;
}

int loom_shift_parallel_level(void)
{
    return innermost != NULL ? innermost->parallel_level : 0;
}

int loom_shift_cores(void)
{
    return innermost != NULL ? innermost->cores : 0;
}

const parloom_options *loom_shift_scope(void)
{
    return innermost != NULL ? innermost->scope : NULL;
}

/* Where nobody else watches the clock (threads, sequential), the body that asks does. */
bool loom_shift_is_cancelled(const struct loom_shift *shift)
{
    for (; shift != NULL; shift = shift->around) {
        if (loom_load_acquire(shift->stop_before) == 0) return true; /* first: a closed stream's stop may be gone */
        if (loom_stop_is_requested(shift->stop) || loom_stop_is_requested(shift->interrupt)) return true;
        if (shift->look != NULL && shift->deadline_ns != LOOM_NEVER_NS && loom_clock_ns() >= shift->deadline_ns)
            return true;
    }
    return false;
}

bool loom_shift_run_is_cancelled(const struct loom_run *run)
{
    return loom_stop_is_requested(run->stop) || loom_stop_is_requested(run->interrupt) ||
           loom_shift_is_cancelled(run->around);
}

const char *loom_shift_run_canceller(const struct loom_run *run)
{
    if (loom_stop_is_requested(run->stop)) return "through its stop";
    return loom_stop_is_requested(run->interrupt) ? "by an interrupt (Ctrl-C)" : "with the task that made it";
}

/* Whether the task was told so: what it returns then is no failure of its own. */
static bool was_told(const struct loom_shift *shift)
{
    return loom_load_relaxed(&shift->cancelled_at) == (uint64_t)shift->task.begin + 1; /* relaxed: its own threads */
}

static parloom_status make_room(struct loom_shift *shift, size_t room, parloom_error *error)
{
    shift->args = loom_memory_zeroed(room, sizeof *shift->args);
    shift->arrays = loom_memory_zeroed(room, sizeof *shift->arrays);
    shift->private_copies = loom_memory_zeroed(room, sizeof *shift->private_copies);
    shift->args_room = room;
    if (shift->args != NULL && shift->arrays != NULL && shift->private_copies != NULL) return PARLOOM_OK;
    loom_shift_end(shift);
    return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for %zu arguments in a worker", room);
}

parloom_status loom_shift_begin(struct loom_shift *shift, const struct loom_run *run, int worker, parloom_error *error)
{
    memset(shift, 0, offsetof(struct loom_shift, message));
    shift->task.count = run->n;
    shift->task.worker = worker;
    shift->task.n_jobs = run->n_jobs;
    shift->task.level = run->level;
    shift->task.backend = run->backend_name;
    shift->task.internal = shift;
    shift->works = run->works;
    shift->n = run->n;
    shift->is_list = run->is_list;
    shift->is_range = run->is_range;
    shift->go_on = run->go_on;
    shift->cut = run->batch_size;
    shift->block_size = run->block_size;
    shift->stop = run->stop;
    shift->interrupt = run->interrupt;
    shift->around = run->around;
    shift->is_stoppable = loom_shift_run_is_stoppable(run) || run->deadline_ns != LOOM_NEVER_NS;
    shift->parallel_level = run->parallel_level;
    shift->cores = run->cores;
    shift->inner = run->inner;
    shift->channels = run->channels;
    shift->is_here = &always_here;
    shift->scope = run->scope;
    shift->deadline_ns = run->deadline_ns;
    return make_room(shift, run->most_arguments > 0 ? run->most_arguments : 1, error);
}

static void *as_pointer(uint64_t address)
{
    return (void *)(uintptr_t)address;
}

/* A copy-on-write argument in the window is mapped once more; elsewhere (threads, fork) it is copied. */
static bool is_mapped(const struct loom_argument *argument)
{
    return loom_window_contains(as_pointer(argument->address));
}

/* How far into its 64 bytes an argument begins: a copy does the same. */
static size_t lead_of(const struct loom_argument *argument)
{
    return (size_t)(argument->address % 64);
}

static void drop_private_copies(struct loom_shift *shift)
{
    if (shift->work == NULL || shift->private_copies == NULL) return;
    for (size_t k = 0; k < shift->work->n_arguments; k++) {
        const struct loom_argument *argument = &shift->work->arguments[k];
        if (shift->private_copies[k] == NULL) continue;
        if (is_mapped(argument))
            loom_segment_unmap_private(shift->private_copies[k], argument->nbytes);
        else
            free((char *)shift->private_copies[k] - lead_of(argument));
        shift->private_copies[k] = NULL;
    }
}

void loom_shift_end(struct loom_shift *shift)
{
    drop_private_copies(shift);
    free(shift->args);
    free(shift->arrays);
    free(shift->private_copies);
    free(shift->scratch);
    shift->args = NULL;
    shift->arrays = NULL;
    shift->private_copies = NULL;
    shift->args_room = 0;
    shift->scratch = NULL;
    shift->scratch_nbytes = 0;
    shift->work = NULL;
}

parloom_status loom_shift_widen(struct loom_shift *shift, size_t n_arguments, parloom_error *error)
{
    if (n_arguments <= shift->args_room) return PARLOOM_OK;
    loom_shift_forget_work(shift);
    free(shift->args);
    free(shift->arrays);
    free(shift->private_copies);
    return make_room(shift, n_arguments, error);
}

void loom_shift_forget_work(struct loom_shift *shift)
{
    drop_private_copies(shift);
    shift->work = NULL;
}

void loom_shift_lower(_Atomic uint64_t *bound, uint64_t to)
{
    uint64_t seen = loom_load_relaxed(bound);
    while (seen > to && !loom_cas_relaxed(bound, &seen, to)) {
        /* relaxed: the bound orders no other data; who reads it late runs one task more, which is allowed */
    }
}

static void *make_private(const struct loom_argument *argument)
{
    if (is_mapped(argument)) return loom_segment_map_private(as_pointer(argument->address), argument->nbytes);
    char *copy = loom_memory_aligned(64, loom_memory_round_up(argument->nbytes + lead_of(argument), 64));
    return copy != NULL ? copy + lead_of(argument) : NULL;
}

/* Never the caller's own bytes instead: the task may write. */
static bool refuse_private(struct loom_shift *shift, const struct loom_argument *argument)
{
    parloom_error error;
    loom_status_fail(&error, PARLOOM_ERR_MEMORY, errno,
                     "no memory in worker %d for its own view of %zu bytes (mmap_mode c): %m; use fewer workers or "
                     "mmap_mode r (PARLOOM_MMAP_R)",
                     shift->task.worker, (size_t)argument->nbytes);
    shift->refuse(shift, &error);
    return false;
}

/* mmap_mode c: the worker's own view of the argument, whose bytes come back as the caller's before each task. */
static bool set_private(struct loom_shift *shift, size_t k, const struct loom_argument *argument)
{
    void *copy = make_private(argument);
    shift->private_copies[k] = copy;
    if (copy == NULL) return refuse_private(shift, argument);
    if (argument->form == LOOM_ARGUMENT_ARRAY) {
        ptrdiff_t first = (const char *)shift->arrays[k].data - (const char *)as_pointer(argument->address);
        shift->arrays[k].data = (char *)copy + first;
    } else {
        shift->args[k] = copy;
    }
    shift->has_moving = true;
    return true;
}

/* What tasks [begin, end) may have a look at: their elements, or all of it. */
static bool restore_private(char *copy, const struct loom_argument *argument, size_t begin, size_t end)
{
    size_t first = 0, nbytes = (size_t)argument->nbytes;
    if (argument->form == LOOM_ARGUMENT_EACH) {
        first = begin * (size_t)argument->stride;
        nbytes = (end - begin) * (size_t)argument->stride;
    }
    if (is_mapped(argument)) return loom_segment_restore_private(copy + first, nbytes) == 0;
    memcpy(copy + first, (const char *)as_pointer(argument->address) + first, nbytes);
    return true;
}

/* False: the call was refused. */
static bool set_arguments(struct loom_shift *shift, const struct loom_work *work)
{
    drop_private_copies(shift);
    shift->work = work;
    shift->has_moving = false;
    for (size_t k = 0; k < work->n_arguments; k++) {
        const struct loom_argument *argument = &work->arguments[k];
        shift->args[k] = as_pointer(argument->address);
        if (argument->form == LOOM_ARGUMENT_ARRAY) {
            shift->arrays[k] = *(const parloom_array *)as_pointer(argument->array);
            shift->args[k] = &shift->arrays[k];
        }
        if (argument->form == LOOM_ARGUMENT_EACH) shift->has_moving = true;
        if (argument->copy_on_write && argument->nbytes > 0 && !set_private(shift, k, argument)) return false;
    }
    return true;
}

/* False: the call was refused. */
static bool move_arguments(struct loom_shift *shift, size_t begin, size_t end)
{
    for (size_t k = 0; k < shift->work->n_arguments; k++) {
        const struct loom_argument *argument = &shift->work->arguments[k];
        if (shift->private_copies[k] != NULL && !restore_private(shift->private_copies[k], argument, begin, end))
            return refuse_private(shift, argument);
        if (argument->form != LOOM_ARGUMENT_EACH) continue;
        char *first = shift->private_copies[k] != NULL ? shift->private_copies[k] : as_pointer(argument->address);
        shift->args[k] = first + begin * argument->stride;
    }
    return true;
}

/* A block starts from the neutral element, also when it is run again. */
static void begin_block(struct loom_shift *shift, size_t index)
{
    size_t block = index / shift->block_size;
    for (size_t k = 0; k < shift->work->n_arguments; k++) {
        const struct loom_argument *argument = &shift->work->arguments[k];
        if (argument->form != LOOM_ARGUMENT_REDUCE) continue;
        shift->args[k] = as_pointer(argument->address + (uint64_t)block * argument->stride);
        memcpy(shift->args[k], as_pointer(argument->neutral), argument->nbytes);
    }
}

/* Once the program has decided to stop at the first error, what lies beyond it is not started any more. */
static void tell_failure(struct loom_shift *shift, size_t begin, size_t end, int code, parloom_status status)
{
    parloom_error error;
    if (status == PARLOOM_ERR_TASK && was_told(shift)) {
        shift->has_message = false;
        shift->tell(shift, begin, end, NULL); /* it ended early, as it was asked to */
        return;
    }
    memset(&error, 0, sizeof error);
    error.status = status;
    error.code = code;
    error.attempt = shift->task.attempt;
    error.worker = shift->task.worker;
    if (shift->has_message && shift->message_begin == shift->task.begin)
        memcpy(error.message, shift->message, sizeof error.message);
    shift->has_message = false;
    shift->tell(shift, begin, end, &error);
    if (!shift->go_on) loom_shift_lower(shift->stop_before, begin);
}

/* After a task where this thread itself watches the clock; not after those that the look before has excused. */
static inline parloom_status ask(struct loom_shift *shift)
{
    if (shift->look == NULL) return PARLOOM_OK;
    if (shift->looks_excused == 0) return shift->look(shift);
    shift->looks_excused--;
    return PARLOOM_OK;
}

static inline void look(struct loom_shift *shift, size_t begin, size_t end, int code)
{
    parloom_status status = ask(shift);
    if (status != PARLOOM_OK) /* past the limit: as where its worker would have been killed, whatever it returned */
        tell_failure(shift, begin, end, code, status);
    else if (code != 0)
        tell_failure(shift, begin, end, code, PARLOOM_ERR_TASK);
}

static bool is_skipped(const struct loom_shift *shift, size_t index)
{
    for (size_t k = 0; k < shift->n_skips; k++)
        if (shift->skips[k] == index) return true;
    return false;
}

/* False: the call was refused, and this task is not run. */
static inline bool begin_task(struct loom_shift *shift, size_t begin, size_t end)
{
    shift->task.index = begin;
    shift->task.begin = begin;
    shift->task.end = end;
    return !shift->has_moving || move_arguments(shift, begin, end);
}

/* Returns the first index that was not run. */
static size_t run_indices(struct loom_shift *shift, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++) {
        /* relaxed: a late look runs one task more */
        if (i >= loom_load_relaxed(shift->stop_before)) return i;
        if (shift->n_skips > 0 && is_skipped(shift, i)) continue;
        if (shift->is_list) {
            drop_private_copies(shift); /* before find_work: it may write the next work over this one */
            const struct loom_work *work = shift->works ? &shift->works[i] : shift->find_work(shift, i);
            if (work == NULL) return i;
            if (!set_arguments(shift, work)) return i;
        }
        if (!begin_task(shift, i, i + 1)) return i;
        /* release: what was told of the tasks before; pairs with the program's read after a death */
        loom_store_release(shift->current, (uint64_t)i + 1);
        int code = shift->work->body(&shift->task, shift->args);
        loom_shift_stay(shift->is_here);
        loom_alloc_task_next();
        if (code != 0 || shift->look != NULL) look(shift, i, i + 1, code);
    }
    return end;
}

/*
 * The same without what a plain shift has not: nothing moves, nothing is skipped, nobody looks. is_watched: in a worker
 * process, whose desk is read after a death, and whose tasks may fork. Each instruction counts in an empty task.
 */
static inline __attribute__((always_inline)) size_t run_plain(struct loom_shift *shift, size_t begin, size_t end,
                                                              bool is_watched)
{
    parloom_body body = shift->work->body;
    void *const *args = shift->args;
    parloom_task *task = &shift->task;
    _Atomic uint64_t *current = shift->current, *stop_before = shift->stop_before;
    const volatile uint32_t *is_here = shift->is_here;
    for (size_t i = begin; i < end; i++) {
        if (i >= loom_load_relaxed(stop_before)) return i; /* relaxed: as above */
        task->index = i;
        task->begin = i;
        task->end = i + 1;
        if (is_watched) loom_store_release(current, (uint64_t)i + 1); /* release: as above */
        int code = body(task, args);
        if (is_watched) loom_shift_stay(is_here);
        loom_alloc_task_next();
        if (__builtin_expect(code != 0, 0)) tell_failure(shift, i, i + 1, code, PARLOOM_ERR_TASK);
    }
    return end;
}

static size_t run_plain_indices(struct loom_shift *shift, size_t begin, size_t end)
{
    return shift->is_here == &always_here ? run_plain(shift, begin, end, false) : run_plain(shift, begin, end, true);
}

static size_t end_of_range(const struct loom_shift *shift, size_t begin, size_t end)
{
    if (shift->cut > 0 && end - begin > shift->cut - begin % shift->cut)
        end = begin + (shift->cut - begin % shift->cut);
    for (size_t k = 0; k < shift->n_skips; k++)
        if (shift->skips[k] > begin && shift->skips[k] < end) end = (size_t)shift->skips[k];
    return end;
}

/* Tells what became of a range; returns up to where it is settled. An index outside of it was announced in error. */
static size_t look_at_range(struct loom_shift *shift, size_t begin, size_t end, int code)
{
    uint64_t current = loom_load_relaxed(shift->current); /* relaxed: this thread wrote it */
    size_t index = (size_t)LOOM_SHIFT_INDEX(current);
    bool is_announced = (current & LOOM_SHIFT_ANNOUNCED) != 0 && index >= begin && index < end;
    size_t settled = code != 0 && is_announced ? index + 1 : end;
    look(shift, is_announced ? index : begin, is_announced ? index + 1 : end, code);
    return settled;
}

/* One call of a range body; returns where to go on: behind the range, or behind the announced index that failed. Where
 * the call was refused instead, the bound is 0 now. */
static size_t run_range(struct loom_shift *shift, size_t begin, size_t end)
{
    if (!begin_task(shift, begin, end)) return begin;
    loom_store_relaxed(shift->range_begin, (uint64_t)begin); /* relaxed: ordered by the release of current below */
    loom_store_relaxed(shift->range_end, (uint64_t)end);
    loom_store_release(shift->current, (uint64_t)begin + 1); /* pairs with the program's read after a death */
    int code = shift->work->body(&shift->task, shift->args);
    loom_shift_stay(shift->is_here);
    loom_alloc_task_next();
    if (code != 0 || shift->look != NULL) end = look_at_range(shift, begin, end, code);
    /* release: what was told; before the words of the next range, which this one's index must not be read with */
    loom_store_release(shift->current, (uint64_t)end | LOOM_SHIFT_FINISHED);
    return end;
}

static size_t run_ranges(struct loom_shift *shift, size_t begin, size_t end)
{
    while (begin < end) {
        uint64_t bound = loom_load_relaxed(shift->stop_before); /* relaxed: as in run_indices */
        if (begin >= bound) return begin;
        if (shift->n_skips > 0 && is_skipped(shift, begin)) {
            begin++;
            continue;
        }
        size_t until = end_of_range(shift, begin, end);
        begin = run_range(shift, begin, until > bound ? (size_t)bound : until);
    }
    return end;
}

void loom_shift_resume(struct loom_shift *shift)
{
    shift->outer = innermost;
    innermost = shift;
    loom_alloc_task_begin();
}

void loom_shift_enter(struct loom_shift *shift)
{
    loom_shift_resume(shift);
    if (!shift->is_list) (void)set_arguments(shift, &shift->works[0]); /* refused: the bound is 0 */
    shift->is_plain = !shift->is_list && !shift->is_range && shift->block_size == 0 && shift->n_skips == 0 &&
                      !shift->has_moving && shift->look == NULL;
}

void loom_shift_leave(struct loom_shift *shift)
{
    loom_alloc_task_end();
    innermost = shift->outer;
}

bool loom_shift_run(struct loom_shift *shift, size_t begin, size_t end)
{
    if (shift->block_size > 0) begin_block(shift, begin);
    return loom_shift_run_rest(shift, begin, end);
}

bool loom_shift_run_rest(struct loom_shift *shift, size_t begin, size_t end)
{
    size_t stopped = shift->is_range   ? run_ranges(shift, begin, end)
                     : shift->is_plain ? run_plain_indices(shift, begin, end)
                                       : run_indices(shift, begin, end);
    /* release: results of the last task before FINISHED; pairs with the program's read after a death */
    loom_store_release(shift->current, loom_load_relaxed(shift->current) | LOOM_SHIFT_FINISHED);
    if (stopped < end) shift->tell(shift, stopped, end, NULL);
    return stopped == end;
}

void loom_shift_tell_plain(struct loom_shift *shift, size_t index, int code)
{
    if (code != 0)
        tell_failure(shift, index, index + 1, code, PARLOOM_ERR_TASK);
    else
        shift->tell(shift, index, index + 1, NULL);
}

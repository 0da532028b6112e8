/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shift.h - one worker's part in one call: the arguments as bodies see them, and the loop that runs a chunk.
 *
 * Every backend runs tasks through a shift, so that indices, ranges, elements, reductions, failures and the bound at
 * which to stop mean the same everywhere. A shift belongs to one thread. task->internal of a body points to it.
 */
#ifndef LOOM_BACKENDS_SHIFT_H
#define LOOM_BACKENDS_SHIFT_H

#include "backends/run.h"
#include "base/atomics.h"
#include "shm/alloc.h"

#include <unistd.h>

/*
 * What a worker is doing, in one word (of its desk, or its own): index + 1 of the task that was started last; 0 none.
 * FINISHED: that task has ended too, and what this worker had claimed before it. ANNOUNCED: a range body said so with
 * parloom_at. The words of a range are written only while current is FINISHED or 0, so that they belong together.
 */
#define LOOM_SHIFT_ANNOUNCED   ((uint64_t)1 << 63)
#define LOOM_SHIFT_FINISHED    ((uint64_t)1 << 62)
#define LOOM_SHIFT_INDEX(word) (((word) & ~(LOOM_SHIFT_ANNOUNCED | LOOM_SHIFT_FINISHED)) - 1)

struct loom_shift;

/* How a shift tells of tasks that did not end OK. error NULL: CANCELLED, not started. */
typedef void (*loom_shift_tell)(struct loom_shift *shift, size_t begin, size_t end, const parloom_error *error);

struct loom_shift {
    parloom_task task;
    const struct loom_work *works; /* bodies valid in this process; lists in workers: NULL, find_work is asked */
    const struct loom_work *(*find_work)(struct loom_shift *shift, size_t index);
    size_t n;
    bool is_list, is_range, go_on;
    size_t cut;            /* no range crosses a multiple of it; 0: no cut */
    size_t block_size;     /* reductions; 0: none */
    const uint64_t *skips; /* tasks that are not run again, sorted; repairs of reductions only */
    size_t n_skips;

    /* The worker's words: written here, read by the program after a death. */
    _Atomic uint64_t *current;     /* see above */
    _Atomic uint64_t *range_begin; /* of the range a range body has now; written before current */
    _Atomic uint64_t *range_end;
    _Atomic uint64_t *stop_before; /* tasks at or beyond are not started; lowered by whoever sees an error */

    /* What parloom_record does; channels NULL: nothing is collected. */
    const struct loom_channels *channels;
    parloom_status (*record)(struct loom_shift *shift, size_t task, uint32_t channel, const void *data, size_t nbytes);

    loom_shift_tell tell;
    void *tell_state;                                                      /* also of warn, refuse and record */
    void (*warn)(struct loom_shift *shift, size_t task, const char *text); /* tells of what is no failure */
    /* The call cannot go on in this worker: the program is to know why, and nothing more is started. */
    void (*refuse)(struct loom_shift *shift, const parloom_error *error);
    /* Hands a result to whoever reads it (parloom_return); NULL: nobody does. */
    parloom_status (*give)(struct loom_shift *shift, const void *data, size_t nbytes);
    /* Asked between tasks where nobody else watches deadline and stop (threads, sequential); NULL: not asked.
     * Returns the status the task that just ended gets (OK, or TIMEOUT). */
    parloom_status (*look)(struct loom_shift *shift);
    void *look_state;
    uint32_t looks_excused; /* after how many tasks it is not asked: set by look, which may cost more than a task */
    const volatile uint32_t *is_here; /* 0 in a process that a body forked: it must not go on as the worker */
    uint64_t deadline_ns;             /* of the call, where look is set */
    const parloom_options *scope;     /* of the run: what calls made inside tasks fall back to */
    /* For parloom_cancelled, as in a run; what a worker cannot read (the program's private memory) is NULL, and the
     * program, which looks for it, lowers stop_before. */
    const parloom_stop *stop, *interrupt;
    const struct loom_shift *around;
    bool is_stoppable;             /* something may cancel the call: calls made inside tasks look for it too */
    _Atomic uint64_t cancelled_at; /* begin + 1 of the task that was told it is cancelled; its threads may write it */
    /* For calls made inside tasks, as in a run. */
    int parallel_level, cores;
    struct loom_inner_threads inner;

    /* Of the current work. */
    void **args;
    parloom_array *arrays; /* what bodies get for array arguments: copies of their own */
    void **private_copies; /* mmap_mode c: this worker's own, restored before each task */
    size_t args_room;
    const struct loom_work *work; /* that args belong to */
    bool has_moving;              /* EACH or copy_on_write among them: touched before each task */
    bool is_plain;                /* an index loop with nothing special about it: loom_shift_run_plain serves */
    struct loom_shift *outer;     /* that of this thread around this one, or NULL */

    void *scratch;
    size_t scratch_nbytes;
    bool has_message;
    size_t message_begin; /* of the task or range it belongs to: one that ended well leaves its message behind */
    char message[PARLOOM_MESSAGE_BYTES];
};

/* run: the call, with bodies and addresses valid here (works may be NULL, see find_work). Words and callbacks are set
 * by the caller afterwards; begin makes room for arguments. MEMORY. */
parloom_status loom_shift_begin(struct loom_shift *shift, const struct loom_run *run, int worker, parloom_error *error);
void loom_shift_end(struct loom_shift *shift);
/* Between tasks of a list: room for the arguments of the next. MEMORY. */
parloom_status loom_shift_widen(struct loom_shift *shift, size_t n_arguments, parloom_error *error);
/* The work that was run last is gone: nothing of it is looked at any more. */
void loom_shift_forget_work(struct loom_shift *shift);
/* Around all tasks of a shift, after its words were set. */
void loom_shift_enter(struct loom_shift *shift);
void loom_shift_leave(struct loom_shift *shift);
/* After a leave in the midst of a shift, between two tasks: what the thread did meanwhile was no task's. */
void loom_shift_resume(struct loom_shift *shift);
/* Runs tasks [begin, end), which lie in one block where there are blocks. Returns false when nothing beyond them will
 * be run either (stopped). */
bool loom_shift_run(struct loom_shift *shift, size_t begin, size_t end);
/* The same for what is left of a chunk of which this shift has run the beginning: a block goes on. */
bool loom_shift_run_rest(struct loom_shift *shift, size_t begin, size_t end);
/* A task that failed (code), or was not started any more (0): out of the way of the loop below. */
void loom_shift_tell_plain(struct loom_shift *shift, size_t index, int code);

/* After a body: only the process that called it comes back. One load of a word that fork wipes (getpid: 190 ns). */
static inline void loom_shift_stay(const volatile uint32_t *is_here)
{
    if (__builtin_expect(*is_here == 0, 0)) _exit(0); /* nothing is flushed: it is the worker's to write */
}

/*
 * One task of a plain shift, inline in the loop that claims tickets one by one: a call and the checks of the general
 * way would cost as much as the claim. False: stopped.
 */
static inline bool loom_shift_run_plain(struct loom_shift *shift, size_t index)
{
    if (__builtin_expect(index >= loom_load_relaxed(shift->stop_before), 0)) { /* relaxed: as in the general way */
        loom_shift_tell_plain(shift, index, 0);
        return false;
    }
    shift->task.index = index;
    shift->task.begin = index;
    shift->task.end = index + 1;
    /* release, both: what was told, and the results; pairs with the program's read after a death */
    loom_store_release(shift->current, (uint64_t)index + 1);
    int code = shift->work->body(&shift->task, shift->args);
    loom_shift_stay(shift->is_here);
    if (__builtin_expect(code != 0, 0)) loom_shift_tell_plain(shift, index, code);
    loom_store_release(shift->current, ((uint64_t)index + 1) | LOOM_SHIFT_FINISHED);
    loom_alloc_task_next();
    return true;
}

/* Lowers a bound, never raises it. */
void loom_shift_lower(_Atomic uint64_t *bound, uint64_t to);

/* The one whose task this thread is in now; NULL: outside of tasks. */
struct loom_shift *loom_shift_current(void);
/* The level of calls made by this thread now: 0 outside of tasks. */
int loom_shift_level(void);
/* The same, but calls that ran in their caller do not count. */
int loom_shift_parallel_level(void);
/* How many cores calls made by this thread now may fill: its task's share; 0: all. */
int loom_shift_cores(void);
/* Whether what the shift's tasks compute is no longer wanted; whether a call is to end. A load or two for each level.
 */
bool loom_shift_is_cancelled(const struct loom_shift *shift);
bool loom_shift_run_is_cancelled(const struct loom_run *run);
/* By what, for messages: "the call was cancelled %s". */
const char *loom_shift_run_canceller(const struct loom_run *run);
/* Whether something may cancel it while it runs, other than its deadline. */
static inline bool loom_shift_run_is_stoppable(const struct loom_run *run)
{
    return run->stop != NULL || run->interrupt != NULL || run->around != NULL;
}
/* The task that runs: in a range the one that was announced, else where it begins. */
size_t loom_shift_task(const struct loom_shift *shift);
/* What holds for those calls by a scope around the task that this thread is in; NULL: nothing. */
const parloom_options *loom_shift_scope(void);

#endif

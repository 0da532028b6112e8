/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parallel.h - the work: bodies and their arguments, loops, ranges and lists of calls.
 */
#ifndef PARLOOM_PARALLEL_H
#define PARLOOM_PARALLEL_H

#include <parloom/array.h>
#include <parloom/options.h>
#include <parloom/status.h>

#include <stdbool.h>
#include <stddef.h>

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

/* ---- bodies */

/* What a body is told. May be copied in a body; it grows at its end in later releases. */
typedef struct parloom_task {
    size_t index; /* which iteration or call */
    size_t begin; /* parloom_for_range: run [begin, end); else begin = index */
    size_t end;   /*                                      else end = index + 1 */
    size_t count; /* how many tasks the call has; 0 in a stream, which does not know, and in a future */
    int worker;   /* 0 .. n_jobs - 1, stable for the life of a worker */
    int n_jobs;
    int attempt; /* 0, then 1 .. for retries */
    int level;   /* 0 for a call of the program, 1 for one inside a task, ... */
    const char *backend;
    void *internal; /* for the functions below, which use nothing else of it */
} parloom_task;

/*
 * The work. args[k] is the k-th argument, valid in this process until the body returns: a pointer to the bytes for
 * parloom_in, _out and _inout, a parloom_array * for the array forms. A copy lies at the caller's address modulo 64.
 * Where nbytes is 0, args[k] is not to be read.
 *
 * Returns 0, or a code of its own that fails the task. It returns: exceptions and longjmp out of it are crashes (on
 * fork a longjmp into the caller is not noticed: the child goes on as the program, until it ends as EXITED). In worker
 * processes globals have their initial values, not what main wrote (on fork: what they held at the call). Environment
 * variables, working directory, locale and floating-point environment are the program's when the call is made; other
 * state follows by parloom_state_register (state.h). What a task changes of these stays changed for later tasks of the
 * call in that worker; what it changes of globals also for later calls: check_globals finds it, fresh_worker_every
 * cures it.
 */
typedef int (*parloom_body)(const parloom_task *task, void *const *args);

/*
 * Sets the message of this task's failure; to be written as the last thing a body does: return parloom_fail(...).
 *
 * task     of the body
 * code     what the body returns; 0: the task is OK and the message is dropped
 * format   as printf; cut to PARLOOM_MESSAGE_BYTES
 *
 * Returns: code.
 * Errors:  none.
 * Threads: in a task body, the thread that runs it.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/places/bootstrap.c
 */
int parloom_fail(const parloom_task *task, int code, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/*
 * Does what parloom_fail does, for languages without variable arguments.
 *
 * task     of the body
 * code     what the body returns; 0: the task is OK and the message is dropped
 * text     taken as it is; NULL: no message
 *
 * Returns: code.
 * Errors:  none.
 * Threads: in a task body, the thread that runs it.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/07_control.c
 */
int parloom_fail_text(const parloom_task *task, int code, const char *text);

/*
 * Asks whether this call has been cancelled, is past its limit, or runs in a task of which that is true: a long body
 * may look now and then, and return. A cancelled task that returns 0 is OK; other codes count as PARLOOM_ERR_CANCELLED,
 * and no longer as PARLOOM_ERR_TASK, once the task was told.
 *
 * task     of the body
 *
 * Returns: true when what it computes is no longer wanted.
 * Errors:  none.
 * Threads: in a task body, any of its threads.
 * Blocks:  never: a load or two.
 * Since:   0.1
 * Example: examples/07_control.c
 */
bool parloom_cancelled(const parloom_task *task);

/*
 * Says, in a range body: index begins now, and those before it in this range are done. What goes wrong from here on
 * (crash, limit, non-zero return) costs this index, and the rest of the range runs elsewhere. In a range whose body
 * never says so, it costs the whole range.
 *
 * task     of the body
 * index    begin to end - 1, ascending
 *
 * Returns: nothing.
 * Errors:  none.
 * Threads: in a task body, the thread that runs it.
 * Blocks:  never: one store.
 * Since:   0.1
 * Example: tests/accept/08_reduce.c
 */
void parloom_at(const parloom_task *task, size_t index);

/*
 * Gives memory of this worker: zero-filled when first asked for in a call, then the same in each of its tasks; freed
 * with the call. For work space that is dear to make.
 *
 * task     of the body
 * nbytes   bytes; asking for more than before keeps what was there and may move it
 *
 * Returns: borrows until the body returns; aligned to 64 bytes. NULL: no memory.
 * Errors:  none but NULL.
 * Threads: in a task body, the thread that runs it.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/places/bootstrap.c
 */
void *parloom_scratch(const parloom_task *task, size_t nbytes);

/* ---- arguments
 *
 * They say how data flows, never how large it is: a threshold changes speed, not meaning.
 *
 *   in     the task reads. Private memory: copied once per call, up to max_nbytes inline, above it spilled to shared
 *          memory and mapped by each worker. Shared memory: passed as it is.
 *   out    the task writes its part. Private memory: staged in shared memory and copied back once when the call ends.
 *          Shared memory: written in place. Tasks write disjoint parts.
 *   inout  both.
 *
 * Threads and sequential: the caller's own memory.
 *
 * A task does not write to an in, of whatever size (in processes it crashes, named as such; on fork it writes to the
 * child's own copy, and that is lost). While a call runs, its out and inout ranges are its own: nobody else reads or
 * writes them. All of a range is copied back, also when the call failed. Within one call a private range that is
 * written overlaps no other argument, unless both are out or inout: PARLOOM_ERR_INVALID (it would mean one thing on
 * threads and another in processes).
 */

/* One argument: made by the functions below, not by hand. */
typedef struct parloom_arg {
    int kind; /* opaque */
    int reserved;
    const void *data;
    size_t nbytes;
    const parloom_array *array; /* borrowed like data: until the call returns */
    size_t stride;
    void (*combine)(void *into, const void *from);
} parloom_arg;

/*
 * Makes an argument that tasks read.
 *
 * data     borrows until the call returns; NULL where nbytes is 0
 * nbytes   bytes; 0: args[k] is not to be read
 *
 * Returns: the argument.
 * Errors:  none here: the call checks it.
 * Threads: any thread.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/01_row_means.c
 */
parloom_arg parloom_in(const void *data, size_t nbytes);

/*
 * Makes an argument that tasks write, each its part. What no task writes stays as it was.
 *
 * data     borrows until the call returns; NULL where nbytes is 0
 * nbytes   bytes; 0: args[k] is not to be used
 *
 * Returns: the argument.
 * Errors:  none here: the call checks it.
 * Threads: any thread.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/01_row_means.c
 */
parloom_arg parloom_out(void *data, size_t nbytes);

/*
 * Makes an argument that tasks read and write, each its part.
 *
 * data     borrows until the call returns; NULL where nbytes is 0
 * nbytes   bytes; 0: args[k] is not to be used
 *
 * Returns: the argument.
 * Errors:  none here: the call checks it.
 * Threads: any thread.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/03_tuning.c
 */
parloom_arg parloom_inout(void *data, size_t nbytes);

/*
 * Makes an argument of an array that tasks read; args[k] is a const parloom_array *.
 *
 * array    borrows until the call returns, with its data
 *
 * Returns: the argument.
 * Errors:  none here: the call checks it.
 * Threads: any thread.
 * Blocks:  never.
 * Since:   0.1
 * Example: tests/accept/02_spill.c
 */
parloom_arg parloom_in_array(const parloom_array *array);

/*
 * Makes an argument of an array whose items tasks write; args[k] is a parloom_array *. Bytes between items stay.
 *
 * array    borrows until the call returns, with its data, which must be writable
 *
 * Returns: the argument.
 * Errors:  none here: the call checks it.
 * Threads: any thread.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/places/bootstrap.c
 */
parloom_arg parloom_out_array(const parloom_array *array);

/*
 * Makes an argument of an array whose items tasks read and write; args[k] is a parloom_array *. Bytes between items
 * stay.
 *
 * array    borrows until the call returns, with its data, which must be writable
 *
 * Returns: the argument.
 * Errors:  none here: the call checks it.
 * Threads: any thread.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/07_control.c
 */
parloom_arg parloom_inout_array(const parloom_array *array);

/*
 * Gives each task one element of an argument: args[k] points to that of the task (of begin, in a range). Out: only
 * elements of tasks that ended OK are copied back; inout: a retry starts from the caller's bytes. Loops only.
 *
 * arg      of parloom_in, _out, _inout or their array forms
 * stride   bytes from one element to the next, above 0; n elements must fit in arg
 *
 * Returns: the argument.
 * Errors:  none here: the call checks it.
 * Threads: any thread.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/01_row_means.c
 */
parloom_arg parloom_each(parloom_arg arg, size_t stride);

/*
 * Makes a reduction. args[k] is the accumulator of a block of tasks, data's bytes at first; accumulators are combined
 * into data in task order. Blocks depend on n and batch_size only: same bits for any n_jobs. A block in which a task
 * died is run again without it (so its other tasks may run twice). Loops only.
 *
 * data     borrows until the call returns; holds the neutral element, and the result afterwards
 * nbytes   bytes, above 0
 * combine  adds from to into; runs in the thread that made the call, after the tasks
 *
 * Returns: the argument.
 * Errors:  none here: the call checks it.
 * Threads: any thread.
 * Blocks:  never.
 * Since:   0.1
 * Example: tests/accept/08_reduce.c
 */
parloom_arg parloom_reduce(void *data, size_t nbytes, void (*combine)(void *into, const void *from));

/* ---- calls */

/*
 * Runs for (i = 0; i < n; i++) body(i) on the workers that options ask for.
 *
 * n        tasks; 0: nothing is run, no worker is started
 * body     the work of one index
 * args     borrows; n_args arguments, NULL where there are none
 * n_args   how many
 * options  borrows; NULL: all unset
 * error    NULL is fine; filled with the first failed task in task order, or with what refused the call
 *
 * Returns: PARLOOM_OK when every task ended OK. Results of tasks that ended OK, statuses, errors and report are
 *          delivered whatever it returns.
 * Errors, before any task has run:
 *   PARLOOM_ERR_INVALID      an argument or option makes no sense; ranges that overlap
 *   PARLOOM_ERR_UNSUPPORTED  the backend cannot do what was asked: a limit it cannot enforce, a fork beside threads, a
 *                            program that cannot be started again; an array whose items are in the other byte order
 *   PARLOOM_ERR_FUNCTION     the body is in no module that a worker could open
 *   PARLOOM_ERR_SPACE, PARLOOM_ERR_MEMORY, PARLOOM_ERR_LIMIT, PARLOOM_ERR_IO  arguments or workers cannot be had
 *   PARLOOM_ERR_VERSION      a module on disk is no longer the one that runs
 *   PARLOOM_ERR_BUSY         the pool is closing, or fills the statuses, errors or report of another call
 * In a task also PARLOOM_ERR_LIMIT: calls are nested more than PARLOOM_MAX_DEPTH (10) deep.
 * Errors of tasks (the first in task order counts):
 *   PARLOOM_ERR_TASK         the body returned non-zero: error.code
 *   PARLOOM_ERR_CRASHED      its worker died of a signal: error.signal, error.address
 *   PARLOOM_ERR_EXITED       it ended its process: error.code
 *   PARLOOM_ERR_TIMEOUT      it ran past task_timeout, or the call past timeout
 * Errors of the call as a whole:
 *   PARLOOM_ERR_CANCELLED    its stop was cancelled, or what it runs in; or Ctrl-C (parloom_interrupt_begin)
 *   PARLOOM_ERR_CALLBACK     worker_init failed: error.code
 *   PARLOOM_ERR_POOL         workers keep dying
 *   PARLOOM_ERR_INTERNAL     a defect in parloom
 * Threads: any thread, also in a task body; several at a time, also on one pool.
 * Blocks:  until every task has ended, a limit has passed or the call was cancelled; death of a worker never hangs it.
 * Since:   0.1
 * Example: examples/00_hello.c
 */
parloom_status parloom_for(size_t n, parloom_body body, const parloom_arg *args, size_t n_args,
                           const parloom_options *options, parloom_error *error);

/*
 * Runs the same loop, but the body gets ranges [task->begin, task->end) and loops itself: nothing is paid per index.
 *
 * n        tasks (indices); 0: nothing is run, no worker is started
 * body     the work of a range; says parloom_at before each index where a failure is to cost that index only
 * args     borrows; n_args arguments, NULL where there are none
 * n_args   how many
 * options  borrows; NULL: all unset. batch_size given: no range crosses a multiple of it
 * error    NULL is fine
 *
 * Returns: as parloom_for.
 * Errors:  as parloom_for; a failure in a range whose body never said parloom_at counts for all its indices.
 * Threads: as parloom_for.
 * Blocks:  as parloom_for.
 * Since:   0.1
 * Example: tests/accept/01_rows.c
 */
parloom_status parloom_for_range(size_t n, parloom_body body, const parloom_arg *args, size_t n_args,
                                 const parloom_options *options, parloom_error *error);

/* One delayed call: a function with its own arguments. */
typedef struct parloom_call {
    parloom_body function;
    const parloom_arg *args; /* borrowed until parloom_run or parloom_submit returns; from a source: stream.h */
    size_t n_args;           /* 0: args may be NULL */
} parloom_call;

/*
 * Runs unrelated calls; out arguments are filled in when it returns. A range that many of them are given is taken once.
 *
 * calls    borrows; n of them, call i is task i
 * n        how many; 0: nothing is run, no worker is started
 * options  borrows; NULL: all unset
 * error    NULL is fine
 *
 * Returns: as parloom_for.
 * Errors:  as parloom_for; parloom_each and parloom_reduce arguments are PARLOOM_ERR_INVALID here.
 * Threads: as parloom_for.
 * Blocks:  as parloom_for.
 * Since:   0.1
 * Example: tests/accept/02_spill.c
 */
parloom_status parloom_run(const parloom_call *calls, size_t n, const parloom_options *options, parloom_error *error);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif

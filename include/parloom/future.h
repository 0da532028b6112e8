/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * future.h - one call at a time, while the program goes on: submitted now, waited for later, or never.
 *
 *     parloom_submit(&future, &call, PARLOOM_OPTIONS(.n_jobs = -1), &error);
 *     ...
 *     parloom_future_wait(future, -1, &result, &error);
 *     use(&result);
 *     parloom_future_release(future);
 *
 * While futures have not ended, a thread of the library collects their results and runs their callbacks, so that they
 * end although nobody waits; when the last one has ended, so does the thread. The backend fork, which refuses programs
 * with threads, refuses them while there are such futures. Futures that have not ended when the program exits are
 * cancelled.
 */
#ifndef PARLOOM_FUTURE_H
#define PARLOOM_FUTURE_H

#include <parloom/options.h>
#include <parloom/parallel.h>
#include <parloom/status.h>
#include <parloom/stream.h>

#include <stdbool.h>
#include <stddef.h>

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

typedef struct parloom_future parloom_future;

typedef enum parloom_future_state {
    PARLOOM_FUTURE_PENDING = 0, /* no worker has begun it; also while it waits to be run again (retries) */
    PARLOOM_FUTURE_RUNNING,
    PARLOOM_FUTURE_CANCELLED, /* these three have ended */
    PARLOOM_FUTURE_DONE,
    PARLOOM_FUTURE_FAILED
} parloom_future_state;

/* What several futures are waited for. */
typedef enum parloom_until {
    PARLOOM_UNTIL_ALL = 0,
    PARLOOM_UNTIL_FIRST,      /* one has ended */
    PARLOOM_UNTIL_FIRST_ERROR /* one has FAILED, or all have ended */
} parloom_until;

/*
 * Called once when a future has ended, however it did: in the library's thread, or in that which cancelled it. No lock
 * is held: it may submit, cancel, add callbacks and release. It must not wait for futures that have not ended. Returns
 * 0, or a number of its own: that is logged, and the callbacks after it run all the same, as they do when it ends its
 * thread (pthread_exit).
 */
typedef int (*parloom_future_callback)(parloom_future *future, void *state);

/*
 * Submits one call: a worker runs its body once, with task->index 0. Futures that were submitted with the same options
 * share their workers' attention and begin in the order of submission.
 *
 * future_out set on success; end it with parloom_future_release
 * call       borrows; in arguments are copied on every backend, unless they are shared or published. out and inout
 *            arguments must be shared memory (parloom_alloc), borrowed until the future has ended. parloom_each and
 *            parloom_reduce are for loops. A result of any size is handed out with parloom_return
 * options    borrows; copied with their strings and worker_init_state. n_jobs says among how many workers: unset, one.
 *            timeout counts from now, time in which it waits for a worker included: a worker process is killed then; a
 *            thread cannot be, and goes on by itself. stop cancels all futures that were submitted with it, and is
 *            borrowed until they are released; a thread that goes on by itself reads it until its body returns. In
 *            worker processes it finds registered state, environment, working directory, locale and floating-point
 *            environment as they are now; what it records (record.h) is not collected. Statuses, errors, report,
 *            progress, verbose, on_error, pre_dispatch, batch_size and schedule do not apply. NULL: all unset
 * error      NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID      an option or the call makes no sense
 *   PARLOOM_ERR_UNSUPPORTED  the backend runs no futures (fork, registered ones, processes inside a task)
 *   PARLOOM_ERR_FUNCTION     the call's function cannot be reached from a worker
 *   PARLOOM_ERR_LIMIT        too many different options at once on one pool (8, streams included), too many processes,
 *                            threads or descriptors
 *   PARLOOM_ERR_MEMORY, PARLOOM_ERR_SPACE, PARLOOM_ERR_IO, PARLOOM_ERR_VERSION, PARLOOM_ERR_POOL  as for calls
 *   PARLOOM_ERR_CANCELLED    its stop is requested already
 *   PARLOOM_ERR_CALLBACK     worker_init, or the capture function of a state, failed; error->code is what it returned
 *   PARLOOM_ERR_BUSY         the pool is being closed, or the program is ending
 * Threads: any thread, also in a callback and in a task body: whose futures run on threads, or in the caller, and are
 *          to be waited for there, since they end with its worker.
 * Blocks:  for as long as starting workers and copying arguments takes. On the backend sequential it runs the body
 *          before it returns.
 * Since:   0.1
 * Example: examples/14_futures.c
 */
parloom_status parloom_submit(parloom_future **future_out, const parloom_call *call, const parloom_options *options,
                              parloom_error *error);

/*
 * Where a future is now.
 *
 * future   not released
 *
 * Returns: its state; one that has ended stays as it is.
 * Errors:  none.
 * Threads: any thread.
 * Blocks:  no.
 * Since:   0.1
 * Example: examples/14_futures.c
 */
parloom_future_state parloom_future_poll(parloom_future *future);

/*
 * A state as text: "pending", "running", "cancelled", "done" or "failed".
 *
 * state    any number
 *
 * Returns: static text; "unknown" for what is no state.
 * Errors:  none.
 * Threads: any thread.
 * Blocks:  no.
 * Since:   0.1
 * Example: examples/14_futures.c
 */
const char *parloom_future_state_name(parloom_future_state state);

/*
 * Waits until a future has ended.
 *
 * future     not released
 * timeout    seconds; 0: not at all; negative: for as long as it takes
 * result_out set on PARLOOM_OK: result_out->status says how it ended, CANCELLED included; index is 0. Its data is
 *            valid until the future is released. NULL: the result is not wanted
 * error      NULL is fine; tells of the waiting, result_out->error of the task
 *
 * Returns: PARLOOM_OK when it has ended, however it did, or
 * Errors:
 *   PARLOOM_ERR_TIMEOUT  it has not ended in that time, and goes on
 *   PARLOOM_ERR_INVALID  timeout is not a number; future is NULL, of the process that forked this one, or has not ended
 *                        and this is a callback in the library's thread, which would wait for itself
 * Threads: any thread; several may wait for one.
 * Blocks:  until it has ended, at most timeout seconds.
 * Since:   0.1
 * Example: examples/14_futures.c
 */
parloom_status parloom_future_wait(parloom_future *future, double timeout, parloom_result *result_out,
                                   parloom_error *error);

/*
 * Waits for several futures: which have ended, parloom_future_poll tells.
 *
 * futures  n futures, none released; NULL among them is left out; one that is named twice counts once for each
 * n        0: nothing is waited for
 * until    what for
 * timeout  seconds; 0: not at all; negative: for as long as it takes
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK when it came to that, or
 * Errors:
 *   PARLOOM_ERR_TIMEOUT  it did not in that time; what has not ended goes on, and can be waited for again
 *   PARLOOM_ERR_INVALID  until is none of these, or as for parloom_future_wait
 * Threads: any thread.
 * Blocks:  at most timeout seconds.
 * Since:   0.1
 * Example: examples/14_futures.c
 */
parloom_status parloom_future_wait_for(parloom_future *const *futures, size_t n, parloom_until until, double timeout,
                                       parloom_error *error);

/*
 * Takes from a set the future that ended first, having waited for one: asked again and again, it gives each of them
 * once, in the order in which they ended.
 *
 * futures   n futures, none released, or NULL; what is given is NULL afterwards, wherever it stood
 * n         0: there are none
 * timeout   seconds; 0: not at all; negative: for as long as it takes
 * ended_out set on PARLOOM_OK; NULL: all have been given
 * error     NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_TIMEOUT  none has ended in that time
 *   PARLOOM_ERR_INVALID  ended_out is NULL, or as for parloom_future_wait
 * Threads: any thread; futures is used by one at a time.
 * Blocks:  until one has ended, at most timeout seconds.
 * Since:   0.1
 * Example: examples/14_futures.c
 */
parloom_status parloom_future_next(parloom_future **futures, size_t n, double timeout, parloom_future **ended_out,
                                   parloom_error *error);

/*
 * Cancels a future that no worker has begun: it ends, its callbacks run, who waits for it wakes up.
 *
 * future   not released
 *
 * Returns: true when it is cancelled, now or before; false when it is running, or has ended otherwise: nothing is
 *          changed then. A running one is ended by its stop, its timeout or its end.
 * Errors:  none.
 * Threads: any thread.
 * Blocks:  for as long as its callbacks run.
 * Since:   0.1
 * Example: examples/14_futures.c
 */
bool parloom_future_cancel(parloom_future *future);

/*
 * Has a function called when the future has ended; at once, in this thread, if it has. Several are called in the order
 * in which they were added.
 *
 * future   not released; stays valid in the callback even if it is released meanwhile
 * callback not NULL
 * state    what callback is given; borrows until it has returned
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID  future or callback is NULL, or it is of the process that forked this one
 *   PARLOOM_ERR_MEMORY   memory is short
 * Threads: any thread.
 * Blocks:  for as long as callback runs, if it is called at once.
 * Since:   0.1
 * Example: examples/14_futures.c
 */
parloom_status parloom_future_on_done(parloom_future *future, parloom_future_callback callback, void *state,
                                      parloom_error *error);

/*
 * Lets go of a future. One that has not ended is not cancelled: it runs, and its callbacks are called.
 *
 * future   takes, with the data of its result; NULL: nothing
 *
 * Returns: nothing.
 * Errors:  none.
 * Threads: any thread, when no other uses it.
 * Blocks:  with the last future, until the library's thread has ended: a moment.
 * Since:   0.1
 * Example: examples/14_futures.c
 */
void parloom_future_release(parloom_future *future);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool.h - workers and settings kept over several calls.
 *
 * Calls without a pool share workers of their own, which are kept warm too: a pool is for who wants workers that
 * nobody else uses, settings said once, or an end at a known time.
 */
#ifndef PARLOOM_POOL_H
#define PARLOOM_POOL_H

#include <parloom/options.h>

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

/*
 * Opens a pool: name it in the pool option of calls. Its workers, warm segments and copies of published inputs serve
 * all of them.
 *
 * pool_out set on success; end it with parloom_pool_close
 * options  borrows; copied with their strings and worker_init_state. Of statuses, errors, report and stop only the
 *          pointers are: what they point to is borrowed until the pool is closed. pool must be NULL. NULL: all unset
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID      an option makes no sense, or contradicts another one
 *   PARLOOM_ERR_UNSUPPORTED  the backend cannot do what was asked, or cannot be used by this program
 *   PARLOOM_ERR_MEMORY, PARLOOM_ERR_SPACE, PARLOOM_ERR_LIMIT, PARLOOM_ERR_IO   what workers need cannot be had
 *   PARLOOM_ERR_VERSION      the program cannot be started again as itself: a module differs
 *   PARLOOM_ERR_POOL         workers end while they start
 * Threads: any thread.
 * Blocks:  for as long as starting workers takes: about a millisecond; with some backends not at all.
 * Since:   0.1
 * Example: tests/accept/04_crash.c
 */
parloom_status parloom_pool_open(parloom_pool **pool_out, const parloom_options *options, parloom_error *error);

/*
 * Closes a pool and ends its workers. Calls made meanwhile get PARLOOM_ERR_BUSY; afterwards the pool is gone and must
 * not be named again.
 *
 * pool     takes; NULL: nothing
 *
 * Returns: nothing.
 * Errors:  none.
 * Threads: any thread but one that runs a call on this pool, or a callback of its futures; one closes.
 * Blocks:  until the calls that run on it have returned, its futures have ended and its streams are closed: cancel
 *          their stop to hurry, and close its streams first. One that this thread keeps open is waited for for ever.
 * Since:   0.1
 * Example: tests/accept/04_crash.c
 */
void parloom_pool_close(parloom_pool *pool);

/*
 * Ends the workers that calls without a pool share. The next such call starts new ones, so this is never needed: it
 * frees memory early, or makes sure that nothing runs while the program does something delicate.
 *
 * kill     false: each worker as soon as it is idle; true: at once, also in the midst of a task: calls that run on
 *          them return PARLOOM_ERR_CANCELLED, and so do their tasks that had not ended
 *
 * Returns: nothing.
 * Errors:  none.
 * Threads: any thread of the program; not in a task body.
 * Blocks:  for about as long as ending processes takes.
 * Since:   0.1
 * Example: examples/07_control.c
 */
void parloom_shutdown(bool kill);

/*
 * Ends the workers that calls without a pool share, as soon as the calls that run on them have returned; calls made
 * meanwhile get new workers. Who has not returned within a time is cancelled, as by parloom_shutdown(true).
 *
 * seconds  how long to wait at most; 0: not at all; infinity: for as long as it takes
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK: no call was hurt; or, and then the workers have ended as well (but on INVALID),
 * Errors:
 *   PARLOOM_ERR_TIMEOUT  calls still ran, and were cancelled
 *   PARLOOM_ERR_INVALID  seconds is negative, or not a number
 * Threads: any thread of the program; not in a task body, and not in a callback of a call that runs on them.
 * Blocks:  until these calls have returned, at most seconds and the time that ending processes takes.
 * Since:   0.1
 * Example: examples/07_control.c
 */
parloom_status parloom_shutdown_within(double seconds, parloom_error *error);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parloom.h - PARallel LOOps Over Memmaps: loops and calls over shared arrays, on OpenMP threads or on worker processes
 * that may crash, with the same source line.
 *
 *     static int square(const parloom_task *task, void *const *args)
 *     {
 *         double *out = args[0];
 *         out[task->index] = (double)(task->index * task->index);
 *         return 0;
 *     }
 *
 *     int main(void)
 *     {
 *         double out[1000];
 *         parloom_arg args[] = { parloom_out(out, sizeof out) };
 *         parloom_error error;
 *         if (parloom_for(1000, square, args, 1, PARLOOM_OPTIONS(.n_jobs = -1), &error) != PARLOOM_OK) {
 *             fprintf(stderr, "%s\n", error.message);
 *             return 1;
 *         }
 *         printf("%g\n", out[999]);
 *         return 0;
 *     }
 *
 * Words. A *call* is one run of parloom_for, parloom_for_range or parloom_run, one stream, or one future. A *task* is
 * one index of it; a *batch* is the tasks that are handed over at once. The *program* makes the call; *workers*
 * (threads, or processes) run the *body*. *Private* memory is the program's own, *shared* memory is what every worker
 * sees at the same address. To *spill* is to copy private memory there for the time of a call.
 *
 * Rules that hold everywhere
 *   - A call returns PARLOOM_OK (0) or a negative parloom_status. Outputs are set only on success, except that results
 *     of tasks that ended OK, statuses, errors and report are delivered whatever the call returns.
 *   - parloom_error * may be NULL. When given, it is filled on failure and cleared on success.
 *   - Zero in an option means "not set": call > pool > scope > process default > environment > built-in decide. Where
 *     zero would be a useful value, a negative one says it.
 *   - Options are copied, with their strings and worker_init_state, by whoever outlives the call that was given them.
 *     Memory the library writes (statuses, errors, report) is borrowed until the call ends. Ownership is said in these
 *     words: a function *borrows* (until it returns), *borrows until* ..., *takes*, or *gives*.
 *   - Any thread may call anything, and calls on one pool may overlap. Callbacks (source, combine, progress) run in
 *     the thread that made the call, never two at once; those of futures: future.h. One stream is used by one thread at
 *     a time.
 *   - Unasked, nothing here aborts, exits, prints to stdout, or changes the program's signal handlers (asked:
 *     parloom_interrupt_begin).
 *   - C99 and C++11 can include it. Structs the user allocates grow only by struct_size or into their reserved fields.
 */
#ifndef PARLOOM_H
#define PARLOOM_H

#include <parloom/array.h>
#include <parloom/backend.h>
#include <parloom/cache.h>
#include <parloom/cache_store.h>
#include <parloom/code.h>
#include <parloom/codec.h>
#include <parloom/future.h>
#include <parloom/hash.h>
#include <parloom/named.h>
#include <parloom/npy.h>
#include <parloom/options.h>
#include <parloom/parallel.h>
#include <parloom/placement.h>
#include <parloom/pool.h>
#include <parloom/record.h>
#include <parloom/state.h>
#include <parloom/status.h>
#include <parloom/stream.h>
#include <parloom/version.h>

#endif

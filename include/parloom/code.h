/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * code.h - machine code that lies in no file: what a just-in-time compiler made, callable in every worker.
 *
 * A function of the program or of a library needs none of this: it is found in each worker by itself.
 */
#ifndef PARLOOM_CODE_H
#define PARLOOM_CODE_H

#include <parloom/parallel.h>

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

/*
 * Publishes machine code: copies it to shared memory that can be executed, and that has the same address in the program
 * and in every worker, on every backend. It is nowhere writable and executable at once.
 *
 * code          borrows; its first byte is where the function begins. It must run wherever it lies: jumps and data
 *               relative to itself, no calls of functions by address except of what lies in shared memory too
 * nbytes        of code, 1 or more
 * function_out  set on success: a body, to be given to parloom_for or a list; end it with parloom_code_release. A block
 *               may hold several functions: those further in are called by this address and their offset
 * error         NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID      code or function_out is NULL, or nbytes is 0
 *   PARLOOM_ERR_UNSUPPORTED  the system forbids to map shared memory for execution: the message says where it was tried
 *   PARLOOM_ERR_MEMORY, PARLOOM_ERR_SPACE, PARLOOM_ERR_LIMIT, PARLOOM_ERR_IO   what it needs cannot be had
 * Threads: any thread, also in a task body: then for calls made below that task only.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/12_code.c
 */
parloom_status parloom_code_publish(const void *code, size_t nbytes, parloom_body *function_out, parloom_error *error);

/*
 * Takes published code back: its memory is freed. No call that runs it may be under way.
 *
 * function  takes; of parloom_code_publish. NULL: nothing; what was not published, or is released already, is told in
 *           the log and nothing is done
 *
 * Returns: nothing.
 * Errors:  none.
 * Threads: any thread of the process that published it.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/12_code.c
 */
void parloom_code_release(parloom_body function);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * state.h - what follows the program into its worker processes.
 *
 * A worker process begins with the initial values of all globals. Environment variables, working directory, locale and
 * floating-point environment follow by themselves: a call's workers have those that the program had when it made the
 * call (the environment is read as getenv reads it: no other thread changes it meanwhile). The umask follows with them
 * when one of them changed. Any other state follows once it is registered here: it is
 * captured in the program at each call, and applied in a worker before its next task where the bytes are others than
 * the worker has applied last. Of a stream each call that its source gives is a call.
 *
 *     static int level; // set by the program, read by tasks
 *
 *     static int take_level(void *state, void *bytes, size_t room, size_t *nbytes_out)
 *     {
 *         (void)state;
 *         if (room >= sizeof level) memcpy(bytes, &level, sizeof level);
 *         *nbytes_out = sizeof level;
 *         return 0;
 *     }
 *
 *     static int set_level(const void *bytes, size_t nbytes)
 *     {
 *         memcpy(&level, bytes, nbytes);
 *         return 0;
 *     }
 */
#ifndef PARLOOM_STATE_H
#define PARLOOM_STATE_H

#include <parloom/parallel.h>
#include <parloom/status.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

enum { PARLOOM_STATE_NAME_BYTES = 64 }; /* of a name of a state or a channel, with its final NUL */

/* How one state travels. Threads and sequential tasks see the program's own; forked workers inherit it. */
typedef struct parloom_state_ops {
    size_t struct_size; /* the caller writes sizeof(parloom_state_ops) */
    /* In the program, in the thread that makes a call on worker processes, one at a time: writes the state to bytes
     * where it fits in room, and says in *nbytes_out how many it needs; where they did not fit it is asked again.
     * Non-zero refuses the call. It makes no calls itself. */
    int (*capture)(void *state, void *bytes, size_t room, size_t *nbytes_out);
    /* In a worker process, between tasks; bytes are aligned to 64. Non-zero, or the end of the worker in it, refuses
     * the call. */
    int (*apply)(const void *bytes, size_t nbytes);
    /* In the worker when its part in the call has ended, with what was applied; then it is applied again in the next
     * call. NULL: what was applied stays. */
    void (*restore)(const void *bytes, size_t nbytes);
} parloom_state_ops;

/*
 * Registers a state: from now on it follows the program into its worker processes. States are applied in the order in
 * which they were registered.
 *
 * name     below PARLOOM_STATE_NAME_BYTES, not registered yet, not beginning with "parloom."; copied
 * ops      borrows; capture and apply are set, and like bodies they lie in a program or library file
 * state    handed to capture; borrows until the state is unregistered
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID   no name, one that is taken or reserved, ops without capture or apply
 *   PARLOOM_ERR_FUNCTION  apply or restore is in no module that a worker could open
 *   PARLOOM_ERR_MEMORY    no memory to note it
 *   PARLOOM_ERR_BUSY      it was called by a capture function
 * Threads: any thread of the program; calls that run already do not have it.
 * Blocks:  while another thread's call captures.
 * Since:   0.1
 * Example: examples/09_state.c
 */
parloom_status parloom_state_register(const char *name, const parloom_state_ops *ops, void *state,
                                      parloom_error *error);

/*
 * Unregisters a state. What workers have applied of it stays there, unless it has a restore.
 *
 * name     of the state
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID  no such state
 *   PARLOOM_ERR_BUSY     it was called by a capture function
 * Threads: any thread of the program; calls that run already keep it.
 * Blocks:  while another thread's call captures.
 * Since:   0.1
 * Example: examples/09_state.c
 */
parloom_status parloom_state_unregister(const char *name, parloom_error *error);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif

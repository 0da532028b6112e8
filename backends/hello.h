/* SPDX-License-Identifier: BSD-3-Clause */
/* hello.h - wait for a supervisor that was just spawned, and check that it is the same program. */
#ifndef LOOM_BACKENDS_HELLO_H
#define LOOM_BACKENDS_HELLO_H

#include <parloom/parloom.h>

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Reaps the process that was spawned (pid), which leaves once it forked the supervisor. *pidfd_out: of the supervisor,
 * -1 where there are none. VERSION: a start-up module is another build; POOL: it ended, or said nothing for 10 s. */
parloom_status loom_hello_await(int socket, pid_t pid, int *pidfd_out, parloom_error *error);

#ifdef __cplusplus
}
#endif
#endif

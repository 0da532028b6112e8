/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spawn.h - start the program's own executable once more, with the worker preload in front.
 */
#ifndef LOOM_BACKENDS_SPAWN_H
#define LOOM_BACKENDS_SPAWN_H

#include <parloom/parloom.h>

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Why this program can have no worker processes, or (disabled) no forked ones either; NULL: it can. */
const char *loom_spawn_is_impossible(void);
const char *loom_spawn_is_disabled(void);
/* socket_fd: the supervisor's end. *pid_out: the process that forks the supervisor and exits at once; the caller
 * reaps it. Errors: UNSUPPORTED (and why), LIMIT, MEMORY, IO. */
parloom_status loom_spawn_supervisor(int socket_fd, pid_t *pid_out, parloom_error *error);

#ifdef __cplusplus
}
#endif
#endif

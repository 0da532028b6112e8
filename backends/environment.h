/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * environment.h - the environment the supervisor is started with.
 */
#ifndef LOOM_BACKENDS_ENVIRONMENT_H
#define LOOM_BACKENDS_ENVIRONMENT_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

struct loom_environment {
    char **items; /* NULL-terminated, each its own block */
    size_t count, room;
    char *at_start; /* what the process was started with, NUL-separated */
    size_t at_start_nbytes;
    char *start_preload; /* LD_PRELOAD at the start, without preloads of ours */
};

/* Starts from the environment as it is now, LD_* as they were at the start of the process; what the preload has to
 * put back is kept under LOOM_STARTUP_KEPT names. MEMORY. */
parloom_status loom_environment_begin(struct loom_environment *environment, parloom_error *error);
bool loom_environment_add(struct loom_environment *environment, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
const char *loom_environment_start_preload(const struct loom_environment *environment); /* "" if none */
void loom_environment_end(struct loom_environment *environment);

#ifdef __cplusplus
}
#endif
#endif

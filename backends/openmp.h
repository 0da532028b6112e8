/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * openmp.h - what parloom has to know of the OpenMP runtime in use: GNU's libgomp or LLVM's libomp.
 */
#ifndef LOOM_BACKENDS_OPENMP_H
#define LOOM_BACKENDS_OPENMP_H

#include <stdbool.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In a worker process: the threads of parallel regions inside tasks. */
void loom_openmp_set_inner_threads(int count);
/* Before a parallel region outside of others. False: it would wait for ever, since this thread had a team when it
 * forked this process, and the runtime (libgomp) does not know that its threads stayed behind. */
bool loom_openmp_may_have_team(void);
/* Before a fork: ends the idle threads of libgomp, so that regions in the child get new ones. */
void loom_openmp_pause(void);
/* Threads that a forked child would miss: all but this one and those of a runtime whose child can do without them.
 * Pauses first. 0: none. */
int loom_openmp_count_foreign_threads(void);
/* LLVM's runtime leaves a file in /dev/shm for each process that did not end by exit(3): removes that of pid. */
void loom_openmp_unlink_registration(pid_t pid);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * openmp.h - what parloom has to know of the OpenMP runtime in use: GNU's libgomp or LLVM's libomp.
 */
#ifndef LOOM_BACKENDS_OPENMP_H
#define LOOM_BACKENDS_OPENMP_H

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In a worker process: the threads of parallel regions inside tasks. */
void loom_openmp_set_inner_threads(int count);
/* Threads that a forked child would miss: all but this one and those of a runtime whose child can do without them.
 * Ends the idle threads of libgomp first, whose next region in a child hangs for ever otherwise. 0: none. */
int loom_openmp_count_foreign_threads(void);
/* LLVM's runtime leaves a file in /dev/shm for each process that did not end by exit(3): removes that of pid. */
void loom_openmp_unlink_registration(pid_t pid);

#ifdef __cplusplus
}
#endif
#endif

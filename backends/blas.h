/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * blas.h - thread counts of the BLAS libraries that are loaded in this process: OpenBLAS, BLIS, MKL. None is linked:
 * their functions are looked up by name, also in libraries that were opened for themselves (as interpreters do).
 */
#ifndef LOOM_BACKENDS_BLAS_H
#define LOOM_BACKENDS_BLAS_H

#include "backends/run.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { LOOM_BLAS_MOST = 8 }; /* libraries; more are left alone */

/* In a worker process: from now on. */
void loom_blas_settle(const struct loom_inner_threads *inner);

/* In the caller's process: around a call, counts that are the whole process's. Calls may overlap: the last to end puts
 * back what was there before the first. True: something was set. */
struct loom_blas_of_call {
    bool is_user;                                     /* the list of libraries stays as it is meanwhile */
    int before[LOOM_BLAS_MOST], ours[LOOM_BLAS_MOST]; /* ours 0: not set */
};
bool loom_blas_begin(const struct loom_inner_threads *inner, struct loom_blas_of_call *call);
bool loom_blas_end(struct loom_blas_of_call *call);

/* In each thread that runs tasks, between begin and end: counts that are a thread's own. */
struct loom_blas_of_thread {
    bool is_set[LOOM_BLAS_MOST];
    int before[LOOM_BLAS_MOST];
    int count; /* of libraries looked at */
};
void loom_blas_enter(const struct loom_inner_threads *inner, const struct loom_blas_of_call *call,
                     struct loom_blas_of_thread *thread);
void loom_blas_leave(struct loom_blas_of_thread *thread);

#ifdef __cplusplus
}
#endif
#endif

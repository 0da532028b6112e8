/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inner_threads.h - how many threads OpenMP and BLAS may start inside a task, so that all of them together fill the
 * cores once: cores / n_jobs, or what the user's environment says, or inner_max_num_threads.
 *
 * In a worker process the counts are set for its life, also as variables for what is loaded later or started by a task
 * (the same that joblib sets). In the caller's own process they are set for the call, and are then as they were.
 */
#ifndef LOOM_BACKENDS_INNER_THREADS_H
#define LOOM_BACKENDS_INNER_THREADS_H

#include "backends/blas.h"
#include "backends/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* most: inner_max_num_threads, which outweighs all, or 0; share: where nobody says anything. In a task, what the user's
 * environment said at the first call holds on, and the rest is share. What worker_environment (or NULL) says outweighs
 * the environment. */
void loom_inner_threads_choose(struct loom_inner_threads *inner, int most, int share, const char *worker_environment);
static inline bool loom_inner_threads_are_chosen(const struct loom_inner_threads *inner)
{
    return inner->count[LOOM_INNER_OPENMP] > 0;
}

/* In a worker process: variables, OpenMP, BLAS; nothing where they are set so already. */
void loom_inner_threads_settle(const struct loom_inner_threads *inner);
bool loom_inner_threads_are_settled(const struct loom_inner_threads *inner);
/* The environment was replaced: they are to be set again. */
void loom_inner_threads_forget(void);

/* In the caller's process: around a call, what is the process's; in the caller's thread. */
struct loom_inner_of_call {
    bool is_set;
    struct loom_blas_of_call blas;
};
void loom_inner_threads_begin(const struct loom_inner_threads *inner, struct loom_inner_of_call *before_out);
void loom_inner_threads_end(struct loom_inner_of_call *before);

/* And in each thread that runs tasks, between begin and end, what is the thread's. */
struct loom_inner_of_thread {
    bool is_set;
    int openmp, active_levels;
    struct loom_blas_of_thread blas;
};
void loom_inner_threads_enter(const struct loom_inner_threads *inner, const struct loom_inner_of_call *call,
                              struct loom_inner_of_thread *before_out);
void loom_inner_threads_leave(struct loom_inner_of_thread *before);

#ifdef __cplusplus
}
#endif
#endif

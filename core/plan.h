/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan.h - who does a call, with how many, in portions of what size: decided once, before anything runs.
 */
#ifndef LOOM_CORE_PLAN_H
#define LOOM_CORE_PLAN_H

#include "backends/run.h"

#ifdef __cplusplus
extern "C" {
#endif

struct loom_plan {
    parloom_options options; /* resolved: call > pool > scope > default > environment */
    const struct loom_backend *backend;
    const struct loom_backend *chosen; /* before one job made it the caller's own work */
    parloom_pool *pool;                /* NULL: shared workers, or none */
    int n_jobs;                        /* effective, at least 1 */
    bool is_alone;                     /* the caller does it: no level of its own for the calls that its tasks make */
    const char *params;                /* backend_params that the backend takes, or NULL */
};

/* given: the call's, or NULL. INVALID, UNSUPPORTED, LIMIT. */
parloom_status loom_plan_make(struct loom_plan *plan, const parloom_options *given, parloom_error *error);
/* The same for a pool that is to be opened. */
parloom_status loom_plan_make_pool(struct loom_plan *plan, const parloom_options *given, parloom_error *error);
/* Where workers [0, n_jobs) sit; NULL: they are not bound, as the caller itself never is. Release with free(). */
struct loom_placement *loom_plan_placement(const struct loom_plan *plan, int n_jobs);
/* The tasks of one accumulator: depends on n and batch_size only, so that the bits do. */
size_t loom_plan_block_size(size_t n, size_t batch_size);

#ifdef __cplusplus
}
#endif
#endif

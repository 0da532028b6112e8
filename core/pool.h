/* SPDX-License-Identifier: BSD-3-Clause */
/* pool.h - what a call asks of a pool. */
#ifndef LOOM_CORE_POOL_H
#define LOOM_CORE_POOL_H

#include "backends/run.h"

#ifdef __cplusplus
extern "C" {
#endif

const parloom_options *loom_pool_options(const parloom_pool *pool);
const struct loom_backend *loom_pool_backend(const parloom_pool *pool);
int loom_pool_n_jobs(const parloom_pool *pool);
/* For calls that run on that backend; NULL: it keeps none. */
void *loom_pool_workers(const parloom_pool *pool, const struct loom_backend *backend);
/* A call with these (merged) options begins and ends on it. BUSY: it is being closed, or the call would fill the pool's
 * statuses, errors or report while another one does. */
parloom_status loom_pool_enter(parloom_pool *pool, const parloom_options *options, parloom_error *error);
void loom_pool_leave(parloom_pool *pool, const parloom_options *options);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool.c - workers and settings kept over several calls.
 *
 * Threads     calls may overlap; closing waits for those that run, new ones are refused from then on.
 */
#include "core/pool.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/status.h"
#include "core/plan.h"
#include "core/porter.h"
#include "core/state.h"
#include "shm/segment.h"

#include <pthread.h>
#include <stdlib.h>

struct parloom_pool {
    parloom_options options; /* a copy of what was given: scopes and environment are asked again at each call */
    const struct loom_backend *backend;
    int n_jobs;
    void *workers;
    const struct loom_backend *caller; /* with one job, calls run in the caller where nothing needs a worker; or NULL */
    void *caller_workers;
    pthread_mutex_t lock;
    pthread_cond_t is_idle;
    int users;
    bool is_filled; /* by a call: the pool's own statuses, errors or report */
    bool is_closing;
};

const parloom_options *loom_pool_options(const parloom_pool *pool)
{
    return &pool->options;
}

const struct loom_backend *loom_pool_backend(const parloom_pool *pool)
{
    return pool->backend;
}

int loom_pool_n_jobs(const parloom_pool *pool)
{
    return pool->n_jobs;
}

void *loom_pool_workers(const parloom_pool *pool, const struct loom_backend *backend)
{
    if (backend == pool->backend) return pool->workers;
    return backend == pool->caller ? pool->caller_workers : NULL;
}

/* What the pool's options name is filled by one call at a time; a call may bring its own. */
static bool fills_of_pool(const parloom_pool *pool, const parloom_options *options)
{
    const parloom_options *kept = &pool->options;
    return (kept->statuses != NULL && kept->statuses == options->statuses) ||
           (kept->errors != NULL && kept->errors == options->errors) ||
           (kept->report != NULL && kept->report == options->report);
}

parloom_status loom_pool_enter(parloom_pool *pool, const parloom_options *options, parloom_error *error)
{
    parloom_status status = PARLOOM_OK;
    pthread_mutex_lock(&pool->lock);
    bool fills = fills_of_pool(pool, options);
    if (pool->is_closing) {
        status = loom_status_fail(error, PARLOOM_ERR_BUSY, 0, "the pool is being closed: open another one");
    } else if (fills && pool->is_filled) {
        status = loom_status_fail(error, PARLOOM_ERR_BUSY, 0,
                                  "the pool's statuses, errors or report are in use by another call: give each call "
                                  "its own");
    } else {
        pool->users++;
        pool->is_filled |= fills;
    }
    pthread_mutex_unlock(&pool->lock);
    return status;
}

void loom_pool_leave(parloom_pool *pool, const parloom_options *options)
{
    pthread_mutex_lock(&pool->lock);
    if (fills_of_pool(pool, options)) pool->is_filled = false;
    if (--pool->users == 0) pthread_cond_broadcast(&pool->is_idle);
    pthread_mutex_unlock(&pool->lock);
}

static void close_workers(parloom_pool *pool)
{
    if (pool->workers != NULL) loom_backend_close(pool->backend, pool->workers, false);
    if (pool->caller_workers != NULL) loom_backend_close(pool->caller, pool->caller_workers, false);
}

static parloom_status open_workers(parloom_pool *pool, const struct loom_plan *plan, parloom_error *error)
{
    parloom_status status;
    pool->backend = plan->chosen;
    pool->n_jobs = plan->n_jobs;
    if (plan->backend != plan->chosen) pool->caller = plan->backend;
    status = loom_backend_open(pool->backend, &pool->workers, &pool->options, pool->n_jobs, error);
    if (status == PARLOOM_OK && pool->caller != NULL)
        status = loom_backend_open(pool->caller, &pool->caller_workers, &pool->options, pool->n_jobs, error);
    if (status != PARLOOM_OK) close_workers(pool);
    return status;
}

static parloom_status fill(parloom_pool *pool, const parloom_options *options, const struct loom_plan *plan,
                           parloom_error *error)
{
    parloom_options given;
    parloom_status status = loom_options_read(options, &given, error);
    /* Workers are made once: what they have and run first, also that of a scope, is the pool's from now on. */
    given.worker_environment = plan->options.worker_environment;
    given.worker_init = plan->options.worker_init;
    given.worker_init_state = plan->options.worker_init_state;
    given.worker_init_state_nbytes = plan->options.worker_init_state_nbytes;
    if (status == PARLOOM_OK) status = loom_options_copy(&pool->options, &given, error);
    if (status != PARLOOM_OK) return status;
    status = open_workers(pool, plan, error);
    if (status != PARLOOM_OK) loom_options_destroy(&pool->options);
    return status;
}

parloom_status parloom_pool_open(parloom_pool **pool_out, const parloom_options *options, parloom_error *error)
{
    struct loom_plan plan;
    loom_status_clear(error);
    if (pool_out == NULL) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "pool_out is NULL");
    if (options != NULL && options->pool != NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "a pool is not opened on another pool: leave pool unset");
    parloom_status status = loom_plan_make_pool(&plan, options, error);
    if (status != PARLOOM_OK) return status;
    parloom_pool *pool = loom_memory_zeroed(1, sizeof *pool);
    if (pool == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a pool");
    status = fill(pool, options, &plan, error);
    if (status != PARLOOM_OK) {
        free(pool);
        return status;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->is_idle, NULL);
    *pool_out = pool;
    return PARLOOM_OK;
}

void parloom_pool_close(parloom_pool *pool)
{
    if (pool == NULL) return;
    pthread_mutex_lock(&pool->lock);
    pool->is_closing = true;
    while (pool->users > 0) pthread_cond_wait(&pool->is_idle, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    close_workers(pool);
    pthread_cond_destroy(&pool->is_idle);
    pthread_mutex_destroy(&pool->lock);
    loom_options_destroy(&pool->options);
    free(pool);
}

parloom_status parloom_shutdown_within(double seconds, parloom_error *error)
{
    loom_status_clear(error);
    if (!(seconds >= 0))
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "seconds is %g: give 0 or more", seconds);
    uint64_t now = loom_clock_ns();
    loom_porters_renew();
    bool is_drained = loom_backend_drain(seconds > 0 ? loom_clock_deadline(seconds) : now);
    loom_segment_trim();
    if (is_drained) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_TIMEOUT, 0,
                            "shared workers still ran calls after %g s and were killed; these calls end as CANCELLED",
                            seconds);
}

void parloom_shutdown(bool kill)
{
    loom_porters_renew();
    loom_backend_shutdown(kill);
    loom_state_forget();
    loom_segment_trim();
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * custom.c - the operations of a registered backend: asked, and believed only as far as they make sense (see custom.h).
 */
#include "backends/custom.h"

#include "backends/local.h"
#include "base/memory.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

/* What a pool of such a backend keeps. */
struct workers {
    struct loom_local_crew *crew; /* whose worker_init has run */
    void *pool;                   /* of its open, or NULL */
};

/* What an operation said: a status that calls may have, with a text. */
static parloom_status take_failure(const struct loom_custom *custom, const char *what, parloom_status status,
                                   const parloom_error *said, parloom_error *error)
{
    const char *text = said->message[0] != '\0' ? said->message : parloom_status_name(status);
    bool is_of_call = status <= PARLOOM_ERR_INVALID && status >= PARLOOM_ERR_CALLBACK;
    if (!is_of_call && status != PARLOOM_ERR_TIMEOUT && status != PARLOOM_ERR_CANCELLED && status != PARLOOM_ERR_POOL)
        return loom_status_fail(error, PARLOOM_ERR_INTERNAL, 0,
                                "the backend \"%s\" is defective: %s returned %d, which is no status of a call",
                                custom->name, what, (int)status);
    loom_status_fail(error, status, 0, "backend \"%s\": %.*s", custom->name, PARLOOM_MESSAGE_BYTES - 1,
                     text); /* which need not end */
    if (error != NULL) {
        error->sys_errno = said->sys_errno;
        error->code = said->code;
    }
    return status;
}

static parloom_status check_count(const struct loom_custom *custom, int workers, parloom_error *error)
{
    if (workers > 0 && workers <= PARLOOM_BACKEND_MOST_WORKERS) return PARLOOM_OK;
    if (workers == 0) return loom_status_fail(error, PARLOOM_ERR_POOL, 0, "%s has no active worker", custom->name);
    return loom_status_fail(error, PARLOOM_ERR_INTERNAL, 0,
                            "the backend \"%s\" is defective: configure gave %d workers, of 1 to %d", custom->name,
                            workers, PARLOOM_BACKEND_MOST_WORKERS);
}

static parloom_status configure(const struct loom_custom *custom, int *n_jobs, const char *params,
                                const char **fallback_out, parloom_error *error)
{
    parloom_error said;
    int workers = *n_jobs > 0 ? *n_jobs : 1;
    loom_status_clear(&said);
    if (custom->ops.configure != NULL) {
        parloom_status status = custom->ops.configure(custom->state, *n_jobs, params, &workers, fallback_out, &said);
        if (status != PARLOOM_OK) return take_failure(custom, "configure", status, &said, error);
    } else if (workers > PARLOOM_BACKEND_MOST_WORKERS) {
        workers = PARLOOM_BACKEND_MOST_WORKERS;
    }
    parloom_status status = check_count(custom, workers, error);
    if (status == PARLOOM_OK) *n_jobs = workers;
    return status;
}

static parloom_status fail_gone(const struct loom_custom *custom, parloom_error *error)
{
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "the backend \"%s\" was unregistered meanwhile",
                            custom->name);
}

parloom_status loom_custom_configure(struct loom_custom *custom, int *n_jobs, const char *params,
                                     const char **fallback_out, parloom_error *error)
{
    if (!loom_custom_hold(custom)) return fail_gone(custom, error);
    parloom_status status = configure(custom, n_jobs, params, fallback_out, error);
    loom_custom_release(custom);
    return status;
}

static parloom_status open_pool(struct loom_custom *custom, struct workers *workers, const parloom_options *options,
                                int n_jobs, parloom_error *error)
{
    parloom_error said;
    void *crew = NULL;
    loom_status_clear(&said);
    parloom_status status = loom_local_open(&crew, options, n_jobs, error);
    if (status != PARLOOM_OK) return status;
    workers->crew = crew;
    if (custom->ops.open == NULL) return PARLOOM_OK;
    status = custom->ops.open(custom->state, n_jobs, options->backend_params, &workers->pool, &said);
    if (status == PARLOOM_OK) return PARLOOM_OK;
    loom_local_close(crew, false);
    return take_failure(custom, "open", status, &said, error);
}

parloom_status loom_custom_open(struct loom_custom *custom, void **workers_out, const parloom_options *options,
                                int n_jobs, parloom_error *error)
{
    if (!loom_custom_hold(custom)) return fail_gone(custom, error);
    struct workers *workers = loom_memory_zeroed(1, sizeof *workers);
    parloom_status status = workers != NULL ? open_pool(custom, workers, options, n_jobs, error)
                                            : loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a pool");
    if (status == PARLOOM_OK) {
        *workers_out = workers; /* held until close */
        return PARLOOM_OK;
    }
    free(workers);
    loom_custom_release(custom);
    return status;
}

void loom_custom_close(struct loom_custom *custom, void *opened)
{
    struct workers *workers = opened;
    if (custom->ops.close != NULL) custom->ops.close(custom->state, workers->pool);
    loom_local_close(workers->crew, false);
    free(workers);
    loom_custom_release(custom);
}

/* Its run operation, with the hooks around it. */
static parloom_status run_ops(struct loom_custom *custom, void *pool, parloom_backend_run *handle, int level,
                              parloom_error *error)
{
    parloom_error said;
    const parloom_backend_ops *ops = &custom->ops;
    loom_status_clear(&said);
    if (level == 0 && ops->wait_begin != NULL) ops->wait_begin(custom->state);
    parloom_status status = ops->run(custom->state, pool, handle, &said);
    if (level == 0 && ops->wait_end != NULL) ops->wait_end(custom->state);
    return status == PARLOOM_OK ? PARLOOM_OK : take_failure(custom, "run", status, &said, error);
}

static parloom_status run_held(struct loom_custom *custom, const struct workers *workers, const struct loom_run *run,
                               parloom_error *error)
{
    parloom_backend_run *handle;
    void *crew = workers != NULL ? workers->crew : NULL;
    bool is_new = crew == NULL && run->worker_init != NULL;
    parloom_status status = is_new ? loom_local_open(&crew, NULL, run->n_jobs, error) : PARLOOM_OK;
    if (status == PARLOOM_OK) status = loom_custom_begin(&handle, custom, crew, run, error);
    if (status == PARLOOM_OK) {
        status = run_ops(custom, workers != NULL ? workers->pool : NULL, handle, run->level, error);
        status = loom_custom_end(handle, status, error);
    }
    if (is_new && crew != NULL) loom_local_close(crew, false);
    return status;
}

parloom_status loom_custom_run(struct loom_custom *custom, void *workers, const struct loom_run *run,
                               parloom_error *error)
{
    if (run->block_size > 0 && custom->backend.memory != LOOM_MEMORY_SAME)
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                                "the backend \"%s\" does not share the caller's memory: reductions are for those that "
                                "do, and for processes and fork",
                                custom->name);
    if (!loom_custom_hold(custom)) return fail_gone(custom, error);
    parloom_status status = run_held(custom, workers, run, error);
    loom_custom_release(custom);
    return status;
}

void loom_custom_shutdown(struct loom_custom *custom, bool kill)
{
    if (custom->ops.shutdown != NULL) custom->ops.shutdown(custom->state, kill);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scope.c - options for everything a thread starts until the matching end, and the default of the process.
 *
 * A scope keeps a copy of its options with what the scopes around it set filled in, so looking up is one step.
 * Tasks       what holds where a call is made travels with it (loom_scope_inherit) and is what its tasks fall back to,
 *             on every backend. A scope that surrounds the call itself is not looked at in a task, also where the task
 *             runs in the same thread: it would mean one thing there and another in a worker process.
 * Threads     scopes are thread-local; the default is replaced under a lock and old ones are kept until the program
 *             ends, because calls of other threads may still read their strings. A child of fork finds the lock free.
 */
#include "core/scope.h"

#include "backends/shift.h"
#include "base/expression.h"
#include "base/memory.h"
#include "base/memory_policy.h"
#include "base/options.h"
#include "base/status.h"
#include "base/topology.h"

#include <pthread.h>
#include <stdlib.h>

struct scope {
    parloom_options options; /* a copy */
    int level;               /* of the calls made in it: 0 in the program, 1 in a task, ... */
    struct scope *outer;
};

static _Thread_local struct scope *innermost;

static struct {
    pthread_mutex_t lock;
    struct scope *current; /* NULL: none; outer: the ones before */
    bool is_set;
} process_default = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* -------------------------------------------------------------------- forks */

static void before_fork(void)
{
    pthread_mutex_lock(&process_default.lock); /* a leaf: whoever holds it waits for nobody */
}

static void after_fork(void)
{
    pthread_mutex_unlock(&process_default.lock);
}

/* ------------------------------------------------------------------- scopes */

static void drop_innermost(void)
{
    struct scope *scope = innermost;
    innermost = scope->outer;
    loom_options_destroy(&scope->options);
    free(scope);
}

/* The innermost scope that was begun at the level of this thread; NULL: none. */
static struct scope *current(void)
{
    int level = loom_shift_level();
    while (innermost != NULL && innermost->level > level) drop_innermost(); /* of a task that did not end its own */
    return innermost != NULL && innermost->level == level ? innermost : NULL;
}

static parloom_status check(const parloom_options *options, parloom_error *error)
{
    const struct loom_backend *backend;
    parloom_status status =
        options->backend != NULL ? loom_backend_get(&backend, options->backend, "backend", error) : PARLOOM_OK;
    if (status != PARLOOM_OK) return status;
    if (options->backend_params != NULL && options->backend == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "backend_params \"%.100s\" are for no backend: name the one they are for",
                                options->backend_params);
    if (options->statuses != NULL || options->errors != NULL || options->report != NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "statuses, errors and report belong to a call or a pool, not to a scope");
    return PARLOOM_OK;
}

/* Where the scope itself says of how many workers; otherwise calls do, and then they check. */
static parloom_status check_pre_dispatch(const parloom_options *options, parloom_error *error)
{
    size_t tasks;
    if (options->pre_dispatch == NULL || options->n_jobs == 0) return PARLOOM_OK;
    return loom_expression_tasks(options->pre_dispatch, loom_topology_effective_jobs(options->n_jobs), &tasks, error);
}

static parloom_status make(const parloom_options *given, const struct scope *outer, struct scope **scope_out,
                           parloom_error *error)
{
    parloom_options options;
    parloom_status status = loom_options_read(given, &options, error);
    if (status == PARLOOM_OK) status = check(&options, error);
    if (status == PARLOOM_OK) status = check_pre_dispatch(&options, error);
    if (status != PARLOOM_OK) return status;
    if (outer != NULL) loom_options_fill_unset(&options, &outer->options);
    struct scope *scope = loom_memory_zeroed(1, sizeof *scope);
    if (scope == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a scope");
    status = loom_options_copy(&scope->options, &options, error);
    if (status != PARLOOM_OK) {
        free(scope);
        return status;
    }
    *scope_out = scope;
    return PARLOOM_OK;
}

parloom_status parloom_scope_begin(const parloom_options *options, parloom_error *error)
{
    struct scope *scope;
    loom_status_clear(error);
    parloom_status status = make(options, current(), &scope, error);
    if (status != PARLOOM_OK) return status;
    scope->level = loom_shift_level();
    scope->outer = innermost;
    innermost = scope;
    return PARLOOM_OK;
}

void parloom_scope_end(void)
{
    if (current() != NULL) drop_innermost();
}

parloom_status parloom_set_defaults(const parloom_options *options, parloom_error *error)
{
    struct scope *scope = NULL;
    loom_status_clear(error);
    parloom_status status = options != NULL ? make(options, NULL, &scope, error) : PARLOOM_OK;
    if (status != PARLOOM_OK) return status;
    pthread_mutex_lock(&process_default.lock);
    process_default.is_set = scope != NULL;
    if (scope != NULL) {
        scope->outer = process_default.current;
        process_default.current = scope;
    }
    pthread_mutex_unlock(&process_default.lock);
    return PARLOOM_OK;
}

/* Scopes and the default; false: there are none. */
static bool fill(parloom_options *options)
{
    const struct scope *scope = current();
    const parloom_options *around = loom_shift_scope();
    if (scope != NULL) loom_options_fill_unset(options, &scope->options);
    if (around != NULL) loom_options_fill_unset(options, around);
    pthread_mutex_lock(&process_default.lock);
    bool has_default = process_default.is_set;
    if (has_default) loom_options_fill_unset(options, &process_default.current->options);
    pthread_mutex_unlock(&process_default.lock);
    return scope != NULL || around != NULL || has_default;
}

/* The environment says how much of the machine the program may fill: in a task no more than its share of that. */
static void fill_from_environment(parloom_options *options, const parloom_options *environment)
{
    int cores = loom_shift_cores();
    bool is_open = options->n_jobs == 0;
    loom_options_fill_unset(options, environment);
    if (is_open && cores > 0 && options->n_jobs > cores) options->n_jobs = cores;
}

/*
 * What was said outside of two tasks in each other is not said for calls that deep: they run in their caller, unless
 * they, or a scope of the task's own, ask for workers. Else a recursive function below a scope of two processes would
 * have two to the power of its depth.
 */
parloom_status loom_scope_fill(parloom_options *options, parloom_error *error)
{
    const parloom_options *environment;
    const struct scope *own = current();
    if (own != NULL) loom_options_fill_unset(options, &own->options);
    parloom_options asked = *options;
    (void)fill(options);
    parloom_status status = loom_options_environment(&environment, error);
    if (status == PARLOOM_OK) fill_from_environment(options, environment);
    if (loom_shift_parallel_level() < 2) return status;
    options->n_jobs = asked.n_jobs;
    options->backend = asked.backend;
    options->backend_params = asked.backend_params;
    return status;
}

static parloom_memory_policy memory_policy(void)
{
    parloom_options options = { .struct_size = sizeof options };
    (void)loom_scope_fill(&options, NULL); /* what the environment has wrong is told by calls */
    return options.memory_policy;
}

__attribute__((constructor)) static void tell_who_knows(void)
{
    (void)pthread_atfork(before_fork, after_fork, after_fork);
    loom_memory_policy_set_asker(memory_policy);
}

bool loom_scope_inherit(parloom_options *options)
{
    *options = (parloom_options){ .struct_size = sizeof *options };
    if (!fill(options)) return false;
    options->pool = NULL;
    options->stop = NULL;
    options->progress = NULL;
    options->progress_state = NULL;
    options->worker_init = NULL;
    options->worker_init_state = NULL;
    options->worker_init_state_nbytes = 0;
    return true;
}

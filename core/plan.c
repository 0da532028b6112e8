/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan.c - choose backend and number of workers (see plan.h).
 *
 * Nesting     a call that its caller runs does not count: what its tasks start finds all as it was.
 * Backend     require wins over everything but a backend the call itself names against it (refused); then call, pool,
 *             scope, default, environment; then prefer; then processes, or one registered as default (which wins over
 *             the environment too). Nested: below a task threads, below that sequential, unless one was named.
 * One job     runs in the caller, for debugging; not where isolation is required, where a limit or a retry needs a
 *             worker, or where "all cores" happen to be one.
 */
#include "core/plan.h"

#include "backends/shift.h"
#include "base/atomics.h"
#include "base/binding.h"
#include "base/expression.h"
#include "base/log.h"
#include "base/options.h"
#include "base/options_parse.h"
#include "base/status.h"
#include "base/topology.h"
#include "core/pool.h"
#include "core/scope.h"
#include "shm/segment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BLOCKS = 128, MOST_LEVELS = 10, VERBOSE_CHOICES = 10 };

static bool is_same_name(const char *a, const char *b)
{
    return a == NULL || b == NULL || strcmp(a, b) == 0;
}

static bool is_same_text(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static bool shares_memory(const char *name)
{
    const struct loom_backend *backend = loom_backend_find(name);
    return backend != NULL && backend->memory == LOOM_MEMORY_SAME;
}

/* In a task "all cores" are its share of them. */
static int effective_jobs(int n_jobs)
{
    int cores = loom_shift_cores();
    if (n_jobs >= 0 || cores == 0) return loom_topology_effective_jobs(n_jobs);
    return cores + 1 + n_jobs > 1 ? cores + 1 + n_jobs : 1;
}

static bool is_as_required(const struct loom_backend *backend, parloom_require require)
{
    bool is_shared = backend->memory == LOOM_MEMORY_SAME;
    return require == PARLOOM_REQUIRE_UNSET || is_shared == (require == PARLOOM_REQUIRE_SHAREDMEM);
}

/* ------------------------------------------------------------------- pools */

static parloom_status check_pool(const parloom_options *given, const parloom_pool *pool, parloom_error *error)
{
    const parloom_options *kept = loom_pool_options(pool);
    const char *what = NULL;
    /* It may have been opened under the name of a backend that handed it on to another one. */
    bool is_its_name = kept->backend != NULL && is_same_name(given->backend, kept->backend);
    if (!is_same_name(given->backend, loom_pool_backend(pool)->name) && !is_its_name) what = "backend";
    if (given->n_jobs != 0 && effective_jobs(given->n_jobs) != loom_pool_n_jobs(pool)) what = "n_jobs";
    if (given->worker_init != NULL && given->worker_init != kept->worker_init) what = "worker_init";
    if (given->worker_environment != NULL && !is_same_text(given->worker_environment, kept->worker_environment))
        what = "worker_environment";
    if (what == NULL) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                            "%s differs from that of the pool: leave it unset, or open a pool with it", what);
}

static bool gives_required(const parloom_pool *pool, const parloom_options *given, parloom_require around)
{
    parloom_require require = given->require;
    if (require == PARLOOM_REQUIRE_UNSET) require = loom_pool_options(pool)->require;
    if (require == PARLOOM_REQUIRE_UNSET) require = around;
    return is_as_required(loom_pool_backend(pool), require);
}

/* Its workers have run the pool's worker_init, or none, and have the variables that it gave them. */
static parloom_status fill_on_pool(struct loom_plan *plan, parloom_error *error)
{
    const parloom_options *kept = loom_pool_options(plan->pool);
    loom_options_fill_unset(&plan->options, kept);
    parloom_status status = loom_scope_fill(&plan->options, error);
    plan->options.worker_environment = kept->worker_environment;
    plan->options.worker_init = kept->worker_init;
    plan->options.worker_init_state = kept->worker_init_state;
    plan->options.worker_init_state_nbytes = kept->worker_init_state_nbytes;
    return status;
}

/* The call's own pool must fit; one of a scope is used only where it does. */
static parloom_status choose_pool(struct loom_plan *plan, const parloom_options *given, bool is_pool,
                                  parloom_error *error)
{
    parloom_options outside = *given;
    plan->pool = given->pool;
    if (plan->pool != NULL) {
        parloom_status status = check_pool(given, plan->pool, error);
        return status == PARLOOM_OK ? fill_on_pool(plan, error) : status;
    }
    parloom_status status = loom_scope_fill(&outside, error);
    if (status != PARLOOM_OK) return status;
    if (!is_pool && outside.pool != NULL && check_pool(given, outside.pool, NULL) == PARLOOM_OK &&
        gives_required(outside.pool, given, outside.require)) {
        plan->pool = outside.pool;
        return fill_on_pool(plan, error);
    }
    plan->options = outside;
    return PARLOOM_OK;
}

/* ----------------------------------------------------------------- backend */

static const char *nested_default(void)
{
    int level = loom_shift_parallel_level();
    if (level == 0) return loom_backend_default();
    return level == 1 ? "threads" : "sequential";
}

static const char *preferred(const parloom_options *options)
{
    if (options->prefer == PARLOOM_PREFER_THREADS) return "threads";
    if (options->prefer == PARLOOM_PREFER_PROCESSES && loom_shift_parallel_level() == 0) return "processes";
    return nested_default();
}

/* What is required, wherever it was said, against what the call itself names. */
static parloom_status check_required(const parloom_options *given, parloom_require require, parloom_error *error)
{
    if (require == PARLOOM_REQUIRE_UNSET) return PARLOOM_OK;
    bool wants_shared = require == PARLOOM_REQUIRE_SHAREDMEM;
    const char *wanted = wants_shared ? "sharedmem" : "isolation", *fits = wants_shared ? "threads" : "processes";
    if (given->backend != NULL && loom_backend_find(given->backend) != NULL &&
        shares_memory(given->backend) != wants_shared)
        return loom_status_fail(
            error, PARLOOM_ERR_INVALID, 0,
            "backend \"%s\" cannot give what require \"%s\" asks for; leave it unset, or use \"%s\"", given->backend,
            wanted, fits);
    if (given->require == PARLOOM_REQUIRE_UNSET) return PARLOOM_OK; /* a hint of the call gives way */
    if (wants_shared ? given->prefer == PARLOOM_PREFER_PROCESSES : given->prefer == PARLOOM_PREFER_THREADS)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "prefer and require \"%s\" contradict each other",
                                wanted);
    return PARLOOM_OK;
}

/* base/ cannot say it when it reads the variable: backends are not its business. */
static bool is_of_environment(const char *name)
{
    const parloom_options *environment;
    parloom_error error;
    return loom_options_environment(&environment, &error) == PARLOOM_OK && environment->backend == name;
}

/* What the environment names is weaker than what the program registered as its default. */
static const char *choose_name(const struct loom_plan *plan)
{
    const char *name = plan->pool != NULL ? loom_pool_backend(plan->pool)->name : plan->options.backend;
    bool is_top = loom_shift_level() == 0, has_default = strcmp(loom_backend_default(), "processes") != 0;
    if (name == NULL || (is_top && has_default && is_of_environment(name))) return preferred(&plan->options);
    return name;
}

static void replace(struct loom_plan *plan)
{
    bool wants_shared = plan->options.require == PARLOOM_REQUIRE_SHAREDMEM;
    const struct loom_backend *fits = loom_backend_find(wants_shared ? "threads" : "processes");
    char line[256];
    (void)snprintf(line, sizeof line, "using the backend %s instead of %s, which %s", fits->name, plan->backend->name,
                   wants_shared ? "does not share the caller's memory" : "does not keep crashes from the caller");
    if (plan->options.verbose >= VERBOSE_CHOICES && plan->options.backend != NULL) loom_log_line(LOOM_LOG_INFO, line);
    plan->backend = fits;
}

/* Those of a scope or the environment that mean nothing to it are as if they were not there. */
static parloom_status ask(struct loom_plan *plan, const parloom_options *given, int *n_jobs, parloom_error *error)
{
    const char **params = &plan->options.backend_params;
    parloom_status status = loom_backend_configure(&plan->backend, n_jobs, *params, error);
    if (status != PARLOOM_ERR_INVALID || *params == NULL || given->backend_params != NULL) return status;
    *params = NULL;
    return loom_backend_configure(&plan->backend, n_jobs, NULL, error);
}

/* A registered backend says how many workers it has, or who does it instead. Pools have asked when they were opened. */
static parloom_status configure(struct loom_plan *plan, const parloom_options *given, parloom_error *error)
{
    const struct loom_backend *before = plan->backend;
    int asked = plan->options.n_jobs, n_jobs = asked != 0 ? loom_topology_effective_jobs(asked) : 0;
    if (before->custom == NULL) return PARLOOM_OK;
    parloom_status status = ask(plan, given, &n_jobs, error);
    if (status != PARLOOM_OK) return status;
    if (plan->backend->custom != NULL) plan->n_jobs = asked == 1 ? 1 : n_jobs;
    if (plan->backend == before) return PARLOOM_OK;
    plan->options.backend_params = NULL; /* were for the one before */
    if (is_as_required(plan->backend, plan->options.require)) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                            "the backend \"%s\" gives the call to \"%s\", which does not give what require asks for",
                            before->name, plan->backend->name);
}

static parloom_status choose_backend(struct loom_plan *plan, const parloom_options *given, parloom_error *error)
{
    const char *name = choose_name(plan);
    parloom_status status =
        loom_backend_get(&plan->backend, name, is_of_environment(name) ? "PARLOOM_BACKEND" : "backend", error);
    if (status == PARLOOM_OK) status = check_required(given, plan->options.require, error);
    if (status != PARLOOM_OK) return status;
    if (!is_as_required(plan->backend, plan->options.require)) replace(plan);
    if (plan->pool == NULL) return configure(plan, given, error);
    if (plan->backend == loom_pool_backend(plan->pool)) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                            "the pool's backend \"%s\" does not give what require asks for",
                            loom_pool_backend(plan->pool)->name);
}

/* Those of a scope or the environment are for the backend they were meant for: with another one they mean nothing. */
static parloom_status read_params(struct loom_plan *plan, const parloom_options *given, parloom_error *error)
{
    const char *params = plan->options.backend_params;
    if (params == NULL) return PARLOOM_OK;
    if (loom_backend_takes_params(plan->backend, params)) {
        plan->params = params;
        return PARLOOM_OK;
    }
    if (given->backend_params == NULL) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "backend_params \"%s\" mean nothing to the backend \"%s\"",
                            params, plan->backend->name);
}

/* A folder that is not there is a mistake on every backend, also where nothing happens to be spilled. */
static parloom_status check_folder(const parloom_options *options, parloom_error *error)
{
    return options->temp_folder != NULL ? loom_segment_check_folder(options->temp_folder, error) : PARLOOM_OK;
}

/* What is inherited by a task may lie outside of where its worker sits: then it stays there. */
static parloom_status check_bind(const parloom_options *options, const parloom_options *given, parloom_error *error)
{
    struct loom_cpuset allowed;
    bool is_own = given->bind != NULL || loom_shift_level() == 0;
    if (!is_own || !loom_placement_is_wanted(options->bind) || !loom_binding_allowed(&allowed)) return PARLOOM_OK;
    return loom_placement_check(options->bind, &allowed, error);
}

/* -------------------------------------------------------------------- jobs */

static bool needs_worker(const struct loom_plan *plan)
{
    const parloom_options *options = &plan->options;
    return options->require == PARLOOM_REQUIRE_ISOLATION || options->task_timeout > 0 || options->timeout > 0 ||
           options->retries > 0 || options->n_jobs < 0 || options->fresh_worker_every > 0 ||
           options->worker_environment != NULL;
}

/* What a scope or the environment says of it is meant for calls that have workers. */
static parloom_status check_fresh(struct loom_plan *plan, const parloom_options *given, parloom_error *error)
{
    if (plan->options.fresh_worker_every <= 0 || plan->backend->can_kill) return PARLOOM_OK;
    plan->options.fresh_worker_every = 0;
    if (given->fresh_worker_every <= 0) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                            "fresh_worker_every is %d, and the backend \"%s\" has no workers to replace: use processes "
                            "or fork",
                            given->fresh_worker_every, plan->backend->name);
}

/* A limit from around a call of a task holds for that task, with all that it calls. */
static parloom_status check_task_timeout(struct loom_plan *plan, const parloom_options *given, parloom_error *error)
{
    if (plan->options.task_timeout <= 0 || plan->backend->can_kill) return PARLOOM_OK;
    if (given->task_timeout <= 0 && loom_shift_level() > 0) {
        plan->options.task_timeout = 0;
        return PARLOOM_OK;
    }
    return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                            "task_timeout is %g s, and the backend \"%s\" cannot end a task that runs: use processes "
                            "or fork, or timeout for the whole call",
                            plan->options.task_timeout, plan->backend->name);
}

static parloom_status check_environment(struct loom_plan *plan, const parloom_options *given, parloom_error *error)
{
    if (plan->options.worker_environment == NULL || plan->backend->has_environment) return PARLOOM_OK;
    plan->options.worker_environment = NULL;
    if (given->worker_environment == NULL) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                            "worker_environment is \"%.100s\", and workers of the backend \"%s\" have no variables of "
                            "their own: use processes or fork",
                            given->worker_environment, plan->backend->name);
}

/* As in joblib: said once, and done in the caller. The backend refuses what needs a worker. */
static bool cannot_nest(const struct loom_plan *plan)
{
    static _Atomic int is_told;
    if (loom_shift_parallel_level() == 0 || plan->n_jobs == 1 || plan->backend->cannot_nest == NULL) return false;
    const char *below = plan->backend->cannot_nest(plan->params);
    if (below == NULL) return false;
    if (!loom_exchange_full(&is_told, 1)) /* whoever comes first says it */
        loom_log(LOOM_LOG_WARNING, "%s-backed parallel loops cannot be nested below %s, setting n_jobs=1",
                 plan->backend->name, below);
    return true;
}

static void count_jobs(struct loom_plan *plan)
{
    if (plan->pool != NULL) plan->n_jobs = loom_pool_n_jobs(plan->pool);
    if (plan->n_jobs == 0) plan->n_jobs = effective_jobs(plan->options.n_jobs);
}

/* As in joblib: where there can be no such workers threads do it, with one warning. Not where isolation or a limit of
 * tasks is asked for, which threads cannot give. */
static parloom_status check_available(struct loom_plan *plan, parloom_error *error)
{
    static _Atomic int is_told;
    const parloom_options *options = &plan->options;
    bool is_needed = options->require == PARLOOM_REQUIRE_ISOLATION || options->task_timeout > 0;
    bool is_used = plan->pool == NULL && (plan->n_jobs > 1 || needs_worker(plan));
    const char *why = is_used && plan->backend->unavailable != NULL ? plan->backend->unavailable() : NULL;
    if (why == NULL) return PARLOOM_OK;
    if (is_needed)
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0, "the backend \"%s\" is not available here: %s",
                                plan->backend->name, why);
    if (!loom_exchange_full(&is_told, 1)) /* whoever comes first says it */
        loom_log(LOOM_LOG_WARNING, "the backend \"%s\" is not available here, falling back to threads: %s",
                 plan->backend->name, why);
    plan->backend = loom_backend_find("threads");
    plan->params = NULL;
    plan->options.worker_environment = NULL;
    plan->options.fresh_worker_every = 0;
    return PARLOOM_OK;
}

static void choose_jobs(struct loom_plan *plan)
{
    const struct loom_backend *caller = loom_backend_find("sequential");
    plan->chosen = plan->backend;
    bool needs = plan->backend->can_kill && needs_worker(plan);
    if (plan->backend == caller || (!needs && cannot_nest(plan))) plan->n_jobs = 1;
    if (plan->n_jobs == 1 && !needs) plan->backend = caller;
    plan->is_alone = plan->backend == caller;
}

/* PARLOOM_MAX_DEPTH, as LOKY_MAX_DEPTH; what is not usable is said once. */
static int most_levels(void)
{
    static _Atomic int is_told;
    const char *text = secure_getenv("PARLOOM_MAX_DEPTH");
    int most = MOST_LEVELS;
    if (text == NULL || text[0] == '\0') return most;
    if (loom_options_parse_integer("PARLOOM_MAX_DEPTH", text, &most, NULL) == PARLOOM_OK && most >= 1) return most;
    if (!loom_exchange_full(&is_told, 1))
        loom_log(LOOM_LOG_WARNING, "PARLOOM_MAX_DEPTH=\"%.100s\" is ignored: expected a whole number, 1 or more", text);
    return MOST_LEVELS;
}

/* Recursion without an end stops here, and not where threads, processes or the stack do. */
static parloom_status check_depth(parloom_error *error)
{
    int level = loom_shift_level();
    if (level == 0 || level <= most_levels()) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_LIMIT, 0,
                            "calls are nested %d deep, and at most %d are allowed: a recursion without an end? Else "
                            "set PARLOOM_MAX_DEPTH",
                            level, most_levels());
}

/* The call's own must make sense whoever works. One from around it counts where there are workers to take tasks ahead:
 * a call of one job below a scope of "n_jobs//4" is no mistake. */
static parloom_status check_pre_dispatch(const struct loom_plan *plan, const parloom_options *given,
                                         parloom_error *error)
{
    const char *text = plan->options.pre_dispatch;
    bool is_ahead = given->pre_dispatch != NULL || plan->n_jobs > 1;
    size_t tasks;
    return text != NULL && is_ahead ? loom_expression_tasks(text, plan->n_jobs, &tasks, error) : PARLOOM_OK;
}

/* is_pool: for a pool to be opened, which does not run on the pool of a scope. */
static parloom_status make(struct loom_plan *plan, const parloom_options *given, bool is_pool, parloom_error *error)
{
    parloom_options options;
    memset(plan, 0, sizeof *plan);
    parloom_status status = loom_options_read(given, &options, error);
    if (status != PARLOOM_OK) return status;
    plan->options = options;
    status = check_depth(error);
    if (status == PARLOOM_OK) status = choose_pool(plan, &options, is_pool, error);
    if (status == PARLOOM_OK) status = choose_backend(plan, &options, error);
    if (status == PARLOOM_OK) status = read_params(plan, &options, error);
    if (status == PARLOOM_OK) status = check_folder(&plan->options, error);
    if (status == PARLOOM_OK) status = check_fresh(plan, &options, error);
    if (status == PARLOOM_OK) status = check_environment(plan, &options, error);
    if (status == PARLOOM_OK) status = check_bind(&plan->options, &options, error);
    if (status == PARLOOM_OK) status = check_task_timeout(plan, &options, error);
    if (status == PARLOOM_OK) count_jobs(plan);
    if (status == PARLOOM_OK) status = check_available(plan, error);
    if (status == PARLOOM_OK) choose_jobs(plan);
    if (status == PARLOOM_OK) status = check_pre_dispatch(plan, &options, error);
    return status;
}

parloom_status loom_plan_make(struct loom_plan *plan, const parloom_options *given, parloom_error *error)
{
    return make(plan, given, false, error);
}

parloom_status loom_plan_make_pool(struct loom_plan *plan, const parloom_options *given, parloom_error *error)
{
    return make(plan, given, true, error);
}

struct loom_placement *loom_plan_placement(const struct loom_plan *plan, int n_jobs)
{
    bool is_caller = plan->backend->memory == LOOM_MEMORY_SAME && n_jobs == 1;
    return is_caller ? NULL : loom_placement_make(plan->options.bind, n_jobs);
}

size_t loom_plan_block_size(size_t n, size_t batch_size)
{
    size_t batch = batch_size > 0 ? batch_size : 1;
    size_t batches = n / batch + (n % batch != 0);
    return batch * (batches / MOST_BLOCKS + (batches % MOST_BLOCKS != 0));
}

int parloom_effective_n_jobs(int n_jobs)
{
    struct loom_plan plan;
    parloom_error error; /* a call made now would say it */
    if (n_jobs == 0 && loom_plan_make(&plan, NULL, &error) == PARLOOM_OK) return plan.n_jobs;
    return effective_jobs(n_jobs);
}

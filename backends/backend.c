/* SPDX-License-Identifier: BSD-3-Clause */
/* backend.c - find a backend by its name, ours or a registered one, and what concerns all of them. */
#include "backends/custom.h"

#include "base/log.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>

enum { MOST_NAMES = 64, MOST_SUBSTITUTES = 8 };

static const struct loom_backend *const builtin[] = { &loom_backend_sequential, &loom_backend_threads,
                                                      &loom_backend_processes, &loom_backend_fork };

const struct loom_backend *loom_backend_find(const char *name)
{
    for (size_t k = 0; k < sizeof builtin / sizeof *builtin; k++)
        if (strcmp(builtin[k]->name, name) == 0) return builtin[k];
    bool is_loaded = false;
    const struct loom_custom *custom = loom_custom_find(name, &is_loaded);
    return is_loaded ? &custom->backend : NULL;
}

static parloom_status fail_unknown(const char *name, const char *what, parloom_error *error)
{
    const char *names[MOST_NAMES];
    char known[512] = "";
    size_t count = parloom_backend_list(names, MOST_NAMES), used = 0;
    for (size_t k = 0; k < count && k < MOST_NAMES && used < sizeof known; k++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", k > 0 ? ", " : "", names[k]);
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "Invalid backend: %s \"%.200s\" is not known: there are %s",
                            what, name, known);
}

static parloom_status load(const struct loom_custom *custom, const char *what, parloom_error *error)
{
    parloom_error why;
    loom_status_clear(&why);
    parloom_status status = custom->load(custom->load_state, &why);
    if (status == PARLOOM_OK) return PARLOOM_OK;
    return loom_status_fail(error, status, 0, "%s \"%s\" could not be loaded: %s", what, custom->name,
                            why.message[0] != '\0' ? why.message : parloom_status_name(status));
}

parloom_status loom_backend_get(const struct loom_backend **backend_out, const char *name, const char *what,
                                parloom_error *error)
{
    bool is_loaded;
    *backend_out = loom_backend_find(name);
    if (*backend_out != NULL) return PARLOOM_OK;
    const struct loom_custom *offered = loom_custom_find(name, &is_loaded);
    if (offered == NULL) return fail_unknown(name, what, error);
    parloom_status status = load(offered, what, error);
    *backend_out = loom_backend_find(name);
    if (*backend_out != NULL) return PARLOOM_OK; /* by another thread, perhaps */
    if (status != PARLOOM_OK) return status;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                            "%s \"%s\" was offered, but what loads it did not register it", what, name);
}

const char *loom_backend_default(void)
{
    const char *name = loom_custom_default();
    return name != NULL ? name : "processes";
}

static void shut_down_custom(bool kill)
{
    struct loom_custom *custom;
    for (size_t k = 0; (custom = loom_custom_hold_nth(k)) != NULL; k++) {
        loom_custom_shutdown(custom, kill);
        loom_custom_release(custom);
    }
}

void loom_backend_shutdown(bool kill)
{
    for (size_t k = 0; k < sizeof builtin / sizeof *builtin; k++)
        if (builtin[k]->shutdown != NULL) builtin[k]->shutdown(kill);
    shut_down_custom(kill);
}

bool loom_backend_drain(uint64_t deadline_ns)
{
    bool is_drained = true;
    for (size_t k = 0; k < sizeof builtin / sizeof *builtin; k++)
        if (builtin[k]->drain != NULL) is_drained &= builtin[k]->drain(deadline_ns);
    shut_down_custom(false);
    return is_drained;
}

parloom_status loom_backend_configure(const struct loom_backend **backend, int *n_jobs, const char *params,
                                      parloom_error *error)
{
    for (int k = 0; *backend != NULL && (*backend)->custom != NULL; k++) {
        const char *fallback = NULL, *name = (*backend)->name;
        parloom_status status = loom_custom_configure((*backend)->custom, n_jobs, params, &fallback, error);
        if (status == PARLOOM_OK || fallback == NULL) return status;
        if (k == MOST_SUBSTITUTES)
            return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "backend \"%s\": %d backends in a row name another",
                                    name, k);
        status = loom_backend_get(backend, fallback, "the substitute", error);
        if (status != PARLOOM_OK) return status;
        loom_log(LOOM_LOG_INFO, "the backend %s gives a call to %s instead", name, fallback);
    }
    return PARLOOM_OK;
}

bool loom_backend_takes_params(const struct loom_backend *backend, const char *params)
{
    if (backend->custom != NULL) return backend->custom->ops.configure != NULL; /* which has refused what it must */
    return backend->takes_params != NULL && backend->takes_params(params);
}

parloom_status loom_backend_open(const struct loom_backend *backend, void **workers_out, const parloom_options *options,
                                 int n_jobs, parloom_error *error)
{
    if (backend->custom != NULL) return loom_custom_open(backend->custom, workers_out, options, n_jobs, error);
    return backend->open != NULL ? backend->open(workers_out, options, n_jobs, error) : PARLOOM_OK;
}

void loom_backend_close(const struct loom_backend *backend, void *workers, bool kill)
{
    if (backend->custom != NULL)
        loom_custom_close(backend->custom, workers);
    else
        backend->close(workers, kill);
}

parloom_status loom_backend_run(const struct loom_backend *backend, void *workers, const struct loom_run *run,
                                parloom_error *error)
{
    if (backend->custom != NULL) return loom_custom_run(backend->custom, workers, run, error);
    return backend->run(workers, run, error);
}

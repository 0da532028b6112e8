/* SPDX-License-Identifier: BSD-3-Clause */
/* cache_run.c - results are made, the body runs (see cache.h). */
#include "base/clock.h"
#include "base/memory.h"
#include "base/status.h"
#include "rest/cache.h"
#include "shm/array.h"

#include <stdio.h>
#include <string.h>

struct parloom_cache_run {
    const parloom_cached *function;
    parloom_array *results;
    bool is_made[PARLOOM_CACHE_MOST_RESULTS];
    parloom_status failed; /* of parloom_cache_make */
    parloom_error error;
    char message[PARLOOM_MESSAGE_BYTES];
};

static parloom_status make_result(parloom_cache_run *run, size_t index, int ndim, const size_t *shape,
                                  parloom_error *error)
{
    const parloom_cache_result *result = &run->function->definition.results[index];
    parloom_array array = parloom_array_wrap_strided(NULL, result->dtype, result->item_nbytes, ndim, shape, NULL);
    parloom_status status = loom_array_allocate(&array, true, error);
    if (status != PARLOOM_OK) return status;
    run->results[index] = array;
    run->is_made[index] = true;
    return PARLOOM_OK;
}

static parloom_status make_told(parloom_cache_run *run, size_t index, int ndim, const size_t *shape)
{
    const parloom_cache_function *definition = &run->function->definition;
    const char *wrong = NULL;
    if (index >= definition->n_results)
        wrong = "there is no result of that number";
    else if (definition->results[index].ndim != PARLOOM_CACHE_TOLD)
        wrong = "it is declared with a shape";
    else if (run->is_made[index])
        wrong = "it is there already";
    else if (ndim < 0 || ndim > PARLOOM_MAX_NDIM || (ndim > 0 && shape == NULL))
        wrong = "its shape makes no sense";
    if (wrong == NULL) return make_result(run, index, ndim, shape, &run->error);
    return loom_status_fail(&run->error, PARLOOM_ERR_CALLBACK, 0, "%s could not make result %zu: %s", definition->name,
                            index, wrong);
}

void *parloom_cache_make(parloom_cache_run *run, size_t index, int ndim, const size_t *shape)
{
    parloom_status status = make_told(run, index, ndim, shape);
    if (status == PARLOOM_OK) return run->results[index].data;
    if (run->failed == PARLOOM_OK) run->failed = status;
    return NULL;
}

int parloom_cache_fail(parloom_cache_run *run, int code, const char *text)
{
    snprintf(run->message, sizeof run->message, "%s", text != NULL ? text : "");
    loom_status_cut(run->message, sizeof run->message - 1);
    return code;
}

void loom_cache_release_results(const parloom_cached *function, parloom_array *results)
{
    for (size_t k = 0; k < function->definition.n_results; k++) parloom_array_release(&results[k]);
}

static parloom_status make_known(parloom_cache_run *run, parloom_error *error)
{
    const parloom_cache_function *definition = &run->function->definition;
    parloom_status status = PARLOOM_OK;
    for (size_t k = 0; k < definition->n_results && status == PARLOOM_OK; k++)
        if (definition->results[k].ndim != PARLOOM_CACHE_TOLD)
            status = make_result(run, k, definition->results[k].ndim, definition->results[k].shape, error);
    return status;
}

/* What the body said, as a status: what it could not make comes first, since it may have returned for that reason. */
static parloom_status settle(parloom_cache_run *run, int code, parloom_error *error)
{
    const parloom_cache_function *definition = &run->function->definition;
    if (run->failed != PARLOOM_OK) {
        if (error != NULL) *error = run->error;
        return run->failed;
    }
    if (code != 0) {
        loom_status_fail(error, PARLOOM_ERR_TASK, 0, "%s returned %d%s%s", definition->name, code,
                         run->message[0] != '\0' ? ": " : "", run->message);
        if (error != NULL) error->code = code;
        return PARLOOM_ERR_TASK;
    }
    for (size_t k = 0; k < definition->n_results; k++)
        if (!run->is_made[k])
            return loom_status_fail(error, PARLOOM_ERR_CALLBACK, 0,
                                    "%s returned 0 and did not make its result \"%s\" (parloom_cache_make)",
                                    definition->name, definition->results[k].name);
    return PARLOOM_OK;
}

parloom_status loom_cache_run_body(struct loom_cache_call *call, parloom_array *results_out, double *duration_s_out,
                                   parloom_error *error)
{
    const parloom_cached *function = call->function;
    parloom_array results[PARLOOM_CACHE_MOST_RESULTS];
    parloom_cache_run run;
    memset(results, 0, sizeof results);
    memset(&run, 0, sizeof run);
    run.function = function;
    run.results = results;
    parloom_status status = make_known(&run, error);
    if (status == PARLOOM_OK) {
        uint64_t begun = loom_clock_ns();
        int code = function->definition.body(&run, call->args, results);
        *duration_s_out = (double)(loom_clock_ns() - begun) * 1e-9;
        status = settle(&run, code, error);
    }
    if (status == PARLOOM_OK)
        memcpy(results_out, results, function->definition.n_results * sizeof results[0]);
    else
        loom_cache_release_results(function, results);
    return status;
}

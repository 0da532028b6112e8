/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache_arguments.c - what a call says becomes one value for each parameter.
 *
 * Values without a name come first and fill parameters in their order; then names; then fallbacks. The caller's list
 * and what it points to are only read.
 */
#include "base/status.h"
#include "rest/cache.h"
#include "shm/array.h"

#include <string.h>

static const char *type_name(parloom_cache_type type)
{
    static const char *const NAMES[] = { "no type", "i64", "f64", "text", "bytes", "array" };
    return type >= PARLOOM_CACHE_I64 && type <= PARLOOM_CACHE_ARRAY ? NAMES[type] : NAMES[0];
}

static size_t find_param(const parloom_cache_function *definition, const char *name)
{
    size_t k = 0;
    while (k < definition->n_params && strcmp(definition->params[k].name, name) != 0) k++;
    return k;
}

static parloom_status check_value(const parloom_cache_function *definition, const parloom_cache_param *param,
                                  const parloom_cache_value *value, parloom_error *error)
{
    if (value->type != param->type)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "argument \"%s\" of %s is declared as %s, not as %s",
                                param->name, definition->name, type_name(param->type), type_name(value->type));
    bool has_data = value->data != NULL || (value->type == PARLOOM_CACHE_BYTES && value->nbytes == 0);
    if (value->type >= PARLOOM_CACHE_TEXT && !has_data)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "argument \"%s\" of %s is NULL", param->name,
                                definition->name);
    return value->type == PARLOOM_CACHE_ARRAY ? loom_array_check(value->data, error) : PARLOOM_OK;
}

static parloom_status place_value(const parloom_cache_function *definition, const parloom_cache_value *value, size_t k,
                                  bool *is_set, struct loom_cache_call *call, parloom_error *error)
{
    if (k == definition->n_params)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "%s has no argument \"%.100s\"", definition->name,
                                value->name);
    if (is_set[k])
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "argument \"%s\" of %s is given twice",
                                definition->params[k].name, definition->name);
    is_set[k] = true;
    call->values[k] = *value;
    return check_value(definition, &definition->params[k], value, error);
}

static parloom_status place_all(const parloom_cache_function *definition, const parloom_cache_value *args,
                                size_t n_args, bool *is_set, struct loom_cache_call *call, parloom_error *error)
{
    parloom_status status = PARLOOM_OK;
    bool has_names = false;
    for (size_t k = 0; k < n_args && status == PARLOOM_OK; k++) {
        if (args[k].name == NULL && has_names)
            return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                    "argument %zu of %s has no name and comes after one that has", k + 1,
                                    definition->name);
        has_names = args[k].name != NULL;
        size_t place = has_names ? find_param(definition, args[k].name) : k;
        status = place_value(definition, &args[k], place, is_set, call, error);
    }
    return status;
}

static parloom_status fill_up(const parloom_cache_function *definition, size_t n_args, const bool *is_set,
                              struct loom_cache_call *call, parloom_error *error)
{
    for (size_t k = 0; k < definition->n_params; k++) {
        if (is_set[k]) continue;
        if (definition->params[k].fallback == NULL)
            return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                    "%s was called with %zu argument(s) of %zu: \"%s\" is missing", definition->name,
                                    n_args, definition->n_params, definition->params[k].name);
        call->values[k] = *definition->params[k].fallback;
    }
    return PARLOOM_OK;
}

/* What the body gets: a pointer to each. */
static void point(struct loom_cache_call *call, size_t n_params)
{
    for (size_t k = 0; k < n_params; k++) {
        parloom_cache_value *value = &call->values[k];
        if (value->type == PARLOOM_CACHE_I64)
            call->args[k] = &value->integer;
        else if (value->type == PARLOOM_CACHE_F64)
            call->args[k] = &value->real;
        else
            memcpy(&call->args[k], &value->data, sizeof value->data); /* the body takes it as const */
    }
}

parloom_status loom_cache_match(const parloom_cached *function, const parloom_cache_value *args, size_t n_args,
                                struct loom_cache_call *call_out, parloom_error *error)
{
    bool is_set[PARLOOM_CACHE_MOST_PARAMS] = { false };
    if (function == NULL || (args == NULL && n_args > 0))
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no %s given",
                                function == NULL ? "function" : "arguments");
    const parloom_cache_function *definition = &function->definition;
    if (n_args > definition->n_params)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "%s takes %zu argument(s), and %zu were given",
                                definition->name, definition->n_params, n_args);
    memset(call_out, 0, sizeof *call_out);
    call_out->function = function;
    parloom_status status = place_all(definition, args, n_args, is_set, call_out, error);
    if (status == PARLOOM_OK) status = fill_up(definition, n_args, is_set, call_out, error);
    if (status == PARLOOM_OK) point(call_out, definition->n_params);
    return status;
}

parloom_cache_value parloom_cache_i64(const char *name, int64_t value)
{
    return (parloom_cache_value){ .name = name, .type = PARLOOM_CACHE_I64, .integer = value };
}

parloom_cache_value parloom_cache_f64(const char *name, double value)
{
    return (parloom_cache_value){ .name = name, .type = PARLOOM_CACHE_F64, .real = value };
}

parloom_cache_value parloom_cache_text(const char *name, const char *value)
{
    return (parloom_cache_value){
        .name = name, .type = PARLOOM_CACHE_TEXT, .data = value, .nbytes = value != NULL ? strlen(value) : 0
    };
}

parloom_cache_value parloom_cache_bytes(const char *name, const void *data, size_t nbytes)
{
    return (parloom_cache_value){ .name = name, .type = PARLOOM_CACHE_BYTES, .data = data, .nbytes = nbytes };
}

parloom_cache_value parloom_cache_array(const char *name, const parloom_array *value)
{
    return (parloom_cache_value){ .name = name, .type = PARLOOM_CACHE_ARRAY, .data = value };
}

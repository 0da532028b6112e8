/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache_bind.c - a definition is checked and copied; the identity of its code.
 *
 * Identity  build-id of the module and offset of the body in it. Digests of the body's own bytes would miss constants,
 *           tables and callees that changed; the build-id sees all that was linked together. Other libraries that the
 *           body calls are not part of it.
 */
#include "backends/tasks.h"
#include "base/memory.h"
#include "base/status.h"
#include "rest/cache.h"
#include "rest/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 2 * LOOM_CACHE_IDENTITY_BYTES + 400 };

enum { LONGEST_FOLDER = 240 };

/* What was copied for a function: freed with it. */
struct loom_text_block {
    struct loom_text_block *next;
    max_align_t bytes[];
};

static void *keep(parloom_cached *function, const void *bytes, size_t nbytes)
{
    struct loom_text_block *block = loom_memory_zeroed(1, sizeof *block + nbytes + 1);
    if (block == NULL) return NULL;
    if (nbytes > 0 && bytes != NULL) memcpy(block->bytes, bytes, nbytes);
    block->next = function->block;
    function->block = block;
    return block->bytes;
}

/* NULL stays NULL; *is_short_out is set where memory is. */
static const char *keep_text(parloom_cached *function, const char *text, bool *is_short_out)
{
    char *copy = text != NULL ? keep(function, text, strlen(text)) : NULL;
    if (text != NULL && copy == NULL) *is_short_out = true;
    return copy;
}

/* ------------------------------------------------------------------------- check */

static bool is_plain(const char *name)
{
    static const char PLAIN[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    return name != NULL && name[0] != '\0' && strlen(name) < PARLOOM_CACHE_NAME_BYTES &&
           name[strspn(name, PLAIN)] == '\0';
}

static parloom_status refuse(const parloom_cache_function *definition, parloom_error *error, const char *what)
{
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "cached function \"%.96s\": %s",
                            definition->name != NULL ? definition->name : "(no name)", what);
}

static parloom_status check_param(const parloom_cache_function *definition, size_t k, parloom_error *error)
{
    const parloom_cache_param *param = &definition->params[k];
    if (!is_plain(param->name))
        return refuse(definition, error,
                      "a parameter has no name, or one with other characters than letters, digits "
                      "and '_'");
    for (size_t other = 0; other < k; other++)
        if (strcmp(definition->params[other].name, param->name) == 0)
            return refuse(definition, error, "two parameters have one name");
    if (param->type < PARLOOM_CACHE_I64 || param->type > PARLOOM_CACHE_ARRAY)
        return refuse(definition, error, "a parameter is of no type");
    bool is_other =
        param->fallback != NULL && (param->fallback->type != param->type || param->type == PARLOOM_CACHE_ARRAY ||
                                    (param->type >= PARLOOM_CACHE_TEXT && param->fallback->data == NULL));
    return is_other ? refuse(definition, error, "a fallback is of another type than its parameter, NULL, or an array")
                    : PARLOOM_OK;
}

static parloom_status check_result(const parloom_cache_function *definition, size_t k, parloom_error *error)
{
    const parloom_cache_result *result = &definition->results[k];
    bool is_alone = definition->n_results == 1 && result->name == NULL;
    if (!is_alone && !is_plain(result->name))
        return refuse(definition, error,
                      "a result has no name, or one with other characters than letters, digits and "
                      "'_'");
    for (size_t other = 0; other < k; other++)
        if (strcmp(definition->results[other].name, result->name) == 0)
            return refuse(definition, error, "two results have one name");
    bool has_size = result->dtype == PARLOOM_ITEM ? result->item_nbytes > 0 : result->item_nbytes == 0;
    if (result->dtype < PARLOOM_BOOL || result->dtype > PARLOOM_ITEM || !has_size)
        return refuse(definition, error, "a result is of no dtype, or item_nbytes does not fit it");
    if (result->ndim < PARLOOM_CACHE_TOLD || result->ndim > PARLOOM_MAX_NDIM ||
        (result->ndim > 0 && result->shape == NULL))
        return refuse(definition, error, "a result has a shape that makes no sense");
    return PARLOOM_OK;
}

static parloom_status check_ignored(const parloom_cache_function *definition, parloom_error *error)
{
    if (definition->ignore == NULL && definition->n_ignore > 0)
        return refuse(definition, error, "ignore is NULL and n_ignore is not 0");
    for (size_t k = 0; k < definition->n_ignore; k++) {
        const char *name = definition->ignore[k];
        size_t found = 0;
        if (name == NULL) return refuse(definition, error, "a name in ignore is NULL");
        while (found < definition->n_params && strcmp(definition->params[found].name, name) != 0) found++;
        if (found == definition->n_params)
            return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                    "cached function \"%.96s\": ignore names \"%.96s\", which is no parameter of it",
                                    definition->name, name);
    }
    return PARLOOM_OK;
}

static parloom_status check_lists(const parloom_cache_function *definition, parloom_error *error)
{
    bool is_bad_name =
        definition->name == NULL || definition->name[0] == '\0' || strlen(definition->name) >= PARLOOM_CACHE_NAME_BYTES;
    if (is_bad_name) return refuse(definition, error, "its name is missing or too long");
    if (definition->body == NULL) return refuse(definition, error, "it has no body");
    if (definition->version != NULL && strlen(definition->version) >= PARLOOM_CACHE_NAME_BYTES)
        return refuse(definition, error, "its version is too long");
    if (definition->version != NULL && definition->version[0] == '\0')
        return refuse(definition, error, "its version is empty: NULL is none, and then its code tells");
    if (definition->n_params > PARLOOM_CACHE_MOST_PARAMS || (definition->n_params > 0 && definition->params == NULL))
        return refuse(definition, error, "params are NULL or too many");
    if (definition->n_results > PARLOOM_CACHE_MOST_RESULTS || definition->n_results == 0 || definition->results == NULL)
        return refuse(definition, error, "results are missing or too many");
    if (!(definition->expires_after_s >= 0)) return refuse(definition, error, "expires_after_s is negative");
    if (definition->mmap_mode < PARLOOM_MMAP_UNSET || definition->mmap_mode > PARLOOM_MMAP_C ||
        definition->mmap_mode == PARLOOM_MMAP_W)
        return refuse(definition, error, "mmap_mode is not one of UNSET, R, RW and C");
    return PARLOOM_OK;
}

static parloom_status check(const parloom_cache_function *definition, parloom_error *error)
{
    parloom_status status = check_lists(definition, error);
    for (size_t k = 0; k < definition->n_params && status == PARLOOM_OK; k++)
        status = check_param(definition, k, error);
    for (size_t k = 0; k < definition->n_results && status == PARLOOM_OK; k++)
        status = check_result(definition, k, error);
    return status == PARLOOM_OK ? check_ignored(definition, error) : status;
}

/* -------------------------------------------------------------------------- copy */

static const parloom_cache_value *keep_value(parloom_cached *function, const parloom_cache_value *value, bool *is_short)
{
    parloom_cache_value *copy = keep(function, value, sizeof *value);
    if (copy == NULL) return NULL;
    copy->name = NULL;
    if (value->type >= PARLOOM_CACHE_TEXT) copy->data = keep(function, value->data, value->nbytes);
    if (value->type >= PARLOOM_CACHE_TEXT && copy->data == NULL) *is_short = true;
    return copy;
}

static bool copy_params(parloom_cached *function)
{
    parloom_cache_function *definition = &function->definition;
    bool is_short = false;
    parloom_cache_param *params = keep(function, definition->params, definition->n_params * sizeof *definition->params);
    if (params == NULL) return false;
    for (size_t k = 0; k < definition->n_params; k++) {
        params[k].name = keep_text(function, params[k].name, &is_short);
        if (params[k].fallback == NULL) continue;
        params[k].fallback = keep_value(function, params[k].fallback, &is_short);
        if (params[k].fallback == NULL) is_short = true;
    }
    definition->params = params;
    return !is_short;
}

static bool copy_results(parloom_cached *function)
{
    parloom_cache_function *definition = &function->definition;
    bool is_short = false;
    parloom_cache_result *results =
        keep(function, definition->results, definition->n_results * sizeof *definition->results);
    if (results == NULL) return false;
    for (size_t k = 0; k < definition->n_results; k++) {
        results[k].name = keep_text(function, results[k].name != NULL ? results[k].name : "result", &is_short);
        if (results[k].ndim <= 0) continue;
        results[k].shape = keep(function, results[k].shape, (size_t)results[k].ndim * sizeof results[k].shape[0]);
        if (results[k].shape == NULL) is_short = true;
    }
    definition->results = results;
    return !is_short;
}

static bool copy_definition(parloom_cached *function, const parloom_cache_function *definition)
{
    bool is_short = false;
    function->definition = *definition;
    function->definition.name = keep_text(function, definition->name, &is_short);
    function->definition.version = keep_text(function, definition->version, &is_short);
    for (size_t k = 0; k < definition->n_ignore; k++)
        for (size_t p = 0; p < definition->n_params; p++)
            if (strcmp(definition->params[p].name, definition->ignore[k]) == 0) function->is_ignored[p] = true;
    function->definition.ignore = NULL; /* is_ignored says it */
    function->definition.n_ignore = 0;
    return !is_short && copy_params(function) && copy_results(function);
}

/* Names of files have at most 255 bytes: what is longer ends with its digest. */
static void shorten(const char *name, char folder[LOOM_CACHE_FOLDER_BYTES], size_t length)
{
    struct loom_hash hash;
    parloom_digest digest;
    if (length <= LONGEST_FOLDER) return;
    (void)loom_hash_begin(&hash, "cached name", NULL, NULL);
    (void)loom_hash_text(&hash, name, NULL);
    if (loom_hash_end(&hash, &digest, NULL) != PARLOOM_OK) return;
    folder[LONGEST_FOLDER - PARLOOM_DIGEST_TEXT_BYTES] = '+'; /* no other name has one */
    parloom_digest_text(&digest, folder + LONGEST_FOLDER - PARLOOM_DIGEST_TEXT_BYTES + 1);
}

/* What could mean something to a file system is written as %xx; "/" too, so a name is one folder. */
static void write_folder(const char *name, char folder[LOOM_CACHE_FOLDER_BYTES])
{
    static const char PLAIN[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    size_t length = 0;
    for (const char *c = name; *c != '\0'; c++) {
        if (strchr(PLAIN, *c) != NULL && !(*c == '.' && c == name))
            folder[length++] = *c;
        else
            length += (size_t)snprintf(folder + length, LOOM_CACHE_FOLDER_BYTES - length, "%%%02x", (unsigned char)*c);
    }
    folder[length] = '\0';
    shorten(name, folder, length);
}

static void write_identity(const struct loom_task_ref *ref, char identity[LOOM_CACHE_IDENTITY_BYTES])
{
    size_t length = (size_t)snprintf(identity, LOOM_CACHE_IDENTITY_BYTES, "build-id ");
    for (uint32_t k = 0; k < ref->id_nbytes && k < LOOM_TASK_ID_BYTES; k++)
        length += (size_t)snprintf(identity + length, LOOM_CACHE_IDENTITY_BYTES - length, "%02x", ref->id[k]);
    if (ref->id_nbytes == 0)
        length = (size_t)snprintf(identity, LOOM_CACHE_IDENTITY_BYTES, "file %llu:%llu of %llu bytes, changed %llu",
                                  (unsigned long long)ref->device, (unsigned long long)ref->inode,
                                  (unsigned long long)ref->file_nbytes, (unsigned long long)ref->mtime_ns);
    snprintf(identity + length, LOOM_CACHE_IDENTITY_BYTES - length, " offset %llx", (unsigned long long)ref->offset);
}

static parloom_status identify(parloom_cached *function, parloom_error *error)
{
    const parloom_cache_function *definition = &function->definition;
    struct loom_task_ref ref;
    parloom_body body;
    if (definition->version != NULL) {
        snprintf(function->identity, sizeof function->identity, "version %s", definition->version);
        return PARLOOM_OK;
    }
    memcpy(&body, &definition->body, sizeof body); /* only its address counts */
    parloom_status status = loom_task_refer(body, &ref, error);
    if (status != PARLOOM_OK) return status;
    if (ref.is_published)
        return loom_status_fail(error, PARLOOM_ERR_FUNCTION, 0,
                                "cached function \"%s\" lies in no file that could say which build it is of: give a "
                                "version",
                                definition->name);
    write_identity(&ref, function->identity);
    return PARLOOM_OK;
}

/* The first that had the name in this cache. Memory that is short: nothing is compared. */
static void note_name(parloom_cache *cache, const parloom_cached *function)
{
    const struct loom_cache_name *name = cache->names;
    while (name != NULL && strcmp(name->folder, function->folder) != 0) name = name->next;
    struct loom_cache_name *added = name == NULL ? loom_memory_zeroed(1, sizeof *added) : NULL;
    if (added == NULL) return;
    memcpy(added->folder, function->folder, sizeof added->folder);
    memcpy(added->identity, function->identity, sizeof added->identity);
    added->next = cache->names;
    cache->names = added;
}

/* Once for both, whichever of them comes second. */
static void warn_shared(const parloom_cached *function, const char *other)
{
    char line[LINE_BYTES], both[LINE_BYTES];
    bool is_first = strcmp(function->identity, other) < 0;
    snprintf(line, sizeof line,
             "two functions have the name \"%s\" in a cache, of %s and of %s: their results are kept apart, and are "
             "cleared together",
             function->definition.name, other, function->identity);
    snprintf(both, sizeof both, "%s %s %s", function->definition.name, is_first ? function->identity : other,
             is_first ? other : function->identity);
    loom_cache_warn_once(function->cache, LOOM_CACHE_SHARED_NAME, both, NULL, line);
}

/* In one program a name should mean one function: results are told apart, but who clears one clears the other. */
static void compare_name(parloom_cache *cache, const parloom_cached *function)
{
    char other[LOOM_CACHE_IDENTITY_BYTES];
    pthread_mutex_lock(&cache->lock);
    note_name(cache, function);
    pthread_mutex_unlock(&cache->lock);
    loom_cache_find_namesake(function, other);
    if (other[0] != '\0') warn_shared(function, other);
}

static parloom_status check_given(const void *out, const parloom_cache *cache, const parloom_cache_function *definition,
                                  parloom_error *error)
{
    if (out == NULL || cache == NULL || definition == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no cache, definition or place for the function given");
    if (definition->struct_size == sizeof *definition) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_VERSION, 0,
                            "a cached function has struct_size %zu, this library's is %zu", definition->struct_size,
                            sizeof *definition);
}

parloom_status parloom_cache_bind(parloom_cached **function_out, parloom_cache *cache,
                                  const parloom_cache_function *definition, parloom_error *error)
{
    parloom_status status = check_given(function_out, cache, definition, error);
    if (status == PARLOOM_OK) status = check(definition, error);
    if (status != PARLOOM_OK) return status;
    parloom_cached *function = loom_memory_zeroed(1, sizeof *function);
    if (function == NULL || !copy_definition(function, definition)) {
        parloom_cache_unbind(function);
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for the cached function %s",
                                definition->name);
    }
    function->cache = cache;
    function->mmap_mode =
        definition->mmap_mode != PARLOOM_MMAP_UNSET ? definition->mmap_mode : cache->options.mmap_mode;
    function->verbose = definition->verbose != 0 ? definition->verbose : cache->options.verbose;
    write_folder(definition->name, function->folder);
    status = identify(function, error);
    if (status != PARLOOM_OK) {
        parloom_cache_unbind(function);
        return status;
    }
    compare_name(cache, function);
    *function_out = function;
    loom_status_clear(error);
    return PARLOOM_OK;
}

void parloom_cache_unbind(parloom_cached *function)
{
    if (function == NULL) return;
    for (struct loom_text_block *block = function->block; block != NULL;) {
        struct loom_text_block *next = block->next;
        free(block);
        block = next;
    }
    if (function->owns_cache) parloom_cache_close(function->cache);
    free(function);
}

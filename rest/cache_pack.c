/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache_pack.c - functions as bytes, and back.
 *
 * Form   numbers as 8 bytes, texts as their length (UINT64_MAX: NULL), bytes and a NUL, functions as struct
 *        loom_task_ref. For processes of one machine and one release; what is read is checked all the same.
 */
#include "backends/tasks.h"
#include "base/memory.h"
#include "base/status.h"
#include "rest/cache.h"
#include "rest/cache_text.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t MAGIC = 0x31686361636d6f6cu; /* "lomcach1" */

/* ------------------------------------------------------------------------- write */

static void put_bytes(struct loom_cache_text *text, const void *bytes, size_t nbytes)
{
    loom_cache_text_append(text, bytes, nbytes);
}

static void put_number(struct loom_cache_text *text, uint64_t number)
{
    put_bytes(text, &number, sizeof number);
}

static void put_real(struct loom_cache_text *text, double real)
{
    put_bytes(text, &real, sizeof real);
}

static void put_data(struct loom_cache_text *text, const void *data, size_t nbytes)
{
    put_number(text, data != NULL ? nbytes : UINT64_MAX);
    if (data == NULL) return;
    put_bytes(text, data, nbytes);
    put_bytes(text, "", 1);
}

static void put_text(struct loom_cache_text *text, const char *string)
{
    put_data(text, string, string != NULL ? strlen(string) : 0);
}

/* False: it lies in no file. address: of any function; only that travels. */
static bool put_function(struct loom_cache_text *text, const void *address)
{
    struct loom_task_ref ref;
    parloom_body body;
    memcpy(&body, address, sizeof body);
    put_number(text, body != NULL);
    if (body == NULL) return true;
    if (loom_task_refer(body, &ref, NULL) != PARLOOM_OK) return false;
    put_bytes(text, &ref, sizeof ref);
    return true;
}

static void put_cache(struct loom_cache_text *text, const parloom_cache *cache)
{
    const parloom_cache_options *options = &cache->options;
    put_text(text, cache->location);
    put_text(text, options->store);
    put_text(text, options->codec);
    put_number(text, (uint64_t)options->level);
    put_number(text, (uint64_t)options->mmap_mode);
    put_number(text, (uint64_t)options->verbose);
    put_number(text, options->is_durable);
    put_number(text, options->is_shared);
    put_number(text, options->nbytes);
    put_number(text, options->n_items);
    put_real(text, options->age_s);
    put_number(text, (uint64_t)options->n_jobs);
    put_number(text, (uint64_t)options->verify);
}

static void put_param(struct loom_cache_text *text, const parloom_cache_param *param, bool is_ignored)
{
    const parloom_cache_value *fallback = param->fallback;
    put_text(text, param->name);
    put_number(text, (uint64_t)param->type);
    put_number(text, is_ignored);
    put_number(text, fallback != NULL);
    if (fallback == NULL) return;
    put_number(text, (uint64_t)fallback->integer);
    put_real(text, fallback->real);
    put_data(text, param->type >= PARLOOM_CACHE_TEXT ? fallback->data : NULL, fallback->nbytes);
}

static void put_result(struct loom_cache_text *text, const parloom_cache_result *result)
{
    put_text(text, result->name);
    put_number(text, (uint64_t)result->dtype);
    put_number(text, result->item_nbytes);
    put_number(text, (uint64_t)result->ndim);
    for (int axis = 0; axis < result->ndim; axis++) put_number(text, result->shape[axis]);
}

static bool put_definition(struct loom_cache_text *text, const parloom_cached *function)
{
    const parloom_cache_function *definition = &function->definition;
    put_text(text, definition->name);
    put_text(text, definition->version);
    put_number(text, definition->n_params);
    for (size_t k = 0; k < definition->n_params; k++) put_param(text, &definition->params[k], function->is_ignored[k]);
    put_number(text, definition->n_results);
    for (size_t k = 0; k < definition->n_results; k++) put_result(text, &definition->results[k]);
    put_real(text, definition->expires_after_s);
    put_number(text, (uint64_t)definition->mmap_mode);
    put_number(text, (uint64_t)definition->verbose);
    return put_function(text, &definition->body) && put_function(text, &definition->is_valid);
}

size_t parloom_cache_pack(const parloom_cached *function, void *bytes, size_t room)
{
    struct loom_cache_text text = { NULL, 0, 0, false };
    if (function == NULL) return 0;
    put_number(&text, MAGIC);
    put_cache(&text, function->cache);
    bool is_whole = put_definition(&text, function) && !text.is_short;
    size_t nbytes = is_whole ? text.length : 0;
    if (bytes != NULL && nbytes > 0 && nbytes <= room) memcpy(bytes, text.bytes, nbytes);
    free(text.bytes);
    return nbytes;
}

/* -------------------------------------------------------------------------- read */

/* What is read, and where what it points to is kept. */
struct reader {
    const char *at;
    size_t left;
    bool is_bad;
    parloom_cache_param params[PARLOOM_CACHE_MOST_PARAMS];
    parloom_cache_value fallbacks[PARLOOM_CACHE_MOST_PARAMS];
    const char *ignored[PARLOOM_CACHE_MOST_PARAMS];
    parloom_cache_result results[PARLOOM_CACHE_MOST_RESULTS];
    size_t shapes[PARLOOM_CACHE_MOST_RESULTS][PARLOOM_MAX_NDIM];
};

static const char *take(struct reader *reader, size_t nbytes)
{
    const char *at = reader->at;
    if (reader->is_bad || nbytes > reader->left) {
        reader->is_bad = true;
        return NULL;
    }
    reader->at += nbytes;
    reader->left -= nbytes;
    return at;
}

static uint64_t take_number(struct reader *reader)
{
    uint64_t number = 0;
    const char *at = take(reader, sizeof number);
    if (at != NULL) memcpy(&number, at, sizeof number);
    return number;
}

static double take_real(struct reader *reader)
{
    double real = 0;
    const char *at = take(reader, sizeof real);
    if (at != NULL) memcpy(&real, at, sizeof real);
    return real;
}

static size_t take_count(struct reader *reader, size_t most)
{
    uint64_t count = take_number(reader);
    if (count > most) reader->is_bad = true;
    return reader->is_bad ? 0 : (size_t)count;
}

/* Points into what is read: a NUL stands behind it. */
static const char *take_data(struct reader *reader, size_t *nbytes_out)
{
    uint64_t nbytes = take_number(reader);
    *nbytes_out = 0;
    if (reader->is_bad || nbytes == UINT64_MAX) return NULL;
    const char *data = nbytes < SIZE_MAX ? take(reader, (size_t)nbytes + 1) : NULL;
    if (data == NULL || data[nbytes] != '\0') {
        reader->is_bad = true;
        return NULL;
    }
    *nbytes_out = (size_t)nbytes;
    return data;
}

static const char *take_text(struct reader *reader)
{
    size_t nbytes = 0;
    const char *text = take_data(reader, &nbytes);
    if (text != NULL && strlen(text) != nbytes) reader->is_bad = true;
    return text;
}

static parloom_status take_function(struct reader *reader, void *address_out, parloom_error *error)
{
    struct loom_task_ref ref;
    parloom_body body = NULL;
    parloom_status status = PARLOOM_OK;
    bool has_one = take_number(reader) == 1;
    const char *at = has_one ? take(reader, sizeof ref) : NULL;
    if (at != NULL) {
        memcpy(&ref, at, sizeof ref);
        status = loom_task_resolve(&ref, &body, error);
    }
    memcpy(address_out, &body, sizeof body);
    return status;
}

static const char *take_cache(struct reader *reader, parloom_cache_options *options)
{
    const char *location = take_text(reader);
    options->struct_size = sizeof *options;
    options->store = take_text(reader);
    options->codec = take_text(reader);
    options->level = (int)take_number(reader);
    options->mmap_mode = (parloom_mmap_mode)take_number(reader);
    options->verbose = (int)take_number(reader);
    options->is_durable = take_number(reader) != 0;
    options->is_shared = take_number(reader) != 0;
    options->nbytes = take_number(reader);
    options->n_items = (size_t)take_number(reader);
    options->age_s = take_real(reader);
    options->n_jobs = (int)take_number(reader);
    options->verify = (parloom_cache_verify)take_number(reader);
    return location;
}

static void take_param(struct reader *reader, parloom_cache_function *definition, size_t k)
{
    parloom_cache_param *param = &reader->params[k];
    parloom_cache_value *fallback = &reader->fallbacks[k];
    param->name = take_text(reader);
    param->type = (parloom_cache_type)take_number(reader);
    if (take_number(reader) != 0) reader->ignored[definition->n_ignore++] = param->name;
    if (take_number(reader) == 0) return;
    fallback->type = param->type;
    fallback->integer = (int64_t)take_number(reader);
    fallback->real = take_real(reader);
    fallback->data = take_data(reader, &fallback->nbytes);
    param->fallback = fallback;
}

static void take_result(struct reader *reader, size_t k)
{
    parloom_cache_result *result = &reader->results[k];
    result->name = take_text(reader);
    result->dtype = (parloom_dtype)take_number(reader);
    result->item_nbytes = (size_t)take_number(reader);
    int64_t ndim = (int64_t)take_number(reader);
    if (ndim > PARLOOM_MAX_NDIM || ndim < PARLOOM_CACHE_TOLD) reader->is_bad = true;
    result->ndim = reader->is_bad ? 0 : (int)ndim;
    for (int axis = 0; axis < result->ndim; axis++) reader->shapes[k][axis] = (size_t)take_number(reader);
    result->shape = reader->shapes[k];
}

static parloom_status take_definition(struct reader *reader, parloom_cache_function *definition, parloom_error *error)
{
    definition->struct_size = sizeof *definition;
    definition->name = take_text(reader);
    definition->version = take_text(reader);
    definition->n_params = take_count(reader, PARLOOM_CACHE_MOST_PARAMS);
    for (size_t k = 0; k < definition->n_params; k++) take_param(reader, definition, k);
    definition->n_results = take_count(reader, PARLOOM_CACHE_MOST_RESULTS);
    for (size_t k = 0; k < definition->n_results; k++) take_result(reader, k);
    definition->params = reader->params;
    definition->results = reader->results;
    definition->ignore = reader->ignored;
    definition->expires_after_s = take_real(reader);
    definition->mmap_mode = (parloom_mmap_mode)take_number(reader);
    definition->verbose = (int)take_number(reader);
    parloom_status status = take_function(reader, &definition->body, error);
    return status == PARLOOM_OK ? take_function(reader, &definition->is_valid, error) : status;
}

static parloom_status unpack(struct reader *reader, parloom_cached **function_out, parloom_error *error)
{
    parloom_cache_options options;
    parloom_cache_function definition;
    parloom_cache *cache = NULL;
    memset(&options, 0, sizeof options);
    memset(&definition, 0, sizeof definition);
    if (take_number(reader) != MAGIC) reader->is_bad = true;
    const char *location = take_cache(reader, &options);
    parloom_status status = reader->is_bad ? PARLOOM_OK : take_definition(reader, &definition, error);
    if (status != PARLOOM_OK) return status;
    if (reader->is_bad || reader->left != 0)
        return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "these are no bytes of parloom_cache_pack");
    status = parloom_cache_open(&cache, location, &options, error);
    if (status != PARLOOM_OK) return status;
    status = parloom_cache_bind(function_out, cache, &definition, error);
    if (status == PARLOOM_OK)
        (*function_out)->owns_cache = true;
    else
        parloom_cache_close(cache);
    return status;
}

parloom_status parloom_cache_unpack(parloom_cached **function_out, const void *bytes, size_t nbytes,
                                    parloom_error *error)
{
    if (function_out == NULL || bytes == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no bytes, or no place for the function given");
    struct reader *reader = loom_memory_zeroed(1, sizeof *reader);
    if (reader == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for a cached function");
    reader->at = bytes;
    reader->left = nbytes;
    parloom_status status = unpack(reader, function_out, error);
    free(reader);
    return status;
}

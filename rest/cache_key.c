/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache_key.c - the key of a call, and the text that its entry begins with.
 *
 * Key   the digest of the function's name, the identity of its code, and of each parameter that counts its name, type
 *       and value. Digests are of what is there when the call is made; arrays in files and in memory agree.
 * Head  the first lines of metadata.json: the same, readable. An entry is one of this call only if it begins with these
 *       very bytes.
 */
#include "base/memory.h"
#include "base/status.h"
#include "rest/cache.h"
#include "rest/cache_text.h"
#include "rest/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* f64 array (3, 4) */
static void show_array(struct loom_cache_text *text, const parloom_array *array)
{
    loom_cache_text_add(text, "%s array (", parloom_dtype_name(array->dtype));
    for (int axis = 0; axis < array->ndim; axis++)
        loom_cache_text_add(text, axis > 0 ? ", %zu" : "%zu", array->shape[axis]);
    loom_cache_text_add(text, ")");
}

/* As JSON; digest NULL: for people, and without one. */
static void show_value(struct loom_cache_text *text, const parloom_cache_value *value, const parloom_digest *digest)
{
    char digits[PARLOOM_DIGEST_TEXT_BYTES] = "";
    if (digest != NULL) parloom_digest_text(digest, digits);
    if (value->type == PARLOOM_CACHE_I64)
        loom_cache_text_add(text, "%lld", (long long)value->integer);
    else if (value->type == PARLOOM_CACHE_F64)
        loom_cache_text_real(text, value->real);
    else if (value->type == PARLOOM_CACHE_TEXT)
        loom_cache_text_quote_short(text, value->data, value->nbytes, digits);
    else {
        if (digest != NULL) loom_cache_text_add(text, "\"");
        if (value->type == PARLOOM_CACHE_ARRAY)
            show_array(text, value->data);
        else
            loom_cache_text_add(text, "%zu bytes", value->nbytes);
        if (digest != NULL) loom_cache_text_add(text, ", %s\"", digits);
    }
}

static parloom_status digest_value(const parloom_cache_value *value, int n_jobs, parloom_digest *digest_out,
                                   parloom_error *error)
{
    struct loom_hash hash;
    parloom_options loop = PARLOOM_OPTIONS_INIT;
    parloom_hash_options options = { .loop = &loop };
    loop.n_jobs = n_jobs;
    (void)loom_hash_begin(&hash, "cached value", &options, error);
    (void)loom_hash_number(&hash, (uint64_t)value->type, error);
    if (value->type == PARLOOM_CACHE_I64)
        (void)loom_hash_bytes(&hash, &value->integer, sizeof value->integer, error);
    else if (value->type == PARLOOM_CACHE_F64)
        (void)loom_hash_bytes(&hash, &value->real, sizeof value->real, error);
    else if (value->type == PARLOOM_CACHE_ARRAY)
        (void)loom_hash_array(&hash, value->data, error);
    else
        (void)loom_hash_bytes(&hash, value->data, value->nbytes, error);
    return loom_hash_end(&hash, digest_out, error);
}

/* Adds each value that counts to the key, and to the list as JSON. */
static parloom_status add_values(const struct loom_cache_call *call, struct loom_hash *hash,
                                 struct loom_cache_text *list, parloom_error *error)
{
    const parloom_cache_function *definition = &call->function->definition;
    parloom_status status = PARLOOM_OK;
    bool is_first = true;
    loom_cache_text_add(list, "{");
    for (size_t k = 0; k < definition->n_params && status == PARLOOM_OK; k++) {
        parloom_digest digest;
        if (call->function->is_ignored[k]) continue;
        status = digest_value(&call->values[k], call->function->cache->options.n_jobs, &digest, error);
        if (status != PARLOOM_OK) break;
        (void)loom_hash_text(hash, definition->params[k].name, error);
        (void)loom_hash_bytes(hash, digest.bytes, sizeof digest.bytes, error);
        loom_cache_text_add(list, is_first ? "\n    \"%s\": " : ",\n    \"%s\": ", definition->params[k].name);
        show_value(list, &call->values[k], &digest);
        is_first = false;
    }
    loom_cache_text_add(list, is_first ? "}" : "\n  }");
    return status;
}

static parloom_status digest_call(struct loom_cache_call *call, struct loom_cache_text *list, parloom_error *error)
{
    const parloom_cached *function = call->function;
    struct loom_hash hash;
    parloom_digest digest;
    (void)loom_hash_begin(&hash, "cached call 1", NULL, error);
    (void)loom_hash_text(&hash, function->definition.name, error);
    (void)loom_hash_text(&hash, function->identity, error);
    parloom_status status = add_values(call, &hash, list, error);
    parloom_status ended = loom_hash_end(&hash, &digest, status == PARLOOM_OK ? error : NULL);
    if (status == PARLOOM_OK) status = ended;
    if (status != PARLOOM_OK) return status;
    parloom_digest_text(&digest, call->key);
    snprintf(call->item, sizeof call->item, "%s/%s", function->folder, call->key);
    return PARLOOM_OK;
}

void loom_cache_describe(const parloom_cached *function, const char *key, struct loom_cache_text *head)
{
    loom_cache_text_add(head, "{\n  \"format\": \"parloom cache 1\",\n  \"function\": ");
    loom_cache_text_quote(head, function->definition.name, strlen(function->definition.name));
    loom_cache_text_add(head, ",\n  \"identity\": ");
    loom_cache_text_quote(head, function->identity, strlen(function->identity));
    loom_cache_text_add(head, ",\n  \"key\": \"%s\",\n  \"arguments\": ", key);
}

static void write_head(const struct loom_cache_call *call, const struct loom_cache_text *list,
                       struct loom_cache_text *head)
{
    loom_cache_describe(call->function, call->key, head);
    if (list->bytes != NULL) loom_cache_text_append(head, list->bytes, list->length);
    loom_cache_text_add(head, ",\n");
}

parloom_status loom_cache_make_key(struct loom_cache_call *call, parloom_error *error)
{
    struct loom_cache_text list = { NULL, 0, 0, false }, head = { NULL, 0, 0, false };
    parloom_status status = digest_call(call, &list, error);
    if (status == PARLOOM_OK) write_head(call, &list, &head);
    if (status == PARLOOM_OK && (list.is_short || head.is_short))
        status = loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for the arguments of %s",
                                  call->function->definition.name);
    call->arguments = list.bytes;
    call->head = head.bytes;
    call->head_nbytes = head.length;
    return status;
}

void loom_cache_end_call(struct loom_cache_call *call)
{
    free(call->arguments);
    free(call->head);
    call->arguments = call->head = NULL;
}

void loom_cache_show_call(const struct loom_cache_call *call, char *text, size_t room)
{
    const parloom_cache_function *definition = &call->function->definition;
    struct loom_cache_text shown = { NULL, 0, 0, false };
    loom_cache_text_add(&shown, "%s(", definition->name);
    for (size_t k = 0; k < definition->n_params; k++) {
        loom_cache_text_add(&shown, k > 0 ? ", %s=" : "%s=", definition->params[k].name);
        show_value(&shown, &call->values[k], NULL);
    }
    loom_cache_text_add(&shown, ")");
    snprintf(text, room, "%s", shown.bytes != NULL ? shown.bytes : definition->name);
    loom_status_cut(text, room - 1);
    free(shown.bytes);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* cache_shelf.c - references: the name of an entry, or a result that could not be kept (see cache.h). */
#include "base/memory.h"
#include "base/status.h"
#include "rest/cache.h"
#include "rest/cache_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parloom_shelved {
    parloom_cached *function;
    char key[LOOM_CACHE_KEY_BYTES]; /* "": nothing was kept, what follows is the result */
    char item[LOOM_CACHE_ITEM_BYTES];
    bool has_results;
    parloom_array results[PARLOOM_CACHE_MOST_RESULTS];
};

static parloom_shelved *make(parloom_cached *function, const char *key, parloom_error *error)
{
    parloom_shelved *shelved = loom_memory_zeroed(1, sizeof *shelved);
    if (shelved == NULL) {
        loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for a reference to a result of %s",
                         function->definition.name);
        return NULL;
    }
    shelved->function = function;
    snprintf(shelved->key, sizeof shelved->key, "%s", key);
    snprintf(shelved->item, sizeof shelved->item, "%s/%s", function->folder, shelved->key);
    return shelved;
}

/* Limits may be less than one result has: then it went as soon as it was kept. An entry is large: it has a frame of its
 * own. */
static __attribute__((noinline)) bool is_there_still(const struct loom_cache_call *call)
{
    struct loom_cache_entry entry;
    parloom_error ignored;
    bool is_there = false;
    parloom_status status =
        loom_cache_entry_open(call->function, call->item, call->head, call->head_nbytes, &entry, &is_there, &ignored);
    if (status != PARLOOM_OK || !is_there) return false;
    loom_cache_entry_close(call->function, &entry);
    return true;
}

static parloom_status shelve(struct loom_cache_call *call, parloom_cached *function, parloom_shelved **shelved_out,
                             parloom_cache_info *info_out, parloom_error *error)
{
    struct loom_cache_outcome outcome = { .is_lazy = true };
    parloom_status status = loom_cache_obtain(call, &outcome, error);
    if (status != PARLOOM_OK) return status;
    if (outcome.is_kept && outcome.has_results) outcome.is_kept = is_there_still(call);
    parloom_shelved *shelved = make(function, outcome.is_kept ? call->key : "", error);
    bool is_held = shelved != NULL && !outcome.is_kept;
    if (outcome.has_results && !is_held) loom_cache_release_results(function, outcome.results);
    if (shelved == NULL) return PARLOOM_ERR_MEMORY;
    shelved->has_results = is_held;
    if (is_held) memcpy(shelved->results, outcome.results, sizeof shelved->results);
    if (info_out != NULL) *info_out = outcome.info;
    *shelved_out = shelved;
    return PARLOOM_OK;
}

parloom_status parloom_cache_shelve(parloom_shelved **shelved_out, parloom_cached *function,
                                    const parloom_cache_value *args, size_t n_args, parloom_cache_info *info_out,
                                    parloom_error *error)
{
    struct loom_cache_call call;
    if (shelved_out == NULL) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no place for a reference given");
    parloom_status status = loom_cache_match(function, args, n_args, &call, error);
    if (status != PARLOOM_OK) return status;
    status = loom_cache_make_key(&call, error);
    if (status == PARLOOM_OK) status = shelve(&call, function, shelved_out, info_out, error);
    loom_cache_end_call(&call);
    if (status == PARLOOM_OK) loom_status_clear(error);
    return status;
}

parloom_status parloom_shelved_open(parloom_shelved **shelved_out, parloom_cached *function, const char *key,
                                    parloom_error *error)
{
    if (shelved_out == NULL || function == NULL || key == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no function, key or place for a reference given");
    if (strlen(key) != LOOM_CACHE_KEY_BYTES - 1 || key[strspn(key, "0123456789abcdef")] != '\0')
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "\"%.64s\" is no key: it has %d hexadecimal digits", key,
                                LOOM_CACHE_KEY_BYTES - 1);
    if (function->cache->store == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "the cache of %s has no location: it keeps nothing",
                                function->definition.name);
    parloom_shelved *shelved = make(function, key, error);
    if (shelved == NULL) return PARLOOM_ERR_MEMORY;
    *shelved_out = shelved;
    loom_status_clear(error);
    return PARLOOM_OK;
}

const char *parloom_shelved_key(const parloom_shelved *shelved)
{
    return shelved != NULL ? shelved->key : "";
}

static parloom_status fail_gone(const parloom_shelved *shelved, parloom_error *error)
{
    return loom_status_fail(error, PARLOOM_ERR_IO, ENOENT, "the result %s of %s is not there (any more): call it again",
                            shelved->key, shelved->function->definition.name);
}

static parloom_status read_results(const parloom_shelved *shelved, parloom_array *results_out, parloom_error *error)
{
    const parloom_cached *function = shelved->function;
    struct loom_cache_text head = { NULL, 0, 0, false };
    parloom_error reason;
    bool is_there = false;
    loom_cache_describe(function, shelved->key, &head);
    parloom_status status = head.is_short ? loom_status_fail(&reason, PARLOOM_ERR_MEMORY, 0, "memory is short")
                                          : loom_cache_entry_get(function, shelved->item, head.bytes, head.length,
                                                                 results_out, &is_there, &reason);
    free(head.bytes);
    if (status == PARLOOM_OK) return is_there ? PARLOOM_OK : fail_gone(shelved, error);
    if (status == PARLOOM_ERR_VERSION)
        return loom_status_fail(error, status, 0, "the result %s is not of this function as it is bound here: %.700s",
                                shelved->item, reason.message);
    bool is_damage = loom_cache_is_damage(&reason) && status != PARLOOM_ERR_UNSUPPORTED;
    return loom_status_fail(error, is_damage ? PARLOOM_ERR_FORMAT : status, reason.sys_errno,
                            "the result %s %s: %.700s", shelved->item, is_damage ? "is corrupted" : "cannot be read",
                            reason.message);
}

parloom_status parloom_shelved_get(parloom_shelved *shelved, parloom_array *results_out, parloom_error *error)
{
    if (shelved == NULL || results_out == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no reference, or no place for its results given");
    parloom_status status = PARLOOM_OK;
    if (shelved->key[0] != '\0')
        status = read_results(shelved, results_out, error);
    else if (!shelved->has_results)
        status = fail_gone(shelved, error);
    else
        for (size_t k = 0; k < shelved->function->definition.n_results; k++) {
            results_out[k] = shelved->results[k];
            results_out[k].owner = NULL; /* borrowed */
        }
    if (status == PARLOOM_OK) loom_status_clear(error);
    return status;
}

static void drop_held(parloom_shelved *shelved)
{
    if (shelved->has_results) loom_cache_release_results(shelved->function, shelved->results);
    shelved->has_results = false;
}

parloom_status parloom_shelved_clear(parloom_shelved *shelved, parloom_error *error)
{
    parloom_error own;
    if (shelved == NULL) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no reference given");
    parloom_cache *cache = shelved->function->cache;
    parloom_status status = PARLOOM_OK;
    drop_held(shelved);
    if (shelved->key[0] != '\0') status = cache->ops.remove(cache->store, shelved->item, error != NULL ? error : &own);
    if (status == PARLOOM_OK) loom_status_clear(error);
    return status;
}

void parloom_shelved_release(parloom_shelved *shelved)
{
    if (shelved == NULL) return;
    drop_held(shelved);
    free(shelved);
}

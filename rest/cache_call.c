/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache_call.c - find, else wait for who computes it, else run and keep.
 *
 *   find ── there ──────────────────────────────────────────────► results
 *     └─ lock the item: waits for who has it; goes with its process; ends when the task that asks is cancelled
 *          ├─ find ── there: somebody has computed it ──► unlock ► results
 *          └─ run the body, keep what it gave ──────────► unlock ► results
 *
 * A body that fails keeps nothing, and the next one that waits runs it again. What goes wrong with the store is told
 * and never fails the call.
 */
#include "backends/shift.h"
#include "base/clock.h"
#include "base/interrupt.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/stop.h"
#include "rest/cache.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { CALL_BYTES = 900, LINE_BYTES = 1400, FIRST_PAUSE_NS = 100000, LONGEST_PAUSE_NS = 3000000 };

/* What this thread computes, innermost first: a body that asks for its own result would wait for itself. */
struct computing {
    const char *item;
    const parloom_cache *cache;
    const struct computing *outer;
};
static _Thread_local const struct computing *innermost;

static bool is_computed_here(const struct loom_cache_call *call)
{
    for (const struct computing *one = innermost; one != NULL; one = one->outer)
        if (strcmp(one->item, call->item) == 0 && loom_cache_is_same_place(one->cache, call->function->cache))
            return true;
    return false;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* -------------------------------------------------------------------------- find */

static void warn_corrupted(const struct loom_cache_call *call, const parloom_error *error)
{
    char line[LINE_BYTES];
    snprintf(line, sizeof line,
             "the entry %s of the cache in %.300s is corrupted and is computed again: %.500s (nobody but the cache "
             "should write there)",
             call->item, call->function->cache->location, error->message);
    loom_cache_warn_once(call->function->cache, LOOM_CACHE_DAMAGED, call->item, NULL, line);
}

/* A store that cannot be asked is no reason to fail: told once. */
static void warn_unread(const struct loom_cache_call *call, const parloom_error *error)
{
    char line[LINE_BYTES];
    snprintf(line, sizeof line, "the cache in %.300s could not be read, and is done without: %.800s",
             call->function->cache->location, error->message);
    loom_cache_warn_once(call->function->cache, LOOM_CACHE_NOT_READ, NULL, error, line);
}

/* is_there: it was opened, so what is wrong is wrong with the entry and not with the store. */
static void tell(const struct loom_cache_call *call, struct loom_cache_outcome *outcome, bool is_there,
                 const parloom_error *error)
{
    if (outcome->is_told || error->status == PARLOOM_ERR_CANCELLED) return;
    outcome->is_told = true;
    if (is_there && loom_cache_is_damage(error))
        warn_corrupted(call, error);
    else
        warn_unread(call, error);
}

static bool is_valid(const struct loom_cache_call *call, const struct loom_cache_entry *entry, parloom_cache_info *info)
{
    const parloom_cache_function *definition = &call->function->definition;
    double age_s = seconds_now() - entry->created_s;
    info->is_hit = true;
    info->created_s = entry->created_s;
    info->duration_s = entry->duration_s;
    info->age_s = age_s > 0 ? age_s : 0; /* clocks jump */
    if (definition->expires_after_s > 0 && info->age_s >= definition->expires_after_s) return false;
    info->arguments = call->arguments;
    bool is_wanted = definition->is_valid == NULL || definition->is_valid(info, definition->is_valid_state);
    info->arguments = NULL;
    return is_wanted;
}

static bool load(const struct loom_cache_call *call, struct loom_cache_outcome *outcome)
{
    parloom_error error;
    bool is_there = false;
    parloom_status status = loom_cache_entry_get(call->function, call->item, call->head, call->head_nbytes,
                                                 outcome->results, &is_there, &error);
    outcome->has_results = status == PARLOOM_OK && is_there;
    if (status != PARLOOM_OK) tell(call, outcome, is_there, &error);
    return outcome->has_results;
}

/* Asked first: the entry is described, and open until the verdict. */
static bool look(const struct loom_cache_call *call, struct loom_cache_outcome *outcome)
{
    const parloom_cached *function = call->function;
    struct loom_cache_entry entry;
    parloom_error error;
    bool is_there = false;
    loom_cache_say(function, 20, "querying %s in %s", call->item, function->cache->location);
    parloom_status status =
        loom_cache_entry_open(function, call->item, call->head, call->head_nbytes, &entry, &is_there, &error);
    if (status != PARLOOM_OK) tell(call, outcome, is_there, &error);
    if (status != PARLOOM_OK || !is_there) return false;
    /* The same one that was found before the lock is not asked for twice: is_valid may be slow, or count. */
    bool is_wanted = entry.created_s != outcome->refused_s && is_valid(call, &entry, &outcome->info);
    if (!is_wanted) outcome->refused_s = entry.created_s;
    loom_cache_entry_close(function, &entry);
    return is_wanted;
}

bool loom_cache_find(struct loom_cache_call *call, struct loom_cache_outcome *outcome)
{
    const parloom_cached *function = call->function;
    bool is_found = look(call, outcome) && (outcome->is_lazy || load(call, outcome));
    outcome->is_kept = is_found;
    if (!is_found) return false;
    loom_cache_say(function, 5, "%s %s, computed %.1f s ago in %.3g s", outcome->is_lazy ? "found" : "loaded",
                   function->definition.name, outcome->info.age_s, outcome->info.duration_s);
    loom_cache_say(function, 10, "from %s/parloom/%s", function->cache->location, call->item);
    return true;
}

/* ----------------------------------------------------------------------- compute */

static void keep(struct loom_cache_call *call, struct loom_cache_outcome *outcome)
{
    const parloom_cached *function = call->function;
    parloom_error error;
    parloom_status status = PARLOOM_ERR_IO;
    /* Somebody may remove all of the cache while it is written to: once more, from the start. */
    for (int k = 0; k < 2 && status != PARLOOM_OK; k++) {
        status = loom_cache_entry_write(call, outcome->results, outcome->info.duration_s, &error);
        if (status != PARLOOM_OK && error.sys_errno != ENOENT) break;
    }
    outcome->is_kept = status == PARLOOM_OK;
    if (outcome->is_kept) {
        uint64_t nbytes = 0;
        for (size_t k = 0; k < function->definition.n_results; k++)
            nbytes += parloom_array_nbytes(&outcome->results[k]);
        loom_cache_warn_again(function->cache, LOOM_CACHE_DAMAGED, call->item);
        loom_cache_say(function, 10, "kept in %s/parloom/%s", function->cache->location, call->item);
        loom_cache_keep_limits(function->cache, nbytes);
        return;
    }
    if (status == PARLOOM_ERR_CANCELLED) return;
    char line[LINE_BYTES];
    snprintf(line, sizeof line, "a result of %s could not be kept in the cache, and is returned all the same: %.900s",
             function->definition.name, error.message);
    loom_cache_warn_once(function->cache, LOOM_CACHE_NOT_KEPT, NULL, &error, line);
}

/* Mapped results are so from the first call on. What cannot be mapped now stays as it was computed. */
static void map_kept(struct loom_cache_call *call, struct loom_cache_outcome *outcome)
{
    struct loom_cache_outcome mapped = { .is_lazy = false };
    parloom_error error;
    bool is_there = false;
    parloom_status status = loom_cache_entry_get(call->function, call->item, call->head, call->head_nbytes,
                                                 mapped.results, &is_there, &error);
    if (status != PARLOOM_OK || !is_there) return;
    loom_cache_release_results(call->function, outcome->results);
    memcpy(outcome->results, mapped.results, sizeof mapped.results);
}

static void say_call(struct loom_cache_call *call)
{
    char shown[CALL_BYTES];
    if (call->function->verbose < 1) return;
    loom_cache_show_call(call, shown, sizeof shown);
    loom_cache_say(call->function, 1, "calling %s", shown);
}

static parloom_status compute(struct loom_cache_call *call, struct loom_cache_outcome *outcome, parloom_error *error)
{
    const parloom_cached *function = call->function;
    const struct computing here = { call->item, function->cache, innermost };
    outcome->info.is_hit = false;
    outcome->info.created_s = seconds_now();
    outcome->info.age_s = 0;
    say_call(call);
    innermost = &here;
    parloom_status status = loom_cache_run_body(call, outcome->results, &outcome->info.duration_s, error);
    innermost = here.outer;
    if (status != PARLOOM_OK) return status;
    outcome->has_results = true;
    loom_cache_say(function, 5, "%s took %.3g s", function->definition.name, outcome->info.duration_s);
    if (function->cache->store == NULL) return PARLOOM_OK;
    keep(call, outcome);
    bool is_mapped = function->mmap_mode != PARLOOM_MMAP_UNSET && function->cache->options.codec == NULL;
    if (outcome->is_kept && is_mapped && !outcome->is_lazy) map_kept(call, outcome);
    return PARLOOM_OK;
}

/* Whether what this thread waits for is no longer wanted. A task that is told so is not blamed for its failure. */
static bool is_cancelled(void)
{
    const struct loom_shift *around = loom_shift_current();
    return around != NULL ? parloom_cancelled(&around->task) : loom_stop_is_requested(loom_interrupt_stop());
}

static bool can_be_cancelled(void)
{
    const struct loom_shift *around = loom_shift_current();
    if (around == NULL) return loom_interrupt_stop() != NULL;
    return around->is_stoppable || (around->look != NULL && around->deadline_ns != LOOM_NEVER_NS);
}

/* NULL: it cannot be locked, or *is_cancelled_out. */
static void *ask_for_lock(const parloom_cache *cache, const char *item, bool *is_cancelled_out)
{
    struct timespec pause = { 0, FIRST_PAUSE_NS };
    for (;;) {
        bool is_taken = false;
        void *lock = cache->ops.try_lock(cache->store, item, &is_taken);
        if (lock != NULL || !is_taken) return lock;
        *is_cancelled_out = is_cancelled();
        if (*is_cancelled_out) return NULL;
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL); /* a signal may be the one that cancels */
        if (pause.tv_nsec < LONGEST_PAUSE_NS) pause.tv_nsec *= 2;
    }
}

static void *wait_for_lock(const struct loom_cache_call *call, bool *is_cancelled_out)
{
    const parloom_cache *cache = call->function->cache;
    bool can_lock = cache->ops.lock != NULL && cache->ops.unlock != NULL && !is_computed_here(call);
    *is_cancelled_out = false;
    if (!can_lock) return NULL;
    if (cache->ops.try_lock != NULL && can_be_cancelled()) return ask_for_lock(cache, call->item, is_cancelled_out);
    return cache->ops.lock(cache->store, call->item);
}

static parloom_status compute_once(struct loom_cache_call *call, struct loom_cache_outcome *outcome,
                                   parloom_error *error)
{
    parloom_cache *cache = call->function->cache;
    bool is_given_up = is_cancelled();
    void *lock = is_given_up ? NULL : wait_for_lock(call, &is_given_up);
    parloom_status status = PARLOOM_OK;
    if (is_given_up)
        return loom_status_fail(error, PARLOOM_ERR_CANCELLED, 0,
                                "%s was not computed: what asked for it was cancelled, maybe while it waited for who "
                                "computes it already",
                                call->function->definition.name);
    /* Since it was looked for, somebody may have computed it. */
    if (lock == NULL || !loom_cache_find(call, outcome)) status = compute(call, outcome, error);
    if (lock != NULL) cache->ops.unlock(cache->store, lock);
    return status;
}

parloom_status loom_cache_obtain(struct loom_cache_call *call, struct loom_cache_outcome *outcome, parloom_error *error)
{
    bool is_kept = call->function->cache->store != NULL;
    memcpy(outcome->info.key, call->key, sizeof outcome->info.key);
    if (!is_kept || outcome->is_forced) return compute(call, outcome, error);
    if (loom_cache_find(call, outcome)) return PARLOOM_OK;
    return compute_once(call, outcome, error);
}

/* ------------------------------------------------------------------------ public */

static parloom_status call_function(parloom_cached *function, const parloom_cache_value *args, size_t n_args,
                                    struct loom_cache_outcome *outcome, parloom_error *error)
{
    struct loom_cache_call call;
    parloom_status status = loom_cache_match(function, args, n_args, &call, error);
    if (status != PARLOOM_OK) return status;
    status = loom_cache_make_key(&call, error);
    if (status == PARLOOM_OK) status = loom_cache_obtain(&call, outcome, error);
    loom_cache_end_call(&call);
    return status;
}

static parloom_status call_for_results(parloom_cached *function, const parloom_cache_value *args, size_t n_args,
                                       struct loom_cache_outcome *outcome, parloom_array *results_out,
                                       parloom_cache_info *info_out, parloom_error *error)
{
    if (results_out == NULL) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no place for results given");
    parloom_status status = call_function(function, args, n_args, outcome, error);
    if (status != PARLOOM_OK) return status;
    memcpy(results_out, outcome->results, function->definition.n_results * sizeof results_out[0]);
    if (info_out != NULL) *info_out = outcome->info;
    loom_status_clear(error);
    return PARLOOM_OK;
}

parloom_status parloom_cache_call(parloom_cached *function, const parloom_cache_value *args, size_t n_args,
                                  parloom_array *results_out, parloom_cache_info *info_out, parloom_error *error)
{
    struct loom_cache_outcome outcome = { .is_forced = false };
    return call_for_results(function, args, n_args, &outcome, results_out, info_out, error);
}

parloom_status parloom_cache_force(parloom_cached *function, const parloom_cache_value *args, size_t n_args,
                                   parloom_array *results_out, parloom_cache_info *info_out, parloom_error *error)
{
    struct loom_cache_outcome outcome = { .is_forced = true };
    return call_for_results(function, args, n_args, &outcome, results_out, info_out, error);
}

parloom_status parloom_cache_check(parloom_cached *function, const parloom_cache_value *args, size_t n_args,
                                   bool *is_there_out, parloom_error *error)
{
    struct loom_cache_outcome outcome = { .is_lazy = true };
    struct loom_cache_call call;
    if (is_there_out == NULL) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no place for the answer given");
    parloom_status status = loom_cache_match(function, args, n_args, &call, error);
    if (status != PARLOOM_OK) return status;
    status = loom_cache_make_key(&call, error);
    memcpy(outcome.info.key, call.key, sizeof outcome.info.key);
    if (status == PARLOOM_OK) *is_there_out = function->cache->store != NULL && loom_cache_find(&call, &outcome);
    loom_cache_end_call(&call);
    if (status == PARLOOM_OK) loom_status_clear(error);
    return status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache_reduce.c - limits: entries not used for longest go first.
 *
 * Times are those of the last use. A clock that was set back makes entries of the future: their age is 0, and among
 * themselves they keep their order; names decide between equals, so the order is total.
 */
#include "base/memory.h"
#include "base/status.h"
#include "rest/cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct found {
    char *name;
    uint64_t nbytes;
    double used_s;
};

struct inventory {
    struct found *items;
    size_t count, room;
    uint64_t nbytes;
    bool is_short; /* memory was */
};

struct limits {
    uint64_t nbytes;
    size_t n_items;
    double age_s;
};

static bool grow(struct inventory *all)
{
    size_t room = all->room == 0 ? 64 : all->room * 2;
    struct found *items = loom_memory_grow(all->items, room, sizeof *items);
    if (items == NULL) return false;
    all->items = items;
    all->room = room;
    return true;
}

static void note(const parloom_cache_item *item, void *state)
{
    struct inventory *all = state;
    if (all->is_short || (all->count == all->room && !grow(all))) {
        all->is_short = true;
        return;
    }
    char *name = loom_memory_text(item->name);
    all->is_short = name == NULL;
    if (name == NULL) return;
    all->items[all->count++] = (struct found){ name, item->nbytes, item->used_s };
    all->nbytes += item->nbytes;
}

static void drop(struct inventory *all)
{
    for (size_t k = 0; k < all->count; k++) free(all->items[k].name);
    free(all->items);
}

static int compare(const void *a, const void *b)
{
    const struct found *one = a, *other = b;
    if (one->used_s != other->used_s) return one->used_s < other->used_s ? -1 : 1;
    return strcmp(one->name, other->name);
}

static parloom_status take_inventory(parloom_cache *cache, struct inventory *all, parloom_error *error)
{
    parloom_status status = cache->ops.list(cache->store, note, all, error);
    if (status == PARLOOM_OK && all->is_short)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for a list of the cache's entries");
    if (all->count > 1) qsort(all->items, all->count, sizeof all->items[0], compare);
    return status;
}

static bool is_beyond(const struct limits *limits, size_t left, uint64_t left_nbytes, double oldest_age_s)
{
    return (limits->nbytes > 0 && left_nbytes > limits->nbytes) || (limits->n_items > 0 && left > limits->n_items) ||
           (limits->age_s > 0 && oldest_age_s >= limits->age_s);
}

/* What cannot be removed stays and counts: others go in its place. The first failure is returned. */
static parloom_status remove_oldest(parloom_cache *cache, const struct limits *limits, const struct inventory *all,
                                    double now_s, parloom_error *error)
{
    size_t left = all->count;
    uint64_t left_nbytes = all->nbytes;
    parloom_status failed = PARLOOM_OK;
    parloom_error ignored;
    for (size_t k = 0; k < all->count; k++) {
        if (!is_beyond(limits, left, left_nbytes, now_s - all->items[k].used_s)) break;
        parloom_error *to = failed == PARLOOM_OK ? error : &ignored;
        parloom_status status = cache->ops.remove(cache->store, all->items[k].name, to);
        if (status != PARLOOM_OK && failed == PARLOOM_OK) failed = status;
        if (status != PARLOOM_OK) continue;
        left--;
        left_nbytes -= all->items[k].nbytes;
    }
    return failed;
}

static parloom_status reduce(parloom_cache *cache, const struct limits *limits, parloom_error *error)
{
    struct inventory all = { NULL, 0, 0, 0, false };
    struct timespec now;
    parloom_status status = take_inventory(cache, &all, error);
    if (cache->registered == NULL) loom_cache_local_sweep(cache->store);
    clock_gettime(CLOCK_REALTIME, &now);
    double now_s = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    if (status == PARLOOM_OK) status = remove_oldest(cache, limits, &all, now_s, error);
    drop(&all);
    return status;
}

parloom_status parloom_cache_reduce(parloom_cache *cache, uint64_t nbytes, size_t n_items, double age_s,
                                    parloom_error *error)
{
    const struct limits limits = { nbytes, n_items, age_s };
    parloom_error own;
    if (cache == NULL || !(age_s >= 0))
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "%s",
                                cache == NULL ? "no cache given" : "age_s is negative, or no number");
    parloom_status status = cache->store != NULL ? reduce(cache, &limits, error != NULL ? error : &own) : PARLOOM_OK;
    if (status == PARLOOM_OK) loom_status_clear(error);
    return status;
}

parloom_status parloom_cache_list(parloom_cache *cache, void (*each)(const parloom_cache_item *item, void *state),
                                  void *state, parloom_error *error)
{
    parloom_error own;
    if (cache == NULL || each == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no cache or function given");
    parloom_status status = PARLOOM_OK;
    if (cache->store != NULL) status = cache->ops.list(cache->store, each, state, error != NULL ? error : &own);
    if (status == PARLOOM_OK) loom_status_clear(error);
    return status;
}

/* An eighth of a limit may come on top before all entries are looked at again. */
static bool is_due(parloom_cache *cache, uint64_t stored_nbytes)
{
    const parloom_cache_options *options = &cache->options;
    pthread_mutex_lock(&cache->lock);
    bool is_first = cache->stored_count == 0;
    cache->stored_count++;
    cache->stored_nbytes += stored_nbytes;
    bool is_due = is_first || (options->nbytes > 0 && cache->stored_nbytes >= options->nbytes / 8) ||
                  (options->n_items > 0 && cache->stored_count > options->n_items / 8) ||
                  (options->age_s > 0 && cache->stored_count > 64);
    if (is_due) {
        cache->stored_count = 1;
        cache->stored_nbytes = 0;
    }
    pthread_mutex_unlock(&cache->lock);
    return is_due;
}

void loom_cache_keep_limits(parloom_cache *cache, uint64_t stored_nbytes)
{
    const parloom_cache_options *options = &cache->options;
    const struct limits limits = { options->nbytes, options->n_items, options->age_s };
    parloom_error error;
    char line[PARLOOM_MESSAGE_BYTES + 100];
    if (limits.nbytes == 0 && limits.n_items == 0 && !(limits.age_s > 0)) return;
    if (!is_due(cache, stored_nbytes) || reduce(cache, &limits, &error) == PARLOOM_OK) return;
    snprintf(line, sizeof line, "a cache could not be kept within its limits: %.900s", error.message);
    loom_cache_warn_once(cache, LOOM_CACHE_NOT_REDUCED, NULL, &error, line);
}

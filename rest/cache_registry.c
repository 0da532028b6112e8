/* SPDX-License-Identifier: BSD-3-Clause */
/* cache_registry.c - stores of the program's own (see cache.h). */
#include "base/memory.h"
#include "base/status.h"
#include "rest/cache.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct loom_cache_store {
    struct loom_cache_store *next;
    char *name;
    parloom_cache_store_ops ops;
    void *state;
    size_t users; /* open caches */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct loom_cache_store *first;
static parloom_cache *caches; /* that are open */

static void lock_stores(void)
{
    pthread_mutex_lock(&lock);
}

static void unlock_stores(void)
{
    pthread_mutex_unlock(&lock);
}

/* A child may use what is open: nobody is in the midst of it when it is made. */
static void lock_all(void)
{
    lock_stores();
    for (parloom_cache *cache = caches; cache != NULL; cache = cache->next) pthread_mutex_lock(&cache->lock);
}

static void unlock_all(void)
{
    for (parloom_cache *cache = caches; cache != NULL; cache = cache->next) pthread_mutex_unlock(&cache->lock);
    unlock_stores();
}

__attribute__((constructor)) static void follow_forks(void)
{
    (void)pthread_atfork(lock_all, unlock_all, unlock_all);
}

/* ------------------------------------------------------------------ open caches */

void loom_cache_enter(parloom_cache *cache)
{
    lock_stores();
    cache->next = caches;
    caches = cache;
    unlock_stores();
}

void loom_cache_leave(parloom_cache *cache)
{
    lock_stores();
    parloom_cache **link = &caches;
    while (*link != NULL && *link != cache) link = &(*link)->next;
    if (*link != NULL) *link = cache->next;
    unlock_stores();
}

bool loom_cache_is_same_place(const parloom_cache *one, const parloom_cache *other)
{
    return one == other || (one->registered == other->registered && one->location != NULL && other->location != NULL &&
                            strcmp(one->location, other->location) == 0);
}

static const struct loom_cache_name *find_namesake(const parloom_cache *cache, const parloom_cached *function)
{
    const struct loom_cache_name *name = cache->names;
    while (name != NULL &&
           (strcmp(name->folder, function->folder) != 0 || strcmp(name->identity, function->identity) == 0))
        name = name->next;
    return name;
}

void loom_cache_find_namesake(const parloom_cached *function, char identity_out[LOOM_CACHE_IDENTITY_BYTES])
{
    identity_out[0] = '\0';
    lock_stores();
    for (parloom_cache *cache = caches; cache != NULL && identity_out[0] == '\0'; cache = cache->next) {
        if (!loom_cache_is_same_place(cache, function->cache)) continue;
        pthread_mutex_lock(&cache->lock);
        const struct loom_cache_name *name = find_namesake(cache, function);
        if (name != NULL) memcpy(identity_out, name->identity, LOOM_CACHE_IDENTITY_BYTES);
        pthread_mutex_unlock(&cache->lock);
    }
    unlock_stores();
}

/* ----------------------------------------------------------------------- stores */

/* Under the lock: the link that points to it, or the last one. */
static struct loom_cache_store **find(const char *name)
{
    struct loom_cache_store **link = &first;
    while (*link != NULL && strcmp((*link)->name, name) != 0) link = &(*link)->next;
    return link;
}

static bool is_name(const char *name)
{
    static const char PLAIN[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    return name != NULL && name[0] != '\0' && strlen(name) < PARLOOM_CACHE_NAME_BYTES &&
           name[strspn(name, PLAIN)] == '\0' && strcmp(name, "local") != 0;
}

static const char *find_missing(const parloom_cache_store_ops *ops)
{
    return ops->open == NULL      ? "open"
           : ops->close == NULL   ? "close"
           : ops->fetch == NULL   ? "fetch"
           : ops->release == NULL ? "release"
           : ops->begin == NULL   ? "begin"
           : ops->end == NULL     ? "end"
           : ops->remove == NULL  ? "remove"
           : ops->list == NULL    ? "list"
                                  : NULL;
}

static parloom_status check_ops(const char *name, const parloom_cache_store_ops *ops, parloom_error *error)
{
    if (!is_name(name))
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "a store needs a name of letters, digits, '_', '-' and '.' that is not \"local\"");
    if (ops == NULL) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "store \"%s\": no operations given", name);
    if (ops->struct_size != sizeof *ops || ops->abi != PARLOOM_CACHE_STORE_ABI)
        return loom_status_fail(error, PARLOOM_ERR_VERSION, 0,
                                "store \"%s\" is of ABI %u with %zu bytes, this library's is %u with %zu", name,
                                ops->abi, ops->struct_size, PARLOOM_CACHE_STORE_ABI, sizeof *ops);
    if (ops->flags != 0)
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0, "store \"%s\": flags %x are not known here", name,
                                ops->flags);
    const char *missing = find_missing(ops);
    if (missing == NULL) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "store \"%s\" has no operation %s", name, missing);
}

/* Takes the new one, if its name is free. */
static bool add(struct loom_cache_store *store)
{
    lock_stores();
    struct loom_cache_store **link = find(store->name);
    bool is_free = *link == NULL;
    if (is_free) *link = store;
    unlock_stores();
    return is_free;
}

parloom_status parloom_cache_register(const char *name, const parloom_cache_store_ops *ops, void *state,
                                      parloom_error *error)
{
    parloom_status status = check_ops(name, ops, error);
    if (status != PARLOOM_OK) return status;
    struct loom_cache_store *store = loom_memory_zeroed(1, sizeof *store);
    char *copy = loom_memory_text(name);
    if (store == NULL || copy == NULL) {
        free(store);
        free(copy);
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for store \"%s\"", name);
    }
    *store = (struct loom_cache_store){ .name = copy, .ops = *ops, .state = state };
    if (add(store)) {
        loom_status_clear(error);
        return PARLOOM_OK;
    }
    free(copy);
    free(store);
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "there is a store \"%s\" already", name);
}

/* Takes it out, unless it is used. */
static struct loom_cache_store *take_out(const char *name, size_t *users_out)
{
    lock_stores();
    struct loom_cache_store **link = find(name);
    struct loom_cache_store *store = *link;
    *users_out = store != NULL ? store->users : 0;
    if (store != NULL && store->users == 0) *link = store->next;
    unlock_stores();
    return store;
}

parloom_status parloom_cache_unregister(const char *name, parloom_error *error)
{
    size_t users = 0;
    struct loom_cache_store *store = name != NULL ? take_out(name, &users) : NULL;
    if (store == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "there is no store \"%.96s\"",
                                name != NULL ? name : "(NULL)");
    if (users > 0)
        return loom_status_fail(error, PARLOOM_ERR_BUSY, 0, "%zu cache(s) of store \"%s\" are open", users, name);
    free(store->name);
    free(store);
    loom_status_clear(error);
    return PARLOOM_OK;
}

parloom_status loom_cache_store_acquire(const char *name, parloom_cache_store_ops *ops_out, void **state_out,
                                        struct loom_cache_store **store_out, parloom_error *error)
{
    *ops_out = loom_cache_local_ops;
    *state_out = NULL;
    *store_out = NULL;
    if (name == NULL || strcmp(name, "local") == 0) return PARLOOM_OK;
    lock_stores();
    struct loom_cache_store *store = *find(name);
    if (store != NULL) store->users++;
    unlock_stores();
    if (store == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "there is no store \"%.96s\": \"local\", or one that parloom_cache_register was given",
                                name);
    *ops_out = store->ops;
    *state_out = store->state;
    *store_out = store;
    return PARLOOM_OK;
}

void loom_cache_store_release(struct loom_cache_store *store)
{
    if (store == NULL) return;
    lock_stores();
    store->users--;
    unlock_stores();
}

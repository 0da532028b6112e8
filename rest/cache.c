/* SPDX-License-Identifier: BSD-3-Clause */
/* cache.c - caches are opened, closed and cleared; what they say (see cache.h). */
#include "rest/cache.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "rest/codec.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 1200 };

/* -------------------------------------------------------------------------- said */

void loom_cache_say(const parloom_cached *function, int level, const char *format, ...)
{
    char line[LINE_BYTES];
    if (function->verbose < level) return;
    int length = snprintf(line, sizeof line, "cache: ");
    va_list list;
    va_start(list, format);
    vsnprintf(line + length, sizeof line - (size_t)length, format, list);
    va_end(list);
    loom_log_line(LOOM_LOG_INFO, line);
}

/* -------------------------------------------------------------------------- open */

static parloom_status check_options(const parloom_cache_options *options, parloom_error *error)
{
    const char *wrong = NULL;
    if (options->mmap_mode < PARLOOM_MMAP_UNSET || options->mmap_mode > PARLOOM_MMAP_C ||
        options->mmap_mode == PARLOOM_MMAP_W)
        wrong = "mmap_mode is not one of UNSET, R, RW and C";
    else if (!(options->age_s >= 0))
        wrong = "age_s is negative";
    else if (options->verbose < 0)
        wrong = "verbose is negative";
    else if (options->verify < PARLOOM_CACHE_VERIFY_UNSET || options->verify > PARLOOM_CACHE_VERIFY_NEVER)
        wrong = "verify is not one of UNSET, READ, ALWAYS and NEVER";
    for (size_t k = 0; k < sizeof options->reserved / sizeof options->reserved[0]; k++)
        if (options->reserved[k] != 0) wrong = "reserved is not 0";
    if (wrong == NULL) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "options of the cache: %s", wrong);
}

/* Apart from struct_size. What lies between is_durable and nbytes is padding. */
static bool are_unset(const parloom_cache_options *given)
{
    static const parloom_cache_options UNSET = { .struct_size = 0 };
    enum {
        BEGIN = sizeof UNSET.struct_size,
        END = offsetof(parloom_cache_options, is_durable) + sizeof UNSET.is_durable
    };
    enum { AGAIN = offsetof(parloom_cache_options, nbytes) };
    return memcmp((const char *)given + BEGIN, (const char *)&UNSET + BEGIN, END - BEGIN) == 0 &&
           memcmp((const char *)given + AGAIN, (const char *)&UNSET + AGAIN, sizeof UNSET - AGAIN) == 0;
}

static parloom_status take_options(const parloom_cache_options *given, parloom_cache_options *taken,
                                   parloom_error *error)
{
    memset(taken, 0, sizeof *taken);
    if (given == NULL || (given->struct_size == 0 && are_unset(given))) return PARLOOM_OK;
    if (given->struct_size != sizeof *taken)
        return loom_status_fail(error, PARLOOM_ERR_VERSION, 0,
                                "options of a cache have struct_size %zu, this library's is %zu%s", given->struct_size,
                                sizeof *taken,
                                given->struct_size == 0 ? ": set it to sizeof(parloom_cache_options)" : "");
    *taken = *given;
    return check_options(taken, error);
}

/* A working directory that changes does not take the cache along. Names with "scheme://" are those of other stores. */
static char *make_absolute(const char *location)
{
    if (location[0] == '/' || strstr(location, "://") != NULL) return loom_memory_text(location);
    char *folder = getcwd(NULL, 0);
    if (folder == NULL) return NULL;
    size_t room = strlen(folder) + strlen(location) + 2;
    char *path = loom_memory_zeroed(room, 1);
    if (path != NULL) snprintf(path, room, "%s/%s", folder, location);
    free(folder);
    return path;
}

/* "zstd:9" becomes a name and a level, and "none" NULL: what is wrong with either is said here, and not of each result.
 */
static parloom_status take_codec(parloom_cache *cache, parloom_error *error)
{
    parloom_cache_options *options = &cache->options;
    struct loom_codec_choice choice = { NULL, 0 };
    parloom_status status = loom_codec_choose(options->codec, NULL, options->level, &choice, error);
    if (status != PARLOOM_OK) return status;
    cache->codec = choice.codec != NULL ? loom_memory_text(choice.codec->name) : NULL;
    bool is_short = choice.codec != NULL && cache->codec == NULL;
    options->codec = cache->codec;
    options->level = choice.level;
    loom_codec_release(choice.codec);
    if (!is_short) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for a cache");
}

static parloom_status copy_texts(parloom_cache *cache, const char *location, parloom_error *error)
{
    cache->options.store = cache->store_name = loom_memory_text(cache->options.store);
    if (location == NULL) return PARLOOM_OK;
    if (location[0] == '\0')
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "the location of the cache is empty: NULL is none");
    errno = ENOMEM;
    cache->location = make_absolute(location);
    if (cache->location != NULL) return PARLOOM_OK;
    int failed = errno;
    return loom_status_fail(error, loom_status_of_errno(failed), failed, "could not say where %.400s is: %m", location);
}

static void warn_scheme(const parloom_cache *cache)
{
    char line[LINE_BYTES];
    snprintf(line, sizeof line,
             "the location of a cache, %.400s, looks like no folder, and the store is \"local\": a folder of that name "
             "will be made",
             cache->location);
    loom_cache_warn_once(cache, LOOM_CACHE_ODD_LOCATION, NULL, NULL, line);
}

static parloom_status open_store(parloom_cache *cache, parloom_error *error)
{
    void *state = NULL;
    const char *name = cache->options.store;
    parloom_error own;
    parloom_status status = loom_cache_store_acquire(name, &cache->ops, &state, &cache->registered, error);
    if (status != PARLOOM_OK || cache->location == NULL) return status;
    bool is_local = cache->registered == NULL;
    if (is_local && strstr(cache->location, "://") != NULL) warn_scheme(cache);
    status = cache->ops.open(state, cache->location, &cache->store, error != NULL ? error : &own);
    if (status != PARLOOM_OK || !is_local) return status;
    return loom_cache_local_settle(cache->store, &cache->options, error);
}

parloom_status parloom_cache_open(parloom_cache **cache_out, const char *location, const parloom_cache_options *options,
                                  parloom_error *error)
{
    parloom_cache_options taken;
    if (cache_out == NULL) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no place for the cache given");
    parloom_status status = take_options(options, &taken, error);
    if (status != PARLOOM_OK) return status;
    parloom_cache *cache = loom_memory_zeroed(1, sizeof *cache);
    if (cache == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for a cache");
    cache->options = taken;
    loom_cache_warn_prepare();
    pthread_mutex_init(&cache->lock, NULL);
    status = take_codec(cache, error);
    if (status == PARLOOM_OK) status = copy_texts(cache, location, error);
    if (status == PARLOOM_OK) status = open_store(cache, error);
    if (status != PARLOOM_OK) {
        parloom_cache_close(cache);
        return status;
    }
    if (cache->codec != NULL && taken.mmap_mode != PARLOOM_MMAP_UNSET)
        loom_cache_warn_once(cache, LOOM_CACHE_ODD_OPTIONS, NULL, NULL,
                             "a cache is compressed and mapped: compressed results are read instead");
    loom_cache_enter(cache);
    *cache_out = cache;
    loom_status_clear(error);
    return PARLOOM_OK;
}

void parloom_cache_close(parloom_cache *cache)
{
    if (cache == NULL) return;
    loom_cache_leave(cache);
    if (cache->store != NULL) cache->ops.close(cache->store);
    loom_cache_store_release(cache->registered);
    pthread_mutex_destroy(&cache->lock);
    for (struct loom_cache_name *name = cache->names; name != NULL;) {
        struct loom_cache_name *next = name->next;
        free(name);
        name = next;
    }
    free(cache->codec);
    free(cache->store_name);
    free(cache->location);
    free(cache);
}

/* ------------------------------------------------------------------------- clear */

static parloom_status remove_from(parloom_cache *cache, const char *item, parloom_error *error)
{
    parloom_error own;
    parloom_status status = PARLOOM_OK;
    if (cache->store != NULL) status = cache->ops.remove(cache->store, item, error != NULL ? error : &own);
    if (status == PARLOOM_OK) loom_status_clear(error);
    return status;
}

parloom_status parloom_cache_clear(parloom_cache *cache, parloom_error *error)
{
    if (cache == NULL) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no cache given");
    loom_cache_warn_again_of_all(cache);
    return remove_from(cache, "", error);
}

parloom_status parloom_cache_forget(parloom_cached *function, parloom_error *error)
{
    if (function == NULL) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no function given");
    return remove_from(function->cache, function->folder, error);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache_warn.c - what was warned of already (see cache.h).
 *
 * Why not in the cache  Each task of a loop unpacks its function and opens a cache of its own: what is once for a cache
 *                       is a line for each task. So it is remembered by location and reason, for the process.
 * Shared                The memory is one shared page, so what forked workers warn of is known to the program and to
 *                       the workers of its next call. Workers that were started apart have a page of their own.
 * Bounded               A page of marks; where all places of a mark are taken, one of them is forgotten, and may be
 *                       warned of twice. Two reasons with one mark: the second is said at level info only.
 * No locks              A mark is one word, and orders nothing else: who dies or forks anywhere leaves the page whole.
 */
#include "base/atomics.h"
#include "base/log.h"
#include "rest/cache.h"

#include <string.h>
#include <sys/mman.h>

enum { PAGE_BYTES = 4096, PLACES = PAGE_BYTES / 8, PLACES_OF_ONE = 8 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic(uint64_t) own_page[PLACES]; /* where there is no shared one */
static _Atomic(uint64_t) *page = own_page;

static void make_page(void)
{
    void *shared = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared != MAP_FAILED) page = shared;
}

void loom_cache_warn_prepare(void)
{
    (void)pthread_once(&once, make_page);
}

/* FNV-1a. */
static uint32_t mix(uint32_t hash, const void *bytes, size_t nbytes)
{
    const unsigned char *byte = bytes;
    for (size_t k = 0; k < nbytes; k++) hash = (hash ^ byte[k]) * 0x01000193u;
    return hash;
}

static uint32_t mix_text(uint32_t hash, const char *text)
{
    return text != NULL ? mix(hash, text, strlen(text) + 1) : hash;
}

static uint32_t mark_location(const parloom_cache *cache)
{
    return mix_text(mix_text(0x811c9dc5u, cache->store_name), cache->location);
}

/* Never 0, which is a free place. */
static uint64_t mark_reason(const parloom_cache *cache, enum loom_cache_warning what, const char *item,
                            const parloom_error *error)
{
    uint32_t hash = mix(0x811c9dc5u, &what, sizeof what);
    if (error != NULL) hash = mix(mix(hash, &error->status, sizeof error->status), &error->sys_errno, sizeof(int));
    return (uint64_t)mark_location(cache) << 32 | mix_text(hash, item) | 1;
}

static _Atomic(uint64_t) *place_of(uint64_t mark, size_t k)
{
    return &page[((size_t)(mark ^ (mark >> 31)) + k) % PLACES];
}

static bool is_marked(uint64_t mark)
{
    for (size_t k = 0; k < PLACES_OF_ONE; k++)
        if (loom_load_relaxed(place_of(mark, k)) == mark) return true;
    return false;
}

/* True: it was not there. Of threads and processes that add one mark at once, one is told so: they try for the same
 * place (the exchange's partner is that of the others). */
static bool add_mark(uint64_t mark)
{
    if (is_marked(mark)) return false;
    for (size_t k = 0; k < PLACES_OF_ONE; k++) {
        uint64_t seen = 0;
        /* It may fail for no reason: then what was seen is still 0. */
        while (!loom_cas_relaxed(place_of(mark, k), &seen, mark) && seen == 0) continue;
        if (seen == 0) return true;
        if (seen == mark) return false;
    }
    loom_store_relaxed(place_of(mark, 0), mark);
    return true;
}

static void clear_place(_Atomic(uint64_t) *place, uint64_t mark)
{
    uint64_t seen = mark;
    while (!loom_cas_relaxed(place, &seen, 0) && seen == mark) continue; /* else it is another one's by now */
}

void loom_cache_warn_once(const parloom_cache *cache, enum loom_cache_warning what, const char *item,
                          const parloom_error *error, const char *line)
{
    bool is_first = add_mark(mark_reason(cache, what, item, error));
    loom_log(is_first ? LOOM_LOG_WARNING : LOOM_LOG_INFO, "%s", line);
}

void loom_cache_warn_again(const parloom_cache *cache, enum loom_cache_warning what, const char *item)
{
    uint64_t mark = mark_reason(cache, what, item, NULL);
    for (size_t k = 0; k < PLACES_OF_ONE; k++)
        if (loom_load_relaxed(place_of(mark, k)) == mark) clear_place(place_of(mark, k), mark);
}

void loom_cache_warn_again_of_all(const parloom_cache *cache)
{
    uint32_t location = mark_location(cache);
    for (size_t k = 0; k < PLACES; k++) {
        uint64_t seen = loom_load_relaxed(&page[k]);
        if (seen != 0 && seen >> 32 == location) clear_place(&page[k], seen);
    }
}

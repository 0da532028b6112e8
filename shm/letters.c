/* SPDX-License-Identifier: BSD-3-Clause */
/* letters.c - the two arenas all calls share. They live as long as the process: a warm call makes no segment. */
#include "shm/letters.h"

#include "base/atomics.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct loom_arena *) arenas[2]; /* release when made; pairs with the acquire in loom_letters_arena */

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
    loom_arena_watch_forks(); /* first, so that its locks are taken last */
    (void)pthread_atfork(before_fork, after_fork, after_fork);
}

void loom_letters_watch_forks(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
}

struct loom_arena *loom_letters_arena(enum loom_segment_access access, parloom_error *error)
{
    _Atomic(struct loom_arena *) *made = &arenas[access == LOOM_SEGMENT_WRITE];
    struct loom_arena *arena = loom_load_acquire(made); /* pairs with the store below */
    if (arena) return arena;
    loom_letters_watch_forks();
    pthread_mutex_lock(&lock);
    arena = loom_load_relaxed(made); /* written under this lock */
    if (!arena && loom_arena_create(&arena, access, NULL, error) == PARLOOM_OK)
        loom_store_release(made, arena); /* pairs with the load above */
    pthread_mutex_unlock(&lock);
    return arena;
}

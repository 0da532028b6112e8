/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * published.c - the registry of published ranges.
 *
 * Threads   any. One lock over the registry, never held while bytes are copied; one lock per range, held while its copy
 *           is made, so that two calls that start together make one.
 * Forks     a child keeps the promises and makes copies of its own: its parent's would hold other bytes as soon as the
 *           parent takes its promise back, and one that a thread of the parent's is making is never finished here.
 * Order     sorted by address. reach is the largest end so far, so a search backwards knows when to stop.
 */
#include "shm/published.h"

#include "base/atomics.h"
#include "base/memory.h"
#include "base/status.h"
#include "shm/letters.h"
#include "shm/window.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { LETTER_NBYTES = 1 << 20 }; /* below it a segment of its own would waste descriptors */

struct loom_published {
    const char *data;
    size_t nbytes;
    size_t promises;              /* publish less unpublish; 0: on its way out */
    size_t users;                 /* spills, and 1 while promised */
    pthread_mutex_t copy_lock;    /* over the fields below */
    char *copy;                   /* where data is in shared memory; NULL: nowhere yet */
    struct loom_segment *segment; /* that holds it alone; NULL: it is a letter */
    uint32_t fork_count;          /* of the process that made the copy */
};

struct entry {
    struct loom_published *published;
    const char *reach;
};

static struct {
    pthread_mutex_t lock;
    _Atomic size_t count; /* relaxed: who publishes and who calls are the same thread, or are ordered by the program */
    size_t room;
    struct entry *entries;
} registry = { .lock = PTHREAD_MUTEX_INITIALIZER };

static size_t count(void)
{
    return loom_load_relaxed(&registry.count); /* see the field */
}

/* -------------------------------------------------------------------- forks */

static void before_fork(void)
{
    pthread_mutex_lock(&registry.lock);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&registry.lock);
}

static void after_fork_in_child(void)
{
    for (size_t i = 0; i < count(); i++) /* the thread that held one while it made the copy is not here */
        registry.entries[i].published->copy_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_unlock(&registry.lock);
}

static void watch_forks(void)
{
    loom_letters_watch_forks(); /* first, so that its locks are taken last */
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* ----------------------------------------------------------------- registry */

/* Index of the first entry that starts behind data. */
static size_t find(const char *data)
{
    size_t low = 0, high = count();
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (registry.entries[middle].published->data <= data) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void set_reach(size_t from)
{
    const char *reach = from > 0 ? registry.entries[from - 1].reach : NULL;
    for (size_t i = from; i < count(); i++) {
        const char *end = registry.entries[i].published->data + registry.entries[i].published->nbytes;
        if (!reach || end > reach) reach = end;
        registry.entries[i].reach = reach;
    }
}

static bool insert(struct loom_published *published, size_t index)
{
    if (count() == registry.room) {
        size_t room = registry.room ? registry.room * 2 : 16;
        struct entry *grown = loom_memory_grow(registry.entries, room, sizeof *grown);
        if (!grown) return false;
        registry.entries = grown;
        registry.room = room;
    }
    memmove(&registry.entries[index + 1], &registry.entries[index], (count() - index) * sizeof *registry.entries);
    registry.entries[index].published = published;
    loom_add_relaxed(&registry.count, (size_t)1);
    set_reach(index);
    return true;
}

static void erase(size_t index)
{
    loom_store_relaxed(&registry.count, count() - 1);
    memmove(&registry.entries[index], &registry.entries[index + 1], (count() - index) * sizeof *registry.entries);
    set_reach(index);
}

static struct loom_published *create(const char *data, size_t nbytes)
{
    struct loom_published *published = loom_memory_zeroed(1, sizeof *published);
    if (!published) return NULL;
    published->data = data;
    published->nbytes = nbytes;
    published->promises = published->users = 1;
    pthread_mutex_init(&published->copy_lock, NULL);
    return published;
}

/* Of a parent's copy only this process's hold on it goes: segments and arenas see to that. */
static void drop_copy(struct loom_published *published)
{
    if (published->segment) {
        loom_segment_release(published->segment, true);
    } else if (published->copy) {
        loom_arena_free(loom_letters_arena(LOOM_SEGMENT_READ, NULL), published->copy);
    }
    published->segment = NULL;
    published->copy = NULL;
}

static void destroy(struct loom_published *published)
{
    pthread_mutex_destroy(&published->copy_lock);
    drop_copy(published);
    free(published);
}

/* ------------------------------------------------------------------- public */

/* Under the lock. A longer promise at the same address needs another copy, so it is another entry. */
static bool promise(const char *data, size_t nbytes)
{
    size_t index = find(data);
    for (size_t i = index; i > 0 && registry.entries[i - 1].published->data == data; i--) {
        struct loom_published *published = registry.entries[i - 1].published;
        if (published->nbytes < nbytes) continue;
        published->promises++;
        return true;
    }
    struct loom_published *published = create(data, nbytes);
    if (published && insert(published, index)) return true;
    if (published) destroy(published);
    return false;
}

parloom_status parloom_publish(const void *data, size_t nbytes, parloom_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    loom_status_clear(error);
    if (!data || nbytes > UINTPTR_MAX - (uintptr_t)data)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "cannot publish %zu bytes at %p: no such range", nbytes,
                                data);
    pthread_mutex_lock(&registry.lock);
    bool is_promised = promise(data, nbytes);
    pthread_mutex_unlock(&registry.lock);
    if (is_promised) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory to keep account of a published range");
}

/* Under the lock: of several at one address the newest goes first, as promises nest. true: to be destroyed. */
static bool take_back(const char *data, struct loom_published **gone_out)
{
    size_t index = find(data);
    if (index == 0 || registry.entries[index - 1].published->data != data) return false;
    struct loom_published *published = registry.entries[index - 1].published;
    if (--published->promises > 0) return false;
    erase(index - 1);
    *gone_out = published;
    return --published->users == 0;
}

void parloom_unpublish(const void *data)
{
    struct loom_published *gone = NULL;
    if (!data) return;
    pthread_mutex_lock(&registry.lock);
    bool is_unused = take_back(data, &gone);
    pthread_mutex_unlock(&registry.lock);
    if (is_unused) destroy(gone);
}

/* -------------------------------------------------------------------- calls */

struct loom_published *loom_published_acquire(const void *data, size_t nbytes)
{
    struct loom_published *found = NULL;
    const char *low = data;
    if (count() == 0) return NULL;
    pthread_mutex_lock(&registry.lock);
    for (size_t i = find(low); i > 0 && !found && registry.entries[i - 1].reach >= low + nbytes; i--) {
        struct loom_published *published = registry.entries[i - 1].published;
        if (low + nbytes <= published->data + published->nbytes) found = published;
    }
    if (found) found->users++;
    pthread_mutex_unlock(&registry.lock);
    return found;
}

static parloom_status copy_to_segment(struct loom_published *published, const char *folder, parloom_error *error)
{
    size_t lead = (uintptr_t)published->data % 64;
    parloom_status status = loom_segment_create_copy(published->data, published->nbytes, lead, LOOM_SEGMENT_READ,
                                                     folder, &published->segment, error);
    if (!status) published->copy = published->segment->address + lead;
    return status;
}

static parloom_status copy_to_letters(struct loom_published *published, parloom_error *error)
{
    parloom_error own;
    if (!error) error = &own;
    struct loom_arena *arena = loom_letters_arena(LOOM_SEGMENT_READ, error);
    char *copy =
        arena ? loom_arena_allocate(arena, published->nbytes, (uintptr_t)published->data % 64, false, error) : NULL;
    if (!copy) return error->status;
    memcpy(copy, published->data, published->nbytes);
    published->copy = copy;
    return PARLOOM_OK;
}

parloom_status loom_published_copy(struct loom_published *published, const void *data, const char *folder,
                                   void **shared_out, size_t *made_nbytes, parloom_error *error)
{
    parloom_status status = PARLOOM_OK;
    pthread_mutex_lock(&published->copy_lock);
    if (published->fork_count != loom_window_fork_count()) drop_copy(published);
    published->fork_count = loom_window_fork_count();
    if (!published->copy) {
        bool is_letter = !folder && published->nbytes < LETTER_NBYTES;
        status = is_letter ? copy_to_letters(published, error) : copy_to_segment(published, folder, error);
        if (!status) *made_nbytes += published->nbytes;
    }
    pthread_mutex_unlock(&published->copy_lock);
    if (!status) *shared_out = published->copy + ((const char *)data - published->data);
    return status;
}

const char *loom_published_place(const struct loom_published *published)
{
    return published->segment ? published->segment->place : loom_segment_of(published->copy)->place;
}

void loom_published_release(struct loom_published *published)
{
    if (!published) return;
    pthread_mutex_lock(&registry.lock);
    bool is_unused = --published->users == 0;
    pthread_mutex_unlock(&registry.lock);
    if (is_unused) destroy(published);
}

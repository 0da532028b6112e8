/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena.c - hand out blocks of shared memory, and take them back.
 *
 * Threads   any; one lock per arena. It is held while a segment of many blocks is made: whoever needs a block then
 * waits for it. Segments of one block are made under no lock, since what they are filled with may take its time. Forks
 * a child never hands out or zeroes what its parent may be using: after a fork all parts are closed for new blocks, and
 * freeing in them only forgets.
 */
#include "shm/arena.h"

#include "base/atomics.h"
#include "base/memory.h"
#include "base/memory_policy.h"
#include "base/status.h"
#include "shm/arena_pages.h"
#include "shm/fill.h"
#include "shm/window.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BIG_NBYTES = 1 << 20, FIRST_NBYTES = 2 << 20, LAST_NBYTES = 64 << 20 };

struct loom_arena {
    pthread_mutex_t lock;
    enum loom_segment_access access;
    char *folder;
    uint32_t fork_count;            /* of the parts that are open */
    struct loom_arena_part *parts;  /* with pages, newest first */
    struct loom_arena_part *empty;  /* one that is wholly free is kept; NULL */
    size_t next_nbytes;             /* of the next segment */
    struct loom_arena_part **by_id; /* of the segment's id; also those of one block */
    size_t by_id_count;
    struct loom_arena_page *with_room[LOOM_ARENA_CLASSES];
    struct loom_arena *next, *previous; /* of all arenas */
};

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct loom_arena *all;
static _Atomic(struct loom_arena *) public_arena; /* release when it is made; pairs with loom_arena_public */
static pthread_mutex_t public_lock = PTHREAD_MUTEX_INITIALIZER;

/* -------------------------------------------------------------------- forks */

static void before_fork(void)
{
    pthread_mutex_lock(&public_lock);
    pthread_mutex_lock(&all_lock);
    for (struct loom_arena *arena = all; arena; arena = arena->next) pthread_mutex_lock(&arena->lock);
}

static void after_fork(void)
{
    for (struct loom_arena *arena = all; arena; arena = arena->next) pthread_mutex_unlock(&arena->lock);
    pthread_mutex_unlock(&all_lock);
    pthread_mutex_unlock(&public_lock);
}

static void watch_forks(void)
{
    loom_segment_watch_forks(); /* first, so that its lock is taken last */
    (void)pthread_atfork(before_fork, after_fork, after_fork);
}

void loom_arena_watch_forks(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
}

/* Closes the parent's parts for new blocks. */
static void notice_fork(struct loom_arena *arena)
{
    if (arena->fork_count == loom_window_fork_count()) return;
    arena->fork_count = loom_window_fork_count();
    memset(arena->with_room, 0, sizeof arena->with_room);
    arena->empty = NULL;
    arena->next_nbytes = FIRST_NBYTES;
}

static bool is_open(const struct loom_arena *arena, const struct loom_arena_part *part)
{
    return part->fork_count == arena->fork_count;
}

/* -------------------------------------------------------------------- parts */

static bool enter_part(struct loom_arena *arena, struct loom_arena_part *part)
{
    size_t id = part->segment->id;
    if (id >= arena->by_id_count) {
        size_t count = id + 64;
        struct loom_arena_part **grown = loom_memory_grow(arena->by_id, count, sizeof(struct loom_arena_part *));
        if (!grown) return false;
        memset(grown + arena->by_id_count, 0, (count - arena->by_id_count) * sizeof(struct loom_arena_part *));
        arena->by_id = grown;
        arena->by_id_count = count;
    }
    arena->by_id[id] = part;
    part->segment->owner = arena;
    return true;
}

/* Of a segment for one block; those that many blocks share are as the kernel has them. */
static parloom_memory_policy policy_of_block(const struct loom_arena *arena)
{
    parloom_memory_policy policy = loom_memory_policy_now();
    bool is_public = loom_load_acquire(&public_arena) == arena; /* pairs with loom_arena_public */
    return policy == PARLOOM_MEMORY_UNSET && is_public ? loom_memory_policy_around() : policy;
}

/* What workers only read is written for a call and let go after it: the next one finds the pages, and workers have them
 * mapped. */
static bool is_kept_warm(const struct loom_arena *arena, bool has_pages)
{
    return arena->access == LOOM_SEGMENT_READ && !has_pages;
}

/* Keeps account of a segment, or gives it back; under the lock. */
static struct loom_arena_part *make_part(struct loom_arena *arena, struct loom_segment *segment, size_t pages,
                                         parloom_error *error)
{
    struct loom_arena_part *part = loom_arena_part_create(segment, (uint32_t)pages);
    if (part && enter_part(arena, part)) return part;
    size_t nbytes = segment->used_nbytes;
    if (part) loom_arena_part_destroy(part);
    loom_segment_release(segment, false);
    loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory to keep account of %zu bytes of shared memory", nbytes);
    return NULL;
}

/* Of many blocks. */
static struct loom_arena_part *make_shared_part(struct loom_arena *arena, size_t nbytes, parloom_error *error)
{
    struct loom_segment *segment = NULL;
    parloom_memory_policy before = loom_memory_policy_set(PARLOOM_MEMORY_UNSET);
    parloom_status status = loom_segment_create(nbytes, arena->access, arena->folder, &segment, error);
    (void)loom_memory_policy_set(before);
    return status == PARLOOM_OK ? make_part(arena, segment, nbytes / LOOM_ARENA_PAGE, error) : NULL;
}

/* may_be_dirty: where nothing is brought, its bytes need not be zero. */
static struct loom_segment *make_own_segment(const struct loom_arena *arena, const struct loom_fill_source *source,
                                             bool may_be_dirty, parloom_error *error)
{
    struct loom_segment *segment = NULL;
    parloom_memory_policy before = loom_memory_policy_set(policy_of_block(arena));
    bool may_be_warm = may_be_dirty && is_kept_warm(arena, false);
    if (may_be_warm || loom_fill_has_source(source))
        (void)loom_segment_create_filled(source, 0, arena->access, arena->folder, &segment, error);
    else
        (void)loom_segment_create(source->nbytes, arena->access, arena->folder, &segment, error);
    (void)loom_memory_policy_set(before);
    return segment;
}

static void drop_part(struct loom_arena *arena, struct loom_arena_part *part)
{
    arena->by_id[part->segment->id] = NULL;
    loom_segment_release(part->segment, is_kept_warm(arena, part->page_count > 0));
    loom_arena_part_destroy(part);
}

static void link_part(struct loom_arena *arena, struct loom_arena_part *part)
{
    part->next = arena->parts;
    if (part->next) part->next->previous = part;
    arena->parts = part;
}

static void unlink_part(struct loom_arena *arena, struct loom_arena_part *part)
{
    *(part->previous ? &part->previous->next : &arena->parts) = part->next;
    if (part->next) part->next->previous = part->previous;
}

/* Each segment is twice as large as the one before, so that few are needed however many blocks there are. */
static struct loom_arena_part *grow(struct loom_arena *arena, parloom_error *error)
{
    bool has_less = arena->next_nbytes > FIRST_NBYTES;
    struct loom_arena_part *part = make_shared_part(arena, arena->next_nbytes, has_less ? NULL : error);
    if (!part && has_less) {
        arena->next_nbytes = FIRST_NBYTES; /* a small one may still fit */
        part = make_shared_part(arena, arena->next_nbytes, error);
    }
    if (!part) return NULL;
    if (arena->next_nbytes < LAST_NBYTES) arena->next_nbytes *= 2;
    link_part(arena, part);
    return part;
}

static void list_page(struct loom_arena *arena, struct loom_arena_page *page)
{
    struct loom_arena_page **head = &arena->with_room[page->size_class];
    page->previous = NULL;
    page->next = *head;
    if (*head) (*head)->previous = page;
    *head = page;
}

static void unlist_page(struct loom_arena *arena, struct loom_arena_page *page)
{
    *(page->previous ? &page->previous->next : &arena->with_room[page->size_class]) = page->next;
    if (page->next) page->next->previous = page->previous;
}

static bool is_empty(const struct loom_arena_part *part)
{
    return part->free_pages + part->idle_pages == part->page_count;
}

static void drop_empty(struct loom_arena *arena, struct loom_arena_part *part)
{
    for (uint32_t i = 0; i < part->page_count && part->idle_pages > 0; i++) {
        if (!part->pages[i].is_idle) continue;
        unlist_page(arena, &part->pages[i]);
        part->idle_pages--;
    }
    unlink_part(arena, part);
    drop_part(arena, part);
}

/* One empty part is kept, so that a program that allocates and frees in turn makes no segments. */
static void note_empty(struct loom_arena *arena, struct loom_arena_part *part)
{
    if (!is_empty(part)) return;
    struct loom_arena_part *spare = arena->empty;
    arena->empty = part;
    if (spare && spare != part && is_empty(spare)) drop_empty(arena, spare);
}

/* ------------------------------------------------------------------- blocks */

static struct loom_arena_page *find_run(struct loom_arena *arena, uint32_t run_pages, parloom_error *error)
{
    for (struct loom_arena_part *part = arena->parts; part; part = part->next) {
        struct loom_arena_page *page = is_open(arena, part) ? loom_arena_part_find_run(part, run_pages) : NULL;
        if (page) return page;
    }
    struct loom_arena_part *part = grow(arena, error);
    return part ? loom_arena_part_find_run(part, run_pages) : NULL;
}

static void *short_of_memory(size_t nbytes, parloom_error *error)
{
    loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory to keep account of a block of %zu bytes", nbytes);
    return NULL;
}

static struct loom_arena_page *page_of_class(struct loom_arena *arena, uint32_t size_class, parloom_error *error)
{
    struct loom_arena_page *page = arena->with_room[size_class];
    if (page) return page;
    page = find_run(arena, 1, error);
    if (!page) return NULL;
    if (!loom_arena_page_make_small(page, size_class))
        return short_of_memory(loom_arena_class_nbytes(size_class), error);
    list_page(arena, page);
    return page;
}

/* Fills the description and hands out the bytes. room: of the block's place. */
static char *hand_out(struct loom_arena_block *block, char *start, size_t nbytes, size_t modulo, bool zeroed)
{
    block->nbytes = (uint32_t)nbytes & 0xfffffu;
    block->modulo = (uint32_t)modulo & 63u;
    block->holds = 0;
    block->is_used = 1;
    block->is_freed = 0;
    if (zeroed && block->is_dirty) memset(start + modulo, 0, nbytes);
    block->is_dirty = 1;
    return start + modulo;
}

static void *allocate_small(struct loom_arena *arena, size_t nbytes, size_t modulo, bool zeroed, parloom_error *error)
{
    uint32_t size_class = loom_arena_class_of(nbytes + modulo);
    struct loom_arena_page *page = page_of_class(arena, size_class, error);
    if (!page) return NULL;
    if (page->is_idle) {
        page->is_idle = false;
        page->part->idle_pages--;
    }
    uint32_t slot = loom_arena_page_take_slot(page);
    if (page->used == page->slots) unlist_page(arena, page);
    char *start = page->part->segment->address + (size_t)page->index * LOOM_ARENA_PAGE +
                  slot * loom_arena_class_nbytes(size_class);
    return hand_out(&page->blocks[slot], start, nbytes, modulo, zeroed);
}

static void *allocate_run(struct loom_arena *arena, size_t nbytes, size_t modulo, bool zeroed, parloom_error *error)
{
    uint32_t run_pages = (uint32_t)((nbytes + modulo + LOOM_ARENA_PAGE - 1) / LOOM_ARENA_PAGE);
    struct loom_arena_page *page = find_run(arena, run_pages, error);
    if (!page) return NULL;
    if (!loom_arena_page_make_run(page, run_pages)) return short_of_memory(nbytes, error);
    return hand_out(page->blocks, page->part->segment->address + (size_t)page->index * LOOM_ARENA_PAGE, nbytes, modulo,
                    zeroed);
}

/* Takes the lock itself: the segment is made without it. The block begins modulo bytes behind its start. */
static void *allocate_big(struct loom_arena *arena, const struct loom_fill_source *source, size_t modulo,
                          bool may_be_dirty, parloom_error *error)
{
    struct loom_segment *segment = make_own_segment(arena, source, may_be_dirty, error);
    if (!segment) return NULL;
    pthread_mutex_lock(&arena->lock);
    notice_fork(arena);
    struct loom_arena_part *part = make_part(arena, segment, 0, error);
    void *block = part ? hand_out(&part->whole, part->segment->address, 0, modulo, false) : NULL;
    pthread_mutex_unlock(&arena->lock);
    return block;
}

static bool is_big(size_t nbytes)
{
    return nbytes >= BIG_NBYTES - 64;
}

void *loom_arena_allocate(struct loom_arena *arena, size_t nbytes, size_t modulo64, bool zeroed, parloom_error *error)
{
    if (nbytes == 0) nbytes = 1;
    if (nbytes > SIZE_MAX - modulo64) return short_of_memory(nbytes, error);
    const struct loom_fill_source nothing = { .nbytes = nbytes + modulo64 };
    if (is_big(nbytes)) return allocate_big(arena, &nothing, modulo64, !zeroed, error);
    pthread_mutex_lock(&arena->lock);
    notice_fork(arena);
    void *block = nbytes + modulo64 <= LOOM_ARENA_SMALL_MAX ? allocate_small(arena, nbytes, modulo64, zeroed, error)
                                                            : allocate_run(arena, nbytes, modulo64, zeroed, error);
    pthread_mutex_unlock(&arena->lock);
    return block;
}

void *loom_arena_allocate_filled(struct loom_arena *arena, const struct loom_fill_source *source, parloom_error *error)
{
    if (is_big(source->nbytes)) return allocate_big(arena, source, 0, true, error);
    char *block = loom_arena_allocate(arena, source->nbytes, 0, false, error);
    if (block && source->nbytes > 0) loom_fill_bring(source, block, 0, source->nbytes);
    return block;
}

/* ------------------------------------------------------------- free, holds */

/* Of the live block there; under the lock. */
static bool locate(struct loom_arena *arena, const void *address, struct loom_arena_place *place)
{
    struct loom_segment *segment = loom_segment_of(address);
    if (!segment || segment->id >= arena->by_id_count) return false;
    struct loom_arena_part *part = arena->by_id[segment->id];
    if (!part || part->segment != segment || !loom_arena_part_locate(part, address, place)) return false;
    const char *at = address;
    return place->block->is_used && at >= place->start && at < place->start + place->nbytes;
}

static void give_back_small(struct loom_arena *arena, struct loom_arena_page *page, uint32_t slot)
{
    if (!is_open(arena, page->part)) return;
    if (page->used == page->slots) list_page(arena, page);
    loom_arena_page_give_slot(page, slot);
    if (page->used > 0) return;
    /* The last page of its class stays cut as it is: cutting anew costs ten times as much as a block. */
    if (!page->next && !page->previous) {
        page->is_idle = true;
        page->part->idle_pages++;
    } else {
        unlist_page(arena, page);
        loom_arena_page_make_free(page);
    }
    note_empty(arena, page->part);
}

static void give_back(struct loom_arena *arena, const struct loom_arena_place *place)
{
    place->block->is_used = 0;
    if (!place->page) {
        drop_part(arena, place->part);
    } else if (place->page->kind == LOOM_ARENA_SMALL) {
        give_back_small(arena, place->page, place->slot);
    } else if (is_open(arena, place->part)) {
        loom_arena_page_make_free(place->page);
        note_empty(arena, place->part);
    }
}

bool loom_arena_try_free(struct loom_arena *arena, void *block)
{
    struct loom_arena_place place;
    pthread_mutex_lock(&arena->lock);
    notice_fork(arena);
    bool is_ours = locate(arena, block, &place) && place.start == block && !place.block->is_freed;
    if (is_ours && place.block->holds > 0) {
        place.block->is_freed = 1;
    } else if (is_ours) {
        give_back(arena, &place);
    }
    pthread_mutex_unlock(&arena->lock);
    return is_ours;
}

void loom_arena_free(struct loom_arena *arena, void *block)
{
    if (block) (void)loom_arena_try_free(arena, block);
}

void *loom_arena_hold_at(struct loom_arena *arena, const void *address)
{
    struct loom_arena_place place;
    pthread_mutex_lock(&arena->lock);
    bool is_ours = locate(arena, address, &place);
    if (is_ours) place.block->holds++;
    pthread_mutex_unlock(&arena->lock);
    return is_ours ? place.start : NULL;
}

void loom_arena_hold(struct loom_arena *arena, void *block)
{
    (void)loom_arena_hold_at(arena, block);
}

void loom_arena_drop(struct loom_arena *arena, void *block)
{
    struct loom_arena_place place;
    pthread_mutex_lock(&arena->lock);
    notice_fork(arena);
    if (locate(arena, block, &place) && place.block->holds > 0) {
        place.block->holds--;
        if (place.block->holds == 0 && place.block->is_freed) give_back(arena, &place);
    }
    pthread_mutex_unlock(&arena->lock);
}

/* ---------------------------------------------------------- create, destroy */

parloom_status loom_arena_create(struct loom_arena **arena_out, enum loom_segment_access access, const char *folder,
                                 parloom_error *error)
{
    loom_arena_watch_forks();
    struct loom_arena *arena = loom_memory_zeroed(1, sizeof *arena);
    char *copy = loom_memory_text(folder);
    if (!arena || (folder && !copy)) {
        free(arena);
        free(copy);
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for an arena");
    }
    pthread_mutex_init(&arena->lock, NULL);
    arena->access = access;
    arena->folder = copy;
    arena->fork_count = loom_window_fork_count();
    arena->next_nbytes = FIRST_NBYTES;
    pthread_mutex_lock(&all_lock);
    arena->next = all;
    if (all) all->previous = arena;
    all = arena;
    pthread_mutex_unlock(&all_lock);
    *arena_out = arena;
    return PARLOOM_OK;
}

void loom_arena_destroy(struct loom_arena *arena)
{
    if (!arena) return;
    pthread_mutex_lock(&all_lock);
    *(arena->previous ? &arena->previous->next : &all) = arena->next;
    if (arena->next) arena->next->previous = arena->previous;
    pthread_mutex_unlock(&all_lock);
    for (size_t id = 0; id < arena->by_id_count; id++) {
        if (arena->by_id[id]) drop_part(arena, arena->by_id[id]);
    }
    pthread_mutex_destroy(&arena->lock);
    free(arena->by_id);
    free(arena->folder);
    free(arena);
}

struct loom_arena *loom_arena_public(parloom_error *error)
{
    struct loom_arena *arena = loom_load_acquire(&public_arena); /* pairs with the store below */
    if (arena) return arena;
    pthread_mutex_lock(&public_lock);
    arena = loom_load_relaxed(&public_arena); /* written under this lock */
    if (!arena && loom_arena_create(&arena, LOOM_SEGMENT_WRITE, NULL, error) == PARLOOM_OK)
        loom_store_release(&public_arena, arena); /* pairs with the load above */
    pthread_mutex_unlock(&public_lock);
    return arena;
}

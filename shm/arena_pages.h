/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena_pages.h - how the segments of an arena are cut: pages of 64 KiB, blocks of one size in a page, runs of pages.
 *
 *      segment   |page|page|page|page|page| ...            2 to 64 MiB
 *      small     |b|b|b|b|b|b|b|b|b|b|b|b|                  up to 32 KiB: a page of blocks of one size class
 *      run            |one block over pages ...|           up to 1 MiB
 *
 * Blocks are described here, in private memory, never in the segment. No locks: the arena has one.
 */
#ifndef LOOM_SHM_ARENA_PAGES_H
#define LOOM_SHM_ARENA_PAGES_H

#include "shm/segment.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    LOOM_ARENA_PAGE = 64 << 10,
    LOOM_ARENA_SMALL_MAX = 32 << 10,
    LOOM_ARENA_CLASSES = 32,
    LOOM_ARENA_SLOTS_MAX = LOOM_ARENA_PAGE / 64
};

/* One block. 2^20 bytes and more are segments of their own and say their size there. */
struct loom_arena_block {
    uint32_t holds;
    uint32_t nbytes : 20; /* that were asked for */
    uint32_t modulo : 6;  /* the block starts that far behind its place */
    uint32_t is_used : 1;
    uint32_t is_freed : 1; /* but held */
    uint32_t is_dirty : 1; /* not zeros any more */
};

enum loom_arena_page_kind { LOOM_ARENA_FREE, LOOM_ARENA_SMALL, LOOM_ARENA_RUN, LOOM_ARENA_RUN_REST };

struct loom_arena_page {
    enum loom_arena_page_kind kind;
    bool is_dirty;        /* free, but was used */
    bool is_idle;         /* SMALL, no block used, kept as it is */
    uint32_t index;       /* in its segment */
    uint32_t first;       /* RUN_REST: index of its RUN */
    uint32_t run_pages;   /* RUN */
    uint32_t size_class;  /* SMALL */
    uint32_t used, slots; /* SMALL */
    struct loom_arena_part *part;
    struct loom_arena_block *blocks;         /* SMALL: slots of them; RUN: one */
    struct loom_arena_page *next, *previous; /* SMALL with free slots: list of its class */
    uint64_t free_slots[LOOM_ARENA_SLOTS_MAX / 64];
};

/* One segment of an arena. */
struct loom_arena_part {
    struct loom_segment *segment;
    struct loom_arena_part *next, *previous; /* of those with pages */
    uint32_t fork_count; /* of the process that made it: a child of fork leaves its parent's blocks alone */
    uint32_t page_count; /* 0: one block, of a segment of its own */
    uint32_t free_pages;
    uint32_t idle_pages;            /* SMALL without a used block, kept because they are the only ones of their class */
    uint32_t search_from;           /* no free page below */
    struct loom_arena_block whole;  /* page_count 0 */
    struct loom_arena_page pages[]; /* page_count of them */
};

/* Where a block is. */
struct loom_arena_place {
    struct loom_arena_part *part;
    struct loom_arena_page *page; /* NULL: the whole segment */
    struct loom_arena_block *block;
    uint32_t slot;
    char *start;   /* of the bytes that were handed out */
    size_t nbytes; /* that were asked for */
};

uint32_t loom_arena_class_of(size_t nbytes); /* nbytes <= LOOM_ARENA_SMALL_MAX */
size_t loom_arena_class_nbytes(uint32_t size_class);

/* NULL: no memory. page_count 0: for one block. */
struct loom_arena_part *loom_arena_part_create(struct loom_segment *segment, uint32_t page_count);
void loom_arena_part_destroy(struct loom_arena_part *part); /* not the segment */
/* The first page of a run of free ones, not yet marked; NULL: none is long enough. */
struct loom_arena_page *loom_arena_part_find_run(struct loom_arena_part *part, uint32_t run_pages);
bool loom_arena_page_make_small(struct loom_arena_page *page, uint32_t size_class); /* false: no memory */
bool loom_arena_page_make_run(struct loom_arena_page *page, uint32_t run_pages);    /* false: no memory */
void loom_arena_page_make_free(struct loom_arena_page *page);                       /* the whole run */
uint32_t loom_arena_page_take_slot(struct loom_arena_page *page);                   /* one is free */
void loom_arena_page_give_slot(struct loom_arena_page *page, uint32_t slot);
/* The place of the block that holds the address, used or not. false: no block there. */
bool loom_arena_part_locate(struct loom_arena_part *part, const void *address, struct loom_arena_place *place_out);

#ifdef __cplusplus
}
#endif
#endif

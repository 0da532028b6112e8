/* SPDX-License-Identifier: BSD-3-Clause */
/* arena_pages.c - how the segments of an arena are cut. */
#include "shm/arena_pages.h"

#include "base/memory.h"
#include "shm/window.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------- size classes */

/* 64 128 ... 512 in steps of 64, then four steps to each doubling: at most a fifth is wasted. */
static const uint16_t CLASS_NBYTES[] = { 64,   128,  192,  256,  320,  384,   448,   512,   640,   768,
                                         896,  1024, 1280, 1536, 1792, 2048,  2560,  3072,  3584,  4096,
                                         5120, 6144, 7168, 8192, 9344, 10880, 13056, 16384, 21824, 32768 };
enum { CLASS_COUNT = sizeof CLASS_NBYTES / sizeof CLASS_NBYTES[0] };
_Static_assert((int)CLASS_COUNT <= (int)LOOM_ARENA_CLASSES, "the arena has a list for each class");

uint32_t loom_arena_class_of(size_t nbytes)
{
    if (nbytes <= 512) return (uint32_t)((nbytes + 63) / 64 - 1);
    uint32_t low = 8, high = CLASS_COUNT - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (CLASS_NBYTES[middle] < nbytes) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

size_t loom_arena_class_nbytes(uint32_t size_class)
{
    return CLASS_NBYTES[size_class];
}

/* -------------------------------------------------------------------- parts */

struct loom_arena_part *loom_arena_part_create(struct loom_segment *segment, uint32_t page_count)
{
    struct loom_arena_part *part = loom_memory_zeroed(1, sizeof *part + page_count * sizeof part->pages[0]);
    if (!part) return NULL;
    part->segment = segment;
    part->fork_count = loom_window_fork_count();
    part->page_count = part->free_pages = page_count;
    for (uint32_t i = 0; i < page_count; i++) {
        part->pages[i].index = i;
        part->pages[i].part = part;
    }
    return part;
}

void loom_arena_part_destroy(struct loom_arena_part *part)
{
    for (uint32_t i = 0; i < part->page_count; i++) free(part->pages[i].blocks);
    free(part);
}

struct loom_arena_page *loom_arena_part_find_run(struct loom_arena_part *part, uint32_t run_pages)
{
    if (part->free_pages < run_pages) return NULL;
    uint32_t length = 0;
    bool is_lowest = true;
    for (uint32_t i = part->search_from; i < part->page_count; i++) {
        bool is_free = part->pages[i].kind == LOOM_ARENA_FREE;
        if (is_free && is_lowest) {
            part->search_from = i;
            is_lowest = false;
        }
        length = is_free ? length + 1 : 0;
        if (length == run_pages) return &part->pages[i + 1 - run_pages];
    }
    return NULL;
}

/* -------------------------------------------------------------------- pages */

bool loom_arena_page_make_small(struct loom_arena_page *page, uint32_t size_class)
{
    uint32_t slots = (uint32_t)(LOOM_ARENA_PAGE / loom_arena_class_nbytes(size_class));
    struct loom_arena_block *blocks = loom_memory_zeroed(slots, sizeof *blocks);
    if (!blocks) return false;
    for (uint32_t i = 0; i < slots; i++) blocks[i].is_dirty = page->is_dirty;
    page->kind = LOOM_ARENA_SMALL;
    page->size_class = size_class;
    page->slots = slots;
    page->used = 0;
    page->blocks = blocks;
    memset(page->free_slots, 0, sizeof page->free_slots);
    for (uint32_t i = 0; i < slots; i++) page->free_slots[i / 64] |= UINT64_C(1) << i % 64;
    page->part->free_pages--;
    return true;
}

bool loom_arena_page_make_run(struct loom_arena_page *page, uint32_t run_pages)
{
    struct loom_arena_block *block = loom_memory_zeroed(1, sizeof *block);
    if (!block) return false;
    for (uint32_t i = 0; i < run_pages; i++) {
        if (page[i].is_dirty) block->is_dirty = 1;
        page[i].kind = LOOM_ARENA_RUN_REST;
        page[i].first = page->index;
    }
    page->kind = LOOM_ARENA_RUN;
    page->run_pages = run_pages;
    page->blocks = block;
    page->part->free_pages -= run_pages;
    return true;
}

void loom_arena_page_make_free(struct loom_arena_page *page)
{
    uint32_t pages = page->kind == LOOM_ARENA_RUN ? page->run_pages : 1;
    free(page->blocks);
    page->blocks = NULL;
    for (uint32_t i = 0; i < pages; i++) {
        page[i].kind = LOOM_ARENA_FREE;
        page[i].is_dirty = true;
    }
    page->part->free_pages += pages;
    if (page->index < page->part->search_from) page->part->search_from = page->index;
}

uint32_t loom_arena_page_take_slot(struct loom_arena_page *page)
{
    uint32_t word = 0;
    while (page->free_slots[word] == 0) word++;
    uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(page->free_slots[word]);
    page->free_slots[word] &= page->free_slots[word] - 1;
    page->used++;
    return slot;
}

void loom_arena_page_give_slot(struct loom_arena_page *page, uint32_t slot)
{
    page->free_slots[slot / 64] |= UINT64_C(1) << slot % 64;
    page->used--;
}

/* ------------------------------------------------------------------- locate */

static bool locate_in_page(struct loom_arena_page *page, char *page_start, size_t offset,
                           struct loom_arena_place *place)
{
    place->page = page;
    place->slot = 0;
    place->start = page_start;
    if (page->kind == LOOM_ARENA_SMALL) {
        size_t nbytes = loom_arena_class_nbytes(page->size_class);
        place->slot = (uint32_t)(offset / nbytes);
        if (place->slot >= page->slots) return false;
        place->start += place->slot * nbytes;
    }
    place->block = &page->blocks[place->slot];
    place->start += place->block->modulo;
    place->nbytes = place->block->nbytes;
    return true;
}

bool loom_arena_part_locate(struct loom_arena_part *part, const void *address, struct loom_arena_place *place_out)
{
    char *base = part->segment->address;
    size_t offset = (size_t)((const char *)address - base);
    place_out->part = part;
    if (part->page_count == 0) {
        place_out->page = NULL;
        place_out->block = &part->whole;
        place_out->start = base + part->whole.modulo;
        place_out->nbytes = part->segment->used_nbytes - part->whole.modulo;
        return true;
    }
    uint32_t index = (uint32_t)(offset / LOOM_ARENA_PAGE);
    if (index >= part->page_count || part->pages[index].kind == LOOM_ARENA_FREE) return false;
    if (part->pages[index].kind == LOOM_ARENA_RUN_REST) index = part->pages[index].first;
    size_t page_offset = (size_t)index * LOOM_ARENA_PAGE;
    return locate_in_page(&part->pages[index], base + page_offset, offset - page_offset, place_out);
}

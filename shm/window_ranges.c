/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window_ranges.c - which blocks of a stretch of the window are free.
 *
 * Invariant: between n takes lie at most n + 1 free ranges, and take keeps room for that many. So giving back needs no
 * memory and cannot fail.
 */
#include "shm/window_ranges.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

bool loom_window_ranges_init(struct loom_window_ranges *ranges, uint64_t begin, uint64_t end)
{
    *ranges = (struct loom_window_ranges){ .cursor = begin };
    ranges->room = 64;
    ranges->free = loom_memory_zeroed(ranges->room, sizeof *ranges->free);
    if (!ranges->free) return false;
    ranges->free[0] = (struct loom_window_range){ .begin = begin, .end = end };
    ranges->count = begin < end ? 1 : 0;
    return true;
}

void loom_window_ranges_fini(struct loom_window_ranges *ranges)
{
    free(ranges->free);
    *ranges = (struct loom_window_ranges){ 0 };
}

/* Index of the first range that ends behind block. */
static size_t find(const struct loom_window_ranges *ranges, uint64_t block)
{
    size_t low = 0, high = ranges->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges->free[middle].end <= block) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void insert(struct loom_window_ranges *ranges, size_t index, uint64_t begin, uint64_t end)
{
    memmove(&ranges->free[index + 1], &ranges->free[index], (ranges->count - index) * sizeof *ranges->free);
    ranges->free[index] = (struct loom_window_range){ .begin = begin, .end = end };
    ranges->count++;
}

static void erase(struct loom_window_ranges *ranges, size_t index)
{
    ranges->count--;
    memmove(&ranges->free[index], &ranges->free[index + 1], (ranges->count - index) * sizeof *ranges->free);
}

/* Takes from the range at index, at block or behind; false: too short from there. */
static bool carve(struct loom_window_ranges *ranges, size_t index, uint64_t block, uint64_t blocks)
{
    struct loom_window_range *range = &ranges->free[index];
    uint64_t begin = block > range->begin ? block : range->begin;
    uint64_t end = range->end;
    if (end - begin < blocks) return false;
    ranges->cursor = begin + blocks;
    if (begin == range->begin) {
        range->begin += blocks;
        if (range->begin == range->end) erase(ranges, index);
        return true;
    }
    range->end = begin;
    if (begin + blocks < end) insert(ranges, index + 1, begin + blocks, end);
    return true;
}

static bool make_room(struct loom_window_ranges *ranges)
{
    if (ranges->taken + 2 <= ranges->room) return true;
    struct loom_window_range *grown = loom_memory_grow(ranges->free, ranges->room * 2, sizeof *ranges->free);
    if (!grown) return false;
    ranges->free = grown;
    ranges->room *= 2;
    return true;
}

bool loom_window_ranges_take(struct loom_window_ranges *ranges, uint64_t blocks, uint64_t *begin_out)
{
    if (blocks == 0 || !make_room(ranges)) return false;
    size_t start = find(ranges, ranges->cursor);
    uint64_t cursor = ranges->cursor;
    for (size_t index = start; index < ranges->count; index++) {
        if (carve(ranges, index, cursor, blocks)) goto taken;
    }
    for (size_t index = 0; index < ranges->count && index <= start; index++) {
        if (carve(ranges, index, 0, blocks)) goto taken;
    }
    return false;
taken:
    ranges->taken++;
    *begin_out = ranges->cursor - blocks;
    return true;
}

void loom_window_ranges_give(struct loom_window_ranges *ranges, uint64_t begin, uint64_t blocks)
{
    uint64_t end = begin + blocks;
    size_t index = find(ranges, begin);
    bool joins_below = index > 0 && ranges->free[index - 1].end == begin;
    bool joins_above = index < ranges->count && ranges->free[index].begin == end;
    if (joins_below && joins_above) {
        ranges->free[index - 1].end = ranges->free[index].end;
        erase(ranges, index);
    } else if (joins_below) {
        ranges->free[index - 1].end = end;
    } else if (joins_above) {
        ranges->free[index].begin = begin;
    } else {
        insert(ranges, index, begin, end);
    }
    ranges->taken--;
}

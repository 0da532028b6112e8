/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment_index.c - which segment lies at an address: two loads, no lock.
 *
 * Two levels over the 2 MiB blocks of the window: a root of 2048 leaves of 1024 blocks each. Leaves are made when
 * first needed and stay, so a reader never sees one disappear. Writers hold the lock of the registry.
 */
#include "base/atomics.h"
#include "base/memory.h"
#include "shm/segment_record.h"
#include "shm/window.h"

enum { LEAF_BLOCKS = 1024, LEAVES = LOOM_WINDOW_BLOCKS_MAX / LEAF_BLOCKS };

struct leaf {
    /* release by the writer, so that who finds a record sees what it says; pairs with loom_segment_index_find */
    _Atomic(struct loom_segment_record *) record[LEAF_BLOCKS];
};

static _Atomic(struct leaf *) root[LEAVES];

static uint64_t block_at(const void *address)
{
    return ((uint64_t)(uintptr_t)address - loom_window_base()) / LOOM_WINDOW_BLOCK;
}

static bool grow(uint64_t begin, uint64_t end)
{
    for (uint64_t i = begin / LEAF_BLOCKS; i <= (end - 1) / LEAF_BLOCKS; i++) {
        if (loom_load_relaxed(&root[i])) continue; /* written under the lock we hold */
        struct leaf *leaf = loom_memory_zeroed(1, sizeof *leaf);
        if (!leaf) return false;
        loom_store_release(&root[i], leaf); /* pairs with loom_segment_index_find */
    }
    return true;
}

static void store(uint64_t begin, uint64_t end, struct loom_segment_record *record)
{
    for (uint64_t block = begin; block < end; block++) {
        struct leaf *leaf = loom_load_relaxed(&root[block / LEAF_BLOCKS]); /* written under the lock we hold */
        loom_store_release(&leaf->record[block % LEAF_BLOCKS], record);    /* pairs with loom_segment_index_find */
    }
}

/* A mapped file may end within a block, which then is its own all the same. */
static uint64_t blocks_of(const struct loom_segment_record *record)
{
    return (record->segment.nbytes + LOOM_WINDOW_BLOCK - 1) / LOOM_WINDOW_BLOCK;
}

bool loom_segment_index_set(struct loom_segment_record *record)
{
    uint64_t begin = block_at(record->segment.address);
    uint64_t end = begin + blocks_of(record);
    if (!grow(begin, end)) return false;
    store(begin, end, record);
    return true;
}

void loom_segment_index_clear(const struct loom_segment_record *record)
{
    uint64_t begin = block_at(record->segment.address);
    store(begin, begin + blocks_of(record), NULL);
}

struct loom_segment_record *loom_segment_index_find(const void *address)
{
    if (!loom_window_contains(address)) return NULL;
    uint64_t block = block_at(address);
    struct leaf *leaf = loom_load_acquire(&root[block / LEAF_BLOCKS]);          /* pairs with grow */
    return leaf ? loom_load_acquire(&leaf->record[block % LEAF_BLOCKS]) : NULL; /* pairs with store */
}

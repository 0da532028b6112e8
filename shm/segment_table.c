/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment_table.c - the table of segments in the window's header.
 *
 * Threads   writers hold the lock of the registry; readers are other processes, at any time.
 */
#include "shm/segment_table.h"

#include "base/atomics.h"
#include "shm/segment_record.h"
#include "shm/window.h"

#include <assert.h>
#include <stddef.h>

enum { READ_TRIES = 1000 };

/*
 * Lives in shared memory; layout version 2 (window.c).
 *
 *  field               written by   read by   order
 *  epoch               program      workers   release after every change of an entry / acquire before entries are read
 *  used                program      workers   release, only grows, before the epoch / acquire
 *  entry.generation    program      workers   0 (release) before and the new one (release) after the others / acquire
 *  entry.access ...    program      workers   release, so that the 0 is seen first / acquire, so that it is read again
 * last
 */
struct entry_shared {
    _Atomic uint32_t generation;
    _Atomic uint32_t access;
    _Atomic uint64_t offset;
    _Atomic uint64_t nbytes;
    _Atomic uint64_t file_offset;
};

struct loom_segment_table_shared {
    _Atomic uint64_t epoch;
    _Atomic uint32_t used;
    uint32_t unused[13]; /* the epoch has its line: workers look at it before each task */
    struct entry_shared entries[LOOM_SEGMENT_SLOTS];
};
_Static_assert(sizeof(struct entry_shared) == 32, "layout version 2");
_Static_assert(offsetof(struct entry_shared, offset) == 8, "layout version 2");
_Static_assert(offsetof(struct loom_segment_table_shared, entries) == 64, "layout version 2");
_Static_assert(LOOM_WINDOW_TABLE_OFFSET + sizeof(struct loom_segment_table_shared) <= LOOM_WINDOW_HEADER_NBYTES,
               "the table fits the header");

static struct loom_segment_table_shared *table(void)
{
    return loom_window_table();
}

static void raise_epoch(void)
{
    /* release: the entry is written; pairs with loom_segment_table_epoch. */
    loom_store_release(&table()->epoch, loom_load_relaxed(&table()->epoch) + 1); /* no other writer */
}

void loom_segment_table_publish(const struct loom_segment *segment)
{
    assert(segment->id < LOOM_SEGMENT_SLOTS);
    struct entry_shared *entry = &table()->entries[segment->id];
    loom_store_release(&entry->generation, 0u);
    /* release each: whoever reads one of these finds the 0 or what follows it; pairs with loom_segment_table_read. */
    loom_store_release(&entry->access, (uint32_t)segment->access);
    loom_store_release(&entry->offset, (uint64_t)(uintptr_t)segment->address - loom_window_base());
    loom_store_release(&entry->nbytes, (uint64_t)segment->nbytes);
    loom_store_release(&entry->file_offset, segment->file_offset);
    loom_store_release(&entry->generation, segment->generation);
    if (segment->id >= loom_load_relaxed(&table()->used)) /* no other writer */
        loom_store_release(&table()->used, segment->id + 1);
    raise_epoch();
}

void loom_segment_table_clear(uint32_t id)
{
    loom_store_release(&table()->entries[id].generation, 0u); /* pairs with loom_segment_table_read */
    raise_epoch();
}

const void *loom_segment_epoch_word(void)
{
    return loom_window_base() ? (const void *)(uintptr_t)&table()->epoch : NULL; /* without the qualifier: for C++ */
}

uint64_t loom_segment_table_epoch(void)
{
    return loom_window_base() ? loom_load_acquire(&table()->epoch) : 0; /* pairs with raise_epoch */
}

uint32_t loom_segment_table_used(void)
{
    uint32_t used = loom_load_acquire(&table()->used); /* pairs with publish */
    return used < LOOM_SEGMENT_SLOTS ? used : LOOM_SEGMENT_SLOTS;
}

struct loom_segment_table_entry loom_segment_table_read(uint32_t id)
{
    struct entry_shared *entry = &table()->entries[id];
    for (int i = 0; i < READ_TRIES; i++) {
        /* acquire each: the generation is read again after them; pairs with publish. */
        struct loom_segment_table_entry seen = { .generation = loom_load_acquire(&entry->generation) };
        if (seen.generation == 0) return seen;
        seen.access = loom_load_acquire(&entry->access);
        seen.offset = loom_load_acquire(&entry->offset);
        seen.nbytes = loom_load_acquire(&entry->nbytes);
        seen.file_offset = loom_load_acquire(&entry->file_offset);
        if (loom_load_acquire(&entry->generation) == seen.generation) return seen;
    }
    return (struct loom_segment_table_entry){ 0 }; /* it keeps changing: a later epoch will say what became of it */
}

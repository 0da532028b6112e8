/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment_warm.c - released segments that are kept, so that the next call copies into pages that are there already:
 * 20 GB/s instead of 9, and workers keep their maps.
 *
 * A kept segment is never trusted to hold anything: whoever takes it copies its data. Kept ones are a list by age; what
 * is over the budget, of bytes or of descriptors, falls out at the old end; all go where a new one finds no room
 * (segment.c). All under the lock of the registry.
 */
#include "shm/segment_record.h"
#include "shm/window.h"

#include <string.h>
#include <sys/resource.h>

#define BUDGET_NBYTES (UINT64_C(512) << 20)
enum { MOST_KEPT = 32, DESCRIPTORS_EACH = 2, DESCRIPTOR_SHARE = 16 }; /* a sixteenth of what may be open */

static struct loom_segment_record *oldest, *newest;
static uint64_t kept_nbytes;
static size_t kept_count;

static void unlink_record(struct loom_segment_record *record)
{
    *(record->older ? &record->older->newer : &oldest) = record->newer;
    *(record->newer ? &record->newer->older : &newest) = record->older;
    record->older = record->newer = NULL;
    record->is_kept = false;
    kept_nbytes -= record->file_nbytes;
    kept_count--;
}

static void link_record(struct loom_segment_record *record)
{
    record->older = newest;
    record->newer = NULL;
    *(newest ? &newest->newer : &oldest) = record;
    newest = record;
    record->is_kept = true;
    kept_nbytes += record->file_nbytes;
    kept_count++;
}

/* Asked each time: a program may change its limit. */
static size_t most_kept(void)
{
    struct rlimit open_files;
    if (getrlimit(RLIMIT_NOFILE, &open_files) != 0) return MOST_KEPT;
    rlim_t share = open_files.rlim_cur / (DESCRIPTORS_EACH * DESCRIPTOR_SHARE);
    return share < MOST_KEPT ? (size_t)share : MOST_KEPT;
}

/* Drops the oldest until no more is kept. */
static struct loom_segment_record *shrink(uint64_t most_nbytes, size_t most_count)
{
    struct loom_segment_record *dropped = NULL;
    while (kept_nbytes > most_nbytes || kept_count > most_count) {
        struct loom_segment_record *record = oldest;
        unlink_record(record);
        loom_segment_withdraw(record);
        record->older = dropped;
        dropped = record;
    }
    return dropped;
}

bool loom_segment_warm_keep(struct loom_segment_record *record, struct loom_segment_record **dropped_out)
{
    *dropped_out = NULL;
    if (record->file_nbytes > BUDGET_NBYTES || record->fork_count != loom_window_fork_count()) return false;
    /* On disk because memory was full: there may be room again next time. */
    if (!record->folder.path && !record->is_in_memory) return false;
    link_record(record);
    *dropped_out = shrink(BUDGET_NBYTES, most_kept());
    return true;
}

static bool is_same_folder(const struct loom_segment_folder *a, const struct loom_segment_folder *b)
{
    if (!a->path || !b->path) return a->path == b->path;
    return strcmp(a->path, b->path) == 0 && a->device == b->device && a->inode == b->inode;
}

struct loom_segment_record *loom_segment_warm_take(uint64_t nbytes, enum loom_segment_access access,
                                                   const struct loom_segment_folder *folder,
                                                   parloom_memory_policy policy)
{
    struct loom_segment_record *best = NULL;
    for (struct loom_segment_record *record = newest; record; record = record->older) {
        if (record->segment.access != access || record->fork_count != loom_window_fork_count()) continue;
        if (record->file_nbytes < nbytes || record->file_nbytes / 2 > nbytes) continue;
        if (!is_same_folder(&record->folder, folder) || record->policy != policy) continue;
        if (!best || record->file_nbytes < best->file_nbytes) best = record;
    }
    if (best) unlink_record(best);
    return best;
}

struct loom_segment_record *loom_segment_warm_drain(void)
{
    return shrink(0, 0);
}

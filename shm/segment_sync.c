/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment_sync.c - what a worker maps of its program's segments.
 *
 * Promise   nothing that the table says is believed: a range must lie in the window, on 2 MiB, and be free here.
 * Threads   sync and the private maps: one at a time, between tasks. Lookups: any thread, at any time.
 *
 * First all maps go whose entry is another generation, then new ones come: a new segment may lie where an old one did.
 */
#include "base/memory.h"
#include "base/process.h"
#include "base/status.h"
#include "shm/segment_record.h"
#include "shm/segment_table.h"
#include "shm/window.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BATCH = 64, SYNC_TRIES = 8 };

/* By slot of the program's table; written by sync alone. */
static struct loom_segment_record *mapped[LOOM_SEGMENT_SLOTS];
static uint64_t synced_epoch;
static struct {
    loom_segment_fetch call;
    void *state;
} fetcher; /* of the last sync, for private maps */

struct batch {
    uint32_t ids[BATCH], generations[BATCH];
    struct loom_segment_table_entry entries[BATCH];
    size_t count;
};

uint64_t loom_segment_epoch(void)
{
    return loom_segment_table_epoch();
}

uint64_t loom_segment_synced_epoch(void)
{
    return synced_epoch;
}

/* ---------------------------------------------------------------- map, unmap */

static bool is_sane(const struct loom_segment_table_entry *entry)
{
    uint64_t window = loom_window_nbytes();
    bool is_file = loom_segment_is_mapped_file((enum loom_segment_access)entry->access);
    uint64_t unit = is_file ? loom_process_page_nbytes() : LOOM_WINDOW_BLOCK;
    return entry->access >= LOOM_SEGMENT_READ && entry->access <= LOOM_SEGMENT_MAP_PRIVATE &&
           entry->offset % LOOM_WINDOW_BLOCK == 0 && entry->nbytes % unit == 0 && entry->nbytes > 0 &&
           entry->offset >= LOOM_WINDOW_BLOCK && entry->offset <= window && entry->nbytes <= window - entry->offset &&
           entry->file_offset % unit == 0 && (is_file || entry->file_offset == 0);
}

static void unmap_slot(uint32_t id)
{
    struct loom_segment_record *record = mapped[id];
    mapped[id] = NULL;
    loom_segment_lock();
    loom_segment_index_clear(record);
    loom_segment_unlock();
    munmap(record->segment.address, record->segment.nbytes);
    if (record->private_fd >= 0) close(record->private_fd);
    free(record);
}

static struct loom_segment_record *describe(uint32_t id, const struct loom_segment_table_entry *entry)
{
    struct loom_segment_record *record = loom_memory_zeroed(1, sizeof *record);
    if (!record) return NULL;
    record->segment.id = id;
    record->segment.generation = entry->generation;
    record->segment.access = (enum loom_segment_access)entry->access;
    record->segment.fd = record->segment.worker_fd = record->private_fd = -1;
    record->segment.address =
        (char *)(uintptr_t)(loom_window_base() + entry->offset); // NOLINT(performance-no-int-to-ptr)
    record->segment.nbytes = record->segment.used_nbytes = (size_t)entry->nbytes;
    record->segment.file_offset = entry->file_offset;
    record->segment.internal = record;
    record->is_attached = true;
    return record;
}

static int protection_of(enum loom_segment_access access)
{
    if (loom_segment_is_mapped_file(access)) return loom_segment_file_protection(access);
    if (loom_segment_is_sealed(access)) return loom_segment_code_protection(access);
    return access == LOOM_SEGMENT_READ ? PROT_READ : PROT_READ | PROT_WRITE;
}

/* 0 or an errno; the descriptor stays the caller's. */
static int map_slot(uint32_t id, const struct loom_segment_table_entry *entry, int fd)
{
    struct loom_segment_record *record = describe(id, entry);
    if (!record) return ENOMEM;
    struct loom_segment *segment = &record->segment;
    int failed = loom_window_map((uint64_t)(uintptr_t)segment->address, segment->nbytes, protection_of(segment->access),
                                 loom_segment_file_kind(segment->access), fd, segment->file_offset);
    if (failed) goto out_free;
    (void)madvise(segment->address, segment->nbytes, MADV_DONTDUMP);
    loom_segment_lock();
    if (!loom_segment_index_set(record)) failed = ENOMEM;
    loom_segment_unlock();
    if (failed) goto out_unmap;
    mapped[id] = record;
    return 0;
out_unmap:
    munmap(segment->address, segment->nbytes);
out_free:
    free(record);
    return failed;
}

/* --------------------------------------------------------------------- sync */

static void drop_gone(uint32_t used)
{
    for (uint32_t id = 0; id < used; id++) {
        if (mapped[id] && loom_segment_table_read(id).generation != mapped[id]->segment.generation) unmap_slot(id);
    }
}

static int map_batch(struct batch *batch)
{
    int fds[BATCH];
    if (batch->count == 0) return 0;
    int failed = fetcher.call(batch->ids, batch->generations, batch->count, fds, fetcher.state);
    if (failed) return failed;
    for (size_t i = 0; i < batch->count; i++) {
        if (fds[i] < 0) { /* gone meanwhile: the epoch has moved on. Or lost on its way */
            bool is_live = loom_segment_table_read(batch->ids[i]).generation == batch->generations[i];
            if (is_live && !failed) failed = EMFILE;
            continue;
        }
        if (!failed) failed = map_slot(batch->ids[i], &batch->entries[i], fds[i]);
        close(fds[i]);
    }
    batch->count = 0;
    return failed;
}

static int map_new(uint32_t used)
{
    struct batch batch = { .count = 0 };
    int failed = 0;
    for (uint32_t id = 0; id < used && !failed; id++) {
        struct loom_segment_table_entry entry = loom_segment_table_read(id);
        if (entry.generation == 0 || mapped[id]) continue;
        if (!is_sane(&entry)) return EINVAL;
        batch.ids[batch.count] = id;
        batch.generations[batch.count] = entry.generation;
        batch.entries[batch.count++] = entry;
        if (batch.count == BATCH) failed = map_batch(&batch);
    }
    return failed ? failed : map_batch(&batch);
}

static parloom_status report(int failed, parloom_error *error)
{
    parloom_status status = failed == EINVAL ? PARLOOM_ERR_INTERNAL : loom_status_of_errno(failed);
    return loom_status_fail(error, status, failed, "could not map shared memory in worker %d: %m%s", (int)getpid(),
                            failed == EEXIST ? " (something else lies at its address)"
                            : failed == EINVAL
                                ? " (the table of segments is damaged)"
                                : " (limits of descriptors, mappings or address space are the usual cause)");
}

parloom_status loom_segment_sync(loom_segment_fetch fetch, void *state, parloom_error *error)
{
    fetcher.call = fetch;
    fetcher.state = state;
    int failed = 0;
    for (int i = 0; i < SYNC_TRIES; i++) {
        uint64_t epoch = loom_segment_table_epoch();
        if (epoch == synced_epoch) return PARLOOM_OK;
        uint32_t used = loom_segment_table_used();
        drop_gone(used);
        failed = map_new(used);
        if (!failed) {
            synced_epoch = epoch;
            return PARLOOM_OK;
        }
        /* While we looked, a segment may have gone and another come in its place: then the next look sees both. */
        if (failed != EEXIST || loom_segment_table_epoch() == epoch) break;
    }
    return report(failed, error);
}

/* ------------------------------------------------------------- private maps */

/* Stays the segment's. */
static int private_fd(struct loom_segment_record *record)
{
    if (!record->is_attached) return record->segment.fd;
    if (record->private_fd >= 0) return record->private_fd;
    if (!fetcher.call) {
        errno = EBADF;
        return -1;
    }
    int failed = fetcher.call(&record->segment.id, &record->segment.generation, 1, &record->private_fd, fetcher.state);
    if (failed) record->private_fd = -1;
    if (record->private_fd < 0) errno = failed ? failed : ESTALE;
    return record->private_fd;
}

int loom_segment_descriptor(const void *address)
{
    struct loom_segment_record *record = loom_segment_index_find(address);
    errno = EFAULT;
    int fd = record ? private_fd(record) : -1;
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static size_t in_page(const void *address)
{
    return (size_t)((uintptr_t)address & (uintptr_t)(loom_process_page_nbytes() - 1));
}

/* A worker has mapped it privately: where it lies, a task's writes are its own. */
static bool is_own_already(const struct loom_segment_record *record)
{
    return record->is_attached && record->segment.access == LOOM_SEGMENT_MAP_PRIVATE;
}

void *loom_segment_map_private(const void *address, size_t nbytes)
{
    struct loom_segment_record *record = loom_segment_index_find(address);
    const char *at = address;
    if (!record || nbytes == 0 || nbytes > (size_t)(record->segment.address + record->segment.nbytes - at)) {
        errno = EFAULT;
        return NULL;
    }
    if (is_own_already(record)) return record->segment.address + (at - record->segment.address);
    int fd = private_fd(record);
    if (fd < 0) return NULL;
    size_t lead = in_page(address);
    char *map = mmap(NULL, lead + nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
                     (off_t)(record->segment.file_offset + (uint64_t)(at - lead - record->segment.address)));
    return map == MAP_FAILED ? NULL : map + lead;
}

int loom_segment_restore_private(void *mapping, size_t nbytes)
{
    size_t lead = in_page(mapping);
    return madvise((char *)mapping - lead, lead + nbytes, MADV_DONTNEED) == 0 ? 0 : errno;
}

void loom_segment_unmap_private(void *mapping, size_t nbytes)
{
    size_t lead = in_page(mapping);
    if (!mapping) return;
    if (loom_window_contains(mapping)) /* the worker's own already: it stays, as the file is */
        (void)loom_segment_restore_private(mapping, nbytes);
    else
        munmap((char *)mapping - lead, lead + nbytes);
}

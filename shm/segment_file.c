/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment_file.c - files of the user's as segments: mapped in the window, alike in the program and in workers.
 *
 * The program keeps a descriptor, so that a file that was renamed or deleted meanwhile still reaches workers. Nothing
 * of the file is copied, reserved or freed here, and such a segment is never kept warm.
 *
 * A mapping of mode c is the file's only as far as the program has not written to it: what it wrote lies in pages of
 * its own, which the kernel tells apart (/proc/self/pagemap). A call then copies the bytes, as any private memory.
 */
#include "base/atomics.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"
#include "shm/segment_record.h"
#include "shm/window.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of the table, and of the descriptors a program may have open, files take a half: calls need some too. */
enum { SHARE = 2, PAGES_AT_ONCE = 512 };

static _Atomic size_t file_count; /* relaxed: a budget */
static void (*waker)(void);       /* written while there is one thread */

int loom_segment_file_protection(enum loom_segment_access access)
{
    return access == LOOM_SEGMENT_MAP_READ ? PROT_READ : PROT_READ | PROT_WRITE;
}

int loom_segment_file_kind(enum loom_segment_access access)
{
    /* Copies of pages are made when they are written: reserving memory for all of a large file would refuse it. */
    return access == LOOM_SEGMENT_MAP_PRIVATE ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;
}

void loom_segment_file_gone(void)
{
    loom_add_relaxed(&file_count, (size_t)-1);
    if (waker) waker();
}

void loom_segment_set_file_waker(void (*wake)(void))
{
    waker = wake;
}

/* ---------------------------------------------------------------------- map */

static size_t most_files(void)
{
    size_t most = LOOM_SEGMENT_SLOTS / SHARE;
    struct rlimit open_files;
    if (getrlimit(RLIMIT_NOFILE, &open_files) != 0 || open_files.rlim_cur / SHARE >= most) return most;
    return (size_t)open_files.rlim_cur / SHARE;
}

/* Of a record that is mapped nowhere yet. */
static int drop(struct loom_segment_record *record, int failed)
{
    if (record->segment.fd >= 0) close(record->segment.fd);
    free(record);
    return failed;
}

static int map_record(struct loom_segment_record *record, int fd, uint64_t offset, size_t nbytes)
{
    struct loom_segment *segment = &record->segment;
    size_t page_nbytes = (size_t)loom_process_page_nbytes();
    segment->fd = segment->worker_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (segment->fd < 0) return errno;
    segment->file_offset = offset;
    segment->used_nbytes = nbytes;
    segment->nbytes = loom_memory_round_up(nbytes, page_nbytes);
    return loom_segment_place_map(record, NULL);
}

int loom_segment_map_file(int fd, uint64_t offset, size_t nbytes, enum loom_segment_access access,
                          struct loom_segment **segment_out)
{
    loom_segment_watch_forks();
    if (loom_load_relaxed(&file_count) >= most_files()) return EMFILE;
    if (!loom_window_is_attached() && loom_window_open(NULL) != PARLOOM_OK) return EADDRNOTAVAIL;
    if (nbytes > loom_window_nbytes() / 2) return EADDRNOTAVAIL;
    struct loom_segment_record *record = loom_segment_record_make(access, NULL);
    if (!record) return ENOMEM;
    int failed = map_record(record, fd, offset, nbytes);
    if (failed) return drop(record, failed);
    loom_add_relaxed(&file_count, (size_t)1);
    parloom_status status = loom_segment_enroll(record, NULL);
    if (status != PARLOOM_OK) {
        loom_segment_discard(record);
        return status == PARLOOM_ERR_MEMORY ? ENOMEM : EMFILE;
    }
    *segment_out = &record->segment;
    return 0;
}

struct loom_segment *loom_segment_hold_file(const void *address)
{
    const struct loom_segment *seen = loom_segment_of(address);
    if (!seen || seen->fd < 0 || !loom_segment_is_mapped_file(seen->access)) return NULL;
    loom_segment_lock();
    struct loom_segment_record *record = loom_segment_index_find(address); /* under the lock it cannot go */
    bool is_file = record && loom_segment_is_mapped_file(record->segment.access);
    if (is_file) record->holds++;
    loom_segment_unlock();
    return is_file ? &record->segment : NULL;
}

/* ---------------------------------------------------------------- questions */

bool loom_segment_is_whole(const struct loom_segment *segment)
{
    struct stat about;
    if (segment->fd < 0 || fstat(segment->fd, &about) != 0) return true; /* a worker does not know */
    return (uint64_t)about.st_size >= segment->file_offset + segment->used_nbytes;
}

/* A page of memory (not of the file) is there, or in swap. */
static bool is_own_page(uint64_t entry)
{
    const uint64_t is_present = UINT64_C(1) << 63, is_swapped = UINT64_C(1) << 62, is_of_file = UINT64_C(1) << 61;
    return (entry & is_swapped) != 0 || ((entry & is_present) != 0 && (entry & is_of_file) == 0);
}

/* Whether one of these pages is the process's own, or cannot be told from one. */
static bool has_own_page(int pagemap, uint64_t first, size_t count)
{
    uint64_t entries[PAGES_AT_ONCE];
    while (count > 0) {
        size_t now = count < PAGES_AT_ONCE ? count : PAGES_AT_ONCE;
        ssize_t got = pread(pagemap, entries, now * sizeof *entries, (off_t)(first * sizeof *entries));
        if (got <= 0 || (size_t)got % sizeof *entries != 0) return true;
        now = (size_t)got / sizeof *entries;
        for (size_t i = 0; i < now; i++)
            if (is_own_page(entries[i])) return true;
        first += now;
        count -= now;
    }
    return false;
}

bool loom_segment_is_changed(const void *address, size_t nbytes)
{
    uint64_t page_nbytes = loom_process_page_nbytes();
    uint64_t first = (uint64_t)(uintptr_t)address / page_nbytes;
    uint64_t last = ((uint64_t)(uintptr_t)address + nbytes - 1) / page_nbytes;
    if (nbytes == 0) return false;
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (pagemap < 0) return true;
    bool is_changed = has_own_page(pagemap, first, (size_t)(last - first + 1));
    close(pagemap);
    return is_changed;
}

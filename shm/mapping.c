/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mapping.c - map a file of the user's with the modes r, r+, w+, c.
 *
 *   mode     opened       mapped                writes
 *   R        read-only    shared, read-only     crash
 *   RW, W    read-write   shared, read-write    are the file's, and seen by all who map it
 *   C        read-only    private, read-write   stay in this process; the file never changes
 */
#include "shm/mapping.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/process.h"
#include "base/room.h"
#include "base/status.h"
#include "shm/array.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool writes_file(parloom_mmap_mode mode)
{
    return mode == PARLOOM_MMAP_RW || mode == PARLOOM_MMAP_W;
}

parloom_status loom_mapping_check_mode(parloom_mmap_mode mode, parloom_error *error)
{
    if (mode >= PARLOOM_MMAP_UNSET && mode <= PARLOOM_MMAP_C) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                            "mmap mode %d is none of PARLOOM_MMAP_UNSET, _R, _RW, _W and _C", (int)mode);
}

unsigned loom_mapping_flags(parloom_mmap_mode mode)
{
    unsigned flags = LOOM_ARRAY_MEMMAP;
    if (mode == PARLOOM_MMAP_C)
        flags |= LOOM_ARRAY_COPY_ON_WRITE;
    else if (!writes_file(mode))
        flags |= LOOM_ARRAY_READ_ONLY;
    return flags;
}

/* -------------------------------------------------------------------------- open */

static parloom_status refuse_open(const char *path, parloom_mmap_mode mode, int sys_errno, parloom_error *error)
{
    bool is_forbidden = sys_errno == EACCES || sys_errno == EPERM || sys_errno == EROFS || sys_errno == ETXTBSY;
    const char *advice = "";
    if (writes_file(mode) && is_forbidden)
        advice = " (modes r and c need no permission to write)";
    else if (is_forbidden)
        advice = " (permission to read it, and to search its folders, is needed)";
    return loom_status_fail(error, loom_status_of_errno(sys_errno), sys_errno, "could not open %.400s for %s: %m%s",
                            path, writes_file(mode) ? "reading and writing" : "reading", advice);
}

parloom_status loom_mapping_open_file(const char *path, parloom_mmap_mode mode, int *fd_out, uint64_t *file_nbytes_out,
                                      parloom_error *error)
{
    struct stat about;
    /* O_NONBLOCK: a FIFO without a writer would block the open for ever. It changes nothing for regular files. */
    int access_flag = writes_file(mode) ? O_RDWR : O_RDONLY;
    int fd = loom_fault_hit(LOOM_FAULT_OPEN) ? -1 : open(path, access_flag | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0) fd = loom_file_move_up(fd);
    if (fd < 0 && errno != EISDIR && errno != ENXIO) return refuse_open(path, mode, errno, error);
    if (fd >= 0 && fstat(fd, &about) != 0) {
        int saved = errno;
        close(fd);
        return refuse_open(path, mode, saved, error);
    }
    if (fd < 0 || !S_ISREG(about.st_mode)) {
        if (fd >= 0) close(fd);
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "%.400s is a folder, device, pipe or socket: give a regular file", path);
    }
    *fd_out = fd;
    *file_nbytes_out = (uint64_t)about.st_size;
    return PARLOOM_OK;
}

/* --------------------------------------------------------------------------- map */

/* The next hole at or after *begin that lies in front of end; false: none, or the file system cannot tell. */
static bool find_hole(int fd, uint64_t *begin, uint64_t *hole_end, uint64_t end)
{
    off_t hole = lseek(fd, (off_t)*begin, SEEK_HOLE);
    if (hole < 0 || (uint64_t)hole >= end) return false;
    off_t data = lseek(fd, hole, SEEK_DATA);
    *begin = (uint64_t)hole;
    *hole_end = data < 0 || (uint64_t)data > end ? end : (uint64_t)data;
    return *hole_end > *begin;
}

/* What the whole file lacks of the space it claims; space that is reserved but not written yet is not lacking, though
 * it counts as a hole. */
static uint64_t lacking_nbytes(int fd)
{
    struct stat about;
    if (fstat(fd, &about) != 0) return 0;
    uint64_t taken = (uint64_t)about.st_blocks * 512; /* stat counts in 512 bytes on every file system */
    return (uint64_t)about.st_size > taken ? (uint64_t)about.st_size - taken : 0;
}

/* A write to a hole takes space when the page is first touched: on a full disk that would be a SIGBUS. Holes are
 * counted before the first one is filled, so that a disk that cannot take them all is not filled in vain; reason then
 * says why. */
static int reserve_holes(int fd, uint64_t offset, size_t nbytes, char reason[LOOM_ROOM_REASON_NBYTES])
{
    uint64_t end = offset + nbytes;
    uint64_t hole_end = 0;
    uint64_t missing = 0;
    uint64_t lacking = lacking_nbytes(fd);
    for (uint64_t at = offset; find_hole(fd, &at, &hole_end, end); at = hole_end) missing += hole_end - at;
    if (missing == 0) return 0;
    if (!loom_room_fits(fd, missing < lacking ? missing : lacking, reason)) return ENOSPC;
    /* Where a file system cannot reserve, reserving would write zeros between what others may be writing now. */
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, 1) != 0 && errno == EOPNOTSUPP) return 0;
    int failed = 0;
    for (uint64_t at = offset; failed == 0 && find_hole(fd, &at, &hole_end, end); at = hole_end)
        failed = loom_file_reserve(fd, at, hole_end - at);
    return failed;
}

static parloom_status reserve_written(const char *path, int fd, uint64_t offset, size_t nbytes, parloom_error *error)
{
    char reason[LOOM_ROOM_REASON_NBYTES] = "";
    int failed = reserve_holes(fd, offset, nbytes, reason);
    if (failed == 0) return PARLOOM_OK;
    return loom_status_fail(
        error, loom_status_of_errno(failed), failed,
        "could not reserve the holes in %zu bytes of %.400s, so that writing them cannot fail: %m%s%s (free "
        "space on its disk, or map it read-only)",
        nbytes, path, reason[0] ? ", " : "", reason);
}

static enum loom_segment_access access_of(parloom_mmap_mode mode)
{
    if (mode == PARLOOM_MMAP_C) return LOOM_SEGMENT_MAP_PRIVATE;
    return writes_file(mode) ? LOOM_SEGMENT_MAP_WRITE : LOOM_SEGMENT_MAP_READ;
}

/* Where the system puts them: workers do not see them. */
static void *map_elsewhere(int fd, parloom_mmap_mode mode, uint64_t offset, size_t nbytes)
{
    int kind = mode == PARLOOM_MMAP_C ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED; /* as in segment_file.c */
    int protection = writes_file(mode) || mode == PARLOOM_MMAP_C ? PROT_READ | PROT_WRITE : PROT_READ;
    if (loom_fault_hit(LOOM_FAULT_MMAP)) return MAP_FAILED;
    return mmap(NULL, nbytes, protection, kind, fd, (off_t)offset);
}

/* NULL and errno on failure. */
static void *map_pages(struct loom_mapping *mapping, int fd, parloom_mmap_mode mode, uint64_t offset)
{
    int failed = loom_segment_map_file(fd, offset, mapping->nbytes, access_of(mode), &mapping->segment);
    if (failed == 0) return mapping->segment->address;
    if (failed != ENOMEM) {
        void *start = map_elsewhere(fd, mode, offset, mapping->nbytes);
        return start != MAP_FAILED ? start : NULL;
    }
    errno = failed;
    return NULL;
}

parloom_status loom_mapping_create(struct loom_mapping *mapping_out, const char *path, int fd, parloom_mmap_mode mode,
                                   uint64_t offset, size_t nbytes, parloom_error *error)
{
    struct loom_mapping mapping = { NULL, 0, NULL, NULL };
    uint64_t lead = offset % loom_process_page_nbytes(); /* mmap takes whole pages */
    if (nbytes > 0) {
        if (nbytes > PTRDIFF_MAX - lead || offset > (uint64_t)INT64_MAX - nbytes)
            return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "%zu bytes of %.400s from %llu on overflow", nbytes,
                                    path, (unsigned long long)offset);
        parloom_status status = writes_file(mode) ? reserve_written(path, fd, offset, nbytes, error) : PARLOOM_OK;
        if (status != PARLOOM_OK) return status;
        mapping.nbytes = nbytes + (size_t)lead;
        mapping.start = map_pages(&mapping, fd, mode, offset - lead);
        if (mapping.start == NULL)
            return loom_status_fail(
                error, loom_status_of_errno(errno), errno,
                "could not map %zu bytes of %.400s: %m (load it without a mode to read it into memory)", nbytes, path);
        mapping.data = (char *)mapping.start + lead;
    }
    *mapping_out = mapping;
    return PARLOOM_OK;
}

void loom_mapping_destroy(struct loom_mapping *mapping)
{
    if (mapping->segment != NULL)
        loom_segment_release(mapping->segment, false); /* when no call has it as an argument any more */
    else if (mapping->start != NULL)
        munmap(mapping->start, mapping->nbytes);
    *mapping = (struct loom_mapping){ NULL, 0, NULL, NULL };
}

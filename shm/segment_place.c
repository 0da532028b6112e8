/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment_place.c - which folder, or memfd, a segment's bytes live in.
 *
 *   a folder that was asked for        that one, or an error that names it
 *   else /dev/shm, memfd, the system's folder for temporary files: the first that has room
 *
 * Room is looked at before anything is reserved (base/room.h).
 */
#include "base/file.h"
#include "base/memory.h"
#include "base/memory_policy.h"
#include "base/process.h"
#include "base/room.h"
#include "base/status.h"
#include "shm/fill.h"
#include "shm/memfd.h"
#include "shm/segment_record.h"
#include "shm/window.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOREIGN_TRIES = 64 };

/* One attempt to get a segment, over several places. */
struct attempt {
    struct loom_segment_record *record;
    const struct loom_fill_source *source;
    size_t lead;
    parloom_status status; /* of the place tried last; a limit stays */
    int sys_errno;         /* that belongs to it */
    bool go_on;            /* another place may do */
    char reasons[512];     /* "/dev/shm: No space left on device; memfd: ..." */
};

__attribute__((format(printf, 5, 6))) static bool refuse(struct attempt *attempt, parloom_status status, int sys_errno,
                                                         const char *place, const char *format, ...)
{
    size_t used = strlen(attempt->reasons);
    int added =
        snprintf(attempt->reasons + used, sizeof attempt->reasons - used, "%s%.200s: ", used ? "; " : "", place);
    if (added > 0) used += (size_t)added;
    va_list values;
    va_start(values, format);
    if (used < sizeof attempt->reasons)
        vsnprintf(attempt->reasons + used, sizeof attempt->reasons - used, format, values);
    va_end(values);
    /* A limit stays the verdict: a later place without room must not hide it. */
    if (attempt->status != PARLOOM_ERR_LIMIT) {
        attempt->status = status;
        attempt->sys_errno = sys_errno;
    }
    attempt->go_on = status != PARLOOM_ERR_MEMORY;
    return false;
}

static bool refuse_errno(struct attempt *attempt, const char *place, int failed)
{
    char text[128];
    if (failed == EBUSY)
        return refuse(attempt, PARLOOM_ERR_SPACE, failed, place, "the memory limit of the control group is reached");
    return refuse(attempt, loom_status_of_errno(failed), failed, place, "%s", strerror_r(failed, text, sizeof text));
}

/* ------------------------------------------------------------------ mapping */

/* Something foreign may lie in our range, since nothing is reserved: then those addresses are left alone for good. */
int loom_segment_place_map(struct loom_segment_record *record, parloom_error *error)
{
    const struct loom_segment *segment = &record->segment;
    bool is_file = loom_segment_is_mapped_file(segment->access);
    int protection = is_file ? loom_segment_file_protection(segment->access) : PROT_READ | PROT_WRITE;
    int kind = loom_segment_file_kind(segment->access);
    int failed = EEXIST;
    for (int i = 0; i < FOREIGN_TRIES && failed == EEXIST; i++) {
        uint64_t address = 0;
        if (loom_window_take(segment->nbytes, &address, error)) return EADDRNOTAVAIL;
        failed = loom_window_map(address, segment->nbytes, protection, kind, segment->fd, segment->file_offset);
        if (!failed) {
            record->segment.address = (char *)(uintptr_t)address; // NOLINT(performance-no-int-to-ptr)
        } else if (failed != EEXIST) {
            loom_window_give(address, segment->nbytes);
        }
    }
    /* A crashing process would otherwise write gigabytes of shared data into its core, and die visibly late. */
    if (!failed && segment->access != LOOM_SEGMENT_MAP_PRIVATE)
        (void)madvise(record->segment.address, record->segment.nbytes, MADV_DONTDUMP);
    return failed;
}

static void unmap(struct loom_segment_record *record)
{
    munmap(record->segment.address, record->segment.nbytes);
    loom_window_give((uint64_t)(uintptr_t)record->segment.address, record->segment.nbytes);
    record->segment.address = NULL;
}

static bool map_and_fill(struct attempt *attempt, const char *place)
{
    struct loom_segment_record *record = attempt->record;
    struct loom_segment *segment = &record->segment;
    parloom_error error;
    error.message[0] = '\0';
    bool is_forbidden = false;
    int failed = loom_segment_place_map(record, &error);
    if (failed == EADDRNOTAVAIL) return refuse(attempt, PARLOOM_ERR_LIMIT, 0, place, "%.200s", error.message);
    if (failed)
        return refuse(attempt, PARLOOM_ERR_MEMORY, failed, place, "no address space: %s", strerrorname_np(failed));
    const struct loom_fill fill = { .fd = segment->fd,
                                    .address = segment->address,
                                    .nbytes = record->file_nbytes,
                                    .lead = attempt->lead,
                                    .source = *attempt->source,
                                    .is_in_memory = record->is_in_memory };
    if (record->is_in_memory) loom_memory_policy_apply(segment->address, segment->nbytes, record->policy);
    failed = loom_fill(&fill);
    if (!failed && loom_segment_is_sealed(segment->access)) {
        failed = loom_segment_code_seal(record);
        is_forbidden = failed == EPERM || failed == EACCES;
    } else if (!failed && segment->access == LOOM_SEGMENT_READ) {
        segment->worker_fd = loom_file_reopen_read_only(segment->fd);
        failed = segment->worker_fd < 0 ? errno : 0;
    } else {
        segment->worker_fd = segment->fd;
    }
    if (!failed) return true;
    unmap(record);
    if (is_forbidden)
        return refuse(attempt, PARLOOM_ERR_UNSUPPORTED, failed, place,
                      "the system forbids to map shared memory for execution: %s", strerrorname_np(failed));
    return refuse_errno(attempt, place, failed);
}

/* Takes fd. */
static bool try_file(struct attempt *attempt, const char *place, int fd)
{
    struct loom_segment_record *record = attempt->record;
    record->segment.fd = fd;
    record->is_in_memory = loom_file_is_tmpfs(fd);
    snprintf(record->segment.place, sizeof record->segment.place, "%s", place);
    char reason[LOOM_ROOM_REASON_NBYTES];
    bool has_room = loom_room_fits(fd, record->file_nbytes, reason);
    if (!has_room) refuse(attempt, PARLOOM_ERR_SPACE, ENOSPC, place, "%s", reason);
    if (has_room && map_and_fill(attempt, place)) return true;
    close(fd);
    record->segment.fd = -1;
    return false;
}

/* ------------------------------------------------------------------- places */

static bool try_folder(struct attempt *attempt, const char *folder)
{
    parloom_error error;
    int fd = -1;
    parloom_status status = loom_file_open_nameless(folder, &fd, &error);
    if (status) return refuse_errno(attempt, folder, error.sys_errno);
    return try_file(attempt, folder, fd);
}

static bool try_memfd(struct attempt *attempt, const char *label)
{
    int fd = loom_memfd_open(label);
    if (fd < 0) return refuse_errno(attempt, "memfd", errno);
    return try_file(attempt, "memfd", fd);
}

static bool is_folder(const char *folder)
{
    struct stat info;
    return stat(folder, &info) == 0 && S_ISDIR(info.st_mode);
}

struct loom_segment_folder loom_segment_place_look(const char *path)
{
    struct loom_segment_folder folder = { .path = path };
    struct stat info;
    if (path && stat(path, &info) == 0) {
        folder.device = info.st_dev;
        folder.inode = info.st_ino;
    }
    return folder;
}

parloom_status loom_segment_check_folder(const char *folder, parloom_error *error)
{
    if (is_folder(folder)) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                            "temp_folder \"%.400s\" is no folder: create it, or name another one", folder);
}

static bool try_usual_places(struct attempt *attempt)
{
    attempt->go_on = true;
    if (is_folder("/dev/shm") && try_folder(attempt, "/dev/shm")) return true;
    if (attempt->go_on && try_memfd(attempt, "parloom")) return true;
    return attempt->go_on && try_folder(attempt, loom_file_system_folder());
}

static parloom_status report(const struct attempt *attempt, parloom_error *error)
{
    const char *advice =
        attempt->status == PARLOOM_ERR_LIMIT ? "raise the limit (ulimit -n, ulimit -f), or use fewer and smaller arrays"
        : attempt->status == PARLOOM_ERR_MEMORY ? "raise the limit of address space (ulimit -v) or vm.max_map_count"
        : attempt->status == PARLOOM_ERR_UNSUPPORTED
            ? "run on threads, or build the code into a library"
            : "set temp_folder or PARLOOM_TEMP_FOLDER to a folder with room, raise max_nbytes, or give "
              "the container a larger --shm-size";
    return loom_status_fail(error, attempt->status, attempt->sys_errno,
                            "could not reserve %llu bytes of shared memory: %s (%s)",
                            (unsigned long long)attempt->record->file_nbytes, attempt->reasons, advice);
}

parloom_status loom_segment_place_fill(struct loom_segment_record *record, const struct loom_fill_source *source,
                                       size_t lead, parloom_error *error)
{
    size_t nbytes = source->nbytes;
    size_t room = nbytes > SIZE_MAX - lead ? SIZE_MAX : nbytes + lead;
    record->file_nbytes = loom_memory_round_up(room, (size_t)loom_process_page_nbytes());
    record->segment.nbytes = loom_memory_round_up(room, LOOM_WINDOW_BLOCK);
    struct attempt attempt = { .record = record, .source = source, .lead = lead };
    if (room > loom_window_nbytes() / 2)
        return loom_status_fail(error, PARLOOM_ERR_LIMIT, 0, "%zu bytes are more than shared memory can ever hold here",
                                nbytes);
    if (loom_segment_is_sealed(record->segment.access)) /* /dev/shm may be mounted noexec, a memfd is on no mount */
        return try_memfd(&attempt, record->folder.path) ? PARLOOM_OK : report(&attempt, error);
    if (record->folder.path) {
        parloom_status status = loom_segment_check_folder(record->folder.path, error);
        if (status != PARLOOM_OK) return status;
    }
    if (record->folder.path ? try_folder(&attempt, record->folder.path) : try_usual_places(&attempt)) return PARLOOM_OK;
    return report(&attempt, error);
}

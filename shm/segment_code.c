/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment_code.c - segments that are executed, or opened as libraries: written once, then sealed.
 *
 * While it is filled a segment is mapped read-write and nowhere executable; then the same addresses are mapped anew
 * from a read-only description, in one step, and the file is sealed, which the kernel does only where no writable
 * mapping is left. So nothing is ever writable and executable, in no process, and no worker can change what another one
 * runs.
 */
#include "base/file.h"
#include "shm/segment_record.h"
#include "shm/window.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int loom_segment_code_protection(enum loom_segment_access access)
{
    return access == LOOM_SEGMENT_CODE ? PROT_READ | PROT_EXEC : PROT_READ;
}

int loom_segment_code_seal(struct loom_segment_record *record)
{
    struct loom_segment *segment = &record->segment;
    int fd = loom_file_reopen_read_only(segment->fd);
    if (fd < 0) return errno;
    int failed = loom_window_map_over((uint64_t)(uintptr_t)segment->address, segment->nbytes,
                                      loom_segment_code_protection(segment->access), fd);
    if (!failed) (void)madvise(segment->address, segment->nbytes, MADV_DONTDUMP);
    if (!failed && fcntl(segment->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        failed = errno;
    if (failed) {
        (void)close(fd);
        return failed;
    }
    segment->worker_fd = fd;
    return 0;
}

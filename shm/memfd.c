/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memfd.c - a file in memory that has no name.
 *
 * MFD_NOEXEC_SEAL comes first because systems with vm.memfd_noexec=2 refuse files without it, and kernels before 6.3
 * do not know it. Segments stay unsealed, since seals against writing also forbid punching holes; but for
 * those of code (segment_code.c).
 */
#include "shm/memfd.h"

#include "base/fault.h"
#include "base/file.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

int loom_memfd_open(const char *label)
{
    if (loom_fault_hit(LOOM_FAULT_OPEN)) return -1;
    int fd = memfd_create(label, MFD_CLOEXEC | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return -1;
    fd = loom_file_move_up(fd);
    if (fd >= 0) (void)fchmod(fd, 0600); /* it is born with 0777; who may open it through /proc is checked by mode */
    return fd;
}

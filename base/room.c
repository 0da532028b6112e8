/* SPDX-License-Identifier: BSD-3-Clause */
/* room.c - what a file system, the memory cgroup and the machine have left. */
#include "base/room.h"

#include "base/cgroup.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

#define MARGIN_NBYTES UINT64_C(33554432) /* page tables, the program's next allocations, what others take meanwhile */

/* What the kernel would give without killing anyone; UINT64_MAX: cannot tell. */
static uint64_t available_nbytes(void)
{
    char text[2048];
    unsigned long long available = 0, swap = 0;
    if (loom_file_read_text("/proc/meminfo", text, sizeof text) < 0) return UINT64_MAX;
    const char *at = strstr(text, "MemAvailable:");
    if (!at || sscanf(at, "MemAvailable: %llu", &available) != 1) return UINT64_MAX;
    at = strstr(text, "SwapFree:");
    if (at && sscanf(at, "SwapFree: %llu", &swap) != 1) swap = 0;
    return (uint64_t)(available + swap) * 1024;
}

static bool fits(uint64_t room, uint64_t nbytes)
{
    uint64_t margin = room / 8 < MARGIN_NBYTES ? room / 8 : MARGIN_NBYTES;
    return nbytes <= room - margin;
}

static bool refuse(char *reason, const char *before, uint64_t room, const char *after)
{
    (void)snprintf(reason, LOOM_ROOM_REASON_NBYTES, "%s%llu%s", before, (unsigned long long)room, after);
    return false;
}

bool loom_room_fits(int fd, uint64_t nbytes, char reason_out[LOOM_ROOM_REASON_NBYTES])
{
    uint64_t room = loom_file_free_bytes(fd);
    if (nbytes > room) return refuse(reason_out, "only ", room, " bytes free");
    if (!loom_file_is_tmpfs(fd)) return true;
    room = loom_cgroup_memory_headroom("");
    if (!fits(room, nbytes)) return refuse(reason_out, "the memory limit of the control group leaves ", room, " bytes");
    room = available_nbytes();
    if (!fits(room, nbytes)) return refuse(reason_out, "the machine has ", room, " bytes of memory available");
    return true;
}

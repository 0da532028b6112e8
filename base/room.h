/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * room.h - is there room for a file? Looked at before anything is reserved: filling memory to its brim first and asking
 * then would end in an OOM kill, not in an error.
 */
#ifndef LOOM_BASE_ROOM_H
#define LOOM_BASE_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LOOM_ROOM_REASON_NBYTES = 128 };

/* Whether nbytes more fit in the file: what its file system has free and, where that is memory, what the memory cgroup
 * leaves and what the machine has available, these two with a margin. false: reason_out says what lacks. */
bool loom_room_fits(int fd, uint64_t nbytes, char reason_out[LOOM_ROOM_REASON_NBYTES]);

#ifdef __cplusplus
}
#endif
#endif

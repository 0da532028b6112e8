/* SPDX-License-Identifier: BSD-3-Clause */
/* memfd.h - a file in memory that has no name and no mount, and so no mount's limit. */
#ifndef LOOM_SHM_MEMFD_H
#define LOOM_SHM_MEMFD_H

#ifdef __cplusplus
extern "C" {
#endif

/* Close-on-exec, >= 3, mode 0600. label shows in /proc/PID/maps. -1 and errno on failure. */
int loom_memfd_open(const char *label);

#ifdef __cplusplus
}
#endif
#endif

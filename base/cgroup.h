/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cgroup.h - limits of the control groups (v1 and v2) this process is in, walked up from its own group to the root.
 * root: "" for the real machine, else a folder that holds recorded proc/ and sys/ trees (tests).
 */
#ifndef LOOM_BASE_CGROUP_H
#define LOOM_BASE_CGROUP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

int loom_cgroup_cpu_quota(const char *root); /* ceil(quota / period), at least 1; 0: no limit */
/* limit - usage in bytes, where file pages that can be dropped do not count as usage; UINT64_MAX: no limit. */
uint64_t loom_cgroup_memory_headroom(const char *root);

#ifdef __cplusplus
}
#endif
#endif

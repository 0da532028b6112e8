/* SPDX-License-Identifier: BSD-3-Clause */
/* topology.h - how many cores may be used here: min(affinity, cgroup quotas, PARLOOM_MAX_CPU_COUNT), at least 1. */
#ifndef LOOM_BASE_TOPOLOGY_H
#define LOOM_BASE_TOPOLOGY_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Affinity is that of the calling thread and asked at each call, since it may change; the cgroup walk is cached for a
 * second. Physical cores by hwloc, which is loaded only then; where it cannot be, logical. */
int loom_topology_cpu_count(bool only_physical_cores);
/* What n_jobs means: positive itself, -1 all, -2 all but one, ..., at least 1; 0 is 1. */
int loom_topology_effective_jobs(int n_jobs);

#ifdef __cplusplus
}
#endif
#endif

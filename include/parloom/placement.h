/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * placement.h - who sits where: on which CPUs the workers of a call would run its tasks (the option bind).
 */
#ifndef PARLOOM_PLACEMENT_H
#define PARLOOM_PLACEMENT_H

#include <parloom/options.h>

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

/*
 * Says where the workers of a call with these options would sit, if this thread made it now: a line about the machine
 * and the memory policy, then one for each worker:
 *
 *     processes: 2 workers bound by "core", 8 of 8 CPUs may be used, 4 cores, 1 NUMA node, memory first_touch
 *     worker 0: CPUs 0-1 (core 0, NUMA node 0)
 *     worker 1: CPUs 2-3 (core 1, NUMA node 0)
 *
 * Numbers of CPUs are those of the kernel; cores and nodes are counted as hwloc orders them. No worker is started.
 *
 * options  borrows; NULL: all unset
 * text     filled, and always ended; what does not fit is left out. On failure ""
 * nbytes   of text, 1 or more; 100 a worker are enough
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or what a call with these options would be refused with before it has workers:
 * Errors:
 *   PARLOOM_ERR_INVALID      an option makes no sense, or bind is a set without a CPU that may be used; text is NULL
 *   PARLOOM_ERR_UNSUPPORTED  the backend cannot do what was asked
 *   PARLOOM_ERR_MEMORY       no memory
 *   PARLOOM_ERR_LIMIT        calls are nested too deep
 * Threads: any thread, also in a task body.
 * Blocks:  never for long; the first time hwloc looks at the machine: milliseconds.
 * Since:   0.1
 * Example: examples/11_placement.c
 */
parloom_status parloom_placement_describe(const parloom_options *options, char *text, size_t nbytes,
                                          parloom_error *error);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory_policy.h - on which NUMA nodes the pages of a segment go (the option memory_policy).
 *
 * A policy is the thread's for as long as it makes segments for somebody: who makes them sets it, who maps them asks.
 */
#ifndef LOOM_BASE_MEMORY_POLICY_H
#define LOOM_BASE_MEMORY_POLICY_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of segments that the calling thread makes from now on; returns the one before, to be set again. */
parloom_memory_policy loom_memory_policy_set(parloom_memory_policy policy);
parloom_memory_policy loom_memory_policy_now(void); /* UNSET: as the kernel does it */
/* What scopes, defaults and the environment say for this thread. */
parloom_memory_policy loom_memory_policy_around(void);
/* Who knows of scopes and defaults. NULL, as at first: the environment alone counts. */
void loom_memory_policy_set_asker(parloom_memory_policy (*ask)(void));
/* For pages of that mapping which are not there yet. What the system refuses is noted in the log once. */
void loom_memory_policy_apply(void *address, size_t nbytes, parloom_memory_policy policy);

#ifdef __cplusplus
}
#endif
#endif

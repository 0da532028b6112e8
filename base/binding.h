/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * binding.h - puts threads and worker processes where a placement says, and back. What the system refuses is noted in
 * the log once, and they run where they are: no call fails for it.
 */
#ifndef LOOM_BASE_BINDING_H
#define LOOM_BASE_BINDING_H

#include "base/placement.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The CPUs that the calling thread may use. false: it cannot be told (more CPUs than a set holds). */
bool loom_binding_allowed(struct loom_cpuset *set_out);

/* The calling thread for as long as it works on a call; placement NULL: nothing. leave gives it back what it had. */
struct loom_binding {
    bool is_bound;
    struct loom_cpuset before;
};
void loom_binding_enter(struct loom_binding *binding, const struct loom_placement *placement, int worker);
void loom_binding_leave(struct loom_binding *binding);

/* A worker process with all its threads, until it is told otherwise; placement NULL: where it was at first. Free of
 * system calls where nothing changes. */
void loom_binding_of_process(const struct loom_placement *placement, uint32_t worker);

/* Around the start of a process that outlives the call: it begins where the program's threads are when none is bound.
 */
void loom_binding_suspend(struct loom_binding *binding);
void loom_binding_resume(struct loom_binding *binding);

#ifdef __cplusplus
}
#endif
#endif

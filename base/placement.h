/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * placement.h - which CPUs worker k of n may use (the option bind): computed here, applied by base/binding.h.
 *
 * What is computed depends on the machine that is given and on the CPUs that are allowed, and on nothing else, so it
 * can be tried on machines that nobody has.
 */
#ifndef LOOM_BASE_PLACEMENT_H
#define LOOM_BASE_PLACEMENT_H

#include "base/machine.h"

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Plain data without addresses: travels to workers as bytes. */
struct loom_placement {
    uint32_t n_workers;
    uint32_t words_each; /* 64 CPUs each */
    uint64_t words[];    /* of worker 0, then of worker 1, ... */
};

/* Whether bind (NULL: unset) asks for workers to be bound. */
bool loom_placement_is_wanted(const char *bind);
/* INVALID: neither a word nor a set of CPUs, or, where allowed is given, a set with none of those. NULL is fine.
 * A set that names others too is noted in the log once. */
parloom_status loom_placement_check(const char *bind, const struct loom_cpuset *allowed, parloom_error *error);
/* A checked bind for n workers on that machine; release with free(). machine NULL: unknown, which will do for a set and
 * where a single CPU is allowed. NULL: nobody is bound, because the machine is not known or memory is short. */
struct loom_placement *loom_placement_compute(const struct loom_machine *machine, const char *bind,
                                              const struct loom_cpuset *allowed, int n);
/* The same for this machine and the CPUs of the calling thread; hwloc is opened where it is needed. Reasons for NULL go
 * to the log once. Remembers the last one: a call that asks again costs one look at the affinity. */
struct loom_placement *loom_placement_make(const char *bind, int n);
size_t loom_placement_nbytes(const struct loom_placement *placement); /* NULL: 0 */
void loom_placement_of(const struct loom_placement *placement, uint32_t worker, struct loom_cpuset *set_out);
/* The fewest CPUs that a worker has. */
int loom_placement_least(const struct loom_placement *placement);

#ifdef __cplusplus
}
#endif
#endif

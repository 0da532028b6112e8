/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine.h - the machine as hwloc sees it, flattened once into what placing needs: cores, hardware threads and NUMA
 * nodes in hwloc's order. hwloc is opened by the first who asks, never linked: it would cost every program its start.
 */
#ifndef LOOM_BASE_MACHINE_H
#define LOOM_BASE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LOOM_CPUSET_CPUS = 4096, LOOM_CPUSET_WORDS = LOOM_CPUSET_CPUS / 64 };

/* CPUs by the kernel's numbers, laid out as the kernel's masks are. */
struct loom_cpuset {
    uint64_t words[LOOM_CPUSET_WORDS];
};

static inline bool loom_cpuset_has(const struct loom_cpuset *set, int cpu)
{
    return (set->words[cpu / 64] >> (cpu % 64) & 1) != 0;
}
static inline void loom_cpuset_add(struct loom_cpuset *set, int cpu)
{
    set->words[cpu / 64] |= (uint64_t)1 << (cpu % 64);
}
int loom_cpuset_count(const struct loom_cpuset *set);
/* set &= other; false: nothing is left. */
bool loom_cpuset_meet(struct loom_cpuset *set, const struct loom_cpuset *other);
/* "0-3,8"; cut with "..." where it does not fit. */
void loom_cpuset_write(const struct loom_cpuset *set, char *text, size_t size);

struct loom_machine {
    int n_cores, n_threads, n_nodes;
    struct loom_cpuset *cores; /* in hwloc's order: neighbours lie next to each other */
    int *spread;               /* the same cores, [0, n_cores), such that each is far from those just before it */
    int *threads;              /* CPU numbers in hwloc's order: hardware threads of a core next to each other */
    struct loom_cpuset *nodes; /* NUMA nodes; one with all CPUs where hwloc knows of none */
};

/* The machine this runs on; read when first asked for, and kept: reading takes milliseconds, and cores do not come and
 * go. NULL: hwloc is not there or cannot tell, which is said in the log once. Any thread. */
const struct loom_machine *loom_machine_here(void);
/* A machine that exists nowhere, "numa:2 core:8 pu:2"; for tests. NULL: no hwloc, or no such description. */
struct loom_machine *loom_machine_synthetic(const char *description);
void loom_machine_destroy(struct loom_machine *machine); /* NULL is fine */
/* Cores of which at least one hardware thread is in the set. */
int loom_machine_count_cores(const struct loom_machine *machine, const struct loom_cpuset *set);

/* What is opened; tests make it a name that is not there. */
extern const char *loom_machine_library;

#ifdef __cplusplus
}
#endif
#endif

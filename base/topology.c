/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * topology.c - how many cores this process may use: the least of affinity, cgroup quota and PARLOOM_MAX_CPU_COUNT.
 * Threads: any. Physical cores are counted by the machine of base/machine.h.
 */
#include "base/topology.h"

#include "base/atomics.h"
#include "base/binding.h"
#include "base/cgroup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/options_parse.h"

#include <parloom/parloom.h>

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

enum { FIRST_CPUS = 1024, MOST_CPUS = 1 << 20 };
#define QUOTA_AGE_NS UINT64_C(1000000000)

/* ---------------------------------------------------------------------------- affinity */

struct mask {
    cpu_set_t *set;
    size_t nbytes;
    int cpus; /* numbers that set has room for */
};

/* The kernel refuses a set smaller than its own: it is offered larger ones until it takes one. */
static bool mask_create(struct mask *mask_out)
{
    for (int cpus = FIRST_CPUS; cpus <= MOST_CPUS; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)cpus);
        size_t nbytes = CPU_ALLOC_SIZE((size_t)cpus);
        if (!set) return false;
        if (sched_getaffinity(0, nbytes, set) == 0) {
            *mask_out = (struct mask){ set, nbytes, cpus };
            return true;
        }
        CPU_FREE(set);
        if (errno != EINVAL) return false;
    }
    return false;
}

static int online_cpus(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus < 1 ? 1 : cpus > INT_MAX ? INT_MAX : (int)cpus;
}

/* Cores of which at least one hardware thread is ours; 0: cannot tell. */
static int count_cores(void)
{
    struct loom_cpuset ours;
    const struct loom_machine *machine = loom_machine_here();
    return machine && loom_binding_allowed(&ours) ? loom_machine_count_cores(machine, &ours) : 0;
}

static int affinity_count(bool only_physical_cores)
{
    struct mask mask;
    if (!mask_create(&mask)) return online_cpus();
    int physical = only_physical_cores ? count_cores() : 0;
    int count = physical > 0 ? physical : CPU_COUNT_S(mask.nbytes, mask.set);
    CPU_FREE(mask.set);
    return count;
}

/* ------------------------------------------------------------------------------- limits */

/* A walk reads a dozen small files (about 100 us): too dear for every call, and quotas rarely change. */
static int cached_quota(void)
{
    static _Atomic uint64_t read_at_ns;
    static _Atomic int quota;
    uint64_t now = loom_clock_ns();
    /* acquire: the quota of that reading or a later one; pairs with the release below. */
    uint64_t last = loom_load_acquire(&read_at_ns);
    if (last != 0 && now - last < QUOTA_AGE_NS) return loom_load_relaxed(&quota);
    int fresh = loom_cgroup_cpu_quota("");
    loom_store_relaxed(&quota, fresh);    /* ordered by the release that follows */
    loom_store_release(&read_at_ns, now); /* pairs with the acquire above */
    return fresh;
}

/* PARLOOM_MAX_CPU_COUNT; INT_MAX: not given, or not usable, which is said once. */
static int most_cpus(void)
{
    static _Atomic int is_told;
    const char *text = secure_getenv("PARLOOM_MAX_CPU_COUNT");
    int most;
    if (!text || !text[0]) return INT_MAX;
    if (loom_options_parse_integer("PARLOOM_MAX_CPU_COUNT", text, &most, NULL) == PARLOOM_OK && most >= 1) return most;
    if (!loom_exchange_full(&is_told, 1)) /* whoever comes first says it */
        loom_log(LOOM_LOG_WARNING, "PARLOOM_MAX_CPU_COUNT=\"%.100s\" is ignored: expected a whole number, 1 or more",
                 text);
    return INT_MAX;
}

static int least_of(int a, int b)
{
    return a < b ? a : b;
}

int loom_topology_cpu_count(bool only_physical_cores)
{
    int quota = cached_quota();
    int count = least_of(affinity_count(only_physical_cores), most_cpus());
    if (quota > 0) count = least_of(count, quota);
    return count < 1 ? 1 : count;
}

int loom_topology_effective_jobs(int n_jobs)
{
    if (n_jobs > 0) return n_jobs;
    if (n_jobs == 0) return 1;
    int count = loom_topology_cpu_count(false) + 1 + n_jobs;
    return count < 1 ? 1 : count;
}

int parloom_cpu_count(bool only_physical_cores)
{
    return loom_topology_cpu_count(only_physical_cores);
}

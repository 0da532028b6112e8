/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * topology.c - how many cores this process may use: the least of affinity, cgroup quota and PARLOOM_MAX_CPU_COUNT.
 * Threads: any. hwloc is opened when physical cores are first asked for, and never linked: it would cost every program
 * its start.
 */
#include "base/topology.h"

#include "base/atomics.h"
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

#ifdef PARLOOM_HAVE_HWLOC
#define HAS_HWLOC 1
#include <dlfcn.h>
#include <hwloc.h>
#include <pthread.h>
#else
#define HAS_HWLOC 0
#endif

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

/* ------------------------------------------------------------------------ physical cores */

#if HAS_HWLOC

/* Opened once and kept: a topology takes milliseconds to read, and cores do not come and go. */
static struct {
    hwloc_topology_t topology;
    __typeof__(hwloc_get_type_depth) *get_type_depth;
    __typeof__(hwloc_get_obj_by_depth) *get_obj_by_depth;
    __typeof__(hwloc_bitmap_isset) *bitmap_isset;
} cores;
static pthread_once_t cores_once = PTHREAD_ONCE_INIT;

static bool find_symbol(void *library, const char *name, void *pointer)
{
    void *symbol = dlsym(library, name);
    *(void **)pointer = symbol; /* POSIX's way around ISO C, which keeps functions and objects apart */
    return symbol != NULL;
}

static void load_cores(void)
{
    __typeof__(hwloc_topology_init) *init;
    __typeof__(hwloc_topology_load) *load;
    __typeof__(hwloc_topology_destroy) *destroy;
    hwloc_topology_t topology;
    void *library = dlopen("libhwloc.so.15", RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    if (!find_symbol(library, "hwloc_topology_init", &init) || !find_symbol(library, "hwloc_topology_load", &load) ||
        !find_symbol(library, "hwloc_topology_destroy", &destroy) ||
        !find_symbol(library, "hwloc_get_type_depth", &cores.get_type_depth) ||
        !find_symbol(library, "hwloc_get_obj_by_depth", &cores.get_obj_by_depth) ||
        !find_symbol(library, "hwloc_bitmap_isset", &cores.bitmap_isset) || init(&topology) != 0) {
        dlclose(library);
        return;
    }
    if (load(topology) == 0)
        cores.topology = topology;
    else
        destroy(topology);
}

static bool core_is_in(hwloc_obj_t core, const struct mask *mask)
{
    for (int cpu = 0; cpu < mask->cpus; cpu++)
        if (CPU_ISSET_S((size_t)cpu, mask->nbytes, mask->set) && cores.bitmap_isset(core->cpuset, (unsigned)cpu))
            return true;
    return false;
}

/* Cores of which at least one hardware thread is ours; 0: cannot tell. */
static int count_cores(const struct mask *mask)
{
    pthread_once(&cores_once, load_cores);
    if (!cores.topology) return 0;
    int depth = cores.get_type_depth(cores.topology, HWLOC_OBJ_CORE);
    if (depth < 0) return 0;
    int count = 0;
    hwloc_obj_t core;
    for (unsigned i = 0; (core = cores.get_obj_by_depth(cores.topology, depth, i)); i++)
        count += core->cpuset && core_is_in(core, mask);
    return count;
}

#else

static int count_cores(const struct mask *mask)
{
    (void)mask;
    return 0;
}

#endif

static int affinity_count(bool only_physical_cores)
{
    struct mask mask;
    if (!mask_create(&mask)) return online_cpus();
    int physical = only_physical_cores ? count_cores(&mask) : 0;
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

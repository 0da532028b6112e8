/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine.c - hwloc's tree, flattened (see machine.h). Nobody else knows hwloc: what is computed from a machine can be
 * tried on one that was made up.
 */
#include "base/machine.h"

#include "base/log.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef PARLOOM_HAVE_HWLOC
#define HAS_HWLOC 1
#include <dlfcn.h>
#include <hwloc.h>
#else
#define HAS_HWLOC 0
#endif

const char *loom_machine_library = "libhwloc.so.15";

/* --------------------------------------------------------------------- sets */

int loom_cpuset_count(const struct loom_cpuset *set)
{
    int count = 0;
    for (int i = 0; i < LOOM_CPUSET_WORDS; i++) count += __builtin_popcountll(set->words[i]);
    return count;
}

bool loom_cpuset_meet(struct loom_cpuset *set, const struct loom_cpuset *other)
{
    uint64_t any = 0;
    for (int i = 0; i < LOOM_CPUSET_WORDS; i++) any |= set->words[i] &= other->words[i];
    return any != 0;
}

static int end_of_run(const struct loom_cpuset *set, int cpu)
{
    while (cpu + 1 < LOOM_CPUSET_CPUS && loom_cpuset_has(set, cpu + 1)) cpu++;
    return cpu;
}

void loom_cpuset_write(const struct loom_cpuset *set, char *text, size_t size)
{
    size_t length = 0;
    if (size > 0) text[0] = '\0';
    for (int cpu = 0; cpu < LOOM_CPUSET_CPUS; cpu++) {
        if (!loom_cpuset_has(set, cpu)) continue;
        int last = end_of_run(set, cpu);
        char run[32];
        int nbytes = last > cpu ? snprintf(run, sizeof run, "%s%d-%d", length > 0 ? "," : "", cpu, last)
                                : snprintf(run, sizeof run, "%s%d", length > 0 ? "," : "", cpu);
        if (length + (size_t)nbytes + sizeof "..." > size) {
            if (size > length) (void)snprintf(text + length, size - length, "...");
            return;
        }
        memcpy(text + length, run, (size_t)nbytes + 1);
        length += (size_t)nbytes;
        cpu = last;
    }
}

/* ----------------------------------------------------------------- machines */

void loom_machine_destroy(struct loom_machine *machine)
{
    if (!machine) return;
    free(machine->cores);
    free(machine->spread);
    free(machine->threads);
    free(machine->nodes);
    free(machine);
}

int loom_machine_count_cores(const struct loom_machine *machine, const struct loom_cpuset *set)
{
    int count = 0;
    for (int core = 0; core < machine->n_cores; core++) {
        struct loom_cpuset ours = *set;
        count += loom_cpuset_meet(&ours, &machine->cores[core]);
    }
    return count;
}

#if HAS_HWLOC

static struct {
    __typeof__(hwloc_topology_init) *init;
    __typeof__(hwloc_topology_load) *load;
    __typeof__(hwloc_topology_destroy) *destroy;
    __typeof__(hwloc_topology_set_synthetic) *set_synthetic;
    __typeof__(hwloc_get_type_depth) *get_type_depth;
    __typeof__(hwloc_get_obj_by_depth) *get_obj_by_depth;
    __typeof__(hwloc_get_nbobjs_by_depth) *count_objects;
    __typeof__(hwloc_bitmap_next) *bitmap_next;
} hwloc;
static bool has_hwloc;
static pthread_once_t hwloc_once = PTHREAD_ONCE_INIT;

static bool find_symbol(void *library, const char *name, void *pointer)
{
    void *symbol = dlsym(library, name);
    *(void **)pointer = symbol; /* POSIX's way around ISO C, which keeps functions and objects apart */
    return symbol != NULL;
}

static void open_hwloc(void)
{
    void *library = dlopen(loom_machine_library, RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    has_hwloc = find_symbol(library, "hwloc_topology_init", &hwloc.init) &&
                find_symbol(library, "hwloc_topology_load", &hwloc.load) &&
                find_symbol(library, "hwloc_topology_destroy", &hwloc.destroy) &&
                find_symbol(library, "hwloc_topology_set_synthetic", &hwloc.set_synthetic) &&
                find_symbol(library, "hwloc_get_type_depth", &hwloc.get_type_depth) &&
                find_symbol(library, "hwloc_get_obj_by_depth", &hwloc.get_obj_by_depth) &&
                find_symbol(library, "hwloc_get_nbobjs_by_depth", &hwloc.count_objects) &&
                find_symbol(library, "hwloc_bitmap_next", &hwloc.bitmap_next);
    if (!has_hwloc) dlclose(library);
}

static void take_cpus(struct loom_cpuset *set, hwloc_obj_t object)
{
    if (!object->cpuset) return;
    for (int cpu = hwloc.bitmap_next(object->cpuset, -1); cpu >= 0 && cpu < LOOM_CPUSET_CPUS;
         cpu = hwloc.bitmap_next(object->cpuset, cpu))
        loom_cpuset_add(set, cpu);
}

/* The sets of all objects of a depth, in hwloc's order. NULL: none, or no memory. */
static struct loom_cpuset *take_level(hwloc_topology_t topology, int depth, int *count_out)
{
    int count = (int)hwloc.count_objects(topology, depth);
    struct loom_cpuset *sets = count > 0 ? loom_memory_zeroed((size_t)count, sizeof *sets) : NULL;
    for (int i = 0; sets && i < count; i++) take_cpus(&sets[i], hwloc.get_obj_by_depth(topology, depth, (unsigned)i));
    *count_out = sets ? count : 0;
    return sets;
}

/* Far apart: the first of each neighbourhood before the second of any, and so on from the largest neighbourhood that
 * differs down; so ranks are compared from the core upwards. */
static int by_distance(const void *a, const void *b)
{
    hwloc_obj_t x = *(const hwloc_obj_t *)a, y = *(const hwloc_obj_t *)b;
    for (; x && y && x != y; x = x->parent, y = y->parent)
        if (x->sibling_rank != y->sibling_rank) return x->sibling_rank < y->sibling_rank ? -1 : 1;
    return 0;
}

static bool take_spread(struct loom_machine *machine, hwloc_topology_t topology, int depth)
{
    size_t count = (size_t)machine->n_cores;
    hwloc_obj_t *objects = loom_memory_zeroed(count, sizeof(hwloc_obj_t));
    machine->spread = loom_memory_zeroed(count, sizeof *machine->spread);
    if (objects && machine->spread) {
        for (size_t i = 0; i < count; i++) objects[i] = hwloc.get_obj_by_depth(topology, depth, (unsigned)i);
        qsort(objects, count, sizeof(hwloc_obj_t), by_distance);
        for (size_t i = 0; i < count; i++) machine->spread[i] = (int)objects[i]->logical_index;
    }
    free(objects);
    return objects && machine->spread;
}

static bool take_threads(struct loom_machine *machine, hwloc_topology_t topology)
{
    int depth = hwloc.get_type_depth(topology, HWLOC_OBJ_PU);
    int count = (int)hwloc.count_objects(topology, depth);
    machine->threads = loom_memory_zeroed((size_t)count, sizeof *machine->threads);
    for (int i = 0; machine->threads && i < count; i++) {
        unsigned cpu = hwloc.get_obj_by_depth(topology, depth, (unsigned)i)->os_index;
        if (cpu < LOOM_CPUSET_CPUS) machine->threads[machine->n_threads++] = (int)cpu;
    }
    return machine->n_threads > 0;
}

static struct loom_machine *flatten(hwloc_topology_t topology)
{
    struct loom_machine *machine = loom_memory_zeroed(1, sizeof *machine);
    if (!machine) return NULL;
    int depth = hwloc.get_type_depth(topology, HWLOC_OBJ_CORE);
    if (depth < 0) depth = hwloc.get_type_depth(topology, HWLOC_OBJ_PU); /* some virtual machines tell no cores */
    machine->cores = take_level(topology, depth, &machine->n_cores);
    machine->nodes = take_level(topology, HWLOC_TYPE_DEPTH_NUMANODE, &machine->n_nodes);
    if (!machine->nodes) machine->nodes = take_level(topology, 0, &machine->n_nodes); /* the machine itself */
    if (machine->cores && machine->nodes && take_spread(machine, topology, depth) && take_threads(machine, topology))
        return machine;
    loom_machine_destroy(machine);
    return NULL;
}

/* description NULL: this machine. */
static struct loom_machine *look(const char *description)
{
    hwloc_topology_t topology;
    struct loom_machine *machine = NULL;
    pthread_once(&hwloc_once, open_hwloc);
    if (!has_hwloc || hwloc.init(&topology) != 0) return NULL;
    if ((!description || hwloc.set_synthetic(topology, description) == 0) && hwloc.load(topology) == 0)
        machine = flatten(topology);
    hwloc.destroy(topology);
    return machine;
}

#else

static struct loom_machine *look(const char *description)
{
    (void)description;
    return NULL;
}

#endif

struct loom_machine *loom_machine_synthetic(const char *description)
{
    return look(description);
}

static const struct loom_machine *here;
static pthread_once_t here_once = PTHREAD_ONCE_INIT;

static void look_here(void)
{
    here = look(NULL);
    if (here) return;
    loom_log(LOOM_LOG_WARNING,
             "hwloc cannot say which cores this machine has (%s, Debian: libhwloc15): nothing is bound by core or "
             "node, and hardware threads count as cores",
             HAS_HWLOC ? loom_machine_library : "parloom was built without it");
}

const struct loom_machine *loom_machine_here(void)
{
    pthread_once(&here_once, look_here);
    return here;
}

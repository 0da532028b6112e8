/* SPDX-License-Identifier: BSD-3-Clause */
/* placement_describe.c - the text of parloom_placement_describe: who would sit where. */
#include "base/binding.h"
#include "base/status.h"
#include "core/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Room that is written to from its start, line by line; what does not fit is left out. */
struct page {
    char *text;
    size_t nbytes, length;
};

__attribute__((format(printf, 2, 3))) static void add(struct page *page, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t room = page->nbytes - page->length;
    int wanted = vsnprintf(page->text + page->length, room, format, arguments);
    va_end(arguments);
    if (wanted > 0) page->length += (size_t)wanted < room ? (size_t)wanted : room - 1;
}

/* "core 0", "cores 0-3": those that have CPUs in the set. */
static void add_places(struct page *page, const char *before, const char *what, const struct loom_cpuset *places,
                       int count, const struct loom_cpuset *set)
{
    struct loom_cpuset met = { { 0 } };
    char numbers[128];
    for (int i = 0; i < count && i < LOOM_CPUSET_CPUS; i++) {
        struct loom_cpuset ours = *set;
        if (loom_cpuset_meet(&ours, &places[i])) loom_cpuset_add(&met, i);
    }
    loom_cpuset_write(&met, numbers, sizeof numbers);
    add(page, "%s%s%s %s", before, what, loom_cpuset_count(&met) == 1 ? "" : "s", numbers);
}

static void add_worker(struct page *page, const struct loom_machine *machine, const struct loom_placement *placement,
                       int worker)
{
    struct loom_cpuset set;
    char cpus[256];
    loom_placement_of(placement, (uint32_t)worker, &set);
    loom_cpuset_write(&set, cpus, sizeof cpus);
    add(page, "worker %d: CPU%s %s", worker, loom_cpuset_count(&set) == 1 ? "" : "s", cpus);
    if (machine != NULL) {
        add_places(page, " (", "core", machine->cores, machine->n_cores, &set);
        add_places(page, ", ", "NUMA node", machine->nodes, machine->n_nodes, &set);
        add(page, ")");
    }
    add(page, "\n");
}

static void add_head(struct page *page, const struct loom_plan *plan, const struct loom_placement *placement,
                     const struct loom_machine *machine)
{
    static const char *const policies[] = { "first_touch", "first_touch", "local", "interleave" };
    struct loom_cpuset allowed = { { 0 } };
    (void)loom_binding_allowed(&allowed);
    add(page, "%s: %d worker%s ", plan->backend->name, plan->n_jobs, plan->n_jobs == 1 ? "" : "s");
    if (placement != NULL)
        add(page, "bound by \"%s\"", plan->options.bind);
    else
        add(page, "not bound");
    add(page, ", %d of %ld CPUs may be used", loom_cpuset_count(&allowed), sysconf(_SC_NPROCESSORS_CONF));
    if (machine != NULL)
        add(page, ", %d core%s, %d NUMA node%s", machine->n_cores, machine->n_cores == 1 ? "" : "s", machine->n_nodes,
            machine->n_nodes == 1 ? "" : "s");
    add(page, ", memory %s\n", policies[plan->options.memory_policy]);
}

parloom_status parloom_placement_describe(const parloom_options *options, char *text, size_t nbytes,
                                          parloom_error *error)
{
    struct loom_plan plan;
    struct page page = { .text = text, .nbytes = nbytes };
    loom_status_clear(error);
    if (text == NULL || nbytes == 0)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no room was given for the description of placement");
    text[0] = '\0';
    parloom_status status = loom_plan_make(&plan, options, error);
    if (status != PARLOOM_OK) return status;
    struct loom_placement *placement = loom_plan_placement(&plan, plan.n_jobs);
    const struct loom_machine *machine = placement != NULL ? loom_machine_here() : NULL;
    add_head(&page, &plan, placement, machine);
    for (int worker = 0; placement != NULL && worker < plan.n_jobs; worker++)
        add_worker(&page, machine, placement, worker);
    free(placement);
    return PARLOOM_OK;
}

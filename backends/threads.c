/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * threads.c - one OpenMP region over the caller's memory: same tickets, same chunks, same accounting as processes.
 *
 * worker_init runs once in each thread of the team before its first task: in each call, or once for a pool.
 */
#include "backends/lane.h"
#include "backends/local.h"
#include "backends/openmp.h"

#include "base/atomics.h"
#include "base/binding.h"
#include "base/fpu.h"
#include "base/log.h"

#include <omp.h>
#include <stdlib.h>

static void work(struct loom_local *local, struct loom_local_crew *crew, int number)
{
    struct loom_binding binding;
    struct loom_inner_of_thread before;
    loom_binding_enter(&binding, local->run->placement, number);
    loom_inner_threads_enter(&local->run->inner, &local->inner, &before);
    loom_fpu_write(local->run->fp_control);     /* a thread of the pool has what the caller had when it was made */
    (void)loom_local_init(local, crew, number); /* if not, nothing is started any more: the worker tells so */
    loom_local_work(local, number, number == 0);
    loom_inner_threads_leave(&before);
    loom_binding_leave(&binding); /* it is OpenMP's thread, or the caller's */
}

/* A call inside a task of another team gets its threads too. Where the user says how deep regions may go, it does not:
 * fewer threads do its work. -1: nothing to put back. */
static int allow_team(void)
{
    int most = omp_get_max_active_levels();
    if (omp_get_active_level() < most || getenv("OMP_MAX_ACTIVE_LEVELS") != NULL || getenv("OMP_NESTED") != NULL)
        return -1;
    omp_set_max_active_levels(omp_get_active_level() + 1);
    return most;
}

static void work_alone(struct loom_local *local, struct loom_local_crew *crew)
{
    static _Atomic uint32_t is_told;
    if (loom_add_relaxed(&is_told, 1u) == 0) /* relaxed: told once */
        loom_log(LOOM_LOG_WARNING,
                 "calls on threads run in their caller: this process was forked by a thread that had run OpenMP "
                 "regions, and libgomp's next one here would wait for ever; use the backend processes");
    for (int number = 0; number < local->run->n_jobs; number++) work(local, crew, number);
}

static void work_as_team(struct loom_local *local, struct loom_local_crew *crew)
{
    const struct loom_run *run = local->run;
    if (!loom_openmp_may_have_team()) {
        work_alone(local, crew);
        return;
    }
    int active_levels = allow_team();
    /* OpenMP's barriers order what the caller did before with what the threads do, and that with what the caller does
     * then. Checkers of races see them in a region of the program's, not in one inside a task: they see this word. Its
     * writer's partner is in each case the reader on the other side of the barrier. */
    _Atomic uint32_t passed;
    loom_store_release(&passed, 1u);
#pragma omp parallel num_threads(run->n_jobs) default(none) shared(local, crew, run, passed)
    {
        (void)loom_load_acquire(&passed);
        int team = omp_get_num_threads();
        /* A smaller team than asked for (a thread limit, a nested region) does the seats of the missing too. */
        for (int number = omp_get_thread_num(); number < run->n_jobs; number += team) work(local, crew, number);
        loom_add_full(&passed, 1u);
    }
    (void)loom_load_acquire(&passed);
    if (active_levels >= 0) omp_set_max_active_levels(active_levels);
}

static parloom_status run_threads(void *workers, const struct loom_run *run, parloom_error *error)
{
    return loom_local_run(workers, run, work_as_team, error);
}

const struct loom_backend loom_backend_threads = { .name = "threads",
                                                   .memory = LOOM_MEMORY_SAME,
                                                   .open = loom_local_open,
                                                   .close = loom_local_close,
                                                   .run = run_threads,
                                                   .open_lane = loom_lane_open_threads };

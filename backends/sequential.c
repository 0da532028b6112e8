/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sequential.c - the caller works alone, in order: the reference that all other backends are compared with, and what
 * a debugger is used on.
 */
#include "backends/lane.h"
#include "backends/local.h"

static void work_alone(struct loom_local *local, struct loom_local_crew *crew)
{
    struct loom_inner_of_thread before;
    loom_inner_threads_enter(&local->run->inner, &local->inner, &before);
    (void)loom_local_init(local, crew, 0); /* if not, nothing is started any more */
    loom_local_work(local, 0, true);
    loom_inner_threads_leave(&before);
}

static parloom_status run_sequential(void *workers, const struct loom_run *run, parloom_error *error)
{
    return loom_local_run(workers, run, work_alone, error);
}

const struct loom_backend loom_backend_sequential = { .name = "sequential",
                                                      .memory = LOOM_MEMORY_SAME,
                                                      .open = loom_local_open,
                                                      .close = loom_local_close,
                                                      .run = run_sequential,
                                                      .open_lane = loom_lane_open_sequential };

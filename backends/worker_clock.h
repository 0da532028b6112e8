/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_clock.h - a worker process that runs a call of a stream keeps its limits by itself. */
#ifndef LOOM_BACKENDS_WORKER_CLOCK_H
#define LOOM_BACKENDS_WORKER_CLOCK_H

#include "backends/letter.h"
#include "backends/shift.h"
#include "shm/belt.h"

/* Before a task: from now on the kernel kills this worker when the task is past a limit of the letter. Where the whole
 * stream is, nothing more is begun. LIMIT: the kernel has no clock left. */
parloom_status loom_worker_clock_set(const struct loom_letter *letter, struct loom_shift *shift,
                                     struct loom_belt_place_shared *place, parloom_error *error);
/* After it. */
void loom_worker_clock_stop(const struct loom_letter *letter);

#endif

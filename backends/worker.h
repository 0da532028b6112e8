/* SPDX-License-Identifier: BSD-3-Clause */
/* worker.h - the main loop of a worker process, for workers of the supervisor and for those forked by the caller. */
#ifndef LOOM_BACKENDS_WORKER_H
#define LOOM_BACKENDS_WORKER_H

#include "backends/supervisor.h"
#include "shm/segment.h"

/* fetch NULL: everything was inherited. Never returns. */
__attribute__((noreturn)) void loom_worker_serve(const struct loom_worker_post *post, loom_segment_fetch fetch,
                                                 void *fetch_state);

/* Runs the program's worker_init, where there is one. False: it failed, and the seat says how. */
struct loom_board_shared;
struct loom_seat_shared;
bool loom_worker_init(const struct loom_board_shared *board, struct loom_seat_shared *seat);
/* Of the worker behind a shift (its tell_state): an entry for the program. Waits where the log is full. */
struct loom_log_entry;
void loom_worker_append(void *told_by, const struct loom_log_entry *entry, const char *message);

#endif

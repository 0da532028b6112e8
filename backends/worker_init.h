/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_init.h - what the program asked each new worker process to run first. */
#ifndef LOOM_BACKENDS_WORKER_INIT_H
#define LOOM_BACKENDS_WORKER_INIT_H

#include "shm/board.h"

/* False: it failed; the seat says how. */
bool loom_worker_init(const struct loom_board_shared *board, struct loom_seat_shared *seat);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wake.h - idle workers let go of a mapped file when the program has released it, and not only at their next call:
 * until then its disk could not be unmounted, nor the space of a deleted file be used.
 */
#ifndef LOOM_BACKENDS_WAKE_H
#define LOOM_BACKENDS_WAKE_H

#include "shm/board.h"

#include <parloom/parloom.h>

/* From now on the workers of that board are rung when a mapped file goes. MEMORY. */
parloom_status loom_wake_add(struct loom_board_shared *board, parloom_error *error);
void loom_wake_remove(const struct loom_board_shared *board); /* before its memory goes; unknown: nothing */

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* letters.h - the two arenas all calls share for bytes that are too few for a segment of their own. */
#ifndef LOOM_SHM_LETTERS_H
#define LOOM_SHM_LETTERS_H

#include "shm/arena.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Read-only or writable for workers; made when first needed. NULL: not enough memory. */
struct loom_arena *loom_letters_arena(enum loom_segment_access access, parloom_error *error);
void loom_letters_watch_forks(void); /* as loom_segment_watch_forks */

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena.h - many small blocks in few segments, so that neither mappings nor descriptors run out.
 *
 * All bookkeeping is private to the process that owns the arena: workers cannot hurt it. Blocks are aligned to 64
 * bytes, or lie at a given address modulo 64. Blocks of 1 MiB and more get a segment of their own.
 */
#ifndef LOOM_SHM_ARENA_H
#define LOOM_SHM_ARENA_H

#include "shm/segment.h"

#ifdef __cplusplus
extern "C" {
#endif

struct loom_arena;

/* folder: of its segments; NULL: the usual order (copied). */
parloom_status loom_arena_create(struct loom_arena **arena_out, enum loom_segment_access access, const char *folder,
                                 parloom_error *error);
void loom_arena_destroy(struct loom_arena *arena); /* all its blocks with it; NULL is fine */
/* zeroed: the block is zero-filled, else its bytes are anything. modulo64: where the block lies modulo 64 (0..63).
 * nbytes 0 counts as 1. Any thread. */
void *loom_arena_allocate(struct loom_arena *arena, size_t nbytes, size_t modulo64, bool zeroed, parloom_error *error);
/* A block of the bytes that a source has, whose memory is made while they come. No lock is held meanwhile. */
void *loom_arena_allocate_filled(struct loom_arena *arena, const struct loom_fill_source *source, parloom_error *error);
void loom_arena_free(struct loom_arena *arena, void *block); /* NULL is fine */
/* The same; false: no live block starts there, and nothing was done. */
bool loom_arena_try_free(struct loom_arena *arena, void *block);
/* A block in use is freed when its last holder lets it go; a hold keeps it alive past loom_arena_free. */
void loom_arena_hold(struct loom_arena *arena, void *block);
/* The same by any address in the block; its start, or NULL: no live block of this arena there, nothing is held. */
void *loom_arena_hold_at(struct loom_arena *arena, const void *address);
void loom_arena_drop(struct loom_arena *arena, void *block);

void loom_arena_watch_forks(void); /* as loom_segment_watch_forks */

/* The arena behind parloom_alloc; made when first needed. */
struct loom_arena *loom_arena_public(parloom_error *error);

#ifdef __cplusplus
}
#endif
#endif

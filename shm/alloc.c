/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * alloc.c - parloom_alloc, parloom_free, parloom_is_shared.
 *
 * In a task each block is on a list of its thread, deepest task first, and held: a block that another thread freed
 * meanwhile stays until the list lets it go, so that the list never frees somebody else's block.
 */
#include "shm/alloc.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "shm/arena.h"

#include <stdlib.h>

struct task_block {
    struct task_block *next;
    void *block;
    int depth;
};

__thread struct loom_alloc_thread loom_alloc_thread;
static __thread struct task_block *task_blocks; /* newest, and so deepest, first */

static void note_newest(void)
{
    loom_alloc_thread.newest_depth = task_blocks ? task_blocks->depth : 0;
}

static void forget(struct task_block **link)
{
    struct task_block *gone = *link;
    *link = gone->next;
    free(gone);
    note_newest();
}

void loom_alloc_free_task_blocks(void)
{
    struct loom_arena *arena = loom_arena_public(NULL);
    while (task_blocks && task_blocks->depth == loom_alloc_thread.depth) {
        (void)loom_arena_try_free(arena, task_blocks->block); /* false: another thread has freed it */
        loom_arena_drop(arena, task_blocks->block);
        forget(&task_blocks);
    }
}

static bool remember(struct loom_arena *arena, void *block)
{
    struct task_block *note = loom_memory_zeroed(1, sizeof *note);
    if (!note) return false;
    *note = (struct task_block){ .next = task_blocks, .block = block, .depth = loom_alloc_thread.depth };
    loom_arena_hold(arena, block);
    task_blocks = note;
    note_newest();
    return true;
}

/* The body frees what it allocated itself: nothing is left to do at the end of its task. */
static void forget_block(struct loom_arena *arena, const void *memory)
{
    for (struct task_block **link = &task_blocks; *link; link = &(*link)->next) {
        if ((*link)->block != memory) continue;
        loom_arena_drop(arena, (*link)->block);
        forget(link);
        return;
    }
}

void *parloom_alloc(size_t nbytes, parloom_error *error)
{
    loom_status_clear(error);
    struct loom_arena *arena = loom_arena_public(error);
    void *block = arena ? loom_arena_allocate(arena, nbytes, 0, true, error) : NULL;
    if (!block || loom_alloc_thread.depth == 0 || remember(arena, block)) return block;
    loom_arena_free(arena, block);
    loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory to keep account of a block of %zu bytes", nbytes);
    return NULL;
}

void parloom_free(void *memory)
{
    if (!memory) return;
    struct loom_arena *arena = loom_arena_public(NULL);
    if (arena && loom_arena_try_free(arena, memory)) {
        if (task_blocks) forget_block(arena, memory);
        return;
    }
    loom_log(LOOM_LOG_WARNING,
             "parloom_free: %p was not given by parloom_alloc of this process, or is free already; nothing was done",
             memory);
}

bool parloom_is_shared(const void *pointer)
{
    const struct loom_segment *segment = loom_segment_of(pointer);
    return segment && segment->access != LOOM_SEGMENT_MAP_PRIVATE;
}

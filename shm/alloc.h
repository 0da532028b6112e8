/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * alloc.h - parloom_alloc in task bodies: what a body allocates and does not free goes when its task ends.
 *
 * parloom_alloc, parloom_free and parloom_is_shared are implemented in alloc.c.
 */
#ifndef LOOM_SHM_ALLOC_H
#define LOOM_SHM_ALLOC_H

#ifdef __cplusplus
extern "C" {
#endif

/* How many tasks of this thread enclose each other, and at which depth its newest block was allocated (0: it has
 * none). Only the two functions below and alloc.c touch them. */
struct loom_alloc_thread {
    int depth;
    int newest_depth;
};
extern __thread struct loom_alloc_thread loom_alloc_thread __attribute__((tls_model("initial-exec")));

void loom_alloc_free_task_blocks(void);

/* Around each task, in the thread that runs it; nests. About a nanosecond together when nothing was allocated. */
static inline void loom_alloc_task_begin(void)
{
    loom_alloc_thread.depth++;
}

/* Between two tasks of a row: the same as end and begin. */
static inline void loom_alloc_task_next(void)
{
    if (loom_alloc_thread.newest_depth == loom_alloc_thread.depth) loom_alloc_free_task_blocks();
}

static inline void loom_alloc_task_end(void)
{
    if (loom_alloc_thread.newest_depth == loom_alloc_thread.depth) loom_alloc_free_task_blocks();
    loom_alloc_thread.depth--;
}

#ifdef __cplusplus
}
#endif
#endif

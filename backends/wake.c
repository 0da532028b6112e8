/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wake.c - the boards of this process's worker processes (see wake.h). Woken without a call, a worker looks at the
 * table of segments and sleeps again (worker.c).
 *
 * Locks     one, a leaf.
 * fork()    the boards are the parent's: a child forgets them.
 */
#include "backends/wake.h"

#include "base/memory.h"
#include "base/status.h"
#include "shm/segment.h"

#include <pthread.h>
#include <stdlib.h>

struct known {
    struct loom_board_shared *board;
    struct known *next;
};

static struct {
    pthread_mutex_t lock;
    struct known *first;
} boards = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void ring_all(void)
{
    pthread_mutex_lock(&boards.lock);
    for (const struct known *known = boards.first; known != NULL; known = known->next) loom_board_ring(known->board);
    pthread_mutex_unlock(&boards.lock);
}

/* Whoever held the lock is not in the child; the list is whole at any time. */
static void forget_in_child(void)
{
    boards.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    while (boards.first != NULL) {
        struct known *known = boards.first;
        boards.first = known->next;
        free(known);
    }
}

__attribute__((constructor)) static void tell_who_knows(void)
{
    (void)pthread_atfork(NULL, NULL, forget_in_child);
    loom_segment_set_file_waker(ring_all);
}

parloom_status loom_wake_add(struct loom_board_shared *board, parloom_error *error)
{
    struct known *known = loom_memory_zeroed(1, sizeof *known);
    if (known == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory to note a set of workers");
    known->board = board;
    pthread_mutex_lock(&boards.lock);
    known->next = boards.first;
    boards.first = known;
    pthread_mutex_unlock(&boards.lock);
    return PARLOOM_OK;
}

void loom_wake_remove(const struct loom_board_shared *board)
{
    struct known *gone = NULL;
    pthread_mutex_lock(&boards.lock);
    for (struct known **at = &boards.first; *at != NULL; at = &(*at)->next) {
        if ((*at)->board != board) continue;
        gone = *at;
        *at = gone->next;
        break;
    }
    pthread_mutex_unlock(&boards.lock);
    free(gone);
}

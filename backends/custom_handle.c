/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * custom_handle.c - what a registered backend holds of a call (see custom.h).
 *
 * A word counts who is inside; one bit of it says that nobody comes in any more. A closed handle waits behind MOST
 * others before it serves again, so that a thread which still has it is told that its call is over.
 */
#include "backends/custom.h"

#include "base/atomics.h"
#include "base/clock.h"
#include "base/futex.h"
#include "base/memory.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#define CLOSED ((uint32_t)1 << 31)

enum { MOST = 64 };

struct parloom_backend_run {
    _Atomic uint32_t inside; /* full, always: who has come in before CLOSED is waited for, who comes after is refused */
    struct loom_custom_run *run;
    struct parloom_backend_run *next;
};

static struct {
    pthread_mutex_t lock;
    struct parloom_backend_run *oldest, *newest;
    int count;
} closed = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void before_fork(void)
{
    pthread_mutex_lock(&closed.lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&closed.lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork, after_fork);
}

/* NULL: there are not enough. */
static struct parloom_backend_run *take_oldest(void)
{
    struct parloom_backend_run *handle = NULL;
    pthread_mutex_lock(&closed.lock);
    if (closed.count > MOST) {
        handle = closed.oldest;
        closed.oldest = handle->next;
        closed.count--;
    }
    pthread_mutex_unlock(&closed.lock);
    return handle;
}

static void put_newest(struct parloom_backend_run *handle)
{
    handle->next = NULL;
    pthread_mutex_lock(&closed.lock);
    if (closed.count > 0)
        closed.newest->next = handle;
    else
        closed.oldest = handle;
    closed.newest = handle;
    closed.count++;
    pthread_mutex_unlock(&closed.lock);
}

parloom_backend_run *loom_custom_handle_open(struct loom_custom_run *run)
{
    struct parloom_backend_run *handle = take_oldest();
    bool is_new = handle == NULL;
    if (is_new) handle = loom_memory_zeroed(1, sizeof *handle);
    if (handle == NULL) return NULL;
    handle->run = run;
    if (!is_new) (void)loom_sub_full(&handle->inside, CLOSED); /* the run before; pairs with enter */
    return handle;
}

struct loom_custom_run *loom_custom_handle_enter(parloom_backend_run *handle)
{
    if (handle == NULL) return NULL;
    if ((loom_add_full(&handle->inside, 1) & CLOSED) == 0) return handle->run; /* pairs with open and close */
    (void)loom_sub_full(&handle->inside, 1);
    return NULL;
}

void loom_custom_handle_leave(parloom_backend_run *handle)
{
    if (loom_sub_full(&handle->inside, 1) == CLOSED + 1)
        loom_futex_wake(&handle->inside, INT_MAX); /* pairs with close */
}

void loom_custom_handle_close(parloom_backend_run *handle, void (*hurry)(struct loom_custom_run *run))
{
    struct loom_custom_run *run = handle->run;
    if (loom_add_full(&handle->inside, CLOSED) > 0) hurry(run); /* pairs with enter and leave */
    uint32_t now;
    while ((now = loom_load_full(&handle->inside)) != CLOSED)
        (void)loom_futex_wait_until(&handle->inside, now, LOOM_NEVER_NS);
    put_newest(handle);
}

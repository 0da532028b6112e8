/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * future_end.c - how a future ends: its result is kept, who waits is woken, callbacks are called (see future.h).
 *
 * Callbacks run in whichever thread ended it. Each is taken off the list before it is called: one that ends its thread
 * leaves the others to whoever goes on.
 */
#include "core/porter.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct loom_futures loom_futures;

__attribute__((constructor)) static void init_futures(void)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&loom_futures.lock, NULL);
    pthread_cond_init(&loom_futures.news, &monotonic);
    pthread_condattr_destroy(&monotonic);
    loom_futures.n_sleeping = 0;
}

/* Whoever held the lock, or slept, is not in the child. */
__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, init_futures);
}

bool loom_futures_sleep(uint64_t until_ns)
{
    struct timespec time = { (time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u) };
    loom_futures.n_sleeping++;
    if (until_ns == LOOM_NEVER_NS)
        pthread_cond_wait(&loom_futures.news, &loom_futures.lock);
    else
        (void)pthread_cond_timedwait(&loom_futures.news, &loom_futures.lock, &time);
    loom_futures.n_sleeping--;
    return until_ns == LOOM_NEVER_NS || loom_clock_ns() < until_ns;
}

void loom_futures_tell(void)
{
    if (loom_futures.n_sleeping > 0) pthread_cond_broadcast(&loom_futures.news);
}

bool loom_future_end(parloom_future *future, parloom_status status, const parloom_error *error)
{
    if (future->has_ended) return false;
    future->status = status;
    loom_status_clear(&future->error);
    if (status != PARLOOM_OK) future->error = *error;
    future->has_ended = true;
    future->ended_number = ++loom_futures.n_ended;
    loom_futures_tell();
    return true;
}

static struct loom_future_done *next_done(parloom_future *future)
{
    loom_futures_lock();
    struct loom_future_done *done = future->first_done;
    if (done != NULL) future->first_done = done->next;
    if (future->first_done == NULL) future->last_done = NULL;
    loom_futures_unlock();
    return done;
}

void loom_future_call_one(parloom_future *future, parloom_future_callback callback, void *state)
{
    int answer = callback(future, state);
    if (answer != 0) loom_log(LOOM_LOG_WARNING, "a callback of a future returned %d", answer);
}

void loom_future_call_back(parloom_future *future)
{
    struct loom_future_done *done;
    while ((done = next_done(future)) != NULL) {
        struct loom_future_done one = *done;
        free(done);
        loom_future_call_one(future, one.callback, one.state);
    }
}

bool loom_future_take_data(parloom_future *future)
{
    const struct loom_parcel *parcel = &future->parcel;
    if (parcel->returned_nbytes == LOOM_PARCEL_NOTHING) return true;
    future->data = loom_memory_zeroed(1, parcel->returned_nbytes > 0 ? parcel->returned_nbytes : 1);
    if (future->data == NULL) return false;
    if (parcel->returned_nbytes > 0) memcpy(future->data, parcel->room.address, parcel->returned_nbytes);
    future->nbytes = parcel->returned_nbytes;
    return true;
}

static void free_future(parloom_future *future)
{
    struct loom_future_done *done;
    while ((done = future->first_done) != NULL) {
        future->first_done = done->next;
        free(done);
    }
    loom_arguments_release(&future->arguments);
    if (future->porter != NULL) loom_porter_unref(future->porter);
    free(future->data);
    free(future);
}

void loom_future_unref(parloom_future *future)
{
    loom_futures_lock();
    bool is_last = --future->refs == 0;
    loom_futures_unlock();
    if (is_last) free_future(future);
}

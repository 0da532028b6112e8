/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stop.c - a stop that is requested, and who is told of it at once (see stop.h).
 *
 * Handlers of signals write here, so there is no lock. A place is taken by its owner word, is shown by writing the pid
 * there, and is given back when no request is reading it. A request stores the stop and then looks at the places; who
 * takes a place shows it and then looks at the stop: with a full fence in between on both sides, one of them sees the
 * other.
 *
 * fork()  a child has other stops at the same addresses: it begins without places. One made behind the back of libc
 *         (clone) finds its parent's, and another pid than its own in them.
 */
#include "base/stop.h"

#include "base/atomics.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

enum { PLACES = 64 };

/* owner: 0, free; TAKEN; the pid of who is told there. Written, like stop and word, by who has it; read by requests.
 * n_readers: requests that read them now. */
enum { TAKEN = -1 };

static struct {
    _Atomic int owner;
    _Atomic uint32_t n_readers;
    _Atomic(const parloom_stop *) stop;
    _Atomic(_Atomic uint64_t *) word;
} places[PLACES];

/* relaxed: it has one thread */
static void forget_in_child(void)
{
    for (int number = 0; number < PLACES; number++) {
        loom_store_relaxed(&places[number].stop, NULL);
        loom_store_relaxed(&places[number].n_readers, 0u);
        loom_store_relaxed(&places[number].owner, 0);
    }
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, forget_in_child);
}

static void tell(int number, const parloom_stop *stop)
{
    loom_add_full(&places[number].n_readers, 1u); /* full, all: pairs with watch and unwatch */
    if (loom_load_full(&places[number].owner) == (int)getpid() && loom_load_full(&places[number].stop) == stop)
        loom_store_full(loom_load_relaxed(&places[number].word), 0); /* full: pairs with nothing, seen soon */
    loom_sub_full(&places[number].n_readers, 1u);
}

void loom_stop_request(parloom_stop *stop)
{
    __atomic_store_n(&stop->requested, 1, __ATOMIC_RELAXED); /* relaxed: see stop.h */
    atomic_thread_fence(memory_order_seq_cst);               /* pairs with that of watch */
    for (int number = 0; number < PLACES; number++)
        if (loom_load_relaxed(&places[number].stop) == stop) tell(number, stop); /* relaxed: tell looks again */
}

static bool take(int number)
{
    int is_free = 0;
    return loom_cas_full(&places[number].owner, &is_free, TAKEN); /* pairs with unwatch */
}

int loom_stop_watch(const parloom_stop *stop, void *word)
{
    int number = 0;
    if (stop == NULL) return -1;
    while (number < PLACES && !take(number)) number++;
    if (number == PLACES) return -1;
    loom_store_relaxed(&places[number].word, (_Atomic uint64_t *)word); /* relaxed, both: ordered by the owner */
    loom_store_relaxed(&places[number].stop, stop);
    loom_store_full(&places[number].owner, (int)getpid());                          /* pairs with tell */
    atomic_thread_fence(memory_order_seq_cst);                                      /* pairs with that of request */
    if (loom_stop_is_requested(stop)) loom_store_full((_Atomic uint64_t *)word, 0); /* full: as in tell */
    return number;
}

void loom_stop_unwatch(int number)
{
    if (number < 0 || loom_load_relaxed(&places[number].owner) != (int)getpid()) return; /* relaxed: its own */
    loom_store_full(&places[number].owner, TAKEN); /* full, both: pairs with tell */
    while (loom_load_full(&places[number].n_readers) != 0) sched_yield();
    loom_store_relaxed(&places[number].stop, NULL); /* relaxed: who is late finds no owner */
    loom_store_full(&places[number].owner, 0);      /* pairs with take */
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stop.c - a stop that is requested, and who is told of it at once (see stop.h).
 *
 * Handlers of signals write here, so there is no lock. A place is taken by its owner word, shows itself by its stop,
 * and is given back when no request is reading it. A request stores the stop and then looks at the places; who takes a
 * place shows it and then looks at the stop: with a full fence in between on both sides, one of them sees the other.
 *
 * fork()  a child has other stops at the same addresses: places are the process's that took them.
 */
#include "base/stop.h"

#include "base/atomics.h"

#include <sched.h>
#include <unistd.h>

enum { PLACES = 64 };

/* owner: pid, taken and given back by the process that has it; stop, word: written by it, read by requests;
 * n_readers: requests that read them. */
static struct {
    _Atomic int owner;
    _Atomic uint32_t n_readers;
    _Atomic(const parloom_stop *) stop;
    _Atomic(_Atomic uint64_t *) word;
} places[PLACES];

static void tell(int number, const parloom_stop *stop)
{
    loom_add_full(&places[number].n_readers, 1u); /* full, both: pairs with unwatch */
    if (loom_load_full(&places[number].stop) == stop && loom_load_relaxed(&places[number].owner) == (int)getpid())
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
    int self = (int)getpid(), owner = loom_load_relaxed(&places[number].owner);
    /* One of a parent's stays behind in a child that was forked: nobody else has it here. */
    if (owner == self || !loom_cas_full(&places[number].owner, &owner, self)) return false;
    if (owner != 0) loom_store_full(&places[number].n_readers, 0u); /* full: none of them is here */
    return true;
}

int loom_stop_watch(const parloom_stop *stop, void *word)
{
    int number = 0;
    if (stop == NULL) return -1;
    while (number < PLACES && !take(number)) number++;
    if (number == PLACES) return -1;
    loom_store_relaxed(&places[number].word, (_Atomic uint64_t *)word);             /* relaxed: ordered by the stop */
    loom_store_full(&places[number].stop, stop);                                    /* full: pairs with tell */
    atomic_thread_fence(memory_order_seq_cst);                                      /* pairs with that of request */
    if (loom_stop_is_requested(stop)) loom_store_full((_Atomic uint64_t *)word, 0); /* full: as in tell */
    return number;
}

void loom_stop_unwatch(int number)
{
    if (number < 0 || loom_load_relaxed(&places[number].owner) != (int)getpid()) return;
    loom_store_full(&places[number].stop, NULL); /* full, both: pairs with tell */
    while (loom_load_full(&places[number].n_readers) != 0) sched_yield();
    loom_store_release(&places[number].owner, 0); /* pairs with take */
}

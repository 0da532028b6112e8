/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stop.h - the one word of a parloom_stop, read and written by any thread and by signal handlers.
 *
 * The public header has no atomics, so the word is an int there; compilers' builtins make whole accesses of it.
 * Relaxed: the word is all that is told, no other data is ordered by it.
 */
#ifndef LOOM_BASE_STOP_H
#define LOOM_BASE_STOP_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

static inline bool loom_stop_is_requested(const parloom_stop *stop)
{
    return stop != NULL && __atomic_load_n(&stop->requested, __ATOMIC_RELAXED) != 0;
}

/* Async-signal-safe. */
void loom_stop_request(parloom_stop *stop);

/* From now on a request of that stop stores 0 in the word, an _Atomic uint64_t; one that was made before does so now.
 * Gives what unwatch takes; -1: nobody is told (stop NULL, or dozens are watched already), look at the stop instead. */
int loom_stop_watch(const parloom_stop *stop, void *word);
void loom_stop_unwatch(int number); /* the word may go then; -1: nothing */

#ifdef __cplusplus
}
#endif
#endif

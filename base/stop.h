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

static inline bool loom_stop_is_requested(const parloom_stop *stop)
{
    return stop != NULL && __atomic_load_n(&stop->requested, __ATOMIC_RELAXED) != 0;
}

static inline void loom_stop_request(parloom_stop *stop)
{
    __atomic_store_n(&stop->requested, 1, __ATOMIC_RELAXED);
}

#endif

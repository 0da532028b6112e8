/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stopwatch.h - nanoseconds of CLOCK_MONOTONIC, the one clock that all processes of a benchmark read alike (Python's
 * time.monotonic_ns() too), so that a stamp taken in a worker can be subtracted from one taken in the program.
 */
#ifndef BENCHMARKS_STOPWATCH_H
#define BENCHMARKS_STOPWATCH_H

#include <time.h>

static inline double stopwatch_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static inline void stopwatch_sleep_ns(long ns)
{
    struct timespec pause = { ns / 1000000000, ns % 1000000000 };
    nanosleep(&pause, 0);
}

#endif

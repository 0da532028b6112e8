/* SPDX-License-Identifier: BSD-3-Clause */
/* clock.c - the monotonic clock: it stands still for nobody who sets the date. Threads: any; async-signal-safe. */
#include "base/clock.h"

#include <limits.h>
#include <time.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define NS_PER_MS     UINT64_C(1000000)
#define MANY_SECONDS  9e9 /* 285 years: beyond it the sum with the present could leave 64 bits of nanoseconds */

uint64_t loom_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t loom_clock_of_seconds(double seconds)
{
    if (!(seconds > 0.0) || seconds > MANY_SECONDS) return LOOM_NEVER_NS; /* a NaN is not positive */
    uint64_t ns = (uint64_t)(seconds * (double)NS_PER_SECOND);
    return ns > 0 ? ns : 1;
}

uint64_t loom_clock_deadline(double seconds)
{
    uint64_t ns = loom_clock_of_seconds(seconds);
    return ns == LOOM_NEVER_NS ? LOOM_NEVER_NS : loom_clock_ns() + ns;
}

int loom_clock_poll_ms(uint64_t deadline_ns)
{
    if (deadline_ns == LOOM_NEVER_NS) return -1;
    uint64_t now = loom_clock_ns();
    if (deadline_ns <= now) return 0;
    /* Rounded up: down, poll would return early and the caller would spin through the last millisecond. */
    uint64_t ms = (deadline_ns - now - 1) / NS_PER_MS + 1;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * futex.c - wait and wake on a word in shared memory.
 * Never FUTEX_PRIVATE: sleeper and waker are different processes. Threads: any.
 */
#include "base/futex.h"

#include "base/clock.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int loom_futex_wait_until(const volatile void *word, uint32_t expected, uint64_t deadline_ns)
{
    struct timespec at = { .tv_sec = (time_t)(deadline_ns / 1000000000U),
                           .tv_nsec = (long)(deadline_ns % 1000000000U) };
    const struct timespec *limit = deadline_ns == LOOM_NEVER_NS ? NULL : &at;
    /* The bitset form counts to a point on the monotonic clock: sleeping again after a signal adds no delay. */
    long result = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, limit, NULL, FUTEX_BITSET_MATCH_ANY);
    return result != 0 && errno == ETIMEDOUT ? ETIMEDOUT : 0;
}

void loom_futex_wake(const volatile void *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* clock.h - monotonic time in nanoseconds, and deadlines in it. */
#ifndef LOOM_BASE_CLOCK_H
#define LOOM_BASE_CLOCK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOOM_NEVER_NS UINT64_MAX /* a deadline that never comes */

uint64_t loom_clock_ns(void);
/* Seconds in nanoseconds, at least 1; LOOM_NEVER_NS when seconds is not positive or too large to count. */
uint64_t loom_clock_of_seconds(double seconds);
/* Now plus seconds; LOOM_NEVER_NS when seconds is not positive or too large to count. */
uint64_t loom_clock_deadline(double seconds);
/* Milliseconds until the deadline for poll(2), rounded up: 0 when it has passed, -1 for LOOM_NEVER_NS. */
int loom_clock_poll_ms(uint64_t deadline_ns);

#ifdef __cplusplus
}
#endif
#endif

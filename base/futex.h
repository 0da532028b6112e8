/* SPDX-License-Identifier: BSD-3-Clause */
/* futex.h - sleep on a 32-bit word that processes share, and wake who sleeps there. Word: _Atomic uint32_t *. */
#ifndef LOOM_BASE_FUTEX_H
#define LOOM_BASE_FUTEX_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sleeps while *word is expected, until deadline_ns (base/clock.h). 0: woken or changed (spurious is possible);
 * ETIMEDOUT. EINTR counts as woken. */
int loom_futex_wait_until(const volatile void *word, uint32_t expected, uint64_t deadline_ns);
/* Wakes at most count sleepers. */
void loom_futex_wake(const volatile void *word, int count);

#ifdef __cplusplus
}
#endif
#endif

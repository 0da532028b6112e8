/* SPDX-License-Identifier: BSD-3-Clause */
/* watch.h - the limits of a call while it runs, looked at by the thread that waits for it. Under the crew's lock. */
#ifndef LOOM_BACKENDS_WATCH_H
#define LOOM_BACKENDS_WATCH_H

#include "backends/dispatch.h"

/* How often a stop is looked at: nothing wakes poll when it is cancelled. With what poll rounds up, and the time until
 * a CPU is free, tasks know within 10 ms. */
#define LOOM_WATCH_STOP_NS UINT64_C(3000000)

/* Stops the call where its deadline has passed or its stop was requested, and kills workers whose task is over its
 * limit. */
void loom_watch_limits(struct loom_dispatch *dispatch, uint64_t now);
/* When to look again, also for progress at next_watch. */
uint64_t loom_watch_next(const struct loom_dispatch *dispatch, uint64_t now, uint64_t next_watch);

#endif

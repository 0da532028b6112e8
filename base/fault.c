/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault.c - counts the hits of each kind and fails the one that a test chose.
 * Threads: hits from any; arm and disarm from one thread, while no armed code runs.
 */
#include "base/fault.h"

#ifdef PARLOOM_FAULTS

#include "base/atomics.h"

#include <errno.h>

enum { NONE = -1 };

static _Atomic int armed_kind = NONE;
static unsigned armed_nth;
static int armed_errno;
static bool armed_from_then_on;
static _Atomic unsigned hits[LOOM_FAULT_KINDS];

bool loom_fault_hit(enum loom_fault_kind kind)
{
    /* relaxed: the number alone decides which thread meets the fault. */
    unsigned hit = loom_add_relaxed(&hits[kind], 1U) + 1U;
    /* acquire: nth and errno were written before; pairs with the release in loom_fault_arm. */
    if (loom_load_acquire(&armed_kind) != (int)kind) return false;
    if (hit != armed_nth && !(armed_from_then_on && hit > armed_nth)) return false;
    errno = armed_errno;
    return true;
}

void loom_fault_arm(enum loom_fault_kind kind, unsigned nth, int sys_errno, bool from_then_on)
{
    loom_fault_disarm();
    for (int i = 0; i < LOOM_FAULT_KINDS; i++) loom_store_relaxed(&hits[i], 0U); /* counts only */
    armed_nth = nth;
    armed_errno = sys_errno;
    armed_from_then_on = from_then_on;
    loom_store_release(&armed_kind, (int)kind); /* release: the settings above; pairs with loom_fault_hit */
}

void loom_fault_disarm(void)
{
    loom_store_release(&armed_kind, (int)NONE); /* pairs with the acquire in loom_fault_hit */
}

unsigned loom_fault_hits(enum loom_fault_kind kind)
{
    return loom_load_relaxed(&hits[kind]); /* a count, read when the threads have ended */
}

#endif

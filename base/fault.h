/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault.h - make the n-th malloc, mmap, fork, fallocate or write of the library fail (tests only).
 *
 * In builds without PARLOOM_FAULTS the hooks are constants and vanish. In builds with it, a test arms one kind:
 * the n-th hit from now on fails with sys_errno, once or from then on.
 */
#ifndef LOOM_BASE_FAULT_H
#define LOOM_BASE_FAULT_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum loom_fault_kind {
    LOOM_FAULT_MALLOC,
    LOOM_FAULT_MMAP,
    LOOM_FAULT_OPEN,
    LOOM_FAULT_FALLOCATE,
    LOOM_FAULT_WRITE,
    LOOM_FAULT_SPAWN,
    LOOM_FAULT_SOCKET,
    LOOM_FAULT_COLLAPSE,
    LOOM_FAULT_SYNC,
    LOOM_FAULT_KINDS
};

#ifdef PARLOOM_FAULTS
/* True: fail here; errno is set. */
bool loom_fault_hit(enum loom_fault_kind kind);
void loom_fault_arm(enum loom_fault_kind kind, unsigned nth, int sys_errno, bool from_then_on); /* nth 1: the next */
void loom_fault_disarm(void);
unsigned loom_fault_hits(enum loom_fault_kind kind); /* since the last arm */
#else
static inline bool loom_fault_hit(enum loom_fault_kind kind)
{
    (void)kind;
    return false;
}
#endif

#ifdef __cplusplus
}
#endif
#endif

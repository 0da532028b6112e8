/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * interrupt.h - Ctrl-C as a stop of all calls, where the program asked for it: parloom_interrupt_begin and _end.
 */
#ifndef LOOM_BASE_INTERRUPT_H
#define LOOM_BASE_INTERRUPT_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a call that begins now has to look at beside its own stop; NULL: nobody asked. */
const parloom_stop *loom_interrupt_stop(void);

#ifdef __cplusplus
}
#endif
#endif

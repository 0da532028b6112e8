/* SPDX-License-Identifier: BSD-3-Clause */
/* oom.h - how often the kernel killed for lack of memory here. */
#ifndef LOOM_BACKENDS_OOM_H
#define LOOM_BACKENDS_OOM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of this control group where it is known, else of the machine. Only changes mean something. */
uint64_t loom_oom_kill_count(void);

#ifdef __cplusplus
}
#endif
#endif

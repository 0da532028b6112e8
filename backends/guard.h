/* SPDX-License-Identifier: BSD-3-Clause */
/* guard.h - keeps the program's main from ever running a second time. */
#ifndef LOOM_BACKENDS_GUARD_H
#define LOOM_BACKENDS_GUARD_H

#ifdef __cplusplus
extern "C" {
#endif

/* Does nothing; who calls it has the guard's constructor linked in from the archive. */
void loom_guard_link(void);

#ifdef __cplusplus
}
#endif
#endif

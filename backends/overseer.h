/* SPDX-License-Identifier: BSD-3-Clause */
/* overseer.h - the supervisor process, from its entry to its end. */
#ifndef LOOM_BACKENDS_OVERSEER_H
#define LOOM_BACKENDS_OVERSEER_H

#ifdef __cplusplus
extern "C" {
#endif

/* Called by the worker preload in place of the program's main, with the value of LOOM_STARTUP_VARIABLE. Never
 * returns. */
void loom_overseer_main(const char *entry);

#ifdef __cplusplus
}
#endif
#endif

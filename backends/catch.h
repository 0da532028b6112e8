/* SPDX-License-Identifier: BSD-3-Clause */
/* catch.h - a worker is killed for what it does, and only while it does it. */
#ifndef LOOM_BACKENDS_CATCH_H
#define LOOM_BACKENDS_CATCH_H

#include "backends/crew.h"

/* Kills the worker in that seat if is_guilty still says so once it is stopped; its death counts as TIMEOUT. */
void loom_catch(struct loom_crew *crew, uint32_t seat, bool (*is_guilty)(const void *state), const void *state);

#endif

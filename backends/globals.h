/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * globals.h - in a worker, for debugging: which globals a task has left changed.
 *
 * A copy of all data of the program, and of libraries that are not the system's, is compared after each task, with the
 * environment and the working directory. What differs is named and taken into the copy, so each change is told of the
 * task that made it.
 */
#ifndef LOOM_BACKENDS_GLOBALS_H
#define LOOM_BACKENDS_GLOBALS_H

#include "backends/shift.h"

enum { LOOM_GLOBALS_ENTRY = 2 /* status of an entry: its message is a warning */ };

/* For a shift whose tasks are to be looked at, after its words were set. Nothing where memory is short. */
void loom_globals_watch(struct loom_shift *shift);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* reporter_stack.h - who called the function that crashed. */
#ifndef LOOM_BACKENDS_REPORTER_STACK_H
#define LOOM_BACKENDS_REPORTER_STACK_H

#include "backends/reporter.h"

/* In the handler of the signal, whose record is filled already: writes its frames. A stack that is broken ends it. */
void loom_reporter_take_stack(struct loom_crash_shared *record);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* call.h - the life of a call: check, plan, stage, run, settle, report. */
#ifndef LOOM_CORE_CALL_H
#define LOOM_CORE_CALL_H

#include "core/arguments.h"
#include "core/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What loops and streams freeze in the same way: who works, limits. placement is set before. */
void loom_call_freeze_plan(const struct loom_plan *plan, struct loom_run *run);

parloom_status loom_call_make(const struct loom_request *request, const parloom_options *options, parloom_error *error);

#ifdef __cplusplus
}
#endif
#endif

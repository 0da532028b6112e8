/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * expression.h - the arithmetic that pre_dispatch may say: numbers, n_jobs, ( ), unary minus, + - * / // % **.
 *
 * A grammar of our own, with Python's precedence, floor and modulo. Nothing is looked up and nothing is called; at most
 * 30 characters, and no number beyond 1000000 on the way, so that no text is long to compute. Any thread; no locale.
 */
#ifndef LOOM_BASE_EXPRESSION_H
#define LOOM_BASE_EXPRESSION_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LOOM_EXPRESSION_MOST_CHARACTERS = 30 };

/* n_jobs: at least 1. INVALID: no expression, too long, a number too large, a division by zero, no real number. */
parloom_status loom_expression_evaluate(const char *text, int n_jobs, double *value_out, parloom_error *error);
/* The tasks that pre_dispatch allows ahead of the consumer: "all" is SIZE_MAX; a fraction is cut off. INVALID also for
 * less than one task. */
parloom_status loom_expression_tasks(const char *text, int n_jobs, size_t *tasks_out, parloom_error *error);
/* Whether text could be a pre_dispatch for some number of workers: all that is wrong without knowing n_jobs. name: what
 * the user wrote, for messages ("pre_dispatch", "PARLOOM_PRE_DISPATCH"). */
parloom_status loom_expression_check(const char *name, const char *text, parloom_error *error);

#ifdef __cplusplus
}
#endif
#endif

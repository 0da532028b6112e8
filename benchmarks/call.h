/* SPDX-License-Identifier: BSD-3-Clause */
/* call.h - one timed parloom_for. */
#ifndef BENCHMARKS_CALL_H
#define BENCHMARKS_CALL_H

#include <parloom/parloom.h>

/* What the whole call took, in ns; ROUNDS_UNKNOWN when it did not end OK, and a line on stderr says why. */
double call_ns(size_t n, parloom_body body, const parloom_arg *args, size_t n_args, const parloom_options *options);

#endif

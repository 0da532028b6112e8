/* SPDX-License-Identifier: BSD-3-Clause */
/* call.c - see call.h. */
#include "call.h"

#include <math.h>
#include <stdio.h>

#include "rounds.h"
#include "stopwatch.h"

double call_ns(size_t n, parloom_body body, const parloom_arg *args, size_t n_args, const parloom_options *options)
{
    parloom_error error;
    double start = stopwatch_now_ns();
    parloom_status status = parloom_for(n, body, args, n_args, options, &error);
    double end = stopwatch_now_ns();
    if (status == PARLOOM_OK) return end - start;
    fprintf(stderr, "%s: %s\n", parloom_status_name(status), error.message);
    return ROUNDS_UNKNOWN;
}

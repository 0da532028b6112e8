/* SPDX-License-Identifier: BSD-3-Clause */
/* parallel.c - the public calls: loops, ranges, lists; and what cancels them. */
#include "core/call.h"

#include "base/stop.h"

parloom_status parloom_for(size_t n, parloom_body body, const parloom_arg *args, size_t n_args,
                           const parloom_options *options, parloom_error *error)
{
    parloom_call call = { body, args, n_args };
    struct loom_request request = { .n = n, .calls = &call };
    return loom_call_make(&request, options, error);
}

parloom_status parloom_for_range(size_t n, parloom_body body, const parloom_arg *args, size_t n_args,
                                 const parloom_options *options, parloom_error *error)
{
    parloom_call call = { body, args, n_args };
    struct loom_request request = { .n = n, .is_range = true, .calls = &call };
    return loom_call_make(&request, options, error);
}

parloom_status parloom_run(const parloom_call *calls, size_t n, const parloom_options *options, parloom_error *error)
{
    struct loom_request request = { .n = n, .is_list = true, .calls = calls };
    return loom_call_make(&request, options, error);
}

void parloom_cancel(parloom_stop *stop)
{
    if (stop != NULL) loom_stop_request(stop); /* stores only: safe in a signal handler; calls look at it */
}

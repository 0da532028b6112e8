/* SPDX-License-Identifier: BSD-3-Clause */
/* argument_kinds.h - what parloom_arg.kind holds: a direction, and marks. */
#ifndef LOOM_CORE_ARGUMENT_KINDS_H
#define LOOM_CORE_ARGUMENT_KINDS_H

#include <parloom/parloom.h>

enum loom_argument_kind {
    LOOM_KIND_IN = 1,
    LOOM_KIND_OUT = 2,
    LOOM_KIND_INOUT = 3,
    LOOM_KIND_REDUCE = 4,
    LOOM_KIND_DIRECTION = 7, /* mask */
    LOOM_KIND_ARRAY = 8,
    LOOM_KIND_EACH = 16
};

static inline int loom_kind_direction(const parloom_arg *arg)
{
    return arg->kind & LOOM_KIND_DIRECTION;
}

static inline bool loom_kind_has(const parloom_arg *arg, int mark)
{
    return (arg->kind & mark) != 0;
}

/* Of a file that the user mapped with mode r: nobody can write there. */
bool loom_kind_is_in_read_only_file(const parloom_arg *arg);

#endif

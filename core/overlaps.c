/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * overlaps.c - refuses arguments that would mean one thing on threads and another in processes.
 *
 * A private range that is written (out, inout, the data of a reduction) overlaps nothing else, unless both are out or
 * inout: a task on threads would see what others write, one in a process its own copy. Looked for on every backend, so
 * that a program that was tried on one runs on the others.
 */
#include "core/arguments.h"

#include "base/memory.h"
#include "base/status.h"
#include "core/argument_kinds.h"
#include "shm/segment.h"

#include <stdio.h>
#include <stdlib.h>

enum use { READ, WRITTEN, REDUCED, USES };

static const char *const use_text[USES] = { "read", "written", "a reduction" };

struct extent {
    const char *low, *high;
    enum use use;
    size_t call, number; /* of the argument in its call */
};

static enum use use_of(const parloom_arg *arg, const struct loom_spill_range *range)
{
    if (loom_kind_direction(arg) == LOOM_KIND_REDUCE) return REDUCED;
    return range->written ? WRITTEN : READ;
}

static bool collide(enum use a, enum use b)
{
    return a != b || a == REDUCED;
}

static int by_address(const void *left, const void *right)
{
    const struct extent *a = left, *b = right;
    return (a->low > b->low) - (a->low < b->low);
}

/* Most calls only read, or write what is shared: they are not compared. */
static bool is_any_written(const struct loom_arguments *arguments)
{
    size_t k = 0;
    for (size_t i = 0; i < arguments->n_works; i++) {
        const parloom_call *call = &arguments->request->calls[i];
        for (size_t j = 0; j < call->n_args; j++, k++) {
            const struct loom_spill_range *range = &arguments->ranges[k];
            bool is_read = use_of(&call->args[j], range) == READ;
            if (!is_read && range->nbytes > 0 && !parloom_is_shared(range->data)) return true;
        }
    }
    return false;
}

/* The private ranges of the call; how many. */
static size_t gather(const struct loom_arguments *arguments, struct extent *extents)
{
    size_t count = 0, k = 0;
    for (size_t i = 0; i < arguments->n_works; i++) {
        const parloom_call *call = &arguments->request->calls[i];
        for (size_t j = 0; j < call->n_args; j++, k++) {
            const struct loom_spill_range *range = &arguments->ranges[k];
            const char *low = range->data;
            if (range->nbytes == 0 || parloom_is_shared(low)) continue;
            extents[count++] = (struct extent){ low, low + range->nbytes, use_of(&call->args[j], range), i, j };
        }
    }
    return count;
}

/* "argument 1 of call 7 (800 bytes, written)", counted from 0; where there is one call, without it. */
static void describe(const struct extent *extent, bool is_list, char *text, size_t room)
{
    char of_call[40] = "";
    if (is_list) snprintf(of_call, sizeof of_call, " of call %zu", extent->call);
    snprintf(text, room, "argument %zu%s (%zu bytes, %s)", extent->number, of_call,
             (size_t)(extent->high - extent->low), use_text[extent->use]);
}

static parloom_status refuse(const struct extent *a, const struct extent *b, bool is_list, parloom_error *error)
{
    char first[128], second[128];
    bool is_in_order = a->call != b->call ? a->call < b->call : a->number < b->number;
    describe(is_in_order ? a : b, is_list, first, sizeof first);
    describe(is_in_order ? b : a, is_list, second, sizeof second);
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                            "%s and %s overlap: what a task reads there would depend on the backend; pass both as "
                            "inout, or copy one",
                            first, second);
}

/* In order of address, a range overlaps one before it if it begins before the furthest end of those. */
static parloom_status sweep(struct extent *extents, size_t count, bool is_list, parloom_error *error)
{
    const struct extent *furthest[USES] = { NULL, NULL, NULL };
    qsort(extents, count, sizeof *extents, by_address);
    for (size_t k = 0; k < count; k++) {
        const struct extent *now = &extents[k];
        for (int use = READ; use < USES; use++) {
            const struct extent *before = furthest[use];
            if (before != NULL && now->low < before->high && collide(now->use, (enum use)use))
                return refuse(before, now, is_list, error);
        }
        if (furthest[now->use] == NULL || now->high > furthest[now->use]->high) furthest[now->use] = now;
    }
    return PARLOOM_OK;
}

parloom_status loom_arguments_check_overlaps(const struct loom_arguments *arguments, parloom_error *error)
{
    struct extent few[16];
    struct extent *extents = few;
    if (arguments->n_all < 2 || !is_any_written(arguments)) return PARLOOM_OK;
    if (arguments->n_all > sizeof few / sizeof *few) extents = loom_memory_zeroed(arguments->n_all, sizeof *extents);
    if (extents == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory to compare %zu arguments", arguments->n_all);
    parloom_status status = sweep(extents, gather(arguments, extents), arguments->n_works > 1, error);
    if (extents != few) free(extents);
    return status;
}

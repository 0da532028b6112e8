/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tally.c - the program's private account of one call (see tally.h).
 *
 * Invariant after settle: ranges are sorted, do not overlap and lie in [0, n); every task outside them is OK.
 */
#include "backends/tally.h"

#include "base/memory.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

parloom_status loom_tally_init(struct loom_tally *tally, size_t n, size_t errors_room, parloom_error *error)
{
    memset(tally, 0, sizeof *tally);
    tally->n = n;
    tally->ranges = tally->few;
    tally->ranges_room = sizeof tally->few / sizeof *tally->few;
    tally->errors_room = errors_room > 0 ? errors_room : 1;
    if (tally->errors_room > n) tally->errors_room = n > 0 ? n : 1;
    tally->errors = loom_memory_zeroed(tally->errors_room, sizeof *tally->errors);
    if (tally->errors == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for the errors of %zu tasks",
                                tally->errors_room);
    return PARLOOM_OK;
}

void loom_tally_fini(struct loom_tally *tally)
{
    if (tally->ranges != tally->few) free(tally->ranges);
    free(tally->errors);
    memset(tally, 0, sizeof *tally);
}

static bool has_room(struct loom_tally *tally)
{
    if (tally->n_ranges < tally->ranges_room) return true;
    size_t room = 2 * tally->ranges_room;
    bool is_inside = tally->ranges == tally->few;
    struct loom_tally_range *grown = loom_memory_grow(is_inside ? NULL : tally->ranges, room, sizeof *grown);
    if (grown == NULL) {
        tally->is_short_of_memory = true;
        return false;
    }
    if (is_inside) memcpy(grown, tally->few, sizeof tally->few);
    tally->ranges = grown;
    tally->ranges_room = room;
    return true;
}

void loom_tally_note(struct loom_tally *tally, size_t begin, size_t end, parloom_status status)
{
    if (begin >= end || !has_room(tally)) return;
    tally->ranges[tally->n_ranges++] = (struct loom_tally_range){ begin, end, status };
}

/* Full, the errors are a heap with the highest task on top: what fails below it takes its place. */
static void sink_error(struct loom_tally *tally, size_t at)
{
    for (;;) {
        size_t highest = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < tally->n_errors; child++)
            if (tally->errors[child].task > tally->errors[highest].task) highest = child;
        if (highest == at) return;
        parloom_error moved = tally->errors[at];
        tally->errors[at] = tally->errors[highest];
        tally->errors[highest] = moved;
        at = highest;
    }
}

/* Keeps the lowest failed tasks; settle sorts them. */
static void keep_error(struct loom_tally *tally, const parloom_error *error)
{
    if (tally->n_errors < tally->errors_room) {
        tally->errors[tally->n_errors++] = *error;
        if (tally->n_errors < tally->errors_room) return;
        for (size_t at = tally->n_errors / 2; at-- > 0;) sink_error(tally, at);
    } else if (error->task < tally->errors[0].task) {
        tally->errors[0] = *error;
        sink_error(tally, 0);
    }
}

void loom_tally_fail(struct loom_tally *tally, size_t begin, size_t end, parloom_status status,
                     const parloom_error *error)
{
    parloom_error record = *error;
    record.status = status;
    record.task = begin;
    loom_tally_note(tally, begin, end, status);
    keep_error(tally, &record);
}

bool loom_tally_has(const struct loom_tally *tally, size_t task)
{
    for (size_t k = 0; k < tally->n_ranges; k++)
        if (task >= tally->ranges[k].begin && task < tally->ranges[k].end) return true;
    return false;
}

/* The first task from begin on that some note covers, and where that note ends; end where there is none. */
static size_t next_noted(const struct loom_tally *tally, size_t n_ranges, size_t begin, size_t end, size_t *until_out)
{
    size_t first = end;
    *until_out = end;
    for (size_t k = 0; k < n_ranges; k++) {
        const struct loom_tally_range *range = &tally->ranges[k];
        size_t from = range->begin > begin ? range->begin : begin;
        if (range->end <= begin || from >= first) continue;
        first = from;
        *until_out = range->end;
    }
    return first;
}

void loom_tally_note_rest(struct loom_tally *tally, size_t begin, size_t end, parloom_status status)
{
    size_t n_ranges = tally->n_ranges; /* those before: the new ones do not overlap */
    while (begin < end) {
        size_t until, noted = next_noted(tally, n_ranges, begin, end, &until);
        loom_tally_note(tally, begin, noted, status);
        begin = until;
    }
}

static int by_begin(const void *a, const void *b)
{
    const struct loom_tally_range *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static int by_task(const void *a, const void *b)
{
    const parloom_error *x = a, *y = b;
    return (x->task > y->task) - (x->task < y->task);
}

parloom_status loom_tally_settle(struct loom_tally *tally, parloom_error *error)
{
    if (tally->is_short_of_memory) {
        tally->ranges[0] = (struct loom_tally_range){ 0, tally->n, PARLOOM_ERR_CANCELLED };
        tally->n_ranges = 1;
        tally->n_errors = 0;
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0,
                                "no memory to note how tasks ended: all count as not run");
    }
    if (tally->n_errors > 1) qsort(tally->errors, tally->n_errors, sizeof *tally->errors, by_task);
    if (tally->n_ranges > 1) qsort(tally->ranges, tally->n_ranges, sizeof *tally->ranges, by_begin);
    for (size_t k = 0; k < tally->n_ranges; k++) {
        size_t next = k + 1 < tally->n_ranges ? tally->ranges[k + 1].begin : tally->n;
        if (tally->ranges[k].end > next)
            return loom_status_fail(error, PARLOOM_ERR_INTERNAL, 0, "task %zu of %zu ended twice (%s)", next, tally->n,
                                    parloom_status_name(tally->ranges[k].status));
    }
    return PARLOOM_OK;
}

struct loom_tally_counts loom_tally_count_noted(const struct loom_tally *tally)
{
    struct loom_tally_counts counts = { 0, 0, 0, 0, 0 };
    for (size_t k = 0; k < tally->n_ranges; k++) {
        const struct loom_tally_range *range = &tally->ranges[k];
        size_t length = range->end - range->begin;
        if (range->status == PARLOOM_ERR_TASK) counts.failed += length;
        if (range->status == PARLOOM_ERR_CRASHED) counts.crashed += length;
        if (range->status == PARLOOM_ERR_EXITED) counts.exited += length;
        if (range->status == PARLOOM_ERR_TIMEOUT) counts.timed_out += length;
        if (range->status == PARLOOM_ERR_CANCELLED) counts.cancelled += length;
    }
    return counts;
}

size_t loom_tally_count(const struct loom_tally *tally, parloom_status status)
{
    size_t same = 0, noted = 0;
    for (size_t k = 0; k < tally->n_ranges; k++) {
        size_t length = tally->ranges[k].end - tally->ranges[k].begin;
        noted += length;
        if (tally->ranges[k].status == status) same += length;
    }
    return status == PARLOOM_OK ? tally->n - noted : same;
}

parloom_status loom_tally_status(const struct loom_tally *tally, size_t task)
{
    size_t low = 0, high = tally->n_ranges;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tally->ranges[middle].end <= task)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == tally->n_ranges || tally->ranges[low].begin > task) return PARLOOM_OK;
    return tally->ranges[low].status;
}

size_t loom_tally_first_failure(const struct loom_tally *tally)
{
    for (size_t k = 0; k < tally->n_ranges; k++)
        if (tally->ranges[k].status != PARLOOM_ERR_CANCELLED) return tally->ranges[k].begin;
    return PARLOOM_NO_TASK;
}

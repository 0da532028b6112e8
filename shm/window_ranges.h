/* SPDX-License-Identifier: BSD-3-Clause */
/* window_ranges.h - which blocks of a stretch of the window are free. Counts blocks, knows no addresses, no locks. */
#ifndef LOOM_SHM_WINDOW_RANGES_H
#define LOOM_SHM_WINDOW_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct loom_window_range {
    uint64_t begin, end; /* blocks */
};

struct loom_window_ranges {
    struct loom_window_range *free; /* sorted; neighbours never touch */
    size_t count, room;
    size_t taken;    /* takes that were not given back */
    uint64_t cursor; /* where the next search starts */
};

/* [begin, end) is free. false: no memory. */
bool loom_window_ranges_init(struct loom_window_ranges *ranges, uint64_t begin, uint64_t end);
void loom_window_ranges_fini(struct loom_window_ranges *ranges);
/* Next fit, so that an address rests as long as possible before its next use. false: none is long enough. */
bool loom_window_ranges_take(struct loom_window_ranges *ranges, uint64_t blocks, uint64_t *begin_out);
/* Never fails: take has made room for it. */
void loom_window_ranges_give(struct loom_window_ranges *ranges, uint64_t begin, uint64_t blocks);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * grid.h - points sorted into squares, so that those near a point are found without looking at all the others.
 */
#ifndef PLACES_GRID_H
#define PLACES_GRID_H

#include "window.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { GRID_REACH_KM = 300 };

struct grid {
    struct point corner;
    size_t columns, rows;
    size_t count;         /* of points */
    uint32_t *first;      /* of each square, row by row; and one past the last */
    struct point *points; /* by square; within a square in the caller's order */
};

/* Bytes of memory that a grid of n points needs. */
size_t grid_nbytes(const struct window *window, size_t n);
/* Sorts points, all of which lie in the window, into memory (zero-filled or not), which the grid borrows. */
struct grid grid_build(const struct window *window, const struct point *points, size_t n, void *memory);

/* One pair of points i < j of the grid that are closer than GRID_REACH_KM: distance and the shift from i to j, in km.
 */
typedef void (*grid_visitor)(void *state, uint32_t i, uint32_t j, double distance, struct point shift);
/* Visits each pair once, always in the same order. */
void grid_each_pair(const struct grid *grid, grid_visitor visit, void *state);

#ifdef __cplusplus
}
#endif
#endif

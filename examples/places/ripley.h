/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ripley.h - Ripley's K and Besag's L: how many more neighbours there are within r than chance would give.
 */
#ifndef PLACES_RIPLEY_H
#define PLACES_RIPLEY_H

#include "grid.h"
#include "window.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Distances r = 5, 10, ... 300 km. Class k holds the pairs that are new at r_k: r_(k-1) <= distance < r_k. */
enum { RIPLEY_STEP_KM = 5, RIPLEY_CLASSES = GRID_REACH_KM / RIPLEY_STEP_KM };

double ripley_distance(size_t k); /* r_k in km */
size_t ripley_class(double distance);

/*
 * From sums[k], the edge weights of the unordered pairs of each class, to L(r_k) - r_k in km. area in km2;
 * ordered_pairs: how many pairs i != j of points there are in all, n (n - 1) when each point counts once.
 */
void ripley_from_sums(const double sums[RIPLEY_CLASSES], double area, double ordered_pairs,
                      double row_out[RIPLEY_CLASSES]);

/* L(r) - r of the points of a grid, pair by pair, keeping none of them. */
void ripley_of_grid(const struct window *window, const struct grid *grid, double row_out[RIPLEY_CLASSES]);

#ifdef __cplusplus
}
#endif
#endif

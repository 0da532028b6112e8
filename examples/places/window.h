/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window.h - the region in which places could lie: its area, its random points, and how it overlaps its own shifted
 * copy.
 */
#ifndef PLACES_WINDOW_H
#define PLACES_WINDOW_H

#include "plane.h"
#include "streams.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { WINDOW_CELL_KM = 25 };

/* A set of square cells. One block of memory without pointers: a task gets it as one argument. */
struct window;

/* The cells whose centre lies within margin_km of an entry. Free it with free(). NULL and a line on stderr: no memory,
 * or entries that spread over more of the plane than there is on earth. */
struct window *window_create(const struct point_list *entries, double margin_km);
size_t window_nbytes(const struct window *window);
double window_area(const struct window *window); /* km2 */
/* The rectangle around the cells: south-west corner, and how many cells lie east and north of it. */
struct point window_corner(const struct window *window);
size_t window_columns(const struct window *window);
size_t window_rows(const struct window *window);

size_t window_count(const struct window *window);
/* South-west corner of cell k, 0 .. window_count - 1. */
struct point window_cell(const struct window *window, size_t k);
/* A point that lies anywhere in the window with the same probability per area. */
struct point window_draw(const struct window *window, struct stream *stream);
/*
 * Translation edge correction: area of the window, divided by the area of the window's overlap with itself shifted
 * by (east_km, north_km). At least 1. Both shifts within 300 km.
 */
double window_weight(const struct window *window, double east_km, double north_km);

#ifdef __cplusplus
}
#endif
#endif

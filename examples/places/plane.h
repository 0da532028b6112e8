/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plane.h - points, lists of points, and the equal-area plane they are measured in.
 */
#ifndef PLACES_PLANE_H
#define PLACES_PLANE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In the plane: kilometres east and north. On the globe: longitude and latitude in radians. */
struct point {
    double x, y;
};

struct point_list {
    struct point *items;
    size_t count, capacity;
};

/* Appends; false when there is no memory (the list stays as it was). */
bool point_list_append(struct point_list *list, struct point point);
void point_list_free(struct point_list *list);

/* An Albers equal-area conic projection of the sphere (Snyder 1987, section 14). */
struct plane {
    double cone, constant, origin_radius, origin_lon;
};

/* The parallels and the origin that maps of the contiguous United States use: 29.5, 45.5; 23 N, 96 W. */
struct plane plane_of_united_states(void);
/* Parallels a sixth inside the southern and northern edge of the points (Snyder's rule of thumb). */
struct plane plane_of_points(const struct point_list *globe);
/* Radians to kilometres, in place. */
void plane_project(const struct plane *plane, struct point_list *list);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plane.c - from the globe to a plane in kilometres in which every region keeps its area.
 *
 * Why this way   K(r) counts neighbours per area, so the map must not stretch areas. The Albers cone keeps them
 * exactly; distances within 300 km are off by at most 1.5 % over the contiguous United States.
 */
#include "plane.h"

#include <math.h>
#include <stdlib.h>

static const double earth_radius_km = 6371.0072; /* of the sphere with the area of the GRS 80 ellipsoid */
static const double radians_per_degree = 0.017453292519943295;

bool point_list_append(struct point_list *list, struct point point)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 1024;
        struct point *items = realloc(list->items, capacity * sizeof *items);
        if (!items) return false;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = point;
    return true;
}

void point_list_free(struct point_list *list)
{
    free(list->items);
    *list = (struct point_list){ NULL, 0, 0 };
}

static double radius_at(const struct plane *plane, double lat)
{
    return earth_radius_km * sqrt(plane->constant - 2 * plane->cone * sin(lat)) / plane->cone;
}

static struct plane albers(double south, double north, double origin_lat, double origin_lon)
{
    /* Parallels that mirror each other at the equator would make the cone a cylinder and divide by zero; a cone
     * that is a little off keeps areas just as well. */
    if (fabs(sin(south) + sin(north)) < 0.02) {
        south += radians_per_degree;
        north += radians_per_degree;
    }
    struct plane plane = { 0 };
    plane.cone = (sin(south) + sin(north)) / 2;
    plane.constant = cos(south) * cos(south) + 2 * plane.cone * sin(south);
    plane.origin_lon = origin_lon;
    plane.origin_radius = radius_at(&plane, origin_lat);
    return plane;
}

struct plane plane_of_united_states(void)
{
    return albers(29.5 * radians_per_degree, 45.5 * radians_per_degree, 23 * radians_per_degree,
                  -96 * radians_per_degree);
}

struct plane plane_of_points(const struct point_list *globe)
{
    struct point low = globe->items[0];
    struct point high = globe->items[0];
    for (size_t k = 1; k < globe->count; k++) {
        struct point point = globe->items[k];
        low = (struct point){ fmin(low.x, point.x), fmin(low.y, point.y) };
        high = (struct point){ fmax(high.x, point.x), fmax(high.y, point.y) };
    }
    double sixth = (high.y - low.y) / 6;
    return albers(low.y + sixth, high.y - sixth, (low.y + high.y) / 2, (low.x + high.x) / 2);
}

void plane_project(const struct plane *plane, struct point_list *list)
{
    for (size_t k = 0; k < list->count; k++) {
        struct point *point = &list->items[k];
        double radius = radius_at(plane, point->y);
        double angle = plane->cone * (point->x - plane->origin_lon);
        point->x = radius * sin(angle);
        point->y = plane->origin_radius - radius * cos(angle);
    }
}

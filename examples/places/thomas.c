/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * thomas.c - the Thomas cluster process in a rectangle, with both the number of parents and of places given.
 */
#include "thomas.h"
#include "streams.h"
#include "window.h"

#include <stdio.h>

struct thomas thomas_country(void)
{
    return (struct thomas){ .width_km = 3000, .height_km = 2000, .spread_km = 30, .n_parents = 150, .n_places = 6000 };
}

static bool is_inside(const struct thomas *thomas, struct point point)
{
    return point.x >= 0 && point.x < thomas->width_km && point.y >= 0 && point.y < thomas->height_km;
}

/* Parents also live in a rim of four spreads around the rectangle: clusters that reach in from outside belong to it. */
static struct point draw_parent(const struct thomas *thomas, struct stream *stream)
{
    double rim = 4 * thomas->spread_km;
    double x = stream_uniform(stream) * (thomas->width_km + 2 * rim) - rim;
    double y = stream_uniform(stream) * (thomas->height_km + 2 * rim) - rim;
    return (struct point){ x, y };
}

static bool draw_places(const struct thomas *thomas, struct stream *stream, const struct point_list *parents,
                        struct point_list *places_out)
{
    while (places_out->count < thomas->n_places) {
        double step[2];
        struct point parent = parents->items[stream_below(stream, thomas->n_parents)];
        stream_normals(stream, step);
        struct point place = { parent.x + thomas->spread_km * step[0], parent.y + thomas->spread_km * step[1] };
        if (is_inside(thomas, place) && !point_list_append(places_out, place)) return false;
    }
    return true;
}

/* The centres of the cells of the window that the rectangle is. */
static bool lay_lattice(const struct thomas *thomas, struct point_list *entries_out)
{
    double step = WINDOW_CELL_KM;
    for (double y = step / 2; y < thomas->height_km; y += step) {
        for (double x = step / 2; x < thomas->width_km; x += step) {
            if (!point_list_append(entries_out, (struct point){ x, y })) return false;
        }
    }
    return true;
}

int thomas_simulate(const struct thomas *thomas, uint64_t seed, struct point_list *places_out,
                    struct point_list *entries_out)
{
    struct stream stream = stream_open(seed, STREAM_THOMAS, 0);
    struct point_list parents = { 0 };
    bool enough = lay_lattice(thomas, entries_out);
    for (uint32_t k = 0; enough && k < thomas->n_parents; k++) {
        enough = point_list_append(&parents, draw_parent(thomas, &stream));
    }
    enough = enough && draw_places(thomas, &stream, &parents, places_out);
    point_list_free(&parents);
    if (enough) return 0;
    point_list_free(places_out);
    point_list_free(entries_out);
    fputs("places: no memory for the simulated places\n", stderr);
    return -1;
}

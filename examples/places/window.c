/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window.c - the observation window as a set of 25 km cells.
 *
 * Why cells      the overlap of the window with its shifted copy, which the edge correction divides by, is known
 * exactly: for shifts of whole cells it is a count, and between them it is bilinear (two unit squares overlap in (1 -
 * |u|)(1 - |v|)). No coastline to intersect, and a weight costs four loads.
 */
#include "window.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Shifts of up to 300 km, and one cell more on either side to interpolate. */
enum { LAGS = 300 / WINDOW_CELL_KM + 1, WIDTH = 2 * LAGS + 1, MAX_CELLS = 4000000 };

struct window {
    struct point corner;
    size_t columns, rows;
    size_t count;
    double area;
    double overlap[WIDTH][WIDTH]; /* km2 at a shift of (row - LAGS, column - LAGS) cells */
    uint32_t cells[];             /* row * columns + column, ascending */
};

/* Which cells of the rectangle belong: the sketch from which the window is made. */
struct mask {
    struct point corner;
    size_t columns, rows;
    unsigned char *is_inside;
};

static double round_down(double km)
{
    return floor(km / WINDOW_CELL_KM) * WINDOW_CELL_KM;
}

static bool mask_open(struct mask *mask_out, const struct point_list *entries, double margin_km)
{
    struct point low = entries->items[0];
    struct point high = entries->items[0];
    for (size_t k = 1; k < entries->count; k++) {
        low = (struct point){ fmin(low.x, entries->items[k].x), fmin(low.y, entries->items[k].y) };
        high = (struct point){ fmax(high.x, entries->items[k].x), fmax(high.y, entries->items[k].y) };
    }
    struct point corner = { round_down(low.x - margin_km), round_down(low.y - margin_km) };
    double columns = floor((high.x + margin_km - corner.x) / WINDOW_CELL_KM) + 1;
    double rows = floor((high.y + margin_km - corner.y) / WINDOW_CELL_KM) + 1;
    if (!(columns * rows <= MAX_CELLS)) return false;
    *mask_out = (struct mask){ corner, (size_t)columns, (size_t)rows, NULL };
    mask_out->is_inside = calloc(mask_out->columns * mask_out->rows, 1);
    return mask_out->is_inside != NULL;
}

/* The first and one past the last of n cells whose centres can lie within margin_km of where an entry is. */
static void cell_range(double offset_km, double margin_km, size_t n, size_t range_out[2])
{
    double first = floor((offset_km - margin_km) / WINDOW_CELL_KM);
    double last = floor((offset_km + margin_km) / WINDOW_CELL_KM) + 1;
    range_out[0] = (size_t)fmax(first, 0);
    range_out[1] = (size_t)fmin(last, (double)n);
}

static void mask_around(const struct mask *mask, struct point entry, double margin_km)
{
    size_t across[2], along[2];
    double east = entry.x - mask->corner.x;
    double north = entry.y - mask->corner.y;
    cell_range(east, margin_km, mask->columns, across);
    cell_range(north, margin_km, mask->rows, along);
    for (size_t row = along[0]; row < along[1]; row++) {
        for (size_t column = across[0]; column < across[1]; column++) {
            double dx = ((double)column + 0.5) * WINDOW_CELL_KM - east;
            double dy = ((double)row + 0.5) * WINDOW_CELL_KM - north;
            if (dx * dx + dy * dy <= margin_km * margin_km) mask->is_inside[row * mask->columns + column] = 1;
        }
    }
}

/* How many cells have their partner (up, right) cells away inside too; up and right may be negative. */
static size_t count_partners(const struct mask *mask, long up, long right)
{
    long rows = (long)mask->rows;
    long columns = (long)mask->columns;
    size_t count = 0;
    for (long row = up < 0 ? -up : 0; row < rows - (up > 0 ? up : 0); row++) {
        const unsigned char *here = mask->is_inside + row * columns;
        const unsigned char *there = here + up * columns + right;
        for (long column = right < 0 ? -right : 0; column < columns - (right > 0 ? right : 0); column++) {
            count += here[column] & there[column];
        }
    }
    return count;
}

static void measure_overlaps(struct window *window, const struct mask *mask)
{
    const double cell_area = (double)WINDOW_CELL_KM * WINDOW_CELL_KM;
    for (long up = 0; up <= LAGS; up++) {
        for (long right = -LAGS; right <= LAGS; right++) {
            double area = cell_area * (double)count_partners(mask, up, right);
            window->overlap[LAGS + up][LAGS + right] = area;
            window->overlap[LAGS - up][LAGS - right] = area;
        }
    }
}

static struct window *window_from_mask(const struct mask *mask)
{
    size_t in_rectangle = mask->columns * mask->rows;
    size_t count = 0;
    for (size_t k = 0; k < in_rectangle; k++) count += mask->is_inside[k];
    struct window *window = malloc(sizeof *window + count * sizeof window->cells[0]);
    if (!window) return NULL;
    window->corner = mask->corner;
    window->columns = mask->columns;
    window->rows = mask->rows;
    window->count = 0;
    for (size_t k = 0; k < in_rectangle; k++) {
        if (mask->is_inside[k]) window->cells[window->count++] = (uint32_t)k;
    }
    window->area = (double)count * WINDOW_CELL_KM * WINDOW_CELL_KM;
    measure_overlaps(window, mask);
    return window;
}

struct window *window_create(const struct point_list *entries, double margin_km)
{
    struct window *window = NULL;
    struct mask mask = { 0 };
    if (mask_open(&mask, entries, margin_km)) {
        for (size_t k = 0; k < entries->count; k++) mask_around(&mask, entries->items[k], margin_km);
        window = window_from_mask(&mask);
    }
    free(mask.is_inside);
    if (!window) fputs("places: no memory for the window, or entries too far apart\n", stderr);
    return window;
}

size_t window_nbytes(const struct window *window)
{
    return sizeof *window + window->count * sizeof window->cells[0];
}

double window_area(const struct window *window)
{
    return window->area;
}

struct point window_corner(const struct window *window)
{
    return window->corner;
}

size_t window_columns(const struct window *window)
{
    return window->columns;
}

size_t window_rows(const struct window *window)
{
    return window->rows;
}

size_t window_count(const struct window *window)
{
    return window->count;
}

struct point window_cell(const struct window *window, size_t k)
{
    size_t row = window->cells[k] / window->columns;
    size_t column = window->cells[k] % window->columns;
    return (struct point){ window->corner.x + (double)column * WINDOW_CELL_KM,
                           window->corner.y + (double)row * WINDOW_CELL_KM };
}

struct point window_draw(const struct window *window, struct stream *stream)
{
    struct point point = window_cell(window, stream_below(stream, (uint32_t)window->count));
    point.x += WINDOW_CELL_KM * stream_uniform(stream);
    point.y += WINDOW_CELL_KM * stream_uniform(stream);
    return point;
}

double window_weight(const struct window *window, double east_km, double north_km)
{
    double right = east_km / WINDOW_CELL_KM + LAGS;
    double up = north_km / WINDOW_CELL_KM + LAGS;
    size_t column = (size_t)right;
    size_t row = (size_t)up;
    double u = right - (double)column;
    double v = up - (double)row;
    const double *low = &window->overlap[row][column];
    const double *high = &window->overlap[row + 1][column];
    double overlap = (1 - v) * ((1 - u) * low[0] + u * low[1]) + v * ((1 - u) * high[0] + u * high[1]);
    return window->area / overlap;
}

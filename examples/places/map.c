/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map.c - counts places per cell and paints the cells, one SVG path for each shade.
 */
#include "map.h"

#include <math.h>
#include <stdlib.h>

/* A cell of shade k holds from fewest[k] places on. The first is the window itself. */
enum { SHADES = 6, SWATCH = 13 };
static const unsigned fewest[SHADES] = { 0, 1, 2, 4, 8, 16 };
static const char *const colours[SHADES] = { "#edf0f2", "#c9dcec", "#93bfdf", "#4a93c6", "#1d629f", "#0a3260" };
static const char *const labels[SHADES] = { "0", "1", "2–3", "4–7", "8–15", "16 or more" };

static size_t shade_of(unsigned count)
{
    size_t shade = SHADES - 1;
    while (count < fewest[shade]) shade--;
    return shade;
}

static void count_places(const struct picture *picture, unsigned *counts)
{
    struct point corner = window_corner(picture->window);
    for (size_t k = 0; k < picture->n_places; k++) {
        size_t column = (size_t)((picture->places[k].x - corner.x) / WINDOW_CELL_KM);
        size_t row = (size_t)((picture->places[k].y - corner.y) / WINDOW_CELL_KM);
        counts[row * window_columns(picture->window) + column]++;
    }
}

/* Coordinates are cells, north up; runs of cells of one shade in a row become one rectangle. */
static void paint_shade(FILE *file, const struct picture *picture, const unsigned *counts, size_t shade)
{
    const struct window *window = picture->window;
    struct point corner = window_corner(window);
    size_t columns = window_columns(window);
    fprintf(file, "<path fill=\"%s\" d=\"", colours[shade]);
    for (size_t k = 0; k < window_count(window);) {
        struct point cell = window_cell(window, k);
        size_t column = (size_t)((cell.x - corner.x) / WINDOW_CELL_KM);
        size_t row = (size_t)((cell.y - corner.y) / WINDOW_CELL_KM);
        size_t run = 0;
        while (k < window_count(window) && column + run < columns) {
            struct point next = window_cell(window, k);
            bool is_next = next.y == cell.y && next.x == cell.x + (double)run * WINDOW_CELL_KM;
            if (!is_next || shade_of(counts[row * columns + column + run]) != shade) break;
            run++;
            k++;
        }
        if (run) fprintf(file, "M%zu %zuh%zuv1h-%zuz", column, window_rows(window) - 1 - row, run, run);
        if (!run) k++;
    }
    fputs("\"/>\n", file);
}

static void draw_key(FILE *file, double left, double top)
{
    static const double advance[SHADES] = { 38, 38, 50, 50, 56, 0 };
    double x = left;
    for (size_t shade = 0; shade < SHADES; shade++) {
        fprintf(file,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%d\" fill=\"%s\" stroke=\"#c3ccd3\" "
                "stroke-width=\".5\"/>\n",
                x, top, SWATCH, SWATCH, colours[shade]);
        fprintf(file, "<text class=\"small\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", x + SWATCH + 5, top + SWATCH - 2.5,
                labels[shade]);
        x += advance[shade];
    }
}

double map_draw(FILE *file, const struct picture *picture, double left, double top, double width, double height)
{
    double columns = (double)window_columns(picture->window);
    double rows = (double)window_rows(picture->window);
    double scale = fmin(width / columns, height / rows);
    unsigned *counts = calloc((size_t)(columns * rows), sizeof *counts);
    if (!counts) return 0;
    count_places(picture, counts);
    /* crispEdges: without it neighbouring cells show hairlines of the background between them. */
    fprintf(file, "<g transform=\"translate(%.2f %.2f) scale(%.5f)\" shape-rendering=\"crispEdges\">\n",
            left + (width - scale * columns) / 2, top, scale);
    for (size_t shade = 0; shade < SHADES; shade++) paint_shade(file, picture, counts, shade);
    fputs("</g>\n", file);
    free(counts);
    draw_key(file, left + 8, top + scale * rows + 14);
    return scale * rows + 14 + SWATCH;
}

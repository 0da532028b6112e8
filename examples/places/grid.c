/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * grid.c - finds all pairs of points within reach by looking into near squares only.
 *
 *      + + + + + + + + +        The squares that point i (square o) looks into. Squares are numbered row by row and
 * points
 *      + + + + + + + + +        are sorted by square, so each row of + is one run of points: five runs, no lists.
 *      + + + + + + + + +        What lies before o has looked here already.
 *      + + + + + + + + +
 *              o + + + +
 */
#include "grid.h"

#include <math.h>
#include <string.h>

/* Squares of a quarter of the reach: of the points looked at, six in ten are near enough. */
enum { NEAR = 4, SQUARE_KM = GRID_REACH_KM / NEAR };

static size_t squares_for(size_t cells)
{
    return cells * WINDOW_CELL_KM / SQUARE_KM + 1;
}

size_t grid_nbytes(const struct window *window, size_t n)
{
    size_t squares = squares_for(window_columns(window)) * squares_for(window_rows(window));
    return n * sizeof(struct point) + (squares + 1) * sizeof(uint32_t);
}

static size_t square_of(const struct grid *grid, struct point point)
{
    size_t column = (size_t)((point.x - grid->corner.x) / SQUARE_KM);
    size_t row = (size_t)((point.y - grid->corner.y) / SQUARE_KM);
    return row * grid->columns + column;
}

/* Counting sort. Afterwards first[k] is where square k begins. */
static void sort_points(struct grid *grid, const struct point *points)
{
    size_t squares = grid->columns * grid->rows;
    memset(grid->first, 0, (squares + 1) * sizeof grid->first[0]);
    for (size_t k = 0; k < grid->count; k++) grid->first[square_of(grid, points[k])]++;
    uint32_t end = 0;
    for (size_t square = 0; square <= squares; square++) {
        end += grid->first[square];
        grid->first[square] = end;
    }
    for (size_t k = grid->count; k-- > 0;) grid->points[--grid->first[square_of(grid, points[k])]] = points[k];
}

struct grid grid_build(const struct window *window, const struct point *points, size_t n, void *memory)
{
    struct grid grid = { 0 };
    grid.corner = window_corner(window);
    grid.columns = squares_for(window_columns(window));
    grid.rows = squares_for(window_rows(window));
    grid.count = n;
    grid.points = memory;
    grid.first = (uint32_t *)(void *)(grid.points + n);
    sort_points(&grid, points);
    return grid;
}

/* Pairs of point i with the run of points [begin, end). */
static void visit_run(const struct grid *grid, uint32_t i, uint32_t begin, uint32_t end, grid_visitor visit,
                      void *state)
{
    const struct point here = grid->points[i];
    for (uint32_t j = begin; j < end; j++) {
        struct point shift = { grid->points[j].x - here.x, grid->points[j].y - here.y };
        double square = shift.x * shift.x + shift.y * shift.y;
        if (square < (double)GRID_REACH_KM * GRID_REACH_KM) visit(state, i, j, sqrt(square), shift);
    }
}

static void visit_square(const struct grid *grid, size_t row, size_t column, grid_visitor visit, void *state)
{
    const uint32_t *first = grid->first;
    size_t square = row * grid->columns + column;
    size_t left = column < NEAR ? column : NEAR;
    size_t right = grid->columns - 1 - column < NEAR ? grid->columns - 1 - column : NEAR;
    for (uint32_t i = first[square]; i < first[square + 1]; i++) {
        visit_run(grid, i, i + 1, first[square + right + 1], visit, state);
        for (size_t up = 1; up <= NEAR && row + up < grid->rows; up++) {
            size_t above = square + up * grid->columns;
            visit_run(grid, i, first[above - left], first[above + right + 1], visit, state);
        }
    }
}

void grid_each_pair(const struct grid *grid, grid_visitor visit, void *state)
{
    for (size_t row = 0; row < grid->rows; row++) {
        for (size_t column = 0; column < grid->columns; column++) visit_square(grid, row, column, visit, state);
    }
}

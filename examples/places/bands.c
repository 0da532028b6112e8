/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bands.c - quantiles of many curves, distance by distance, and the table of them.
 */
#include "bands.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Of n sorted values leave out rank - 1 on either side, rank = (n + 1) tail: with 999 replicates the 25th and the 975th
 * (Davison and Hinkley 1997, section 5.2). */
static size_t rank_of(size_t n, double tail)
{
    double rank = floor(((double)n + 1) * tail + 1e-9);
    return rank < 1 ? 1 : (size_t)rank;
}

bool band_of_rows(struct band *band_out, const double *rows, size_t n, double tail)
{
    double *column = malloc(n * sizeof *column);
    if (!column) return false;
    size_t rank = rank_of(n, tail);
    for (size_t k = 0; k < RIPLEY_CLASSES; k++) {
        for (size_t row = 0; row < n; row++) column[row] = rows[row * RIPLEY_CLASSES + k];
        qsort(column, n, sizeof *column, compare);
        band_out->low[k] = column[rank - 1];
        band_out->high[k] = column[n - rank];
    }
    free(column);
    return true;
}

void bands_print(FILE *file, const struct bands *bands)
{
    fputs("           L(r) - r of       bootstrap            chance\n"
          "  r, km     the places     2.5 %   97.5 %      lowest  highest\n",
          file);
    for (size_t k = 0; k < RIPLEY_CLASSES; k++) {
        bool is_shown = k == 0 || k == 1 || (k + 1) % 4 == 0; /* 5, 10, then every 20 km */
        if (!is_shown) continue;
        fprintf(file, "%7.0f  %13.3f  %8.3f %8.3f    %8.3f %8.3f\n", ripley_distance(k), bands->data[k],
                bands->bootstrap.low[k], bands->bootstrap.high[k], bands->envelope.low[k], bands->envelope.high[k]);
    }
}

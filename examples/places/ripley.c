/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ripley.c - the estimator, in one place: data, bootstrap and simulations all pass through ripley_from_sums.
 *
 *     K(r) = |W| / (n (n - 1)) * sum over i != j of [d_ij < r] * |W| / |W and W shifted by x_j - x_i|
 *     L(r) = sqrt(K(r) / pi),    so that L(r) - r is 0 when the places ignore each other.
 */
#include "ripley.h"

#include <math.h>

double ripley_distance(size_t k)
{
    return (double)(k + 1) * RIPLEY_STEP_KM;
}

size_t ripley_class(double distance)
{
    /* A distance just below the reach may round up to it. */
    size_t class = (size_t)(distance / RIPLEY_STEP_KM);
    return class < RIPLEY_CLASSES ? class : RIPLEY_CLASSES - 1;
}

void ripley_from_sums(const double sums[RIPLEY_CLASSES], double area, double ordered_pairs,
                      double row_out[RIPLEY_CLASSES])
{
    static const double pi = 3.141592653589793;
    double sum = 0;
    for (size_t k = 0; k < RIPLEY_CLASSES; k++) {
        sum += 2 * sums[k]; /* each pair was summed once, and counts from both its ends */
        double k_of_r = ordered_pairs > 0 ? area * sum / ordered_pairs : 0; /* of few places all draws may be of one */
        row_out[k] = sqrt(k_of_r / pi) - ripley_distance(k);
    }
}

struct tally {
    const struct window *window;
    double sums[RIPLEY_CLASSES];
};

static void add_pair(void *state, uint32_t i, uint32_t j, double distance, struct point shift)
{
    (void)i;
    (void)j;
    struct tally *tally = state;
    tally->sums[ripley_class(distance)] += window_weight(tally->window, shift.x, shift.y);
}

void ripley_of_grid(const struct window *window, const struct grid *grid, double row_out[RIPLEY_CLASSES])
{
    struct tally tally = { window, { 0 } };
    double n = (double)grid->count;
    grid_each_pair(grid, add_pair, &tally);
    ripley_from_sums(tally.sums, window_area(window), n * (n - 1), row_out);
}

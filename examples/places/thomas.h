/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * thomas.h - a made-up country of clustered places, for when there are no data.
 */
#ifndef PLACES_THOMAS_H
#define PLACES_THOMAS_H

#include "plane.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Places scatter normally (standard deviation spread_km) about parents that nobody sees (Thomas 1949). */
struct thomas {
    double width_km, height_km, spread_km;
    uint32_t n_parents;
    uint32_t n_places;
};

struct thomas thomas_country(void);
/* places_out: the process, in km. entries_out: the centres of the window's cells, which together are the rectangle. -1
 * and a line on stderr when there is no memory. */
int thomas_simulate(const struct thomas *thomas, uint64_t seed, struct point_list *places_out,
                    struct point_list *entries_out);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pairs.h - the list of all pairs closer than 300 km: for the United States 25.1 million, 401 MB.
 */
#ifndef PLACES_PAIRS_H
#define PLACES_PAIRS_H

#include "ripley.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pair {
    uint32_t i, j;
    double weight; /* edge correction: window_weight of the shift between the two */
};

/* Pairs by class of distance: those of class k are items[first[k]] .. items[first[k + 1] - 1]. */
struct pair_list {
    struct pair *items; /* plain malloc memory: parloom_in does the rest */
    size_t first[RIPLEY_CLASSES + 1];
};

/* false: no memory. */
bool pairs_create(struct pair_list *list_out, const struct window *window, const struct grid *grid);
size_t pairs_count(const struct pair_list *list);
size_t pairs_nbytes(const struct pair_list *list);
void pairs_free(struct pair_list *list);

#ifdef __cplusplus
}
#endif
#endif

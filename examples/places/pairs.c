/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pairs.c - makes the list in two walks over the grid: the first counts, the second writes each pair where it belongs.
 *
 * Why sorted by distance   a replicate then sums one class after the other without asking each pair how long it is.
 */
#include "pairs.h"

#include <stdlib.h>

struct filler {
    const struct window *window;
    struct pair *items;
    size_t next[RIPLEY_CLASSES]; /* how many pairs of the class, then: where its next pair goes */
};

static void count_pair(void *state, uint32_t i, uint32_t j, double distance, struct point shift)
{
    (void)i;
    (void)j;
    (void)shift;
    ((struct filler *)state)->next[ripley_class(distance)]++;
}

static void write_pair(void *state, uint32_t i, uint32_t j, double distance, struct point shift)
{
    struct filler *filler = state;
    struct pair *pair = &filler->items[filler->next[ripley_class(distance)]++];
    *pair = (struct pair){ i, j, window_weight(filler->window, shift.x, shift.y) };
}

bool pairs_create(struct pair_list *list_out, const struct window *window, const struct grid *grid)
{
    struct filler filler = { .window = window };
    struct pair_list list = { 0 };
    grid_each_pair(grid, count_pair, &filler);
    for (size_t k = 0; k < RIPLEY_CLASSES; k++) {
        list.first[k + 1] = list.first[k] + filler.next[k];
        filler.next[k] = list.first[k];
    }
    list.items = malloc(pairs_nbytes(&list) + 1); /* never 0 bytes, which malloc may answer with NULL */
    if (!list.items) return false;
    filler.items = list.items;
    grid_each_pair(grid, write_pair, &filler);
    *list_out = list;
    return true;
}

size_t pairs_count(const struct pair_list *list)
{
    return list->first[RIPLEY_CLASSES];
}

size_t pairs_nbytes(const struct pair_list *list)
{
    return pairs_count(list) * sizeof(struct pair);
}

void pairs_free(struct pair_list *list)
{
    free(list->items);
    *list = (struct pair_list){ 0 };
}

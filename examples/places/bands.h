/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bands.h - the answer: the curve of the data, how sure it is, and what chance would have given.
 */
#ifndef PLACES_BANDS_H
#define PLACES_BANDS_H

#include "ripley.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* L(r) - r in km for each distance. */
struct band {
    double low[RIPLEY_CLASSES], high[RIPLEY_CLASSES];
};

struct bands {
    double data[RIPLEY_CLASSES];
    struct band bootstrap; /* 2.5 and 97.5 per cent of the replicates */
    struct band envelope;  /* smallest and largest simulation */
};

/* The range that leaves the fraction tail of the n rows out on either side; 0: all of them. false: no memory. */
bool band_of_rows(struct band *band_out, const double *rows, size_t n, double tail);

void bands_print(FILE *file, const struct bands *bands);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bootstrap.h - how sure is L(r)? Draw the places again, with replacement, and look how it varies.
 */
#ifndef PLACES_BOOTSTRAP_H
#define PLACES_BOOTSTRAP_H

#include "pairs.h"

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Row k of rows (replicates x RIPLEY_CLASSES, f64) becomes L(r) - r of replicate k, in parallel as options say. The
 * same bits on every backend. n: how many places the pairs are of.
 */
parloom_status bootstrap_run(const parloom_array *rows, const struct pair_list *pairs, size_t n, double area,
                             uint64_t seed, const parloom_options *options, parloom_error *error);

/* L(r) - r of the places themselves: the replicate in which each was drawn once. false: no memory. */
bool bootstrap_of_data(const struct pair_list *pairs, size_t n, double area, double row_out[RIPLEY_CLASSES]);

#ifdef __cplusplus
}
#endif
#endif

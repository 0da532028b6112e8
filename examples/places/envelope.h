/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * envelope.h - what would chance do? As many points, thrown at random into the same window, again and again.
 */
#ifndef PLACES_ENVELOPE_H
#define PLACES_ENVELOPE_H

#include "ripley.h"

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Row k of rows (simulations x RIPLEY_CLASSES, f64) becomes L(r) - r of simulation k: n points of complete spatial
 * randomness, measured as the data are. The same bits on every backend. */
parloom_status envelope_run(const parloom_array *rows, const struct window *window, size_t n, uint64_t seed,
                            const parloom_options *options, parloom_error *error);

#ifdef __cplusplus
}
#endif
#endif

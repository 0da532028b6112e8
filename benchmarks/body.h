/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * body.h - the work inside the measured tasks: one object file for parloom, for the C and C++ peers and, as
 * libbench_body.so, for the Python peers.
 *
 * Timed work is a calibrated chain of dependent arithmetic, not a loop that reads the clock: when the operating system
 * takes the CPU away, such a loop would count the stolen time as work done.
 */
#ifndef BENCHMARKS_BODY_H
#define BENCHMARKS_BODY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum body_kind { BODY_EMPTY, BODY_STORE, BODY_SPIN };

void body_empty(size_t index);
void body_store(size_t index, double *out); /* out[index] */
uint64_t body_spin(uint64_t steps);
void body_fill(double *row, size_t count, double value);
/* Reads one byte of each page of 4 KiB; returns their sum, so that no compiler leaves it out. */
uint64_t body_touch(const void *data, size_t nbytes);

/* Steps of body_spin that take this long on a quiet CPU (the best of several tries). */
uint64_t body_steps_for(double ns);

#ifdef __cplusplus
}
#endif
#endif

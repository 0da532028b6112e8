/* SPDX-License-Identifier: BSD-3-Clause */
/* product.h - work that OpenMP does with all threads it may have, as a BLAS would. */
#ifndef LOOM_TESTS_CONFORMANCE_PRODUCT_H
#define LOOM_TESTS_CONFORMANCE_PRODUCT_H

#ifdef __cplusplus
extern "C" {
#endif

/* The sum of a product of two matrices of ones; the same whatever the number of threads. */
double product_by_openmp(void);

/* How many threads the team of a parallel region has here. */
int team_of_openmp(void);

#ifdef __cplusplus
}
#endif
#endif

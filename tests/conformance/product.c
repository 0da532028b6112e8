/* SPDX-License-Identifier: BSD-3-Clause */
#include "conformance/product.h"

#include <omp.h>

enum { SIDE = 20 };

double product_by_openmp(void)
{
    double a[SIDE][SIDE], c[SIDE][SIDE], sum = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) a[i][j] = 1;
#pragma omp parallel for
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            c[i][j] = 0;
            for (int k = 0; k < SIDE; k++) c[i][j] += a[i][k] * a[k][j];
        }
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) sum += c[i][j];
    return sum;
}

int team_of_openmp(void)
{
    int count = 0;
#pragma omp parallel
#pragma omp single
    count = omp_get_num_threads();
    return count;
}

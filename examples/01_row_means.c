/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 01_row_means.c - the mean of every row of a matrix, on every backend: one word changes, the bits do not.
 *
 * The matrix is plain malloc memory. Threads read it where it is; for processes its 32 MB are spilled once to shared
 * memory, and the means, plain memory too, are copied back when the loop ends.
 */
#include <parloom/parloom.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 4096, COLUMNS = 1024 };

static int row_mean(const parloom_task *task, void *const *args)
{
    (void)task;
    const double *row = args[0]; /* of this task: parloom_each has gone to it */
    double *mean = args[1];
    double sum = 0;
    for (int k = 0; k < COLUMNS; k++) sum += row[k];
    *mean = sum / COLUMNS;
    return 0;
}

static int compute(const double *matrix, double *means, const char *backend)
{
    parloom_error error;
    parloom_arg args[] = {
        parloom_each(parloom_in(matrix, sizeof(double) * ROWS * COLUMNS), sizeof(double) * COLUMNS),
        parloom_each(parloom_out(means, sizeof(double) * ROWS), sizeof(double)),
    };
    if (parloom_for(ROWS, row_mean, args, 2, PARLOOM_OPTIONS(.backend = backend, .n_jobs = -1), &error) == PARLOOM_OK) {
        return 0;
    }
    fprintf(stderr, "%s: %s\n", backend, error.message);
    return -1;
}

/* Prints a line for each backend; -1 when one could not run or has other bits than the first. */
static int compare_backends(const double *matrix, double *expected, double *means)
{
    static const char *const backends[] = { "sequential", "threads", "processes", "fork" };
    if (compute(matrix, expected, backends[0]) != 0) return -1;
    for (int b = 0; b < 4; b++) {
        memset(means, 0xff, sizeof(double) * ROWS);
        if (compute(matrix, means, backends[b]) != 0) return -1;
        int is_same = memcmp(means, expected, sizeof(double) * ROWS) == 0;
        printf("%-10s  mean of row 0 %.3f, of row %d %.3f, %s\n", backends[b], means[0], ROWS - 1, means[ROWS - 1],
               is_same ? "same bits" : "OTHER BITS");
        if (!is_same) return -1;
    }
    return 0;
}

int main(void)
{
    double *matrix = malloc(sizeof(double) * ROWS * COLUMNS);
    double *means = malloc(sizeof(double) * ROWS);
    double *expected = malloc(sizeof(double) * ROWS);
    int result = -1;
    if (matrix && means && expected) {
        for (size_t k = 0; k < (size_t)ROWS * COLUMNS; k++) matrix[k] = (double)(k % 1009) / 7;
        result = compare_backends(matrix, expected, means);
    }
    free(expected);
    free(means);
    free(matrix);
    return result == 0 ? 0 : 1;
}

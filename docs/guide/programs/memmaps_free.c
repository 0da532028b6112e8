/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROWS = 4, COLUMNS = 250000 };

static int sum_row(const parloom_task *task, void *const *args)
{
    const parloom_array *matrix = args[0];
    const double *row = (const double *)matrix->data + task->index * matrix->shape[1];
    double sum = 0;
    for (size_t k = 0; k < matrix->shape[1]; k++) sum += row[k];
    ((double *)args[1])[task->index] = sum;
    return 0;
}

static double *compute(void)
{
    double *values = malloc(ROWS * COLUMNS * sizeof *values);
    for (size_t k = 0; values != NULL && k < (size_t)ROWS * COLUMNS; k++) values[k] = (double)(k / COLUMNS + 1);
    return values;
}

int main(void)
{
    const char *path = "guide_matrix.npy";
    const size_t shape[] = { ROWS, COLUMNS };
    double sums[ROWS];
    parloom_array matrix;
    parloom_error error;

    double *values = compute();
    if (values == NULL) return 1;
    parloom_array private = parloom_array_wrap(values, PARLOOM_F64, 2, shape);
    if (parloom_array_dump(&private, path, NULL, 0, &error) != PARLOOM_OK) return 1;
    free(values); /* from here on the file is the only copy */

    if (parloom_array_load(&matrix, path, PARLOOM_MMAP_R, &error) != PARLOOM_OK) return 1;
    parloom_report report = { .struct_size = sizeof report };
    parloom_arg args[] = { parloom_in_array(&matrix), parloom_out(sums, sizeof sums) };
    const parloom_options *options = PARLOOM_OPTIONS(.n_jobs = 2, .report = &report);
    if (parloom_for(ROWS, sum_row, args, 2, options, &error) != PARLOOM_OK) return 1;
    printf("sums %g %g %g %g, copied of the matrix: %zu bytes\n", sums[0], sums[1], sums[2], sums[3],
           (size_t)report.spilled_nbytes);
    parloom_array_release(&matrix);
    return unlink(path);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <stdlib.h>

enum { COUNT = 300000 };

static int sum_row(const parloom_task *task, void *const *args)
{
    const parloom_array *matrix = args[0];
    const double *row = (const double *)matrix->data + task->index * matrix->shape[1];
    double sum = 0;
    for (size_t k = 0; k < matrix->shape[1]; k++) sum += row[k];
    *(double *)args[1] = sum;
    *(int *)args[2] = parloom_array_is_memmap(matrix);
    return 0;
}

static void call(double *values, size_t columns, size_t max_nbytes)
{
    double sums[3];
    int is_memmap[3];
    const size_t shape[] = { 3, columns };
    parloom_array matrix = parloom_array_wrap(values, PARLOOM_F64, 2, shape);
    parloom_arg args[] = { parloom_in_array(&matrix), parloom_each(parloom_out(sums, sizeof sums), sizeof sums[0]),
                           parloom_each(parloom_out(is_memmap, sizeof is_memmap), sizeof is_memmap[0]) };
    parloom_error error;
    if (parloom_for(3, sum_row, args, 3, PARLOOM_OPTIONS(.n_jobs = 2, .max_nbytes = max_nbytes), &error) != PARLOOM_OK)
        printf("%s\n", error.message);
    printf("%7zu bytes: sum %g, %s\n", parloom_array_nbytes(&matrix), sums[2], is_memmap[2] ? "memmap" : "inline");
}

int main(void)
{
    double *values = malloc(COUNT * sizeof *values);
    if (values == NULL) return 1;
    for (int k = 0; k < COUNT; k++) values[k] = 1;
    call(values, 100, 0); /* 0: what is set around the call, else 1 MiB */
    call(values, COUNT / 3, 0);
    call(values, 100, 1000);
    call(values, COUNT / 3, PARLOOM_NEVER);
    free(values);
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <unistd.h>

enum { ROWS = 1000, COLUMNS = 500 };

static int sum_row(const parloom_task *task, void *const *args)
{
    const parloom_array *rows = args[0];
    const char *row = (const char *)rows->data + (ptrdiff_t)task->index * rows->strides[0];
    double *sum = args[1];
    for (size_t k = 0; k < rows->shape[1]; k++) *sum += ((const double *)row)[k];
    return 0;
}

int main(void)
{
    const char *path = "guide_matrix.npy";
    const size_t shape[] = { ROWS, COLUMNS };
    double sums[ROWS / 10] = { 0 };
    parloom_array matrix, mapped, tenth;
    parloom_error error;

    if (parloom_array_create(&matrix, PARLOOM_F64, 2, shape, &error) != PARLOOM_OK) return 1;
    for (int k = 0; k < ROWS * COLUMNS; k++) ((double *)matrix.data)[k] = k / COLUMNS;
    if (parloom_array_dump(&matrix, path, NULL, 0, &error) != PARLOOM_OK) return 1; /* NumPy reads it, too */
    parloom_array_release(&matrix);

    if (parloom_array_load(&mapped, path, PARLOOM_MMAP_R, &error) != PARLOOM_OK ||
        parloom_array_slice(&tenth, &mapped, 0, 0, ROWS, 10, &error) != PARLOOM_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    parloom_arg args[] = { parloom_in_array(&tenth), parloom_each(parloom_inout(sums, sizeof sums), sizeof sums[0]) };
    if (parloom_for(tenth.shape[0], sum_row, args, 2, PARLOOM_OPTIONS(.n_jobs = 2), &error) != PARLOOM_OK) return 1;
    printf("%zu x %zu of %zu rows; sums %g %g %g\n", tenth.shape[0], tenth.shape[1], mapped.shape[0], sums[0], sums[1],
           sums[ROWS / 10 - 1]);
    parloom_array_release(&mapped); /* tenth is a view, and owns nothing */
    return unlink(path);
}

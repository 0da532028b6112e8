/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

enum { ROWS = 500, COLUMNS = 1000 };

static int scale_row(const parloom_task *task, void *const *args)
{
    const parloom_array *in = args[0];
    const parloom_array *out = args[1];
    const double *from = (const double *)in->data + task->index * COLUMNS;
    double *to = (double *)out->data + task->index * COLUMNS;
    for (int k = 0; k < COLUMNS; k++) to[k] = 2 * from[k];
    return 0;
}

int main(void)
{
    const size_t shape[] = { ROWS, COLUMNS };
    parloom_array in, out;
    parloom_error error;
    parloom_report report = { .struct_size = sizeof report };
    if (parloom_array_create(&in, PARLOOM_F64, 2, shape, &error) != PARLOOM_OK ||
        parloom_array_create(&out, PARLOOM_F64, 2, shape, &error) != PARLOOM_OK)
        return 1;
    for (int k = 0; k < ROWS * COLUMNS; k++) ((double *)in.data)[k] = k;
    parloom_arg args[] = { parloom_in_array(&in), parloom_out_array(&out) };
    if (parloom_for(ROWS, scale_row, args, 2, PARLOOM_OPTIONS(.n_jobs = 2, .report = &report), &error) != PARLOOM_OK)
        return 1;
    printf("%g; %zu bytes spilled, %zu copied back\n", ((double *)out.data)[ROWS * COLUMNS - 1], report.spilled_nbytes,
           report.returned_nbytes);
    parloom_array_release(&out);
    parloom_array_release(&in);
    return 0;
}

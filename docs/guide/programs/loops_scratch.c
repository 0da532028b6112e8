/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 4, COLUMNS = 5 };

static int compare(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static int median(const parloom_task *task, void *const *args)
{
    double *sorted = parloom_scratch(task, COLUMNS * sizeof *sorted); /* made once for a worker, not for a task */
    if (sorted == NULL) return parloom_fail(task, 1, "no memory");
    memcpy(sorted, args[0], COLUMNS * sizeof *sorted);
    qsort(sorted, COLUMNS, sizeof *sorted, compare);
    *(double *)args[1] = sorted[COLUMNS / 2];
    return 0;
}

int main(void)
{
    const double rows[ROWS][COLUMNS] = { { 5, 3, 1, 4, 2 }, { 9, 9, 1, 9, 1 }, { 0, 0, 7, 8, 9 }, { 2, 4, 6, 8, 0 } };
    double medians[ROWS];
    parloom_error error;
    parloom_arg args[] = { parloom_each(parloom_in(rows, sizeof rows), sizeof rows[0]),
                           parloom_each(parloom_out(medians, sizeof medians), sizeof medians[0]) };
    if (parloom_for(ROWS, median, args, 2, PARLOOM_OPTIONS(.n_jobs = 2), &error) != PARLOOM_OK) return 1;
    for (int row = 0; row < ROWS; row++) printf("%g%c", medians[row], row < ROWS - 1 ? ' ' : '\n');
    return 0;
}

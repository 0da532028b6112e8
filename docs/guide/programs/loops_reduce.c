/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

enum { COUNT = 100000 };

static int add(const parloom_task *task, void *const *args)
{
    double *sum = args[0]; /* of a block of tasks: nobody else writes it now */
    for (size_t i = task->begin; i < task->end; i++) *sum += 1 / ((double)i + 1);
    return 0;
}

static void join(void *into, const void *from)
{
    *(double *)into += *(const double *)from;
}

int main(void)
{
    double first = 0;
    for (int n_jobs = 1; n_jobs <= 4; n_jobs++) {
        double sum = 0; /* the neutral element, then the result */
        parloom_arg args[] = { parloom_reduce(&sum, sizeof sum, join) };
        parloom_error error;
        if (parloom_for_range(COUNT, add, args, 1, PARLOOM_OPTIONS(.n_jobs = n_jobs), &error) != PARLOOM_OK) return 1;
        if (n_jobs == 1) first = sum;
        printf("%d: %.6f, %s\n", n_jobs, sum, sum - first == 0 ? "same bits" : "OTHER BITS");
    }
    return 0;
}

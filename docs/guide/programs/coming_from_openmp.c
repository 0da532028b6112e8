/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

enum { COUNT = 1000 };

static void with_openmp(const double *x, double *y, double *sum)
{
    double total = 0;
#pragma omp parallel for schedule(static, 16) reduction(+ : total)
    for (int i = 0; i < COUNT; i++) {
        y[i] = 2 * x[i];
        total += y[i];
    }
    *sum = total;
}

static int body(const parloom_task *task, void *const *args)
{
    const double *x = args[0]; /* what the loop reads */
    double *y = args[1];       /* what it writes, each index its own */
    double *total = args[2];   /* reduction(+ : total) */
    for (size_t i = task->begin; i < task->end; i++) {
        y[i] = 2 * x[i];
        *total += y[i];
    }
    return 0;
}

static void add(void *into, const void *from)
{
    *(double *)into += *(const double *)from;
}

static void with_parloom(const double *x, double *y, double *sum)
{
    parloom_error error;
    *sum = 0;
    parloom_arg args[] = { parloom_in(x, COUNT * sizeof *x), parloom_out(y, COUNT * sizeof *y),
                           parloom_reduce(sum, sizeof *sum, add) };
    if (parloom_for_range(COUNT, body, args, 3, PARLOOM_OPTIONS(.n_jobs = -1, .schedule = PARLOOM_SCHEDULE_STATIC),
                          &error) != PARLOOM_OK)
        fprintf(stderr, "%s\n", error.message);
}

int main(void)
{
    static double x[COUNT], y[COUNT];
    double sum;
    for (int i = 0; i < COUNT; i++) x[i] = i;
    with_openmp(x, y, &sum);
    printf("OpenMP  %g %g\n", y[COUNT - 1], sum);
    with_parloom(x, y, &sum);
    printf("parloom %g %g\n", y[COUNT - 1], sum);
    return 0;
}

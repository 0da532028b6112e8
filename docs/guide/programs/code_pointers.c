/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

static double twice(double x)
{
    return 2 * x;
}

static double square(double x)
{
    return x * x;
}

static double (*const functions[])(double) = { twice, square };

/* Not a pointer travels but its place in a table: each process has the table at an address of its own. */
static int apply(const parloom_task *task, void *const *args)
{
    const int *which = args[0];
    *(double *)args[1] = functions[*which]((double)task->index);
    return 0;
}

int main(void)
{
    const int which[4] = { 0, 1, 0, 1 };
    double results[4];
    parloom_error error;
    parloom_arg args[] = { parloom_each(parloom_in(which, sizeof which), sizeof which[0]),
                           parloom_each(parloom_out(results, sizeof results), sizeof results[0]) };
    if (parloom_for(4, apply, args, 2, PARLOOM_OPTIONS(.n_jobs = 2), &error) != PARLOOM_OK) return 1;
    printf("%g %g %g %g\n", results[0], results[1], results[2], results[3]);
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

static int add(const parloom_task *task, void *const *args)
{
    (void)task;
    *(double *)args[2] = *(const double *)args[0] + *(const double *)args[1];
    return 0;
}

static int count_letters(const parloom_task *task, void *const *args)
{
    (void)task;
    int *count = args[1];
    for (const char *letter = args[0]; *letter != '\0'; letter++) ++*count;
    return 0;
}

int main(void)
{
    const double three = 3, four = 4;
    const char word[] = "parallel";
    double sum;
    int letters = 0;
    parloom_error error;
    parloom_arg first[] = { parloom_in(&three, sizeof three), parloom_in(&four, sizeof four),
                            parloom_out(&sum, sizeof sum) };
    parloom_arg second[] = { parloom_in(word, sizeof word), parloom_inout(&letters, sizeof letters) };
    parloom_call calls[] = { { add, first, 3 }, { count_letters, second, 2 } };
    if (parloom_run(calls, 2, PARLOOM_OPTIONS(.n_jobs = 2), &error) != PARLOOM_OK) return 1;
    printf("%g, %d\n", sum, letters);
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

enum { DAYS = 5, HOURS = 24 };

static int warmest(const parloom_task *task, void *const *args)
{
    const double *hour = args[0]; /* the 24 hours of this task's day */
    double *highest = args[1];    /* its own result */
    *highest = hour[0];
    for (int k = 1; k < HOURS; k++)
        if (hour[k] > *highest) *highest = hour[k];
    return *highest > 100 ? parloom_fail(task, 1, "%g degrees", *highest) : 0;
}

int main(void)
{
    double temperature[DAYS][HOURS], highest[DAYS];
    parloom_error error;
    for (int k = 0; k < DAYS * HOURS; k++) temperature[k / HOURS][k % HOURS] = k % 7 + k / 10;
    parloom_arg args[] = { parloom_each(parloom_in(temperature, sizeof temperature), sizeof temperature[0]),
                           parloom_each(parloom_out(highest, sizeof highest), sizeof highest[0]) };
    if (parloom_for(DAYS, warmest, args, 2, PARLOOM_OPTIONS(.n_jobs = 2), &error) != PARLOOM_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    for (int day = 0; day < DAYS; day++) printf("day %d: %g\n", day, highest[day]);
    return 0;
}

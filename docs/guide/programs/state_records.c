/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

static int clip(const parloom_task *task, void *const *args)
{
    double *value = args[0];
    if (*value <= 10) return 0;
    (void)parloom_record(task, "warnings", value, sizeof *value);
    *value = 10;
    return 0;
}

static void warn(const parloom_recorded *record, void *count)
{
    printf("task %zu: %g was clipped\n", record->task, *(const double *)record->data);
    ++*(int *)count;
}

int main(void)
{
    double values[5] = { 3, 30, 5, 50, 7 };
    int count = 0;
    parloom_error error;
    parloom_arg args[] = { parloom_each(parloom_inout(values, sizeof values), sizeof values[0]) };
    if (parloom_channel_register("warnings", warn, &count, &error) != PARLOOM_OK) return 1;
    if (parloom_for(5, clip, args, 1, PARLOOM_OPTIONS(.n_jobs = 2), &error) != PARLOOM_OK) return 1;
    printf("%d warnings; %g %g %g %g %g\n", count, values[0], values[1], values[2], values[3], values[4]);
    return parloom_channel_unregister("warnings", &error);
}

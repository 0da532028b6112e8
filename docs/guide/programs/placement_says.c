/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

static int nothing(const parloom_task *task, void *const *args)
{
    (void)task, (void)args;
    return 0;
}

int main(void)
{
    char text[1024];
    parloom_error error;
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.n_jobs = 2;
    options.bind = "core";
    options.schedule = PARLOOM_SCHEDULE_STATIC; /* the same rows to the same worker, call after call */
    if (parloom_placement_describe(&options, text, sizeof text, &error) != PARLOOM_OK) return 1;
    printf("%s", text);
    for (int k = 0; k < 3; k++)
        if (parloom_for(100, nothing, NULL, 0, &options, &error) != PARLOOM_OK) return 1;
    options.bind = "4095"; /* a CPU that is not there */
    printf("%s\n", parloom_status_name(parloom_for(100, nothing, NULL, 0, &options, &error)));
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 11_placement.c - who sits where: workers bound to cores or NUMA nodes, pages interleaved over nodes.
 *
 * Workers that stay where they are find their data in the caches and in the memory nearby: with schedule "static" the
 * same rows go to the same worker in every call. From outside: PARLOOM_BIND=core PARLOOM_MEMORY_POLICY=interleave.
 */
#include <parloom/parloom.h>

#include <stdio.h>

enum { COUNT = 1000 };

static int halve(const parloom_task *task, void *const *args)
{
    double *values = args[0];
    values[task->index] *= 0.5;
    return 0;
}

int main(void)
{
    static double values[COUNT];
    const char *binds[] = { "core", "spread", "numa", "none" };
    char text[4096];
    parloom_error error;
    parloom_options options = PARLOOM_OPTIONS_INIT;
    parloom_arg args[] = { parloom_inout(values, sizeof values) };
    options.n_jobs = 2;
    options.schedule = PARLOOM_SCHEDULE_STATIC;
    options.memory_policy = PARLOOM_MEMORY_INTERLEAVE;
    for (int k = 0; k < COUNT; k++) values[k] = 16;

    for (int k = 0; k < 4; k++) { /* the same workers: they move with the call */
        options.bind = binds[k];
        if (parloom_placement_describe(&options, text, sizeof text, &error) != PARLOOM_OK ||
            parloom_for(COUNT, halve, args, 1, &options, &error) != PARLOOM_OK) {
            printf("%s\n", error.message);
            return 1;
        }
        printf("%s", text);
    }

    /* What cannot be is refused before any task runs, and says why. */
    options.bind = "4095";
    if (parloom_for(COUNT, halve, args, 1, &options, &error) != PARLOOM_ERR_INVALID) return 1;
    printf("%s\n", error.message);
    return values[0] == 1 && values[COUNT - 1] == 1 ? 0 : 1;
}

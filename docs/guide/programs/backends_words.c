/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

static int setting = 1;

static int look(const parloom_task *task, void *const *args)
{
    int *seen = args[0];
    seen[task->index] = setting;
    return 0;
}

int main(void)
{
    const char *backends[] = { "sequential", "threads", "processes", "fork" };
    setting = 2;
    for (int b = 0; b < 4; b++) {
        int seen[4];
        parloom_error error;
        parloom_report report = { .struct_size = sizeof report };
        parloom_arg args[] = { parloom_out(seen, sizeof seen) };
        parloom_options options = PARLOOM_OPTIONS_INIT;
        options.backend = backends[b];
        options.n_jobs = 2;
        options.report = &report;
        if (parloom_for(4, look, args, 1, &options, &error) != PARLOOM_OK) return 1;
        printf("%-10s n_jobs %d, setting in the tasks: %d\n", report.backend, report.n_jobs, seen[3]);
    }
    return 0;
}

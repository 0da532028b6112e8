/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <unistd.h>

static int work(const parloom_task *task, void *const *args)
{
    while (task->index == 3) (void)pause();               /* hangs */
    if (task->index == 1 && task->attempt == 0) _exit(1); /* goes well at the second attempt */
    *(int *)args[0] = task->attempt + 1;
    return 0;
}

int main(void)
{
    int runs[5] = { 0 };
    parloom_status statuses[5];
    parloom_error error;
    parloom_arg args[] = { parloom_each(parloom_out(runs, sizeof runs), sizeof runs[0]) };
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.n_jobs = 2;
    options.task_timeout = 0.3;
    options.retries = 2;
    options.on_error = PARLOOM_ON_ERROR_GO_ON;
    options.statuses = statuses;
    parloom_status status = parloom_for(5, work, args, 1, &options, &error);
    printf("%s, task %zu\n", parloom_status_name(status), error.task);
    for (int k = 0; k < 5; k++) printf("%d: %s, runs %d\n", k, parloom_status_name(statuses[k]), runs[k]);
    options.backend = "threads";
    options.retries = 0;
    printf("threads: %s\n", parloom_status_name(parloom_for(5, work, args, 1, &options, &error)));
    return 0;
}

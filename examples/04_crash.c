/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 04_crash.c - a crash costs one task: the nineteen others deliver, and the error says what happened to the one.
 */
#include <parloom/parloom.h>

#include <stdio.h>
#include <string.h>

enum { TASKS = 20, UNLUCKY = 7 };

struct item {
    double value;
};

/* Follows a pointer of which one was overwritten with a small number. */
static int invert(const parloom_task *task, void *const *args)
{
    double *inverse = args[0];
    struct item item = { (double)task->index + 1 };
    const struct item *volatile found = task->index == UNLUCKY ? (const struct item *)64 : &item; /* the bug */
    *inverse = 1 / found->value;
    return 0;
}

int main(void)
{
    double inverses[TASKS] = { 0 };
    parloom_status statuses[TASKS];
    parloom_error error;
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.n_jobs = 2;
    options.on_error = PARLOOM_ON_ERROR_GO_ON; /* run everything, whatever happens to some */
    options.statuses = statuses;
    options.n_statuses = TASKS;

    parloom_arg args[] = { parloom_each(parloom_out(inverses, sizeof inverses), sizeof inverses[0]) };
    parloom_status status = parloom_for(TASKS, invert, args, 1, &options, &error);

    int delivered = 0;
    for (int k = 0; k < TASKS; k++) {
        delivered += statuses[k] == PARLOOM_OK && inverses[k] == 1.0 / (k + 1);
        if (statuses[k] != PARLOOM_OK) printf("task %d: %s\n", k, parloom_status_name(statuses[k]));
    }
    printf("%d of %d tasks delivered\n", delivered, TASKS);
    printf("the call: %s, task %zu, signal %d (%s)\n", parloom_status_name(status), error.task, error.signal,
           strsignal(error.signal));
    printf("says: %s\n", error.message);
    return status == PARLOOM_ERR_CRASHED && error.task == UNLUCKY && delivered == TASKS - 1 ? 0 : 1;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

enum { TASKS = 6 };

static int divide(const parloom_task *task, void *const *args)
{
    double *quotient = args[0];
    int divisor = (int)task->index % 3;
    if (divisor == 0) return parloom_fail(task, 7, "task %zu divides by zero", task->index);
    *quotient = 60.0 / divisor;
    return 0;
}

static void run(parloom_on_error on_error)
{
    double quotients[TASKS] = { 0 };
    parloom_status statuses[TASKS];
    parloom_error error, errors[2];
    parloom_arg args[] = { parloom_each(parloom_out(quotients, sizeof quotients), sizeof quotients[0]) };
    parloom_status status = parloom_for(
        TASKS, divide, args, 1,
        PARLOOM_OPTIONS(.on_error = on_error, .statuses = statuses, .errors = errors, .n_errors = 2), &error);
    printf("%s, task %zu, code %d: %s\n", parloom_status_name(status), error.task, error.code, error.message);
    for (int k = 0; k < TASKS; k++) printf("  %d %-21s %g\n", k, parloom_status_name(statuses[k]), quotients[k]);
    if (errors[1].status != PARLOOM_OK) printf("  the second failure: task %zu\n", errors[1].task);
}

int main(void)
{
    run(PARLOOM_ON_ERROR_STOP); /* what unset means */
    run(PARLOOM_ON_ERROR_GO_ON);
    return 0;
}

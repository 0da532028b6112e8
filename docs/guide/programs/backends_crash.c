/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static int work(const parloom_task *task, void *const *args)
{
    int *done = args[0];
    if (task->index == 2) raise(SIGSEGV);
    if (task->index == 5) exit(3);
    *done = 1;
    return 0;
}

int main(void)
{
    int done[8] = { 0 };
    parloom_error error, errors[2];
    parloom_arg args[] = { parloom_each(parloom_out(done, sizeof done), sizeof done[0]) };
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.require = PARLOOM_REQUIRE_ISOLATION; /* processes, also where somebody says threads or one job */
    options.on_error = PARLOOM_ON_ERROR_GO_ON;
    options.errors = errors;
    options.n_errors = 2;
    parloom_status status = parloom_for(8, work, args, 1, &options, &error);
    printf("%s\n", parloom_status_name(status));
    for (int k = 0; k < 2; k++)
        printf("task %zu: %s, signal %d, code %d\n", errors[k].task, parloom_status_name(errors[k].status),
               errors[k].signal, errors[k].code);
    for (int k = 0; k < 8; k++) printf("%d%c", done[k], k < 7 ? ' ' : '\n');
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <time.h>

enum { TASKS = 1000000, ANSWER = 1234 };

static int search(const parloom_task *task, void *const *args)
{
    const struct timespec pause = { 0, 100000 };
    if (task->index == ANSWER) *(size_t *)args[0] = task->index;
    for (int k = 0; k < 10 && !parloom_cancelled(task); k++) (void)nanosleep(&pause, NULL);
    return 0;
}

struct watch {
    const size_t *found;
    parloom_stop stop;
};

static void look(const parloom_report *so_far, void *state)
{
    (void)so_far;
    struct watch *watch = state;
    if (*(const volatile size_t *)watch->found != 0) parloom_cancel(&watch->stop);
}

int main(void)
{
    parloom_error error;
    parloom_report report = { .struct_size = sizeof report };
    size_t *found = parloom_alloc(sizeof *found, &error); /* shared: seen while the call runs */
    struct watch watch = { found, { 0 } };
    if (found == NULL) return 1;
    parloom_arg args[] = { parloom_inout(found, sizeof *found) };
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.n_jobs = 2;
    options.progress = look;
    options.progress_state = &watch;
    options.stop = &watch.stop;
    options.report = &report;
    parloom_status status = parloom_for(TASKS, search, args, 1, &options, &error);
    printf("%s, found %zu\n", parloom_status_name(status), *found);
    printf("each task ran or was cancelled: %d\n", report.ok + report.cancelled == TASKS && report.cancelled > 0);
    return 0;
}

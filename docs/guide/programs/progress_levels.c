/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

static int work(const parloom_task *task, void *const *args)
{
    (void)task, (void)args;
    return 0;
}

static void tell(const parloom_report *so_far, void *state)
{
    *(size_t *)state = so_far->ok + so_far->failed;
}

int main(void)
{
    size_t last = 0;
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.n_jobs = 2;
    options.progress = tell; /* in this thread, at most 10 times a second, and once at the end */
    options.progress_state = &last;
    if (parloom_for(150, work, NULL, 0, &options, NULL) != PARLOOM_OK) return 1;
    printf("%zu of 150\n", last);
    return 0;
}

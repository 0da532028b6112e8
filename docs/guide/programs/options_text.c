/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

/* As a command line or PARLOOM_... in the environment would say them. */
static const char *const said[][2] = {
    { "n_jobs", "-1" },
    { "backend", "threads" },
    { "backend_params", "force=1" }, /* only fork takes one */
    { "prefer", "threads" },
    { "require", "isolation" },
    { "max_nbytes", "1.5M" },
    { "mmap_mode", "c" },
    { "temp_folder", "/tmp" },
    { "pre_dispatch", "3*n_jobs" },
    { "batch_size", "16" },
    { "schedule", "static" },
    { "task_timeout", "30" },
    { "timeout", "never" },
    { "on_error", "go_on" },
    { "retries", "2" },
    { "verbose", "-1" },
    { "progress_style", "lines" },
    { "inner_max_num_threads", "1" },
    { "fresh_worker_every", "1000" },
    { "memory_policy", "interleave" },
    { "modules", "by_value" },
    { "bind", "none" },
    { "check_globals", "1" },
    { "idle_timeout", "60" },
    { "worker_growth_limit", "1G" },
    { "worker_environment", "NAME=value" },
};

static int nothing(const parloom_task *task, void *const *args)
{
    (void)task, (void)args;
    return 0;
}

int main(void)
{
    parloom_error error;
    for (size_t k = 0; k < sizeof said / sizeof said[0]; k++) {
        parloom_options options = PARLOOM_OPTIONS_INIT;
        options.n_jobs = 2;
        options.verbose = -1;
        parloom_status parsed = parloom_options_set(&options, said[k][0], said[k][1], &error);
        parloom_status called = parloom_for(10, nothing, NULL, 0, &options, &error);
        printf("%s=%s: %s, %s\n", said[k][0], said[k][1], parsed == PARLOOM_OK ? "understood" : error.message,
               parloom_status_name(called));
    }
    (void)parloom_options_set(&(parloom_options)PARLOOM_OPTIONS_INIT, "max_nbyte", "1M", &error);
    printf("%s\n", error.message);
    return 0;
}

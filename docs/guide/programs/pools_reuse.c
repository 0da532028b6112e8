/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

static int nothing(const parloom_task *task, void *const *args)
{
    (void)task, (void)args;
    return 0;
}

static void call(const char *what, parloom_pool *pool)
{
    parloom_report report = { .struct_size = sizeof report };
    parloom_error error;
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.pool = pool;
    options.n_jobs = pool == NULL ? 2 : 0; /* a pool has its own */
    options.report = &report;
    if (parloom_for(100, nothing, NULL, 0, &options, &error) != PARLOOM_OK) fprintf(stderr, "%s\n", error.message);
    printf("%s: %d workers, %d of them started for it\n", what, report.n_jobs, report.workers_started);
}

int main(void)
{
    parloom_pool *pool;
    parloom_error error;
    call("first call", NULL);
    call("second call", NULL);
    parloom_shutdown(false);
    call("after a shutdown", NULL);
    if (parloom_pool_open(&pool, PARLOOM_OPTIONS(.n_jobs = 3), &error) != PARLOOM_OK) return 1;
    call("on a pool", pool);
    call("on a pool, again", pool);
    parloom_pool_close(pool);
    return 0;
}

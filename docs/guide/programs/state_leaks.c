/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

static int calls_seen; /* a library's counter, cache, last error ... */

static int count(const parloom_task *task, void *const *args)
{
    (void)task;
    *(int *)args[0] = ++calls_seen;
    return 0;
}

static void call(const char *what, int fresh_worker_every, int check_globals)
{
    int seen[3];
    parloom_error error;
    parloom_arg args[] = { parloom_each(parloom_out(seen, sizeof seen), sizeof seen[0]) };
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.require = PARLOOM_REQUIRE_ISOLATION;
    options.fresh_worker_every = fresh_worker_every;
    options.check_globals = check_globals;
    if (parloom_for(3, count, args, 1, &options, &error) != PARLOOM_OK) fprintf(stderr, "%s\n", error.message);
    printf("%s: %d %d %d\n", what, seen[0], seen[1], seen[2]);
    (void)fflush(stdout);
}

int main(void)
{
    call("one worker", 0, 0);
    call("the next call", 0, 0);
    call("a fresh worker for each task", 1, 0);
    call("looked at", 0, 1);
    return 0;
}

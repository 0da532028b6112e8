/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdatomic.h>
#include <stdio.h>

static atomic_int counter;

static int count(const parloom_task *task, void *const *args)
{
    (void)task;
    atomic_fetch_add(&counter, 1);
    atomic_fetch_add((atomic_int *)args[0], 1);
    return 0;
}

static void run(const char *backend)
{
    parloom_error error;
    atomic_int *shared = parloom_alloc(sizeof *shared, &error);
    parloom_arg args[] = { parloom_inout(shared, sizeof *shared) };
    counter = 0;
    if (shared == NULL ||
        parloom_for(100, count, args, 1, PARLOOM_OPTIONS(.n_jobs = 2, .backend = backend), &error) != PARLOOM_OK) {
        fprintf(stderr, "%s\n", error.message);
        return;
    }
    printf("%s: the global %d, in shared memory %d\n", backend, counter, *shared);
    parloom_free(shared);
}

int main(void)
{
    run("threads");
    run("processes");
    run("fork");
    return 0;
}

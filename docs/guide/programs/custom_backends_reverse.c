/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

/* The workers are the caller, in turns: the last one first. */
static parloom_status run(void *state, void *pool, parloom_backend_run *run, parloom_error *error)
{
    (void)state, (void)pool, (void)error;
    for (int worker = parloom_backend_workers(run) - 1; worker >= 0; worker--) parloom_backend_work(run, worker);
    parloom_backend_wait(run);
    return PARLOOM_OK;
}

static int look(const parloom_task *task, void *const *args)
{
    int *worker = args[0];
    *worker = task->worker;
    return task->index == 5 ? parloom_fail(task, 1, "not this one") : 0;
}

int main(void)
{
    const parloom_backend_ops ops = {
        .struct_size = sizeof ops, .abi = PARLOOM_BACKEND_ABI, .flags = PARLOOM_BACKEND_SHARES_MEMORY, .run = run
    };
    int worker[6];
    parloom_error error;
    parloom_arg args[] = { parloom_each(parloom_out(worker, sizeof worker), sizeof worker[0]) };
    if (parloom_backend_register("reverse", &ops, NULL, false, &error) != PARLOOM_OK) return 1;
    (void)parloom_for(6, look, args, 1, PARLOOM_OPTIONS(.backend = "reverse", .n_jobs = 2), &error);
    printf("task 0 ran on worker %d\n%s\n", worker[0], error.message);
    return parloom_backend_unregister("reverse", &error) == PARLOOM_OK ? 0 : 1;
}

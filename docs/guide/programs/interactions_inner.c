/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <stdlib.h>

/* What OpenMP, OpenBLAS and their like would be told, if the task used them. */
static int look(const parloom_task *task, void *const *args)
{
    (void)task;
    const char *names[] = { "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS" };
    for (int k = 0; k < 2; k++) {
        const char *value = getenv(names[k]);
        ((int *)args[0])[k] = value == NULL ? 0 : atoi(value);
    }
    return 0;
}

static void call(int inner_max_num_threads)
{
    int threads[2];
    parloom_error error;
    parloom_arg args[] = { parloom_out(threads, sizeof threads) };
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.n_jobs = 2;
    options.inner_max_num_threads = inner_max_num_threads;
    if (parloom_for(1, look, args, 1, &options, &error) != PARLOOM_OK) fprintf(stderr, "%s\n", error.message);
    printf("inner_max_num_threads %d: OpenMP %d, OpenBLAS %d\n", inner_max_num_threads, threads[0], threads[1]);
}

int main(void)
{
    call(0);
    call(3);
    return 0;
}

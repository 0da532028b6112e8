/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <string.h>

static double table[4]; /* dear to make, and the same in every task */

static int fill(void *state)
{
    memcpy(table, state, sizeof table);
    for (int k = 1; k < 4; k++) table[k] += table[k - 1];
    return 0;
}

static int look(const parloom_task *task, void *const *args)
{
    double *found = args[0];
    *found = table[task->index % 4];
    return 0;
}

int main(void)
{
    const double steps[4] = { 1, 10, 100, 1000 };
    double found[8];
    parloom_pool *pool;
    parloom_error error;
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.n_jobs = 2;
    options.worker_init = fill; /* once in each worker, before its first task */
    options.worker_init_state = steps;
    options.worker_init_state_nbytes = sizeof steps;
    if (parloom_pool_open(&pool, &options, &error) != PARLOOM_OK) return 1;
    parloom_arg args[] = { parloom_each(parloom_out(found, sizeof found), sizeof found[0]) };
    parloom_status status = parloom_for(8, look, args, 1, PARLOOM_OPTIONS(.pool = pool), &error);
    for (int k = 0; k < 8; k++) printf("%g%c", found[k], k < 7 ? ' ' : '\n');
    printf("in the program: %g\n", table[0]);
    parloom_pool_close(pool);
    return status == PARLOOM_OK ? 0 : 1;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

/* Adds up the numbers below args[0]. */
static int add_below(const parloom_task *task, void *const *args)
{
    long end = *(const long *)args[0], sum = 0;
    for (long k = 0; k < end; k++) sum += k;
    if (end < 0) return parloom_fail(task, 1, "there are no numbers below %ld", end);
    return parloom_return(task, &sum, sizeof sum);
}

int main(void)
{
    const long ends[3] = { 10, -1, 100000 };
    parloom_future *futures[3];
    parloom_result result;
    parloom_error error;
    for (int k = 0; k < 3; k++) {
        parloom_arg args[] = { parloom_in(&ends[k], sizeof ends[k]) }; /* copied before parloom_submit returns */
        parloom_call call = { add_below, args, 1 };
        if (parloom_submit(&futures[k], &call, PARLOOM_OPTIONS(.n_jobs = 2), &error) != PARLOOM_OK) return 1;
    }
    printf("meanwhile the program does something else\n");
    for (int k = 0; k < 3; k++) {
        if (parloom_future_wait(futures[k], -1, &result, &error) != PARLOOM_OK) return 1;
        printf("%s: ", parloom_future_state_name(parloom_future_poll(futures[k])));
        if (result.status == PARLOOM_OK)
            printf("%ld\n", *(const long *)result.data);
        else
            printf("%s\n", result.error.message);
        parloom_future_release(futures[k]);
    }
    return 0;
}

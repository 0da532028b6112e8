/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

static int write_all(const parloom_task *task, void *const *args)
{
    for (int k = 0; k < 3; k++) ((int *)args[k])[task->index] = 9;
    return 0;
}

int main(void)
{
    int in[2] = { 1, 1 }, out[2] = { 2, 2 }, inout[2] = { 3, 3 };
    parloom_error error;
    parloom_arg args[] = { parloom_in(in, sizeof in), parloom_out(out, sizeof out),
                           parloom_inout(inout, sizeof inout) };
    parloom_status status = parloom_for(2, write_all, args, 3, PARLOOM_OPTIONS(.n_jobs = 2), &error);
    printf("%s, signal %d; in %d\n", parloom_status_name(status), error.signal, in[0]);
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.n_jobs = 2;
    options.mmap_mode = PARLOOM_MMAP_C;
    status = parloom_for(2, write_all, args, 3, &options, &error);
    printf("%s; in %d, out %d, inout %d\n", parloom_status_name(status), in[0], out[0], inout[0]);
    options.mmap_mode = PARLOOM_MMAP_RW;
    status = parloom_for(2, write_all, args, 3, &options, &error);
    printf("%s; in %d, out %d, inout %d\n", parloom_status_name(status), in[0], out[0], inout[0]);
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* squares.c - a first program in C: squares on the backend that is named on the command line. */
#include <parloom/parloom.h>

#include <stdio.h>

static int square(const parloom_task *task, void *const *args)
{
    double *squares = args[0];
    squares[task->index] = (double)task->index * (double)task->index;
    return 0;
}

int main(int argc, char **argv)
{
    double squares[100] = { 0 };
    parloom_error error;
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.backend = argc > 1 ? argv[1] : NULL;
    options.n_jobs = 2;
    parloom_arg args[] = { parloom_out(squares, sizeof squares) };
    if (parloom_for(100, square, args, 1, &options, &error) != PARLOOM_OK)
        return fprintf(stderr, "%s\n", error.message);
    for (int i = 0; i < 100; i++) {
        if (squares[i] != (double)i * i) return 1;
    }
    return 0;
}

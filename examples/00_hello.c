/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 00_hello.c - the smallest loop: ten squares, computed by two worker processes.
 */
#include <parloom/parloom.h>

#include <stdio.h>

static int square(const parloom_task *task, void *const *args)
{
    double *squares = args[0]; /* the first argument below */
    squares[task->index] = (double)(task->index * task->index);
    return 0; /* anything else would be this task's failure */
}

int main(void)
{
    double squares[10];
    parloom_error error;
    parloom_arg args[] = { parloom_out(squares, sizeof squares) };
    if (parloom_for(10, square, args, 1, PARLOOM_OPTIONS(.n_jobs = 2), &error) != PARLOOM_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    for (int k = 0; k < 10; k++) printf("%g%c", squares[k], k < 9 ? ' ' : '\n');
    return 0;
}

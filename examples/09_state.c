/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 09_state.c - a setting of the program that follows it into its workers.
 *
 * A worker process begins with the initial values of all globals, and keeps what it has for the next call. A registered
 * state is captured at each call and applied in the workers when it has changed.
 */
#include <parloom/parloom.h>

#include <stdio.h>
#include <string.h>

enum { TASKS = 4 };

/* A setting as libraries have them: a global that a function sets. */
static double tolerance = 1e-3;

static int capture(void *state, void *bytes, size_t room, size_t *nbytes_out)
{
    (void)state;
    if (room >= sizeof tolerance) memcpy(bytes, &tolerance, sizeof tolerance);
    *nbytes_out = sizeof tolerance;
    return 0;
}

static int apply(const void *bytes, size_t nbytes)
{
    memcpy(&tolerance, bytes, nbytes);
    return 0;
}

static int note_tolerance(const parloom_task *task, void *const *args)
{
    double *seen = args[0];
    seen[task->index] = tolerance;
    return 0;
}

static int call(const char *what)
{
    double seen[TASKS];
    parloom_error error;
    parloom_arg args[] = { parloom_out(seen, sizeof seen) };
    if (parloom_for(TASKS, note_tolerance, args, 1, PARLOOM_OPTIONS(.n_jobs = 2), &error) != PARLOOM_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    printf("%s: %g", what, seen[0]);
    for (int k = 1; k < TASKS; k++) printf(" %g", seen[k]);
    printf("\n");
    return 0;
}

int main(void)
{
    parloom_error error;
    parloom_state_ops ops = { .struct_size = sizeof ops, .capture = capture, .apply = apply };
    tolerance = 1e-6;
    if (call("not registered") != 0) return 1;
    if (parloom_state_register("tolerance", &ops, NULL, &error) != PARLOOM_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    if (call("registered") != 0) return 1;
    tolerance = 1e-9;
    if (call("changed") != 0) return 1;
    return parloom_state_unregister("tolerance", &error) == PARLOOM_OK ? 0 : 1;
}

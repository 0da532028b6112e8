/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 07_control.c - what a program holds in its hands around a call: cores, process defaults, the log, stopping.
 *
 * A loop of tasks that would never end is cancelled from its progress callback; it could as well be cancelled from
 * another thread or a signal handler. Ctrl-C can do it, too.
 */
#include <parloom/parloom.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

enum { TASKS = 1000, VALUES = 4 };

static int wait_for_the_end(const parloom_task *task, void *const *args)
{
    const struct timespec pause = { 0, 1000000 };
    (void)args;
    while (!parloom_cancelled(task)) nanosleep(&pause, NULL);
    return 0;
}

static int take_root(const parloom_task *task, void *const *args)
{
    const parloom_array *array = args[0];
    double *value = (double *)array->data + task->index;
    if (*value < 0) return parloom_fail_text(task, 1, "a negative number has no root");
    *value = sqrt(*value);
    return 0;
}

static void cancel(const parloom_report *so_far, void *stop)
{
    (void)so_far;
    parloom_cancel(stop);
}

static void to_stderr(int level, const char *line, void *name)
{
    fprintf(stderr, "%s, level %d: %s\n", (const char *)name, level, line);
}

/* Ends after a tenth of a second, when progress is told for the first time. */
static int wait_and_cancel(void)
{
    parloom_stop stop = { 0 };
    parloom_report report = { .struct_size = sizeof report };
    parloom_status status = parloom_for(
        TASKS, wait_for_the_end, NULL, 0,
        PARLOOM_OPTIONS(.progress = cancel, .progress_state = &stop, .stop = &stop, .report = &report), NULL);
    printf("%s: %zu tasks, each either ran or was cancelled: %s\n", parloom_status_name(status), report.tasks,
           report.ok + report.cancelled == TASKS ? "yes" : "no");
    return status == PARLOOM_ERR_CANCELLED && report.ok + report.cancelled == TASKS ? 0 : 1;
}

static void press_ctrl_c(const parloom_report *so_far, void *state)
{
    (void)so_far;
    volatile int *is_pressed = state; /* a second one would end the program */
    if (!*is_pressed) raise(SIGINT);
    *is_pressed = 1;
}

/* The same by Ctrl-C: results are kept, and the program says itself when it ends. */
static int wait_and_be_interrupted(void)
{
    int is_pressed = 0;
    if (parloom_interrupt_begin(NULL) != PARLOOM_OK) return 1;
    parloom_status status = parloom_for(TASKS, wait_for_the_end, NULL, 0,
                                        PARLOOM_OPTIONS(.progress = press_ctrl_c, .progress_state = &is_pressed), NULL);
    bool is_interrupted = parloom_interrupt_end(false); /* true here would end the program now, as Ctrl-C does */
    printf("%s, interrupted: %s\n", parloom_status_name(status), is_interrupted ? "yes" : "no");
    return status == PARLOOM_ERR_CANCELLED && is_interrupted ? 0 : 1;
}

/* One task fails, the others' results are there. */
static int take_roots(void)
{
    parloom_error error;
    const size_t shape[] = { VALUES };
    double *values = parloom_alloc(VALUES * sizeof *values, &error);
    if (values == NULL) return 1;
    for (int k = 0; k < VALUES; k++) values[k] = k * k;
    values[2] = -1;
    parloom_array array = parloom_array_wrap(values, PARLOOM_F64, 1, shape);
    parloom_arg args[] = { parloom_inout_array(&array) };
    parloom_status status =
        parloom_for(VALUES, take_root, args, 1, PARLOOM_OPTIONS(.on_error = PARLOOM_ON_ERROR_GO_ON), &error);
    printf("%s\n", error.message);
    printf("%g %g %g %g\n", values[0], values[1], values[2], values[3]);
    int failed = status != PARLOOM_ERR_TASK || error.task != 2 || values[3] != 3.0;
    parloom_free(values);
    return failed;
}

int main(void)
{
    static char name[] = "07_control";
    printf("parloom %s, cores usable here: %d\n", parloom_version(), parloom_cpu_count(false));
    parloom_set_log(to_stderr, name);
    if (parloom_set_defaults(PARLOOM_OPTIONS(.n_jobs = 2), NULL) != PARLOOM_OK) return 1;
    int failures = wait_and_cancel() + wait_and_be_interrupted() + take_roots();
    if (parloom_shutdown_within(10, NULL) != PARLOOM_OK) failures++;
    parloom_shutdown(false); /* not needed, both: workers end with the program, or are used again by the next call */
    return failures == 0 ? 0 : 1;
}

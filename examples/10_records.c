/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 10_records.c - what tasks bring back beside their results: notes, in the order of the tasks, also of one that failed.
 */
#include <parloom/parloom.h>

#include <math.h>
#include <stdio.h>

enum { TASKS = 6 };

static int take_root(const parloom_task *task, void *const *args)
{
    char note[64];
    double *root = args[0];
    double value = 2.0 - (double)task->index;
    int length = snprintf(note, sizeof note, "begins with %g", value);
    (void)parloom_record(task, "notes", note, (size_t)length);
    if (value < 0 && task->index == 5) return parloom_fail(task, 1, "%g is too far below zero", value);
    if (value < 0)
        (void)parloom_record(task, "notes", "takes the absolute value", sizeof "takes the absolute value" - 1);
    *root = sqrt(fabs(value));
    return 0;
}

static void print_note(const parloom_recorded *note, void *count)
{
    ++*(int *)count;
    printf("task %d, %s: %.*s\n", (int)note->task, parloom_status_name(note->status), (int)note->nbytes,
           (const char *)note->data);
}

int main(void)
{
    int count = 0;
    double roots[TASKS];
    parloom_error error;
    parloom_arg args[] = { parloom_each(parloom_out(roots, sizeof roots), sizeof roots[0]) };
    if (parloom_channel_register("notes", print_note, &count, &error) != PARLOOM_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    parloom_status status = parloom_for(TASKS, take_root, args, 1,
                                        PARLOOM_OPTIONS(.n_jobs = 2, .on_error = PARLOOM_ON_ERROR_GO_ON), &error);
    printf("%d notes, %s: %s\n", count, parloom_status_name(status), error.message);
    return parloom_channel_unregister("notes", &error) == PARLOOM_OK ? 0 : 1;
}

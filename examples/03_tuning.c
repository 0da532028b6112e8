/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 03_tuning.c - when a private input goes to shared memory, and where: max_nbytes and temp_folder.
 *
 * Below max_nbytes an input travels inline with the call; above it, it is spilled: copied once to shared memory that
 * each worker maps. The answer is the same; only speed and the place of the bytes change. Both options can also come
 * from outside, as PARLOOM_MAX_NBYTES and PARLOOM_TEMP_FOLDER.
 */
#include <parloom/parloom.h>

#include <stdio.h>
#include <stdlib.h>

enum { COUNT = 2 * 1024 * 1024, TASKS = 8 };

static int sum_part(const parloom_task *task, void *const *args)
{
    const double *values = args[0];
    double *sums = args[1];
    size_t part = COUNT / TASKS;
    for (size_t k = 0; k < part; k++) sums[task->index] += values[task->index * part + k];
    return 0;
}

/* Where the 16 MB went under these options; -1 when the call failed. */
static int spill(const char *what, const double *values, parloom_options options)
{
    double sums[TASKS] = { 0 };
    double total = 0;
    parloom_error error;
    parloom_report report = { .struct_size = sizeof report };
    options.n_jobs = 2;
    options.report = &report;
    parloom_arg args[] = { parloom_in(values, sizeof *values * COUNT), parloom_inout(sums, sizeof sums) };
    if (parloom_for(TASKS, sum_part, args, 2, &options, &error) != PARLOOM_OK) {
        printf("%s: %s\n", what, error.message);
        return -1;
    }
    for (int k = 0; k < TASKS; k++) total += sums[k];
    int is_spilled = report.spilled_nbytes >= sizeof *values * COUNT;
    printf("%s: sum %.0f, input %s%s\n", what, total, is_spilled ? "spilled to " : "inline",
           is_spilled ? report.spilled_to : "");
    return 0;
}

int main(void)
{
    double *values = malloc(sizeof *values * COUNT);
    if (!values) return 1;
    for (int k = 0; k < COUNT; k++) values[k] = 1;

    int failures = 0;
    failures += spill("default (1M)", values, (parloom_options)PARLOOM_OPTIONS_INIT) != 0;

    /* As a command line would say it: sizes have units. */
    parloom_options larger = PARLOOM_OPTIONS_INIT;
    failures += parloom_options_set(&larger, "max_nbytes", "64M", NULL) != PARLOOM_OK;
    failures += spill("max_nbytes 64M", values, larger) != 0;

    failures += spill("max_nbytes never", values, *PARLOOM_OPTIONS(.max_nbytes = PARLOOM_NEVER)) != 0;

    /* A disk instead of memory, for inputs that are larger than it. Nothing is ever left there: the files have no name.
     */
    failures += spill("temp_folder /tmp", values, *PARLOOM_OPTIONS(.temp_folder = "/tmp")) != 0;

    /* What cannot be done is refused before any task runs, and says why. */
    failures += spill("temp_folder /no/such", values, *PARLOOM_OPTIONS(.temp_folder = "/no/such")) == 0;
    free(values);
    return failures == 0 ? 0 : 1;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* report.c - statuses, errors and report, from the settled tally of a call. */
#include "core/report.h"

#include "backends/run.h"
#include "base/options.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>

enum { TASK_MESSAGE_BYTES = 900 }; /* what a task says of its failure: leaves room for what we say around it */

void loom_report_count(parloom_report *report, size_t ended, const struct loom_tally_counts *counts)
{
    size_t noted = counts->failed + counts->crashed + counts->exited + counts->timed_out + counts->cancelled;
    report->failed = counts->failed;
    report->crashed = counts->crashed;
    report->exited = counts->exited;
    report->timed_out = counts->timed_out;
    report->cancelled = counts->cancelled;
    report->ok = ended > noted ? ended - noted : 0;
}

static void set_counts(parloom_report *report, const struct loom_tally *tally)
{
    struct loom_tally_counts counts = loom_tally_count_noted(tally);
    report->tasks = tally->n;
    loom_report_count(report, tally->n, &counts);
    report->retried = tally->retried;
    report->workers_started = tally->workers_started;
    report->workers_lost = tally->workers_lost;
}

void loom_report_make(parloom_report *report, const struct loom_report_facts *facts)
{
    memset(report, 0, sizeof *report);
    report->struct_size = sizeof *report;
    set_counts(report, facts->tally);
    report->inline_nbytes = facts->inline_nbytes;
    report->spilled_nbytes = facts->spilled_nbytes;
    report->returned_nbytes = facts->returned_nbytes;
    report->seconds = facts->seconds;
    report->cpu_seconds = facts->cpu_seconds;
    report->n_jobs = facts->n_jobs;
    report->backend = facts->backend;
    (void)snprintf(report->spilled_to, sizeof report->spilled_to, "%s", facts->place);
}

void loom_report_copy(parloom_report *to, const parloom_report *from)
{
    size_t room = to->struct_size;
    memcpy(to, from, room < sizeof *from ? room : sizeof *from);
    to->struct_size = room;
}

void loom_report_write(const parloom_options *options, const struct loom_report_facts *facts)
{
    parloom_report report;
    if (options->report == NULL) return;
    loom_report_make(&report, facts);
    loom_report_copy(options->report, &report);
}

static void fill_statuses(parloom_status *statuses, const struct loom_tally *tally)
{
    memset(statuses, 0, tally->n * sizeof *statuses); /* PARLOOM_OK is 0 */
    for (size_t k = 0; k < tally->n_ranges; k++)
        for (size_t i = tally->ranges[k].begin; i < tally->ranges[k].end && i < tally->n; i++)
            statuses[i] = tally->ranges[k].status;
}

/* What is known of the failed range; its first task is named in it. */
static void describe_range(const struct loom_tally *tally, const struct loom_tally_range *range, size_t *next_error,
                           parloom_error *error)
{
    while (*next_error < tally->n_errors && tally->errors[*next_error].task < range->begin) (*next_error)++;
    if (*next_error < tally->n_errors && tally->errors[*next_error].task == range->begin)
        *error = tally->errors[*next_error];
    else
        loom_status_fail(error, range->status, 0, "ended as %s, together with a task before",
                         parloom_status_name(range->status));
}

/* One for each failed task, also where a range was lost as a whole. */
static void fill_errors(const parloom_options *options, const struct loom_tally *tally)
{
    size_t filled = 0, next_error = 0;
    for (size_t k = 0; k < tally->n_ranges && filled < options->n_errors; k++) {
        const struct loom_tally_range *range = &tally->ranges[k];
        if (range->status == PARLOOM_ERR_CANCELLED) continue;
        parloom_error error;
        describe_range(tally, range, &next_error, &error);
        for (size_t task = range->begin; task < range->end && filled < options->n_errors; task++) {
            error.task = task;
            options->errors[filled++] = error;
        }
    }
    for (; filled < options->n_errors; filled++) loom_status_clear(&options->errors[filled]);
}

void loom_report_statuses(const parloom_options *options, const struct loom_tally *tally)
{
    if (options->statuses != NULL) fill_statuses(options->statuses, tally);
    if (options->errors != NULL) fill_errors(options, tally);
}

/* A struct_size that was never set says that the rest was not either: no pointer in there is followed. */
static bool is_readable(const parloom_options *options)
{
    return options != NULL && options->struct_size >= sizeof *options &&
           options->struct_size <= LOOM_OPTIONS_MOST_NBYTES;
}

void loom_report_refused(const parloom_options *options, size_t n)
{
    if (!is_readable(options)) return;
    size_t room = options->n_statuses > 0 && options->n_statuses < n ? options->n_statuses : n;
    if (room > LOOM_RUN_MOST_TASKS) room = 0; /* refused for an n that nobody has room for */
    for (size_t i = 0; options->statuses != NULL && i < room; i++) options->statuses[i] = PARLOOM_ERR_CANCELLED;
    for (size_t k = 0; options->errors != NULL && k < options->n_errors; k++) loom_status_clear(&options->errors[k]);
    if (options->report == NULL || options->report->struct_size < sizeof(size_t)) return;
    parloom_report report;
    memset(&report, 0, sizeof report);
    report.tasks = report.cancelled = n;
    report.backend = "";
    loom_report_copy(options->report, &report);
}

/* A backend that ran anything has noted what it did not finish; one that ran nothing has noted nothing. */
void loom_report_refusal(struct loom_tally *tally)
{
    if (!tally->is_begun) loom_tally_note(tally, 0, tally->n, PARLOOM_ERR_CANCELLED);
}

void loom_report_failure(const struct loom_tally *tally, size_t task, parloom_status status, parloom_error *error)
{
    if (error == NULL) return;
    bool is_kept = tally->n_errors > 0 && tally->errors[0].task == task;
    if (is_kept)
        *error = tally->errors[0];
    else
        loom_status_fail(error, status, 0, "task %zu of %zu ended as %s", task, tally->n, parloom_status_name(status));
    error->task = task;
    if (status == PARLOOM_ERR_TASK) {
        char message[TASK_MESSAGE_BYTES + 1] = "";
        memcpy(message, error->message, TASK_MESSAGE_BYTES);
        loom_status_cut(message, TASK_MESSAGE_BYTES);
        (void)snprintf(error->message, sizeof error->message, "task %zu of %zu returned %d%s%s", task, tally->n,
                       error->code, message[0] ? ": " : "", message);
    }
    size_t used = strlen(error->message);
    (void)snprintf(error->message + used, sizeof error->message - used, "; %zu other tasks completed",
                   loom_tally_count(tally, PARLOOM_OK));
}

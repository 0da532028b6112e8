/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * progress.c - tell the caller how far a call is. Runs in the thread that made the call; the backend asks at most ten
 * times a second, so a task pays nothing for it. Counts are of tasks that have ended, not of those handed out.
 */
#include "core/progress.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

#define LINE_NS UINT64_C(2000000000) /* between lines at verbose 1; verbose 10 and more: each time */
enum { VERBOSE_EVERY = 10, VERBOSE_STDOUT = 50, ROOM = 160 };

void loom_progress_begin(struct loom_progress *progress, const parloom_options *options, const char *backend,
                         int n_jobs, size_t n)
{
    memset(progress, 0, sizeof *progress);
    progress->callback = options->progress;
    progress->state = options->progress_state;
    progress->verbose = options->verbose;
    progress->backend = backend;
    progress->n_jobs = n_jobs;
    progress->n = n;
    if (!loom_progress_is_wanted(progress)) return;
    progress->started_ns = loom_clock_ns();
    progress->next_line_ns = progress->started_ns + LINE_NS;
}

bool loom_progress_is_wanted(const struct loom_progress *progress)
{
    return progress->callback != NULL || progress->verbose > 0;
}

static void write_line(const struct loom_progress *progress, const char *line)
{
    if (progress->verbose >= VERBOSE_STDOUT)
        (void)fprintf(stdout, "%s\n", line);
    else
        loom_log_line(LOOM_LOG_INFO, line);
}

static void format_seconds(double seconds, char *text, size_t size)
{
    if (seconds < 60)
        (void)snprintf(text, size, "%5.1fs", seconds);
    else
        (void)snprintf(text, size, "%4.1fmin", seconds / 60);
}

static void tell_line(struct loom_progress *progress, size_t done, uint64_t now)
{
    char elapsed[32], remaining[32], line[ROOM];
    if (progress->verbose <= 0 || (progress->verbose <= VERBOSE_EVERY && now < progress->next_line_ns)) return;
    progress->next_line_ns = now + LINE_NS;
    double seconds = 1e-9 * (double)(now - progress->started_ns);
    format_seconds(seconds, elapsed, sizeof elapsed);
    format_seconds(done > 0 ? seconds / (double)done * (double)(progress->n - done) : 0, remaining, sizeof remaining);
    (void)snprintf(line, sizeof line, "[Parallel(n_jobs=%d)]: Done %3zu out of %3zu | elapsed: %s remaining: %s",
                   progress->n_jobs, done, progress->n, elapsed, remaining);
    write_line(progress, line);
}

void loom_progress_tell(struct loom_progress *progress, size_t ended, const struct loom_tally_counts *counts)
{
    uint64_t now = loom_clock_ns();
    tell_line(progress, ended, now);
    if (progress->callback == NULL) return;
    parloom_report so_far;
    memset(&so_far, 0, sizeof so_far);
    so_far.struct_size = sizeof so_far;
    so_far.tasks = progress->n;
    loom_report_count(&so_far, ended, counts);
    so_far.seconds = 1e-9 * (double)(now - progress->started_ns);
    so_far.n_jobs = progress->n_jobs;
    so_far.backend = progress->backend;
    progress->callback(&so_far, progress->state);
}

void loom_progress_end(struct loom_progress *progress, const struct loom_report_facts *facts)
{
    char elapsed[32], line[ROOM];
    if (progress->verbose > 0) {
        format_seconds(facts->seconds, elapsed, sizeof elapsed);
        (void)snprintf(line, sizeof line, "[Parallel(n_jobs=%d)]: Done %3zu out of %3zu | elapsed: %s finished",
                       progress->n_jobs, loom_tally_count(facts->tally, PARLOOM_OK), progress->n, elapsed);
        write_line(progress, line);
    }
    if (progress->callback == NULL) return;
    parloom_report report;
    loom_report_make(&report, facts);
    progress->callback(&report, progress->state);
}

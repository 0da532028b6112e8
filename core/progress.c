/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * progress.c - when something is told of a call, and where it goes. Counts are of tasks that have ended, not of those
 * handed out, and never go back: the desk of a worker that died may be read a moment late.
 */
#include "core/progress.h"

#include "backends/shift.h"
#include "base/log.h"
#include "base/terminal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define BAR_AFTER_NS UINT64_C(500000000)  /* a call that is over sooner needs no bar */
#define JSON_NS      UINT64_C(1000000000) /* between two objects, up to verbose 10 */
#define NEWEST       0.3                  /* weight of the last interval in the rate, as tqdm has it */
enum { VERBOSE_EVERY = 10, VERBOSE_STDOUT = 50, LINE_BYTES = 2048 };

/* ---------------------------------------------------------------------------- the form */

/* A named style alone speaks for the calls one sees in a program, not for all those in their tasks. */
static bool is_implied(const parloom_options *options)
{
    return options->verbose == 0 && options->progress_style != PARLOOM_PROGRESS_STYLE_UNSET && loom_shift_level() == 0;
}

bool loom_progress_is_shown(const parloom_options *options)
{
    return options->verbose > 0 || is_implied(options);
}

/* The outermost call has the bar; what is shown of others goes above it. */
static enum loom_progress_form choose_form(const struct loom_progress *progress, const parloom_options *options)
{
    if (!loom_progress_is_shown(options)) return LOOM_PROGRESS_HIDDEN;
    if (options->progress_style == PARLOOM_PROGRESS_STYLE_JSON) return LOOM_PROGRESS_JSON;
    bool may_draw = options->progress_style != PARLOOM_PROGRESS_STYLE_LINES && progress->verbose < VERBOSE_STDOUT &&
                    progress->facts.level == 0;
    return may_draw && loom_log_claim_bar(progress) ? LOOM_PROGRESS_BAR : LOOM_PROGRESS_LINES;
}

/* ------------------------------------------------------------------------------ writing */

/* Whole, also where the program's own output waits in the buffer. */
static void write_to_stdout(const char *line)
{
    flockfile(stdout);
    (void)fflush(stdout);
    (void)fprintf(stdout, "%s\n", line);
    (void)fflush(stdout);
    funlockfile(stdout);
}

static void write_line(struct loom_progress *progress)
{
    char line[LINE_BYTES];
    if (progress->form == LOOM_PROGRESS_JSON)
        loom_progress_json(&progress->facts, line, sizeof line);
    else
        loom_progress_line(&progress->facts, line, sizeof line);
    if (progress->verbose >= VERBOSE_STDOUT)
        write_to_stdout(line);
    else
        loom_log_line(LOOM_LOG_INFO, line);
}

static void format_bar(const struct loom_progress *progress, char bar[LINE_BYTES])
{
    loom_progress_bar(&progress->facts, loom_terminal_columns(), loom_terminal_is_utf8(), bar, LINE_BYTES);
}

/* ----------------------------------------------------------------------------- the rate */

/* Of intervals in which tasks have ended: else tasks that take seconds would look like a standstill. */
static void take_pace(struct loom_progress *progress, uint64_t now)
{
    struct loom_progress_facts *facts = &progress->facts;
    if (facts->done == progress->paced || now == progress->paced_ns) return;
    double tasks = (double)(facts->done - progress->paced), seconds = 1e-9 * (double)(now - progress->paced_ns);
    progress->pace_tasks = NEWEST * tasks + (1 - NEWEST) * progress->pace_tasks;
    progress->pace_seconds = NEWEST * seconds + (1 - NEWEST) * progress->pace_seconds;
    progress->paced = facts->done;
    progress->paced_ns = now;
    facts->rate = progress->pace_tasks / progress->pace_seconds;
}

/* Of the call as a whole. */
static double mean_rate(const struct loom_progress_facts *facts)
{
    return facts->elapsed_ns > 0 ? (double)facts->done / (1e-9 * (double)facts->elapsed_ns) : 0;
}

/* -------------------------------------------------------------------------- how often */

/* joblib's rule for a number of tasks that is not known yet: further and further apart. */
static bool is_further_step(const struct loom_progress *progress)
{
    double scale = 0.5 * (VERBOSE_EVERY + 1 - progress->verbose) * (VERBOSE_EVERY + 1 - progress->verbose);
    return progress->told == 0 ||
           floor(sqrt((double)progress->facts.done / scale)) > floor(sqrt((double)progress->told / scale));
}

static bool is_line_due(const struct loom_progress *progress)
{
    const struct loom_progress_facts *facts = &progress->facts;
    if (facts->done == progress->told || facts->done == facts->n) return false; /* all: the last line says it */
    if (progress->verbose > VERBOSE_EVERY) return true;
    if (facts->n == LOOM_PROGRESS_UNKNOWN) return is_further_step(progress);
    size_t step = facts->n / (size_t)progress->verbose + 1;
    return facts->done / step > progress->told / step;
}

static bool is_object_due(const struct loom_progress *progress, uint64_t now)
{
    return progress->facts.done != progress->told &&
           (progress->verbose > VERBOSE_EVERY || now - progress->told_ns >= JSON_NS);
}

static void show(struct loom_progress *progress, uint64_t now)
{
    char bar[LINE_BYTES];
    if (progress->form == LOOM_PROGRESS_BAR) {
        if (now - progress->started_ns < BAR_AFTER_NS) return;
        format_bar(progress, bar);
        loom_log_draw_bar(progress, bar);
        progress->is_drawn = true;
        return;
    }
    bool is_json = progress->form == LOOM_PROGRESS_JSON;
    if (is_json ? !is_object_due(progress, now) : !is_line_due(progress)) return;
    progress->told = progress->facts.done;
    progress->told_ns = now;
    write_line(progress);
}

static void show_end(struct loom_progress *progress)
{
    char bar[LINE_BYTES];
    if (progress->form != LOOM_PROGRESS_BAR) {
        write_line(progress);
        return;
    }
    format_bar(progress, bar);
    loom_log_release_bar(progress, progress->is_drawn || !progress->is_implied ? bar : NULL);
}

/* -------------------------------------------------------------------------------- calls */

void loom_progress_begin(struct loom_progress *progress, const parloom_options *options, const char *backend,
                         int n_jobs, size_t n, uint64_t now)
{
    memset(progress, 0, sizeof *progress);
    progress->callback = options->progress;
    progress->state = options->progress_state;
    progress->is_implied = is_implied(options);
    progress->verbose = progress->is_implied ? VERBOSE_EVERY : options->verbose;
    progress->facts.backend = backend;
    progress->facts.n_jobs = n_jobs;
    progress->facts.level = loom_shift_level();
    progress->facts.n = n;
    progress->form = choose_form(progress, options);
    progress->started_ns = progress->paced_ns = progress->told_ns = now;
    if (progress->form == LOOM_PROGRESS_LINES || progress->form == LOOM_PROGRESS_JSON) write_line(progress);
}

bool loom_progress_is_wanted(const struct loom_progress *progress)
{
    return progress->callback != NULL || progress->form != LOOM_PROGRESS_HIDDEN;
}

static void call_back(const struct loom_progress *progress, const struct loom_tally_counts *counts)
{
    const struct loom_progress_facts *facts = &progress->facts;
    parloom_report so_far;
    memset(&so_far, 0, sizeof so_far);
    so_far.struct_size = sizeof so_far;
    so_far.tasks = facts->n;
    loom_report_count(&so_far, facts->done, counts);
    so_far.seconds = 1e-9 * (double)facts->elapsed_ns;
    so_far.n_jobs = facts->n_jobs;
    so_far.backend = facts->backend;
    progress->callback(&so_far, progress->state);
}

void loom_progress_tell(struct loom_progress *progress, uint64_t now, size_t ended,
                        const struct loom_tally_counts *counts)
{
    struct loom_progress_facts *facts = &progress->facts;
    if (ended > facts->n) ended = facts->n;
    if (ended > facts->done) facts->done = ended;
    facts->phase = LOOM_PROGRESS_GOING;
    facts->failed = counts->failed + counts->crashed + counts->exited + counts->timed_out;
    facts->elapsed_ns = now - progress->started_ns;
    take_pace(progress, now);
    if (progress->form != LOOM_PROGRESS_HIDDEN) show(progress, now);
    if (progress->callback != NULL) call_back(progress, counts);
}

void loom_progress_finish(struct loom_progress *progress, const parloom_report *report)
{
    struct loom_progress_facts *facts = &progress->facts;
    facts->phase = LOOM_PROGRESS_END;
    facts->done = report->tasks - report->cancelled;
    facts->failed = report->failed + report->crashed + report->exited + report->timed_out;
    facts->elapsed_ns = (uint64_t)(1e9 * report->seconds);
    facts->rate = mean_rate(facts);
    if (progress->form != LOOM_PROGRESS_HIDDEN) show_end(progress);
    if (progress->callback != NULL) progress->callback(report, progress->state);
}

void loom_progress_end(struct loom_progress *progress, const struct loom_report_facts *call)
{
    parloom_report report;
    loom_report_make(&report, call);
    loom_progress_finish(progress, &report);
}

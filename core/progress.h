/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * progress.h - what is told while a call runs: the caller's callback, and what verbose shows.
 *
 * Whoever waits for the call tells, at most ten times a second, in the thread that made it: a task pays nothing.
 */
#ifndef LOOM_CORE_PROGRESS_H
#define LOOM_CORE_PROGRESS_H

#include "core/progress_text.h"
#include "core/report.h"

#ifdef __cplusplus
extern "C" {
#endif

enum loom_progress_form { LOOM_PROGRESS_HIDDEN, LOOM_PROGRESS_LINES, LOOM_PROGRESS_BAR, LOOM_PROGRESS_JSON };

struct loom_progress {
    void (*callback)(const parloom_report *so_far, void *state);
    void *state;
    enum loom_progress_form form;
    int verbose;      /* at least 1 where anything is shown */
    bool is_implied;  /* by progress_style alone: a bar of a short call is not worth a line */
    bool is_drawn;    /* the bar, at least once */
    size_t told;      /* tasks in the last line */
    uint64_t told_ns; /* when it was written */
    size_t paced;     /* tasks and time up to which the pace is known */
    uint64_t paced_ns;
    double pace_tasks, pace_seconds; /* moving sums; the rate of late is their ratio */
    uint64_t started_ns;
    struct loom_progress_facts facts; /* n may be set by the owner as soon as it is known */
};

/* Whether options ask for lines or a bar, here and now. */
bool loom_progress_is_shown(const parloom_options *options);
/* n: LOOM_PROGRESS_UNKNOWN where a source decides. now: of loom_clock_ns, here and below. */
void loom_progress_begin(struct loom_progress *progress, const parloom_options *options, const char *backend,
                         int n_jobs, size_t n, uint64_t now);
bool loom_progress_is_wanted(const struct loom_progress *progress);
/* ended: tasks that are over; counts: those of them that did not end OK. */
void loom_progress_tell(struct loom_progress *progress, uint64_t now, size_t ended,
                        const struct loom_tally_counts *counts);
/* After every begin, once. */
void loom_progress_end(struct loom_progress *progress, const struct loom_report_facts *call);
/* The same for who has made the report. */
void loom_progress_finish(struct loom_progress *progress, const parloom_report *report);

#ifdef __cplusplus
}
#endif
#endif

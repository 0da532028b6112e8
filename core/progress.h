/* SPDX-License-Identifier: BSD-3-Clause */
/* progress.h - what is told while a call runs: the caller's callback, and lines in joblib's form. */
#ifndef LOOM_CORE_PROGRESS_H
#define LOOM_CORE_PROGRESS_H

#include "core/report.h"

#ifdef __cplusplus
extern "C" {
#endif

struct loom_progress {
    void (*callback)(const parloom_report *so_far, void *state);
    void *state;
    int verbose;
    const char *backend;
    int n_jobs;
    size_t n;
    uint64_t started_ns;
    uint64_t next_line_ns;
};

void loom_progress_begin(struct loom_progress *progress, const parloom_options *options, const char *backend,
                         int n_jobs, size_t n);
bool loom_progress_is_wanted(const struct loom_progress *progress);
/* ended: tasks that are over; counts: those of them that did not end OK. */
void loom_progress_tell(struct loom_progress *progress, size_t ended, const struct loom_tally_counts *counts);
void loom_progress_end(struct loom_progress *progress, const struct loom_report_facts *facts);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* report.h - what the caller gets to know of a call: statuses, errors, report. */
#ifndef LOOM_CORE_REPORT_H
#define LOOM_CORE_REPORT_H

#include "backends/tally.h"

#ifdef __cplusplus
extern "C" {
#endif

struct loom_report_facts {
    const struct loom_tally *tally; /* settled */
    size_t inline_nbytes, spilled_nbytes, returned_nbytes;
    const char *place, *backend;
    double seconds, cpu_seconds;
    int n_jobs;
};

/* Makes a report of as much as its owner has room for (struct_size). */
/* ended: all that are over, as far as known; what is not noted as something else among them ended OK. */
void loom_report_count(parloom_report *report, size_t ended, const struct loom_tally_counts *counts);
void loom_report_make(parloom_report *report, const struct loom_report_facts *facts);
/* As much of a report as its owner has room for. */
void loom_report_copy(parloom_report *to, const parloom_report *from);
void loom_report_write(const parloom_options *options, const struct loom_report_facts *facts);
/* statuses and errors from a settled tally. */
void loom_report_statuses(const parloom_options *options, const struct loom_tally *tally);
/* The call was refused before it had a tally: every status CANCELLED, errors cleared, an empty report. options may be
 * NULL, or not have been read yet. */
void loom_report_refused(const parloom_options *options, size_t n);
/* All tasks that have no status yet are CANCELLED: the call could not be run (to its end). */
void loom_report_refusal(struct loom_tally *tally);
/* The error of the call for its first failed task: with how the others ended. */
void loom_report_failure(const struct loom_tally *tally, size_t task, parloom_status status, parloom_error *error);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream_account.h - how the calls of a stream ended: counts, statuses, errors, report.
 *
 * A loop has a tally that is settled at its end; a stream does not know how many calls it will have, and tells of each
 * when it ends. One thread at a time.
 */
#ifndef LOOM_CORE_STREAM_ACCOUNT_H
#define LOOM_CORE_STREAM_ACCOUNT_H

#include "core/progress.h"

#ifdef __cplusplus
extern "C" {
#endif

struct loom_spill;

struct loom_stream_account {
    const parloom_options *options; /* what is to be filled; valid until the account is closed */
    parloom_report so_far;
    size_t n_errors;       /* filled in options->errors */
    size_t largest_nbytes; /* of one copy of all calls: so_far names its place */
    uint64_t started_ns, next_told_ns;
    double cpu_before;
    struct loom_progress progress; /* what verbose shows; the callback is told here */
    bool is_told;                  /* anybody */
};

void loom_stream_account_open(struct loom_stream_account *account, const parloom_options *options, const char *backend,
                              int n_jobs);
/* INVALID: there is no room for its status. */
parloom_status loom_stream_account_take(struct loom_stream_account *account, size_t index, parloom_error *error);
/* What of a call that was taken was copied; NULL: nothing. */
void loom_stream_account_copies(struct loom_stream_account *account, const struct loom_spill *spill);
/* error: of the task, where it did not end OK. */
void loom_stream_account_note(struct loom_stream_account *account, size_t index, parloom_status status,
                              const parloom_error *error);
/* The stream is open: from now on progress is told, and next_told_ns says when next. */
void loom_stream_account_show(struct loom_stream_account *account);
bool loom_stream_account_is_due(const struct loom_stream_account *account);
void loom_stream_account_tell(struct loom_stream_account *account); /* it is due */
/* Those that were taken and not noted are cancelled. Fills everything; tally: what the backend counted. */
void loom_stream_account_close(struct loom_stream_account *account, const struct loom_tally *tally);

#ifdef __cplusplus
}
#endif
#endif

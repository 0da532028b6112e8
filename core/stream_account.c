/* SPDX-License-Identifier: BSD-3-Clause */
/* stream_account.c - how the calls of a stream ended (see stream_account.h). */
#include "core/stream_account.h"

#include "base/clock.h"
#include "base/process.h"
#include "base/status.h"
#include "core/report.h"
#include "shm/spill.h"

#include <stdio.h>
#include <string.h>

#define TELL_NS UINT64_C(100000000) /* progress: at most 10 a second */

void loom_stream_account_open(struct loom_stream_account *account, const parloom_options *options, const char *backend,
                              int n_jobs)
{
    memset(account, 0, sizeof *account);
    account->options = options;
    account->so_far.struct_size = sizeof account->so_far;
    account->so_far.backend = backend;
    account->so_far.n_jobs = n_jobs;
    account->started_ns = loom_clock_ns();
    account->next_told_ns = LOOM_NEVER_NS;
    account->cpu_before = loom_process_cpu_seconds();
    for (size_t k = 0; options->errors != NULL && k < options->n_errors; k++) loom_status_clear(&options->errors[k]);
}

parloom_status loom_stream_account_take(struct loom_stream_account *account, size_t index, parloom_error *error)
{
    const parloom_options *options = account->options;
    if (options->statuses != NULL && options->n_statuses > 0 && index >= options->n_statuses)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "statuses has room for %zu calls and the source has more: make it larger, or leave it "
                                "unset",
                                options->n_statuses);
    if (options->statuses != NULL) options->statuses[index] = PARLOOM_ERR_CANCELLED; /* until it has ended */
    account->so_far.tasks++;
    return PARLOOM_OK;
}

void loom_stream_account_copies(struct loom_stream_account *account, const struct loom_spill *spill)
{
    parloom_report *so_far = &account->so_far;
    if (spill == NULL) return;
    so_far->inline_nbytes += loom_spill_inline_nbytes(spill);
    so_far->spilled_nbytes += loom_spill_spilled_nbytes(spill);
    if (loom_spill_largest_nbytes(spill) <= account->largest_nbytes) return;
    account->largest_nbytes = loom_spill_largest_nbytes(spill);
    (void)snprintf(so_far->spilled_to, sizeof so_far->spilled_to, "%s", loom_spill_place(spill));
}

static size_t *count_of(parloom_report *report, parloom_status status)
{
    switch (status) {
    case PARLOOM_OK:
        return &report->ok;
    case PARLOOM_ERR_CRASHED:
        return &report->crashed;
    case PARLOOM_ERR_EXITED:
        return &report->exited;
    case PARLOOM_ERR_TIMEOUT:
        return &report->timed_out;
    case PARLOOM_ERR_CANCELLED:
        return &report->cancelled;
    default:
        return &report->failed;
    }
}

/* The first in the order of the source are kept. */
static void keep_error(struct loom_stream_account *account, size_t index, const parloom_error *error)
{
    const parloom_options *options = account->options;
    size_t at = account->n_errors;
    if (options->errors == NULL) return;
    while (at > 0 && options->errors[at - 1].task > index) {
        if (at < options->n_errors) options->errors[at] = options->errors[at - 1];
        at--;
    }
    if (at >= options->n_errors) return;
    options->errors[at] = *error;
    options->errors[at].task = index;
    if (account->n_errors < options->n_errors) account->n_errors++;
}

void loom_stream_account_note(struct loom_stream_account *account, size_t index, parloom_status status,
                              const parloom_error *error)
{
    (*count_of(&account->so_far, status))++;
    if (account->options->statuses != NULL) account->options->statuses[index] = status;
    if (status != PARLOOM_OK && status != PARLOOM_ERR_CANCELLED) keep_error(account, index, error);
}

static void set_seconds(struct loom_stream_account *account)
{
    account->so_far.seconds = 1e-9 * (double)(loom_clock_ns() - account->started_ns);
    account->so_far.cpu_seconds = loom_process_cpu_seconds() - account->cpu_before;
}

void loom_stream_account_show(struct loom_stream_account *account)
{
    const parloom_options *options = account->options;
    account->is_told = options->progress != NULL || loom_progress_is_shown(options);
    if (!account->is_told) return;
    account->next_told_ns = account->started_ns + TELL_NS;
    loom_progress_begin(&account->progress, options, account->so_far.backend, account->so_far.n_jobs,
                        LOOM_PROGRESS_UNKNOWN, account->started_ns);
    account->progress.callback = NULL; /* a stream's report has more to say */
}

bool loom_stream_account_is_due(const struct loom_stream_account *account)
{
    return account->is_told && loom_clock_ns() >= account->next_told_ns;
}

static size_t count_ended(const parloom_report *so_far)
{
    return so_far->ok + so_far->failed + so_far->crashed + so_far->exited + so_far->timed_out + so_far->cancelled;
}

void loom_stream_account_tell(struct loom_stream_account *account)
{
    const parloom_report *so_far = &account->so_far;
    struct loom_tally_counts counts = { 0 };
    uint64_t now = loom_clock_ns();
    set_seconds(account);
    counts.failed = so_far->failed;
    counts.crashed = so_far->crashed;
    counts.exited = so_far->exited;
    counts.timed_out = so_far->timed_out;
    if (loom_progress_is_wanted(&account->progress))
        loom_progress_tell(&account->progress, now, count_ended(so_far), &counts);
    if (account->options->progress != NULL) account->options->progress(so_far, account->options->progress_state);
    account->next_told_ns = now + TELL_NS;
}

/* Of how many, is known now. */
static void show_end(struct loom_stream_account *account)
{
    account->progress.facts.n = account->so_far.tasks;
    if (loom_progress_is_wanted(&account->progress)) loom_progress_finish(&account->progress, &account->so_far);
    if (account->options->progress != NULL)
        account->options->progress(&account->so_far, account->options->progress_state);
}

void loom_stream_account_close(struct loom_stream_account *account, const struct loom_tally *tally)
{
    parloom_report *so_far = &account->so_far;
    so_far->cancelled += so_far->tasks - count_ended(so_far);
    so_far->retried = tally->retried;
    so_far->workers_started = tally->workers_started;
    so_far->workers_lost = tally->workers_lost;
    set_seconds(account);
    if (account->options->report != NULL) loom_report_copy(account->options->report, so_far);
    if (account->is_told) show_end(account);
}

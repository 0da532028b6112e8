/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tally.h - the program's private account of one call: every task ends in exactly one status.
 *
 * A task is OK unless the tally says otherwise, so an untroubled call of a billion tasks costs nothing here. Backends
 * note exceptions; settle makes statuses, errors and counts of them. One thread at a time (threads lock around it).
 */
#ifndef LOOM_BACKENDS_TALLY_H
#define LOOM_BACKENDS_TALLY_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

/* [begin, end) ended in status. */
struct loom_tally_range {
    size_t begin, end;
    parloom_status status;
};

struct loom_tally {
    size_t n;
    struct loom_tally_range *ranges; /* unsorted until settled */
    size_t n_ranges, ranges_room;
    struct loom_tally_range few[16]; /* the first of them: to refuse a call needs no memory */
    parloom_error *errors;           /* the lowest failed tasks; sorted by task when settled */
    size_t n_errors, errors_room;    /* room >= 1 */
    size_t retried;
    int workers_started, workers_lost;
    double cpu_seconds;      /* of the workers, as far as known */
    bool is_begun;           /* tasks were handed out: from then on the backend notes those that did not run */
    bool is_short_of_memory; /* a note could not be taken: settled as MEMORY, with all tasks CANCELLED */
};

parloom_status loom_tally_init(struct loom_tally *tally, size_t n, size_t errors_room, parloom_error *error);
void loom_tally_fini(struct loom_tally *tally);
/* A range that ended in status, without details (CANCELLED). */
void loom_tally_note(struct loom_tally *tally, size_t begin, size_t end, parloom_status status);
/* The same for those of [begin, end) that are not noted yet. */
void loom_tally_note_rest(struct loom_tally *tally, size_t begin, size_t end, parloom_status status);
/* The same with details for its first task; error->task and ->status are set from the arguments. */
void loom_tally_fail(struct loom_tally *tally, size_t begin, size_t end, parloom_status status,
                     const parloom_error *error);
/* Whether the task is noted already. Any time; looks through all notes. */
bool loom_tally_has(const struct loom_tally *tally, size_t task);
/* Sorts; checks that no task is noted twice (INTERNAL). MEMORY: how tasks ended is not known, none counts as OK. Then
 * counts and statuses can be taken. */
parloom_status loom_tally_settle(struct loom_tally *tally, parloom_error *error);
/* Tasks noted so far, by how they ended. Any time. */
struct loom_tally_counts {
    size_t failed, crashed, exited, timed_out, cancelled;
};
struct loom_tally_counts loom_tally_count_noted(const struct loom_tally *tally);
/* After settle: how many tasks ended so (PARLOOM_OK included). */
size_t loom_tally_count(const struct loom_tally *tally, parloom_status status);
/* After settle: of one task. */
parloom_status loom_tally_status(const struct loom_tally *tally, size_t task);
/* After settle: the first task that ended neither OK nor CANCELLED; PARLOOM_NO_TASK. */
size_t loom_tally_first_failure(const struct loom_tally *tally);

#ifdef __cplusplus
}
#endif
#endif

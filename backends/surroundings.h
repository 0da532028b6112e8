/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * surroundings.h - what every process has beside its memory and follows the program into its workers: environment,
 * working directory, locale, umask.
 *
 * Compared at each call, as bytes (a hash would have to read them too). The umask cannot be read without a visit to
 * /proc (10 us), so it is read when another of them has changed.
 */
#ifndef LOOM_BACKENDS_SURROUNDINGS_H
#define LOOM_BACKENDS_SURROUNDINGS_H

#include "backends/directory.h"

#ifdef __cplusplus
extern "C" {
#endif

struct loom_surroundings {
    size_t holders;    /* snapshots; guarded by whoever makes them */
    char *environment; /* "NAME=value" each with its NUL */
    size_t environment_nbytes;
    size_t *steps; /* from each variable to the next: it is compared in each call */
    size_t n_variables;
    char *locale; /* of setlocale(LC_ALL) */
    struct loom_directory *directory;
    uint32_t umask;
};

/* As they lie in a letter; addresses of texts there. */
struct loom_surroundings_shared {
    uint64_t environment, environment_nbytes;
    uint64_t locale;
    uint64_t path;
    struct loom_directory_identity directory;
    uint32_t directory_number;
    uint32_t umask;
};

/* Whether they are still those of this process. */
bool loom_surroundings_hold(const struct loom_surroundings *surroundings);
/* Those of this process now, with one holder. MEMORY. */
parloom_status loom_surroundings_read(struct loom_surroundings **surroundings_out, parloom_error *error);
void loom_surroundings_let_go(struct loom_surroundings *surroundings);

/* In a worker: takes them on. IO, MEMORY. */
parloom_status loom_surroundings_apply(const struct loom_surroundings_shared *shared, loom_segment_fetch fetch,
                                       void *fetch_state, parloom_error *error);
/* In a new worker: variables of its own (base/variables.h), which outweigh the program's from now on. The text stays
 * where it is; NULL: none. False: no memory. */
bool loom_surroundings_own(const char *variables);
/* What a worker had after it took them on, to see whether a task has changed it since. */
struct loom_surroundings_mark;
struct loom_surroundings_mark *loom_surroundings_mark(void); /* NULL: no memory */
bool loom_surroundings_are_as_marked(const struct loom_surroundings_mark *mark);
void loom_surroundings_unmark(struct loom_surroundings_mark *mark); /* NULL is fine */

/* The variables of this process, as above, or NULL: no memory. */
char *loom_surroundings_copy_environment(size_t *nbytes_out);
/* Whether the environment of this process is that. */
bool loom_surroundings_have_environment(const char *environment, size_t nbytes);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options.h - the one table of options (name, environment variable, type, default, range, sentence), and what is
 * derived from it: parsing, checking, precedence (call > pool > scope > process default > environment > built-in).
 */
#ifndef LOOM_BASE_OPTIONS_H
#define LOOM_BASE_OPTIONS_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOOM_OPTIONS_MAX_NBYTES_DEFAULT ((size_t)1 << 20)
/* A struct_size that was never written holds anything: beyond this we would only read the caller's stack. */
#define LOOM_OPTIONS_MOST_NBYTES ((size_t)4096)

/* struct_size first: smaller than known is an older caller (the rest is unset), larger must be zero beyond what is
 * known. Copies into *options_out (of full size). Then ranges. NULL given: all unset. INVALID names field and value. */
parloom_status loom_options_read(const parloom_options *given, parloom_options *options_out, parloom_error *error);
/* Each field that is unset in *onto is taken from under (precedence: onto wins). Fields in groups stay together:
 * statuses + n_statuses, errors + n_errors, progress + progress_state, worker_init + its state. */
void loom_options_fill_unset(parloom_options *onto, const parloom_options *under);
/* PARLOOM_* of the environment, read and checked once per process (secure_getenv); unknown PARLOOM_* variables are
 * reported once with "did you mean". INVALID when a value does not parse, naming the variable. */
parloom_status loom_options_environment(const parloom_options **options_out, parloom_error *error);
/* In a worker, before its first call: its program has reported unknown variables already. */
void loom_options_hush_environment(void);
/* "1048576" "64K" "1M" "1.5G" "2T", also KiB/MiB/GiB and KB/MB/GB as 1024; "never" is SIZE_MAX. Strict. */
parloom_status loom_options_parse_nbytes(const char *name, const char *text, size_t *nbytes_out, parloom_error *error);
/* A deep copy (strings and worker_init_state); release with loom_options_destroy. */
parloom_status loom_options_copy(parloom_options *copy_out, const parloom_options *options, parloom_error *error);
/* The same in each field, strings and worker_init_state compared by what they hold. */
bool loom_options_are_equal(const parloom_options *a, const parloom_options *b);
void loom_options_destroy(parloom_options *copy);

/* The table, for docs and tests: NULL after the last. */
struct loom_option {
    const char *name; /* "n_jobs": environment PARLOOM_N_JOBS */
    const char *type; /* "integer" "nbytes" "text" "seconds" "choice" */
    const char *default_text;
    const char *range;
    const char *sentence;
};
const struct loom_option *loom_options_table(size_t index);

#ifdef __cplusplus
}
#endif
#endif

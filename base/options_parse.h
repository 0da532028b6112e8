/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options_parse.h - text to values, strictly: the whole text counts, nothing is evaluated, and the locale is not asked.
 * name: what the user wrote, for messages ("n_jobs", "PARLOOM_N_JOBS"). INVALID with name, text and what it may be.
 */
#ifndef LOOM_BASE_OPTIONS_PARSE_H
#define LOOM_BASE_OPTIONS_PARSE_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

struct loom_options_choice {
    const char *word; /* NULL after the last */
    int value;
};

parloom_status loom_options_parse_integer(const char *name, const char *text, int *value_out, parloom_error *error);
parloom_status loom_options_parse_count(const char *name, const char *text, size_t *count_out, parloom_error *error);
/* "1.5" seconds; "never" and negative numbers give -1. */
parloom_status loom_options_parse_seconds(const char *name, const char *text, double *seconds_out,
                                          parloom_error *error);
parloom_status loom_options_parse_choice(const char *name, const char *text, const struct loom_options_choice *choices,
                                         int *value_out, parloom_error *error);
/* How many letters must be put in, taken out or changed to make b of a; 64 where one of them is longer than that. */
int loom_options_parse_distance(const char *a, const char *b);

#ifdef __cplusplus
}
#endif
#endif

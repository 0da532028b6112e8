/* SPDX-License-Identifier: BSD-3-Clause */
/* options_table.h - find an option of the table by name, and give it a value from text. */
#ifndef LOOM_BASE_OPTIONS_TABLE_H
#define LOOM_BASE_OPTIONS_TABLE_H

#include "base/options.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Index in the table, -1: none of that name. */
int loom_options_table_find(const char *name);
/* The name most like this one, NULL where none is near. */
const char *loom_options_table_nearest(const char *name);
/* label: what messages call it. Text values are borrowed: the option points to text itself. */
parloom_status loom_options_table_assign(parloom_options *options, int index, const char *label, const char *text,
                                         parloom_error *error);
/* The first option of words whose number is none that its table knows, nor unset; NULL: all are known. */
const struct loom_option *loom_options_table_find_odd(const parloom_options *options, int *value_out);

#ifdef __cplusplus
}
#endif
#endif

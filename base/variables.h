/* SPDX-License-Identifier: BSD-3-Clause */
/* variables.h - environment variables as one text, "NAME=value;NAME2=value2" (the option worker_environment). */
#ifndef LOOM_BASE_VARIABLES_H
#define LOOM_BASE_VARIABLES_H

#include <parloom/status.h>

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Points into the text. */
struct loom_variable {
    const char *name, *value;
    size_t name_nbytes, value_nbytes;
};

/* Whether every piece has a name; what is called label is in the sentence. text NULL: there are none. INVALID. */
parloom_status loom_variables_check(const char *label, const char *text, parloom_error *error);
/* The next of a checked text and where the one after it begins; false: there is none. *at_inout NULL: none either. */
bool loom_variables_next(const char **at_inout, struct loom_variable *variable_out);
/* Whether one of a checked text (or NULL) has that name. */
bool loom_variables_name(const char *text, const char *name, size_t name_nbytes);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* variables.c - take a text of environment variables apart (see variables.h). */
#include "base/variables.h"

#include "base/status.h"

#include <string.h>

bool loom_variables_next(const char **at_inout, struct loom_variable *variable_out)
{
    const char *at = *at_inout;
    if (at == NULL || at[0] == '\0') return false;
    size_t nbytes = strcspn(at, ";"), name_nbytes = strcspn(at, "=;");
    if (name_nbytes == nbytes) return false; /* not checked */
    *variable_out = (struct loom_variable){ at, at + name_nbytes + 1, name_nbytes, nbytes - name_nbytes - 1 };
    *at_inout = at[nbytes] == ';' ? at + nbytes + 1 : at + nbytes;
    return true;
}

bool loom_variables_name(const char *text, const char *name, size_t name_nbytes)
{
    struct loom_variable variable;
    while (loom_variables_next(&text, &variable))
        if (variable.name_nbytes == name_nbytes && memcmp(variable.name, name, name_nbytes) == 0) return true;
    return false;
}

parloom_status loom_variables_check(const char *label, const char *text, parloom_error *error)
{
    if (text == NULL) return PARLOOM_OK;
    for (const char *at = text;; at++) {
        size_t nbytes = strcspn(at, ";"), name_nbytes = strcspn(at, "=;");
        if (name_nbytes == 0 || name_nbytes == nbytes)
            return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                    "%s \"%.100s\" has \"%.*s\", which is no variable: give NAME=value;NAME2=value2",
                                    label, text, nbytes > 100 ? 100 : (int)nbytes, at);
        at += nbytes;
        if (*at == '\0') return PARLOOM_OK;
    }
}

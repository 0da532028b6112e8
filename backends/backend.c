/* SPDX-License-Identifier: BSD-3-Clause */
/* backend.c - find a backend by its name, and what concerns all of them. */
#include "backends/run.h"

#include <string.h>

static const struct loom_backend *const builtin[] = { &loom_backend_sequential, &loom_backend_threads,
                                                      &loom_backend_processes, &loom_backend_fork };

const struct loom_backend *loom_backend_find(const char *name)
{
    for (size_t k = 0; k < sizeof builtin / sizeof *builtin; k++)
        if (strcmp(builtin[k]->name, name) == 0) return builtin[k];
    return NULL;
}

const char *loom_backend_names(void)
{
    return "sequential, threads, processes, fork";
}

void loom_backend_shutdown(bool kill)
{
    for (size_t k = 0; k < sizeof builtin / sizeof *builtin; k++)
        if (builtin[k]->shutdown != NULL) builtin[k]->shutdown(kill);
}

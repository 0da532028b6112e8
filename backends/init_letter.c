/* SPDX-License-Identifier: BSD-3-Clause */
/* init_letter.c - what a new worker is given before its first task: its state and its variables (see letter.h). */
#include "backends/letter.h"
#include "base/memory.h"
#include "base/status.h"

#include <string.h>

static size_t text_nbytes(const char *environment)
{
    return environment != NULL ? strlen(environment) + 1 : 0;
}

parloom_status loom_init_letter_measure(size_t state_nbytes, const char *environment, size_t *nbytes_out,
                                        parloom_error *error)
{
    size_t nbytes = sizeof(struct loom_init_letter);
    if (!loom_memory_add(nbytes, state_nbytes, &nbytes) || !loom_memory_add(nbytes, text_nbytes(environment), &nbytes))
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "worker_init_state_nbytes is too large");
    *nbytes_out = nbytes;
    return PARLOOM_OK;
}

void loom_init_letter_put(struct loom_init_letter *letter, const void *state, size_t state_nbytes,
                          const char *environment)
{
    char *behind = (char *)(letter + 1) + state_nbytes;
    letter->nbytes = state_nbytes;
    if (state_nbytes > 0) memcpy(letter + 1, state, state_nbytes);
    if (environment == NULL) return;
    memcpy(behind, environment, text_nbytes(environment));
    letter->environment = (uint64_t)(uintptr_t)behind;
}

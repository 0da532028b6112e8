/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_init.c - worker_init in a worker process (see worker_init.h; in the caller's own: local_init.c). */
#include "backends/worker_init.h"

#include "backends/letter.h"

#include <stdlib.h>
#include <string.h>

static parloom_body find(const struct loom_init_letter *letter, parloom_error *error)
{
    parloom_body found = NULL;
    if (letter->function_address != 0)
        memcpy(&found, &letter->function_address, sizeof found);
    else if (loom_task_resolve(&letter->function, &found, error) != PARLOOM_OK)
        found = NULL;
    return found;
}

static int call(const struct loom_init_letter *letter, parloom_body found)
{
    int (*init)(void *);
    void *state = NULL;
    memcpy(&init, &found, sizeof init);
    if (letter->nbytes > 0) {
        state = malloc((size_t)letter->nbytes);
        if (state != NULL) memcpy(state, letter + 1, (size_t)letter->nbytes);
    }
    return init(state); /* the state stays: init may have kept pointers into it */
}

bool loom_worker_init(const struct loom_board_shared *board, struct loom_seat_shared *seat)
{
    const struct loom_init_letter *letter = (const struct loom_init_letter *)(uintptr_t)board->init_letter;
    parloom_error error = { 0 };
    if (letter == NULL) return true;
    parloom_body found = find(letter, &error);
    int code = found != NULL ? call(letter, found) : (int)PARLOOM_ERR_FUNCTION;
    if (code == 0) return true;
    loom_store_relaxed(&seat->code, code); /* relaxed: ordered by state */
    memcpy(seat->message, error.message, sizeof seat->message - 1);
    loom_store_release(&seat->state, LOOM_SEAT_INIT_FAILED); /* release: code; pairs with the harvest */
    return false;
}

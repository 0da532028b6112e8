/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_init.c - worker_environment and the program's worker_init, in a new worker process before its first task. */
#include "backends/letter.h"
#include "backends/surroundings.h"
#include "backends/worker.h"
#include "shm/board.h"

#include <stdlib.h>
#include <string.h>

static bool find(const struct loom_init_letter *letter, int (**init_out)(void *state), parloom_error *error)
{
    parloom_body found = NULL;
    if (letter->function_address != 0)
        memcpy(&found, &letter->function_address, sizeof found);
    else if (loom_task_resolve(&letter->function, &found, error) != PARLOOM_OK)
        return false;
    memcpy(init_out, &found, sizeof found);
    return true;
}

/* The state stays: worker_init may have kept pointers into it. */
static int run(const struct loom_init_letter *letter, int (*init)(void *state))
{
    void *state = letter->nbytes > 0 ? malloc((size_t)letter->nbytes) : NULL;
    if (state != NULL) memcpy(state, letter + 1, (size_t)letter->nbytes);
    return init(state);
}

bool loom_worker_init(const struct loom_board_shared *board, struct loom_seat_shared *seat)
{
    const struct loom_init_letter *letter = (const struct loom_init_letter *)(uintptr_t)board->init_letter;
    int (*init)(void *state) = NULL;
    parloom_error error = { 0 };
    if (letter == NULL) return true;
    if (!loom_surroundings_own((const char *)(uintptr_t)letter->environment)) return false;
    if (letter->has_init == 0) return true;
    bool is_found = find(letter, &init, &error);
    loom_store_release(&seat->state, LOOM_SEAT_INITIALISING); /* read after its death */
    int code = is_found ? run(letter, init) : (int)PARLOOM_ERR_FUNCTION;
    if (code == 0) return true;
    loom_store_relaxed(&seat->code, code); /* relaxed: ordered by state */
    memcpy(seat->message, error.message, sizeof seat->message - 1);
    loom_store_release(&seat->state, LOOM_SEAT_INIT_FAILED); /* release: code; pairs with the harvest */
    return false;
}

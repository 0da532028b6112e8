/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * state_write.c - the program writes a snapshot into the letter memory of a crew (see state.h).
 *
 * A crew keeps the block of the snapshot that its last call had. Calls hold the block they refer to, so it may be
 * replaced while others still need it.
 */
#include "backends/dispatch.h"
#include "backends/reporter.h"
#include "backends/state.h"
#include "base/memory.h"
#include "base/status.h"
#include "shm/arena.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { ALIGNMENT = 64 };

/* ---------------------------------------------------------------------- write */

static bool add_room(size_t *total, size_t nbytes)
{
    return nbytes <= SIZE_MAX - ALIGNMENT && loom_memory_add(*total, loom_memory_round_up(nbytes, ALIGNMENT), total);
}

static bool count_room(const struct loom_state *state, size_t *total_out)
{
    const struct loom_surroundings *surroundings = state->surroundings;
    *total_out = 0;
    bool fits = add_room(total_out,
                         sizeof(struct loom_state_shared) + state->n_items * sizeof(struct loom_state_item_shared)) &&
                add_room(total_out, surroundings->environment_nbytes + 1) &&
                add_room(total_out, strlen(surroundings->locale) + 1) &&
                add_room(total_out, strlen(loom_directory_path(surroundings->directory)) + 1);
    for (size_t k = 0; fits && k < state->n_items; k++) fits = add_room(total_out, state->items[k].nbytes);
    return fits;
}

/* Copies to where the next bytes go; their address. */
static uint64_t put(char **at, const void *bytes, size_t nbytes)
{
    char *to = *at;
    if (nbytes > 0) memcpy(to, bytes, nbytes);
    *at += loom_memory_round_up(nbytes, ALIGNMENT);
    return (uint64_t)(uintptr_t)to;
}

static void put_surroundings(struct loom_surroundings_shared *shared, const struct loom_surroundings *surroundings,
                             char **at)
{
    const char *path = loom_directory_path(surroundings->directory);
    shared->environment = put(at, surroundings->environment, surroundings->environment_nbytes + 1);
    shared->environment_nbytes = surroundings->environment_nbytes;
    shared->locale = put(at, surroundings->locale, strlen(surroundings->locale) + 1);
    shared->path = put(at, path, strlen(path) + 1);
    shared->directory = *loom_directory_identity_of(surroundings->directory);
    shared->directory_number = loom_directory_number(surroundings->directory);
    shared->umask = surroundings->umask;
}

static parloom_status put_item(struct loom_state_item_shared *shared, const struct loom_state_item *item, char **at,
                               parloom_error *error)
{
    parloom_body apply, restore;
    memset(shared, 0, sizeof *shared);
    memcpy(shared->name, item->name, sizeof shared->name);
    memcpy(&apply, &item->apply, sizeof apply);
    memcpy(&restore, &item->restore, sizeof restore);
    shared->registration = item->registration;
    shared->version = item->version;
    shared->has_restore = item->restore != NULL;
    shared->bytes = put(at, item->bytes, item->nbytes);
    shared->nbytes = item->nbytes;
    parloom_status status = loom_task_refer(apply, &shared->apply, error);
    if (status == PARLOOM_OK && shared->has_restore) status = loom_task_refer(restore, &shared->restore, error);
    return status;
}

static parloom_status put_state(struct loom_state_shared *shared, const struct loom_state *state, parloom_error *error)
{
    parloom_status status = PARLOOM_OK;
    char *at = (char *)shared;
    at += loom_memory_round_up(sizeof *shared + state->n_items * sizeof *shared->items, ALIGNMENT);
    shared->number = state->number;
    shared->surroundings_version = state->surroundings_version;
    shared->n_items = state->n_items;
    put_surroundings(&shared->surroundings, state->surroundings, &at);
    for (size_t k = 0; k < state->n_items && status == PARLOOM_OK; k++)
        status = put_item(&shared->items[k], &state->items[k], &at, error);
    return status;
}

static parloom_status replace_block(struct loom_crew *crew, const struct loom_state *state, parloom_error *error)
{
    size_t nbytes = 0;
    if (!count_room(state, &nbytes))
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "the registered states are too large");
    struct loom_state_shared *block = loom_arena_allocate(crew->letters, nbytes, 0, false, error);
    if (block == NULL) return error != NULL ? error->status : PARLOOM_ERR_SPACE;
    parloom_status status = put_state(block, state, error);
    if (status != PARLOOM_OK) {
        loom_arena_free(crew->letters, block);
        return status;
    }
    loom_arena_free(crew->letters, crew->state); /* calls that run hold it */
    crew->state = block;
    return PARLOOM_OK;
}

parloom_status loom_state_hold(struct loom_crew *crew, const struct loom_state *state, uint64_t *address_out,
                               parloom_error *error)
{
    *address_out = 0;
    if (state == NULL || crew->letters == NULL) return PARLOOM_OK; /* forked workers inherit */
    bool is_known = crew->state != NULL && crew->state->number == state->number;
    parloom_status status = is_known ? PARLOOM_OK : replace_block(crew, state, error);
    if (status != PARLOOM_OK) return status;
    loom_arena_hold(crew->letters, crew->state);
    *address_out = (uint64_t)(uintptr_t)crew->state;
    return PARLOOM_OK;
}

void loom_state_drop(struct loom_crew *crew, uint64_t address)
{
    if (address != 0) loom_arena_drop(crew->letters, (void *)(uintptr_t)address);
}

parloom_status loom_state_write(struct loom_dispatch *dispatch, uint64_t *address_out, parloom_error *error)
{
    if (dispatch->state == 0) {
        parloom_status status = loom_state_hold(dispatch->crew, dispatch->run->state, &dispatch->state, error);
        if (status != PARLOOM_OK) return status;
    }
    *address_out = dispatch->state;
    return PARLOOM_OK;
}

void loom_state_let_go(struct loom_dispatch *dispatch)
{
    loom_state_drop(dispatch->crew, dispatch->state);
    dispatch->state = 0;
}

/* ---------------------------------------------------------------------- blame */

bool loom_state_is_to_blame(const struct loom_crew *crew, uint32_t seat, int wait_status, int pid, parloom_error *error)
{
    struct loom_seat_shared *shared = loom_board_seat(crew->board, seat);
    char how[64];
    if (loom_load_acquire(&shared->state) != LOOM_SEAT_APPLYING) return false; /* pairs with the worker's release */
    shared->message[sizeof shared->message - 1] = '\0';
    if (WIFSIGNALED(wait_status))
        loom_reporter_signal_name(WTERMSIG(wait_status), how, sizeof how);
    else
        (void)snprintf(how, sizeof how, "exit code %d", WEXITSTATUS(wait_status));
    loom_status_fail(error, PARLOOM_ERR_CALLBACK, 0,
                     "worker %u, pid %d, ended in the apply function of state \"%s\": %s", seat, pid, shared->message,
                     how);
    error->worker = (int)seat;
    error->pid = pid;
    if (WIFSIGNALED(wait_status))
        error->signal = WTERMSIG(wait_status);
    else
        error->code = WEXITSTATUS(wait_status);
    return true;
}

bool loom_state_blame(struct loom_dispatch *dispatch, uint32_t seat, int wait_status, int pid)
{
    parloom_error error;
    if (!loom_state_is_to_blame(dispatch->crew, seat, wait_status, pid, &error)) return false;
    loom_dispatch_refuse(dispatch, &error);
    return true;
}

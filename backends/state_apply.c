/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * state_apply.c - a worker takes on the state of the program whose call it serves (see state.h).
 *
 * What it has applied last is remembered by number: registration and version for each state, one version for the
 * surroundings. Calls of several threads may have captured different bytes: the worker follows whom it serves.
 */
#include "backends/state.h"

#include "base/memory.h"
#include "base/status.h"
#include "shm/board.h"

#include <string.h>

struct applied {
    uint64_t registration, version; /* version 0: put back, or not applied yet */
};

/* One worker in a process. */
static struct {
    uint64_t number; /* of the snapshot that holds as a whole; 0: none */
    uint64_t surroundings_version;
    struct loom_surroundings_mark *mark; /* of them; NULL: not known, they are taken on in each call */
    struct applied *applied;
    size_t n_applied, room;
} had;

/* NULL: no memory. */
static struct applied *applied_of(uint64_t registration)
{
    for (size_t k = 0; k < had.n_applied; k++)
        if (had.applied[k].registration == registration) return &had.applied[k];
    if (had.n_applied == had.room) {
        size_t room = had.room > 0 ? 2 * had.room : 8;
        struct applied *grown = loom_memory_grow(had.applied, room, sizeof *grown);
        if (grown == NULL) return NULL;
        had.applied = grown;
        had.room = room;
    }
    had.applied[had.n_applied] = (struct applied){ registration, 0 };
    return &had.applied[had.n_applied++];
}

static const void *bytes_of(const struct loom_state_item_shared *item)
{
    return (const void *)(uintptr_t)item->bytes;
}

/* The program reads the name where this worker ends meanwhile. */
static void announce(struct loom_seat_shared *seat, const char *name)
{
    memset(seat->message, 0, sizeof seat->message);
    strncpy(seat->message, name, sizeof seat->message - 1);
    loom_store_release(&seat->state, LOOM_SEAT_APPLYING); /* release: the name; pairs with loom_state_blame */
}

static parloom_status apply_item(const struct loom_state_item_shared *item, struct loom_seat_shared *seat,
                                 parloom_error *error)
{
    parloom_body found = NULL;
    int (*apply)(const void *bytes, size_t nbytes);
    parloom_status status = loom_task_resolve(&item->apply, &found, error);
    if (status != PARLOOM_OK) return status;
    memcpy(&apply, &found, sizeof apply);
    announce(seat, item->name);
    int code = apply(bytes_of(item), (size_t)item->nbytes);
    loom_store_release(&seat->state, LOOM_SEAT_READY); /* pairs with loom_state_blame */
    if (code == 0) return PARLOOM_OK;
    loom_status_fail(error, PARLOOM_ERR_CALLBACK, 0, "the apply function of state \"%s\" returned %d", item->name,
                     code);
    error->code = code;
    return PARLOOM_ERR_CALLBACK;
}

static parloom_status apply_changed(const struct loom_state_item_shared *item, struct loom_seat_shared *seat,
                                    parloom_error *error)
{
    struct applied *applied = applied_of(item->registration);
    if (applied == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory to note a state in a worker");
    if (applied->version == item->version) return PARLOOM_OK;
    parloom_status status = apply_item(item, seat, error);
    applied->version = status == PARLOOM_OK ? item->version : 0;
    return status;
}

void loom_state_mark(void)
{
    if (had.surroundings_version == 0) return;
    loom_surroundings_unmark(had.mark);
    had.mark = loom_surroundings_mark();
}

static const struct loom_state_shared *state_at(uint64_t address)
{
    return (const struct loom_state_shared *)(uintptr_t)address;
}

parloom_status loom_state_apply(uint64_t address, struct loom_seat_shared *seat, loom_segment_fetch fetch,
                                void *fetch_state, parloom_error *error)
{
    const struct loom_state_shared *state = state_at(address);
    if (address == 0 || state->number == had.number) return PARLOOM_OK;
    had.number = 0; /* until all of it holds */
    if (state->surroundings_version != had.surroundings_version) {
        had.surroundings_version = 0;
        parloom_status status = loom_surroundings_apply(&state->surroundings, fetch, fetch_state, error);
        if (status != PARLOOM_OK) return status;
        had.surroundings_version = state->surroundings_version;
        loom_state_mark();
    }
    for (size_t k = 0; k < state->n_items; k++) {
        parloom_status status = apply_changed(&state->items[k], seat, error);
        if (status != PARLOOM_OK) return status;
    }
    had.number = state->number;
    return PARLOOM_OK;
}

bool loom_state_holds(uint64_t address)
{
    return address == 0 || state_at(address)->number == had.number;
}

static void restore_item(const struct loom_state_item_shared *item)
{
    parloom_body found = NULL;
    void (*restore)(const void *bytes, size_t nbytes);
    struct applied *applied = applied_of(item->registration);
    if (applied == NULL || applied->version != item->version) return; /* it was not applied */
    applied->version = 0;
    had.number = 0;
    if (loom_task_resolve(&item->restore, &found, NULL) != PARLOOM_OK) return;
    memcpy(&restore, &found, sizeof restore);
    restore(bytes_of(item), (size_t)item->nbytes);
}

bool loom_state_has_restore(uint64_t address)
{
    const struct loom_state_shared *state = state_at(address);
    for (size_t k = 0; address != 0 && k < state->n_items; k++)
        if (state->items[k].has_restore) return true;
    return false;
}

/* The last one first, as scopes end. */
void loom_state_restore(uint64_t address)
{
    const struct loom_state_shared *state = state_at(address);
    if (address == 0) return;
    for (size_t k = state->n_items; k > 0; k--)
        if (state->items[k - 1].has_restore) restore_item(&state->items[k - 1]);
}

void loom_state_check(void)
{
    if (had.surroundings_version == 0) return;
    if (had.mark != NULL && loom_surroundings_are_as_marked(had.mark)) return;
    had.surroundings_version = 0;
    had.number = 0;
}

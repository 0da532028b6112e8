/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * state.c - which states are registered, and their bytes at the time of a call.
 *
 * The last snapshot is kept: as long as nothing has changed, calls share it, and workers that have applied it have
 * nothing to do. Capture functions run under the lock, one at a time: what they would call that takes it is refused.
 */
#include "core/state.h"

#include "backends/state.h"
#include "base/memory.h"
#include "base/status.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct registered {
    char name[PARLOOM_STATE_NAME_BYTES];
    parloom_state_ops ops;
    void *state;
    uint64_t registration;
    uint64_t version; /* of bytes; 0: never captured */
    char *bytes;
    size_t nbytes, room;
    struct registered *next;
};

static struct {
    pthread_mutex_t lock;
    struct registered *first;
    size_t count;
    bool is_changed; /* since the last snapshot: somebody was registered or unregistered */
    char *scratch;   /* what is captured is compared here */
    size_t scratch_room;
    uint64_t last; /* number given last, of whatever */
    struct loom_state *kept;
    struct loom_state *forgotten; /* by a child: another thread of its parent was at work on it */
} book = { .lock = PTHREAD_MUTEX_INITIALIZER };

enum { USUAL_NBYTES = 4096 }; /* of a state */

static _Thread_local bool is_capturing;

/* ----------------------------------------------------------------------- fork */

/* Whoever held the lock is not in the child, and what it was writing is not whole. */
static void renew_in_child(void)
{
    if (pthread_mutex_trylock(&book.lock) != 0) {
        book.forgotten = book.kept;
        book.kept = NULL;
        for (struct registered *one = book.first; one != NULL; one = one->next) one->version = 0;
    }
    book.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, renew_in_child);
}

/* ---------------------------------------------------------------- the register */

static parloom_status refuse_capturing(parloom_error *error)
{
    return loom_status_fail(error, PARLOOM_ERR_BUSY, 0,
                            "a capture function runs in this thread: it registers nothing, and makes no call on worker "
                            "processes");
}

static struct registered **find(const char *name)
{
    struct registered **at = &book.first;
    while (*at != NULL && strcmp((*at)->name, name) != 0) at = &(*at)->next;
    return at;
}

static parloom_status check(const char *name, const parloom_state_ops *ops, parloom_error *error)
{
    struct loom_task_ref ref;
    parloom_body apply, restore;
    if (name == NULL || name[0] == '\0' || strlen(name) >= PARLOOM_STATE_NAME_BYTES ||
        strncmp(name, "parloom.", strlen("parloom.")) == 0)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "a state is named with 1 to %d characters, and not \"parloom...\"",
                                PARLOOM_STATE_NAME_BYTES - 1);
    if (ops == NULL || ops->struct_size < sizeof *ops || ops->capture == NULL || ops->apply == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "state \"%s\": ops need struct_size, capture and apply",
                                name);
    memcpy(&apply, &ops->apply, sizeof apply);
    memcpy(&restore, &ops->restore, sizeof restore);
    parloom_status status = loom_task_refer(apply, &ref, error);
    return status == PARLOOM_OK && restore != NULL ? loom_task_refer(restore, &ref, error) : status;
}

static parloom_status add(const char *name, const parloom_state_ops *ops, void *state, parloom_error *error)
{
    struct registered **at = find(name);
    if (*at != NULL) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "state \"%s\" is registered already", name);
    struct registered *one = loom_memory_zeroed(1, sizeof *one);
    if (one == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for state \"%s\"", name);
    memcpy(one->name, name, strlen(name));
    one->ops = *ops;
    one->state = state;
    one->registration = ++book.last;
    *at = one;
    book.count++;
    book.is_changed = true;
    return PARLOOM_OK;
}

parloom_status parloom_state_register(const char *name, const parloom_state_ops *ops, void *state, parloom_error *error)
{
    loom_status_clear(error);
    if (is_capturing) return refuse_capturing(error);
    parloom_status status = check(name, ops, error);
    if (status != PARLOOM_OK) return status;
    pthread_mutex_lock(&book.lock);
    status = add(name, ops, state, error);
    pthread_mutex_unlock(&book.lock);
    return status;
}

parloom_status parloom_state_unregister(const char *name, parloom_error *error)
{
    loom_status_clear(error);
    if (is_capturing) return refuse_capturing(error);
    pthread_mutex_lock(&book.lock);
    struct registered **at = name != NULL ? find(name) : NULL;
    struct registered *one = at != NULL ? *at : NULL;
    if (one != NULL) {
        *at = one->next;
        book.count--;
        book.is_changed = true;
    }
    pthread_mutex_unlock(&book.lock);
    if (one == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no state \"%s\" is registered",
                                name != NULL ? name : "");
    free(one->bytes);
    free(one);
    return PARLOOM_OK;
}

/* -------------------------------------------------------------------- capture */

static parloom_status grow_scratch(size_t nbytes, parloom_error *error)
{
    if (nbytes <= book.scratch_room) return PARLOOM_OK;
    char *grown = loom_memory_grow(book.scratch, nbytes, 1);
    if (grown == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a state of %zu bytes", nbytes);
    book.scratch = grown;
    book.scratch_room = nbytes;
    return PARLOOM_OK;
}

/* Into scratch; asked again while it grows. What is small, or no larger than the last time, is asked once. */
static parloom_status capture_one(const struct registered *one, size_t *nbytes_out, parloom_error *error)
{
    parloom_status status = grow_scratch(one->nbytes > USUAL_NBYTES ? one->nbytes : USUAL_NBYTES, error);
    while (status == PARLOOM_OK) {
        size_t nbytes = 0;
        is_capturing = true;
        int code = one->ops.capture(one->state, book.scratch, book.scratch_room, &nbytes);
        is_capturing = false;
        if (code != 0) {
            loom_status_fail(error, PARLOOM_ERR_CALLBACK, 0, "the capture function of state \"%s\" returned %d",
                             one->name, code);
            error->code = code;
            return PARLOOM_ERR_CALLBACK;
        }
        *nbytes_out = nbytes;
        if (nbytes <= book.scratch_room) return PARLOOM_OK;
        status = grow_scratch(nbytes, error);
    }
    return status;
}

/* Where the bytes are others than before, scratch becomes theirs. */
static void note_bytes(struct registered *one, size_t nbytes)
{
    bool is_same =
        one->version != 0 && one->nbytes == nbytes && (nbytes == 0 || memcmp(one->bytes, book.scratch, nbytes) == 0);
    if (is_same) return;
    char *bytes = one->bytes;
    size_t room = one->room;
    one->bytes = book.scratch;
    one->room = book.scratch_room;
    one->nbytes = nbytes;
    one->version = ++book.last;
    book.scratch = bytes;
    book.scratch_room = room;
    book.is_changed = true;
}

static parloom_status capture_all(parloom_error *error)
{
    for (struct registered *one = book.first; one != NULL; one = one->next) {
        size_t nbytes = 0;
        parloom_status status = capture_one(one, &nbytes, error);
        if (status != PARLOOM_OK) return status;
        note_bytes(one, nbytes);
    }
    return PARLOOM_OK;
}

/* ------------------------------------------------------------------- snapshots */

static void destroy(struct loom_state *state)
{
    for (size_t k = 0; k < state->n_items; k++) free(state->items[k].bytes);
    loom_surroundings_let_go(state->surroundings);
    free(state);
}

/* Under the lock. */
static void let_go(struct loom_state *state)
{
    if (state != NULL && --state->holders == 0) destroy(state);
}

static bool copy_item(struct loom_state_item *item, const struct registered *one)
{
    memcpy(item->name, one->name, sizeof item->name);
    item->registration = one->registration;
    item->version = one->version;
    item->apply = one->ops.apply;
    item->restore = one->ops.restore;
    item->nbytes = one->nbytes;
    item->bytes = loom_memory_zeroed(one->nbytes, 1);
    if (item->bytes != NULL && one->nbytes > 0) memcpy(item->bytes, one->bytes, one->nbytes);
    return item->bytes != NULL;
}

static parloom_status make_snapshot(bool has_moved, struct loom_state **state_out, parloom_error *error)
{
    struct loom_state *state = loom_memory_zeroed(1, sizeof *state + book.count * sizeof *state->items);
    if (state == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for the registered states");
    parloom_status status = PARLOOM_OK;
    if (has_moved) {
        status = loom_surroundings_read(&state->surroundings, error);
    } else {
        state->surroundings = book.kept->surroundings;
        state->surroundings->holders++;
    }
    if (status != PARLOOM_OK) {
        free(state);
        return status;
    }
    state->holders = 1;
    state->number = ++book.last;
    state->surroundings_version = has_moved ? ++book.last : book.kept->surroundings_version;
    for (const struct registered *one = book.first; one != NULL && status == PARLOOM_OK; one = one->next)
        if (!copy_item(&state->items[state->n_items++], one))
            status = loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for the registered states");
    if (status == PARLOOM_OK)
        *state_out = state;
    else
        destroy(state);
    return status;
}

/* Under the lock: book.kept is what holds now. */
static parloom_status renew(parloom_error *error)
{
    struct loom_state *made = NULL;
    parloom_status status = capture_all(error);
    if (status != PARLOOM_OK) return status;
    bool has_moved = book.kept == NULL || !loom_surroundings_hold(book.kept->surroundings);
    if (!has_moved && !book.is_changed) return PARLOOM_OK;
    status = make_snapshot(has_moved, &made, error);
    if (status != PARLOOM_OK) return status;
    let_go(book.kept);
    book.kept = made;
    book.is_changed = false;
    return PARLOOM_OK;
}

parloom_status loom_state_capture(struct loom_state **state_out, parloom_error *error)
{
    if (is_capturing) return refuse_capturing(error);
    pthread_mutex_lock(&book.lock);
    parloom_status status = renew(error);
    if (status == PARLOOM_OK) {
        book.kept->holders++;
        *state_out = book.kept;
    }
    pthread_mutex_unlock(&book.lock);
    return status;
}

void loom_state_release(struct loom_state *state)
{
    if (state == NULL) return;
    pthread_mutex_lock(&book.lock);
    let_go(state);
    pthread_mutex_unlock(&book.lock);
}

void loom_state_forget(void)
{
    if (is_capturing) return;
    pthread_mutex_lock(&book.lock);
    let_go(book.kept);
    book.kept = NULL;
    pthread_mutex_unlock(&book.lock);
}

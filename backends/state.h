/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * state.h - what follows the program into its workers: surroundings and registered states, as one snapshot.
 *
 * Path      core captures at the call (core/state.c); equal bytes give the same snapshot. A crew writes it into letter
 *           memory once (state_write.c), all its calls refer to that. A worker compares the snapshot's number with what
 *           it has, and applies what differs (state_apply.c).
 */
#ifndef LOOM_BACKENDS_STATE_H
#define LOOM_BACKENDS_STATE_H

#include "backends/surroundings.h"
#include "backends/tasks.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One registered state, captured. */
struct loom_state_item {
    char name[PARLOOM_STATE_NAME_BYTES];
    uint64_t registration; /* its number: a name may be registered again with other functions */
    uint64_t version;      /* another one where the bytes are others */
    int (*apply)(const void *bytes, size_t nbytes);
    void (*restore)(const void *bytes, size_t nbytes);
    char *bytes;
    size_t nbytes;
};

/* Frozen when it is made. */
struct loom_state {
    size_t holders; /* guarded by the lock of core/state.c */
    uint64_t number;
    uint64_t surroundings_version;
    struct loom_surroundings *surroundings; /* shared with snapshots that have the same */
    size_t n_items;
    struct loom_state_item items[];
};

/* Of an item, in letter memory. */
struct loom_state_item_shared {
    char name[PARLOOM_STATE_NAME_BYTES];
    uint64_t registration, version;
    uint64_t bytes, nbytes; /* address */
    uint32_t has_restore, reserved;
    struct loom_task_ref apply, restore;
};

/* Written by the program before the slot's call number, read by workers after they joined. */
struct loom_state_shared {
    uint64_t number;
    uint64_t surroundings_version;
    struct loom_surroundings_shared surroundings;
    uint64_t n_items;
    struct loom_state_item_shared items[];
};

/* ---- in the program (state_write.c) */

struct loom_crew;
struct loom_dispatch;
/* Has a state in letter memory until it is dropped; its address, 0: none. FUNCTION, SPACE, MEMORY. */
parloom_status loom_state_hold(struct loom_crew *crew, const struct loom_state *state, uint64_t *address_out,
                               parloom_error *error);
void loom_state_drop(struct loom_crew *crew, uint64_t address);
/* Has the run's state in letter memory until the call ends; its address, 0: none. FUNCTION, SPACE, MEMORY. */
parloom_status loom_state_write(struct loom_dispatch *dispatch, uint64_t *address_out, parloom_error *error);
void loom_state_let_go(struct loom_dispatch *dispatch); /* when the call ends */
/* A worker died in an apply function. False: it was not there. */
bool loom_state_is_to_blame(const struct loom_crew *crew, uint32_t seat, int wait_status, int pid,
                            parloom_error *error);
/* The same, and that refuses the call. */
bool loom_state_blame(struct loom_dispatch *dispatch, uint32_t seat, int wait_status, int pid);

/* ---- in a worker (state_apply.c) */

struct loom_seat_shared;
/* address: of a letter's state; 0: nothing. What this worker has not yet, in order. IO, MEMORY, FUNCTION, VERSION,
 * CALLBACK. */
parloom_status loom_state_apply(uint64_t address, struct loom_seat_shared *seat, loom_segment_fetch fetch,
                                void *fetch_state, parloom_error *error);
/* Whether there is nothing to apply. */
bool loom_state_holds(uint64_t address);
bool loom_state_has_restore(uint64_t address); /* of any of its states */
void loom_state_restore(uint64_t address);
/* After the call: where a task has left the surroundings changed, the next call takes on the program's again. */
void loom_state_check(void);
/* The library itself has changed variables, right after a check: what holds now is how a call finds its surroundings.
 */
void loom_state_mark(void);

#ifdef __cplusplus
}
#endif
#endif

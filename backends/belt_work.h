/* SPDX-License-Identifier: BSD-3-Clause */
/* belt_work.h - a worker's part at a belt: runs what it has taken, through a shift, and writes down how it ended. */
#ifndef LOOM_BACKENDS_BELT_WORK_H
#define LOOM_BACKENDS_BELT_WORK_H

#include "backends/lane.h"
#include "backends/shift.h"
#include "shm/belt.h"

struct loom_belt_work {
    struct loom_shift shift; /* begun and entered by the caller; its words are set by loom_belt_work_begin */
    struct loom_belt_place_shared *place; /* that is run now */
    struct loom_work work;
    _Atomic uint64_t current, range_begin, range_end; /* nobody reads them: a place says who has it */
    /* Makes the room of the place hold that much. */
    parloom_status (*grow)(struct loom_belt_work *work, uint64_t nbytes);
    /* Writes to the log of the place; not asked in the program's own process, where records are at hand. */
    parloom_status (*log)(struct loom_belt_work *work, const struct loom_belt_entry_shared *entry, const void *bytes);
    void *grow_state; /* also of log */
};

/* Sets the words and callbacks of a shift that loom_shift_begin has filled. */
void loom_belt_work_begin(struct loom_belt_work *work, _Atomic uint64_t *stop_before);
/* Runs work->work for the place, which was taken; everything but its stage is written. */
void loom_belt_work_run(struct loom_belt_work *work, struct loom_belt_place_shared *place);
/* The same where it cannot be run at all: how it ended. */
void loom_belt_work_refuse(struct loom_belt_place_shared *place, const parloom_error *error);
/* What the worker (pid 0: a thread) wrote on the place of a parcel that has ended. */
void loom_belt_work_read(struct loom_parcel *parcel, struct loom_belt_place_shared *place, int worker, int pid);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * belt.h - the ring on which a stream hands calls to its workers, one by one, and has their results back.
 *
 * The program puts a call on a free place and posts its ticket; a worker takes it by exchanging the stage of the place,
 * runs it, writes on the same place how it ended, and says so. One word of each place says who has it, so a death at
 * any instruction leaves no doubt: what is RUNNING or WANTING under the seat of the dead was lost, what is POSTED was
 * never started, what is ENDED is done. (Loops hand out tickets without an owner word, which costs half as much; here
 * a call is copied and a clock is read twice for each, and the word is not what costs.)
 *
 *   posted ──►  | ENDED | RUNNING by 1 | POSTED | POSTED | EMPTY | ...      ticket t lies on place t modulo n_places;
 *   next   ──────────────────────────────┘                                  a ticket whose place is busy is skipped
 *
 * C only: the words are atomics, which C++ tests cannot include.
 */
#ifndef LOOM_SHM_BELT_H
#define LOOM_SHM_BELT_H

#include "base/atomics.h"

#include <parloom/parloom.h>
#include <stdalign.h>

enum loom_belt_phase {
    LOOM_BELT_EMPTY = 0, /* the program's */
    LOOM_BELT_POSTED,    /* anybody's */
    LOOM_BELT_RUNNING,   /* of the worker in seat */
    LOOM_BELT_WANTING,   /* the same; it waits for room for a result */
    LOOM_BELT_ENDED      /* the program's again */
};

/* A stage: what, by whom, of which ticket. */
#define LOOM_BELT_STAGE(ticket, seat, phase) ((uint64_t)(ticket) << 24 | (uint64_t)(seat) << 4 | (uint64_t)(phase))
#define LOOM_BELT_TICKET(stage)              ((stage) >> 24)
#define LOOM_BELT_SEAT(stage)                ((uint32_t)((stage) >> 4 & 0xfffff))
#define LOOM_BELT_PHASE(stage)               ((enum loom_belt_phase)((stage)&15))

#define LOOM_BELT_NOTHING  UINT64_MAX /* returned_nbytes: no result */
#define LOOM_BELT_LOG_FULL UINT64_MAX /* wanted_nbytes: the log is to be emptied */

/*
 * One call on the belt. Layout version 2.
 *
 *  field            written by                          read by   order
 *  stage            program: POSTED, EMPTY; worker: others        full: everything below that its writer wrote
 *  work .. attempt  program, before POSTED              worker    relaxed: ordered by stage
 *  room, its size   program, before POSTED or an answer worker    relaxed: ordered by stage
 *  started_ns       worker, after RUNNING               program   relaxed: limits only, 0 until it is written
 *  limit_ns         worker: when its clock ends it       program   relaxed: read after its death; 0: never
 *  wanted_nbytes    worker, before WANTING              program   relaxed: ordered by stage
 *  answer           program, before stage is RUNNING    worker    relaxed: ordered by stage
 *  answered         program, + 1 for each answer        worker    full, a futex: after stage
 *  returned_nbytes  worker; NOTHING while it copies     program   release: the bytes in room
 *  logged           worker, raised; program: 0 before   program   release: the bytes in the log
 *                   POSTED or an answer
 *  the rest         worker, before ENDED                program   relaxed: ordered by stage
 */
struct loom_belt_place_shared {
    alignas(128) _Atomic uint64_t stage;
    _Atomic uint64_t started_ns;
    _Atomic uint64_t limit_ns;
    uint64_t work; /* address of a struct loom_letter_parcel */
    uint64_t index;
    int32_t attempt;
    int32_t answer; /* a parloom_status */
    uint64_t room;
    uint64_t room_nbytes;
    uint64_t wanted_nbytes;
    _Atomic uint32_t answered;
    alignas(128) _Atomic uint64_t returned_nbytes;
    _Atomic uint64_t logged;
    uint64_t ran_ns;
    int32_t status, code;
    char message[PARLOOM_MESSAGE_BYTES];
};

/* In the log of a place: a record, or a piece of one, or a warning; followed by its bytes, up to a multiple of 16. */
struct loom_belt_entry_shared {
    uint32_t kind; /* the worker's and the program's business, not the belt's */
    uint32_t channel;
    uint32_t is_last;
    uint32_t nbytes;
};

/*
 * Behind the places lie their logs, of log_nbytes each. Layout version 2.
 *
 *  field        written by                        read by   order
 *  posted       program: tickets below exist      workers   full: the place; Dekker with sleeping workers
 *  next         workers, raised only              workers   relaxed: a hint, all below are taken
 *  stop_before  program: 0, nothing is begun      workers   relaxed: a late look runs one call more
 *  is_awaited   program: it sleeps, or will       workers   full: Dekker with stage
 */
struct loom_belt_shared {
    uint64_t magic;
    uint32_t layout_version;
    uint32_t n_places;   /* a power of two */
    uint32_t seats;      /* workers from that seat on stay out */
    uint32_t log_nbytes; /* a multiple of 16; 0: nothing is logged */
    uint64_t letter;     /* address of a struct loom_letter: what all calls of the stream have in common */
    alignas(128) _Atomic uint64_t posted;
    alignas(128) _Atomic uint64_t next;
    alignas(128) _Atomic uint64_t stop_before;
    _Atomic uint32_t is_awaited;
    struct loom_belt_place_shared places[];
};

#define LOOM_BELT_MAGIC UINT64_C(0x746c65626d6f6f6c) /* "loombelt" */

_Static_assert(sizeof(struct loom_belt_shared) == 512, "layout version 2");
_Static_assert(sizeof(struct loom_belt_place_shared) == 1280, "layout version 2");

size_t loom_belt_nbytes(uint32_t n_places, uint32_t log_nbytes);
/* In zeroed memory of loom_belt_nbytes(n_places, log_nbytes). */
struct loom_belt_shared *loom_belt_init(void *memory, uint32_t n_places, uint32_t log_nbytes, uint32_t seats);
/* Whether it is a belt of this layout: asked in a process that did not make it. */
bool loom_belt_is_sound(const struct loom_belt_shared *belt);

static inline struct loom_belt_place_shared *loom_belt_place(struct loom_belt_shared *belt, uint64_t ticket)
{
    return &belt->places[ticket & (belt->n_places - 1)];
}

/* ---- a worker's side */

static inline bool loom_belt_has_more(struct loom_belt_shared *belt)
{
    /* full: after the bell was read; pairs with the program's posting. relaxed: only raised */
    return loom_load_relaxed(&belt->next) < loom_load_full(&belt->posted);
}

/* Takes the next call; NULL: there is none. */
struct loom_belt_place_shared *loom_belt_take(struct loom_belt_shared *belt, uint32_t seat);
/* Asks for room for a result and waits until the program has answered. PARLOOM_OK: room holds that much now. ring is
 * called when the program has to be woken. */
parloom_status loom_belt_want(struct loom_belt_place_shared *place, uint64_t nbytes, void (*ring)(void *state),
                              void *state);
/* Writes entry and its bytes to the log of the place; false: there is no room left. */
bool loom_belt_log_append(struct loom_belt_shared *belt, struct loom_belt_place_shared *place,
                          const struct loom_belt_entry_shared *entry, const void *bytes);
/* The call has ended; true: the program is to be woken. */
bool loom_belt_end(struct loom_belt_shared *belt, struct loom_belt_place_shared *place);

/* ---- the program's side */

/* It knows by itself how many places there are and which are free: what it reads here is checked. */

/* The place of the ticket is written: workers may take it. Tickets ascend; those that were left out are no calls. */
void loom_belt_post(struct loom_belt_shared *belt, struct loom_belt_place_shared *place, uint64_t ticket);
/* Takes a call back that nobody has begun. */
bool loom_belt_recall(struct loom_belt_place_shared *place, uint64_t ticket);
/* The program has emptied the place. */
void loom_belt_clear(struct loom_belt_place_shared *place);
/* The entry at *at of the log of place k, which is log_nbytes long; *at is moved behind it. False: there is none, or
 * rubbish. bytes_out: valid until the place is posted again, or its worker answered. */
bool loom_belt_log_read(const struct loom_belt_shared *belt, uint32_t n_places, uint32_t log_nbytes, uint32_t k,
                        size_t *at, struct loom_belt_entry_shared *entry_out, const void **bytes_out);
/* Answers a worker that wants room. */
void loom_belt_answer(struct loom_belt_place_shared *place, parloom_status answer);

#endif

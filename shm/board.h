/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * board.h - the pages on which the program and the workers of one crew agree who does which tasks.
 *
 * A call is handed out as tickets 0 .. T-1; a ticket stands for a range of tasks (backends/letter.h says which). A
 * worker claims the next tickets with one fetch_add, marks them in a bitmap of its own, and writes what it runs into
 * its own desk: nothing is written next to another worker's words (measured: an owner word per task costs 1.85 times
 * libgomp's dynamic,1, this costs 1.0 to 1.1).
 *
 * After a death, once the living have left: a ticket below the counter that is in nobody's bitmap was claimed by the
 * dead between its fetch_add and its mark, and was never started. A ticket in the bitmap of the dead beyond what its
 * desk says was started, was not started. Tickets of one worker ascend, so all before are done.
 *
 * The board is disposable: the program's private account (backends/tally.h) is the authority, and every value read
 * here is checked, because a dying worker may have scribbled.
 *
 * C only: the words are atomics, which C++ tests cannot include.
 */
#ifndef LOOM_SHM_BOARD_H
#define LOOM_SHM_BOARD_H

#include "base/atomics.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LOOM_BOARD_SLOTS = 4, /* calls that may overlap on one crew */
    LOOM_BOARD_BELTS = 8, /* streams that may be open on one crew */
    LOOM_BOARD_BELLS = LOOM_BOARD_SLOTS + LOOM_BOARD_BELTS,
    LOOM_BOARD_LOG_BYTES = 4096, /* of one desk: failures and what was not started */
    LOOM_BOARD_CRASH_BYTES = 2048,
    LOOM_BOARD_INLINE_TICKETS = 1 << 16, /* bitmaps of that many tickets are part of the board */
    LOOM_BOARD_LINE = 128                /* two cache lines: neighbours are fetched in pairs */
};

/*
 * One call in flight. Layout version 1.
 *
 *  field          written by                        read by   order
 *  letter, seats, first_seat
 *                 program, before call              workers   relaxed: ordered by call
 *  call           program: number, then 0           workers   full: Dekker with desk.joined
 *  counter        workers (fetch_add)               all       relaxed: only the value matters
 *  stop_before    program and workers, lowered only workers   relaxed: a late look runs one task more
 *  running        program: call << 16, then workers workers   full: who brings its count to 0 rings. It carries the
 *                 join + 1, leave - 1                         call: a worker that is slow to leave does not count
 *                                                             down the call that was opened meanwhile
 *  ring_always    program, after a death            workers   full: running may be wrong from then on
 */
struct loom_slot_shared {
    alignas(LOOM_BOARD_LINE) _Atomic uint64_t call;
    _Atomic uint64_t letter;
    _Atomic uint32_t seats;      /* workers from that seat on stay out, */
    _Atomic uint32_t first_seat; /* and those before this one */
    alignas(LOOM_BOARD_LINE) _Atomic uint64_t counter;
    alignas(LOOM_BOARD_LINE) _Atomic uint64_t stop_before;
    alignas(LOOM_BOARD_LINE) _Atomic uint64_t running;
    _Atomic uint32_t ring_always;
};

/*
 * What one worker says of one call. Layout version 1.
 *
 *  field         written by              read by            order
 *  current       worker, each task       program on death   release (backends/shift.h says what it means)
 *  range_*       worker, each range      program on death   relaxed, before current
 *  done          worker, each chunk      program            relaxed: progress only
 *  joined        worker                  program            full: Dekker with slot.call
 *  left          worker, last            program            full: everything the worker wrote before it
 *  log_head      worker                  program            release: entries before it
 *  log_tail      program                 worker             release: room before it
 *  log_moved     program, + 1 each drain worker (futex)     full
 */
struct loom_desk_shared {
    alignas(LOOM_BOARD_LINE) _Atomic uint64_t current;
    _Atomic uint64_t range_begin;
    _Atomic uint64_t range_end;
    _Atomic uint64_t done;
    alignas(LOOM_BOARD_LINE) _Atomic uint64_t joined;
    _Atomic uint64_t left;
    _Atomic uint64_t log_head;
    alignas(LOOM_BOARD_LINE) _Atomic uint64_t log_tail;
    _Atomic uint32_t log_moved;
    alignas(LOOM_BOARD_LINE) unsigned char log[LOOM_BOARD_LOG_BYTES];
};

enum loom_seat_state {
    LOOM_SEAT_STARTING = 0,
    LOOM_SEAT_READY = 1,
    LOOM_SEAT_INIT_FAILED = 2,
    LOOM_SEAT_UNFIT = 3,
    LOOM_SEAT_APPLYING = 4,    /* message: the state whose apply function runs */
    LOOM_SEAT_RETIRED = 5,     /* it ends by itself (backends/retire.h), or has run as many tasks as it may: no loss */
    LOOM_SEAT_INITIALISING = 6 /* worker_init runs */
};

/*
 * One worker for its life. Layout version 1. All written by the worker, read by the program; crash holds a
 * struct loom_crash_shared (backends/reporter.h), written while it dies.
 */
struct loom_seat_shared {
    alignas(LOOM_BOARD_LINE) _Atomic uint32_t state; /* release: code before it */
    _Atomic int32_t code;                            /* of worker_init, a parloom_status when unfit, or MiB it grew */
    _Atomic uint64_t cpu_ns;                         /* used so far, written when it leaves a call */
    _Atomic uint32_t exited;                         /* 1 + the code of exit(3), written by it: where wait is lost */
    _Atomic uint32_t visit; /* 1 + the belt it works at, 0: none; full: Dekker with board.belts */
    char message[256];      /* why it is unfit */
    alignas(LOOM_BOARD_LINE) unsigned char crash[LOOM_BOARD_CRASH_BYTES];
};

/*
 *  field      written by                     read by    order
 *  bell       program, + 1 for each opening  workers    full: Dekker with sleepers
 *  sleepers   workers                        program    full
 *  may_spin   program                        workers    relaxed: a hint
 *  belts      program: address, 0 to close   workers    full: the belt before it; Dekker with seat.visit
 *  idle_ns, growth_nbytes
 *             program                        workers    relaxed: ordered by the call; who misses it reads it later
 *  others     program, before a worker runs  all        set once
 */
struct loom_board_shared {
    uint64_t magic;
    uint32_t layout_version;
    uint32_t seats;
    uint64_t nbytes;
    uint64_t init_letter;           /* address of a struct loom_init_letter in read-only memory, 0: no worker_init */
    _Atomic uint64_t idle_ns;       /* workers that had no work for that long end; 0: never */
    _Atomic uint64_t growth_nbytes; /* workers that grew by more end; 0: never */
    alignas(LOOM_BOARD_LINE) _Atomic uint32_t bell;
    _Atomic uint32_t may_spin;
    alignas(LOOM_BOARD_LINE) _Atomic uint32_t sleepers;
    alignas(LOOM_BOARD_LINE) _Atomic uint64_t belts[LOOM_BOARD_BELTS]; /* struct loom_belt_shared (shm/belt.h) */
    struct loom_slot_shared slots[LOOM_BOARD_SLOTS];
    /* then, for each seat: struct loom_seat_shared, a struct loom_desk_shared and a bitmap for each slot */
};

#define LOOM_BOARD_MAGIC UINT64_C(0x6472616f626d6f6c) /* "lomboard" */

_Static_assert(sizeof(struct loom_slot_shared) == 4 * LOOM_BOARD_LINE, "layout version 1");
_Static_assert(sizeof(struct loom_desk_shared) == 3 * LOOM_BOARD_LINE + LOOM_BOARD_LOG_BYTES, "layout version 1");
_Static_assert(sizeof(struct loom_seat_shared) == 3 * LOOM_BOARD_LINE + LOOM_BOARD_CRASH_BYTES, "layout version 1");

enum {
    LOOM_BOARD_BITMAP_STRIDE = sizeof(struct loom_seat_shared) +
                               LOOM_BOARD_SLOTS * (sizeof(struct loom_desk_shared) + LOOM_BOARD_INLINE_TICKETS / 8)
};

/* ---- the parts */

size_t loom_board_nbytes(uint32_t seats);
/* In zeroed memory of loom_board_nbytes(seats). */
struct loom_board_shared *loom_board_init(void *memory, uint32_t seats);
/* NULL where the memory holds no board of this layout. */
struct loom_board_shared *loom_board_attach(void *memory);
struct loom_seat_shared *loom_board_seat(struct loom_board_shared *board, uint32_t seat);
struct loom_desk_shared *loom_board_desk(struct loom_board_shared *board, uint32_t slot, uint32_t seat);
/* The bitmaps of a slot that are part of the board: of seat 0; that of the next seat is BITMAP_STRIDE bytes further. */
char *loom_board_bitmaps(struct loom_board_shared *board, uint32_t slot);

/* ---- a worker's side */

#define LOOM_BOARD_TURNED_AWAY UINT64_MAX
enum { LOOM_BOARD_RUNNING_BITS = 16 }; /* of slot.running; above them the call */
/* Whether workers in that seat take part in the call that the slot holds. */
bool loom_board_has_seat(const struct loom_slot_shared *slot, uint32_t seat);
/* Joins the call in the slot; its number, or 0: none is open, or this worker has been in it. TURNED_AWAY: it was closed
 * meanwhile; the program may have seen this worker and be waiting for it: ring. */
uint64_t loom_board_join(struct loom_slot_shared *slot, struct loom_desk_shared *desk, uint32_t seat);
/* Leaves; true: ring the program (the last to leave, or after a death everyone). */
bool loom_board_leave(struct loom_slot_shared *slot, struct loom_desk_shared *desk, uint64_t call);
static inline void loom_board_mark(_Atomic uint64_t *bitmap, uint64_t first, uint64_t count)
{
    while (count > 0) {
        uint64_t bit = first % 64, here = 64 - bit < count ? 64 - bit : count;
        uint64_t mask = (UINT64_MAX >> ((64 - here) % 64)) << bit; /* here is 1 to 64 */
        _Atomic uint64_t *word = &bitmap[first / 64];
        /* relaxed, and no locked instruction: nobody else writes it; the release of current makes it visible */
        loom_store_relaxed(word, loom_load_relaxed(word) | mask);
        first += here;
        count -= here;
    }
}

/* Claims up to want tickets of total in a row, marked in the own bitmap; how many, 0 none left. Inline: with a want
 * that is known to be 1 it is a dozen instructions. */
static inline uint64_t loom_board_claim(struct loom_slot_shared *slot, _Atomic uint64_t *bitmap, uint64_t total,
                                        uint64_t want, uint64_t *first_out)
{
    /* relaxed: a ticket carries no data; the letter was acquired on joining */
    uint64_t first = loom_add_relaxed(&slot->counter, want);
    if (first >= total) return 0;
    uint64_t count = total - first < want ? total - first : want;
    loom_board_mark(bitmap, first, count);
    *first_out = first;
    return count;
}
/* Sleeps until the bell is no longer seen; spins first when each worker has a CPU of its own. False: the deadline came
 * first (LOOM_NEVER_NS: none). */
bool loom_board_await_bell(struct loom_board_shared *board, uint32_t seen, uint64_t deadline_ns);

/* ---- the program's side */

void loom_board_ring(struct loom_board_shared *board);
bool loom_board_is_marked(const _Atomic uint64_t *bitmap, uint64_t ticket);

/* ---- the log of a desk: a ring of entries, each a header and its message */

struct loom_log_entry {
    uint64_t begin, end; /* tasks */
    int32_t status;      /* parloom_status; CANCELLED: not started */
    int32_t code;
    int32_t attempt;
    uint32_t message_nbytes; /* that follow, with the final NUL; 0: none */
};

/* Worker: false when there is no room (the program drains; see log_moved). */
bool loom_board_log_try_append(struct loom_desk_shared *desk, const struct loom_log_entry *entry, const char *message);
/* Program: takes the oldest entry; message has room for room bytes and is always ended. 1 taken, 0 none, -1 rubbish. */
int loom_board_log_take(struct loom_desk_shared *desk, struct loom_log_entry *entry_out, char *message, size_t room);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * board.c - join, claim, leave, ring: the protocol between program and workers (see board.h).
 *
 * Path of a call    program: letter, call, bell ... close        worker: join, claim*, leave
 * Closing           the program stores call = 0, then reads joined; a worker stores joined, then reads call again.
 *                   Both full: at least one sees the other, so a late worker is waited for or stays out.
 */
#include "shm/board.h"

#include "base/clock.h"
#include "base/futex.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

enum {
    SPIN_NS = 50000, /* about one wake-up of a sleeping CPU (ANCHORS: 45-55 us here) */
    SPIN_PAUSES = 20 /* then a yield: without it the 90th percentile of a wake-up rises from 5 to 30-110 us */
};

/* All of one worker: nothing on the board says where it lies, so a worker that scribbles cannot move it. */
struct place {
    struct loom_seat_shared seat;
    struct loom_desk_shared desks[LOOM_BOARD_SLOTS];
    alignas(LOOM_BOARD_LINE) char bitmaps[LOOM_BOARD_SLOTS][LOOM_BOARD_INLINE_TICKETS / 8];
};
_Static_assert(sizeof(struct place) == LOOM_BOARD_BITMAP_STRIDE, "the bitmaps of neighbours are that far apart");

static struct place *place_of(struct loom_board_shared *board, uint32_t seat)
{
    return (struct place *)(void *)(board + 1) + seat;
}

size_t loom_board_nbytes(uint32_t seats)
{
    return sizeof(struct loom_board_shared) + seats * sizeof(struct place);
}

struct loom_board_shared *loom_board_init(void *memory, uint32_t seats)
{
    struct loom_board_shared *board = memory;
    board->magic = LOOM_BOARD_MAGIC;
    board->layout_version = 1;
    board->seats = seats;
    board->nbytes = loom_board_nbytes(seats);
    return board;
}

struct loom_board_shared *loom_board_attach(void *memory)
{
    struct loom_board_shared *board = memory;
    bool fits = board->magic == LOOM_BOARD_MAGIC && board->layout_version == 1 && board->seats > 0 &&
                board->nbytes == loom_board_nbytes(board->seats);
    return fits ? board : NULL;
}

struct loom_seat_shared *loom_board_seat(struct loom_board_shared *board, uint32_t seat)
{
    return &place_of(board, seat)->seat;
}

struct loom_desk_shared *loom_board_desk(struct loom_board_shared *board, uint32_t slot, uint32_t seat)
{
    return &place_of(board, seat)->desks[slot];
}

char *loom_board_bitmaps(struct loom_board_shared *board, uint32_t slot)
{
    return place_of(board, 0)->bitmaps[slot];
}

/* False: the program has opened another call in the slot since. */
static bool count_in(struct loom_slot_shared *slot, uint64_t call)
{
    uint64_t running = loom_load_relaxed(&slot->running); /* relaxed: the exchange looks again */
    do {
        if (running >> LOOM_BOARD_RUNNING_BITS != call) return false;
    } while (!loom_cas_full(&slot->running, &running, running + 1)); /* full: before joined */
    return true;
}

/* True: nobody is in that call any more. */
static bool count_out(struct loom_slot_shared *slot, uint64_t call)
{
    uint64_t running = loom_load_relaxed(&slot->running); /* relaxed: the exchange looks again */
    do {
        if (running >> LOOM_BOARD_RUNNING_BITS != call) return false; /* the program saw this worker's left long ago */
    } while (!loom_cas_full(&slot->running, &running, running - 1));  /* full: after left */
    return running == (call << LOOM_BOARD_RUNNING_BITS) + 1;
}

bool loom_board_has_seat(const struct loom_slot_shared *slot, uint32_t seat)
{
    /* relaxed, both: ordered by call */
    return seat < loom_load_relaxed(&slot->seats) && seat >= loom_load_relaxed(&slot->first_seat);
}

uint64_t loom_board_join(struct loom_slot_shared *slot, struct loom_desk_shared *desk, uint32_t seat)
{
    uint64_t call = loom_load_acquire(&slot->call); /* acquire: the letter; pairs with the program's opening */
    if (call == 0 || call == loom_load_relaxed(&desk->joined)) return 0; /* relaxed: the worker's own word */
    if (!loom_board_has_seat(slot, seat)) return 0;
    if (!count_in(slot, call)) return 0;
    loom_store_full(&desk->joined, call); /* full: before the second look; pairs with the program's closing */
    if (loom_load_full(&slot->call) == call) return call;
    loom_store_full(&desk->left, call); /* full: pairs with the program's look at left */
    (void)count_out(slot, call);
    return LOOM_BOARD_TURNED_AWAY;
}

bool loom_board_leave(struct loom_slot_shared *slot, struct loom_desk_shared *desk, uint64_t call)
{
    loom_store_full(&desk->left, call); /* full: all results before it; pairs with the program's look at left */
    bool last = count_out(slot, call);
    return last || loom_load_full(&slot->ring_always) != 0; /* pairs with the program's store after a death */
}

bool loom_board_is_marked(const _Atomic uint64_t *bitmap, uint64_t ticket)
{
    /* relaxed: read after the writer has left or died */
    return (loom_load_relaxed(&bitmap[ticket / 64]) >> (ticket % 64) & 1) != 0;
}

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool spin(struct loom_board_shared *board, uint32_t seen)
{
    uint64_t until = loom_clock_ns() + SPIN_NS;
    do {
        for (int k = 0; k < SPIN_PAUSES; k++) relax();
        if (loom_load_acquire(&board->bell) != seen) return true; /* pairs with loom_board_ring */
        sched_yield();
    } while (loom_clock_ns() < until);
    return false;
}

bool loom_board_await_bell(struct loom_board_shared *board, uint32_t seen, uint64_t deadline_ns)
{
    if (loom_load_relaxed(&board->may_spin) && spin(board, seen)) return true; /* relaxed: a hint */
    int failure = 0;
    loom_add_full(&board->sleepers, 1); /* full: before the look at bell; pairs with loom_board_ring */
    while (loom_load_full(&board->bell) == seen && failure != ETIMEDOUT)
        failure = loom_futex_wait_until(&board->bell, seen, deadline_ns);
    loom_sub_full(&board->sleepers, 1);
    return failure != ETIMEDOUT;
}

void loom_board_ring(struct loom_board_shared *board)
{
    loom_add_full(&board->bell, 1); /* full: before the look at sleepers; pairs with loom_board_await_bell */
    if (loom_load_full(&board->sleepers) != 0) loom_futex_wake(&board->bell, INT32_MAX);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* test_board.c - the protocol of the board, for test_board.cc: the words of the board are atomics, which C++ cannot
 * include. */
#include "shm/test_board.h"

#include "shm/board.h"

static struct loom_slot_shared *slot_of(void *board, uint32_t slot)
{
    return &((struct loom_board_shared *)board)->slots[slot];
}

size_t board_nbytes(uint32_t seats)
{
    return loom_board_nbytes(seats);
}

void *board_init(void *memory, uint32_t seats)
{
    return loom_board_init(memory, seats);
}

bool board_attaches(void *memory)
{
    return loom_board_attach(memory) != NULL;
}

void board_open(void *board, uint64_t call, uint32_t seats)
{
    struct loom_slot_shared *slot = slot_of(board, 0);
    loom_store_relaxed(&slot->seats, seats);
    loom_store_relaxed(&slot->counter, 0);
    loom_store_relaxed(&slot->running, call << LOOM_BOARD_RUNNING_BITS);
    loom_store_full(&slot->call, call);
}

void board_close(void *board)
{
    loom_store_full(&slot_of(board, 0)->call, 0);
}

uint64_t board_join(void *board, uint32_t seat)
{
    return loom_board_join(slot_of(board, 0), loom_board_desk(board, 0, seat), seat);
}

bool board_leave(void *board, uint32_t seat, uint64_t call)
{
    return loom_board_leave(slot_of(board, 0), loom_board_desk(board, 0, seat), call);
}

uint64_t board_claim(void *board, uint32_t seat, uint64_t total, uint64_t want, uint64_t *first_out)
{
    _Atomic uint64_t *bitmap =
        (_Atomic uint64_t *)(void *)(loom_board_bitmaps(board, 0) + seat * (LOOM_BOARD_INLINE_TICKETS / 8));
    return loom_board_claim(slot_of(board, 0), bitmap, total, want, first_out);
}

bool board_is_marked(void *board, uint32_t seat, uint64_t ticket)
{
    const void *bitmap = loom_board_bitmaps(board, 0) + seat * (LOOM_BOARD_INLINE_TICKETS / 8);
    return loom_board_is_marked((const _Atomic uint64_t *)bitmap, ticket);
}

bool board_append(void *board, uint64_t begin, const char *message, uint32_t message_nbytes)
{
    struct loom_log_entry entry = { .begin = begin, .end = begin + 1, .status = -20, .message_nbytes = message_nbytes };
    return loom_board_log_try_append(loom_board_desk(board, 0, 0), &entry, message);
}

int board_take(void *board, uint64_t *begin_out, char *message, size_t room)
{
    struct loom_log_entry entry;
    int taken = loom_board_log_take(loom_board_desk(board, 0, 0), &entry, message, room);
    if (taken == 1) *begin_out = entry.begin;
    return taken;
}

void board_scribble_on_log(void *board, uint64_t head, uint64_t tail)
{
    struct loom_desk_shared *desk = loom_board_desk(board, 0, 0);
    loom_store_relaxed(&desk->log_head, head);
    loom_store_relaxed(&desk->log_tail, tail);
}

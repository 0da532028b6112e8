/* SPDX-License-Identifier: BSD-3-Clause */
/* test_board.h - the board as test_board.cc sees it: slot 0, seats by number. */
#ifndef LOOM_TESTS_SHM_TEST_BOARD_H
#define LOOM_TESTS_SHM_TEST_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

size_t board_nbytes(uint32_t seats);
void *board_init(void *memory, uint32_t seats);
bool board_attaches(void *memory);
void board_open(void *board, uint64_t call, uint32_t seats);
void board_close(void *board);
uint64_t board_join(void *board, uint32_t seat);
bool board_leave(void *board, uint32_t seat, uint64_t call);
uint64_t board_claim(void *board, uint32_t seat, uint64_t total, uint64_t want, uint64_t *first_out);
bool board_is_marked(void *board, uint32_t seat, uint64_t ticket);
bool board_append(void *board, uint64_t begin, const char *message, uint32_t message_nbytes);
int board_take(void *board, uint64_t *begin_out, char *message, size_t room);
void board_scribble_on_log(void *board, uint64_t head, uint64_t tail);

#ifdef __cplusplus
}
#endif
#endif

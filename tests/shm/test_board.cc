// SPDX-License-Identifier: BSD-3-Clause
/* test_board.cc - join, claim, leave and the log of a desk, without processes. */
#include "shm/test_board.h"

#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace
{

constexpr uint32_t SEATS = 3;

class Board : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        memory_ = std::aligned_alloc(128, (board_nbytes(SEATS) + 127) / 128 * 128);
        std::memset(memory_, 0, board_nbytes(SEATS));
        board = board_init(memory_, SEATS);
    }
    void TearDown() override { std::free(memory_); }
    void *board = nullptr;

  private:
    void *memory_ = nullptr;
};

TEST_F(Board, IsRecognisedByItsHead)
{
    EXPECT_TRUE(board_attaches(board));
    std::vector<char> none(board_nbytes(SEATS) + 128);
    EXPECT_FALSE(board_attaches(none.data() + 128 - reinterpret_cast<uintptr_t>(none.data()) % 128));
}

TEST_F(Board, LetsAWorkerJoinACallOnce)
{
    EXPECT_EQ(board_join(board, 0), 0u) << "no call is open";
    board_open(board, 7, SEATS);
    EXPECT_EQ(board_join(board, 0), 7u);
    EXPECT_EQ(board_join(board, 0), 0u);
    EXPECT_TRUE(board_leave(board, 0, 7));
    EXPECT_EQ(board_join(board, 0), 0u);
}

TEST_F(Board, KeepsSeatsBeyondTheCallOut)
{
    board_open(board, 7, 2);
    EXPECT_EQ(board_join(board, 2), 0u);
    EXPECT_EQ(board_join(board, 1), 7u);
}

TEST_F(Board, TellsTheLastToLeaveToRing)
{
    board_open(board, 1, SEATS);
    for (uint32_t seat = 0; seat < SEATS; seat++) ASSERT_EQ(board_join(board, seat), 1u);
    EXPECT_FALSE(board_leave(board, 1, 1));
    EXPECT_FALSE(board_leave(board, 0, 1));
    EXPECT_TRUE(board_leave(board, 2, 1));
}

/* The program saw it leave before it had counted itself out, and opened the next call. */
TEST_F(Board, IsNotMiscountedByOneThatIsSlowToLeave)
{
    board_open(board, 1, SEATS);
    ASSERT_EQ(board_join(board, 0), 1u);
    board_open(board, 2, SEATS);
    ASSERT_EQ(board_join(board, 1), 2u);
    EXPECT_FALSE(board_leave(board, 0, 1)) << "it has no part in the call that is open now";
    ASSERT_EQ(board_join(board, 2), 2u);
    EXPECT_FALSE(board_leave(board, 1, 2));
    EXPECT_TRUE(board_leave(board, 2, 2)) << "nobody would wake the program";
}

TEST_F(Board, HandsOutEveryTicketOnce)
{
    constexpr uint64_t TOTAL = 60000;
    board_open(board, 1, SEATS);
    std::vector<std::thread> workers;
    for (uint32_t seat = 0; seat < SEATS; seat++) {
        workers.emplace_back([this, seat] {
            std::mt19937 random(seat);
            uint64_t first;
            while (board_claim(board, seat, TOTAL, 1 + random() % 130, &first) > 0) {}
        });
    }
    for (auto &worker : workers) worker.join();
    for (uint64_t ticket = 0; ticket < TOTAL; ticket++) {
        int owners = 0;
        for (uint32_t seat = 0; seat < SEATS; seat++) owners += board_is_marked(board, seat, ticket);
        ASSERT_EQ(owners, 1) << ticket;
    }
}

TEST_F(Board, LogGivesBackWhatWasTold)
{
    std::mt19937 random(3);
    uint64_t told = 0, taken = 0;
    char message[1024];
    while (taken < 20000) {
        std::string text(random() % 600, static_cast<char>('a' + told % 26));
        bool has_room = board_append(board, told, text.c_str(), static_cast<uint32_t>(text.size() + 1));
        if (has_room) told++;
        if (has_room && random() % 8 != 0) continue;
        uint64_t begin = 0;
        while (board_take(board, &begin, message, sizeof message) == 1) {
            ASSERT_EQ(begin, taken);
            ASSERT_EQ(std::strspn(message, std::string(1, static_cast<char>('a' + taken % 26)).c_str()),
                      std::strlen(message));
            taken++;
        }
        ASSERT_EQ(taken, told);
    }
}

TEST_F(Board, LogOfADyingWorkerIsDistrusted)
{
    uint64_t begin = 0;
    char message[64];
    EXPECT_EQ(board_take(board, &begin, message, sizeof message), 0);
    ASSERT_TRUE(board_append(board, 1, std::string(200, 'x').c_str(), 201));
    EXPECT_EQ(board_take(board, &begin, message, sizeof message), -1) << "longer than what can be told";
    board_scribble_on_log(board, 1000000, 5);
    EXPECT_EQ(board_take(board, &begin, message, sizeof message), -1);
    board_scribble_on_log(board, 7, 5);
    EXPECT_EQ(board_take(board, &begin, message, sizeof message), -1);
}

} // namespace

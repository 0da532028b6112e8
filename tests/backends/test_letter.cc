// SPDX-License-Identifier: BSD-3-Clause
/* test_letter.cc - tickets: every task is in one ticket, and the ticket that holds it is found again. */
#include "backends/run.h"

extern "C" {
#include "backends/letter.h"
}

#include <gtest/gtest.h>
#include <vector>

namespace
{

struct Cut {
    uint64_t tickets = 0, grain = 0;
    bool is_auto = false;
};

Cut cut(size_t n, size_t batch_size, size_t block_size, int n_jobs, bool is_static)
{
    loom_run run = {};
    run.n = n;
    run.batch_size = batch_size;
    run.block_size = block_size;
    run.n_jobs = n_jobs;
    run.is_static = is_static;
    Cut made;
    loom_letter_cut(&run, &made.tickets, &made.grain, &made.is_auto);
    return made;
}

/* Tickets follow one another without a gap, and give their tasks back. */
void expect_partition(const loom_letter &letter)
{
    uint64_t next = 0;
    uint64_t step = letter.tickets > 5000 ? letter.tickets / 997 : 1;
    for (uint64_t ticket = 0; ticket < letter.tickets; ticket++) {
        uint64_t begin = loom_letter_begin(&letter, ticket), end = loom_letter_end(&letter, ticket);
        ASSERT_EQ(begin, next);
        ASSERT_LT(begin, end);
        next = end;
        if (ticket % step != 0) continue;
        ASSERT_EQ(loom_letter_ticket_of(&letter, begin), ticket);
        ASSERT_EQ(loom_letter_ticket_of(&letter, end - 1), ticket);
    }
    ASSERT_EQ(next, letter.n);
    ASSERT_EQ(loom_letter_ticket_of(&letter, letter.n), letter.tickets);
}

TEST(Letter, CutsEveryCallIntoTicketsWithoutGaps)
{
    for (size_t n : { size_t{ 1 }, size_t{ 2 }, size_t{ 63 }, size_t{ 65536 }, size_t{ 65537 }, size_t{ 1000003 } }) {
        for (size_t batch : { size_t{ 0 }, size_t{ 1 }, size_t{ 7 }, size_t{ 4096 }, n, 2 * n }) {
            for (bool is_static : { false, true }) {
                Cut made = cut(n, batch, 0, 3, is_static);
                loom_letter letter = {};
                letter.n = n;
                letter.tickets = made.tickets;
                letter.grain = made.grain;
                expect_partition(letter);
            }
        }
    }
}

TEST(Letter, KeepsTheNumberOfTicketsInBounds)
{
    EXPECT_LE(cut(SIZE_MAX / 4, 0, 0, 4, false).tickets, 65536u);
    EXPECT_LE(cut(SIZE_MAX / 4, 1, 0, 4, false).tickets, 4194304u);
    EXPECT_EQ(cut(4194304, 1, 0, 4, false).grain, 1u);
    EXPECT_EQ(cut(SIZE_MAX / 4, 3, 0, 4, false).grain % 3, 0u);
    EXPECT_EQ(cut(100, 0, 32, 4, false).grain, 32u);
    EXPECT_EQ(cut(100, 0, 0, 4, true).tickets, 4u);
    EXPECT_TRUE(cut(100, 0, 0, 4, false).is_auto);
    EXPECT_FALSE(cut(100, 1, 0, 4, false).is_auto);
}

TEST(Letter, FindsTheRepairThatHoldsATask)
{
    std::vector<loom_repair> repairs = { { 3, 5, 1, 0 }, { 5, 6, 0, 0 }, { 40, 80, 0, 0 } };
    loom_letter letter = {};
    letter.n = 100;
    letter.tickets = repairs.size();
    letter.repairs = reinterpret_cast<uint64_t>(repairs.data());
    EXPECT_EQ(loom_letter_begin(&letter, 2), 40u);
    EXPECT_EQ(loom_letter_end(&letter, 0), 5u);
    for (uint64_t task = 0; task < 100; task++) {
        uint64_t expected = task >= 3 && task < 5 ? 0 : task == 5 ? 1 : task >= 40 && task < 80 ? 2 : 3;
        EXPECT_EQ(loom_letter_ticket_of(&letter, task), expected) << task;
    }
}

} // namespace

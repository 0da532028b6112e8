// SPDX-License-Identifier: BSD-3-Clause
/* test_tally.cc - the program's account: exceptions noted in any order come out sorted, counted, and once each. */
#include "backends/tally.h"

#include "base/fault.h"

#include <algorithm>
#include <cerrno>
#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace
{

class Tally : public ::testing::Test
{
  protected:
    void begin(size_t n, size_t errors_room)
    {
        ASSERT_EQ(loom_tally_init(&tally, n, errors_room, &error), PARLOOM_OK) << error.message;
    }
    void fail(size_t task, parloom_status status = PARLOOM_ERR_TASK)
    {
        parloom_error details = {};
        details.code = static_cast<int>(task) + 1;
        loom_tally_fail(&tally, task, task + 1, status, &details);
    }
    void TearDown() override { loom_tally_fini(&tally); }
    loom_tally tally = {};
    parloom_error error = {};
};

TEST_F(Tally, CountsWhatWasNotNotedAsOk)
{
    begin(SIZE_MAX / 2, 1);
    EXPECT_EQ(loom_tally_settle(&tally, &error), PARLOOM_OK);
    EXPECT_EQ(loom_tally_count(&tally, PARLOOM_OK), SIZE_MAX / 2);
    EXPECT_EQ(loom_tally_first_failure(&tally), PARLOOM_NO_TASK);
}

TEST_F(Tally, GivesEachTaskItsStatus)
{
    begin(100, 4);
    loom_tally_note(&tally, 60, 100, PARLOOM_ERR_CANCELLED);
    fail(50, PARLOOM_ERR_CRASHED);
    fail(10);
    loom_tally_note(&tally, 20, 20, PARLOOM_ERR_CANCELLED); /* nothing */
    ASSERT_EQ(loom_tally_settle(&tally, &error), PARLOOM_OK) << error.message;
    for (size_t i = 0; i < 100; i++) {
        parloom_status expected = i == 10   ? PARLOOM_ERR_TASK
                                  : i == 50 ? PARLOOM_ERR_CRASHED
                                  : i >= 60 ? PARLOOM_ERR_CANCELLED
                                            : PARLOOM_OK;
        EXPECT_EQ(loom_tally_status(&tally, i), expected) << i;
    }
    EXPECT_EQ(loom_tally_count(&tally, PARLOOM_OK), 58u);
    EXPECT_EQ(loom_tally_count(&tally, PARLOOM_ERR_CANCELLED), 40u);
    EXPECT_EQ(loom_tally_first_failure(&tally), 10u);
}

TEST_F(Tally, RefusesATaskThatEndedTwice)
{
    begin(10, 1);
    fail(3);
    loom_tally_note(&tally, 2, 4, PARLOOM_ERR_CANCELLED);
    EXPECT_EQ(loom_tally_settle(&tally, &error), PARLOOM_ERR_INTERNAL);
}

TEST_F(Tally, RefusesTasksBeyondTheLast)
{
    begin(10, 1);
    loom_tally_note(&tally, 9, 11, PARLOOM_ERR_CANCELLED);
    EXPECT_EQ(loom_tally_settle(&tally, &error), PARLOOM_ERR_INTERNAL);
}

TEST_F(Tally, NotesTheRestBetweenWhatWasNoted)
{
    begin(100, 4);
    fail(10);
    fail(11, PARLOOM_ERR_CRASHED);
    loom_tally_note(&tally, 40, 60, PARLOOM_ERR_TIMEOUT);
    loom_tally_note_rest(&tally, 5, 50, PARLOOM_ERR_CANCELLED);
    loom_tally_note_rest(&tally, 50, 100, PARLOOM_ERR_CANCELLED);
    ASSERT_EQ(loom_tally_settle(&tally, &error), PARLOOM_OK) << error.message;
    for (size_t i = 0; i < 100; i++) {
        parloom_status expected = i < 5               ? PARLOOM_OK
                                  : i == 10           ? PARLOOM_ERR_TASK
                                  : i == 11           ? PARLOOM_ERR_CRASHED
                                  : i >= 40 && i < 60 ? PARLOOM_ERR_TIMEOUT
                                                      : PARLOOM_ERR_CANCELLED;
        EXPECT_EQ(loom_tally_status(&tally, i), expected) << i;
    }
}

#ifdef PARLOOM_FAULTS
TEST_F(Tally, ThatCannotGrowSaysThatNothingWasRun)
{
    begin(100, 4);
    loom_fault_arm(LOOM_FAULT_MALLOC, 1, ENOMEM, true);
    for (size_t k = 0; k < 100; k += 2) fail(k);
    EXPECT_TRUE(tally.is_short_of_memory);
    EXPECT_EQ(loom_tally_settle(&tally, &error), PARLOOM_ERR_MEMORY);
    loom_fault_disarm();
    EXPECT_EQ(error.status, PARLOOM_ERR_MEMORY);
    EXPECT_EQ(loom_tally_count(&tally, PARLOOM_OK), 0u);
    EXPECT_EQ(loom_tally_count(&tally, PARLOOM_ERR_CANCELLED), 100u);
    EXPECT_EQ(loom_tally_first_failure(&tally), PARLOOM_NO_TASK);
}

TEST_F(Tally, ThatCannotGrowNeedsNoErrorRecord)
{
    begin(100, 4);
    loom_fault_arm(LOOM_FAULT_MALLOC, 1, ENOMEM, true);
    for (size_t k = 0; k < 100; k += 2) fail(k);
    EXPECT_EQ(loom_tally_settle(&tally, nullptr), PARLOOM_ERR_MEMORY);
    loom_fault_disarm();
    EXPECT_EQ(loom_tally_count(&tally, PARLOOM_ERR_CANCELLED), 100u);
}
#endif

TEST_F(Tally, KeepsTheLowestErrorsInTaskOrder)
{
    constexpr size_t N = 5000;
    std::vector<size_t> order(N);
    for (size_t i = 0; i < N; i++) order[i] = i;
    std::mt19937 random(5);
    for (size_t room : { size_t{ 1 }, size_t{ 2 }, size_t{ 7 }, size_t{ 100 }, N, 2 * N }) {
        std::shuffle(order.begin(), order.end(), random);
        begin(N, room);
        for (size_t task : order) fail(task);
        ASSERT_EQ(loom_tally_settle(&tally, &error), PARLOOM_OK);
        ASSERT_EQ(tally.n_errors, std::min(room, N));
        for (size_t k = 0; k < tally.n_errors; k++) {
            ASSERT_EQ(tally.errors[k].task, k);
            ASSERT_EQ(tally.errors[k].code, static_cast<int>(k) + 1);
        }
        loom_tally_fini(&tally);
    }
}

} // namespace

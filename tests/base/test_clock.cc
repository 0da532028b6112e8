// SPDX-License-Identifier: BSD-3-Clause
#include "base/clock.h"

#include <gtest/gtest.h>

#include <climits>
#include <cmath>
#include <limits>

namespace
{

TEST(Clock, NeverGoesBack)
{
    uint64_t last = loom_clock_ns();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = loom_clock_ns();
        ASSERT_GE(now, last);
        last = now;
    }
}

TEST(Clock, DeadlineLiesAheadByTheSeconds)
{
    uint64_t before = loom_clock_ns();
    uint64_t deadline = loom_clock_deadline(2.5);
    uint64_t after = loom_clock_ns();
    EXPECT_GE(deadline, before + 2500000000u);
    EXPECT_LE(deadline, after + 2500000000u);
}

TEST(Clock, SecondsThatAreNotPositiveNeverCome)
{
    EXPECT_EQ(loom_clock_deadline(0.0), LOOM_NEVER_NS);
    EXPECT_EQ(loom_clock_deadline(-1.0), LOOM_NEVER_NS);
    EXPECT_EQ(loom_clock_deadline(std::nan("")), LOOM_NEVER_NS);
    EXPECT_EQ(loom_clock_deadline(1e300), LOOM_NEVER_NS);
    EXPECT_EQ(loom_clock_deadline(std::numeric_limits<double>::infinity()), LOOM_NEVER_NS);
}

TEST(Clock, PollWaitsAtLeastUntilTheDeadline)
{
    EXPECT_EQ(loom_clock_poll_ms(LOOM_NEVER_NS), -1);
    EXPECT_EQ(loom_clock_poll_ms(0), 0);
    EXPECT_EQ(loom_clock_poll_ms(loom_clock_ns()), 0);
    EXPECT_EQ(loom_clock_poll_ms(LOOM_NEVER_NS - 1), INT_MAX);
    uint64_t deadline = loom_clock_deadline(100.0);
    uint64_t wait = static_cast<uint64_t>(loom_clock_poll_ms(deadline)) * 1000000u;
    EXPECT_GE(loom_clock_ns() + wait, deadline);
}

} // namespace

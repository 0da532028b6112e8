/* SPDX-License-Identifier: BSD-3-Clause */
/* test_lane.cc - what a lane gives back of calls that no worker has begun. */
#include "backends/test_lane.h"

#include "support/clean.h"

namespace
{

class Lane : public loom::Clean
{
  protected:
    void SetUp() override
    {
        loom::Clean::SetUp();
        bench = lane_bench_open();
        ASSERT_NE(bench, nullptr);
    }
    void TearDown() override
    {
        if (bench != nullptr) lane_bench_close(bench);
        loom::Clean::TearDown();
    }
    lane_bench *bench = nullptr;
    loom_parcel parcel = {}; /* the lane's until it gives it back or is closed */
    parloom_error error = {};
};

TEST_F(Lane, GivesNothingBackThatNobodyHasBegun)
{
    ASSERT_EQ(lane_bench_post(bench, &parcel, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(lane_bench_await(bench, 1000000), nullptr);
}

/* Its owner saw it run, but its worker died before the limit could be kept, and it waits to be run again. */
TEST_F(Lane, GivesBackWhatExpiresThoughNobodyRunsItAnyMore)
{
    parcel.index = 7;
    ASSERT_EQ(lane_bench_post(bench, &parcel, &error), PARLOOM_OK) << error.message;
    EXPECT_TRUE(lane_bench_expire(bench, &parcel));
    ASSERT_EQ(lane_bench_await(bench, 1000000), &parcel);
    EXPECT_EQ(parcel.status, PARLOOM_ERR_TIMEOUT);
    EXPECT_EQ(parcel.error.status, PARLOOM_ERR_TIMEOUT);
    EXPECT_EQ(parcel.error.task, 7u);
    EXPECT_EQ(parcel.returned_nbytes, LOOM_PARCEL_NOTHING);
    lane_bench_release(bench, &parcel);
}

} // namespace

// SPDX-License-Identifier: BSD-3-Clause
// The hooks themselves; without PARLOOM_FAULTS they do not exist.
#include "base/fault.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/options.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <unistd.h>

namespace
{

#ifndef PARLOOM_FAULTS

TEST(Fault, IsNotInThisBuild)
{
    EXPECT_FALSE(loom_fault_hit(LOOM_FAULT_MALLOC));
    GTEST_SKIP() << "built without PARLOOM_FAULTS";
}

#else

struct Fault : ::testing::Test {
    void TearDown() override { loom_fault_disarm(); }
};

TEST_F(Fault, FailsTheNthHitOnce)
{
    loom_fault_arm(LOOM_FAULT_WRITE, 2, ENOSPC, false);
    EXPECT_FALSE(loom_fault_hit(LOOM_FAULT_WRITE));
    errno = 0;
    EXPECT_TRUE(loom_fault_hit(LOOM_FAULT_WRITE));
    EXPECT_EQ(errno, ENOSPC);
    EXPECT_FALSE(loom_fault_hit(LOOM_FAULT_WRITE));
    EXPECT_EQ(loom_fault_hits(LOOM_FAULT_WRITE), 3u);
}

TEST_F(Fault, FailsFromThenOn)
{
    loom_fault_arm(LOOM_FAULT_OPEN, 2, EMFILE, true);
    EXPECT_FALSE(loom_fault_hit(LOOM_FAULT_OPEN));
    EXPECT_TRUE(loom_fault_hit(LOOM_FAULT_OPEN));
    EXPECT_TRUE(loom_fault_hit(LOOM_FAULT_OPEN));
}

TEST_F(Fault, LeavesOtherKindsAlone)
{
    loom_fault_arm(LOOM_FAULT_OPEN, 1, EMFILE, true);
    EXPECT_FALSE(loom_fault_hit(LOOM_FAULT_WRITE));
    EXPECT_FALSE(loom_fault_hit(LOOM_FAULT_MALLOC));
}

TEST_F(Fault, DisarmedNothingFails)
{
    loom_fault_arm(LOOM_FAULT_OPEN, 1, EMFILE, true);
    loom_fault_disarm();
    EXPECT_FALSE(loom_fault_hit(LOOM_FAULT_OPEN));
}

TEST_F(Fault, ReachesMemory)
{
    loom_fault_arm(LOOM_FAULT_MALLOC, 1, ENOMEM, true);
    EXPECT_EQ(loom_memory_zeroed(1, 1), nullptr);
    EXPECT_EQ(loom_memory_grow(nullptr, 1, 1), nullptr);
    EXPECT_EQ(loom_memory_aligned(64, 1), nullptr);
    EXPECT_EQ(loom_memory_text("x"), nullptr);
}

TEST_F(Fault, ReachesFiles)
{
    int fd = -1;
    parloom_error error;
    loom_fault_arm(LOOM_FAULT_OPEN, 1, EMFILE, false);
    EXPECT_EQ(loom_file_open_nameless("/tmp", &fd, &error), PARLOOM_ERR_LIMIT);
    EXPECT_EQ(error.sys_errno, EMFILE);
    ASSERT_EQ(loom_file_open_nameless("/tmp", &fd, &error), PARLOOM_OK);
    loom_fault_arm(LOOM_FAULT_WRITE, 1, ENOSPC, false);
    EXPECT_EQ(loom_file_write_all(fd, "abc", 3, 0), ENOSPC);
    loom_fault_arm(LOOM_FAULT_FALLOCATE, 1, ENOSPC, false);
    EXPECT_EQ(loom_file_reserve(fd, 0, 4096), ENOSPC);
    close(fd);
}

TEST_F(Fault, InterruptedReservationGoesOn)
{
    int fd = -1;
    ASSERT_EQ(loom_file_open_nameless("/tmp", &fd, nullptr), PARLOOM_OK);
    loom_fault_arm(LOOM_FAULT_FALLOCATE, 1, EINTR, false);
    EXPECT_EQ(loom_file_reserve(fd, 0, 4 << 20), 0);
    EXPECT_EQ(lseek(fd, 0, SEEK_END), 4 << 20);
    close(fd);
}

TEST_F(Fault, WhereNothingCanBeReservedBytesAreWrittenAndOldOnesStay)
{
    int fd = -1;
    ASSERT_EQ(loom_file_open_nameless("/tmp", &fd, nullptr), PARLOOM_OK);
    ASSERT_EQ(loom_file_write_all(fd, "kept", 4, 100), 0);
    loom_fault_arm(LOOM_FAULT_FALLOCATE, 1, EOPNOTSUPP, true);
    ASSERT_EQ(loom_file_reserve(fd, 0, 1000000), 0);
    std::string bytes(1000000, 'x');
    ASSERT_EQ(loom_file_read_all(fd, &bytes[0], bytes.size(), 0), 0);
    std::string expected(1000000, '\0');
    expected.replace(100, 4, "kept");
    EXPECT_EQ(bytes, expected);
    close(fd);
}

TEST_F(Fault, CopyOfOptionsFailsCleanlyAtEachAllocation)
{
    int state = 3;
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.backend = "threads";
    options.backend_params = "a=1";
    options.temp_folder = "/tmp";
    options.pre_dispatch = "all";
    options.worker_init_state = &state;
    options.worker_init_state_nbytes = sizeof state;
    parloom_options copy = PARLOOM_OPTIONS_INIT;
    parloom_error error;
    unsigned nth = 1;
    for (;; nth++) {
        loom_fault_arm(LOOM_FAULT_MALLOC, nth, ENOMEM, false);
        if (loom_options_copy(&copy, &options, &error) == PARLOOM_OK) break;
        EXPECT_EQ(error.status, PARLOOM_ERR_MEMORY);
        EXPECT_EQ(copy.backend, nullptr);
    }
    EXPECT_EQ(nth, 6u);
    loom_options_destroy(&copy);
}

#endif

} // namespace

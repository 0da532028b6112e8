// SPDX-License-Identifier: BSD-3-Clause
#include "base/futex.h"

#include "base/clock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

constexpr double LONG_ENOUGH = 20.0;

TEST(Futex, ReturnsWhenTheWordHasChangedAlready)
{
    std::atomic<uint32_t> word{ 2 };
    EXPECT_EQ(loom_futex_wait_until(&word, 1, LOOM_NEVER_NS), 0);
}

TEST(Futex, DeadlineEndsTheWait)
{
    std::atomic<uint32_t> word{ 1 };
    uint64_t deadline = loom_clock_deadline(0.002);
    EXPECT_EQ(loom_futex_wait_until(&word, 1, deadline), ETIMEDOUT);
    EXPECT_GE(loom_clock_ns(), deadline);
}

TEST(Futex, DeadlineInThePastDoesNotWait)
{
    std::atomic<uint32_t> word{ 1 };
    EXPECT_EQ(loom_futex_wait_until(&word, 1, 1), ETIMEDOUT);
}

TEST(Futex, WakesASleeperInAnotherProcess)
{
    void *page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(page, MAP_FAILED);
    auto *word = new (page) std::atomic<uint32_t>(0);
    pid_t child = fork();
    if (child == 0) {
        uint64_t deadline = loom_clock_deadline(LONG_ENOUGH);
        word->store(1);
        loom_futex_wake(word, 1);
        while (word->load() == 1)
            if (loom_futex_wait_until(word, 1, deadline) != 0) _exit(1);
        _exit(word->load() == 2 ? 0 : 2);
    }
    uint64_t deadline = loom_clock_deadline(LONG_ENOUGH);
    while (word->load() == 0 && loom_futex_wait_until(word, 0, deadline) == 0) {}
    word->store(2);
    loom_futex_wake(word, 1);
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    munmap(page, 4096);
}

} // namespace

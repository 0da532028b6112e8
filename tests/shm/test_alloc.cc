// SPDX-License-Identifier: BSD-3-Clause
#include "base/log.h"
#include "shm/alloc.h"
#include "shm/arena.h"
#include "tests/shm/shm_support.h"

#include <thread>
#include <vector>

namespace
{

// Lines of the log while it lives.
struct Log {
    int lines = 0;
    Log()
    {
        loom_log_set_sink([](int, const char *, void *state) { static_cast<Log *>(state)->lines++; }, this);
    }
    ~Log() { loom_log_set_sink(nullptr, nullptr); }
    Log(const Log &) = delete;
    Log &operator=(const Log &) = delete;
};

bool IsAlive(void *block)
{
    void *start = loom_arena_hold_at(loom_arena_public(nullptr), block);
    if (start) loom_arena_drop(loom_arena_public(nullptr), start);
    return start != nullptr;
}

} // namespace

TEST(Alloc, GivesZeroFilledSharedMemoryOnLinesOfItsOwn)
{
    for (size_t nbytes : { size_t(0), size_t(1), size_t(70000), size_t(3) << 20 }) {
        parloom_error error = {};
        error.status = PARLOOM_ERR_IO;
        char *block = static_cast<char *>(parloom_alloc(nbytes, &error));
        ASSERT_NE(block, nullptr);
        EXPECT_EQ(error.status, PARLOOM_OK);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 64, 0u);
        for (size_t i = 0; i < nbytes; i++) ASSERT_EQ(block[i], 0);
        EXPECT_TRUE(parloom_is_shared(block));
        EXPECT_TRUE(parloom_is_shared(block + nbytes / 2));
        parloom_free(block);
    }
    int local = 0;
    EXPECT_FALSE(parloom_is_shared(&local));
    EXPECT_FALSE(parloom_is_shared(nullptr));
}

TEST(Alloc, AbsurdSizeIsAnError)
{
    parloom_error error = {};
    EXPECT_EQ(parloom_alloc(SIZE_MAX, &error), nullptr);
    EXPECT_EQ(error.status, PARLOOM_ERR_LIMIT);
    EXPECT_EQ(parloom_alloc(SIZE_MAX / 2, nullptr), nullptr);
}

TEST(Alloc, FreeingForeignMemoryOrTwiceIsAWarningAndNothingElse)
{
    Log log;
    int local = 0;
    void *block = parloom_alloc(10, nullptr);
    void *other = parloom_alloc(10, nullptr);
    parloom_free(nullptr);
    EXPECT_EQ(log.lines, 0);
    parloom_free(&local);
    EXPECT_EQ(log.lines, 1);
    parloom_free(block);
    parloom_free(block);
    EXPECT_EQ(log.lines, 2);
    EXPECT_TRUE(IsAlive(other));
    parloom_free(other);
}

TEST(AllocInTask, BlocksGoWhenTheirTaskEnds)
{
    void *outside = parloom_alloc(10, nullptr);
    loom_alloc_task_begin();
    void *outer = parloom_alloc(10, nullptr);
    loom_alloc_task_begin();
    void *inner = parloom_alloc(2 << 20, nullptr);
    loom_alloc_task_begin(); // allocates nothing
    loom_alloc_task_end();
    EXPECT_TRUE(IsAlive(inner));
    loom_alloc_task_end();
    EXPECT_FALSE(IsAlive(inner));
    EXPECT_TRUE(IsAlive(outer));
    loom_alloc_task_end();
    EXPECT_FALSE(IsAlive(outer));
    EXPECT_TRUE(IsAlive(outside));
    parloom_free(outside);
}

TEST(AllocInTask, BlockFreedByTheBodyIsFreeAtOnce)
{
    loom_alloc_task_begin();
    void *first = parloom_alloc(10, nullptr), *second = parloom_alloc(10, nullptr);
    parloom_free(first);
    EXPECT_FALSE(IsAlive(first));
    EXPECT_TRUE(IsAlive(second));
    loom_alloc_task_end();
    EXPECT_FALSE(IsAlive(second));
}

TEST(AllocInTask, BlockFreedByAnotherThreadIsFreedOnce)
{
    Log log;
    loom_alloc_task_begin();
    void *block = parloom_alloc(10, nullptr);
    std::thread([block] { parloom_free(block); }).join();
    std::vector<void *> others;
    std::thread([&others] {
        for (int i = 0; i < 100; i++) others.push_back(parloom_alloc(10, nullptr));
    }).join();
    loom_alloc_task_end();
    EXPECT_FALSE(IsAlive(block));
    for (void *other : others) {
        EXPECT_TRUE(IsAlive(other));
        parloom_free(other);
    }
    EXPECT_EQ(log.lines, 0);
}

TEST(AllocInTask, BlockOfTheCallerMayBeFreedInATask)
{
    void *outside = parloom_alloc(10, nullptr);
    loom_alloc_task_begin();
    void *inside = parloom_alloc(10, nullptr);
    parloom_free(outside);
    EXPECT_FALSE(IsAlive(outside));
    EXPECT_TRUE(IsAlive(inside));
    loom_alloc_task_end();
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* test_stop.cc - who watches a stop is told of its request at once, and nobody else is. */
#include "base/stop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

extern "C" void *stop_words_make(size_t count);
extern "C" uint64_t stop_word_read(void *words, size_t k);

namespace
{

class Stop : public ::testing::Test
{
  protected:
    enum { WORDS = 100 };
    void SetUp() override
    {
        words = stop_words_make(WORDS);
        ASSERT_NE(words, nullptr);
    }
    void TearDown() override { free(words); }
    void *word(size_t k) const { return static_cast<uint64_t *>(words) + k; }
    uint64_t read(size_t k) const { return stop_word_read(words, k); }
    void *words = nullptr;
    parloom_stop stop = {}, other = {};
};

TEST_F(Stop, TellsWhoWatchesIt)
{
    int first = loom_stop_watch(&stop, word(0)), second = loom_stop_watch(&stop, word(1));
    int third = loom_stop_watch(&other, word(2));
    loom_stop_request(&stop);
    EXPECT_EQ(read(0), 0u);
    EXPECT_EQ(read(1), 0u);
    EXPECT_EQ(read(2), 1u);
    for (int number : { first, second, third }) loom_stop_unwatch(number);
}

TEST_F(Stop, TellsWhoComesLater)
{
    loom_stop_request(&stop);
    loom_stop_unwatch(loom_stop_watch(&stop, word(0)));
    EXPECT_EQ(read(0), 0u);
}

TEST_F(Stop, TellsNobodyWhoHasGone)
{
    loom_stop_unwatch(loom_stop_watch(&stop, word(0)));
    loom_stop_request(&stop);
    EXPECT_EQ(read(0), 1u);
}

TEST_F(Stop, TellsAsManyAsThereAreAndSaysOfTheOthersThatItDoesNot)
{
    std::vector<int> numbers;
    for (size_t k = 0; k < WORDS; k++) numbers.push_back(loom_stop_watch(&stop, word(k)));
    loom_stop_request(&stop);
    for (size_t k = 0; k < WORDS; k++) EXPECT_EQ(read(k), numbers[k] < 0 ? 1u : 0u) << k;
    EXPECT_GE(numbers[31], 0);
    EXPECT_EQ(numbers.back(), -1);
    for (int number : numbers) loom_stop_unwatch(number);
    EXPECT_GE(loom_stop_watch(&other, word(0)), 0) << "places are given back";
}

TEST_F(Stop, OfAChildTellsNobodyInItsParent)
{
    int number = loom_stop_watch(&stop, word(0));
    pid_t child = fork();
    if (child == 0) {
        loom_stop_request(&stop); /* at the same address, but its own */
        bool is_told = read(0) == 0;
        int anew = loom_stop_watch(&other, word(1));
        loom_stop_request(&other);
        loom_stop_unwatch(number); /* not its own: nothing */
        _exit(!is_told && anew >= 0 && read(1) == 0 ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    loom_stop_unwatch(number);
}

/* Whoever is told after it has gone writes to what may be memory of somebody else. */
TEST_F(Stop, TellsNobodyWhoHasGoneThoughManyRequest)
{
    std::atomic<bool> is_over{ false };
    loom_stop_request(&stop);
    std::vector<std::thread> requesters;
    for (int k = 0; k < 2; k++)
        requesters.emplace_back([&] {
            while (!is_over) loom_stop_request(&stop);
        });
    for (int round = 0; round < 2000; round++) {
        void *mine = stop_words_make(1);
        loom_stop_unwatch(loom_stop_watch(&stop, mine));
        EXPECT_EQ(stop_word_read(mine, 0), 0u);
        free(mine); /* a sanitizer sees who comes late */
    }
    is_over = true;
    for (auto &requester : requesters) requester.join();
}

} // namespace

// SPDX-License-Identifier: BSD-3-Clause
#include "tests/shm/spills.h"

#include <csignal>
#include <sys/mman.h>
#include <thread>

TEST(Published, OneCopyServesEveryCallUntilThePromiseIsTakenBack)
{
    for (size_t nbytes : { size_t(1000), size_t(3) << 20 }) {
        std::vector<char> data = Pattern(nbytes);
        ASSERT_EQ(parloom_publish(data.data(), nbytes, nullptr), PARLOOM_OK);
        std::vector<loom_spill_range> first = { In(data.data() + 100, 500) }, second = { In(data.data(), nbytes) };
        {
            Spill a(first), b(second);
            EXPECT_EQ(Shared(first[0]), Shared(second[0]) + 100);
            EXPECT_TRUE(first[0].is_memmap);
            EXPECT_EQ(loom_spill_spilled_nbytes(a.spill), nbytes) << "made here";
            EXPECT_EQ(loom_spill_spilled_nbytes(b.spill), 0u) << "counted once";
            EXPECT_STREQ(loom_spill_place(a.spill), "/dev/shm");
        }
        void *copy = second[0].shared;
        Spill again(second);
        EXPECT_EQ(second[0].shared, copy);
        parloom_unpublish(data.data());
        EXPECT_EQ(memcmp(copy, data.data(), nbytes), 0) << "gone while a call uses it";
        data[0]++;
        std::vector<loom_spill_range> later = { In(data.data(), nbytes) };
        Spill fresh(later);
        EXPECT_EQ(*Shared(later[0]), data[0]) << "an old copy was used after unpublish";
    }
}

TEST(Published, Nests)
{
    std::vector<char> data = Pattern(1000);
    parloom_publish(data.data(), 1000, nullptr);
    parloom_publish(data.data(), 1000, nullptr);
    std::vector<loom_spill_range> ranges = { In(data.data(), 1000) };
    Spill first(ranges);
    void *copy = ranges[0].shared;
    parloom_unpublish(data.data());
    Spill second(ranges);
    EXPECT_EQ(ranges[0].shared, copy);
    parloom_unpublish(data.data());
    parloom_unpublish(data.data());
    Spill third(ranges);
    EXPECT_NE(ranges[0].shared, copy);
    EXPECT_FALSE(ranges[0].is_memmap);
}

TEST(Published, LongerPromiseAtTheSameAddressServesLongerRanges)
{
    std::vector<char> data = Pattern(1000);
    parloom_publish(data.data(), 100, nullptr);
    parloom_publish(data.data(), 1000, nullptr);
    std::vector<loom_spill_range> ranges = { In(data.data() + 50, 900) };
    Spill spill(ranges);
    EXPECT_TRUE(ranges[0].is_memmap);
    parloom_unpublish(data.data());
    Spill shorter(ranges);
    EXPECT_FALSE(ranges[0].is_memmap);
    parloom_unpublish(data.data());
}

TEST(Published, WrittenRangeAndRangeThatSticksOutGetCopiesOfTheirOwn)
{
    std::vector<char> data = Pattern(1000);
    parloom_publish(data.data(), 500, nullptr);
    std::vector<loom_spill_range> ranges = { Out(data.data(), 10), In(data.data() + 490, 20) };
    Spill spill(ranges);
    ASSERT_EQ(spill.status, PARLOOM_OK);
    EXPECT_EQ(AccessOf(ranges[0].shared), LOOM_SEGMENT_WRITE);
    EXPECT_FALSE(ranges[1].is_memmap);
    parloom_unpublish(data.data());
}

TEST(Published, RefusesWhatIsNoRange)
{
    parloom_error error = {};
    EXPECT_EQ(parloom_publish(nullptr, 10, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_publish(&error, SIZE_MAX, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_publish(&error, 0, nullptr), PARLOOM_OK);
    parloom_unpublish(&error);
    parloom_unpublish(&error);
    parloom_unpublish(nullptr);
}

TEST(Published, ManyOverlappingPromisesAreFound)
{
    std::vector<char> data = Pattern(100000);
    std::mt19937 random(3);
    std::vector<std::pair<size_t, size_t>> promises;
    for (int i = 0; i < 200; i++) {
        size_t begin = random() % 90000, nbytes = 1 + random() % 10000;
        promises.emplace_back(begin, nbytes);
        ASSERT_EQ(parloom_publish(data.data() + begin, nbytes, nullptr), PARLOOM_OK);
    }
    for (int i = 0; i < 300; i++) {
        size_t begin = random() % 90000, nbytes = 1 + random() % 3000;
        bool inside = false;
        for (auto &each : promises) inside |= each.first <= begin && begin + nbytes <= each.first + each.second;
        std::vector<loom_spill_range> ranges = { In(data.data() + begin, nbytes) };
        Spill spill(ranges);
        EXPECT_EQ(ranges[0].is_memmap, inside);
        EXPECT_EQ(memcmp(ranges[0].shared, ranges[0].data, nbytes), 0);
    }
    for (auto &each : promises) parloom_unpublish(data.data() + each.first);
    std::vector<loom_spill_range> ranges = { In(data.data() + promises[0].first, 1) };
    Spill spill(ranges);
    EXPECT_FALSE(ranges[0].is_memmap);
}

TEST(Published, ThreadsThatStartTogetherMakeOneCopy)
{
    std::vector<char> data = Pattern(4 << 20);
    parloom_publish(data.data(), data.size(), nullptr);
    std::vector<std::thread> threads;
    std::vector<void *> copies(4);
    std::vector<size_t> made(4);
    std::vector<loom_spill *> spills(4);
    for (size_t t = 0; t < 4; t++) {
        threads.emplace_back([&, t] {
            loom_spill_range range = In(data.data(), data.size());
            EXPECT_EQ(loom_spill_begin(&spills[t], &range, 1, &USUAL, nullptr), PARLOOM_OK);
            copies[t] = range.shared;
            made[t] = loom_spill_spilled_nbytes(spills[t]);
        });
    }
    for (std::thread &thread : threads) thread.join();
    size_t total = 0;
    for (size_t t = 0; t < 4; t++) {
        EXPECT_EQ(copies[t], copies[0]);
        total += made[t];
        loom_spill_end(spills[t]);
    }
    EXPECT_EQ(total, data.size());
    parloom_unpublish(data.data());
}

/* -------------------------------------------------------------------- forks */

TEST(Published, ChildOfForkMakesACopyOfItsOwn)
{
    for (size_t nbytes : { size_t(1000), size_t(3) << 20 }) {
        std::vector<char> data = Pattern(nbytes);
        std::vector<loom_spill_range> ranges = { In(data.data(), nbytes) };
        parloom_publish(data.data(), nbytes, nullptr);
        void *parents = nullptr;
        {
            Spill spill(ranges);
            parents = ranges[0].shared;
        }
        EXPECT_EQ(InChild([&] {
                      Spill spill(ranges);
                      if (spill.status != PARLOOM_OK || !ranges[0].is_memmap) return 1;
                      if (ranges[0].shared == parents) return 2;
                      return memcmp(ranges[0].shared, data.data(), nbytes) == 0 ? 0 : 3;
                  }),
                  0);
        Spill spill(ranges);
        EXPECT_EQ(ranges[0].shared, parents);
        EXPECT_EQ(memcmp(parents, data.data(), nbytes), 0) << "the child took its parent's copy away";
        parloom_unpublish(data.data());
    }
}

namespace
{

// A page that nobody can read yet: whoever touches it says so and waits until it is let go.
struct Barrier {
    char *page;
    size_t nbytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    int touched[2], go[2];
} barrier;

void WaitAtBarrier(int)
{
    char byte = 0;
    if (write(barrier.touched[1], &byte, 1) != 1 || read(barrier.go[0], &byte, 1) != 1) _exit(98);
    mprotect(barrier.page, barrier.nbytes, PROT_READ | PROT_WRITE);
}

} // namespace

TEST(Published, ChildOfForkDoesNotWaitForACopyThatAThreadOfItsParentMakes)
{
    ASSERT_EQ(pipe(barrier.touched) | pipe(barrier.go), 0);
    void *page = mmap(nullptr, barrier.nbytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(page, MAP_FAILED);
    barrier.page = static_cast<char *>(page);
    signal(SIGSEGV, WaitAtBarrier);
    ASSERT_EQ(parloom_publish(barrier.page, barrier.nbytes, nullptr), PARLOOM_OK);
    auto use = [] {
        std::vector<loom_spill_range> ranges = { In(barrier.page, barrier.nbytes) };
        Spill spill(ranges);
        return spill.status == PARLOOM_OK && ranges[0].is_memmap ? 0 : 1;
    };
    std::thread copying([&] { EXPECT_EQ(use(), 0); });
    char byte = 0;
    ASSERT_EQ(read(barrier.touched[0], &byte, 1), 1);
    EXPECT_EQ(InChild([&] {
                  alarm(20); // instead of waiting for ever
                  mprotect(barrier.page, barrier.nbytes, PROT_READ | PROT_WRITE);
                  return use();
              }),
              0);
    ASSERT_EQ(write(barrier.go[1], &byte, 1), 1);
    copying.join();
    parloom_unpublish(barrier.page);
    munmap(barrier.page, barrier.nbytes);
    for (int fd : { barrier.touched[0], barrier.touched[1], barrier.go[0], barrier.go[1] }) close(fd);
}

// SPDX-License-Identifier: BSD-3-Clause
#include "shm/window_ranges.h"
#include "tests/shm/shm_support.h"

#include <random>
#include <set>
#include <sys/mman.h>
#include <vector>

TEST(Window, MapsOnlyItsHeader)
{
    EXPECT_EQ(InChild([] {
                  if (loom_window_base() != 0) return 0; // an earlier test of this process has mapped segments
                  return loom_window_open(nullptr) == PARLOOM_OK && MappingCount() == 1 ? 0 : 1;
              }),
              0);
}

TEST(Window, TakesAnotherBaseWhenOneIsOccupied)
{
    SKIP_UNDER_SANITIZERS();
    if (loom_window_base() != 0) GTEST_SKIP() << "the window of this process is open already";
    EXPECT_EQ(InChild([] {
                  mmap(reinterpret_cast<void *>(0x510000000000), 4096, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
                  return loom_window_open(nullptr) == PARLOOM_OK && loom_window_base() == 0x2000000000 ? 0 : 1;
              }),
              0);
}

TEST(Window, SaysSoWhenNoBaseIsFree)
{
    SKIP_UNDER_SANITIZERS();
    if (loom_window_base() != 0) GTEST_SKIP() << "the window of this process is open already";
    EXPECT_EQ(InChild([] {
                  for (uint64_t base : { 0x510000000000ull, 0x2000000000ull, 0x800000000ull })
                      mmap(reinterpret_cast<void *>(base), 4096, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
                  int before = DescriptorCount();
                  parloom_error error = {};
                  if (loom_window_open(&error) != PARLOOM_ERR_UNSUPPORTED || loom_window_base() != 0) return 1;
                  if (DescriptorCount() != before) return 2;
                  return strstr(error.message, "0x510000000000") ? 0 : 3;
              }),
              0);
}

TEST(Window, OpensOnceAtOneOfTheAgreedBases)
{
    parloom_error error = {};
    ASSERT_EQ(loom_window_open(&error), PARLOOM_OK) << error.message;
    uint64_t base = loom_window_base();
    EXPECT_TRUE(base == 0x510000000000 || base == 0x2000000000 || base == 0x800000000) << std::hex << base;
    EXPECT_EQ(loom_window_open(&error), PARLOOM_OK);
    EXPECT_EQ(loom_window_base(), base);
    EXPECT_TRUE(loom_window_contains(reinterpret_cast<void *>(base)));
    EXPECT_TRUE(loom_window_contains(reinterpret_cast<void *>(base + loom_window_nbytes() - 1)));
    EXPECT_FALSE(loom_window_contains(reinterpret_cast<void *>(base + loom_window_nbytes())));
    EXPECT_FALSE(loom_window_contains(reinterpret_cast<void *>(base - 1)));
    EXPECT_FALSE(loom_window_contains(&error));
}

TEST(Window, HandsOutAlignedRangesWithAFreeBlockBehind)
{
    ASSERT_EQ(loom_window_open(nullptr), PARLOOM_OK);
    uint64_t first = 0, second = 0;
    ASSERT_EQ(loom_window_take(1, &first, nullptr), PARLOOM_OK);
    ASSERT_EQ(loom_window_take((2 << 20) + 1, &second, nullptr), PARLOOM_OK);
    EXPECT_EQ(first % LOOM_WINDOW_BLOCK, 0u);
    EXPECT_EQ(second % LOOM_WINDOW_BLOCK, 0u);
    EXPECT_GE(second - first, 2u * LOOM_WINDOW_BLOCK);
    EXPECT_LT(second - loom_window_base(), loom_window_nbytes() / 2);
    loom_window_give(first, 1);
    loom_window_give(second, (2 << 20) + 1);
    EXPECT_EQ(loom_window_take(loom_window_nbytes(), &first, nullptr), PARLOOM_ERR_LIMIT);
}

TEST(Window, ChildOfForkGetsAHeaderOfItsOwn)
{
    ASSERT_EQ(loom_window_open(nullptr), PARLOOM_OK);
    loom_segment *segment = nullptr;
    ASSERT_EQ(loom_segment_create(64, LOOM_SEGMENT_WRITE, nullptr, &segment, nullptr), PARLOOM_OK);
    uint64_t epoch = loom_segment_epoch();
    char *address = segment->address;
    *address = 1;
    EXPECT_EQ(InChild([&] {
                  loom_segment *own = nullptr;
                  if (loom_segment_create(64, LOOM_SEGMENT_WRITE, nullptr, &own, nullptr)) return 1;
                  if (loom_segment_epoch() < 2) return 2; // the inherited one and the new one
                  *address = 2;
                  loom_segment_release(segment, false);
                  loom_segment_release(own, false);
                  return 0;
              }),
              0);
    EXPECT_EQ(loom_segment_epoch(), epoch) << "the child wrote its parent's table";
    EXPECT_EQ(*address, 2) << "the child freed its parent's bytes";
    loom_segment_release(segment, false);
}

TEST(WindowRanges, NeverHandOutABlockTwiceAndJoinWhatComesBack)
{
    loom_window_ranges ranges;
    ASSERT_TRUE(loom_window_ranges_init(&ranges, 1, 1000));
    std::mt19937 random(7);
    std::vector<bool> used(1000);
    std::vector<std::pair<uint64_t, uint64_t>> taken;
    for (int step = 0; step < 20000; step++) {
        uint64_t begin = 0, blocks = 1 + random() % 20;
        if (random() % 2 && loom_window_ranges_take(&ranges, blocks, &begin)) {
            for (uint64_t i = begin; i < begin + blocks; i++) {
                ASSERT_TRUE(i >= 1 && i < 1000 && !used[i]);
                used[i] = true;
            }
            taken.emplace_back(begin, blocks);
        } else if (!taken.empty()) {
            std::swap(taken[random() % taken.size()], taken.back());
            auto [from, count] = taken.back();
            taken.pop_back();
            loom_window_ranges_give(&ranges, from, count);
            for (uint64_t i = from; i < from + count; i++) used[i] = false;
        }
    }
    for (auto [begin, blocks] : taken) loom_window_ranges_give(&ranges, begin, blocks);
    EXPECT_EQ(ranges.count, 1u);
    uint64_t begin = 0;
    EXPECT_TRUE(loom_window_ranges_take(&ranges, 999, &begin));
    EXPECT_EQ(begin, 1u);
    EXPECT_FALSE(loom_window_ranges_take(&ranges, 1, &begin));
    loom_window_ranges_fini(&ranges);
}

TEST(WindowRanges, LetAnAddressRestBeforeItsNextUse)
{
    loom_window_ranges ranges;
    ASSERT_TRUE(loom_window_ranges_init(&ranges, 0, 100));
    std::set<uint64_t> seen;
    for (int i = 0; i < 50; i++) {
        uint64_t begin = 0;
        ASSERT_TRUE(loom_window_ranges_take(&ranges, 2, &begin));
        EXPECT_TRUE(seen.insert(begin).second) << begin;
        loom_window_ranges_give(&ranges, begin, 2);
    }
    loom_window_ranges_fini(&ranges);
}

// SPDX-License-Identifier: BSD-3-Clause
#include "base/memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace
{

TEST(Memory, ProductThatDoesNotFitIsRefused)
{
    size_t product = 7;
    EXPECT_FALSE(loom_memory_mul(SIZE_MAX / 2, 3, &product));
    EXPECT_EQ(product, 7u);
    EXPECT_TRUE(loom_memory_mul(6, 7, &product));
    EXPECT_EQ(product, 42u);
    EXPECT_TRUE(loom_memory_mul(0, SIZE_MAX, &product));
    EXPECT_EQ(product, 0u);
}

TEST(Memory, SumThatDoesNotFitIsRefused)
{
    size_t sum = 7;
    EXPECT_FALSE(loom_memory_add(SIZE_MAX, 1, &sum));
    EXPECT_EQ(sum, 7u);
    EXPECT_TRUE(loom_memory_add(SIZE_MAX - 1, 1, &sum));
    EXPECT_EQ(sum, SIZE_MAX);
}

TEST(Memory, RoundsUpToThePower)
{
    EXPECT_EQ(loom_memory_round_up(0, 64), 0u);
    EXPECT_EQ(loom_memory_round_up(1, 64), 64u);
    EXPECT_EQ(loom_memory_round_up(64, 64), 64u);
    EXPECT_EQ(loom_memory_round_up(65, 64), 128u);
    EXPECT_EQ(loom_memory_round_up(65, 1), 65u);
    EXPECT_EQ(loom_memory_round_up(SIZE_MAX, 4096), SIZE_MAX - 4095);
    EXPECT_EQ(loom_memory_round_up(SIZE_MAX - 4095, 4096), SIZE_MAX - 4095);
}

TEST(Memory, ZeroedBlockIsZero)
{
    auto *block = static_cast<unsigned char *>(loom_memory_zeroed(100, 8));
    ASSERT_NE(block, nullptr);
    for (int i = 0; i < 800; i++) ASSERT_EQ(block[i], 0);
    free(block);
}

TEST(Memory, EmptyBlocksCanBeFreed)
{
    void *zeroed = loom_memory_zeroed(0, 8);
    void *grown = loom_memory_grow(nullptr, 0, 8);
    void *aligned = loom_memory_aligned(64, 0);
    EXPECT_NE(zeroed, nullptr);
    EXPECT_NE(grown, nullptr);
    EXPECT_NE(aligned, nullptr);
    free(zeroed);
    free(grown);
    free(aligned);
}

TEST(Memory, OverflowingCountsGiveNull)
{
    EXPECT_EQ(loom_memory_zeroed(SIZE_MAX / 2, 4), nullptr);
    EXPECT_EQ(loom_memory_grow(nullptr, SIZE_MAX / 2, 4), nullptr);
}

TEST(Memory, BlockStaysWhenItCannotGrow)
{
    auto *block = static_cast<char *>(loom_memory_zeroed(1, 8));
    std::strcpy(block, "kept");
    EXPECT_EQ(loom_memory_grow(block, SIZE_MAX / 2, 4), nullptr);
    EXPECT_STREQ(block, "kept");
    auto *grown = static_cast<char *>(loom_memory_grow(block, 1000, 8));
    ASSERT_NE(grown, nullptr);
    EXPECT_STREQ(grown, "kept");
    free(grown);
}

TEST(Memory, AlignmentIsKept)
{
    for (size_t alignment : { size_t{ 1 }, size_t{ 64 }, size_t{ 4096 } }) {
        void *block = loom_memory_aligned(alignment, 100);
        ASSERT_NE(block, nullptr);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % alignment, 0u);
        free(block);
    }
}

TEST(Memory, TextIsCopied)
{
    char text[] = "abc";
    char *copy = loom_memory_text(text);
    text[0] = 'x';
    EXPECT_STREQ(copy, "abc");
    free(copy);
    EXPECT_EQ(loom_memory_text(nullptr), nullptr);
}

TEST(Memory, OfFilesIsToldFromMemoryOfItsOwn)
{
    const size_t page = 4096;
    auto *room =
        static_cast<char *>(mmap(nullptr, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(room, MAP_FAILED);
    EXPECT_TRUE(loom_memory_is_anonymous(room, 4 * page));
    ASSERT_EQ(mprotect(room + page, page, PROT_READ), 0); /* several mappings, one behind the other */
    EXPECT_TRUE(loom_memory_is_anonymous(room + 5, 4 * page - 5));
    int fd = memfd_create("file", MFD_CLOEXEC);
    ASSERT_EQ(ftruncate(fd, static_cast<off_t>(page)), 0);
    for (int flags : { MAP_SHARED, MAP_PRIVATE }) {
        ASSERT_NE(mmap(room + 2 * page, page, PROT_READ, flags | MAP_FIXED, fd, 0), MAP_FAILED);
        EXPECT_FALSE(loom_memory_is_anonymous(room, 4 * page));
        EXPECT_FALSE(loom_memory_is_anonymous(room + 2 * page, page));
        EXPECT_TRUE(loom_memory_is_anonymous(room, 2 * page));
        EXPECT_TRUE(loom_memory_is_anonymous(room + 3 * page, page));
    }
    close(fd);
    ASSERT_EQ(munmap(room + 2 * page, page), 0);
    EXPECT_FALSE(loom_memory_is_anonymous(room, 4 * page)) << "a hole";
    munmap(room, 4 * page);
    std::vector<char> heap(100);
    EXPECT_TRUE(loom_memory_is_anonymous(heap.data(), heap.size()));
}

} // namespace

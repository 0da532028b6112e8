// SPDX-License-Identifier: BSD-3-Clause
#include "tests/shm/spills.h"

#include <random>
#include <vector>

TEST(Spill, KeepsArrayBelowThresholdInlineAndReadOnly)
{
    std::vector<char> data = Pattern(1 << 20);
    std::vector<loom_spill_range> ranges = { In(data.data(), 100), In(data.data() + 200, 5) };
    Spill spill(ranges);
    ASSERT_EQ(spill.status, PARLOOM_OK);
    for (const loom_spill_range &range : ranges) {
        EXPECT_FALSE(range.is_memmap);
        EXPECT_EQ(memcmp(range.shared, range.data, range.nbytes), 0);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(range.shared) % 64, reinterpret_cast<uintptr_t>(range.data) % 64);
        EXPECT_EQ(AccessOf(range.shared), LOOM_SEGMENT_READ);
    }
    EXPECT_EQ(loom_spill_inline_nbytes(spill.spill), 105u);
    EXPECT_EQ(loom_spill_spilled_nbytes(spill.spill), 0u);
    EXPECT_STREQ(loom_spill_place(spill.spill), "");
}

TEST(Spill, SpillsStrictlyAboveTheThreshold)
{
    std::vector<char> data = Pattern(5000);
    for (size_t limit : { size_t(1000), size_t(999) }) {
        std::vector<loom_spill_range> ranges = { In(data.data() + 7, 1000) };
        Spill spill(ranges, { limit, nullptr, false });
        ASSERT_EQ(spill.status, PARLOOM_OK);
        EXPECT_EQ(ranges[0].is_memmap, limit == 999);
        EXPECT_EQ(loom_spill_spilled_nbytes(spill.spill), limit == 999 ? 1000u : 0u);
        EXPECT_STREQ(loom_spill_place(spill.spill), limit == 999 ? "/dev/shm" : "");
        EXPECT_EQ(memcmp(ranges[0].shared, ranges[0].data, 1000), 0);
    }
}

TEST(Spill, NeverMeansInlineWhateverTheSize)
{
    std::vector<char> data = Pattern(3 << 20);
    std::vector<loom_spill_range> ranges = { In(data.data() + 1, data.size() - 1) };
    Spill spill(ranges, { PARLOOM_NEVER, nullptr, false });
    ASSERT_EQ(spill.status, PARLOOM_OK);
    EXPECT_FALSE(ranges[0].is_memmap);
    EXPECT_EQ(loom_spill_inline_nbytes(spill.spill), data.size() - 1);
    EXPECT_EQ(memcmp(ranges[0].shared, ranges[0].data, ranges[0].nbytes), 0);
    EXPECT_EQ(AccessOf(ranges[0].shared), LOOM_SEGMENT_READ);
}

TEST(Spill, LargeCopyIsTheSameForAnyNumberOfThreads)
{
    const size_t share = size_t{ 32 } << 20;
    std::vector<uint64_t> data(2 * share / 8 + 900);
    for (size_t k = 0; k < data.size(); k++) data[k] = k * 0x9e3779b97f4a7c15U;
    for (int n_threads : { 0, 1, 2, 5 })
        for (size_t nbytes : { share + 3, 2 * share - 40, 2 * share + 4097 })
            for (int round = 0; round < 2; round++) { /* the second one finds a warm segment */
                loom_spill_limits limits = USUAL;
                limits.n_threads = n_threads;
                std::vector<loom_spill_range> ranges = { In(data.data() + 5, nbytes) };
                Spill spill(ranges, limits);
                ASSERT_EQ(spill.status, PARLOOM_OK) << spill.error.message;
                ASSERT_TRUE(ranges[0].is_memmap);
                EXPECT_EQ(memcmp(ranges[0].shared, ranges[0].data, nbytes), 0) << n_threads << " " << nbytes;
            }
}

TEST(Spill, LargeCopyLiesInTheFolderThatWasAskedForAtTheSameAddressModulo64)
{
    Folder folder;
    std::vector<char> data = Pattern((2 << 20) + 64);
    std::vector<loom_spill_range> ranges = { In(data.data() + 13, 2 << 20), Out(data.data() + (2 << 20) + 20, 40) };
    Spill spill(ranges, { 30, folder.path(), false });
    ASSERT_EQ(spill.status, PARLOOM_OK) << spill.error.message;
    EXPECT_STREQ(loom_spill_place(spill.spill), folder.path());
    for (const loom_spill_range &range : ranges) {
        EXPECT_TRUE(range.is_memmap);
        EXPECT_STREQ(loom_segment_of(range.shared)->place, folder.path());
        EXPECT_EQ(reinterpret_cast<uintptr_t>(range.shared) % 64, reinterpret_cast<uintptr_t>(range.data) % 64);
        EXPECT_EQ(memcmp(range.shared, range.data, range.nbytes), 0);
    }
    EXPECT_EQ(AccessOf(ranges[1].shared), LOOM_SEGMENT_WRITE);
    EXPECT_EQ(folder.EntryCount(), 0);
    spill.End();
    loom_segment_trim();
}

TEST(Spill, WrittenRangeIsStagedWithTheCallersBytes)
{
    std::vector<char> data = Pattern(2 << 20);
    for (size_t nbytes : { size_t(100), size_t(2) << 20 }) {
        std::vector<loom_spill_range> ranges = { Out(data.data(), nbytes) };
        Spill spill(ranges);
        ASSERT_EQ(spill.status, PARLOOM_OK);
        EXPECT_EQ(memcmp(ranges[0].shared, data.data(), nbytes), 0);
        EXPECT_EQ(AccessOf(ranges[0].shared), LOOM_SEGMENT_WRITE);
        EXPECT_EQ(ranges[0].is_memmap, nbytes > 100);
    }
}

TEST(Spill, SameRangeAndOverlapsShareOneCopy)
{
    std::vector<char> data = Pattern(3 << 20);
    char *d = data.data();
    std::vector<loom_spill_range> ranges = { In(d + 1000, 2 << 20), In(d + 1000, 2 << 20), In(d + 2000, 10),
                                             In(d + 500, 600),      In(d + 100, 10),       In(d + 110, 10) };
    Spill spill(ranges);
    ASSERT_EQ(spill.status, PARLOOM_OK);
    EXPECT_EQ(ranges[0].shared, ranges[1].shared);
    EXPECT_EQ(Shared(ranges[2]), Shared(ranges[0]) + 1000);
    EXPECT_EQ(Shared(ranges[3]), Shared(ranges[0]) - 500);
    EXPECT_TRUE(ranges[2].is_memmap) << "a part of a spilled range maps to that copy";
    EXPECT_FALSE(ranges[4].is_memmap);
    EXPECT_EQ(loom_spill_spilled_nbytes(spill.spill), (2u << 20) + 500);
    EXPECT_EQ(loom_spill_inline_nbytes(spill.spill), 20u);
    for (const loom_spill_range &range : ranges) EXPECT_EQ(memcmp(range.shared, range.data, range.nbytes), 0);
}

TEST(Spill, PassesSharedMemoryAsItIsAndHoldsIt)
{
    for (size_t nbytes : { size_t(100), size_t(3) << 20 }) {
        char *block = static_cast<char *>(parloom_alloc(nbytes, nullptr));
        std::vector<loom_spill_range> ranges = { In(block + 10, 20), Out(block + 15, 40) };
        Spill spill(ranges);
        ASSERT_EQ(spill.status, PARLOOM_OK) << "overlaps in shared memory are the caller's affair";
        EXPECT_EQ(ranges[0].shared, block + 10);
        EXPECT_EQ(ranges[1].shared, block + 15);
        EXPECT_TRUE(ranges[0].is_memmap);
        EXPECT_EQ(loom_spill_inline_nbytes(spill.spill) + loom_spill_spilled_nbytes(spill.spill), 0u);
        parloom_free(block);
        EXPECT_TRUE(parloom_is_shared(block));
        block[16] = 5;
        char *other = static_cast<char *>(parloom_alloc(nbytes, nullptr));
        EXPECT_NE(other, block) << "handed out while a call uses it";
        parloom_free(other);
        spill.End();
        EXPECT_EQ(loom_arena_hold_at(loom_arena_public(nullptr), block), nullptr);
    }
}

TEST(Spill, ForkStagesOnlyWhatIsWritten)
{
    std::vector<char> data = Pattern(3 << 20);
    std::vector<loom_spill_range> ranges = { In(data.data(), 2 << 20), Out(data.data() + (2 << 20), 100) };
    Spill spill(ranges, { 1 << 20, nullptr, true });
    ASSERT_EQ(spill.status, PARLOOM_OK);
    EXPECT_EQ(ranges[0].shared, data.data());
    EXPECT_FALSE(ranges[0].is_memmap);
    EXPECT_NE(ranges[1].shared, ranges[1].data);
    EXPECT_EQ(loom_spill_spilled_nbytes(spill.spill), 0u);
}

TEST(Spill, TakesFreshBytesAtEachCall)
{
    std::vector<char> data(3 << 20);
    for (int round = 1; round < 4; round++) {
        for (size_t nbytes : { size_t(50), data.size() }) {
            std::fill(data.begin(), data.end(), static_cast<char>(round));
            std::vector<loom_spill_range> ranges = { In(data.data(), nbytes) };
            Spill spill(ranges);
            ASSERT_EQ(spill.status, PARLOOM_OK);
            EXPECT_EQ(Shared(ranges[0])[nbytes - 1], round);
        }
    }
}

TEST(Spill, WarmCallMakesNoSegment)
{
    std::vector<char> small = Pattern(500), large = Pattern(2 << 20);
    auto call = [&] {
        std::vector<loom_spill_range> ranges = { In(small.data(), 100), In(small.data() + 200, 100),
                                                 Out(small.data() + 400, 50), In(large.data(), large.size()) };
        Spill spill(ranges);
        EXPECT_EQ(spill.status, PARLOOM_OK);
    };
    call();
    uint64_t epoch = loom_segment_epoch();
    for (int i = 0; i < 100; i++) call();
    EXPECT_EQ(loom_segment_epoch(), epoch);
}

TEST(Spill, RefusesRangesThatAreNone)
{
    char byte = 0;
    for (loom_spill_range bad : { In(nullptr, 5), In(&byte, SIZE_MAX) }) {
        std::vector<loom_spill_range> ranges = { In(&byte, 1), bad };
        Spill spill(ranges);
        EXPECT_EQ(spill.status, PARLOOM_ERR_INVALID);
    }
    std::vector<loom_spill_range> none;
    Spill spill(none);
    EXPECT_EQ(spill.status, PARLOOM_OK);
    loom_spill_end(nullptr);
}

TEST(Spill, FullFolderIsSpaceAndLeavesNothing)
{
    int code = InChildWithShm("", [] {
        Folder folder;
        if (!folder.MountTmpfs("size=5m")) return 77;
        std::vector<char> data = Pattern(12 << 20);
        std::vector<loom_spill_range> ranges = { In(data.data(), 3 << 20), In(data.data() + (4 << 20), 8 << 20),
                                                 In(data.data() + (3 << 20), 50) };
        for (int i = 0; i < 3; i++) {
            size_t live = loom_segment_live_count();
            Spill spill(ranges, { 1 << 20, folder.path(), false });
            if (spill.status != PARLOOM_ERR_SPACE || !strstr(spill.error.message, folder.path())) return 1;
            loom_segment_trim();
            if (loom_segment_live_count() > live) return 2;
        }
        Spill spill(ranges);
        return spill.status == PARLOOM_OK ? 0 : 3;
    });
    SKIP_WITHOUT_NAMESPACES(code);
    EXPECT_EQ(code, 0);
}

TEST(Spill, RandomRangesArriveWhole)
{
    std::mt19937 random(5);
    std::vector<char> data = Pattern(4 << 20);
    for (int round = 0; round < 60; round++) {
        std::vector<loom_spill_range> ranges;
        size_t count = 1 + random() % 60;
        for (size_t i = 0; i < count; i++) {
            bool written = random() % 2;
            size_t half = data.size() / 2, nbytes = 1 + random() % (random() % 8 ? 2000 : half - 1);
            ranges.push_back(
                { data.data() + written * half + random() % (half - nbytes), nbytes, written, nullptr, false });
        }
        Spill spill(ranges, { random() % 4000, nullptr, false });
        ASSERT_EQ(spill.status, PARLOOM_OK);
        for (const loom_spill_range &range : ranges) {
            ASSERT_EQ(memcmp(range.shared, range.data, range.nbytes), 0);
            ASSERT_EQ(reinterpret_cast<uintptr_t>(range.shared) % 64, reinterpret_cast<uintptr_t>(range.data) % 64);
            ASSERT_EQ(AccessOf(range.shared), range.written ? LOOM_SEGMENT_WRITE : LOOM_SEGMENT_READ);
        }
    }
    loom_segment_trim();
}

#ifdef PARLOOM_FAULTS
TEST(Spill, EveryFailureOnTheWayLeavesNothing)
{
    std::vector<char> data = Pattern(3 << 20);
    char *d = data.data();
    auto ranges = [&] {
        return std::vector<loom_spill_range>{ In(d, 100), Out(d + 200, 100), In(d + 1000, 2 << 20),
                                              Out(d + (2 << 20) + 5000, 50) };
    };
    {
        auto warm = ranges();
        Spill spill(warm);
    }
    loom_segment_trim();
    size_t live = loom_segment_live_count();
    int fds = DescriptorCount();
    for (loom_fault_kind kind : { LOOM_FAULT_MALLOC, LOOM_FAULT_MMAP, LOOM_FAULT_OPEN, LOOM_FAULT_FALLOCATE }) {
        for (unsigned nth = 1; nth < 12; nth++) {
            auto each = ranges();
            loom_fault_arm(kind, nth, ENOMEM, true);
            Spill spill(each);
            loom_fault_disarm();
            spill.End();
            loom_segment_trim();
            EXPECT_EQ(loom_segment_live_count(), live);
            EXPECT_EQ(DescriptorCount(), fds);
            auto next = ranges();
            Spill again(next);
            EXPECT_EQ(again.status, PARLOOM_OK);
            again.End();
            loom_segment_trim();
        }
    }
}
#endif

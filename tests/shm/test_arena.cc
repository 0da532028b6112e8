// SPDX-License-Identifier: BSD-3-Clause
#include "shm/arena.h"
#include "shm/fill.h"
#include "tests/shm/shm_support.h"

#include <map>
#include <random>
#include <thread>
#include <vector>

namespace
{

struct Arena {
    loom_arena *arena = nullptr;
    explicit Arena(loom_segment_access access = LOOM_SEGMENT_WRITE)
    {
        EXPECT_EQ(loom_arena_create(&arena, access, nullptr, nullptr), PARLOOM_OK);
    }
    ~Arena() { loom_arena_destroy(arena); }
    Arena(const Arena &) = delete;
    Arena &operator=(const Arena &) = delete;
    char *Get(size_t nbytes, size_t modulo = 0, bool zeroed = false)
    {
        return static_cast<char *>(loom_arena_allocate(arena, nbytes, modulo, zeroed, nullptr));
    }
    void Free(void *block) { loom_arena_free(arena, block); }
    void *StartOf(const void *address) // of the live block there, or null
    {
        void *start = loom_arena_hold_at(arena, address);
        if (start) loom_arena_drop(arena, start);
        return start;
    }
};

bool IsZero(const char *block, size_t nbytes)
{
    for (size_t i = 0; i < nbytes; i++) {
        if (block[i]) return false;
    }
    return true;
}

} // namespace

TEST(Arena, RandomBlocksNeverOverlapKeepTheirBytesAndLieModulo64)
{
    Arena arena;
    std::mt19937 random(11);
    struct Block {
        size_t nbytes;
        unsigned char fill;
    };
    std::map<char *, Block> live;
    auto size = [&]() -> size_t {
        switch (random() % 10) {
        case 0:
            return random() % (3 << 20);
        case 1:
            return random() % (200 << 10);
        default:
            return random() % 3000;
        }
    };
    for (int step = 0; step < 6000; step++) {
        if (live.size() < 300 && random() % 5 < 3) {
            size_t nbytes = size(), modulo = random() % 64;
            bool zeroed = random() % 2;
            char *block = arena.Get(nbytes, modulo, zeroed);
            ASSERT_NE(block, nullptr);
            if (nbytes == 0) nbytes = 1;
            ASSERT_EQ(reinterpret_cast<uintptr_t>(block) % 64, modulo);
            if (zeroed) {
                ASSERT_TRUE(IsZero(block, nbytes)) << nbytes;
            }
            auto above = live.lower_bound(block);
            ASSERT_TRUE(above == live.end() || block + nbytes <= above->first);
            ASSERT_TRUE(above == live.begin() || std::prev(above)->first + std::prev(above)->second.nbytes <= block);
            unsigned char fill = static_cast<unsigned char>(1 + random() % 255);
            memset(block, fill, nbytes);
            live[block] = { nbytes, fill };
        } else if (!live.empty()) {
            auto chosen = std::next(live.begin(), static_cast<long>(random() % live.size()));
            char *block = chosen->first;
            size_t nbytes = chosen->second.nbytes;
            ASSERT_EQ(static_cast<unsigned char>(block[0]), chosen->second.fill);
            ASSERT_EQ(memcmp(block, block + 1, nbytes - 1), 0);
            ASSERT_EQ(arena.StartOf(block + random() % nbytes), block);
            ASSERT_NE(arena.StartOf(block + nbytes), block);
            arena.Free(block);
            ASSERT_EQ(arena.StartOf(block), nullptr);
            live.erase(chosen);
        }
    }
    for (auto &entry : live) arena.Free(entry.first);
}

TEST(Arena, HundredThousandSmallBlocksNeedFewMappingsAndDescriptors)
{
    Arena arena;
    int fds = DescriptorCount();
    size_t segments = loom_segment_live_count();
    std::vector<char *> blocks;
    for (int i = 0; i < 100000; i++) blocks.push_back(arena.Get(static_cast<size_t>(1 + i % 500)));
    EXPECT_LT(loom_segment_live_count() - segments, 20u);
    EXPECT_LT(DescriptorCount() - fds, 20);
    EXPECT_LT(MappingCount(), 100);
    for (char *block : blocks) arena.Free(block);
    EXPECT_LE(loom_segment_live_count() - segments, 1u) << "emptied segments stay";
}

TEST(Arena, LargeBlocksHaveSegmentsOfTheirOwnThatGoWithThem)
{
    Arena arena;
    size_t segments = loom_segment_live_count();
    char *block = arena.Get(5 << 20, 17, true);
    EXPECT_EQ(loom_segment_live_count(), segments + 1);
    EXPECT_TRUE(IsZero(block, 5 << 20));
    arena.Free(block);
    EXPECT_EQ(loom_segment_live_count(), segments);
}

TEST(Arena, LargeBlockThatWorkersOnlyReadIsKeptWarm)
{
    Arena arena(LOOM_SEGMENT_READ);
    loom_segment_trim();
    size_t segments = loom_segment_live_count();
    char *first = arena.Get(5 << 20);
    memset(first, 1, 5 << 20);
    arena.Free(first);
    EXPECT_EQ(loom_segment_live_count(), segments + 1);
    EXPECT_EQ(arena.Get(5 << 20), first);
    EXPECT_EQ(loom_segment_live_count(), segments + 1);
    arena.Free(first);
    char *zeroed = arena.Get(5 << 20, 0, true);
    EXPECT_TRUE(IsZero(zeroed, 5 << 20));
    arena.Free(zeroed);
    loom_segment_trim();
    EXPECT_EQ(loom_segment_live_count(), segments);
}

TEST(Arena, ReusedBlockIsZeroFilledWhenAsked)
{
    Arena arena;
    for (size_t nbytes : { size_t(100), size_t(100000), size_t(900000) }) {
        char *first = arena.Get(nbytes);
        memset(first, 1, nbytes);
        arena.Free(first);
        char *second = arena.Get(nbytes, 0, true);
        EXPECT_EQ(second, first) << "not reused: the test shows nothing";
        EXPECT_TRUE(IsZero(second, nbytes));
        arena.Free(second);
    }
}

TEST(Arena, HeldBlockOutlivesItsFree)
{
    Arena arena;
    for (size_t nbytes : { size_t(100), size_t(100000), size_t(3) << 20 }) {
        char *block = arena.Get(nbytes);
        loom_arena_hold(arena.arena, block);
        EXPECT_EQ(loom_arena_hold_at(arena.arena, block + nbytes - 1), block);
        arena.Free(block);
        block[nbytes - 1] = 1;
        loom_arena_drop(arena.arena, block);
        EXPECT_EQ(arena.StartOf(block), block);
        EXPECT_NE(arena.Get(nbytes), block);
        loom_arena_drop(arena.arena, block);
        EXPECT_EQ(arena.StartOf(block), nullptr);
    }
}

TEST(Arena, FreeingWhatIsNotAliveBlockDoesNothing)
{
    Arena arena, other;
    char *block = arena.Get(100), *neighbour = arena.Get(100);
    int local = 0;
    EXPECT_FALSE(loom_arena_try_free(arena.arena, block + 1));
    EXPECT_FALSE(loom_arena_try_free(arena.arena, &local));
    EXPECT_FALSE(loom_arena_try_free(other.arena, block));
    EXPECT_TRUE(loom_arena_try_free(arena.arena, block));
    EXPECT_FALSE(loom_arena_try_free(arena.arena, block));
    loom_arena_free(arena.arena, nullptr);
    arena.Free(neighbour);
}

TEST(Arena, ThreadsShareIt)
{
    Arena arena;
    std::vector<std::thread> threads;
    for (int t = 1; t <= 4; t++) {
        threads.emplace_back([&arena, t] {
            std::vector<char *> blocks;
            for (int i = 0; i < 2000; i++) {
                blocks.push_back(arena.Get(static_cast<size_t>(64 * t + i)));
                memset(blocks.back(), t, static_cast<size_t>(64 * t + i));
            }
            for (char *block : blocks) {
                if (block[0] != t || block[63] != t) ADD_FAILURE();
                arena.Free(block);
            }
        });
    }
    for (std::thread &thread : threads) thread.join();
}

TEST(Arena, ChildOfForkNeverHandsOutItsParentsMemory)
{
    Arena arena;
    char *mine = arena.Get(100);
    strcpy(mine, "parent");
    EXPECT_EQ(InChild([&] {
                  arena.Free(mine); // in its own books only
                  for (int i = 0; i < 2000; i++) {
                      char *block = arena.Get(100, 0, true);
                      if (!block || block == mine) return 1;
                      memset(block, 'c', 100);
                  }
                  return 0;
              }),
              0);
    EXPECT_STREQ(mine, "parent");
    for (int i = 0; i < 1000; i++) EXPECT_TRUE(IsZero(arena.Get(100, 0, true), 100)) << "the child wrote here";
}

#ifdef PARLOOM_FAULTS
TEST(Arena, FailedAllocationsLeaveItUsable)
{
    for (loom_fault_kind kind : { LOOM_FAULT_MALLOC, LOOM_FAULT_MMAP, LOOM_FAULT_OPEN, LOOM_FAULT_FALLOCATE }) {
        for (unsigned nth = 1; nth < 12; nth++) {
            for (size_t nbytes : { size_t(100), size_t(100000), size_t(1) << 20 }) {
                Arena arena;
                parloom_error error = {};
                loom_fault_arm(kind, nth, ENOMEM, false);
                void *block = loom_arena_allocate(arena.arena, nbytes, 0, true, &error);
                loom_fault_disarm();
                if (!block) {
                    EXPECT_NE(error.status, PARLOOM_OK);
                }
                EXPECT_NE(arena.Get(nbytes), nullptr);
            }
        }
    }
}

TEST(Arena, SmallerSegmentInsteadOfALargeOneIsNoError)
{
    Arena arena;
    parloom_error error = {};
    arena.Get(900000);
    arena.Get(900000); // the first segment is full, the next would be twice as large
    loom_fault_arm(LOOM_FAULT_MMAP, 1, ENOMEM, false);
    void *block = loom_arena_allocate(arena.arena, 900000, 0, false, &error);
    unsigned hits = loom_fault_hits(LOOM_FAULT_MMAP);
    loom_fault_disarm();
    EXPECT_GT(hits, 1u) << "no second try: the test shows nothing";
    EXPECT_NE(block, nullptr);
    EXPECT_EQ(error.status, PARLOOM_OK) << error.message;
}
#endif

/* What a block is filled with may take its time, and memory: nobody waits for it. */
TEST(Arena, FillsBlocksOfAnySizeWhileItGivesOutOthers)
{
    struct filling {
        loom_arena *arena;
        size_t parts = 0, bytes = 0;
        static void put(void *state, char *into, size_t from, size_t nbytes)
        {
            auto *filling = static_cast<struct filling *>(state);
            EXPECT_EQ(from, filling->bytes);
            void *other = loom_arena_allocate(filling->arena, 64, 0, false, nullptr);
            EXPECT_NE(other, nullptr);
            loom_arena_free(filling->arena, other);
            for (size_t k = 0; k < nbytes; k++) into[k] = static_cast<char>((from + k) * 7 >> 3);
            filling->parts++;
            filling->bytes += nbytes;
        }
    };
    Arena arena;
    for (size_t nbytes : { size_t{ 1 }, size_t{ 5000 }, size_t{ 900000 }, (size_t{ 5 } << 20) + 77 }) {
        filling filling{ arena.arena };
        loom_fill_source source = {};
        source.nbytes = nbytes;
        source.put = filling::put;
        source.state = &filling;
        auto *block = static_cast<char *>(loom_arena_allocate_filled(arena.arena, &source, nullptr));
        ASSERT_NE(block, nullptr);
        EXPECT_EQ(filling.bytes, nbytes);
        for (size_t k = 0; k < nbytes; k++) ASSERT_EQ(block[k], static_cast<char>(k * 7 >> 3)) << nbytes << " " << k;
        loom_arena_free(arena.arena, block);
    }
}

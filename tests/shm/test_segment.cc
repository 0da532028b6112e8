// SPDX-License-Identifier: BSD-3-Clause
// What a segment is from its making to its release, how bytes get into it, and who hears of it.
#include "tests/shm/segments.h"

#include "shm/fill.h"

#include <csignal>
#include <sys/mman.h>
#include <sys/stat.h>
#include <thread>
#include <vector>

TEST(Segment, IsZeroFilledReservedAndWithoutAName)
{
    for (size_t nbytes : { size_t(1), size_t(4097), size_t(2) << 20, (size_t(5) << 20) + 12345 }) {
        loom_segment *segment = Create(nbytes, LOOM_SEGMENT_WRITE);
        ASSERT_NE(segment, nullptr);
        EXPECT_TRUE(IsZero(segment->address, nbytes));
        EXPECT_EQ(segment->used_nbytes, nbytes);
        EXPECT_EQ(segment->nbytes % LOOM_WINDOW_BLOCK, 0u);
        struct stat info;
        ASSERT_EQ(fstat(segment->fd, &info), 0);
        EXPECT_EQ(info.st_nlink, 0u);
        EXPECT_GE(static_cast<size_t>(info.st_size), nbytes);
        EXPECT_GE(static_cast<size_t>(info.st_blocks) * 512, nbytes) << "space is not reserved";
        EXPECT_TRUE(fcntl(segment->fd, F_GETFD) & FD_CLOEXEC);
        EXPECT_GE(segment->fd, 3);
        loom_segment_release(segment, false);
    }
}

TEST(Segment, HoldsTheBytesItWasMadeFrom)
{
    for (size_t nbytes : { size_t(1), size_t(4096), (size_t(2) << 20) - 1, size_t(2) << 20, (size_t(6) << 20) + 777 }) {
        std::vector<char> data = Pattern(nbytes);
        for (size_t lead : { size_t(0), size_t(1), size_t(63) }) {
            loom_segment *segment = nullptr;
            ASSERT_EQ(
                loom_segment_create_copy(data.data(), nbytes, lead, LOOM_SEGMENT_READ, nullptr, &segment, nullptr),
                PARLOOM_OK);
            EXPECT_EQ(memcmp(segment->address + lead, data.data(), nbytes), 0) << nbytes << " + " << lead;
            loom_segment_release(segment, false);
        }
    }
}

TEST(Segment, LooksUpAnyOfItsAddressesAndNoOther)
{
    loom_segment *segment = Create(3 << 20, LOOM_SEGMENT_WRITE);
    EXPECT_EQ(loom_segment_of(segment->address), segment);
    EXPECT_EQ(loom_segment_of(segment->address + (3 << 20) - 1), segment);
    EXPECT_EQ(loom_segment_of(segment->address - 1), nullptr);
    EXPECT_EQ(loom_segment_of(segment->address + segment->nbytes), nullptr);
    EXPECT_EQ(loom_segment_of(&segment), nullptr);
    char *address = segment->address;
    loom_segment_release(segment, false);
    EXPECT_EQ(loom_segment_of(address), nullptr);
}

TEST(Segment, RunningOverTheEndOfItsAddressesIsAFault)
{
    loom_segment *first = Create(2 << 20, LOOM_SEGMENT_WRITE);
    loom_segment *second = Create(2 << 20, LOOM_SEGMENT_WRITE);
    char *end = first->address + first->nbytes;
    EXPECT_EQ(InChild([&] {
                  signal(SIGSEGV, SIG_DFL);
                  *const_cast<volatile char *>(end) = 1;
                  return 0;
              }),
              1000 + SIGSEGV);
    loom_segment_release(first, false);
    loom_segment_release(second, false);
}

TEST(Segment, ReleaseLeavesNoMappingNoDescriptorNoMemory)
{
    loom_segment_release(Create(1, LOOM_SEGMENT_READ), false); // the window is open now
    int fds = DescriptorCount(), maps = MappingCount();
    size_t count = loom_segment_live_count(), nbytes = loom_segment_live_nbytes();
    for (int i = 0; i < 20; i++) {
        loom_segment *segment = Create(3 << 20, LOOM_SEGMENT_READ);
        EXPECT_EQ(loom_segment_live_count(), count + 1);
        loom_segment_release(segment, false);
    }
    EXPECT_EQ(DescriptorCount(), fds);
    EXPECT_EQ(MappingCount(), maps);
    EXPECT_EQ(loom_segment_live_count(), count);
    EXPECT_EQ(loom_segment_live_nbytes(), nbytes);
}

TEST(Segment, ReadDescriptorCannotBeMappedWritable)
{
    loom_segment *segment = Create(4096, LOOM_SEGMENT_READ);
    EXPECT_NE(segment->worker_fd, segment->fd);
    EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, segment->worker_fd, 0), MAP_FAILED);
    EXPECT_EQ(errno, EACCES);
    loom_segment_release(segment, false);
}

TEST(Segment, KeepsOffAForeignMappingInTheWindow)
{
    loom_segment *segment = Create(1, LOOM_SEGMENT_WRITE);
    // The next segment would lie behind the guard block of this one.
    char *next = segment->address + 2 * LOOM_WINDOW_BLOCK;
    void *foreign = mmap(next, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    loom_segment *other = Create(1, LOOM_SEGMENT_WRITE);
    ASSERT_NE(other, nullptr);
    EXPECT_NE(other->address, next);
    EXPECT_TRUE(IsZero(next, 4096));
    if (foreign != MAP_FAILED) munmap(foreign, 4096);
    loom_segment_release(segment, false);
    loom_segment_release(other, false);
}

TEST(Segment, RefusesNonsense)
{
    loom_segment *segment = nullptr;
    parloom_error error = {};
    EXPECT_EQ(loom_segment_create(0, LOOM_SEGMENT_READ, nullptr, &segment, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(loom_segment_create(1, static_cast<loom_segment_access>(7), nullptr, &segment, &error),
              PARLOOM_ERR_INVALID);
    EXPECT_EQ(loom_segment_create(SIZE_MAX, LOOM_SEGMENT_READ, nullptr, &segment, &error), PARLOOM_ERR_LIMIT);
    EXPECT_EQ(loom_segment_create(1, LOOM_SEGMENT_READ, "/proc/no/such/folder", &segment, &error), PARLOOM_ERR_INVALID);
    EXPECT_NE(strstr(error.message, "/proc/no/such/folder"), nullptr) << error.message;
    EXPECT_EQ(loom_segment_create(1, LOOM_SEGMENT_READ, "/etc/passwd", &segment, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(segment, nullptr);
}

TEST(Segment, MoreMemoryThanTheMachineHasIsAnErrorBeforeAnythingIsFilled)
{
    loom_segment *segment = nullptr;
    parloom_error error = {};
    size_t huge = size_t(1) << 40;
    EXPECT_EQ(InChild([&] {
                  parloom_status status = loom_segment_create(huge, LOOM_SEGMENT_WRITE, nullptr, &segment, &error);
                  if (status == PARLOOM_ERR_LIMIT) return 0; // a small window (TSan, valgrind)
                  if (status != PARLOOM_ERR_SPACE) return 1;
                  return strstr(error.message, "temp_folder") && strstr(error.message, "memfd") ? 0 : 2;
              }),
              0);
}

/* -------------------------------------------------------------------- copy */

TEST(SegmentCopy, MakesHugePagesWhereTheKernelHasThem)
{
    std::vector<char> data = Pattern(8 << 20);
    uint64_t before = loom_fill_huge_blocks();
    loom_segment *segment = CreateFrom(data);
    if (loom_fill_huge_blocks() == before) GTEST_SKIP() << "this kernel makes no huge pages here";
    EXPECT_EQ(memcmp(segment->address, data.data(), data.size()), 0);
    loom_segment_release(segment, false);
}

#ifdef PARLOOM_FAULTS
TEST(SegmentCopy, GoesOnWithoutHugePagesForEachWayTheyAreRefused)
{
    std::vector<char> data = Pattern((20 << 20) + 100);
    for (int refusal : { EINVAL, ENOMEM, EAGAIN }) {
        for (unsigned nth : { 1u, 3u }) {
            loom_fault_arm(LOOM_FAULT_COLLAPSE, nth, refusal, true);
            loom_segment *segment = CreateFrom(data);
            ASSERT_NE(segment, nullptr);
            EXPECT_EQ(memcmp(segment->address, data.data(), data.size()), 0);
            loom_segment_release(segment, false);
            segment = Create(data.size(), LOOM_SEGMENT_WRITE);
            EXPECT_TRUE(IsZero(segment->address, data.size()));
            loom_fault_disarm();
            struct stat info;
            fstat(segment->fd, &info);
            EXPECT_GE(static_cast<size_t>(info.st_blocks) * 512, data.size());
            loom_segment_release(segment, false);
        }
    }
}

TEST(SegmentCopy, FullMemoryCgroupMeansAnotherPlaceNeverAnotherTry)
{
    std::vector<char> data = Pattern(6 << 20);
    setenv("TMPDIR", "/tmp", 1);
    loom_fault_arm(LOOM_FAULT_COLLAPSE, 2, EBUSY, true);
    loom_segment *segment = nullptr;
    parloom_error error = {};
    parloom_status status =
        loom_segment_create_copy(data.data(), data.size(), 0, LOOM_SEGMENT_READ, nullptr, &segment, &error);
    loom_fault_disarm();
    if (status == PARLOOM_OK) {
        EXPECT_STREQ(segment->place, "/tmp");
        EXPECT_EQ(memcmp(segment->address, data.data(), data.size()), 0);
        loom_segment_release(segment, false);
    } else { // /tmp is memory too
        EXPECT_EQ(status, PARLOOM_ERR_SPACE);
        EXPECT_NE(strstr(error.message, "control group"), nullptr) << error.message;
    }
}

TEST(Segment, EveryFailureOnTheWayLeavesNothing)
{
    std::vector<char> data = Pattern(3 << 20);
    Folder folder;
    loom_segment_release(CreateFrom(data, folder.path()), false);
    int fds = DescriptorCount(), maps = MappingCount();
    size_t live = loom_segment_live_count();
    for (loom_fault_kind kind :
         { LOOM_FAULT_MALLOC, LOOM_FAULT_MMAP, LOOM_FAULT_OPEN, LOOM_FAULT_FALLOCATE, LOOM_FAULT_WRITE }) {
        for (unsigned nth = 1; nth < 50; nth++) {
            loom_segment *segment = nullptr;
            parloom_error error = {};
            loom_fault_arm(kind, nth, ENOMEM, false);
            parloom_status status = loom_segment_create_copy(data.data(), data.size(), 0, LOOM_SEGMENT_READ,
                                                             folder.path(), &segment, &error);
            unsigned hits = loom_fault_hits(kind);
            loom_fault_disarm();
            if (status == PARLOOM_OK) {
                EXPECT_EQ(memcmp(segment->address, data.data(), data.size()), 0);
                loom_segment_release(segment, false);
            } else {
                EXPECT_NE(error.message[0], 0);
            }
            EXPECT_EQ(DescriptorCount(), fds);
            EXPECT_EQ(MappingCount(), maps);
            EXPECT_EQ(loom_segment_live_count(), live);
            if (hits < nth) break;
        }
    }
}
#endif

/* ----------------------------------------------------------------- listener */

TEST(SegmentListener, HearsOfEachSegmentBeforeTheTableSaysSoAndOfItsEndAfter)
{
    struct Witness {
        uint64_t at_added = 0, at_removed = 0;
        int added = 0;
    } witness;
    loom_segment *before = Create(1, LOOM_SEGMENT_READ);
    loom_segment_listener listener = { [](const loom_segment *, void *state) {
                                          auto *seen = static_cast<Witness *>(state);
                                          seen->added++;
                                          seen->at_added = loom_segment_epoch();
                                      },
                                       [](uint32_t, uint32_t, void *state) {
                                           static_cast<Witness *>(state)->at_removed = loom_segment_epoch();
                                       },
                                       &witness };
    loom_segment_set_listener(&listener);
    EXPECT_EQ(witness.added, static_cast<int>(loom_segment_live_count()));
    uint64_t epoch = loom_segment_epoch();
    loom_segment *segment = Create(1, LOOM_SEGMENT_READ);
    EXPECT_EQ(witness.at_added, epoch);
    EXPECT_GT(loom_segment_epoch(), epoch);
    epoch = loom_segment_epoch();
    loom_segment_release(segment, false);
    EXPECT_GT(witness.at_removed, epoch);
    loom_segment_set_listener(nullptr);
    loom_segment_release(before, false);
}

TEST(Segment, SlotsAreUsedAgainWithAnotherGeneration)
{
    loom_segment *segment = Create(1, LOOM_SEGMENT_WRITE);
    uint32_t id = segment->id, generation = segment->generation;
    loom_segment_release(segment, false);
    segment = Create(1, LOOM_SEGMENT_WRITE);
    EXPECT_EQ(segment->id, id);
    EXPECT_EQ(segment->generation, generation + 1);
    loom_segment_release(segment, false);
}

TEST(Segment, ThreadsMakeAndReleaseSideBySide)
{
    std::vector<std::thread> threads;
    size_t live = loom_segment_live_count();
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([t] {
            for (int i = 0; i < 50; i++) {
                loom_segment *segment = Create(static_cast<size_t>(1000 * t + 1), LOOM_SEGMENT_WRITE);
                segment->address[0] = static_cast<char>(t);
                if (loom_segment_of(segment->address) != segment) ADD_FAILURE();
                EXPECT_EQ(segment->address[0], t);
                loom_segment_release(segment, i % 2 == 0);
            }
        });
    }
    for (std::thread &thread : threads) thread.join();
    loom_segment_trim();
    EXPECT_EQ(loom_segment_live_count(), live);
}

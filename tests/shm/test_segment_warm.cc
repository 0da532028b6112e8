// SPDX-License-Identifier: BSD-3-Clause
// Which released segments are kept, who gets them, and when they give way.
#include "tests/shm/segments.h"

#include <sys/resource.h>
#include <vector>

TEST(SegmentWarm, KeptOneIsUsedAgainWithTheNewBytes)
{
    std::vector<char> data = Pattern(4 << 20), other = Pattern(3 << 20, 9);
    loom_segment *segment = CreateFrom(data);
    char *address = segment->address;
    uint32_t generation = segment->generation;
    loom_segment_release(segment, true);
    EXPECT_EQ(loom_segment_of(address), nullptr) << "a kept segment is nobody's memory";
    segment = CreateFrom(other);
    EXPECT_EQ(segment->address, address);
    EXPECT_EQ(segment->generation, generation);
    EXPECT_EQ(segment->used_nbytes, other.size());
    EXPECT_EQ(memcmp(address, other.data(), other.size()), 0);
    loom_segment_release(segment, true);
    size_t live = loom_segment_live_count();
    loom_segment_trim();
    EXPECT_EQ(loom_segment_live_count(), live - 1);
}

TEST(SegmentWarm, KeptOneServesNoOtherSizeAccessOrFolder)
{
    Folder folder;
    loom_segment_trim();
    std::vector<char> data = Pattern(8 << 20);
    loom_segment *segment = CreateFrom(data);
    char *address = segment->address;
    loom_segment_release(segment, true);
    std::vector<char> half = Pattern(3 << 20), larger = Pattern(9 << 20);
    loom_segment *others[4] = { CreateFrom(half), CreateFrom(larger), CreateFrom(data, folder.path()), nullptr };
    ASSERT_EQ(loom_segment_create_copy(data.data(), data.size(), 0, LOOM_SEGMENT_WRITE, nullptr, &others[3], nullptr),
              0);
    for (loom_segment *other : others) {
        EXPECT_NE(other->address, address);
        loom_segment_release(other, false);
    }
    loom_segment_trim();
}

TEST(SegmentWarm, KeptOneOfARelativeFolderServesNoOtherWorkingFolder)
{
    Folder here, there;
    std::vector<char> data = Pattern(2 << 20);
    EXPECT_EQ(InChild([&] {
                  if (chdir(here.path()) != 0) return 1;
                  loom_segment *segment = CreateFrom(data, ".");
                  char *address = segment->address;
                  loom_segment_release(segment, true);
                  if (CreateFrom(data, ".")->address != address) return 2; // not kept: the test shows nothing
                  loom_segment_release(loom_segment_of(address), true);
                  if (chdir(there.path()) != 0) return 1;
                  return CreateFrom(data, ".")->address != address ? 0 : 3;
              }),
              0);
}

TEST(SegmentWarm, OldestFallsOutOfTheBudget)
{
    loom_segment_trim();
    size_t live = loom_segment_live_nbytes();
    std::vector<char> data(200 << 20);
    for (int round = 0; round < 2; round++) {
        loom_segment *segments[3] = { CreateFrom(data), CreateFrom(data), CreateFrom(data) };
        for (loom_segment *segment : segments) loom_segment_release(segment, true);
        EXPECT_EQ(loom_segment_live_nbytes() - live, size_t(400) << 20);
    }
    loom_segment_trim();
    EXPECT_EQ(loom_segment_live_nbytes(), live);
}

TEST(SegmentWarm, FewAreKept)
{
    loom_segment_trim();
    size_t live = loom_segment_live_count();
    std::vector<loom_segment *> segments;
    for (int i = 0; i < 100; i++) segments.push_back(Create(1, LOOM_SEGMENT_READ));
    for (loom_segment *segment : segments) loom_segment_release(segment, true);
    EXPECT_LE(loom_segment_live_count() - live, 32u);
    loom_segment_trim();
}

TEST(SegmentWarm, KeptOnesHoldASmallShareOfTheDescriptors)
{
    EXPECT_EQ(InChild([] {
                  loom_segment_release(Create(1, LOOM_SEGMENT_READ), false);
                  int fds = DescriptorCount();
                  rlimit limit = { 128, 128 };
                  setrlimit(RLIMIT_NOFILE, &limit);
                  std::vector<loom_segment *> segments;
                  for (int i = 0; i < 30; i++) segments.push_back(Create(1, LOOM_SEGMENT_READ));
                  for (loom_segment *segment : segments) loom_segment_release(segment, true);
                  int kept = DescriptorCount() - fds;
                  return kept > 0 && kept <= 128 / 16 ? 0 : 1;
              }),
              0);
}

TEST(SegmentWarm, KeptOneGivesWayWhereTheNextFindsNoRoom)
{
    int code = InChildWithShm("", [] {
        Folder folder;
        if (!folder.MountTmpfs("size=16m")) return 77;
        std::vector<char> data = Pattern(14 << 20);
        std::vector<char> first(data.begin(), data.begin() + (6 << 20));
        loom_segment_release(CreateFrom(first, folder.path()), true);
        loom_segment *segment = CreateFrom(data, folder.path());
        return segment && memcmp(segment->address, data.data(), data.size()) == 0 ? 0 : 1;
    });
    SKIP_WITHOUT_NAMESPACES(code);
    EXPECT_EQ(code, 0);
}

TEST(SegmentWarm, KeptOneGivesWayWhereDescriptorsRunOut)
{
    EXPECT_EQ(InChild([] {
                  loom_segment_release(Create(1, LOOM_SEGMENT_READ), true);
                  int next = open("/dev/null", O_RDONLY);
                  close(next);
                  rlimit limit = { static_cast<rlim_t>(next), static_cast<rlim_t>(next) };
                  setrlimit(RLIMIT_NOFILE, &limit);
                  if (open("/dev/null", O_RDONLY) >= 0) return 1;
                  loom_segment *segment = nullptr;
                  parloom_error error = {};
                  if (loom_segment_create(3 << 20, LOOM_SEGMENT_READ, nullptr, &segment, &error) != PARLOOM_OK)
                      return 2;
                  return error.status == PARLOOM_OK && !error.message[0] ? 0 : 3;
              }),
              0);
}

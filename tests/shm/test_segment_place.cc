// SPDX-License-Identifier: BSD-3-Clause
// Where segments lie, and what happens where there is no room or a limit is in the way.
#include "tests/shm/segments.h"

#include <sys/resource.h>
#include <vector>

TEST(SegmentPlace, IsDevShmWhereItHasRoom)
{
    loom_segment *segment = Create(1, LOOM_SEGMENT_WRITE);
    EXPECT_STREQ(segment->place, "/dev/shm");
    loom_segment_release(segment, false);
}

TEST(SegmentPlace, IsAMemfdWhereDevShmIsTooSmall)
{
    int code = InChildWithShm("4m", [] {
        std::vector<char> data = Pattern(16 << 20);
        loom_segment *segment = CreateFrom(data);
        if (!segment || strcmp(segment->place, "memfd") != 0) return 1;
        if (memcmp(segment->address, data.data(), data.size()) != 0) return 2;
        loom_segment *small = Create(1 << 20, LOOM_SEGMENT_WRITE);
        return small && strcmp(small->place, "/dev/shm") == 0 ? 0 : 3;
    });
    SKIP_WITHOUT_NAMESPACES(code);
    EXPECT_EQ(code, 0);
}

TEST(SegmentPlace, IsAMemfdWhereDevShmHasNoInodesOrIsReadOnly)
{
    int code = InChildWithShm("", [] {
        if (mount("tmpfs", "/dev/shm", "tmpfs", 0, "nr_inodes=1") != 0) return 77;
        loom_segment *segment = Create(4096, LOOM_SEGMENT_READ);
        if (!segment || strcmp(segment->place, "memfd") != 0) return 1;
        if (mount("tmpfs", "/dev/shm", "tmpfs", MS_RDONLY, nullptr) != 0) return 77;
        loom_segment *other = Create(4096, LOOM_SEGMENT_READ);
        return other && strcmp(other->place, "memfd") == 0 ? 0 : 2;
    });
    SKIP_WITHOUT_NAMESPACES(code);
    EXPECT_EQ(code, 0);
}

TEST(SegmentPlace, IsTheFolderThatWasAskedFor)
{
    Folder folder;
    std::vector<char> data = Pattern((3 << 20) + 5);
    loom_segment *segment = CreateFrom(data, folder.path());
    ASSERT_NE(segment, nullptr);
    EXPECT_STREQ(segment->place, folder.path());
    EXPECT_EQ(memcmp(segment->address, data.data(), data.size()), 0);
    EXPECT_EQ(folder.EntryCount(), 0);
    loom_segment_release(segment, false);
}

TEST(SegmentPlace, FullFolderIsSpaceWithItsPathAndLeavesNothing)
{
    int code = InChildWithShm("", [] {
        Folder folder;
        if (!folder.MountTmpfs("size=5m")) return 77;
        std::vector<char> data = Pattern(8 << 20);
        loom_segment *segment = nullptr;
        parloom_error error = {};
        int before = -1, maps = 0;
        for (int i = 0; i < 3; i++) {
            if (loom_segment_create_copy(data.data(), data.size(), 0, LOOM_SEGMENT_READ, folder.path(), &segment,
                                         &error) != PARLOOM_ERR_SPACE)
                return 1;
            if (!strstr(error.message, folder.path()) || !strstr(error.message, "8388608")) return 2;
            if (i == 0) before = DescriptorCount();
            if (i == 0) maps = MappingCount();
        }
        if (DescriptorCount() != before || MappingCount() != maps || segment) return 3;
        // Half of it fits, and all the room is there: nothing was left behind.
        return loom_segment_create(4 << 20, LOOM_SEGMENT_WRITE, folder.path(), &segment, &error) == PARLOOM_OK ? 0 : 4;
    });
    SKIP_WITHOUT_NAMESPACES(code);
    EXPECT_EQ(code, 0);
}

TEST(SegmentPlace, OthersFillingItMeanwhileIsSpaceNotABusError)
{
    int code = InChildWithShm("", [] {
        Folder folder;
        if (!folder.MountTmpfs("size=64m")) return 77;
        loom_segment *segment = Create(8 << 20, LOOM_SEGMENT_WRITE, folder.path());
        if (!segment) return 1;
        std::ofstream hog(std::string(folder.path()) + "/hog", std::ios::binary);
        std::vector<char> chunk(1 << 20, 'x');
        while (hog.write(chunk.data(), static_cast<std::streamsize>(chunk.size())).flush()) {}
        memset(segment->address, 1, segment->used_nbytes); // was reserved
        return 0;
    });
    SKIP_WITHOUT_NAMESPACES(code);
    EXPECT_EQ(code, 0);
}

TEST(SegmentPlace, FileSizeLimitIsLimitWithoutASignal)
{
    EXPECT_EQ(InChild([] {
                  rlimit limit = { 1 << 20, RLIM_INFINITY };
                  setrlimit(RLIMIT_FSIZE, &limit);
                  std::vector<char> data = Pattern(4 << 20);
                  loom_segment *segment = nullptr;
                  parloom_error error = {};
                  if (loom_segment_create_copy(data.data(), data.size(), 0, LOOM_SEGMENT_READ, nullptr, &segment,
                                               &error) != PARLOOM_ERR_LIMIT)
                      return 1;
                  if (loom_segment_create(4 << 20, LOOM_SEGMENT_READ, nullptr, &segment, &error) != PARLOOM_ERR_LIMIT)
                      return 2;
                  return loom_segment_create(4096, LOOM_SEGMENT_READ, nullptr, &segment, &error) == PARLOOM_OK ? 0 : 3;
              }),
              0);
}

TEST(SegmentPlace, LimitKeepsItsErrnoWhateverTheNextPlaceSays)
{
    EXPECT_EQ(InChild([] {
                  rlimit limit = { 1 << 20, RLIM_INFINITY };
                  setrlimit(RLIMIT_FSIZE, &limit);
                  setenv("TMPDIR", "/proc", 1); // where no file can be made
                  loom_segment *segment = nullptr;
                  parloom_error error = {};
                  if (loom_segment_create(4 << 20, LOOM_SEGMENT_READ, nullptr, &segment, &error) != PARLOOM_ERR_LIMIT)
                      return 1;
                  if (!strstr(error.message, "; /proc: ")) return 2;
                  return error.sys_errno == EFBIG ? 0 : 3;
              }),
              0);
}

TEST(SegmentPlace, DescriptorLimitIsLimitAndLeavesNothing)
{
    EXPECT_EQ(InChild([] {
                  loom_segment_release(Create(1, LOOM_SEGMENT_READ), false);
                  int fds = DescriptorCount();
                  rlimit limit = { 60, 60 };
                  setrlimit(RLIMIT_NOFILE, &limit);
                  std::vector<loom_segment *> segments;
                  loom_segment *segment = nullptr;
                  parloom_error error = {};
                  parloom_status status = PARLOOM_OK;
                  while ((status = loom_segment_create(1, LOOM_SEGMENT_READ, nullptr, &segment, &error)) == PARLOOM_OK)
                      segments.push_back(segment);
                  if (status != PARLOOM_ERR_LIMIT || segments.empty()) return 1;
                  for (loom_segment *each : segments) loom_segment_release(each, false);
                  return DescriptorCount() == fds ? 0 : 2;
              }),
              0);
}

TEST(SegmentPlace, AddressSpaceLimitIsMemory)
{
    SKIP_UNDER_SANITIZERS();
    EXPECT_EQ(InChild([] {
                  loom_segment_release(Create(1, LOOM_SEGMENT_READ), false);
                  rlimit limit = { 1 << 30, 1 << 30 };
                  setrlimit(RLIMIT_AS, &limit);
                  loom_segment *segment = nullptr;
                  return loom_segment_create(size_t(2) << 30, LOOM_SEGMENT_READ, nullptr, &segment, nullptr) ==
                                 PARLOOM_ERR_MEMORY
                             ? 0
                             : 1;
              }),
              0);
}

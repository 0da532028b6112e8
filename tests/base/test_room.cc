// SPDX-License-Identifier: BSD-3-Clause
#include "base/room.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace
{

constexpr uint64_t EXBIBYTE = uint64_t{ 1 } << 60;

struct File {
    int fd;
    char reason[LOOM_ROOM_REASON_NBYTES] = "";
    explicit File(int given) : fd(given) { EXPECT_GE(fd, 0); }
    ~File() { close(fd); }
    File(const File &) = delete;
    File &operator=(const File &) = delete;
    bool Fits(uint64_t nbytes) { return loom_room_fits(fd, nbytes, reason); }
};

TEST(Room, IsThereForAPage)
{
    File file(memfd_create("room", MFD_CLOEXEC));
    EXPECT_TRUE(file.Fits(0));
    EXPECT_TRUE(file.Fits(4096));
    EXPECT_STREQ(file.reason, "");
}

TEST(Room, OfAFileInMemoryIsWhatMemoryHasLeft)
{
    File file(memfd_create("room", MFD_CLOEXEC)); // a file system without a size
    EXPECT_FALSE(file.Fits(EXBIBYTE));
    EXPECT_NE(std::string(file.reason).find("memory"), std::string::npos) << file.reason;
}

TEST(Room, OfAFileOnDiskIsWhatItsFileSystemHasFree)
{
    char name[] = "/tmp/parloom-test-XXXXXX";
    File file(mkstemp(name));
    unlink(name);
    EXPECT_FALSE(file.Fits(EXBIBYTE));
    EXPECT_NE(std::string(file.reason).find("bytes free"), std::string::npos) << file.reason;
}

} // namespace

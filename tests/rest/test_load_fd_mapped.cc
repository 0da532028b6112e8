/* SPDX-License-Identifier: BSD-3-Clause */
/* test_load_fd_mapped.cc - arrays that follow one another in a file, when the first of them is mapped. */
#include "rest/packed.h"

#include <fcntl.h>
#include <unistd.h>

class LoadFdMapped : public Packed
{
  protected:
    void SetUp() override
    {
        Packed::SetUp();
        fd = open(path("several").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        ASSERT_GE(fd, 0);
        for (size_t n : { 1000, 0, 7 }) {
            std::vector<double> values = waves(n);
            parloom_array array = wrap(values);
            ASSERT_EQ(parloom_array_dump_fd(&array, fd, nullptr, 0, nullptr), PARLOOM_OK);
        }
        ASSERT_EQ(lseek(fd, 0, SEEK_SET), 0);
    }
    void TearDown() override
    {
        close(fd);
        Packed::TearDown();
    }
    int fd = -1;
};

TEST_F(LoadFdMapped, TheNextLoadGivesTheNextArray)
{
    for (parloom_mmap_mode mode : { PARLOOM_MMAP_R, PARLOOM_MMAP_RW, PARLOOM_MMAP_C }) {
        ASSERT_EQ(lseek(fd, 0, SEEK_SET), 0);
        Loaded first(fd, mode);
        EXPECT_TRUE(first.equals(waves(1000))) << first.error.message;
        EXPECT_TRUE(parloom_array_is_memmap(&first.array));
        Loaded second(fd, PARLOOM_MMAP_UNSET);
        EXPECT_TRUE(second.status == PARLOOM_OK && second.array.shape[0] == 0) << second.error.message;
        EXPECT_TRUE(Loaded(fd, PARLOOM_MMAP_UNSET).equals(waves(7)));
        EXPECT_EQ(Loaded(fd, PARLOOM_MMAP_UNSET).status, PARLOOM_ERR_FORMAT);
    }
}

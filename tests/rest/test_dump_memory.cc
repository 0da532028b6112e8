/* SPDX-License-Identifier: BSD-3-Clause */
/* test_dump_memory.cc - dumps into a file system in memory, where large arrays go into huge pages. */
#include "rest/samples.h"
#include "support/scratch.h"

#include "base/fault.h"
#include "shm/fill.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace
{

class DumpInMemory : public MemoryScratch
{
  protected:
    void SetUp() override
    {
        MemoryScratch::SetUp();
        uint32_t random = 1;
        bytes.resize(3 * BLOCK);
        for (char &byte : bytes) byte = static_cast<char>((random = random * 1664525U + 1013904223U) >> 24);
    }
    /* A file of nbytes in all: the header of one axis has 128. */
    parloom_array array_for(size_t nbytes)
    {
        size_t count = nbytes - HEADER;
        return parloom_array_wrap(bytes.data(), PARLOOM_U8, 1, &count);
    }
    /* What another way of writing, to a descriptor, makes of it. */
    std::string as_stream(const parloom_array &array) const
    {
        std::string file = path("stream");
        int fd = open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        EXPECT_EQ(parloom_array_dump_fd(&array, fd, nullptr, 0, nullptr), PARLOOM_OK);
        close(fd);
        std::string written = read(file);
        std::filesystem::remove(file);
        return written;
    }
    static constexpr size_t BLOCK = size_t{ 2 } << 20, HEADER = 128;
    std::string bytes;
    parloom_error error = {};
};

} // namespace

TEST_F(DumpInMemory, HasTheBytesAndTheLengthOfAnyOtherDump)
{
    for (size_t nbytes :
         { BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 4096, 2 * BLOCK - 4096, 2 * BLOCK - 1, 2 * BLOCK, 2 * BLOCK + 5000 }) {
        parloom_array array = array_for(nbytes);
        ASSERT_EQ(parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, &error), PARLOOM_OK) << error.message;
        EXPECT_EQ(std::filesystem::file_size(path("a.npy")), nbytes);
        EXPECT_TRUE(read(path("a.npy")) == as_stream(array)) << nbytes;
        EXPECT_EQ(names(), std::vector<std::string>{ "a.npy" });
    }
}

TEST_F(DumpInMemory, OfAnArrayInFortranOrderIsStoredAsItLies)
{
    size_t shape[] = { 700, 750 };
    ptrdiff_t strides[] = { 8, 700 * 8 };
    parloom_array array = parloom_array_wrap_strided(bytes.data(), PARLOOM_F64, 0, 2, shape, strides);
    ASSERT_EQ(parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, &error), PARLOOM_OK) << error.message;
    std::string file = read(path("a.npy"));
    EXPECT_NE(file.substr(0, HEADER).find("'fortran_order': True"), std::string::npos);
    EXPECT_TRUE(file.substr(HEADER) == bytes.substr(0, 700 * 750 * 8));
}

TEST_F(DumpInMemory, GoesIntoHugePagesWhereTheKernelHasThem)
{
    parloom_array array = array_for(2 * BLOCK + 100), probe;
    uint64_t before = loom_fill_huge_blocks();
    size_t count = BLOCK;
    ASSERT_EQ(parloom_array_create(&probe, PARLOOM_U8, 1, &count, &error), PARLOOM_OK) << error.message;
    parloom_array_release(&probe);
    if (loom_fill_huge_blocks() == before) GTEST_SKIP() << "this kernel makes no huge pages here";
    before = loom_fill_huge_blocks();
    ASSERT_EQ(parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(loom_fill_huge_blocks() - before, 2U);
}

/* Memory of a file that the program has mapped itself, and that is gone: read by the kernel, it is a status. */
TEST_F(DumpInMemory, OfMemoryThatVanishedIsAStatus)
{
    write(path("raw"), bytes);
    int fd = open(path("raw").c_str(), O_RDWR | O_CLOEXEC);
    void *start = mmap(nullptr, bytes.size(), PROT_READ, MAP_SHARED, fd, 0);
    ASSERT_NE(start, MAP_FAILED);
    size_t count = bytes.size();
    parloom_array array = parloom_array_wrap(start, PARLOOM_U8, 1, &count);
    ASSERT_EQ(ftruncate(fd, static_cast<off_t>(BLOCK + 8192)), 0);
    write(path("a.npy"), "old");
    EXPECT_EQ(parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, &error), PARLOOM_ERR_IO) << error.message;
    EXPECT_EQ(error.sys_errno, EFAULT);
    EXPECT_EQ(read(path("a.npy")), "old");
    EXPECT_EQ(names(), (std::vector<std::string>{ "a.npy", "raw" }));
    munmap(start, bytes.size());
    close(fd);
}

TEST_F(DumpInMemory, ThatIsTooLongForTheLimitLeavesTheOldFileWhole)
{
    write(path("a.npy"), "old");
    parloom_array array = array_for(2 * BLOCK);
    struct rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = before;
    small.rlim_cur = BLOCK;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    parloom_status status = parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, &error);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQ(status, PARLOOM_ERR_LIMIT) << error.message;
    EXPECT_EQ(read(path("a.npy")), "old");
}

#ifdef PARLOOM_FAULTS
/* Where there are no addresses for it (ulimit -v), the file is written all the same. */
TEST_F(DumpInMemory, ThatCannotBeMappedIsWritten)
{
    parloom_array array = array_for(2 * BLOCK + 100);
    loom_fault_arm(LOOM_FAULT_MMAP, 1, ENOMEM, false);
    parloom_status status = parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, &error);
    unsigned hits = loom_fault_hits(LOOM_FAULT_MMAP);
    loom_fault_disarm();
    ASSERT_EQ(status, PARLOOM_OK) << error.message;
    EXPECT_EQ(hits, 1U);
    EXPECT_TRUE(read(path("a.npy")) == as_stream(array));
}

TEST_F(DumpInMemory, GoesOnWithoutHugePagesForEachWayTheyAreRefused)
{
    parloom_array array = array_for(3 * BLOCK);
    std::string want = as_stream(array);
    for (int refusal : { EINVAL, ENOMEM, EAGAIN })
        for (unsigned nth : { 1U, 2U }) {
            loom_fault_arm(LOOM_FAULT_COLLAPSE, nth, refusal, true);
            parloom_status status = parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, &error);
            loom_fault_disarm();
            ASSERT_EQ(status, PARLOOM_OK) << error.message;
            EXPECT_TRUE(read(path("a.npy")) == want) << refusal << " " << nth;
        }
}

TEST_F(DumpInMemory, InAFullMemoryCgroupIsAStatusAndNoOtherTry)
{
    write(path("a.npy"), "old");
    parloom_array array = array_for(3 * BLOCK);
    loom_fault_arm(LOOM_FAULT_COLLAPSE, 2, EBUSY, true);
    parloom_status status = parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, &error);
    unsigned tries = loom_fault_hits(LOOM_FAULT_COLLAPSE);
    loom_fault_disarm();
    EXPECT_EQ(status, PARLOOM_ERR_SPACE);
    EXPECT_NE(std::strstr(error.message, "control group"), nullptr) << error.message;
    EXPECT_EQ(tries, 2U);
    EXPECT_EQ(read(path("a.npy")), "old");
    EXPECT_EQ(names(), std::vector<std::string>{ "a.npy" });
}

TEST_F(DumpInMemory, ThatFindsTheFileSystemFullOnTheWayLeavesTheOldFileWhole)
{
    parloom_array array = array_for(2 * BLOCK + 100);
    size_t descriptors = open_descriptors();
    for (loom_fault_kind kind : { LOOM_FAULT_FALLOCATE, LOOM_FAULT_WRITE })
        for (unsigned nth = 1;; nth++) {
            write(path("a.npy"), "old");
            loom_fault_arm(kind, nth, ENOSPC, true);
            parloom_status status = parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, &error);
            bool was_hit = loom_fault_hits(kind) >= nth;
            loom_fault_disarm();
            EXPECT_EQ(names(), std::vector<std::string>{ "a.npy" });
            EXPECT_EQ(open_descriptors(), descriptors);
            if (!was_hit) {
                EXPECT_EQ(status, PARLOOM_OK) << error.message;
                EXPECT_GT(nth, 2U);
                break;
            }
            EXPECT_EQ(status, PARLOOM_ERR_SPACE) << kind << " " << nth;
            EXPECT_EQ(read(path("a.npy")), "old");
        }
}
#endif

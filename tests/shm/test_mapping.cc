/* SPDX-License-Identifier: BSD-3-Clause */
/* test_mapping.cc - files are mapped at any offset with the modes r, r+, w+ and c. */
#include "support/scratch.h"

#include "shm/array.h"
#include "shm/mapping.h"
#include "tests/shm/shm_support.h"

#include <parloom/parloom.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

class Mapping : public Scratch
{
  protected:
    parloom_status map(parloom_array &array, parloom_mmap_mode mode, uint64_t offset, parloom_dtype dtype,
                       const std::vector<size_t> &shape, const ptrdiff_t *strides = nullptr)
    {
        return parloom_array_map(&array, path("raw").c_str(), mode, offset, dtype, 0, static_cast<int>(shape.size()),
                                 shape.data(), strides, &error);
    }
    void write_counted(size_t count)
    {
        std::string bytes;
        for (size_t k = 0; k < count; k++) bytes += static_cast<char>(k % 251);
        write(path("raw"), bytes);
    }
    parloom_error error;
};

} // namespace

TEST_F(Mapping, AtAnyOffsetSeesTheBytesFromThereOn)
{
    size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    write_counted(3 * page);
    for (size_t offset : { size_t{ 0 }, size_t{ 1 }, page - 1, page, page + 1, 2 * page + 7 }) {
        parloom_array array;
        ASSERT_EQ(map(array, PARLOOM_MMAP_UNSET, offset, PARLOOM_U8, { page / 2 }), PARLOOM_OK) << error.message;
        EXPECT_FALSE(parloom_array_is_writable(&array));
        EXPECT_TRUE(parloom_array_is_memmap(&array));
        const unsigned char *bytes = static_cast<const unsigned char *>(array.data);
        for (size_t k = 0; k < page / 2; k++) ASSERT_EQ(bytes[k], (offset + k) % 251);
        parloom_array_release(&array);
    }
}

TEST_F(Mapping, WithStridesSeesTheItemsTheyReach)
{
    write_counted(4096 + 200);
    parloom_array array;
    ptrdiff_t forward = 2;
    ASSERT_EQ(map(array, PARLOOM_MMAP_R, 4097, PARLOOM_U8, { 50 }, &forward), PARLOOM_OK) << error.message;
    for (size_t k = 0; k < 50; k++) EXPECT_EQ(static_cast<unsigned char *>(array.data)[2 * k], (4097 + 2 * k) % 251);
    parloom_array_release(&array);
    ptrdiff_t backward = -3;
    ASSERT_EQ(map(array, PARLOOM_MMAP_R, 4200, PARLOOM_U8, { 40 }, &backward), PARLOOM_OK) << error.message;
    for (ptrdiff_t k = 0; k < 40; k++)
        EXPECT_EQ(static_cast<unsigned char *>(array.data)[-3 * k], (4200 - 3 * k) % 251);
    parloom_array_release(&array);
    EXPECT_EQ(map(array, PARLOOM_MMAP_R, 100, PARLOOM_U8, { 40 }, &backward), PARLOOM_ERR_INVALID);
}

TEST_F(Mapping, OfFortranOrderInsideALargerFileIsNumPys)
{
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    ASSERT_EQ(run_python(folder, R"(
import numpy as np
np.arange(100, dtype='<i4').tofile('raw')
a = np.memmap('raw', dtype='<i4', shape=(3, 5, 4), mode='r', order='F', offset=4)
np.ascontiguousarray(a).tofile('want')
)"),
              "");
    ptrdiff_t strides[] = { 4, 12, 60 };
    parloom_array array;
    ASSERT_EQ(map(array, PARLOOM_MMAP_R, 4, PARLOOM_I32, { 3, 5, 4 }, strides), PARLOOM_OK) << error.message;
    std::string got(240, '\0');
    loom_array_gather(&array, 0, 60, got.data());
    EXPECT_EQ(got, read(path("want")));
    parloom_array_release(&array);
}

TEST_F(Mapping, ModeRKillsWhoWrites)
{
    write_counted(100);
    parloom_array array;
    ASSERT_EQ(map(array, PARLOOM_MMAP_R, 0, PARLOOM_U8, { 100 }), PARLOOM_OK) << error.message;
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        static_cast<volatile char *>(array.data)[5] = 1;
        _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    parloom_array_release(&array);
}

TEST_F(Mapping, ModeRWWritesWhatTheFileAndOthersSee)
{
    write_counted(100);
    parloom_array array;
    ASSERT_EQ(map(array, PARLOOM_MMAP_RW, 10, PARLOOM_U8, { 50 }), PARLOOM_OK) << error.message;
    EXPECT_TRUE(parloom_array_is_writable(&array));
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        static_cast<char *>(array.data)[5] = 'x';
        _exit(0);
    }
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    EXPECT_EQ(static_cast<char *>(array.data)[5], 'x');
    parloom_array_release(&array);
    EXPECT_EQ(read(path("raw"))[15], 'x');
    EXPECT_EQ(read(path("raw")).size(), 100U);
}

TEST_F(Mapping, ModeRWFillsTheHolesItMapsAndNoOthers)
{
    const size_t block = size_t{ 1 } << 20;
    write(path("raw"), std::string(block, 'a'));
    std::filesystem::resize_file(path("raw"), 8 * block);
    struct stat before;
    struct stat after;
    ASSERT_EQ(stat(path("raw").c_str(), &before), 0);
    if (static_cast<size_t>(before.st_blocks) * 512 > 2 * block) GTEST_SKIP() << "no sparse files here";
    parloom_array array;
    ASSERT_EQ(map(array, PARLOOM_MMAP_RW, block / 2, PARLOOM_U8, { 2 * block }), PARLOOM_OK) << error.message;
    ASSERT_EQ(stat(path("raw").c_str(), &after), 0);
    EXPECT_GE(static_cast<size_t>(after.st_blocks) * 512, 5 * block / 2);
    EXPECT_LT(static_cast<size_t>(after.st_blocks) * 512, 4 * block);
    EXPECT_EQ(after.st_size, before.st_size);
    EXPECT_EQ(static_cast<char *>(array.data)[block / 2 - 1], 'a');
    EXPECT_EQ(static_cast<char *>(array.data)[block / 2], 0);
    parloom_array_release(&array);
}

TEST_F(Mapping, ModeCKeepsWritesToItself)
{
    write_counted(100);
    ASSERT_EQ(chmod(path("raw").c_str(), 0400), 0);
    std::string before = read(path("raw"));
    parloom_array array;
    ASSERT_EQ(map(array, PARLOOM_MMAP_C, 0, PARLOOM_U8, { 100 }), PARLOOM_OK) << error.message;
    EXPECT_TRUE(parloom_array_is_writable(&array));
    EXPECT_NE(array.flags & LOOM_ARRAY_COPY_ON_WRITE, 0U);
    static_cast<char *>(array.data)[5] = 'x';
    parloom_array_release(&array);
    EXPECT_EQ(read(path("raw")), before);
}

TEST_F(Mapping, ModeWMakesAFileOfZerosWithItsSpace)
{
    parloom_array array;
    ASSERT_EQ(map(array, PARLOOM_MMAP_W, 4097, PARLOOM_F64, { 1000, 30 }), PARLOOM_OK) << error.message;
    struct stat about;
    ASSERT_EQ(stat(path("raw").c_str(), &about), 0);
    EXPECT_EQ(about.st_size, 4097 + 240000);
    EXPECT_GE(about.st_blocks * 512, about.st_size);
    for (size_t k = 0; k < 240000; k++) ASSERT_EQ(static_cast<char *>(array.data)[k], 0);
    std::memset(array.data, 7, 240000);
    parloom_array_release(&array);
    EXPECT_EQ(read(path("raw")).substr(4097), std::string(240000, 7));
    EXPECT_EQ(names(), std::vector<std::string>{ "raw" });
}

TEST_F(Mapping, ModeWReplacesAFileThatIsMappedWithoutTouchingTheMapping)
{
    write_counted(8192);
    parloom_array old_array;
    parloom_array array;
    ASSERT_EQ(map(old_array, PARLOOM_MMAP_R, 0, PARLOOM_U8, { 8192 }), PARLOOM_OK);
    ASSERT_EQ(map(array, PARLOOM_MMAP_W, 0, PARLOOM_U8, { 10 }), PARLOOM_OK) << error.message;
    EXPECT_EQ(static_cast<unsigned char *>(old_array.data)[8000], 8000 % 251);
    EXPECT_EQ(read(path("raw")), std::string(10, '\0'));
    parloom_array_release(&old_array);
    parloom_array_release(&array);
}

TEST_F(Mapping, WithoutItemsMapsNothing)
{
    parloom_array array;
    ASSERT_EQ(map(array, PARLOOM_MMAP_W, 16, PARLOOM_F64, { 0, 5 }), PARLOOM_OK) << error.message;
    EXPECT_EQ(loom_array_check(&array, &error), PARLOOM_OK);
    parloom_array_release(&array);
    EXPECT_EQ(read(path("raw")).size(), 16U);
    ASSERT_EQ(map(array, PARLOOM_MMAP_R, 16, PARLOOM_F64, { 0, 5 }), PARLOOM_OK) << error.message;
    parloom_array_release(&array);
}

TEST_F(Mapping, RefusesFilesThatAreTooShortAndShapesThatOverflow)
{
    write_counted(100);
    parloom_array array;
    std::memset(&array, 0x5a, sizeof array);
    parloom_array before = array;
    size_t descriptors = open_descriptors();
    for (parloom_mmap_mode mode : { PARLOOM_MMAP_UNSET, PARLOOM_MMAP_R, PARLOOM_MMAP_RW, PARLOOM_MMAP_C }) {
        EXPECT_EQ(map(array, mode, 0, PARLOOM_F64, { 13 }), PARLOOM_ERR_FORMAT);
        EXPECT_EQ(map(array, mode, 101, PARLOOM_F64, { 0 }), PARLOOM_ERR_FORMAT);
        EXPECT_EQ(map(array, mode, UINT64_MAX, PARLOOM_U8, { 1 }), PARLOOM_ERR_INVALID);
        EXPECT_EQ(map(array, mode, 0, PARLOOM_F64, { SIZE_MAX / 2, 3 }), PARLOOM_ERR_INVALID);
    }
    EXPECT_EQ(map(array, PARLOOM_MMAP_W, UINT64_MAX, PARLOOM_U8, { 1 }), PARLOOM_ERR_INVALID);
    EXPECT_LT(map(array, PARLOOM_MMAP_W, 0, PARLOOM_U8, { static_cast<size_t>(PTRDIFF_MAX) }), PARLOOM_OK);
    EXPECT_EQ(map(array, static_cast<parloom_mmap_mode>(7), 0, PARLOOM_U8, { 1 }), PARLOOM_ERR_INVALID);
    EXPECT_EQ(std::memcmp(&array, &before, sizeof array), 0) << "outputs are set only on success";
    EXPECT_EQ(open_descriptors(), descriptors);
    EXPECT_EQ(read(path("raw")).size(), 100U);
    std::filesystem::remove(path("raw"));
    EXPECT_EQ(map(array, PARLOOM_MMAP_RW, 0, PARLOOM_U8, { 1 }), PARLOOM_ERR_IO);
    EXPECT_EQ(error.sys_errno, ENOENT);
}

TEST_F(Mapping, KeepsOneDescriptorAndReleaseUnmapsIt)
{
    write_counted(5000);
    ASSERT_EQ(loom_window_open(&error), PARLOOM_OK) << error.message;
    size_t descriptors = open_descriptors();
    parloom_array array;
    ASSERT_EQ(map(array, PARLOOM_MMAP_R, 4500, PARLOOM_U8, { 100 }), PARLOOM_OK);
    EXPECT_EQ(open_descriptors(), descriptors + 1) << "for workers";
    void *data = array.data;
    auto is_mapped = [&] {
        unsigned char state = 0;
        void *page = reinterpret_cast<void *>(reinterpret_cast<uintptr_t>(data) & ~uintptr_t{ 4095 });
        return mincore(page, 1, &state) == 0;
    };
    EXPECT_TRUE(is_mapped());
    parloom_array_release(&array);
    EXPECT_FALSE(is_mapped());
    EXPECT_EQ(open_descriptors(), descriptors);
}

#ifdef PARLOOM_FAULTS
/* On a file system that is memory without a limit of its own, as a container's may be: what is asked for must not be
 * taken until the machine has nothing left. The fault ends the attempt if it comes so far. */
TEST_F(Mapping, LooksAtMemoryBeforeItReservesThere)
{
    const size_t huge = size_t{ 1 } << 45;
    int code = InChildWithShm("", [&] {
        if (mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=0") != 0) return 77;
        write(path("raw"), "");
        if (truncate(path("raw").c_str(), static_cast<off_t>(huge)) != 0) return 1;
        for (parloom_mmap_mode mode : { PARLOOM_MMAP_RW, PARLOOM_MMAP_W }) {
            parloom_array array;
            loom_fault_arm(LOOM_FAULT_FALLOCATE, 1, EIO, true);
            parloom_status status = map(array, mode, 0, PARLOOM_U8, { huge });
            loom_fault_disarm();
            if (status != PARLOOM_ERR_SPACE || !strstr(error.message, "memory")) return 2 + (mode == PARLOOM_MMAP_W);
        }
        return 0;
    });
    SKIP_WITHOUT_NAMESPACES(code);
    EXPECT_EQ(code, 0);
}
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* test_load.cc - what NumPy wrote is loaded in every mode; bad files are refused. */
#include "rest/samples.h"
#include "support/mapped.h"
#include "support/scratch.h"

#include "base/fault.h"
#include "support/sanitizers.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace
{

class Load : public Scratch
{
};

/* A sanitizer leaves a program 1.5 TiB of addresses in one piece, and the kernel begins anywhere in its upper TiB. */
#ifdef LOOM_TEST_SANITIZED
constexpr uint64_t MORE_THAN_MEMORY = uint64_t{ 1 } << 38;
#else
constexpr uint64_t MORE_THAN_MEMORY = uint64_t{ 1 } << 40;
#endif

} // namespace

TEST_F(Load, ReadsWhatNumPyWroteForEveryDtypeOrderDimensionAndMode)
{
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    ASSERT_EQ(run_python(folder, std::string(PYTHON_ITEMS) + R"(
for d, dtype in enumerate(dtypes):
    for shape in shapes:
        n = int(np.prod(shape, dtype=int))
        for order in 'CF':
            np.save('%d%s%d.npy' % (d, order.lower(), len(shape)), np.asarray(items(dtype, n).reshape(shape), order=order))
)"),
              "");
    parloom_array first; /* opens what shared memory needs, once for the process */
    size_t one = 1;
    ASSERT_EQ(parloom_array_create(&first, PARLOOM_F64, 1, &one, nullptr), PARLOOM_OK);
    parloom_array_release(&first);
    size_t descriptors = open_descriptors();
    for (size_t d = 0; d < std::size(DTYPES); d++)
        for (const auto &shape : SHAPES)
            for (bool is_fortran : { false, true })
                for (int mode = PARLOOM_MMAP_UNSET; mode <= PARLOOM_MMAP_C; mode++) {
                    std::string memory;
                    parloom_array want = make(DTYPES[d], shape, false, memory);
                    std::string file = path(file_name(d, shape.size(), is_fortran));
                    parloom_array array;
                    parloom_error error;
                    ASSERT_EQ(parloom_array_load(&array, file.c_str(), static_cast<parloom_mmap_mode>(mode), &error),
                              PARLOOM_OK)
                        << error.message;
                    EXPECT_EQ(array.dtype, want.dtype);
                    EXPECT_EQ(array.item_nbytes, want.item_nbytes);
                    ASSERT_EQ(array.ndim, want.ndim);
                    for (size_t k = 0; k < shape.size(); k++) EXPECT_EQ(array.shape[k], shape[k]);
                    EXPECT_EQ(in_c_order(array), in_c_order(want)) << file;
                    EXPECT_TRUE(loom_array_is_contiguous(&array, is_fortran));
                    EXPECT_EQ(reinterpret_cast<uintptr_t>(array.data) % 64, 0U);
                    EXPECT_TRUE(parloom_array_is_memmap(&array));
                    bool is_mapped = mode != PARLOOM_MMAP_UNSET && parloom_array_nbytes(&array) > 0;
                    EXPECT_EQ(loom::mapped_file(array.data) == file, is_mapped) << file;
                    EXPECT_EQ(parloom_array_is_writable(&array), mode != PARLOOM_MMAP_R);
                    parloom_array_release(&array);
                }
    EXPECT_EQ(open_descriptors(), descriptors);
}

TEST_F(Load, TurnsTheOtherByteOrderIntoThisOneAndFlagsIt)
{
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    ASSERT_EQ(run_python(folder, R"(
import numpy as np
np.save('f8.npy', np.arange(6).astype('>f8'))
np.save('c8.npy', (np.arange(6) + 2j).astype('>c8'))
np.save('u2.npy', np.array(['ab', 'c'], dtype='>U2'))
)"),
              "");
    parloom_array array;
    parloom_error error;
    ASSERT_EQ(parloom_array_load(&array, path("f8.npy").c_str(), PARLOOM_MMAP_UNSET, &error), PARLOOM_OK);
    for (int k = 0; k < 6; k++) EXPECT_EQ(static_cast<double *>(array.data)[k], k);
    EXPECT_EQ(loom_array_check(&array, &error), PARLOOM_OK);
    parloom_array_release(&array);
    ASSERT_EQ(parloom_array_load(&array, path("c8.npy").c_str(), PARLOOM_MMAP_UNSET, &error), PARLOOM_OK);
    EXPECT_EQ(static_cast<float *>(array.data)[4], 2.0F);
    EXPECT_EQ(static_cast<float *>(array.data)[5], 2.0F);
    parloom_array_release(&array);
    ASSERT_EQ(parloom_array_load(&array, path("u2.npy").c_str(), PARLOOM_MMAP_UNSET, &error), PARLOOM_OK);
    EXPECT_EQ(static_cast<uint32_t *>(array.data)[1], static_cast<uint32_t>('b'));
    parloom_array_release(&array);
    /* Mapped, the bytes are the file's: no task may take them for numbers, a dump keeps their order. */
    ASSERT_EQ(parloom_array_load(&array, path("f8.npy").c_str(), PARLOOM_MMAP_R, &error), PARLOOM_OK);
    EXPECT_NE(array.flags & LOOM_ARRAY_SWAPPED, 0U);
    EXPECT_EQ(loom_array_check(&array, &error), PARLOOM_ERR_UNSUPPORTED);
    ASSERT_EQ(parloom_array_dump(&array, path("again.npy").c_str(), nullptr, 0, &error), PARLOOM_OK) << error.message;
    parloom_array_release(&array);
    EXPECT_EQ(read(path("again.npy")), read(path("f8.npy")));
}

#ifdef PARLOOM_FAULTS
TEST_F(Load, AnyCallThatFailsLeavesNothingOpen)
{
    double data[] = { 1, 2, 3 };
    size_t three = 3;
    parloom_array array = parloom_array_wrap(data, PARLOOM_F64, 1, &three);
    std::string file = path("a.npy");
    ASSERT_EQ(parloom_array_dump(&array, file.c_str(), nullptr, 0, nullptr), PARLOOM_OK);
    ASSERT_EQ(parloom_array_load(&array, file.c_str(), PARLOOM_MMAP_UNSET, nullptr), PARLOOM_OK);
    parloom_array_release(&array); /* what is made once, the arena, is there now */
    size_t descriptors = open_descriptors();
    for (int mode = PARLOOM_MMAP_R; mode <= PARLOOM_MMAP_C; mode++)
        for (int kind : { LOOM_FAULT_MALLOC, LOOM_FAULT_OPEN, LOOM_FAULT_MMAP })
            for (unsigned nth = 1;; nth++) {
                parloom_error error;
                loom_fault_arm(static_cast<loom_fault_kind>(kind), nth, ENOMEM, false);
                parloom_status status =
                    parloom_array_load(&array, file.c_str(), static_cast<parloom_mmap_mode>(mode), &error);
                bool was_hit = loom_fault_hits(static_cast<loom_fault_kind>(kind)) >= nth;
                loom_fault_disarm();
                if (status == PARLOOM_OK) parloom_array_release(&array);
                EXPECT_EQ(open_descriptors(), descriptors);
                if (!was_hit) break;
                EXPECT_EQ(status, PARLOOM_ERR_MEMORY) << kind << " " << nth << error.message;
            }
}
#endif

/* ------------------------------------------------------------------------ bad input */

TEST_F(Load, RefusesWhatIsNoRegularFileWithoutBlocking)
{
    parloom_array array;
    parloom_error error;
    ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "%s", path("socket").c_str());
    ASSERT_EQ(bind(listener, reinterpret_cast<struct sockaddr *>(&address), sizeof address), 0);
    close(listener);
    size_t descriptors = open_descriptors();
    for (const std::string &file : { path("fifo"), path("socket"), std::string("/dev/zero"), folder.string() })
        for (int mode = PARLOOM_MMAP_UNSET; mode <= PARLOOM_MMAP_C; mode++)
            EXPECT_EQ(parloom_array_load(&array, file.c_str(), static_cast<parloom_mmap_mode>(mode), &error),
                      PARLOOM_ERR_INVALID)
                << file << mode << error.message;
    EXPECT_EQ(parloom_array_load(&array, "/proc/self/status", PARLOOM_MMAP_UNSET, &error), PARLOOM_ERR_FORMAT);
    EXPECT_EQ(parloom_array_load(&array, path("none").c_str(), PARLOOM_MMAP_R, &error), PARLOOM_ERR_IO);
    EXPECT_EQ(parloom_array_load(&array, nullptr, PARLOOM_MMAP_R, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_load(nullptr, path("none").c_str(), PARLOOM_MMAP_R, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_load(&array, path("none").c_str(), static_cast<parloom_mmap_mode>(9), &error),
              PARLOOM_ERR_INVALID);
    EXPECT_EQ(open_descriptors(), descriptors);
}

TEST_F(Load, RefusesEveryTruncationInEveryMode)
{
    double data[] = { 1, 2, 3 };
    size_t three = 3;
    parloom_array array = parloom_array_wrap(data, PARLOOM_F64, 1, &three);
    ASSERT_EQ(parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, nullptr), PARLOOM_OK);
    std::string whole = read(path("a.npy"));
    for (size_t length = 0; length < whole.size(); length++) {
        write(path("a.npy"), whole.substr(0, length));
        parloom_error error;
        for (parloom_mmap_mode mode : { PARLOOM_MMAP_UNSET, PARLOOM_MMAP_R, PARLOOM_MMAP_RW, PARLOOM_MMAP_C })
            ASSERT_EQ(parloom_array_load(&array, path("a.npy").c_str(), mode, &error), PARLOOM_ERR_FORMAT)
                << length << " " << error.message;
    }
    EXPECT_EQ(read(path("a.npy")).size(), whole.size() - 1);
}

TEST_F(Load, OfAHeaderThatPromisesMoreThanTheFileHasAsksForNoMemory)
{
    std::string dictionary = "{'descr': '|u1', 'fortran_order': False, 'shape': (4611686018427387904,), }\n";
    std::string bytes("\x93NUMPY\x01\x00", 8);
    bytes += static_cast<char>(dictionary.size());
    bytes += '\0';
    write(path("a.npy"), bytes + dictionary + "payload");
    parloom_array array;
    parloom_error error;
    for (int mode = PARLOOM_MMAP_UNSET; mode <= PARLOOM_MMAP_C; mode++)
        EXPECT_EQ(parloom_array_load(&array, path("a.npy").c_str(), static_cast<parloom_mmap_mode>(mode), &error),
                  PARLOOM_ERR_FORMAT);
}

TEST_F(Load, OfItemsThatAreNotAlignedCopiesThemAndDoesNotMapThem)
{
    std::string dictionary = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n";
    double value = 2.5;
    std::string bytes("\x93NUMPY\x01\x00", 8);
    bytes += static_cast<char>(dictionary.size());
    bytes += '\0';
    bytes += dictionary;
    ASSERT_NE(bytes.size() % 8, 0U);
    bytes.append(reinterpret_cast<const char *>(&value), sizeof value);
    write(path("a.npy"), bytes);
    parloom_array array;
    parloom_error error;
    EXPECT_EQ(parloom_array_load(&array, path("a.npy").c_str(), PARLOOM_MMAP_R, &error), PARLOOM_ERR_UNSUPPORTED);
    ASSERT_EQ(parloom_array_load(&array, path("a.npy").c_str(), PARLOOM_MMAP_UNSET, &error), PARLOOM_OK);
    EXPECT_EQ(static_cast<double *>(array.data)[0], 2.5);
    parloom_array_release(&array);
}

TEST_F(Load, OfMoreThanThereIsMemoryFailsWithAStatusAndMapsAllTheSame)
{
    std::string items = std::to_string(MORE_THAN_MEMORY);
    std::string dictionary = "{'descr': '|u1', 'fortran_order': False, 'shape': (" + items + ",), }";
    dictionary.resize(117, ' ');
    dictionary += '\n';
    write(path("a.npy"), std::string("\x93NUMPY\x01\x00", 8) + "\x76" + '\0' + dictionary);
    std::error_code failed;
    std::filesystem::resize_file(path("a.npy"), MORE_THAN_MEMORY + 128, failed);
    if (failed) GTEST_SKIP() << "no sparse file of " << items << " bytes here: " << failed.message();
    parloom_array array;
    parloom_error error;
    parloom_status status = parloom_array_load(&array, path("a.npy").c_str(), PARLOOM_MMAP_UNSET, &error);
    EXPECT_TRUE(status == PARLOOM_ERR_SPACE || status == PARLOOM_ERR_MEMORY || status == PARLOOM_ERR_LIMIT) << status;
    EXPECT_STRNE(error.message, "");
    /* To be written in place, its holes would have to be filled: no block of the disk is taken in the attempt. */
    EXPECT_EQ(parloom_array_load(&array, path("a.npy").c_str(), PARLOOM_MMAP_RW, &error), PARLOOM_ERR_SPACE)
        << error.message;
    struct stat about;
    ASSERT_EQ(stat(path("a.npy").c_str(), &about), 0);
    EXPECT_LT(about.st_blocks, 1000);
    for (parloom_mmap_mode mode : { PARLOOM_MMAP_R, PARLOOM_MMAP_C }) {
        ASSERT_EQ(parloom_array_load(&array, path("a.npy").c_str(), mode, &error), PARLOOM_OK) << error.message;
        EXPECT_EQ(static_cast<char *>(array.data)[MORE_THAN_MEMORY - 1], 0);
        parloom_array_release(&array);
    }
}

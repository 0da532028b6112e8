/* SPDX-License-Identifier: BSD-3-Clause */
/* test_dump.cc - what is dumped is read by NumPy; dumps are whole or not there. */
#include "rest/samples.h"
#include "support/scratch.h"

#include "base/fault.h"

#include <csignal>
#include <cstring>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

ssize_t write_byte(int fd)
{
    return ::write(fd, "x", 1);
}

class Dump : public Scratch
{
};

} // namespace

TEST_F(Dump, IsReadByNumPyForEveryDtypeOrderAndDimension)
{
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    for (size_t d = 0; d < std::size(DTYPES); d++)
        for (const auto &shape : SHAPES)
            for (bool is_fortran : { false, true }) {
                std::string memory;
                parloom_error error;
                parloom_array array = make(DTYPES[d], shape, is_fortran, memory);
                std::string file = path(file_name(d, shape.size(), is_fortran));
                ASSERT_EQ(parloom_array_dump(&array, file.c_str(), nullptr, 0, &error), PARLOOM_OK) << error.message;
            }
    /* NumPy reads the same values, and would have written the same bytes. */
    std::string program = std::string(PYTHON_ITEMS) + R"(
import io
for d, dtype in enumerate(dtypes):
    for shape in shapes:
        n = int(np.prod(shape, dtype=int))
        for order in 'CF':
            name = '%d%s%d.npy' % (d, order.lower(), len(shape))
            want = np.asarray(items(dtype, n).reshape(shape), order=order)
            got = np.load(name)
            assert got.dtype == np.dtype(dtype), (name, got.dtype)
            assert got.shape == shape, (name, got.shape)
            assert got.tobytes() == want.tobytes(), name
            assert got.flags['F_CONTIGUOUS'] == want.flags['F_CONTIGUOUS'], name
            file = io.BytesIO()
            np.save(file, want)
            assert file.getvalue() == open(name, 'rb').read(), name
)";
    EXPECT_EQ(run_python(folder, program), "");
}

TEST_F(Dump, OfAViewWritesItsItemsOnly)
{
    std::vector<int32_t> data(300 * 700);
    for (size_t k = 0; k < data.size(); k++) data[k] = static_cast<int32_t>(k);
    size_t shape[] = { 300, 700 };
    parloom_array array = parloom_array_wrap(data.data(), PARLOOM_I32, 2, shape);
    parloom_array view;
    parloom_error error;
    ASSERT_EQ(parloom_array_slice(&view, &array, 1, 1, 700, 2, &error), PARLOOM_OK);
    ASSERT_EQ(parloom_array_slice(&view, &view, 0, 7, 300, 1, &error), PARLOOM_OK);
    ASSERT_EQ(parloom_array_dump(&view, path("v.npy").c_str(), nullptr, 0, &error), PARLOOM_OK) << error.message;
    parloom_array back;
    ASSERT_EQ(parloom_array_load(&back, path("v.npy").c_str(), PARLOOM_MMAP_UNSET, &error), PARLOOM_OK);
    ASSERT_EQ(back.shape[0], 293U);
    ASSERT_EQ(back.shape[1], 350U);
    const int32_t *got = static_cast<const int32_t *>(back.data);
    for (size_t row = 0; row < 293; row++)
        for (size_t column = 0; column < 350; column++)
            ASSERT_EQ(got[row * 350 + column], static_cast<int32_t>((row + 7) * 700 + 2 * column + 1));
    parloom_array_release(&back);
}

TEST_F(Dump, GathersMoreThanOneBufferOfAnyItemSize)
{
    for (size_t item : { size_t{ 1 }, size_t{ 7 }, (size_t{ 1 } << 20) + 3 }) {
        size_t count = (size_t{ 3 } << 20) / item + 2;
        std::string memory((item + 5) * count, '\0');
        for (size_t k = 0; k < memory.size(); k++) memory[k] = static_cast<char>(k * 31 >> 3);
        ptrdiff_t stride = static_cast<ptrdiff_t>(item + 5);
        parloom_array array = parloom_array_wrap_strided(memory.data(), PARLOOM_ITEM, item, 1, &count, &stride);
        parloom_error error;
        std::string file = path("gap.npy");
        ASSERT_EQ(parloom_array_dump(&array, file.c_str(), nullptr, 0, &error), PARLOOM_OK) << error.message;
        EXPECT_EQ(read(file).substr(128), in_c_order(array)) << item;
    }
}

TEST_F(Dump, ReversedAxesComeBackInTheOrderOfTheView)
{
    double data[] = { 1, 2, 3, 4 };
    size_t shape = 4;
    ptrdiff_t stride = -8;
    parloom_array array = parloom_array_wrap_strided(&data[3], PARLOOM_F64, 0, 1, &shape, &stride);
    parloom_error error;
    ASSERT_EQ(parloom_array_dump(&array, path("r.npy").c_str(), nullptr, 0, &error), PARLOOM_OK) << error.message;
    parloom_array back;
    ASSERT_EQ(parloom_array_load(&back, path("r.npy").c_str(), PARLOOM_MMAP_R, &error), PARLOOM_OK);
    for (int k = 0; k < 4; k++) EXPECT_EQ(static_cast<double *>(back.data)[k], 4 - k);
    parloom_array_release(&back);
}

/* Of items in a mapped file that somebody cut short: they would be read here, and kill the program. */
TEST_F(Dump, OfAMappedFileThatWasCutShortIsAStatus)
{
    std::vector<double> data(3000, 1.5);
    size_t count = data.size();
    std::string file = path("a.npy");
    parloom_array array = parloom_array_wrap(data.data(), PARLOOM_F64, 1, &count), mapped, view;
    parloom_error error;
    for (parloom_mmap_mode mode : { PARLOOM_MMAP_R, PARLOOM_MMAP_RW, PARLOOM_MMAP_C }) {
        ASSERT_EQ(parloom_array_dump(&array, file.c_str(), nullptr, 0, &error), PARLOOM_OK) << error.message;
        ASSERT_EQ(parloom_array_load(&mapped, file.c_str(), mode, &error), PARLOOM_OK) << error.message;
        ASSERT_EQ(parloom_array_slice(&view, &mapped, 0, 0, count, 3, &error), PARLOOM_OK);
        std::filesystem::resize_file(file, 4096);
        const char *name = "a";
        for (const parloom_array *each : { &mapped, &view }) {
            EXPECT_EQ(parloom_array_dump(each, path("b.npy").c_str(), nullptr, 0, &error), PARLOOM_ERR_IO) << mode;
            EXPECT_NE(std::strstr(error.message, "cut short"), nullptr) << error.message;
            EXPECT_EQ(parloom_npz_dump(path("b.npz").c_str(), &name, each, 1, nullptr, 0, &error), PARLOOM_ERR_IO);
        }
        EXPECT_EQ(names(), std::vector<std::string>{ "a.npy" });
        parloom_array_release(&mapped);
        std::filesystem::remove(file);
    }
}

/* --------------------------------------------------------------- whole or not there */

TEST_F(Dump, ReplacesAFileThatIsMappedWithoutTouchingTheMapping)
{
    double old_data[3] = { 1, 2, 3 };
    double new_data[1] = { 9 };
    size_t three = 3;
    size_t one = 1;
    parloom_array old_array = parloom_array_wrap(old_data, PARLOOM_F64, 1, &three);
    parloom_array new_array = parloom_array_wrap(new_data, PARLOOM_F64, 1, &one);
    std::string file = path("a.npy");
    parloom_array mapped;
    parloom_error error;
    ASSERT_EQ(parloom_array_dump(&old_array, file.c_str(), nullptr, 0, &error), PARLOOM_OK) << error.message;
    ASSERT_EQ(parloom_array_load(&mapped, file.c_str(), PARLOOM_MMAP_R, &error), PARLOOM_OK);
    ASSERT_EQ(parloom_array_dump(&new_array, file.c_str(), nullptr, 0, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(static_cast<double *>(mapped.data)[2], 3);
    /* A mapped array may be dumped to its own file. */
    ASSERT_EQ(parloom_array_dump(&mapped, file.c_str(), nullptr, 0, &error), PARLOOM_OK) << error.message;
    parloom_array_release(&mapped);
    EXPECT_EQ(read(file).size(), 128U + 24U);
    EXPECT_EQ(names(), std::vector<std::string>{ "a.npy" });
}

TEST_F(Dump, KeepsModeOfTheOldFileAndFollowsLinks)
{
    double value = 1;
    parloom_array array = parloom_array_wrap(&value, PARLOOM_F64, 0, nullptr);
    write(path("target.npy"), "old");
    ASSERT_EQ(chmod(path("target.npy").c_str(), 0604), 0);
    std::filesystem::create_symlink("target.npy", path("link.npy"));
    parloom_error error;
    ASSERT_EQ(parloom_array_dump(&array, path("link.npy").c_str(), nullptr, 0, &error), PARLOOM_OK) << error.message;
    EXPECT_TRUE(std::filesystem::is_symlink(path("link.npy")));
    struct stat about;
    ASSERT_EQ(stat(path("target.npy").c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 07777U, 0604U);
    EXPECT_EQ(about.st_size, 136);
}

TEST_F(Dump, MakesNewFilesAsTheUmaskSays)
{
    double value = 1;
    parloom_array array = parloom_array_wrap(&value, PARLOOM_F64, 0, nullptr);
    mode_t before = umask(027);
    parloom_status status = parloom_array_dump(&array, path("n.npy").c_str(), nullptr, 0, nullptr);
    umask(before);
    ASSERT_EQ(status, PARLOOM_OK);
    struct stat about;
    ASSERT_EQ(stat(path("n.npy").c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777U, 0640U);
}

TEST_F(Dump, ThatIsTooLongForTheLimitLeavesTheOldFileWhole)
{
    write(path("a.npy"), "old");
    std::string memory(1 << 16, 'x');
    size_t shape = memory.size();
    parloom_array array = parloom_array_wrap(memory.data(), PARLOOM_U8, 1, &shape);
    struct rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = before;
    small.rlim_cur = 1 << 12;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    parloom_error error;
    parloom_status status = parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, &error);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQ(status, PARLOOM_ERR_LIMIT) << error.message;
    EXPECT_EQ(read(path("a.npy")), "old");
    EXPECT_EQ(names(), std::vector<std::string>{ "a.npy" });
}

TEST_F(Dump, OnAFullDiskLeavesTheOldFileWhole)
{
    if (geteuid() != 0 || mount("none", folder.c_str(), "tmpfs", 0, "size=1m") != 0)
        GTEST_SKIP() << "mounting a small tmpfs needs root";
    write(path("a.npy"), "old");
    std::string memory(2 << 20, 'x');
    size_t shape = memory.size();
    parloom_array array = parloom_array_wrap(memory.data(), PARLOOM_U8, 1, &shape);
    parloom_array mapped;
    parloom_error error;
    EXPECT_EQ(parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, &error), PARLOOM_ERR_SPACE)
        << error.message;
    EXPECT_NE(std::string(error.message).find("what has that name now stays"), std::string::npos) << error.message;
    EXPECT_EQ(parloom_array_dump(&array, path("new.npy").c_str(), nullptr, 0, &error), PARLOOM_ERR_SPACE);
    EXPECT_EQ(std::string(error.message).find("has that name"), std::string::npos) << "there is none";
    EXPECT_EQ(
        parloom_array_map(&mapped, path("a.npy").c_str(), PARLOOM_MMAP_W, 0, PARLOOM_U8, 0, 1, &shape, nullptr, &error),
        PARLOOM_ERR_SPACE)
        << error.message;
    EXPECT_EQ(read(path("a.npy")), "old");
    EXPECT_EQ(names(), std::vector<std::string>{ "a.npy" });
    /* Holes of a file that is there are reserved before they are mapped for writing. */
    std::filesystem::resize_file(path("a.npy"), 2 << 20);
    EXPECT_EQ(parloom_array_map(&mapped, path("a.npy").c_str(), PARLOOM_MMAP_RW, 0, PARLOOM_U8, 0, 1, &shape, nullptr,
                                &error),
              PARLOOM_ERR_SPACE)
        << error.message;
    ASSERT_EQ(
        parloom_array_map(&mapped, path("a.npy").c_str(), PARLOOM_MMAP_R, 0, PARLOOM_U8, 0, 1, &shape, nullptr, &error),
        PARLOOM_OK);
    parloom_array_release(&mapped);
    /* A file whose space is reserved, if not written, needs no more of it. */
    shape = 600 << 10;
    for (parloom_mmap_mode mode : { PARLOOM_MMAP_W, PARLOOM_MMAP_RW }) {
        ASSERT_EQ(parloom_array_map(&mapped, path("b.npy").c_str(), mode, 0, PARLOOM_U8, 0, 1, &shape, nullptr, &error),
                  PARLOOM_OK)
            << error.message;
        parloom_array_release(&mapped);
    }
    umount(folder.c_str());
}

TEST_F(Dump, KilledAtAnyMomentLeavesAWholeFile)
{
    std::string old_bytes(300000, 'a');
    std::string new_bytes(500000, 'b');
    size_t lengths[] = { old_bytes.size(), new_bytes.size() };
    std::string file = path("a.npy");
    for (int round = 0; round < 40; round++) {
        int ends[2];
        ASSERT_EQ(pipe(ends), 0);
        pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            for (size_t k = 0;; k++) {
                parloom_array array =
                    parloom_array_wrap((k % 2 == 0 ? old_bytes : new_bytes).data(), PARLOOM_U8, 1, &lengths[k % 2]);
                bool is_done = parloom_array_dump(&array, file.c_str(), nullptr, 0, nullptr) == PARLOOM_OK;
                if (!is_done || write_byte(ends[1]) != 1) _exit(1);
            }
        }
        close(ends[1]);
        /* It is killed somewhere in the dump after the one it told of. */
        char told = 0;
        for (int k = 0; k <= round % 5; k++) ASSERT_EQ(::read(ends[0], &told, 1), 1);
        for (volatile int k = 0; k < round * 3000;) k = k + 1;
        kill(child, SIGKILL);
        close(ends[0]);
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status));
        parloom_array array;
        parloom_error error;
        ASSERT_EQ(parloom_array_load(&array, file.c_str(), PARLOOM_MMAP_R, &error), PARLOOM_OK) << error.message;
        std::string got(static_cast<char *>(array.data), array.shape[0]);
        EXPECT_TRUE(got == old_bytes || got == new_bytes);
        parloom_array_release(&array);
    }
}

TEST_F(Dump, DoesNotReplaceAFileThatItMayNotWrite)
{
    const uid_t nobody = 65534;
    if (geteuid() != 0) GTEST_SKIP() << "root may write everything, and only root can become somebody else";
    write(path("a.npy"), "old");
    ASSERT_EQ(chown(folder.c_str(), nobody, nobody), 0);
    ASSERT_EQ(chown(path("a.npy").c_str(), nobody, nobody), 0);
    ASSERT_EQ(chmod(path("a.npy").c_str(), 0444), 0);
    double value = 1;
    parloom_array array = parloom_array_wrap(&value, PARLOOM_F64, 0, nullptr);
    parloom_error error;
    ASSERT_EQ(seteuid(nobody), 0);
    EXPECT_EQ(parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, &error), PARLOOM_ERR_IO);
    EXPECT_EQ(error.sys_errno, EACCES);
    EXPECT_EQ(parloom_array_load(&array, path("a.npy").c_str(), PARLOOM_MMAP_RW, &error), PARLOOM_ERR_IO);
    EXPECT_EQ(error.sys_errno, EACCES);
    EXPECT_EQ(parloom_array_load(&array, path("a.npy").c_str(), PARLOOM_MMAP_C, &error), PARLOOM_ERR_FORMAT);
    chmod(folder.c_str(), 0555);
    EXPECT_EQ(parloom_array_dump(&array, path("b.npy").c_str(), nullptr, 0, &error), PARLOOM_ERR_IO);
    EXPECT_NE(std::strstr(error.message, "folder must be writable"), nullptr) << error.message;
    ASSERT_EQ(seteuid(0), 0);
    EXPECT_EQ(read(path("a.npy")), "old");
    EXPECT_EQ(names(), std::vector<std::string>{ "a.npy" });
}

TEST_F(Dump, WithoutProcIsWrittenAsideUnderAHiddenNameAndRenamed)
{
    write(path("a.npy"), "old");
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        double value = 1;
        parloom_array array = parloom_array_wrap(&value, PARLOOM_F64, 0, nullptr);
        if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            mount("none", "/proc", "tmpfs", 0, nullptr) != 0)
            _exit(77);
        bool is_ok = parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, nullptr) == PARLOOM_OK &&
                     parloom_array_dump(&array, path("b.npy").c_str(), nullptr, 0, nullptr) == PARLOOM_OK &&
                     parloom_array_dump(&array, path("none/b.npy").c_str(), nullptr, 0, nullptr) == PARLOOM_ERR_IO;
        _exit(is_ok ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "a mount namespace needs root";
    EXPECT_EQ(status, 0);
    EXPECT_EQ(names(), (std::vector<std::string>{ "a.npy", "b.npy" }));
    EXPECT_EQ(read(path("a.npy")), read(path("b.npy")));
    EXPECT_EQ(read(path("a.npy")).size(), 136U);
}

#ifdef PARLOOM_FAULTS
TEST_F(Dump, AnyCallThatFailsLeavesTheOldFileWholeAndTheNextDumpWorks)
{
    double data[] = { 1, 2, 3 };
    size_t three = 3;
    ptrdiff_t gap = -8;
    parloom_array array = parloom_array_wrap_strided(&data[2], PARLOOM_F64, 0, 1, &three, &gap);
    std::string file = path("a.npy");
    size_t descriptors = open_descriptors();
    for (int kind = 0; kind < LOOM_FAULT_KINDS; kind++)
        for (unsigned nth = 1;; nth++) {
            write(file, "old");
            parloom_error error;
            loom_fault_arm(static_cast<loom_fault_kind>(kind), nth, ENOSPC, false);
            parloom_status status = parloom_array_dump(&array, file.c_str(), nullptr, 0, &error);
            bool was_hit = loom_fault_hits(static_cast<loom_fault_kind>(kind)) >= nth;
            loom_fault_disarm();
            EXPECT_EQ(status == PARLOOM_OK, read(file).size() == 128 + 24) << error.message;
            EXPECT_EQ(status != PARLOOM_OK, read(file) == "old");
            EXPECT_EQ(names(), std::vector<std::string>{ "a.npy" });
            EXPECT_EQ(open_descriptors(), descriptors);
            if (!was_hit) break;
            EXPECT_NE(status, PARLOOM_OK) << kind << " " << nth;
        }
}

#endif

/* ------------------------------------------------------------------------ bad input */

TEST_F(Dump, RefusesWhatItCannotWrite)
{
    double value = 1;
    parloom_array array = parloom_array_wrap(&value, PARLOOM_F64, 0, nullptr);
    parloom_error error;
    auto dump = [&](const std::string &file, const char *codec) {
        return parloom_array_dump(&array, file.c_str(), codec, 0, &error);
    };
    EXPECT_EQ(dump(path("a.npy"), "zlob"), PARLOOM_ERR_INVALID);
    EXPECT_EQ(dump(path("a.npz"), nullptr), PARLOOM_ERR_UNSUPPORTED);
    EXPECT_EQ(parloom_array_dump(&array, nullptr, nullptr, 0, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_dump(nullptr, path("a.npy").c_str(), nullptr, 0, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(dump("", nullptr), PARLOOM_ERR_INVALID);
    EXPECT_EQ(dump(path("") + "/", nullptr), PARLOOM_ERR_INVALID);
    EXPECT_EQ(dump(path("no/such/folder.npy"), nullptr), PARLOOM_ERR_IO);
    EXPECT_EQ(error.sys_errno, ENOENT);
    EXPECT_EQ(dump("/dev/null", nullptr), PARLOOM_ERR_INVALID);
    ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
    EXPECT_EQ(dump(path("fifo"), nullptr), PARLOOM_ERR_INVALID);
    EXPECT_EQ(dump(folder.string(), nullptr), PARLOOM_ERR_INVALID);
    std::filesystem::create_symlink("nowhere", path("dangling.npy"));
    EXPECT_EQ(dump(path("dangling.npy"), nullptr), PARLOOM_ERR_IO);
    EXPECT_EQ(names(), (std::vector<std::string>{ "dangling.npy", "fifo" }));
}

TEST_F(Dump, GoesToARelativeNameToo)
{
    double value = 1;
    parloom_array array = parloom_array_wrap(&value, PARLOOM_F64, 0, nullptr);
    std::filesystem::path before = std::filesystem::current_path();
    std::filesystem::current_path(folder);
    parloom_status status = parloom_array_dump(&array, "here.npy", nullptr, 0, nullptr);
    std::filesystem::current_path(before);
    EXPECT_EQ(status, PARLOOM_OK);
    EXPECT_EQ(read(path("here.npy")).size(), 136U);
}

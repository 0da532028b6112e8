/* SPDX-License-Identifier: BSD-3-Clause */
/* test_named.cc - arrays with a name: created, opened by programs started apart, read from Python, taken away. */
#include "shm/named_arrays.h"
#include "support/scratch.h"

#include "shm/array.h"
#include "shm/fill.h"

#include <climits>
#include <csignal>
#include <cstdlib>
#include <numeric>
#include <sys/mman.h>

using namespace named;

namespace
{

double *items_of(const parloom_array &array)
{
    return static_cast<double *>(array.data);
}

/* What this program does when it is started as another one: opens the array, looks at it and answers in it. */
int be_the_other_program()
{
    const char *name = std::getenv("LOOM_TEST_NAMED");
    if (name == nullptr) return 0;
    parloom_array array;
    parloom_error error;
    if (parloom_array_open_named(&array, name, PARLOOM_MMAP_RW, &error) != PARLOOM_OK) _exit(2);
    if (array.dtype != PARLOOM_F64 || array.ndim != 2 || array.shape[0] != 3 || array.shape[1] != 4) _exit(3);
    double sum = std::accumulate(items_of(array), items_of(array) + 12, 0.0);
    items_of(array)[0] = sum;
    parloom_array_release(&array);
    _exit(sum == 66 ? 0 : 4);
}

[[maybe_unused]] const int started_as_another = be_the_other_program();

int run_as_another(const std::string &name)
{
    pid_t pid = fork();
    if (pid == 0) {
        setenv("LOOM_TEST_NAMED", name.c_str(), 1);
        execl("/proc/self/exe", "another", nullptr);
        _exit(127);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

bool are_described_alike(const parloom_array &one, const parloom_array &other)
{
    return one.dtype == other.dtype && one.ndim == other.ndim && one.item_nbytes == other.item_nbytes &&
           std::equal(one.shape, one.shape + one.ndim, other.shape) &&
           std::equal(one.strides, one.strides + one.ndim, other.strides);
}

} // namespace

/* --------------------------------------------------------------- create and open */

TEST_F(Named, ArrayIsTheSameForWhoOpensIt)
{
    const size_t shape[] = { 5, 7, 3, 1, 2, 1, 1, 2 };
    for (int dtype = PARLOOM_BOOL; dtype <= PARLOOM_ITEM; dtype++)
        for (int ndim = 0; ndim <= PARLOOM_MAX_NDIM; ndim++) {
            parloom_array made, seen;
            size_t item_nbytes = dtype == PARLOOM_ITEM ? 24 : 0;
            ASSERT_EQ(parloom_array_create_named(&made, name("a").c_str(), static_cast<parloom_dtype>(dtype),
                                                 item_nbytes, ndim, shape, nullptr, &error),
                      PARLOOM_OK)
                << error.message;
            ASSERT_EQ(open(&seen, "a"), PARLOOM_OK) << error.message;
            EXPECT_TRUE(are_described_alike(made, seen)) << dtype << ", ndim " << ndim;
            EXPECT_TRUE(parloom_array_is_memmap(&made));
            EXPECT_TRUE(parloom_array_is_writable(&made));
            EXPECT_TRUE(parloom_is_shared(made.data));
            EXPECT_FALSE(parloom_array_is_writable(&seen));
            EXPECT_EQ(reinterpret_cast<uintptr_t>(made.data) % 64, 0U);
            size_t nbytes = parloom_array_nbytes(&made);
            for (size_t k = 0; k < nbytes; k++) ASSERT_EQ(static_cast<char *>(seen.data)[k], 0) << "zero-filled";
            memset(made.data, 0x5a, nbytes);
            EXPECT_EQ(memcmp(made.data, seen.data, nbytes), 0);
            EXPECT_EQ(read(name("a")).substr(LOOM_NAMED_DATA_OFFSET), std::string(nbytes, 0x5a));
            ASSERT_EQ(unlink("a"), PARLOOM_OK) << error.message;
            parloom_array_release(&seen);
            parloom_array_release(&made);
        }
}

TEST_F(Named, ArrayMayHaveAnyStrides)
{
    const size_t shape[] = { 3, 4 };
    const ptrdiff_t layouts[][2] = { { 8, 24 }, { -32, 8 }, { -32, -8 }, { 80, 16 }, { 0, 8 } };
    for (const auto &strides : layouts) {
        parloom_array made, seen;
        ASSERT_EQ(parloom_array_create_named(&made, name("a").c_str(), PARLOOM_F64, 0, 2, shape, strides, &error),
                  PARLOOM_OK)
            << error.message;
        EXPECT_EQ(reinterpret_cast<uintptr_t>(made.data) % 64, 0U);
        for (ptrdiff_t i = 0; i < 3; i++)
            for (ptrdiff_t k = 0; k < 4; k++)
                items_of(made)[(i * strides[0] + k * strides[1]) / 8] = static_cast<double>(10 * i + k);
        ASSERT_EQ(open(&seen, "a"), PARLOOM_OK) << error.message;
        EXPECT_TRUE(are_described_alike(made, seen));
        double want[12], got[12];
        loom_array_gather(&made, 0, 12, want);
        loom_array_gather(&seen, 0, 12, got);
        EXPECT_EQ(memcmp(want, got, sizeof got), 0);
        ASSERT_EQ(unlink("a"), PARLOOM_OK);
        parloom_array_release(&seen);
        parloom_array_release(&made);
    }
}

TEST_F(Named, ArrayWithoutItemsHasAName)
{
    parloom_array made, seen;
    ASSERT_EQ(create(&made, "a", 0), PARLOOM_OK) << error.message;
    for (parloom_mmap_mode mode : { PARLOOM_MMAP_R, PARLOOM_MMAP_RW, PARLOOM_MMAP_C }) {
        ASSERT_EQ(open(&seen, "a", mode), PARLOOM_OK) << error.message;
        EXPECT_EQ(parloom_array_nbytes(&seen), 0U);
        EXPECT_EQ(seen.shape[0], 0U);
        parloom_array_release(&seen);
    }
    EXPECT_EQ(clean(), 0U) << "its owner lives";
    parloom_array_release(&made);
    EXPECT_EQ(clean(), 1U);
}

TEST_F(Named, FileIsAsThePageSays)
{
    const size_t shape[] = { 6, 5 };
    const ptrdiff_t strides[] = { -40, 8 };
    parloom_array array;
    ASSERT_EQ(parloom_array_create_named(&array, name("a").c_str(), PARLOOM_F64, 0, 2, shape, strides, &error),
              PARLOOM_OK)
        << error.message;
    std::string bytes = read(name("a"));
    EXPECT_EQ(bytes.substr(0, 8), "\223PARLOOM");
    EXPECT_EQ(field_of<uint32_t>(bytes, 8), 0x01020304U);
    EXPECT_EQ(field_of<uint32_t>(bytes, 12), 1U);
    EXPECT_EQ(field_of<uint64_t>(bytes, 16), bytes.size());
    EXPECT_EQ(field_of<uint64_t>(bytes, 24), 4096U);
    EXPECT_EQ(field_of<uint64_t>(bytes, 32), 4096U + 256) << "200 bytes lie before the first item";
    EXPECT_EQ(field_of<uint32_t>(bytes, 40), static_cast<uint32_t>(PARLOOM_F64));
    EXPECT_EQ(field_of<uint32_t>(bytes, 44), 2U);
    EXPECT_EQ(field_of<uint64_t>(bytes, 48), 8U);
    EXPECT_GT(field_of<uint64_t>(bytes, 56), 0U);
    EXPECT_EQ(field_of<uint64_t>(bytes, 64), 6U);
    EXPECT_EQ(field_of<uint64_t>(bytes, 72), 5U);
    EXPECT_EQ(field_of<int64_t>(bytes, 128), -40);
    EXPECT_EQ(field_of<int64_t>(bytes, 136), 8);
    EXPECT_EQ(field_of<uint32_t>(bytes, 192), static_cast<uint32_t>(getpid()));
    uint64_t sum = 14695981039346656037U;
    for (size_t k = 0; k < 248; k++) sum = (sum ^ static_cast<unsigned char>(bytes[k])) * 1099511628211U;
    EXPECT_EQ(field_of<uint64_t>(bytes, 248), sum);
    EXPECT_EQ(bytes.substr(256, 4096 - 256), std::string(4096 - 256, '\0'));
    parloom_array_release(&array);
}

TEST_F(Named, FileIsTheOwnersAloneAndReserved)
{
    for (mode_t mask : { 0U, 022U, 0777U }) {
        parloom_array array;
        mode_t before = umask(mask);
        parloom_status status = create(&array, "a", 1 << 20);
        umask(before);
        ASSERT_EQ(status, PARLOOM_OK) << error.message;
        struct stat about;
        ASSERT_EQ(stat(path_of(name("a")).c_str(), &about), 0);
        EXPECT_EQ(about.st_mode, static_cast<mode_t>(S_IFREG | 0600));
        EXPECT_EQ(about.st_nlink, 1U);
        EXPECT_GE(static_cast<uint64_t>(about.st_blocks) * 512, (uint64_t{ 8 } << 20) + 4096);
        ASSERT_EQ(unlink("a"), PARLOOM_OK);
        parloom_array_release(&array);
    }
}

TEST_F(Named, FileIsOfHugePagesWhereTheKernelHasThem)
{
    parloom_array array, probe;
    size_t count = 2 << 20;
    uint64_t before = loom_fill_huge_blocks();
    ASSERT_EQ(parloom_array_create(&probe, PARLOOM_U8, 1, &count, &error), PARLOOM_OK) << error.message;
    parloom_array_release(&probe);
    if (loom_fill_huge_blocks() == before) GTEST_SKIP() << "this kernel makes no huge pages here";
    before = loom_fill_huge_blocks();
    ASSERT_EQ(create(&array, "a", (5 << 20) / sizeof(double)), PARLOOM_OK) << error.message;
    EXPECT_EQ(loom_fill_huge_blocks() - before, 2U);
    EXPECT_EQ(std::accumulate(items_of(array), items_of(array) + (5 << 20) / sizeof(double), 0.0), 0.0);
    EXPECT_EQ(std::filesystem::file_size(path_of(name("a"))), (uint64_t{ 5 } << 20) + 4096);
    ASSERT_EQ(unlink("a"), PARLOOM_OK);
    parloom_array_release(&array);
}

TEST_F(Named, NamesThatCannotBeAreRefused)
{
    parloom_array array;
    const size_t count = 1;
    std::string longest(NAME_MAX, 'n'), longer(NAME_MAX + 1, 'n');
    for (const char *bad :
         { static_cast<const char *>(nullptr), "", ".", "..", "/a", "a/b", ".hidden", longer.c_str() }) {
        SCOPED_TRACE(bad == nullptr ? "NULL" : bad);
        EXPECT_EQ(parloom_array_create_named(&array, bad, PARLOOM_F64, 0, 1, &count, nullptr, &error),
                  PARLOOM_ERR_INVALID);
        EXPECT_TRUE(says("name"));
        EXPECT_EQ(parloom_array_open_named(&array, bad, PARLOOM_MMAP_R, &error), PARLOOM_ERR_INVALID);
        EXPECT_EQ(parloom_array_unlink_named(bad, &error), PARLOOM_ERR_INVALID);
    }
    longest.replace(0, prefix.size(), prefix);
    ASSERT_EQ(parloom_array_create_named(&array, longest.c_str(), PARLOOM_F64, 0, 1, &count, nullptr, &error),
              PARLOOM_OK)
        << error.message;
    EXPECT_EQ(parloom_array_unlink_named(longest.c_str(), &error), PARLOOM_OK);
    parloom_array_release(&array);
}

TEST_F(Named, ArraysThatCannotBeAreRefused)
{
    parloom_array array;
    const size_t shape[] = { SIZE_MAX / 2, 3 }, large = (size_t)PTRDIFF_MAX - 2000;
    const char *a = "parloom-test-never";
    EXPECT_EQ(parloom_array_create_named(nullptr, a, PARLOOM_F64, 0, 1, &large, nullptr, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_create_named(&array, a, PARLOOM_F64, 0, 2, shape, nullptr, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_create_named(&array, a, PARLOOM_U8, 0, 1, &large, nullptr, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_create_named(&array, a, PARLOOM_F64, 0, 9, shape, nullptr, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_create_named(&array, a, PARLOOM_F64, 0, 1, nullptr, nullptr, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_create_named(&array, a, PARLOOM_ITEM, 0, 0, nullptr, nullptr, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_create_named(&array, a, static_cast<parloom_dtype>(99), 0, 0, nullptr, nullptr, nullptr),
              PARLOOM_ERR_INVALID);
    EXPECT_FALSE(exists(a));
}

TEST_F(Named, ModesMeanWhatTheyMeanForFiles)
{
    parloom_array made, array;
    ASSERT_EQ(create(&made, "a", 1000), PARLOOM_OK) << error.message;
    ASSERT_EQ(open(&array, "a", PARLOOM_MMAP_RW), PARLOOM_OK) << error.message;
    items_of(array)[7] = 3.5;
    EXPECT_EQ(items_of(made)[7], 3.5);
    parloom_array_release(&array);
    ASSERT_EQ(open(&array, "a", PARLOOM_MMAP_C), PARLOOM_OK) << error.message;
    items_of(array)[7] = -1;
    EXPECT_EQ(items_of(made)[7], 3.5);
    parloom_array_release(&array);
    ASSERT_EQ(open(&array, "a", PARLOOM_MMAP_UNSET), PARLOOM_OK) << error.message;
    EXPECT_FALSE(parloom_array_is_writable(&array));
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        *static_cast<volatile double *>(array.data) = 1;
        _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status)) << "read-only";
    parloom_array_release(&array);
    EXPECT_EQ(open(&array, "a", PARLOOM_MMAP_W), PARLOOM_ERR_INVALID);
    EXPECT_NE(std::string(error.message).find("w+ (PARLOOM_MMAP_W)"), std::string::npos) << error.message;
    EXPECT_TRUE(says("parloom_array_create_named"));
    EXPECT_EQ(open(&array, "a", static_cast<parloom_mmap_mode>(9)), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_open_named(nullptr, name("a").c_str(), PARLOOM_MMAP_R, &error), PARLOOM_ERR_INVALID);
    parloom_array_release(&made);
}

/* ----------------------------------------------------------------- life of a name */

TEST_F(Named, NameThatIsTakenIsRefusedAndSaysByWhom)
{
    parloom_array first, second;
    ASSERT_EQ(create(&first, "a", 10), PARLOOM_OK) << error.message;
    items_of(first)[0] = 4;
    EXPECT_EQ(create(&second, "a", 20), PARLOOM_ERR_IO);
    EXPECT_EQ(error.sys_errno, EEXIST);
    EXPECT_TRUE(says("owner lives")) << error.message;
    parloom_array_release(&first);
    EXPECT_EQ(create(&second, "a", 20), PARLOOM_ERR_IO);
    EXPECT_TRUE(says("without an owner")) << error.message;
    ASSERT_EQ(open(&second, "a"), PARLOOM_OK) << "releasing leaves the name: " << error.message;
    EXPECT_EQ(items_of(second)[0], 4);
    EXPECT_EQ(second.shape[0], 10U);
    parloom_array_release(&second);

    write(name("foreign"), "somebody's");
    EXPECT_EQ(create(&second, "foreign", 20), PARLOOM_ERR_IO);
    EXPECT_EQ(error.sys_errno, EEXIST);
    EXPECT_TRUE(says("no named array")) << error.message;
    EXPECT_EQ(read(name("foreign")), "somebody's");
    ASSERT_EQ(symlink("/nowhere", path_of(name("link")).c_str()), 0);
    EXPECT_EQ(create(&second, "link", 20), PARLOOM_ERR_IO);
    EXPECT_EQ(error.sys_errno, EEXIST);
}

TEST_F(Named, UnlinkedArrayStaysForWhoHasItAndTheNameIsFree)
{
    parloom_array first, seen, second;
    ASSERT_EQ(create(&first, "a", 10), PARLOOM_OK) << error.message;
    ASSERT_EQ(open(&seen, "a"), PARLOOM_OK) << error.message;
    ASSERT_EQ(unlink("a"), PARLOOM_OK) << error.message;
    EXPECT_FALSE(exists(name("a")));
    EXPECT_EQ(unlink("a"), PARLOOM_ERR_IO);
    EXPECT_EQ(error.sys_errno, ENOENT);
    EXPECT_EQ(open(&second, "a"), PARLOOM_ERR_IO);
    EXPECT_EQ(error.sys_errno, ENOENT);
    ASSERT_EQ(create(&second, "a", 5), PARLOOM_OK) << error.message;
    items_of(first)[3] = 8;
    EXPECT_EQ(items_of(seen)[3], 8);
    EXPECT_EQ(items_of(second)[3], 0);
    parloom_array_release(&first);
    EXPECT_EQ(items_of(seen)[3], 8);
    parloom_array_release(&seen);
    parloom_array_release(&second);
}

TEST_F(Named, OnlyNamedArraysAreUnlinked)
{
    write(name("foreign"), std::string(10000, 'x'));
    write(name("short"), "\223PARLOOM");
    ASSERT_EQ(mkdir(path_of(name("folder")).c_str(), 0700), 0);
    ASSERT_EQ(mkfifo(path_of(name("pipe")).c_str(), 0600), 0);
    ASSERT_EQ(symlink("/etc/passwd", path_of(name("link")).c_str()), 0);
    for (const char *ending : { "foreign", "short", "folder", "pipe", "link" }) {
        EXPECT_EQ(unlink(ending), PARLOOM_ERR_FORMAT) << ending;
        EXPECT_TRUE(exists(name(ending))) << ending;
    }
}

TEST_F(Named, ArrayIsSharedWithAProgramStartedApart)
{
    const size_t shape[] = { 3, 4 };
    parloom_array array;
    EXPECT_EQ(run_as_another(name("a")), 2) << "there is none";
    ASSERT_EQ(parloom_array_create_named(&array, name("a").c_str(), PARLOOM_F64, 0, 2, shape, nullptr, &error),
              PARLOOM_OK)
        << error.message;
    std::iota(items_of(array), items_of(array) + 12, 0.0);
    EXPECT_EQ(run_as_another(name("a")), 0);
    EXPECT_EQ(items_of(array)[0], 66) << "what it wrote";
    EXPECT_EQ(clean(), 0U) << "who opened it has ended, its owner not";
    parloom_array_release(&array);
}

TEST_F(Named, ArraysAreMadeAndOpenedInForkedChildren)
{
    parloom_array array;
    ASSERT_EQ(create(&array, "parents", 1000), PARLOOM_OK) << error.message;
    items_of(array)[1] = 5;
    pid_t child = fork();
    if (child == 0) {
        parloom_array seen, made;
        bool is_fine = open(&seen, "parents", PARLOOM_MMAP_RW) == PARLOOM_OK && items_of(seen)[1] == 5 &&
                       items_of(array)[1] == 5 && create(&made, "childs", 1000) == PARLOOM_OK;
        if (is_fine) items_of(seen)[2] = items_of(made)[0] = 6;
        parloom_array_release(&seen);
        parloom_array_release(&made);
        _exit(is_fine ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(items_of(array)[2], 6);
    EXPECT_EQ(clean(), 1U) << "the child's";
    EXPECT_TRUE(exists(name("parents")));
    parloom_array_release(&array);
}

/* -------------------------------------------------------------------------- Python */

class NamedFromPython : public Named
{
  protected:
    void SetUp() override
    {
        Named::SetUp();
        if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
        const size_t shape[] = { 3, 4 };
        ASSERT_EQ(parloom_array_create_named(&array, name("a").c_str(), PARLOOM_F64, 0, 2, shape, nullptr, &error),
                  PARLOOM_OK)
            << error.message;
        std::iota(items_of(array), items_of(array) + 12, 0.0);
    }
    void TearDown() override
    {
        parloom_array_release(&array);
        Named::TearDown();
    }
    std::string run(const std::string &program) const
    {
        std::filesystem::path folder = std::filesystem::temp_directory_path() / prefix;
        std::filesystem::create_directory(folder);
        std::string said = run_python(folder, "name = '" + name("a") + "'\n" + program);
        std::filesystem::remove_all(folder);
        return said;
    }
    parloom_array array = {};
};

TEST_F(NamedFromPython, IsReadAndWrittenByNumpysMemmap)
{
    EXPECT_EQ(run(R"(
import numpy as np
a = np.memmap('/dev/shm/' + name, dtype=np.float64, mode='r+', offset=4096, shape=(3, 4))
assert (a == np.arange(12.0).reshape(3, 4)).all(), a
a[2, 3] = 99
)"),
              "");
    EXPECT_EQ(items_of(array)[11], 99);
}

TEST_F(NamedFromPython, IsReadAndWrittenThroughSharedMemory)
{
    EXPECT_EQ(run(R"(
import numpy as np
from multiprocessing import shared_memory, resource_tracker
memory = shared_memory.SharedMemory(name=name)
resource_tracker.unregister(memory._name, 'shared_memory')
a = np.ndarray((3, 4), dtype=np.float64, buffer=memory.buf, offset=4096)
assert (a == np.arange(12.0).reshape(3, 4)).all(), a
a[0, 1] = 77
del a
memory.close()
)"),
              "");
    EXPECT_EQ(items_of(array)[1], 77);
    EXPECT_TRUE(exists(name("a")));
}

/* The other way round: Python's bytes have no header, and are mapped as those of any file. */
TEST_F(NamedFromPython, MakesMemoryThatIsMapped)
{
    ASSERT_EQ(run(R"(
import numpy as np
from multiprocessing import shared_memory, resource_tracker
memory = shared_memory.SharedMemory(name=name + '-python', create=True, size=2 * 3 * 8)
resource_tracker.unregister(memory._name, 'shared_memory')
np.ndarray((2, 3), dtype=np.float64, buffer=memory.buf)[:] = np.arange(6.0).reshape(2, 3)
)"),
              "");
    parloom_array mapped;
    EXPECT_EQ(parloom_array_open_named(&mapped, name("a-python").c_str(), PARLOOM_MMAP_RW, &error), PARLOOM_ERR_FORMAT);
    EXPECT_NE(std::string(error.message).find("parloom_array_map from /dev/shm/" + name("a-python")), std::string::npos)
        << error.message;
    const size_t shape[] = { 2, 3 };
    ASSERT_EQ(parloom_array_map(&mapped, ("/dev/shm/" + name("a-python")).c_str(), PARLOOM_MMAP_RW, 0, PARLOOM_F64, 0,
                                2, shape, nullptr, &error),
              PARLOOM_OK)
        << error.message;
    for (int k = 0; k < 6; k++) EXPECT_EQ(items_of(mapped)[k], k);
    parloom_array_release(&mapped);
}

TEST_F(NamedFromPython, DescribesItself)
{
    EXPECT_EQ(run(R"(
import numpy as np, struct
header = open('/dev/shm/' + name, 'rb').read(256)
magic, order, version, nbytes, data, first, dtype, ndim, item = struct.unpack_from('=8sIIQQQIIQ', header)
assert magic == b'\x93PARLOOM' and order == 0x01020304 and version == 1
shape = struct.unpack_from('=8Q', header, 64)[:ndim]
strides = struct.unpack_from('=8q', header, 128)[:ndim]
dtypes = 'bool i1 i2 i4 i8 u1 u2 u4 u8 f4 f8 c8 c16'.split()
assert dtypes[dtype - 1] == 'f8' and item == 8
raw = np.memmap('/dev/shm/' + name, dtype=np.uint8, mode='r')
a = np.ndarray(shape, dtypes[dtype - 1], raw, offset=first, strides=strides)
assert (a == np.arange(12.0).reshape(3, 4)).all(), a
)"),
              "");
}

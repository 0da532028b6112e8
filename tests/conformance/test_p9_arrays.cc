/* SPDX-License-Identifier: BSD-3-Clause */
/* P9: arrays through calls; P11: what they are made of. */
#include "conformance/conformance.h"

#include <endian.h>
#include <sys/stat.h>

using namespace conformance;

namespace
{

const size_t N = 1000;

/* args[0]: a parloom_array of doubles, args[1]: one double a task: item times two. */
int double_item(const parloom_task *task, void *const *args)
{
    const auto *array = static_cast<const parloom_array *>(args[0]);
    const char *item = static_cast<const char *>(array->data) + static_cast<ptrdiff_t>(task->index) * array->strides[0];
    static_cast<double *>(args[1])[task->index] = 2 * *reinterpret_cast<const double *>(item);
    return 0;
}

/* In the big or the little order, as NumPy writes it. */
void write_npy(const std::string &path, bool is_big)
{
    std::ofstream file(path, std::ios::binary);
    std::string header = std::string("{'descr': '") + (is_big ? ">" : "<") + "f8', 'fortran_order': False, 'shape': (" +
                         std::to_string(N) + ",), }";
    header.append(118 - 1 - header.size(), ' ').append("\n");
    file.write("\x93NUMPY\x01\x00\x76\x00", 10) << header;
    for (size_t i = 0; i < N; i++) {
        double value = static_cast<double>(i) + 0.5;
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        bits = is_big ? htobe64(bits) : htole64(bits);
        file.write(reinterpret_cast<const char *>(&bits), sizeof bits);
    }
}

std::vector<double> expected()
{
    std::vector<double> made(N);
    for (size_t i = 0; i < N; i++) made[i] = 2 * (static_cast<double>(i) + 0.5);
    return made;
}

std::vector<double> doubled(const parloom_array &array, const parloom_options &options, parloom_error *error)
{
    std::vector<double> found(N, -1);
    parloom_arg args[] = { parloom_in_array(&array), contract::out(found) };
    if (parloom_for(N, double_item, args, 2, &options, error) != PARLOOM_OK) found.clear();
    return found;
}

/* A file of doubles with `offset` bytes before them. */
std::string write_raw(const std::string &folder, size_t offset)
{
    std::string path = folder + "/raw";
    std::ofstream file(path, std::ios::binary);
    file << std::string(offset, 'x');
    for (size_t i = 0; i < N; i++) {
        double value = static_cast<double>(i) + 0.5;
        file.write(reinterpret_cast<const char *>(&value), sizeof value);
    }
    return path;
}

bool is_empty(const std::string &folder)
{
    return rmdir(folder.c_str()) == 0 && mkdir(folder.c_str(), 0700) == 0;
}

/* args[0]: private data above the threshold; args[1]: a flag a task raises, args[2]: one it waits for. */
int wait_with_data(const parloom_task *task, void *const *args)
{
    auto *flags = static_cast<std::atomic<int> *>(args[1]);
    if (!parloom_is_shared(args[0])) return parloom_fail(task, 1, "not spilled");
    flags[0] = 1;
    return comes_true([&] { return flags[1] != 0; }) ? 0 : 2;
}

} // namespace

TEST_F(Conformance, P9_01_ByteOrders)
{
    Folder folder;
    for (bool is_big : { false, true }) {
        std::string path = folder.path + (is_big ? "/big.npy" : "/little.npy");
        write_npy(path, is_big);
        parloom_array array;
        ASSERT_OK(parloom_array_load(&array, path.c_str(), PARLOOM_MMAP_UNSET, &error));
        for (const char *backend : every_backend)
            for (size_t max_nbytes : { size_t{ 1 }, size_t{ 1 } << 20 }) {
                parloom_options given = on(backend);
                given.max_nbytes = max_nbytes;
                EXPECT_EQ(doubled(array, given, &error), expected()) << backend << error.message;
            }
        parloom_array_release(&array);
        ASSERT_OK(parloom_array_load(&array, path.c_str(), PARLOOM_MMAP_R, &error));
        bool is_foreign = is_big == (__BYTE_ORDER == __LITTLE_ENDIAN);
        std::vector<double> found = doubled(array, on("processes"), &error);
        if (is_foreign) {
            EXPECT_EQ(error.status, PARLOOM_ERR_UNSUPPORTED) << "tasks would see wrong numbers";
            EXPECT_TRUE(found.empty());
        } else {
            EXPECT_EQ(found, expected()) << error.message;
        }
        parloom_array_release(&array);
    }
}

TEST_F(Conformance, P9_03_GrowingWithMappedArguments)
{
    Folder folder;
    std::string path = write_raw(folder.path, 0);
    parloom_array array;
    ASSERT_OK(parloom_array_map(&array, path.c_str(), PARLOOM_MMAP_R, 0, PARLOOM_F64, 0, 1, &N, nullptr, &error));
    for (const char *backend : parallel_backends)
        for (int n_jobs : { 2, 4, 2 })
            EXPECT_EQ(doubled(array, on(backend, n_jobs), &error), expected()) << backend << error.message;
    parloom_array_release(&array);
}

TEST_F(Conformance, P9_04_MemmapBeyondTheFirstPage)
{
    Folder folder;
    size_t offset = static_cast<size_t>(sysconf(_SC_PAGESIZE)) + 8;
    std::string path = write_raw(folder.path, offset);
    parloom_array array;
    ASSERT_OK(parloom_array_map(&array, path.c_str(), PARLOOM_MMAP_R, offset, PARLOOM_F64, 0, 1, &N, nullptr, &error));
    for (const char *backend : every_backend)
        EXPECT_EQ(doubled(array, on(backend), &error), expected()) << backend << error.message;
    parloom_array_release(&array);
}

TEST_F(Conformance, P9_05_NothingStaysOfAPool)
{
    Folder folder;
    std::vector<double> data(N, 1.0);
    Shared<std::atomic<int>> flags(2);
    flags[1] = 1;
    parloom_arg args[] = { contract::in(data), parloom_inout(flags.get(), 2 * sizeof(int)) };
    parloom_report report = empty_report();
    parloom_options opening = on("processes"), given = PARLOOM_OPTIONS_INIT;
    opening.temp_folder = folder.path.c_str();
    opening.max_nbytes = 100;
    ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
    given.report = &report;
    for (int call = 0; call < 3; call++) ASSERT_OK(parloom_for(10, wait_with_data, args, 2, &given, &error));
    EXPECT_EQ(folder.path, report.spilled_to);
    EXPECT_EQ(report.spilled_nbytes, N * sizeof(double));
    parloom_pool_close(given.pool);
    EXPECT_TRUE(is_empty(folder.path)); /* open files without a name are what the fixture looks for */
}

TEST_F(Conformance, P9_06_NothingStaysOfACall)
{
    Folder folder;
    std::vector<double> data(N, 1.0);
    for (const char *backend : { "processes" }) {
        Shared<std::atomic<int>> flags(2);
        parloom_arg args[] = { contract::in(data), parloom_inout(flags.get(), 2 * sizeof(int)) };
        parloom_report report = empty_report();
        parloom_options given = on(backend);
        given.temp_folder = folder.path.c_str();
        given.max_nbytes = 100;
        given.report = &report;
        std::thread caller([&] { EXPECT_OK(parloom_for(4, wait_with_data, args, 2, &given, &error)); });
        EXPECT_TRUE(comes_true([&] { return flags[0] != 0; }));
        EXPECT_TRUE(is_empty(folder.path)) << "never a name, also while it is used";
        flags[1] = 1;
        caller.join();
        EXPECT_EQ(folder.path, report.spilled_to);
        EXPECT_EQ(report.spilled_nbytes, N * sizeof(double));
        EXPECT_TRUE(is_empty(folder.path));
    }
}

TEST_F(Conformance, P11_10_MemmapKnowsItsOffset)
{
    Folder folder;
    size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), offset = 5 * page + 16;
    std::string path = write_raw(folder.path, offset);
    parloom_array array;
    ASSERT_OK(parloom_array_map(&array, path.c_str(), PARLOOM_MMAP_R, offset, PARLOOM_F64, 0, 1, &N, nullptr, &error));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(array.data) % page, offset % page);
    EXPECT_EQ(array.shape[0], N);
    EXPECT_TRUE(parloom_array_is_memmap(&array));
    for (size_t i = 0; i < N; i++) EXPECT_EQ(static_cast<double *>(array.data)[i], static_cast<double>(i) + 0.5);
    parloom_array_release(&array);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Y: memory, files and sizes, beyond what joblib tries. */
#include "conformance/conformance.h"

#include <dirent.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>

using namespace conformance;

namespace
{

typedef std::vector<long> longs;

const size_t MEGABYTE = size_t{ 1 } << 20;

/* args[0]: longs, args[1]: how many, args[2]: their sum. */
int sum_up(const parloom_task *, void *const *args)
{
    long sum = 0;
    for (size_t i = 0; i < *static_cast<const size_t *>(args[1]); i++) sum += static_cast<const long *>(args[0])[i];
    *static_cast<long *>(args[2]) = sum;
    return 0;
}

long sum_of(const longs &data, const parloom_options &options, parloom_report *report = nullptr)
{
    long sum = -1;
    size_t count = data.size();
    parloom_arg args[] = { contract::in(data), parloom_in(&count, sizeof count), parloom_out(&sum, sizeof sum) };
    parloom_options given = options;
    parloom_error error;
    given.report = report;
    EXPECT_EQ(parloom_for(1, sum_up, args, 3, &given, &error), PARLOOM_OK) << error.message;
    return sum;
}

parloom_options isolated(const char *backend)
{
    parloom_options made = on(backend);
    if (is(backend, "processes") || is(backend, "fork")) made.require = PARLOOM_REQUIRE_ISOLATION;
    return made;
}

/* args[0]: longs, args[1]: how many: each grows by 1. */
int add_one(const parloom_task *, void *const *args)
{
    for (size_t i = 0; i < *static_cast<const size_t *>(args[1]); i++) static_cast<long *>(args[0])[i]++;
    return 0;
}

/* args[0]: private data that was spilled, args[1]: flags: I am here; go. */
int wait_with_data(const parloom_task *, void *const *args)
{
    auto *flags = static_cast<std::atomic<int> *>(args[1]);
    flags[0] = 1;
    return parloom_is_shared(args[0]) && comes_true([&] { return flags[1] != 0; }) ? 0 : 1;
}

/* The permissions of what this process has open in that folder. */
std::set<unsigned> modes_of_files_in(const std::string &folder)
{
    std::set<unsigned> modes;
    DIR *listing = opendir("/proc/self/fd");
    while (const dirent *entry = readdir(listing)) {
        char target[4096] = "";
        struct stat about;
        int fd = atoi(entry->d_name);
        if (readlinkat(dirfd(listing), entry->d_name, target, sizeof target - 1) <= 0) continue;
        if (strncmp(target, folder.c_str(), folder.size()) != 0 || fstat(fd, &about) != 0) continue;
        if (S_ISREG(about.st_mode)) modes.insert(about.st_mode & 0777);
    }
    closedir(listing);
    return modes;
}

/* Dumps in a child that is killed as it enters its n-th system call; false: it ended before. */
bool dump_and_die(const parloom_array &array, const std::string &path, int n)
{
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        raise(SIGSTOP);
        _exit(parloom_array_dump(&array, path.c_str(), nullptr, 0, nullptr) == PARLOOM_OK ? 0 : 1);
    }
    int status = 0;
    for (int stops = 0; waitpid(child, &status, 0) == child && WIFSTOPPED(status); stops++) {
        if (stops == 2 * n) kill(child, SIGKILL); /* each call stops it when it enters and when it leaves */
        ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
    }
    EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

bool loads_as(const std::string &path, size_t count, char byte)
{
    parloom_array array;
    parloom_error error;
    parloom_status status = parloom_array_load(&array, path.c_str(), PARLOOM_MMAP_UNSET, &error);
    EXPECT_EQ(status, PARLOOM_OK) << error.message;
    if (status != PARLOOM_OK) return false;
    bool is_whole = array.shape[0] == count;
    for (size_t i = 0; i < count && is_whole; i++) is_whole = static_cast<char *>(array.data)[i] == byte;
    parloom_array_release(&array);
    return is_whole;
}

} // namespace

TEST_F(Conformance, Y_01_ArrayChangedBetweenCalls)
{
    for (const char *backend : every_backend) {
        parloom_options opening = on(backend), given = PARLOOM_OPTIONS_INIT;
        ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
        for (size_t n : { size_t{ 10 }, size_t{ 300000 } }) {
            longs data(n, 1);
            EXPECT_EQ(sum_of(data, given), static_cast<long>(n)) << backend;
            data.assign(n, 2);
            EXPECT_EQ(sum_of(data, given), static_cast<long>(2 * n)) << backend;
        }
        parloom_pool_close(given.pool);
    }
}

TEST_F(Conformance, Y_02_OneBufferForManyCalls)
{
    for (const char *backend : every_backend)
        for (size_t n : { size_t{ 1000 }, size_t{ 1000000 } }) {
            longs buffer(n);
            for (long value = 0; value < 4; value++) {
                buffer.assign(n, value);
                EXPECT_EQ(sum_of(buffer, on(backend)), static_cast<long>(n) * value) << backend;
            }
        }
}

TEST_F(Conformance, Y_04_NoSpillingOfALargeArray)
{
    longs data(MEGABYTE, 3); /* 8 MiB */
    for (const char *backend : every_backend)
        for (parloom_mmap_mode mode : { PARLOOM_MMAP_R, PARLOOM_MMAP_C }) {
            parloom_options given = isolated(backend);
            given.max_nbytes = PARLOOM_NEVER;
            given.mmap_mode = mode;
            parloom_report report = empty_report();
            EXPECT_EQ(sum_of(data, given, &report), static_cast<long>(3 * MEGABYTE)) << backend;
            EXPECT_EQ(report.spilled_nbytes, 0u) << backend;
        }
}

TEST_F(Conformance, Y_05_ThresholdChangesNoMeaning)
{
    const size_t threshold = 8000;
    for (const char *backend : process_backends)
        for (size_t count : { threshold / 8 - 1, threshold / 8, threshold / 8 + 1 }) {
            parloom_options given = isolated(backend);
            given.max_nbytes = threshold;
            longs data(count, 1);
            EXPECT_EQ(sum_of(data, given), static_cast<long>(count)) << "in";
            parloom_arg in[] = { contract::in(data), parloom_in(&count, sizeof count) };
            parloom_arg out[] = { contract::out(data), in[1] }, inout[] = { contract::inout(data), in[1] };
            EXPECT_OK(parloom_for(1, add_one, inout, 2, &given, &error));
            EXPECT_EQ(data, longs(count, 2)) << "inout";
            EXPECT_OK(parloom_for(1, add_one, out, 2, &given, &error));
            EXPECT_EQ(data, longs(count, 3)) << "out";
            given.mmap_mode = PARLOOM_MMAP_C;
            EXPECT_OK(parloom_for(1, add_one, in, 2, &given, &error));
            EXPECT_EQ(data, longs(count, 3)) << "cow: nobody sees it";
            given.mmap_mode = PARLOOM_MMAP_R;
            if (is(backend, "fork")) continue; /* there a write to an in goes to the child's own copy */
            EXPECT_EQ(parloom_for(1, add_one, in, 2, &given, &error), PARLOOM_ERR_CRASHED) << count;
            EXPECT_EQ(data, longs(count, 3));
        }
}

TEST_F(Conformance, Y_06_FoldersOfTwoCallsOnOnePool)
{
    Folder one, other;
    longs data(1000, 1);
    parloom_options opening = isolated("processes"), given = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
    given.max_nbytes = 100;
    for (const Folder *folder : { &one, &other, &one }) {
        parloom_report report = empty_report();
        given.temp_folder = folder->path.c_str();
        EXPECT_EQ(sum_of(data, given, &report), 1000);
        EXPECT_EQ(folder->path, report.spilled_to);
    }
    parloom_pool_close(given.pool);
}

TEST_F(Conformance, Y_07_ThresholdAndModeKeepTheWorkers)
{
    parloom_options given = on("processes");
    std::set<int> workers = workers_of(given);
    for (size_t max_nbytes : { size_t{ 1 }, size_t{ 1 } << 30, PARLOOM_NEVER })
        for (parloom_mmap_mode mode : { PARLOOM_MMAP_R, PARLOOM_MMAP_RW, PARLOOM_MMAP_C }) {
            given.max_nbytes = max_nbytes;
            given.mmap_mode = mode;
            EXPECT_EQ(workers_of(given), workers);
        }
    EXPECT_EQ(workers.size(), 2u);
}

TEST_F(Conformance, Y_08_FoldersWithAnyName)
{
    Folder folder;
    longs data(1000, 1);
    std::string path = folder.path + "/\xc3\xa4\xe6\x97\xa5 \xff'";
    for (int part = 0; part < 5; part++) {
        ASSERT_EQ(mkdir(path.c_str(), 0700), 0) << path;
        parloom_options given = isolated("processes");
        given.max_nbytes = 100;
        given.temp_folder = path.c_str();
        parloom_report report = empty_report();
        EXPECT_EQ(sum_of(data, given, &report), 1000) << path;
        EXPECT_EQ(path.compare(0, strlen(report.spilled_to), report.spilled_to), 0);
        EXPECT_EQ(report.spilled_nbytes, 8000u);
        path += "/" + std::string(219, 'x') + std::to_string(part);
    }
    EXPECT_GT(path.size(), 900u);
}

TEST_F(Conformance, Y_09_FilesAreTheOwnersAlone)
{
    Folder folder;
    longs data(1000, 1);
    for (mode_t mask : { mode_t{ 0022 }, mode_t{ 0 } }) {
        Shared<std::atomic<int>> flags(2);
        parloom_arg args[] = { contract::in(data), parloom_inout(flags.get(), 2 * sizeof(int)) };
        parloom_options given = isolated("processes");
        given.max_nbytes = 100;
        given.temp_folder = folder.path.c_str();
        mode_t before = umask(mask);
        std::thread caller([&] { EXPECT_OK(parloom_for(1, wait_with_data, args, 2, &given, &error)); });
        EXPECT_TRUE(comes_true([&] { return flags[0] != 0; }));
        std::set<unsigned> modes = modes_of_files_in(folder.path);
        EXPECT_FALSE(modes.empty());
        for (unsigned mode : modes) EXPECT_EQ(mode & ~0600U, 0u) << mode; /* copies to be read only: 0400 */
        flags[1] = 1;
        caller.join();
        umask(before);
    }
}

TEST_F(Conformance, Y_11_FullFileSystem)
{
    Folder folder;
    if (mount("tmpfs", folder.path.c_str(), "tmpfs", 0, "size=10m") != 0) GTEST_SKIP() << "a small tmpfs needs root";
    longs large(2 * MEGABYTE, 1), small(MEGABYTE / 8, 1); /* 16 MiB, 1 MiB */
    parloom_options opening = isolated("processes"), given = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
    given.temp_folder = folder.path.c_str();
    given.max_nbytes = 100;
    parloom_arg args[] = { contract::in(large) };
    EXPECT_EQ(parloom_for(1, do_nothing, args, 1, &given, &error), PARLOOM_ERR_SPACE);
    unsigned long needed = 0;
    const char *reserve = strstr(error.message, "reserve ");
    ASSERT_TRUE(reserve != nullptr && sscanf(reserve, "reserve %lu bytes", &needed) == 1) << error.message;
    EXPECT_GE(needed, 16 * MEGABYTE);
    EXPECT_LT(needed, 17 * MEGABYTE);
    EXPECT_TRUE(says(error, "10485760 bytes free")) << error.message;
    EXPECT_TRUE(says(error, folder.path.c_str())) << error.message;
    parloom_report report = empty_report();
    EXPECT_EQ(sum_of(small, given, &report), static_cast<long>(MEGABYTE / 8)) << "usable as before";
    EXPECT_EQ(folder.path, report.spilled_to);
    parloom_pool_close(given.pool);
    parloom_shutdown(true);
    umount2(folder.path.c_str(), MNT_DETACH);
}

TEST_F(Conformance, Y_12_DumpKilledAtEverySystemCall)
{
    Folder folder;
    std::string path = folder.path + "/array.npy", old_bytes(100000, 'o'), new_bytes(300000, 'n');
    size_t old_count = old_bytes.size(), new_count = new_bytes.size();
    parloom_array old_array = parloom_array_wrap(&old_bytes[0], PARLOOM_U8, 1, &old_count);
    parloom_array new_array = parloom_array_wrap(&new_bytes[0], PARLOOM_U8, 1, &new_count);
    int n = 1, kept = 0;
    for (; n < 1000; n++) {
        ASSERT_OK(parloom_array_dump(&old_array, path.c_str(), nullptr, 0, &error));
        if (!dump_and_die(new_array, path, n)) break;
        bool is_old = loads_as(path, old_count, 'o');
        EXPECT_TRUE(is_old || loads_as(path, new_count, 'n')) << "killed at call " << n;
        kept += is_old ? 1 : 0;
    }
    EXPECT_LT(n, 1000);
    EXPECT_GT(kept, 3) << "the old one stays until the new one is whole";
    EXPECT_TRUE(loads_as(path, new_count, 'n')) << "the last one was not killed";
}

TEST_F(Conformance, Y_19_ViewsOfOneBaseAreSpilledOnce)
{
    longs base(10000, 1);
    parloom_arg args[] = { parloom_in(base.data(), 60000), parloom_in(base.data() + 2500, 40000),
                           parloom_in(base.data() + 5000, 40000) };
    parloom_report report = empty_report();
    parloom_options given = on("processes");
    given.max_nbytes = 100;
    given.report = &report;
    ASSERT_OK(parloom_for(4, do_nothing, args, 3, &given, &error));
    EXPECT_EQ(report.spilled_nbytes, 80000u);
}

TEST_F(Conformance, Y_20_SizesAsText)
{
    parloom_options options = PARLOOM_OPTIONS_INIT;
    for (const char *text : { "-1M", "", "1e3K", "18446744073709551616", "99999999999T", "0", " 1M", "1M " })
        EXPECT_EQ(parloom_options_set(&options, "max_nbytes", text, &error), PARLOOM_ERR_INVALID) << text;
    EXPECT_EQ(options.max_nbytes, 0u);
    ASSERT_OK(parloom_options_set(&options, "max_nbytes", "1MB", &error));
    EXPECT_EQ(options.max_nbytes, MEGABYTE);
    ASSERT_OK(parloom_options_set(&options, "max_nbytes", "1.5G", &error));
    EXPECT_EQ(options.max_nbytes, 1536 * MEGABYTE);
    ASSERT_OK(parloom_options_set(&options, "max_nbytes", "never", &error));
    EXPECT_EQ(options.max_nbytes, PARLOOM_NEVER);
}

TEST_F(Conformance, Y_23_LargeObjectOfAllTasksIsCopiedOnce)
{
    longs data(5 * MEGABYTE, 1); /* 40 MiB */
    parloom_arg args[] = { contract::in(data) };
    parloom_report report = empty_report();
    parloom_options given = on("processes");
    given.batch_size = 1;
    given.report = &report;
    ASSERT_OK(parloom_for(8, do_nothing, args, 1, &given, &error));
    EXPECT_EQ(report.spilled_nbytes, 40 * MEGABYTE);
    ASSERT_OK(parloom_publish(data.data(), 40 * MEGABYTE, &error));
    for (size_t expected : { 40 * MEGABYTE, size_t{ 0 }, size_t{ 0 } }) {
        ASSERT_OK(parloom_for(8, do_nothing, args, 1, &given, &error));
        EXPECT_EQ(report.spilled_nbytes, expected);
    }
    parloom_unpublish(data.data());
}

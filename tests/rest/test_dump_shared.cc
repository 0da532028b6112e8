/* SPDX-License-Identifier: BSD-3-Clause */
/* test_dump_shared.cc - dumps into memory, and loads, that are so long that several threads share them. */
#include "support/scratch.h"
#include "support/waiting.h"

#include "base/fault.h"

#include <parloom/parloom.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

namespace
{

const size_t SHARE_ITEMS = (size_t{ 32 } << 20) / 8, HEADER = 128;

class DumpShared : public MemoryScratch
{
  protected:
    static std::vector<uint64_t> numbers(size_t count)
    {
        std::vector<uint64_t> made(count);
        for (size_t k = 0; k < count; k++) made[k] = k * 0x9e3779b97f4a7c15U;
        return made;
    }
    parloom_status dump(std::vector<uint64_t> &items, int n_jobs)
    {
        size_t count = items.size();
        parloom_array array = parloom_array_wrap(items.data(), PARLOOM_U64, 1, &count);
        parloom_dump_options options = {};
        options.n_jobs = n_jobs;
        return parloom_array_dump_with(&array, path("a.npy").c_str(), &options, &error);
    }
    /* The file has these items, in its own byte order. */
    void expect_loaded(const std::vector<uint64_t> &items, int n_jobs)
    {
        parloom_load_options options = {};
        parloom_array got;
        options.n_jobs = n_jobs;
        ASSERT_EQ(parloom_array_load_with(&got, path("a.npy").c_str(), &options, &error), PARLOOM_OK) << error.message;
        ASSERT_EQ(parloom_array_nbytes(&got), items.size() * 8);
        EXPECT_EQ(memcmp(got.data, items.data(), items.size() * 8), 0) << n_jobs;
        parloom_array_release(&got);
    }
    parloom_error error = {};
};

} // namespace

TEST_F(DumpShared, HaveTheSameBytesForAnyNumberOfThreads)
{
    for (size_t count : { SHARE_ITEMS - HEADER / 8 + 1, 2 * SHARE_ITEMS - HEADER / 8, 2 * SHARE_ITEMS + 77 }) {
        std::vector<uint64_t> items = numbers(count);
        for (int n_jobs : { 1, 2, 3, 0 }) {
            ASSERT_EQ(dump(items, n_jobs), PARLOOM_OK) << error.message;
            std::string file = read(path("a.npy"));
            ASSERT_EQ(file.size(), HEADER + count * 8);
            EXPECT_EQ(memcmp(file.data() + HEADER, items.data(), count * 8), 0) << n_jobs;
            EXPECT_EQ(names(), std::vector<std::string>{ "a.npy" });
            expect_loaded(items, n_jobs);
            expect_loaded(items, n_jobs); /* into memory that is there already */
        }
    }
}

TEST_F(DumpShared, InTheOtherByteOrderAreTurnedByAllThreads)
{
    std::vector<uint64_t> items = numbers(2 * SHARE_ITEMS + 5);
    ASSERT_EQ(dump(items, 2), PARLOOM_OK) << error.message;
    int fd = open(path("a.npy").c_str(), O_RDWR | O_CLOEXEC);
    char order = 0;
    const off_t at = static_cast<off_t>(read(path("a.npy")).substr(0, HEADER).find("u8'") - 1);
    ASSERT_EQ(pread(fd, &order, 1, at), 1);
    order = order == '<' ? '>' : '<';
    ASSERT_EQ(pwrite(fd, &order, 1, at), 1);
    close(fd);
    for (uint64_t &item : items) item = __builtin_bswap64(item);
    for (int n_jobs : { 1, 3 }) expect_loaded(items, n_jobs);
}

TEST_F(DumpShared, OfMemoryThatVanishedAreAStatus)
{
    const size_t count = 3 * SHARE_ITEMS;
    int fd = open(path("raw").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_EQ(ftruncate(fd, static_cast<off_t>(count * 8)), 0);
    void *start = mmap(nullptr, count * 8, PROT_READ, MAP_SHARED, fd, 0);
    ASSERT_NE(start, MAP_FAILED);
    parloom_array array = parloom_array_wrap(start, PARLOOM_U64, 1, &count);
    for (size_t left : { SHARE_ITEMS * 8 + 8192, size_t{ 4096 } }) {
        ASSERT_EQ(ftruncate(fd, static_cast<off_t>(left)), 0);
        write(path("a.npy"), "old");
        EXPECT_EQ(parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, &error), PARLOOM_ERR_IO);
        EXPECT_EQ(error.sys_errno, EFAULT);
        EXPECT_EQ(read(path("a.npy")), "old");
        EXPECT_EQ(names(), (std::vector<std::string>{ "a.npy", "raw" }));
    }
    munmap(start, count * 8);
    close(fd);
}

TEST_F(DumpShared, OfAFileThatIsCutShortMeanwhileAreAStatus)
{
    std::vector<uint64_t> items = numbers(3 * SHARE_ITEMS);
    ASSERT_EQ(dump(items, 0), PARLOOM_OK) << error.message;
    ASSERT_EQ(truncate(path("a.npy").c_str(), static_cast<off_t>(2 * SHARE_ITEMS * 8)), 0);
    parloom_array got;
    EXPECT_EQ(parloom_array_load(&got, path("a.npy").c_str(), PARLOOM_MMAP_UNSET, &error), PARLOOM_ERR_FORMAT);
}

/* Threads that stayed would keep the backend fork from being used. */
TEST_F(DumpShared, LeaveNoThread)
{
    std::vector<uint64_t> items = numbers(2 * SHARE_ITEMS);
    auto threads = [] {
        auto list = std::filesystem::directory_iterator("/proc/self/task");
        return std::distance(std::filesystem::begin(list), std::filesystem::end(list));
    };
    std::thread([] {}).join(); /* with the first one a sanitizer starts one of its own */
    auto before = threads();
    ASSERT_EQ(dump(items, 3), PARLOOM_OK) << error.message;
    expect_loaded(items, 3);
    EXPECT_TRUE(loom::comes_true([&] { return threads() == before; })) << threads();
}

TEST_F(DumpShared, WithinATaskAreTheSame)
{
    std::vector<uint64_t> items = numbers(SHARE_ITEMS + 500);
    std::string file = path("a.npy");
    size_t count = items.size();
    parloom_array array = parloom_array_wrap(items.data(), PARLOOM_U64, 1, &count);
    for (const char *backend : { "threads", "processes" }) {
        parloom_options options = PARLOOM_OPTIONS_INIT;
        options.backend = backend;
        options.n_jobs = 2;
        const parloom_arg args[] = { parloom_in_array(&array), parloom_in(file.c_str(), file.size() + 1) };
        auto body = [](const parloom_task *task, void *const *given) {
            std::string own = static_cast<const char *>(given[1]) + std::to_string(task->index);
            return parloom_array_dump(static_cast<const parloom_array *>(given[0]), own.c_str(), nullptr, 0, nullptr) ==
                           PARLOOM_OK
                       ? 0
                       : 1;
        };
        ASSERT_EQ(parloom_for(2, body, args, 2, &options, &error), PARLOOM_OK) << error.message;
        for (const char *which : { "0", "1" }) {
            std::filesystem::rename(file + which, file);
            expect_loaded(items, 2);
        }
    }
}

#ifdef PARLOOM_FAULTS
TEST_F(DumpShared, ThatFindNoRoomLeaveTheOldFileWhole)
{
    std::vector<uint64_t> items = numbers(2 * SHARE_ITEMS + 77);
    size_t descriptors = 0;
    for (unsigned nth : { 1U, 2U, 5U, 18U, 30U }) {
        write(path("a.npy"), "old");
        loom_fault_arm(LOOM_FAULT_FALLOCATE, nth, ENOSPC, true);
        parloom_status status = dump(items, 2);
        loom_fault_disarm();
        EXPECT_EQ(status, PARLOOM_ERR_SPACE) << nth;
        EXPECT_EQ(read(path("a.npy")), "old");
        EXPECT_EQ(names(), std::vector<std::string>{ "a.npy" });
        if (descriptors == 0) descriptors = open_descriptors();
        EXPECT_EQ(open_descriptors(), descriptors);
    }
}
#endif

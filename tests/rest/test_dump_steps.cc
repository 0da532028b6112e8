/* SPDX-License-Identifier: BSD-3-Clause */
/* test_dump_steps.cc - dumps that are killed before and after each of their system calls, and what a durable one asks.
 */
#include "rest/samples.h"
#include "rest/stepped.h"
#include "support/sanitizers.h"
#include "support/scratch.h"

#include "base/fault.h"

#include <algorithm>
#include <cstring>

namespace
{

class DumpSteps : public Scratch
{
  protected:
    void SetUp() override
    {
        Scratch::SetUp();
        std::string bytes(OLD_ITEMS, 'a');
        size_t count = OLD_ITEMS;
        parloom_array array = parloom_array_wrap(bytes.data(), PARLOOM_U8, 1, &count);
        ASSERT_EQ(parloom_array_dump(&array, path("old").c_str(), nullptr, 0, nullptr), PARLOOM_OK);
        old_bytes = read(path("old"));
        std::filesystem::remove(path("old"));
    }
    /* Strided, so that it is gathered in pieces. */
    int dump_new(const std::string &file, bool is_durable) const
    {
        std::vector<char> memory(2 * NEW_ITEMS, 'b');
        size_t count = NEW_ITEMS;
        ptrdiff_t stride = 2;
        parloom_array array = parloom_array_wrap_strided(memory.data(), PARLOOM_U8, 1, 1, &count, &stride);
        return (is_durable ? parloom_array_dump_durable : parloom_array_dump)(&array, file.c_str(), nullptr, 0,
                                                                              nullptr) == PARLOOM_OK
                   ? 0
                   : 1;
    }
    /* So long that it goes into huge pages where the folder lies in memory. */
    int dump_long(const std::string &file) const
    {
        std::vector<char> memory(LONG_ITEMS, 'b');
        size_t count = LONG_ITEMS;
        parloom_array array = parloom_array_wrap(memory.data(), PARLOOM_U8, 1, &count);
        return parloom_array_dump(&array, file.c_str(), nullptr, 0, nullptr) == PARLOOM_OK ? 0 : 1;
    }
    /* Two pieces. */
    static int dump_packed(const std::string &file, const char *codec)
    {
        std::vector<char> memory(((size_t)4 << 20) + 100, 'b');
        size_t count = memory.size();
        parloom_array array = parloom_array_wrap(memory.data(), PARLOOM_U8, 1, &count);
        return parloom_array_dump(&array, file.c_str(), codec, 1, nullptr) == PARLOOM_OK ? 0 : 1;
    }
    int dump_archive(const std::string &file) const
    {
        std::vector<char> memory(NEW_ITEMS, 'b');
        size_t count = NEW_ITEMS;
        parloom_array array = parloom_array_wrap(memory.data(), PARLOOM_U8, 1, &count);
        const char *name = "b";
        return parloom_npz_dump(file.c_str(), &name, &array, 1, nullptr, 0, nullptr) == PARLOOM_OK ? 0 : 1;
    }
    /* Kills work at each stop, with and without a file that is there before: what has the name is the old one or the
     * new one, whole. How many stops there were. */
    int expect_whole(const std::function<int(const std::string &)> &work)
    {
        std::string file = path("a.npy");
        EXPECT_EQ(work(file), 0);
        std::string new_bytes = read(file);
        int stops = 0, were_old = 0, were_new = 0;
        for (bool has_old : { true, false })
            for (int kill_at = 0;; kill_at++) {
                std::filesystem::remove(file);
                if (has_old) write(file, old_bytes);
                loom::stepped run = loom::run_stepped([&] { return work(file); }, kill_at);
                std::string found = read(file);
                EXPECT_TRUE(found == new_bytes || found == (has_old ? old_bytes : "")) << has_old << " " << kill_at;
                (found == new_bytes ? were_new : were_old)++;
                /* Only between its two last steps can it have a second name. */
                EXPECT_LE(names().size(), 2U);
                EXPECT_EQ(work(file), 0); /* which removes what the killed one left */
                EXPECT_EQ(names(), std::vector<std::string>{ "a.npy" }) << has_old << " " << kill_at;
                EXPECT_EQ(read(file), new_bytes);
                stops++;
                if (!run.was_killed) break;
            }
        EXPECT_GT(were_old, 10);
        EXPECT_GT(were_new, 2);
        return stops;
    }
    static constexpr size_t OLD_ITEMS = 5000, NEW_ITEMS = 70000, LONG_ITEMS = (size_t{ 2 } << 20) + 300;
    std::string old_bytes;
};

} // namespace

TEST_F(DumpSteps, KilledAtEverySystemCallLeaveTheOldFileOrTheNewOne)
{
#ifdef LOOM_TEST_SANITIZED
    GTEST_SKIP() << "a sanitizer makes system calls of its own";
#endif
    EXPECT_GT(expect_whole([this](const std::string &file) { return dump_new(file, false); }), 40);
}

TEST_F(DumpSteps, OfADurableDumpAreAsSafe)
{
#ifdef LOOM_TEST_SANITIZED
    GTEST_SKIP() << "a sanitizer makes system calls of its own";
#endif
    EXPECT_GT(expect_whole([this](const std::string &file) { return dump_new(file, true); }), 40);
}

TEST_F(DumpSteps, OfALongDumpIntoMemoryAreAsSafe)
{
#ifdef LOOM_TEST_SANITIZED
    GTEST_SKIP() << "a sanitizer makes system calls of its own";
#endif
    std::filesystem::remove_all(folder);
    std::string pattern = "/dev/shm/parloom-test-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) GTEST_SKIP() << "no folder can be made in /dev/shm";
    folder = pattern;
    EXPECT_GT(expect_whole([this](const std::string &file) { return dump_long(file); }), 60);
}

/* Between any two system calls of a dump somebody cuts the file short in which the array lies: the dump is whole, or a
 * status and not there, and nobody dies of it. */
TEST_F(DumpSteps, BetweenWhichTheMappedFileIsCutShortAreAStatus)
{
#ifdef LOOM_TEST_SANITIZED
    GTEST_SKIP() << "a sanitizer makes system calls of its own";
#endif
    const std::string source = path("source"), file = path("a.npy");
    const std::string bytes(3 << 20, 'c');
    auto dump = [&](size_t step, const char *way) {
        parloom_array array;
        size_t count = bytes.size() / step;
        auto stride = static_cast<ptrdiff_t>(step);
        if (parloom_array_map(&array, source.c_str(), PARLOOM_MMAP_R, 0, PARLOOM_U8, 0, 1, &count, &stride, nullptr) !=
            PARLOOM_OK)
            return 1;
        const char *name = "a";
        parloom_status status =
            std::string(way) == "npz"
                ? parloom_npz_dump(file.c_str(), &name, &array, 1, nullptr, 0, nullptr)
                : parloom_array_dump(&array, file.c_str(), way, std::string(way) == "zlib" ? 1 : 0, nullptr);
        return status == PARLOOM_OK ? 0 : status == PARLOOM_ERR_IO ? 2 : 3;
    };
    for (const char *way : { "none", "npz", "zlib" })
        for (size_t step : { 1U, 3U, 9000U }) {
            write(source, bytes);
            ASSERT_EQ(dump(step, way), 0);
            const std::string whole = read(file);
            int refused = 0, done = 0;
            bool is_last = false;
            for (int cut_at = 0; !is_last; cut_at += 1 + cut_at / 16) {
                std::filesystem::remove(file);
                write(source, bytes);
                is_last = true;
                loom::stepped run = loom::run_stepped([&] { return dump(step, way); }, -1,
                                                      [&](int stop) {
                                                          if (stop != cut_at) return;
                                                          is_last = false;
                                                          std::filesystem::resize_file(source, 4096);
                                                      });
                ASSERT_TRUE(WIFEXITED(run.status)) << "killed by signal " << WTERMSIG(run.status) << " at " << cut_at;
                int code = WEXITSTATUS(run.status);
                EXPECT_TRUE(code <= 2) << code; /* 1: cut before it was mapped */
                EXPECT_EQ(read(file) == whole, code == 0) << cut_at;
                EXPECT_EQ(std::filesystem::exists(file), code == 0) << cut_at;
                (code == 2 ? refused : done)++;
            }
            EXPECT_GT(refused, 3) << step;
            EXPECT_GT(done, 1) << step;
        }
}

TEST_F(DumpSteps, OfAnArchiveAreAsSafe)
{
#ifdef LOOM_TEST_SANITIZED
    GTEST_SKIP() << "a sanitizer makes system calls of its own";
#endif
    EXPECT_GT(expect_whole([this](const std::string &file) { return dump_archive(file); }), 40);
}

TEST_F(DumpSteps, OfACompressedDumpAreAsSafe)
{
#ifdef LOOM_TEST_SANITIZED
    GTEST_SKIP() << "a sanitizer makes system calls of its own";
#endif
    const char *names[64];
    size_t count = std::min<size_t>(parloom_codec_list(names, 64), 64);
    size_t tried = 0;
    for (const char *codec : { "gzip", "zlib" }) {
        if (std::none_of(names, names + count, [=](const char *name) { return strcmp(name, codec) == 0; })) continue;
        EXPECT_GT(expect_whole([=](const std::string &file) { return dump_packed(file, codec); }), 40) << codec;
        tried++;
    }
    if (tried == 0) GTEST_SKIP() << "this build compresses nothing";
}

/* The bytes are on the disk before they have the name, the name before the call returns. */
TEST_F(DumpSteps, OfADurableDumpForceTheFileAndThenItsName)
{
    for (bool has_old : { false, true }) {
        std::string file = path("a.npy");
        std::filesystem::remove(file);
        if (has_old) write(file, "old");
        loom::stepped plain = loom::run_stepped([&] { return dump_new(file, false); }, -1);
        if (plain.calls.empty() || plain.calls[0] < 0) GTEST_SKIP() << "system calls cannot be told here";
        EXPECT_EQ(std::count(plain.calls.begin(), plain.calls.end(), SYS_fsync), 0);
        std::filesystem::remove(file);
        if (has_old) write(file, "old");
        std::vector<long> calls = loom::run_stepped([&] { return dump_new(file, true); }, -1).calls;
        auto first = std::find(calls.begin(), calls.end(), SYS_fsync);
        auto named = std::find(calls.begin(), calls.end(), has_old ? SYS_renameat : SYS_linkat);
        ASSERT_EQ(std::count(calls.begin(), calls.end(), SYS_fsync), 2);
        ASSERT_NE(named, calls.end());
        EXPECT_LT(std::find(calls.begin(), calls.end(), SYS_pwrite64), first);
        EXPECT_LT(first, named);
        EXPECT_NE(std::find(named, calls.end(), SYS_fsync), calls.end());
    }
}

#ifdef PARLOOM_FAULTS
TEST_F(DumpSteps, OfADurableDumpThatTheDiskRefusesAreAStatus)
{
    std::string file = path("a.npy");
    double value = 1;
    parloom_array array = parloom_array_wrap(&value, PARLOOM_F64, 0, nullptr);
    parloom_error error;
    for (unsigned nth : { 1U, 2U }) {
        write(file, "old");
        loom_fault_arm(LOOM_FAULT_SYNC, nth, EIO, false);
        EXPECT_EQ(parloom_array_dump_durable(&array, file.c_str(), nullptr, 0, &error), PARLOOM_ERR_IO);
        loom_fault_disarm();
        EXPECT_EQ(error.sys_errno, EIO);
        EXPECT_NE(std::strstr(error.message, file.c_str()), nullptr) << error.message;
        EXPECT_EQ(read(file).size(), nth == 1 ? 3U : 136U);
        EXPECT_EQ(names(), std::vector<std::string>{ "a.npy" });
    }
}
#endif

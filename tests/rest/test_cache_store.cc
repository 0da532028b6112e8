/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cache_store.cc - what happens to entries when the disk, other writers or death interfere. */
#include "support/cache_kit.h"
#include "support/clean.h"
#include "support/comma_locale.h"
#include "support/sanitizers.h"
#include "support/waiting.h"

#include "base/fault.h"

#include <cerrno>
#include <csignal>
#include <functional>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>

using namespace loom;

namespace
{

#ifdef LOOM_TEST_SANITIZED
const int KILL_STEP = 7; /* each run is that much slower */
#else
const int KILL_STEP = 1;
#endif

class CacheDisk : public Clean
{
  protected:
    void TearDown() override
    {
        kit.close();
        Clean::TearDown();
    }
    /* Nothing is left of writers, and what is there is a hit that is right, or recomputed. */
    void expect_sound(parloom_cached *function, const std::string &where)
    {
        size_t before = kit.runs();
        bool is_there = kit.check(function, 100, 0.5);
        EXPECT_EQ(kit.call(function, 100, 0.5), CacheKit::want(100, 0.5)) << where;
        EXPECT_EQ(kit.runs() - before, is_there ? 0u : 1u) << where;
        kit.call(function, 100, 0.5, true);
        EXPECT_EQ(kit.orphans(), 0u) << where;
        EXPECT_EQ(kit.entries().size(), 1u) << where;
    }
    /* Killed at each of its stops, where nothing was and where an entry is replaced. */
    void expect_survived(const parloom_cache_options *options, int step);
    CacheKit kit;
};

void flip(const std::filesystem::path &file, std::streamoff at)
{
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(at);
    char byte = static_cast<char>(stream.get() ^ 1);
    stream.seekp(at);
    stream.put(byte);
}

/* A child that calls, stopped at each system call; killed at the nth stop. False: it ended before. */
bool is_killed_at(int nth, const std::function<void()> &work)
{
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        raise(SIGSTOP);
        work();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ptrace(PTRACE_SETOPTIONS, child, nullptr, reinterpret_cast<void *>(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD));
    for (int stop = 0; WIFSTOPPED(status); stop++) {
        if (stop == nth) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return true;
        }
        ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
        waitpid(child, &status, 0);
    }
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    return false;
}

void CacheDisk::expect_survived(const parloom_cache_options *options, int step)
{
    parloom_cached *function = kit.ramp_in(options);
    parloom_cache *cache = kit.open();
    for (bool is_replacing : { false, true }) {
        for (int nth = 0;; nth += step) {
            ASSERT_EQ(parloom_cache_clear(cache, &kit.error), PARLOOM_OK);
            if (is_replacing) kit.call(function, 100, 0.5);
            bool is_killed = is_killed_at(nth, [&] { kit.call(function, 100, 0.5, is_replacing); });
            EXPECT_TRUE(!is_replacing || kit.check(function, 100, 0.5)) << nth;
            expect_sound(function, "killed at stop " + std::to_string(nth));
            if (HasFailure()) return;
            if (!is_killed) break;
            EXPECT_LT(nth, 3000);
        }
    }
}

} // namespace

TEST_F(CacheDisk, ComputesDamagedEntriesAgainWithOneWarning)
{
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 100, 0.5);
    std::filesystem::path entry = kit.entries().at(0), data = entry / "result.npy", about = entry / "metadata.json";
    const std::vector<std::function<void()>> damages = {
        [&] { std::filesystem::resize_file(data, 0); },
        [&] { std::filesystem::resize_file(data, 50); },
        [&] { std::filesystem::resize_file(data, 900); },
        [&] { std::filesystem::remove(data); },
        [&] { flip(data, 0); },
        [&] { std::filesystem::remove(data), std::filesystem::create_directory(data); },
        [&] { std::filesystem::remove(about); },
        [&] { std::filesystem::resize_file(about, 0); },
        [&] { std::filesystem::resize_file(about, std::filesystem::file_size(about) - 3); },
        [&] { flip(about, 40); },
        [&] { std::ofstream(about) << "{}"; },
        [&] { std::filesystem::remove(about), std::filesystem::create_directory(about); },
        [&] { std::filesystem::remove(about), mkfifo(about.c_str(), 0600); },
        [&] { std::ofstream(about, std::ios::app) << "x"; },
    };
    for (size_t k = 0; k < damages.size(); k++) {
        announce("is corrupted and is computed again");
        damages[k]();
        size_t warned = warnings().size(), runs = kit.runs();
        EXPECT_EQ(kit.call(function, 100, 0.5), CacheKit::want(100, 0.5)) << k;
        EXPECT_EQ(kit.runs(), runs + 1) << k;
        EXPECT_EQ(warnings().size(), warned + 1) << k;
        kit.call(function, 100, 0.5);
        EXPECT_TRUE(kit.info.is_hit) << k;
    }
    EXPECT_EQ(kit.orphans(), 0u);
}

/* What is no number would make an entry that never expires. */
TEST_F(CacheDisk, TakesTimesThatAreNoneForDamage)
{
    parloom_cached *function = kit.ramp_in();
    const size_t head = strlen("  \"created_s\": ");
    for (const char *time : { "nan", "inf", "-1.5", "0x1p30", "1e300", "1", ".5", "1.0000000001", "" }) {
        kit.call(function, 10, 2, true);
        std::filesystem::path file = kit.entries().at(0) / "metadata.json";
        std::ifstream stream(file);
        std::string text{ std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>() };
        size_t at = text.find("  \"created_s\": ") + head;
        text.replace(at, text.find(',', at) - at, time);
        announce("is corrupted and is computed again");
        std::ofstream(file) << text;
        EXPECT_FALSE(kit.check(function, 10, 2)) << time;
    }
}

/* printf and scanf follow the locale: what is kept must not, since another program reads it under another one. */
TEST_F(CacheDisk, MeansTheSameInEveryLocale)
{
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 10, 0.5);
    if (!set_comma_locale()) GTEST_SKIP() << "needs the Debian package locales";
    ASSERT_STREQ(localeconv()->decimal_point, ",");
    EXPECT_EQ(kit.call(function, 10, 0.5), CacheKit::want(10, 0.5));
    EXPECT_EQ(kit.runs(), 1u);
    kit.call(function, 10, -2.5e-7);
    EXPECT_TRUE(kit.check(function, 10, -2.5e-7));
    setlocale(LC_NUMERIC, "C");
    EXPECT_TRUE(kit.check(function, 10, -2.5e-7));
    EXPECT_EQ(kit.runs(), 2u);
}

TEST_F(CacheDisk, TakesAnArrayOfAnotherKindForDamage)
{
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 100, 0.5);
    float items[100] = {};
    const size_t shape[] = { 100 };
    parloom_array other = parloom_array_wrap(items, PARLOOM_F32, 1, shape);
    ASSERT_EQ(parloom_array_dump(&other, (kit.entries().at(0) / "result.npy").c_str(), nullptr, 0, &kit.error),
              PARLOOM_OK);
    announce("another kind of array than declared");
    EXPECT_EQ(kit.call(function, 100, 0.5), CacheKit::want(100, 0.5));
    EXPECT_EQ(kit.runs(), 2u);
}

TEST_F(CacheDisk, TakesAnEntryUnderAnotherKeyForDamage)
{
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 100, 0.5);
    std::string key = kit.info.key;
    kit.call(function, 100, 2);
    std::filesystem::remove_all(kit.root() / "ramp" / kit.info.key);
    std::filesystem::rename(kit.root() / "ramp" / key, kit.root() / "ramp" / kit.info.key);
    announce("is not of this call");
    EXPECT_EQ(kit.call(function, 100, 2), CacheKit::want(100, 2));
    EXPECT_EQ(kit.runs(), 3u);
}

TEST_F(CacheDisk, ReplacesAFileThatHasTheNameOfAnEntry)
{
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 100, 0.5);
    std::filesystem::path entry = kit.entries().at(0);
    std::filesystem::remove_all(entry);
    std::ofstream(entry) << "no folder";
    expect_sound(function, "a file");
}

TEST_F(CacheDisk, MakesWhatWasDeletedAgain)
{
    parloom_cached *function = kit.ramp_in();
    for (const auto &gone : { kit.root() / "ramp", kit.root() / ".work", kit.root(), kit.folder / "cache" }) {
        kit.call(function, 100, 0.5);
        std::filesystem::remove_all(gone);
        expect_sound(function, gone);
    }
}

TEST_F(CacheDisk, KeepsAGitignoreThatIsThere)
{
    std::filesystem::create_directories(kit.root());
    std::ofstream(kit.root() / ".gitignore") << "mine";
    kit.call(kit.ramp_in(), 1, 1);
    std::ifstream stream(kit.root() / ".gitignore");
    std::string text;
    stream >> text;
    EXPECT_EQ(text, "mine");
}

TEST_F(CacheDisk, ReturnsResultsThatCannotBeKeptWithOneWarning)
{
    std::ofstream(kit.location) << "a file where the folder should be";
    parloom_cached *function = kit.ramp_in();
    announce("could not be kept in the cache");
    for (size_t round = 1; round <= 3; round++) {
        EXPECT_EQ(kit.call(function, 100, 0.5), CacheKit::want(100, 0.5));
        EXPECT_EQ(kit.runs(), round);
    }
    EXPECT_EQ(warnings().size(), 1u);
}

TEST_F(CacheDisk, ReadsWhereItMayNotWrite)
{
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 100, 0.5);
    kit.close();
    std::filesystem::permissions(kit.folder, std::filesystem::perms(0755));
    std::ofstream(kit.log).close();
    std::filesystem::permissions(kit.log, std::filesystem::perms(0666));
    pid_t child = fork();
    if (child == 0) {
        if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0) _exit(1);
        function = kit.ramp_in();
        if (kit.call(function, 100, 0.5) != CacheKit::want(100, 0.5) || !kit.info.is_hit) _exit(2);
        static int warned = 0;
        parloom_set_log([](int level, const char *, void *) { warned += level <= 2 ? 1 : 0; }, nullptr);
        for (int round = 0; round < 2; round++)
            if (kit.call(function, 7, 0.5) != CacheKit::want(7, 0.5) || kit.info.is_hit) _exit(3);
        _exit(warned == 1 ? 0 : 4);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(CacheDisk, SurvivesDeathAtEverySystemCallOfAWrite)
{
    expect_survived(nullptr, KILL_STEP);
}

TEST_F(CacheDisk, SurvivesDeathAtEverySystemCallOfADurableWriteThatIsMapped)
{
    parloom_cache_options options = cache_options();
    kit.move_to_memory();
    options.is_durable = true;
    options.mmap_mode = PARLOOM_MMAP_R;
    options.verify = PARLOOM_CACHE_VERIFY_ALWAYS;
    expect_survived(&options, KILL_STEP);
}

TEST_F(CacheDisk, SurvivesDeathAtEverySystemCallOfACompressedWriteWithinLimits)
{
    parloom_cache_options options = cache_options();
    options.codec = "gzip";
    options.n_items = 1;
    expect_survived(&options, KILL_STEP);
}

/* What is left of it is gone with the next reduction, too. */
TEST_F(CacheDisk, LeavesNothingOfADeadWriterAfterAReduction)
{
    parloom_cached *function = kit.ramp_in();
    parloom_cache *cache = kit.open();
    size_t with_orphans = 0;
    for (int nth = 0;; nth += KILL_STEP) {
        bool is_killed = is_killed_at(nth, [&] { kit.call(function, 100, 0.5, true); });
        with_orphans += kit.orphans() > 0 ? 1 : 0;
        ASSERT_EQ(parloom_cache_reduce(cache, 0, 0, 0, &kit.error), PARLOOM_OK);
        EXPECT_EQ(kit.orphans(), 0u) << nth;
        if (HasFailure() || !is_killed) break;
    }
    EXPECT_GT(with_orphans, 0u);
}

TEST_F(CacheDisk, SurvivesDeathAtEverySystemCallOfAClear)
{
    parloom_cached *function = kit.ramp_in();
    parloom_cache *cache = kit.open();
    for (int nth = 0;; nth += KILL_STEP) {
        kit.call(function, 100, 0.5);
        bool is_killed = is_killed_at(nth, [&] { parloom_cache_clear(cache, nullptr); });
        expect_sound(function, "killed at stop " + std::to_string(nth));
        if (HasFailure() || !is_killed) break;
    }
}

#ifdef PARLOOM_FAULTS
TEST_F(CacheDisk, ReturnsTheResultWhateverFailsInKeepingIt)
{
    parloom_cached *function = kit.ramp_in();
    parloom_cache *cache = kit.open();
    for (loom_fault_kind kind : { LOOM_FAULT_OPEN, LOOM_FAULT_FALLOCATE, LOOM_FAULT_WRITE, LOOM_FAULT_MALLOC })
        for (bool from_then_on : { false, true })
            for (unsigned nth = 1;; nth++) {
                ASSERT_EQ(parloom_cache_clear(cache, &kit.error), PARLOOM_OK);
                auto args = kit.values(100, 0.5);
                parloom_array result = {};
                loom_fault_arm(kind, nth, kind == LOOM_FAULT_MALLOC ? ENOMEM : ENOSPC, from_then_on);
                kit.status = parloom_cache_call(function, args.data(), args.size(), &result, &kit.info, &kit.error);
                bool is_hit = loom_fault_hits(kind) >= nth;
                loom_fault_disarm();
                std::string where = std::to_string(kind) + " " + std::to_string(nth) + ": " + kit.error.message;
                if (kit.status == PARLOOM_OK) {
                    EXPECT_EQ(result.shape[0], 100u) << where;
                    parloom_array_release(&result);
                } else /* only where there was no memory for the result, or for the question */
                    EXPECT_TRUE(kind == LOOM_FAULT_MALLOC || kit.status == PARLOOM_ERR_SPACE ||
                                kit.status == PARLOOM_ERR_CALLBACK || kit.status == PARLOOM_ERR_MEMORY)
                        << where;
                expect_sound(function, where);
                if (HasFailure()) return;
                if (!is_hit) break;
            }
    for (const auto &line : warnings()) announce(line.substr(0, 40));
}
#endif

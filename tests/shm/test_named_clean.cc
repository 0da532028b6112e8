/* SPDX-License-Identifier: BSD-3-Clause */
/* test_named_clean.cc - leftovers of dead owners are removed, arrays of the living never; kills at awkward moments. */
#include "shm/named_arrays.h"
#include "support/sanitizers.h"
#include "support/waiting.h"
#include "tests/shm/shm_support.h"

#include <atomic>
#include <csignal>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <thread>

using namespace named;

namespace
{

ino_t inode_of(const std::string &name)
{
    struct stat about;
    return stat(path_of(name).c_str(), &about) == 0 ? about.st_ino : 0;
}

/* Words that processes of a test share. */
struct Words {
    std::atomic<int> word[4];
};

Words *share_words()
{
    void *memory = mmap(nullptr, sizeof(Words), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return new (memory) Words{};
}

} // namespace

class NamedClean : public Named
{
};

/* ----------------------------------------------------------------------- who owns */

TEST_F(NamedClean, RemovesWhatADeadProgramLeftAndNothingOfTheLiving)
{
    parloom_array living, seen;
    ASSERT_EQ(create(&living, "living", 10), PARLOOM_OK) << error.message;
    ASSERT_TRUE(leave("dead"));
    ASSERT_TRUE(leave("dead-too"));
    ASSERT_EQ(open(&seen, "dead"), PARLOOM_OK) << error.message;
    EXPECT_EQ(clean(), 2U) << "who has one open is not its owner";
    EXPECT_EQ(names(), std::vector<std::string>{ name("living") });
    EXPECT_EQ(static_cast<double *>(seen.data)[9], 0) << "its memory is still there";
    EXPECT_EQ(clean(), 0U);
    parloom_array_release(&seen);
    parloom_array_release(&living);
    EXPECT_EQ(clean(), 1U) << "released, and the name left";
    EXPECT_TRUE(names().empty());
}

TEST_F(NamedClean, TakesOnlyNamesWithThePrefix)
{
    ASSERT_TRUE(leave("field-1"));
    ASSERT_TRUE(leave("field-2"));
    ASSERT_TRUE(leave("other"));
    EXPECT_EQ(clean("field-"), 2U);
    EXPECT_EQ(clean("field-"), 0U);
    EXPECT_EQ(names(), std::vector<std::string>{ name("other") });
    EXPECT_EQ(parloom_clean_named(name("oth").c_str(), nullptr, nullptr), PARLOOM_OK);
    EXPECT_TRUE(names().empty());
}

TEST_F(NamedClean, LeavesFilesThatAreNoNamedArrays)
{
    ASSERT_TRUE(leave("newer"));
    std::string bytes = read(name("newer"));
    bytes[12] = 2;
    write(name("newer"), bytes); /* a version whose locks may mean something else */
    write(name("foreign"), std::string(10000, 'x'));
    write(name("short"), "\223PARLOOM");
    ASSERT_EQ(mkfifo(path_of(name("pipe")).c_str(), 0600), 0);
    ASSERT_EQ(symlink(path_of(name("newer")).c_str(), path_of(name("link")).c_str()), 0);
    EXPECT_EQ(clean(), 0U);
    EXPECT_EQ(names().size(), 5U);
}

TEST_F(NamedClean, LeavesArraysOfOtherUsers)
{
    if (geteuid() != 0) GTEST_SKIP() << "needs the right to give files away (root)";
    ASSERT_TRUE(leave("others"));
    ASSERT_EQ(chown(path_of(name("others")).c_str(), 12345, 12345), 0);
    EXPECT_EQ(clean(), 0U);
    EXPECT_TRUE(exists(name("others")));
    parloom_array array;
    EXPECT_EQ(open(&array, "others"), PARLOOM_ERR_IO);
    EXPECT_EQ(error.sys_errno, EPERM);
    EXPECT_EQ(unlink("others"), PARLOOM_ERR_IO);
    EXPECT_EQ(error.sys_errno, EPERM);
    EXPECT_EQ(create(&array, "others", 3), PARLOOM_ERR_IO);
    EXPECT_EQ(error.sys_errno, EEXIST);
}

TEST_F(NamedClean, AsksLocksAndNotNumbersOfProcesses)
{
    ASSERT_TRUE(leave("a"));
    std::string bytes = read(name("a"));
    auto pid = static_cast<uint32_t>(getpid());
    bytes.replace(192, 4, reinterpret_cast<const char *>(&pid), 4);
    write(name("a"), bytes);
    EXPECT_EQ(clean(), 1U) << "the number of its maker is another process by now";
}

TEST_F(NamedClean, CountsForkedChildrenAsOwnersAsLongAsTheyHaveIt)
{
    Words *words = share_words();
    auto wait_for = [&](int value) { return loom::comes_true([&] { return words->word[0] >= value; }); };
    pid_t owner = fork();
    if (owner == 0) {
        parloom_array array;
        if (create(&array, "a", 10) != PARLOOM_OK) _exit(1);
        pid_t heir = fork();
        if (heir == 0) {
            wait_for(1);
            parloom_array_release(&array);
            words->word[1] = 1;
            wait_for(2);
            _exit(0);
        }
        words->word[2] = heir;
        raise(SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(waitpid(owner, &status, 0), owner);
    ASSERT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(clean(), 0U) << "the child has it";
    words->word[0] = 1;
    ASSERT_TRUE(loom::comes_true([&] { return words->word[1] == 1; }));
    EXPECT_EQ(clean(), 1U) << "the child has released it";
    words->word[0] = 2;
    EXPECT_TRUE(loom::comes_true([&] { return loom::is_gone(words->word[2]); }));
    munmap(words, sizeof *words);
}

TEST_F(NamedClean, DoesNotCountProgramsThatAForkBecame)
{
    parloom_array array;
    ASSERT_EQ(create(&array, "a", 10), PARLOOM_OK) << error.message;
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/sleep", "sleep", "1000", nullptr);
        _exit(1);
    }
    std::string program;
    EXPECT_TRUE(loom::comes_true([&] {
        std::ifstream("/proc/" + std::to_string(child) + "/comm") >> program;
        return program == "sleep";
    }));
    parloom_array_release(&array);
    EXPECT_EQ(clean(), 1U);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
}

TEST_F(NamedClean, WaitsNoLongerThanASecondForAStoppedCleaner)
{
    ASSERT_TRUE(leave("a"));
    int fd = ::open(path_of(name("a")).c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_EQ(loom_named_lock(fd, LOOM_NAMED_REMOVAL), 0); /* as one that was stopped in the middle */
    EXPECT_EQ(clean(), 0U);
    EXPECT_EQ(unlink("a"), PARLOOM_ERR_BUSY);
    EXPECT_TRUE(says("stopped"));
    close(fd);
    EXPECT_EQ(unlink("a"), PARLOOM_OK) << error.message;
}

TEST_F(NamedClean, ReturnsWhenTheNameIsFreeAlsoIfOthersFreeIt)
{
    Words *words = share_words();
    ASSERT_TRUE(leave("a"));
    pid_t other = fork();
    if (other == 0) { /* a cleaner that takes its time */
        int fd = ::open(path_of(name("a")).c_str(), O_RDWR | O_CLOEXEC);
        if (loom_named_lock(fd, LOOM_NAMED_REMOVAL) != 0) _exit(1);
        words->word[0] = 1;
        loom::comes_true([&] { return words->word[1] == 1; });
        _exit(::unlink(path_of(name("a")).c_str()) == 0 ? 0 : 2);
    }
    ASSERT_TRUE(loom::comes_true([&] { return words->word[0] == 1; }));
    words->word[1] = 1;
    EXPECT_EQ(clean(), 0U);
    EXPECT_FALSE(exists(name("a")));
    int status = 0;
    ASSERT_EQ(waitpid(other, &status, 0), other);
    EXPECT_EQ(status, 0);
    munmap(words, sizeof *words);
}

/* -------------------------------------------------------------------------- races */

/* Two cleaners and one who unlinks, over and over, while owners of one name come, look and go: each looks that the name
 * is his as long as he has it. */
TEST_F(NamedClean, NeverTakesTheNameOfALivingOwner)
{
    Words *words = share_words();
    enum { CLEANERS = 3, OWNERS = 2, ROUNDS = 300 };
    std::vector<pid_t> cleaners, owners;
    for (int k = 0; k < CLEANERS; k++) {
        pid_t pid = fork();
        cleaners.push_back(pid);
        if (pid != 0) continue;
        while (words->word[0] == 0)
            if (parloom_clean_named(prefix.c_str(), nullptr, &error) != PARLOOM_OK) _exit(1);
        _exit(0);
    }
    for (int k = 0; k < OWNERS; k++) {
        pid_t pid = fork();
        owners.push_back(pid);
        if (pid != 0) continue;
        for (int made = 0; made < ROUNDS;) {
            parloom_array array;
            parloom_status status = create(&array, "a", 100);
            if (status == PARLOOM_ERR_IO && error.sys_errno == EEXIST) continue;
            if (status != PARLOOM_OK) _exit(2);
            ino_t mine = inode_of(name("a"));
            static_cast<double *>(array.data)[0] = getpid();
            for (int look = 0; look < 20; look++) {
                parloom_array seen;
                if (inode_of(name("a")) != mine || mine == 0) _exit(3);
                if (open(&seen, "a") != PARLOOM_OK) _exit(4);
                if (static_cast<double *>(seen.data)[0] != getpid()) _exit(5);
                parloom_array_release(&seen);
            }
            if (made % 2 == 0 && unlink("a") != PARLOOM_OK) _exit(6);
            parloom_array_release(&array);
            made++;
        }
        _exit(0);
    }
    for (pid_t pid : owners) {
        int status = 0;
        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        EXPECT_EQ(status, 0) << WEXITSTATUS(status);
    }
    words->word[0] = 1;
    for (pid_t pid : cleaners) {
        int status = 0;
        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        EXPECT_EQ(status, 0) << WEXITSTATUS(status);
    }
    clean();
    EXPECT_TRUE(names().empty());
    munmap(words, sizeof *words);
}

TEST_F(NamedClean, AndCreateAtTheSameTimeFromThreads)
{
    std::atomic<bool> is_over{ false };
    std::atomic<int> wrong{ 0 };
    std::thread cleaner([&] {
        while (!is_over) wrong += parloom_clean_named(prefix.c_str(), nullptr, nullptr) != PARLOOM_OK;
    });
    std::vector<std::thread> owners;
    for (int k = 0; k < 3; k++)
        owners.emplace_back([&, k] {
            const size_t count = 50;
            std::string mine = name(std::to_string(k));
            for (int round = 0; round < 100; round++) {
                parloom_array array;
                parloom_status status =
                    parloom_array_create_named(&array, mine.c_str(), PARLOOM_F64, 0, 1, &count, nullptr, nullptr);
                wrong += status != PARLOOM_OK || !exists(mine);
                wrong += parloom_array_unlink_named(mine.c_str(), nullptr) != PARLOOM_OK;
                if (status == PARLOOM_OK) parloom_array_release(&array);
            }
        });
    for (std::thread &owner : owners) owner.join();
    is_over = true;
    cleaner.join();
    EXPECT_EQ(wrong, 0);
}

/* -------------------------------------------------------------------------- kills */

#ifndef LOOM_TEST_SANITIZED
namespace
{

/* Runs body in a child that is killed at its k-th stop before or after a system call. False: it ended before. */
template <typename Body> bool is_killed_at(long k, Body body)
{
    pid_t pid = fork();
    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        raise(SIGSTOP);
        _exit(body() ? 0 : 1);
    }
    int status = 0;
    for (long stop = 0; stop <= k; stop++) {
        if (waitpid(pid, &status, 0) != pid) return false;
        if (WIFEXITED(status)) {
            EXPECT_EQ(WEXITSTATUS(status), 0);
            return false;
        }
        if (stop < k) ptrace(PTRACE_SYSCALL, pid, nullptr, nullptr);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return true;
}

} // namespace

TEST_F(NamedClean, FindsAWholeArrayOrNoneAfterAKillAtAnySystemCallOfCreate)
{
    long kills = 0;
    long seen = 0;
    auto body = [&] {
        parloom_array array;
        return create(&array, "a", 3000) == PARLOOM_OK;
    };
    for (; is_killed_at(kills, body); kills++) {
        parloom_array array;
        parloom_status status = open(&array, "a");
        if (status == PARLOOM_OK) {
            seen++;
            EXPECT_EQ(array.shape[0], 3000U);
            EXPECT_EQ(static_cast<double *>(array.data)[2999], 0);
            parloom_array_release(&array);
            EXPECT_EQ(clean(), 1U);
        } else {
            EXPECT_EQ(error.sys_errno, ENOENT) << error.message;
            EXPECT_EQ(clean(), 0U);
        }
        ASSERT_TRUE(names().empty()) << "stop " << kills;
    }
    EXPECT_GT(kills, 20);
    EXPECT_GT(seen, 0);
    EXPECT_EQ(clean(), 1U) << "of the one that was not killed";
}

TEST_F(NamedClean, IsFinishedByTheNextAfterAKillAtAnySystemCall)
{
    long kills = 0;
    auto body = [&] { return parloom_clean_named(prefix.c_str(), nullptr, nullptr) == PARLOOM_OK; };
    do {
        ASSERT_TRUE(names().empty());
        ASSERT_TRUE(leave("a"));
    } while (is_killed_at(kills, body) && clean() <= 1 && ++kills < 10000);
    EXPECT_GT(kills, 10);
    kills = 0;
    auto other = [&] { return parloom_array_unlink_named(name("a").c_str(), nullptr) == PARLOOM_OK; };
    do {
        ASSERT_TRUE(names().empty());
        ASSERT_TRUE(leave("a"));
    } while (is_killed_at(kills, other) && clean() <= 1 && ++kills < 10000);
    EXPECT_GT(kills, 5);
    EXPECT_TRUE(names().empty());
}

#ifdef PARLOOM_FAULTS
/* Where files cannot be made without a name. In a /dev/shm of its own: hidden names have no prefix of the test's. */
TEST_F(NamedClean, RemovesHiddenFilesThatAKillLeft)
{
    int code = InChildWithShm("16m", [&] {
        long kills = 0;
        long found = 0;
        auto body = [&] {
            parloom_array array;
            loom_fault_arm(LOOM_FAULT_OPEN, 1, EOPNOTSUPP, false);
            return create(&array, "a", 3000) == PARLOOM_OK;
        };
        for (; is_killed_at(kills, body); kills++) {
            parloom_array array;
            bool is_there = open(&array, "a") == PARLOOM_OK;
            if (is_there && array.shape[0] != 3000) return 2;
            if (is_there) parloom_array_release(&array);
            size_t files = 0, removed = 0;
            for (const auto &entry : std::filesystem::directory_iterator("/dev/shm")) files += entry.exists();
            if (parloom_clean_named(nullptr, &removed, &error) != PARLOOM_OK) return 3;
            if (removed != files) return 4;
            found += files > 0 && !is_there;
            if (!std::filesystem::is_empty("/dev/shm")) return 5;
        }
        return kills > 20 && found > 3 ? 0 : 6;
    });
    SKIP_WITHOUT_NAMESPACES(code);
    EXPECT_EQ(code, 0);
}
#endif
#endif

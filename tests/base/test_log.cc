// SPDX-License-Identifier: BSD-3-Clause
// PARLOOM_LOG is read once in a process, so tests of it ask a child.
#include "base/log.h"

#include <parloom/parloom.h>

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace
{

struct Lines {
    std::vector<std::pair<int, std::string>> all;
    static void sink(int level, const char *line, void *state)
    {
        static_cast<Lines *>(state)->all.emplace_back(level, line);
    }
};

struct Log : ::testing::Test {
    Lines lines;
    void SetUp() override
    {
        unsetenv("PARLOOM_LOG");
        parloom_set_log(Lines::sink, &lines);
    }
    void TearDown() override { parloom_set_log(nullptr, nullptr); }
};

// Started anew with LOG_TEST_ROLE, this program speaks and is gone before any test runs.
void speak_at_all_levels()
{
    loom_log(LOOM_LOG_ERROR, "e%d", 1);
    loom_log(LOOM_LOG_WARNING, "w");
    loom_log(LOOM_LOG_INFO, "i");
    loom_log(LOOM_LOG_DEBUG, "d");
}

const bool is_here_for_tests = [] {
    const char *role = std::getenv("LOG_TEST_ROLE");
    if (role == nullptr) return true;
    if (std::string(role) == "all levels") speak_at_all_levels();
    if (std::string(role) == "a long line") loom_log_line(LOOM_LOG_ERROR, std::string(9000, 'x').c_str());
    _exit(0);
}();

// What this program writes to stderr in that role, started with PARLOOM_LOG=value.
std::string stderr_of(const char *value, const char *role)
{
    int ends[2];
    if (pipe(ends) != 0) return "no pipe";
    pid_t child = fork();
    if (child == 0) {
        dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        if (value)
            setenv("PARLOOM_LOG", value, 1);
        else
            unsetenv("PARLOOM_LOG");
        setenv("LOG_TEST_ROLE", role, 1);
        execl("/proc/self/exe", "tests", nullptr);
        _exit(1);
    }
    close(ends[1]);
    std::string text;
    char block[4096];
    for (ssize_t n; (n = read(ends[0], block, sizeof block)) > 0;) text.append(block, static_cast<size_t>(n));
    close(ends[0]);
    waitpid(child, nullptr, 0);
    return text;
}

TEST_F(Log, SinkGetsLevelAndText)
{
    loom_log(LOOM_LOG_WARNING, "%s is %d", "x", 3);
    ASSERT_EQ(lines.all.size(), 1u);
    EXPECT_EQ(lines.all[0].first, LOOM_LOG_WARNING);
    EXPECT_EQ(lines.all[0].second, "x is 3");
}

TEST_F(Log, IsSilentBelowItsLevel)
{
    loom_log(LOOM_LOG_INFO, "quiet");
    EXPECT_TRUE(lines.all.empty());
}

TEST_F(Log, LineTheUserAskedForPassesWhateverTheLevel)
{
    loom_log_line(LOOM_LOG_DEBUG, "progress");
    ASSERT_EQ(lines.all.size(), 1u);
    EXPECT_EQ(lines.all[0].second, "progress");
}

TEST_F(Log, PercentMIsTheCallersErrno)
{
    errno = ENOENT;
    loom_log(LOOM_LOG_ERROR, "%m");
    EXPECT_EQ(lines.all.at(0).second, "No such file or directory");
    EXPECT_EQ(errno, ENOENT);
}

TEST_F(Log, SinkMayLogAndReplaceItself)
{
    struct Nested {
        static void sink(int, const char *, void *state)
        {
            parloom_set_log(Lines::sink, state);
            loom_log(LOOM_LOG_WARNING, "from the sink");
        }
    };
    parloom_set_log(Nested::sink, &lines);
    loom_log(LOOM_LOG_WARNING, "first");
    ASSERT_EQ(lines.all.size(), 1u);
    EXPECT_EQ(lines.all[0].second, "from the sink");
}

TEST_F(Log, LinesOfManyThreadsArriveOneAtATime)
{
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([] {
            for (int i = 0; i < 250; i++) loom_log(LOOM_LOG_WARNING, "line %d", i);
        });
    for (std::thread &thread : threads) thread.join();
    EXPECT_EQ(lines.all.size(), 1000u); // a vector without a lock of its own
}

TEST_F(Log, ForkedChildLogsWhileAThreadOfTheParentHeldTheLock)
{
    struct Forking {
        static void sink(int, const char *, void *state)
        {
            std::thread other([state] { // forks while this sink, and so the lock, is held
                pid_t child = fork();
                if (child == 0) {
                    parloom_set_log(nullptr, nullptr);
                    _exit(0);
                }
                *static_cast<pid_t *>(state) = child;
            });
            other.join();
        }
    };
    pid_t child = -1;
    parloom_set_log(Forking::sink, &child);
    loom_log(LOOM_LOG_WARNING, "x");
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST(LogEnvironment, DefaultIsWarning)
{
    EXPECT_EQ(stderr_of(nullptr, "all levels"), "parloom: e1\nparloom: w\n");
    EXPECT_EQ(stderr_of("", "all levels"), "parloom: e1\nparloom: w\n");
}

TEST(LogEnvironment, NamesTheLevel)
{
    EXPECT_EQ(stderr_of("off", "all levels"), "");
    EXPECT_EQ(stderr_of("error", "all levels"), "parloom: e1\n");
    EXPECT_EQ(stderr_of("debug", "all levels"), "parloom: e1\nparloom: w\nparloom: i\nparloom: d\n");
}

TEST(LogEnvironment, UnknownLevelIsToldOnce)
{
    EXPECT_EQ(stderr_of("loud", "all levels"),
              "parloom: PARLOOM_LOG is ignored: it may be off, error, warning, info or debug\n"
              "parloom: e1\nparloom: w\n");
}

TEST(LogEnvironment, LongLineEndsWithANewline)
{
    std::string text = stderr_of(nullptr, "a long line");
    EXPECT_GT(text.size(), 1000u);
    EXPECT_EQ(text.find('\n'), text.size() - 1);
}

} // namespace

// SPDX-License-Identifier: BSD-3-Clause
#include "base/process.h"

#include "base/clock.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <future>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace
{

constexpr int LONG_ENOUGH_MS = 20000;

bool ends(int pidfd)
{
    pollfd wait = { pidfd, POLLIN, 0 };
    return poll(&wait, 1, LONG_ENOUGH_MS) == 1;
}

template <typename Work> int in_child(Work work)
{
    pid_t child = fork();
    if (child == 0) _exit(work());
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(Process, DescriptorNamesTheProcessAndSignalsReachIt)
{
    pid_t child = fork();
    if (child == 0)
        for (;;) pause();
    int pidfd = loom_process_pidfd(child);
    ASSERT_GE(pidfd, 3);
    EXPECT_EQ(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(loom_process_signal(pidfd, 0), 0);
    EXPECT_EQ(loom_process_signal(pidfd, SIGKILL), 0);
    EXPECT_TRUE(ends(pidfd));
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
    EXPECT_EQ(loom_process_signal(pidfd, SIGKILL), ESRCH);
    EXPECT_EQ(loom_process_pidfd(child), -1);
    EXPECT_EQ(errno, ESRCH);
    close(pidfd);
}

TEST(Process, ThreadsAreCounted)
{
    int before = loom_process_thread_count();
    ASSERT_GE(before, 1);
    std::promise<void> go;
    std::thread thread([&] { go.get_future().wait(); });
    EXPECT_EQ(loom_process_thread_count(), before + 1);
    go.set_value();
    thread.join();
}

TEST(Process, ThreadsAreCountedWhateverTheNameOfTheProcess)
{
    int result = in_child([] {
        int before = loom_process_thread_count(); // sanitizers may have one of their own
        prctl(PR_SET_NAME, "a) (b c) 7 8");
        return before >= 1 && loom_process_thread_count() == before ? 0 : 1;
    });
    EXPECT_EQ(result, 0);
}

TEST(Process, TestsRunWithoutRaisedPrivileges)
{
    EXPECT_FALSE(loom_process_is_secure());
}

TEST(Process, SignalsAreDefaultAndUnblockedAfterReset)
{
    int result = in_child([] {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, nullptr);
        signal(SIGINT, SIG_IGN);
        signal(SIGUSR1, [](int) {});
        loom_process_reset_signals();
        sigset_t mask;
        sigprocmask(SIG_BLOCK, nullptr, &mask);
        for (int number = 1; number < NSIG; number++) {
            struct sigaction action = {};
            if (sigaction(number, nullptr, &action) != 0) continue;
            bool ignored = number == SIGTTIN || number == SIGTTOU;
            if (action.sa_handler != (ignored ? SIG_IGN : SIG_DFL)) return 1;
            if (sigismember(&mask, number) == 1) return 2;
        }
        return 0;
    });
    EXPECT_EQ(result, 0);
}

TEST(Process, DiesWithItsParent)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1); // so that the orphan is ours to reap
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    pid_t parent = fork();
    if (parent == 0) {
        pid_t self = getpid();
        pid_t child = fork();
        if (child == 0) {
            bool armed = loom_process_die_with_parent(self);
            pid_t me = armed ? getpid() : -1;
            if (write(pipe_ends[1], &me, sizeof me) != sizeof me) _exit(1);
            for (;;) pause();
        }
        for (;;) pause();
    }
    pid_t orphan = -1;
    ASSERT_EQ(read(pipe_ends[0], &orphan, sizeof orphan), static_cast<ssize_t>(sizeof orphan));
    ASSERT_GT(orphan, 0);
    int pidfd = loom_process_pidfd(orphan);
    kill(parent, SIGKILL);
    waitpid(parent, nullptr, 0);
    EXPECT_TRUE(ends(pidfd));
    waitpid(orphan, nullptr, 0);
    close(pidfd);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST(Process, ParentThatHasEndedAlreadyIsNoticed)
{
    EXPECT_EQ(in_child([] { return loom_process_die_with_parent(1 << 30) ? 1 : 0; }), 0);
}

TEST(Process, OomScoreIsRaisedAndClamped)
{
    int result = in_child([] {
        int before = 0, after = 0;
        std::ifstream("/proc/self/oom_score_adj") >> before;
        loom_process_raise_oom_score(100);
        std::ifstream("/proc/self/oom_score_adj") >> after;
        if (after != (before + 100 > 1000 ? 1000 : before + 100)) return 1;
        loom_process_raise_oom_score(5000);
        std::ifstream("/proc/self/oom_score_adj") >> after;
        return after == 1000 ? 0 : 2;
    });
    EXPECT_EQ(result, 0);
}

TEST(Process, CpuTimeGrowsWithWork)
{
    double before = loom_process_cpu_seconds();
    uint64_t deadline = loom_clock_deadline(20.0);
    while (loom_process_cpu_seconds() < before + 0.01 && loom_clock_ns() < deadline) {}
    EXPECT_GE(loom_process_cpu_seconds(), before + 0.01);
}

TEST(Process, PageSizeIsAPowerOfTwo)
{
    uint64_t nbytes = loom_process_page_nbytes();
    EXPECT_GE(nbytes, 4096u);
    EXPECT_EQ(nbytes & (nbytes - 1), 0u);
}

} // namespace

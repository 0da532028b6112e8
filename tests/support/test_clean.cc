/* SPDX-License-Identifier: BSD-3-Clause */
/* test_clean.cc - the fixture notices what it promises to notice, and is silent about a tidy test. */
#include "support/clean.h"

#include "base/log.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

/* Looks at the fixture's complaints while the mess is there, then tidies up. */
class CleanFixture : public loom::Clean
{
  protected:
    bool complains_of(const std::string &text)
    {
        for (const std::string &complaint : complaints()) {
            if (complaint.find(text) != std::string::npos) return true;
        }
        return false;
    }
};

TEST_F(CleanFixture, IsSilentAboutATidyTest)
{
    EXPECT_TRUE(complaints().empty());
}

TEST_F(CleanFixture, NoticesAnOpenDescriptor)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    EXPECT_TRUE(complains_of("open: /dev/null"));
    close(fd);
}

TEST_F(CleanFixture, NoticesAChildProcess)
{
    int pipe_fds[2];
    ASSERT_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(pipe_fds[1]);
        _exit(read(pipe_fds[0], &byte, 1) == 0 ? 0 : 1); /* until the test closes its end */
    }
    EXPECT_TRUE(complains_of("left child process"));
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    EXPECT_EQ(waitpid(child, nullptr, 0), child);
}

TEST_F(CleanFixture, NoticesABlockedSignal)
{
    sigset_t set;
    sigset_t before;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    EXPECT_TRUE(complains_of("signal mask"));
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_F(CleanFixture, NoticesAChangedWorkingDirectory)
{
    char before[4096];
    ASSERT_NE(getcwd(before, sizeof before), nullptr);
    ASSERT_EQ(chdir("/"), 0);
    EXPECT_TRUE(complains_of("working directory"));
    ASSERT_EQ(chdir(before), 0);
}

TEST_F(CleanFixture, NoticesAWarningThatWasNotAnnounced)
{
    loom_log(LOOM_LOG_WARNING, "the soup is cold");
    EXPECT_TRUE(complains_of("logged: "));
    announce("soup");
    EXPECT_TRUE(complaints().empty());
}

TEST_F(CleanFixture, NoticesThatAnAnnouncedWarningNeverCame)
{
    announce("never comes");
    EXPECT_TRUE(complains_of("announced but not logged: never comes"));
    loom_log(LOOM_LOG_WARNING, "it never comes too late");
}

} // namespace

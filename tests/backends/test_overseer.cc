/* SPDX-License-Identifier: BSD-3-Clause */
/* Who ends with whom: program, supervisor, workers and what tasks started. */
#include "support/crew.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

using loom::comes_true;
using loom::Crew;
using loom::is_gone;

namespace
{

enum Action { EXIT = 1, WAIT, START_CHILD, EAT };

class Overseer : public ::testing::Test
{
  protected:
    void TearDown() override { loom_supervisor_end(); }
};

} // namespace

void loom::run_script(const loom_worker_post *post, Script *script)
{
    switch (script->action[post->seat]) {
    case EXIT:
        _exit(static_cast<int>(script->argument[post->seat]));
    case START_CHILD: {
        pid_t child = fork();
        if (child == 0)
            for (;;) pause();
        script->found[post->seat] = child;
        ring(post);
        for (;;) pause();
    }
    case EAT:
        for (;;) {
            void *volatile eaten = malloc(1 << 20); /* volatile: compilers leave out what nobody reads */
            memset(eaten, 1, 1 << 20);
        }
    default:
        ring(post);
        for (;;) pause();
    }
}

TEST_F(Overseer, KillsTheWorkersOfACrewThatIsClosed)
{
    Crew crew, other;
    ASSERT_TRUE(crew.start(WAIT) && other.start(WAIT));
    ASSERT_TRUE(crew.wait_bell() && other.wait_bell());
    int closed = crew.script->pid, open = other.script->pid;
    crew.close_now();
    EXPECT_TRUE(comes_true([&] { return is_gone(closed); }));
    EXPECT_FALSE(is_gone(open));
}

TEST_F(Overseer, KillsWhatATaskStartedTogetherWithItsWorker)
{
    Crew crew;
    ASSERT_TRUE(crew.start(START_CHILD));
    ASSERT_TRUE(crew.wait_bell());
    int child = static_cast<int>(crew.script->found[0]);
    ASSERT_FALSE(is_gone(child));
    loom_supervisor_kill_worker(crew.id, 0, 1);
    EXPECT_TRUE(comes_true([&] { return is_gone(child); }));
}

TEST_F(Overseer, IsNoChildThatTheProgramCouldWaitFor)
{
    Crew crew;
    ASSERT_TRUE(crew.start(WAIT));
    ASSERT_TRUE(crew.wait_bell());
    EXPECT_EQ(waitpid(-1, nullptr, 0), -1);
    EXPECT_EQ(errno, ECHILD);
}

TEST_F(Overseer, EndsWithAllItsWorkersWhenTheProgramIsKilled)
{
    int pids[2];
    int pipes[2];
    ASSERT_EQ(pipe2(pipes, O_CLOEXEC), 0);
    pid_t program = fork();
    if (program == 0) {
        Crew crew;
        if (!crew.start(WAIT) || !crew.wait_bell()) _exit(1);
        int found[2] = { crew.script->pid, crew.script->supervisor };
        if (write(pipes[1], found, sizeof found) != sizeof found) _exit(1);
        for (;;) pause();
    }
    ASSERT_EQ(read(pipes[0], pids, sizeof pids), static_cast<ssize_t>(sizeof pids));
    kill(program, SIGKILL);
    waitpid(program, nullptr, 0);
    EXPECT_TRUE(comes_true([&] { return is_gone(pids[0]) && is_gone(pids[1]); }));
    close(pipes[0]);
    close(pipes[1]);
}

TEST_F(Overseer, EndsWhenTheProgramReturnsFromMainWithoutEndingIt)
{
    int pids[2];
    int pipes[2];
    ASSERT_EQ(pipe2(pipes, O_CLOEXEC), 0);
    pid_t program = fork();
    if (program == 0) {
        auto *crew = new Crew;
        if (!crew->start(WAIT) || !crew->wait_bell()) _exit(1);
        int found[2] = { crew->script->pid, crew->script->supervisor };
        if (write(pipes[1], found, sizeof found) != sizeof found) _exit(1);
        exit(0);
    }
    ASSERT_EQ(read(pipes[0], pids, sizeof pids), static_cast<ssize_t>(sizeof pids));
    waitpid(program, nullptr, 0);
    EXPECT_TRUE(comes_true([&] { return is_gone(pids[0]) && is_gone(pids[1]); }));
    close(pipes[0]);
    close(pipes[1]);
}

TEST_F(Overseer, TakesItsWorkersAlongWhenItIsKilledAndIsReplacedWhenAskedFor)
{
    Crew crew;
    ASSERT_TRUE(crew.start(WAIT));
    ASSERT_TRUE(crew.wait_bell());
    int worker = crew.script->pid, killed = crew.script->supervisor;
    kill(killed, SIGKILL);
    EXPECT_EQ(crew.next(LOOM_SUPERVISOR_GONE).kind, LOOM_SUPERVISOR_GONE);
    EXPECT_EQ(crew.next().kind, LOOM_SUPERVISOR_GONE) << "and again, for ever";
    EXPECT_TRUE(comes_true([&] { return is_gone(worker); }));
    /* Its sockets are closed one after the other, and a message is lost until the last one is. */
    ASSERT_TRUE(comes_true([&] { return is_gone(killed); }));
    Crew anew;
    ASSERT_TRUE(anew.start(WAIT));
    ASSERT_TRUE(anew.wait_bell());
    EXPECT_NE(anew.script->supervisor, killed);
    parloom_error error;
    EXPECT_EQ(loom_supervisor_start_worker(crew.id, 0, 2, &error), PARLOOM_ERR_POOL) << "a crew of the dead one";
}

/* Nobody has found out yet that it is dead: the message to it does. */
TEST_F(Overseer, IsReplacedByACrewThatIsOpenedAtADeadOne)
{
    Crew crew;
    ASSERT_TRUE(crew.start(WAIT));
    ASSERT_TRUE(crew.wait_bell());
    int killed = crew.script->supervisor;
    kill(killed, SIGKILL);
    EXPECT_EQ(crew.next(LOOM_SUPERVISOR_GONE).kind, LOOM_SUPERVISOR_GONE);
    ASSERT_TRUE(comes_true([&] { return is_gone(killed); }));
    uint32_t id = 0;
    int events = -1;
    parloom_error error = {};
    ASSERT_EQ(loom_supervisor_open_crew(reinterpret_cast<uint64_t>(crew.segment->address), 1, &crew.bell, 1, &id,
                                        &events, &error),
              PARLOOM_OK)
        << error.message;
    crew.script->action[0] = WAIT;
    EXPECT_EQ(loom_supervisor_start_worker(id, 0, 1, &error), PARLOOM_OK) << error.message;
    EXPECT_TRUE(crew.wait_bell());
    EXPECT_NE(crew.script->supervisor, killed);
    loom_supervisor_close_crew(id, events);
}

TEST_F(Overseer, SurvivesThatTheProgramWritesToADeadOne)
{
    signal(SIGPIPE, SIG_DFL);
    Crew crew;
    ASSERT_TRUE(crew.start(WAIT));
    ASSERT_TRUE(crew.wait_bell());
    int killed = crew.script->supervisor;
    kill(killed, SIGKILL);
    ASSERT_TRUE(comes_true([&] { return is_gone(killed); }));
    parloom_error error;
    /* Its socket closes a moment after it stops to be a process. */
    EXPECT_TRUE(comes_true([&] { return loom_supervisor_start_worker(crew.id, 1, 1, &error) == PARLOOM_ERR_POOL; }));
    loom_segment *segment = nullptr;
    EXPECT_EQ(loom_segment_create(4096, LOOM_SEGMENT_WRITE, nullptr, &segment, &error), PARLOOM_OK);
    loom_segment_release(segment, false);
}

TEST_F(Overseer, EndIsIdempotentAndEnsureStartsAnew)
{
    int first;
    {
        Crew crew;
        ASSERT_TRUE(crew.start(WAIT));
        ASSERT_TRUE(crew.wait_bell());
        first = crew.script->supervisor;
        loom_supervisor_end();
        loom_supervisor_end();
        EXPECT_TRUE(is_gone(first));
        EXPECT_EQ(crew.next(LOOM_SUPERVISOR_GONE).kind, LOOM_SUPERVISOR_GONE);
    }
    Crew anew;
    ASSERT_TRUE(anew.start(WAIT));
    ASSERT_TRUE(anew.wait_bell());
    EXPECT_NE(anew.script->supervisor, first);
}

TEST_F(Overseer, IsReplacedWhenTheProgramClosedDescriptorsItDidNotKnow)
{
    pid_t program = fork();
    if (program == 0) {
        Crew lost;
        if (!lost.start(WAIT) || !lost.wait_bell()) _exit(1);
        int first = lost.script->supervisor;
        close_range(3, ~0u, 0);
        int victim = open("/dev/null", O_RDWR); /* numbers are used again: nothing may be written there */
        for (int i = 0; i < 64; i++) (void)!dup(victim);
        if (loom_supervisor_start_worker(lost.id, 1, 1, nullptr) == PARLOOM_OK) _exit(2);
        if (!comes_true([&] { return is_gone(first); })) _exit(3);
        if (loom_supervisor_ensure(nullptr) == PARLOOM_OK) loom_supervisor_end();
        _exit(0);
    }
    int wait_status = 0;
    waitpid(program, &wait_status, 0);
    EXPECT_EQ(wait_status, 0);
}

TEST_F(Overseer, IsLeftAloneByAForkedChildWhichGetsItsOwn)
{
    Crew crew;
    ASSERT_TRUE(crew.start(WAIT));
    ASSERT_TRUE(crew.wait_bell());
    int ours = crew.script->supervisor, worker = crew.script->pid;
    pid_t child = fork();
    if (child == 0) {
        Crew own;
        bool is_good = own.start(WAIT) && own.wait_bell() && own.script->supervisor != ours;
        exit(is_good ? 0 : 1); /* runs destructors, as a child of a program may */
    }
    int wait_status = 0;
    waitpid(child, &wait_status, 0);
    EXPECT_EQ(wait_status, 0);
    EXPECT_FALSE(is_gone(worker));
    ASSERT_TRUE(crew.start(EXIT, 4, 1));
    EXPECT_EQ(WEXITSTATUS(crew.next(LOOM_WORKER_DIED).wait_status), 4);
}

TEST_F(Overseer, EndsThoughAForkedChildOfTheProgramLives)
{
    Crew crew;
    ASSERT_TRUE(crew.start(WAIT));
    ASSERT_TRUE(crew.wait_bell());
    int ours = crew.script->supervisor;
    pid_t child = fork();
    if (child == 0)
        for (;;) pause();
    loom_supervisor_end();
    EXPECT_TRUE(is_gone(ours));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
}

TEST_F(Overseer, TellsAnOutOfMemoryKillFromAnother)
{
    std::string group = "/sys/fs/cgroup/memory/parloom-test-" + std::to_string(getpid());
    if (mkdir(group.c_str(), 0700) != 0) GTEST_SKIP() << "needs root and a version 1 memory control group";
    std::ofstream(group + "/memory.limit_in_bytes") << (64 << 20);
    pid_t program = fork();
    if (program == 0) {
        std::ofstream(group + "/cgroup.procs") << getpid() << std::flush;
        Crew crew;
        crew.start(EAT);
        loom_worker_event event = crew.next(LOOM_WORKER_DIED);
        bool is_told =
            WIFSIGNALED(event.wait_status) && WTERMSIG(event.wait_status) == SIGKILL && event.oom_killed == 1;
        crew.close_now();
        loom_supervisor_end();
        _exit(is_told ? 0 : 1);
    }
    int wait_status = 0;
    waitpid(program, &wait_status, 0);
    EXPECT_EQ(wait_status, 0);
    EXPECT_TRUE(comes_true([&] { return rmdir(group.c_str()) == 0; }));
}

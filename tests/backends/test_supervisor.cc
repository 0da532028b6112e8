/* SPDX-License-Identifier: BSD-3-Clause */
/* The supervisor starts, feeds, kills and reports workers; they find what the program has. */
#include "backends/startup.h"
#include "support/crew.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <vector>

using loom::comes_true;
using loom::Crew;
using loom::is_gone;

namespace
{

enum Action { EXIT = 1, RAISE, WAIT, REPORT_SIGNALS, REPORT_VARIABLE, READ_ADDRESS, FETCH_PAIR, PRINT };

/* Maps what is new until the address can be read. */
long long read_when_mapped(const loom_worker_post *post, long long address)
{
    int32_t fetch_fd = post->fetch_fd;
    for (;;) {
        parloom_error error;
        if (loom_segment_sync(loom_supervisor_fetch, &fetch_fd, &error) != PARLOOM_OK) _exit(97);
        const void *pointer = reinterpret_cast<const void *>(address);
        if (loom_segment_of(pointer) != nullptr) return *static_cast<const long long *>(pointer);
        sched_yield();
    }
}

int count_odd_signals()
{
    int odd = 0;
    for (int number = 1; number < 32; number++) {
        struct sigaction action;
        sigaction(number, nullptr, &action);
        bool is_terminal = number == SIGTTIN || number == SIGTTOU;
        odd += action.sa_handler != (is_terminal ? SIG_IGN : SIG_DFL);
    }
    sigset_t mask;
    sigprocmask(SIG_SETMASK, nullptr, &mask);
    return odd + !sigisemptyset(&mask);
}

/* How many of two segments (ids and generations as found[1] to [4] say) the supervisor hands out. */
long long count_fetched(const loom_worker_post *post, const loom::Script *script)
{
    uint32_t ids[2], generations[2];
    for (int i = 0; i < 2; i++) {
        ids[i] = static_cast<uint32_t>(script->found[1 + 2 * i]);
        generations[i] = static_cast<uint32_t>(script->found[2 + 2 * i]);
    }
    int fds[2] = { -1, -1 };
    int32_t fetch_fd = post->fetch_fd;
    if (loom_supervisor_fetch(ids, generations, 2, fds, &fetch_fd) != 0) _exit(95);
    long long count = 0;
    for (int fd : fds) count += fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC;
    return count;
}

/* Its memory is that of the program at its start, not of now. */
int counter = 1;

class Supervisor : public ::testing::Test
{
  protected:
    void TearDown() override { loom_supervisor_end(); }
};

class Death : public Supervisor, public ::testing::WithParamInterface<int>
{
};

} // namespace

void loom::run_script(const loom_worker_post *post, Script *script)
{
    long long argument = script->argument[post->seat];
    volatile long long *found = &script->found[post->seat];
    switch (script->action[post->seat]) {
    case EXIT:
        _exit(static_cast<int>(argument));
    case RAISE:
        raise(static_cast<int>(argument));
        _exit(96);
    case WAIT:
        *found = counter;
        ring(post);
        for (;;) pause();
    case REPORT_SIGNALS:
        *found = count_odd_signals() + (getpgrp() != getpid());
        ring(post);
        break;
    case REPORT_VARIABLE: {
        const char *value = getenv(script->text);
        *found = value != nullptr;
        snprintf(script->text, sizeof script->text, "%s", value != nullptr ? value : "");
        ring(post);
        break;
    }
    case READ_ADDRESS: {
        ring(post);
        const volatile long long *address = &script->argument[post->seat];
        while (*address == 0) sched_yield();
        *found = read_when_mapped(post, *address);
        ring(post);
        break;
    }
    case FETCH_PAIR:
        *found = count_fetched(post, script);
        ring(post);
        break;
    case PRINT:
        printf("written by a worker\n");
        _exit(0); /* line-buffered: already out */
    default:
        break;
    }
}

TEST_F(Supervisor, StartsAWorkerAtTheLevelAndGenerationItWasAskedFor)
{
    Crew crew(3);
    ASSERT_TRUE(crew.start(WAIT, 0, 2, 7));
    ASSERT_TRUE(crew.wait_bell());
    loom_worker_event event = crew.next();
    EXPECT_EQ(event.kind, LOOM_WORKER_STARTED);
    EXPECT_EQ(event.seat, 2u);
    EXPECT_EQ(event.generation, 7u);
    EXPECT_EQ(event.pid, crew.script->pid);
    EXPECT_EQ(crew.script->level, 3);
    EXPECT_EQ(crew.script->generation, 7);
}

TEST_P(Death, ByASignalIsReportedWithItsWaitStatus)
{
    Crew crew;
    ASSERT_TRUE(crew.start(RAISE, GetParam()));
    loom_worker_event event = crew.next(LOOM_WORKER_DIED);
    ASSERT_TRUE(WIFSIGNALED(event.wait_status)) << event.wait_status;
    EXPECT_EQ(WTERMSIG(event.wait_status), GetParam());
    EXPECT_EQ(event.oom_killed, 0u);
    EXPECT_GT(event.peak_nbytes, 0u);
}
INSTANTIATE_TEST_SUITE_P(OfEachKind, Death,
                         ::testing::Values(SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGKILL, SIGTERM,
                                           SIGXCPU, SIGPIPE, SIGRTMIN + 3));

TEST_F(Supervisor, ReportsExitCodesZeroIncluded)
{
    Crew crew;
    for (int code : { 0, 3, 255 }) {
        ASSERT_TRUE(crew.start(EXIT, code));
        loom_worker_event event = crew.next(LOOM_WORKER_DIED);
        EXPECT_TRUE(WIFEXITED(event.wait_status));
        EXPECT_EQ(WEXITSTATUS(event.wait_status), code);
    }
}

TEST_F(Supervisor, KillsTheWorkerItIsAskedToAndNoOther)
{
    Crew crew;
    ASSERT_TRUE(crew.start(WAIT, 0, 0));
    ASSERT_TRUE(crew.wait_bell());
    int first = crew.script->pid;
    ASSERT_TRUE(crew.start(WAIT, 0, 1));
    ASSERT_TRUE(crew.wait_bell());
    loom_supervisor_kill_worker(crew.id, 0, 2); /* a generation that does not exist */
    loom_supervisor_kill_worker(crew.id, 1, 1);
    loom_worker_event event = crew.next(LOOM_WORKER_DIED);
    EXPECT_EQ(event.seat, 1u);
    EXPECT_EQ(WTERMSIG(event.wait_status), SIGKILL);
    EXPECT_EQ(event.oom_killed, 0u);
    EXPECT_FALSE(is_gone(first));
}

TEST_F(Supervisor, StartsWhenTheProgramIgnoresItsChildren)
{
    signal(SIGCHLD, SIG_IGN);
    Crew crew;
    ASSERT_TRUE(crew.start(EXIT, 5));
    EXPECT_EQ(WEXITSTATUS(crew.next(LOOM_WORKER_DIED).wait_status), 5);
    signal(SIGCHLD, SIG_DFL);
}

TEST_F(Supervisor, StartsOnceForManyThreads)
{
    std::atomic<int> failures{ 0 };
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; i++)
        threads.emplace_back([&] { failures += loom_supervisor_ensure(nullptr) != PARLOOM_OK; });
    for (std::thread &thread : threads) thread.join();
    ASSERT_EQ(failures, 0);
    Crew one, two;
    ASSERT_TRUE(one.start(WAIT) && one.wait_bell());
    ASSERT_TRUE(two.start(WAIT) && two.wait_bell());
    EXPECT_EQ(one.script->supervisor, two.script->supervisor);
}

TEST_F(Supervisor, GivesRunningWorkersTheSegmentsMadeLater)
{
    Crew crew;
    std::vector<loom_segment *> segments;
    parloom_error error;
    ASSERT_TRUE(crew.start(READ_ADDRESS));
    ASSERT_TRUE(crew.wait_bell());
    for (int i = 0; i < 150; i++) { /* more than fit one answer */
        loom_segment *segment = nullptr;
        ASSERT_EQ(loom_segment_create(4096, LOOM_SEGMENT_READ, nullptr, &segment, &error), PARLOOM_OK) << error.message;
        *reinterpret_cast<long long *>(segment->address) = 1000 + i;
        segments.push_back(segment);
    }
    *const_cast<volatile long long *>(&crew.script->argument[0]) =
        reinterpret_cast<long long>(segments.back()->address);
    ASSERT_TRUE(crew.wait_bell());
    EXPECT_EQ(crew.script->found[0], 1149);
    for (loom_segment *segment : segments) loom_segment_release(segment, false);
}

TEST_F(Supervisor, TellsAWorkerThatASegmentIsGone)
{
    Crew crew;
    loom_segment *segment = nullptr;
    ASSERT_EQ(loom_segment_create(4096, LOOM_SEGMENT_READ, nullptr, &segment, nullptr), PARLOOM_OK);
    crew.script->found[1] = segment->id;
    crew.script->found[2] = segment->generation;
    crew.script->found[3] = crew.segment->id;
    crew.script->found[4] = crew.segment->generation;
    ASSERT_TRUE(crew.start(FETCH_PAIR));
    ASSERT_TRUE(crew.wait_bell());
    EXPECT_EQ(crew.script->found[0], 2) << "both are there";
    crew.next(LOOM_WORKER_DIED);
    loom_segment_release(segment, false);
    ASSERT_TRUE(crew.start(FETCH_PAIR));
    ASSERT_TRUE(crew.wait_bell());
    EXPECT_EQ(crew.script->found[0], 1) << "the second only";
}

TEST_F(Supervisor, StartsWorkersWithDefaultSignalsInTheirOwnGroup)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
    Crew crew;
    ASSERT_TRUE(crew.start(REPORT_SIGNALS));
    ASSERT_TRUE(crew.wait_bell());
    EXPECT_EQ(crew.script->found[0], 0);
    pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGUSR1, SIG_DFL);
}

TEST_F(Supervisor, GivesWorkersTheEnvironmentOfTheProgram)
{
    setenv("OMP_NUM_THREADS", "7", 1);
    setenv("LD_LIBRARY_PATH", "/set/later", 1);
    setenv("OF_THE_TEST", "a value", 1);
    Crew crew;
    const char *expected[][2] = { { "OMP_NUM_THREADS", "7" },
                                  { "LD_LIBRARY_PATH", "/set/later" },
                                  { "OF_THE_TEST", "a value" },
                                  { "LD_PRELOAD", nullptr },
                                  { "OPENBLAS_NUM_THREADS", nullptr },
                                  { LOOM_STARTUP_VARIABLE, nullptr },
                                  { LOOM_STARTUP_KEPT "LD_LIBRARY_PATH", nullptr } };
    for (auto &pair : expected) {
        const char *here = getenv(pair[0]);
        if (here != nullptr && pair[1] == nullptr) continue; /* set outside the test */
        snprintf(crew.script->text, sizeof crew.script->text, "%s", pair[0]);
        ASSERT_TRUE(crew.start(REPORT_VARIABLE));
        ASSERT_TRUE(crew.wait_bell());
        EXPECT_EQ(crew.script->found[0] != 0, pair[1] != nullptr) << pair[0];
        EXPECT_STREQ(crew.script->text, pair[1] != nullptr ? pair[1] : "") << pair[0];
        crew.next(LOOM_WORKER_DIED);
    }
    unsetenv("OMP_NUM_THREADS");
    unsetenv("LD_LIBRARY_PATH");
    unsetenv("OF_THE_TEST");
}

TEST_F(Supervisor, LetsWorkersWriteWhereTheProgramWrites)
{
    int file = memfd_create("output", MFD_CLOEXEC);
    int saved = dup(STDOUT_FILENO);
    fflush(stdout);
    dup2(file, STDOUT_FILENO);
    {
        Crew crew;
        crew.start(PRINT);
        crew.next(LOOM_WORKER_DIED);
    }
    dup2(saved, STDOUT_FILENO);
    char text[64] = "";
    EXPECT_GT(pread(file, text, sizeof text - 1, 0), 0);
    EXPECT_STREQ(text, "written by a worker\n");
    close(saved);
    close(file);
}

TEST_F(Supervisor, StartsFromAProgramWithoutStandardStreams)
{
    pid_t program = fork();
    if (program == 0) {
        for (int fd = 0; fd < 3; fd++) close(fd);
        Crew crew;
        bool is_good = crew.start(WAIT) && crew.wait_bell();
        for (int fd = 0; fd < 3; fd++) is_good = is_good && fcntl(fd, F_GETFD) == -1; /* nothing of ours took 0, 1, 2 */
        crew.close_now();
        loom_supervisor_end();
        _exit(is_good ? 0 : 1);
    }
    int wait_status = 0;
    waitpid(program, &wait_status, 0);
    EXPECT_EQ(wait_status, 0);
}

TEST_F(Supervisor, ReportsEveryWorkerOfManyThoughTheProgramDoesNotRead)
{
    Crew crew;
    const uint32_t count = 400; /* more events than a socket holds */
    crew.script->action[0] = EXIT;
    for (uint32_t generation = 1; generation <= count; generation++)
        ASSERT_EQ(loom_supervisor_start_worker(crew.id, 0, generation, nullptr), PARLOOM_OK);
    std::vector<int> started(count + 1), died(count + 1);
    for (uint32_t n = 0; n < 2 * count; n++) {
        loom_worker_event event = crew.next();
        ASSERT_TRUE(event.kind == LOOM_WORKER_STARTED || event.kind == LOOM_WORKER_DIED) << event.kind;
        ASSERT_LE(event.generation, count);
        (event.kind == LOOM_WORKER_STARTED ? started : died)[event.generation]++;
    }
    for (uint32_t generation = 1; generation <= count; generation++)
        EXPECT_TRUE(started[generation] == 1 && died[generation] == 1) << generation;
}

TEST_F(Supervisor, SeesTheProgramAsItWasAtItsStart)
{
    counter = 2;
    Crew crew;
    ASSERT_TRUE(crew.start(WAIT));
    ASSERT_TRUE(crew.wait_bell());
    EXPECT_EQ(crew.script->found[0], 1);
    counter = 1;
}

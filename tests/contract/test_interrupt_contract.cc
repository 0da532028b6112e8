/* SPDX-License-Identifier: BSD-3-Clause */
/* Ctrl-C between parloom_interrupt_begin and _end: calls end, workers do not see it, the program's handler is back. */
#include "contract/places.h"

#include <chrono>
#include <csignal>
#include <sched.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace contract;

namespace
{

enum { TASKS = 12 };

int fail_when_told(const parloom_task *task, void *const *args)
{
    __atomic_add_fetch(static_cast<int *>(args[0]), 1, __ATOMIC_RELEASE);
    while (!parloom_cancelled(task)) usleep(100);
    return 1;
}

int succeed(const parloom_task *, void *const *)
{
    return 0;
}

/* A terminal: sends SIGINT to the whole process group of the program, and to its workers if they are in it. */
pid_t press_when_begun(const int *begun, int at_least)
{
    pid_t pid = fork();
    if (pid != 0) return pid;
    signal(SIGINT, SIG_IGN);
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (__atomic_load_n(begun, __ATOMIC_ACQUIRE) < at_least && std::chrono::steady_clock::now() < until)
        sched_yield();
    kill(0, SIGINT);
    _exit(0);
}

volatile sig_atomic_t interrupts;
pthread_t interrupted;

void count_interrupt(int)
{
    interrupts = interrupts + 1;
    interrupted = pthread_self();
}

void ignore_and_differ(int) {}

sighandler_t handler_now()
{
    struct sigaction now = {};
    sigaction(SIGINT, nullptr, &now);
    return now.sa_handler;
}

} // namespace

class Interrupt : public Placed
{
  protected:
    void SetUp() override
    {
        setpgid(0, 0); /* Ctrl-C is for us, not for who runs the tests */
        before_ = signal(SIGINT, SIG_DFL);
        Placed::SetUp();
    }
    void TearDown() override
    {
        Placed::TearDown();
        signal(SIGINT, before_);
    }
    sighandler_t before_ = SIG_DFL;
};
INSTANTIATE_TEST_SUITE_P(On, Interrupt, ::testing::ValuesIn(every_place), name_of);

TEST_P(Interrupt, CancelsTheCallAndNoWorkerSeesIt)
{
    Shared<int> begun;
    parloom_report report = {};
    report.struct_size = sizeof report;
    parloom_options given = options();
    given.report = &report;
    given.batch_size = 1;
    parloom_arg args[] = { parloom_inout(begun.get(), sizeof(int)) };
    pid_t terminal = press_when_begun(begun.get(), given.n_jobs);
    ASSERT_OK(parloom_interrupt_begin(&error));
    EXPECT_EQ(parloom_for(TASKS, fail_when_told, args, 1, &given, &error), PARLOOM_ERR_CANCELLED);
    EXPECT_SAYS("Ctrl-C");
    EXPECT_EQ(report.cancelled, size_t{ TASKS });
    EXPECT_EQ(report.workers_lost, 0);
    int begun_then = begun[0];
    EXPECT_EQ(parloom_for(TASKS, fail_when_told, args, 1, &given, &error), PARLOOM_ERR_CANCELLED)
        << "a loop of calls ends, too";
    EXPECT_EQ(begun[0], begun_then) << "before it begins";
    EXPECT_TRUE(parloom_interrupt_end(false));
    EXPECT_EQ(handler_now(), SIG_DFL);
    EXPECT_OK(parloom_for(TASKS, succeed, nullptr, 0, &given, &error));
    waitpid(terminal, nullptr, 0);
}

TEST_P(Interrupt, OfNobodyChangesNothing)
{
    parloom_options given = options();
    ASSERT_OK(parloom_interrupt_begin(&error));
    EXPECT_OK(parloom_for(TASKS, succeed, nullptr, 0, &given, &error));
    EXPECT_FALSE(parloom_interrupt_end(true));
    EXPECT_EQ(handler_now(), SIG_DFL);
}

TEST_P(Interrupt, CancelsTheCallsOfAllThreads)
{
    if (is("fork")) return; /* refuses to fork beside another thread */
    Shared<int> begun;
    parloom_options given = options();
    parloom_arg args[] = { parloom_inout(begun.get(), sizeof(int)) };
    pid_t terminal = press_when_begun(begun.get(), 2); /* of both calls, or at least in the midst of one */
    ASSERT_OK(parloom_interrupt_begin(&error));
    parloom_status of_other = PARLOOM_OK;
    std::thread other([&] { of_other = parloom_for(TASKS, fail_when_told, args, 1, &given, nullptr); });
    EXPECT_EQ(parloom_for(TASKS, fail_when_told, args, 1, &given, &error), PARLOOM_ERR_CANCELLED);
    other.join();
    EXPECT_EQ(of_other, PARLOOM_ERR_CANCELLED);
    EXPECT_TRUE(parloom_interrupt_end(false));
    waitpid(terminal, nullptr, 0);
}

/* -------------------------------------------------------------- the handler */

class InterruptHandler : public Interrupt
{
};
INSTANTIATE_TEST_SUITE_P(On, InterruptHandler, ::testing::Values(Place{ "threads", 2 }), name_of);

TEST_P(InterruptHandler, OfTheProgramIsBackAfterTheFirst)
{
    interrupts = 0;
    signal(SIGINT, count_interrupt);
    ASSERT_OK(parloom_interrupt_begin(&error));
    EXPECT_NE(handler_now(), count_interrupt);
    raise(SIGINT);
    EXPECT_EQ(interrupts, 0) << "the first is ours";
    EXPECT_EQ(handler_now(), count_interrupt);
    raise(SIGINT);
    EXPECT_EQ(interrupts, 1) << "the second is the program's";
    EXPECT_TRUE(parloom_interrupt_end(false));
    EXPECT_EQ(interrupts, 1);
}

TEST_P(InterruptHandler, OfTheProgramIsCalledAtTheEndWhereItIsAskedFor)
{
    interrupts = 0;
    signal(SIGINT, count_interrupt);
    ASSERT_OK(parloom_interrupt_begin(&error));
    raise(SIGINT);
    EXPECT_EQ(interrupts, 0);
    EXPECT_TRUE(parloom_interrupt_end(true));
    EXPECT_EQ(interrupts, 1);
    EXPECT_TRUE(pthread_equal(interrupted, pthread_self()));
}

TEST_P(InterruptHandler, OfADefaultProgramEndsItAtTheEnd)
{
    EXPECT_EXIT(
        {
            if (parloom_interrupt_begin(nullptr) != PARLOOM_OK) _exit(1);
            raise(SIGINT);
            fprintf(stderr, "saved");
            parloom_interrupt_end(true);
            _exit(2);
        },
        ::testing::KilledBySignal(SIGINT), "saved");
}

TEST_P(InterruptHandler, IsNotSetWhereTheProgramIgnoresSigint)
{
    signal(SIGINT, SIG_IGN);
    ASSERT_OK(parloom_interrupt_begin(&error));
    EXPECT_EQ(handler_now(), SIG_IGN);
    raise(SIGINT);
    EXPECT_FALSE(parloom_interrupt_end(true));
    EXPECT_EQ(handler_now(), SIG_IGN);
}

TEST_P(InterruptHandler, ThatTheProgramSetsMeanwhileStays)
{
    ASSERT_OK(parloom_interrupt_begin(&error));
    signal(SIGINT, ignore_and_differ);
    EXPECT_FALSE(parloom_interrupt_end(true));
    EXPECT_EQ(handler_now(), ignore_and_differ);
}

TEST_P(InterruptHandler, BelongsToTheOutermostPair)
{
    interrupts = 0;
    signal(SIGINT, count_interrupt);
    ASSERT_OK(parloom_interrupt_begin(&error));
    ASSERT_OK(parloom_interrupt_begin(&error));
    raise(SIGINT);
    EXPECT_TRUE(parloom_interrupt_end(true));
    EXPECT_EQ(interrupts, 0) << "the outer one has not ended";
    EXPECT_TRUE(parloom_interrupt_end(true));
    EXPECT_EQ(interrupts, 1);
    EXPECT_FALSE(parloom_interrupt_end(true)) << "without a begin: nothing";
    EXPECT_EQ(interrupts, 1);
    ASSERT_OK(parloom_interrupt_begin(&error));
    parloom_options given = options();
    EXPECT_OK(parloom_for(TASKS, succeed, nullptr, 0, &given, &error)) << "the one before is over";
    EXPECT_FALSE(parloom_interrupt_end(true));
}

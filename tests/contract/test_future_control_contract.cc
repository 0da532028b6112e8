// SPDX-License-Identifier: BSD-3-Clause
/* Futures that run while the program goes on: looked at, waited for, cancelled, past their time, given up. */
#include "contract/futures.h"

#include <csignal>
#include <cstdlib>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace contract;

namespace
{

int crash(const parloom_task *, void *const *)
{
    *reinterpret_cast<volatile int *>(8) = 1; // NOLINT: raised, it would reach a sanitizer first
    return 0;
}

/* args[1]: a gate; crashes the first time. */
int crash_once(const parloom_task *task, void *const *args)
{
    auto *gate = static_cast<Gate *>(args[1]);
    if (gate->arrived++ == 0) std::raise(SIGKILL);
    return return_square(task, args);
}

int refuse(void *)
{
    return 33;
}

class FutureOfWorkers : public Placed
{
  protected:
    void TearDown() override
    {
        futures.open_gate();
        futures.release_all();
        Placed::TearDown();
    }
    /* As many as there are workers, which hold them. */
    std::vector<parloom_future *> hold_workers(const parloom_options &given)
    {
        std::vector<parloom_future *> held;
        for (int k = 0; k < GetParam().n_jobs; k++) held.push_back(futures.submit(pass_gate, k, given));
        EXPECT_TRUE(futures.arrive(GetParam().n_jobs)) << futures.error.message;
        return held;
    }
    Futures futures;
};

TEST_P(FutureOfWorkers, IsPendingThenRunningThenDone)
{
    std::vector<parloom_future *> held = hold_workers(options());
    parloom_future *last = futures.submit(return_square, 3, options());
    ASSERT_NE(last, nullptr) << futures.error.message;
    for (parloom_future *future : held) EXPECT_EQ(parloom_future_poll(future), PARLOOM_FUTURE_RUNNING);
    EXPECT_EQ(parloom_future_poll(last), PARLOOM_FUTURE_PENDING);
    futures.open_gate();
    EXPECT_EQ(long_of(futures.wait(last)), 9);
    for (parloom_future *future : held) EXPECT_EQ(futures.wait(future).status, PARLOOM_OK);
    for (parloom_future *future : futures.all()) EXPECT_EQ(parloom_future_poll(future), PARLOOM_FUTURE_DONE);
}

TEST_P(FutureOfWorkers, IsCancelledOnlyWhilePending)
{
    Calls calls;
    std::vector<parloom_future *> held = hold_workers(options());
    parloom_future *pending = futures.submit(pass_gate, 3, options());
    ASSERT_NE(pending, nullptr) << futures.error.message;
    EXPECT_OK(parloom_future_on_done(pending, Calls::note, calls.call(1), &error));
    for (parloom_future *future : held) EXPECT_FALSE(parloom_future_cancel(future));
    EXPECT_TRUE(parloom_future_cancel(pending));
    EXPECT_EQ(calls.statuses(), std::vector<parloom_status>{ PARLOOM_ERR_CANCELLED }) << "before cancel returns";
    EXPECT_TRUE(parloom_future_cancel(pending)) << "it is cancelled";
    EXPECT_EQ(parloom_future_poll(pending), PARLOOM_FUTURE_CANCELLED);
    futures.open_gate();
    for (parloom_future *future : held) {
        EXPECT_EQ(futures.wait(future).status, PARLOOM_OK);
        EXPECT_FALSE(parloom_future_cancel(future)) << "it has ended";
    }
    EXPECT_EQ(futures.wait(pending).status, PARLOOM_ERR_CANCELLED);
    EXPECT_EQ(futures.arrived(), GetParam().n_jobs) << "it was not run";
}

TEST_P(FutureOfWorkers, CallsBackInOrder)
{
    Calls calls;
    parloom_future *future = hold_workers(options())[0];
    for (int k = 0; k < 5; k++) EXPECT_OK(parloom_future_on_done(future, Calls::note, calls.call(k), &error));
    EXPECT_TRUE(calls.numbers().empty());
    futures.open_gate();
    EXPECT_TRUE(calls.come_to(5));
    EXPECT_EQ(calls.numbers(), (std::vector<int>{ 0, 1, 2, 3, 4 }));
    EXPECT_EQ(calls.statuses(), std::vector<parloom_status>(5, PARLOOM_OK));
}

TEST_P(FutureOfWorkers, CallsBackThoughItWasReleased)
{
    Calls calls;
    parloom_future *future = hold_workers(options())[0];
    EXPECT_OK(parloom_future_on_done(future, Calls::note, calls.call(1), &error));
    futures.release(future);
    EXPECT_TRUE(calls.numbers().empty());
    futures.open_gate();
    EXPECT_TRUE(calls.come_to(1));
}

TEST_P(FutureOfWorkers, WakesAllWhoWaitForIt)
{
    std::vector<std::thread> waiters;
    std::atomic<int> right{ 0 };
    parloom_future *future = hold_workers(options())[0];
    for (int k = 0; k < 4; k++)
        waiters.emplace_back([&] {
            parloom_result result;
            right += parloom_future_wait(future, 60, &result, nullptr) == PARLOOM_OK && long_of(result) == 0;
        });
    futures.open_gate();
    for (auto &waiter : waiters) waiter.join();
    EXPECT_EQ(right, 4);
}

TEST_P(FutureOfWorkers, IsWaitedForNoLongerThanAsked)
{
    parloom_future *future = hold_workers(options())[0];
    for (double timeout : { 0.0, 0.01 }) {
        EXPECT_EQ(parloom_future_wait(future, timeout, nullptr, &error), PARLOOM_ERR_TIMEOUT);
        EXPECT_EQ(parloom_future_poll(future), PARLOOM_FUTURE_RUNNING) << "it goes on";
    }
    futures.open_gate();
    EXPECT_EQ(futures.wait(future).status, PARLOOM_OK);
}

/* state: a future that is held. */
int wait_in_vain(parloom_future *, void *state)
{
    auto *held = static_cast<parloom_future *>(state);
    return parloom_future_wait(held, 60, nullptr, nullptr) == PARLOOM_ERR_INVALID &&
                   parloom_future_wait(held, 0, nullptr, nullptr) == PARLOOM_ERR_TIMEOUT
               ? 0
               : 99;
}

TEST_P(FutureOfWorkers, IsNotWaitedForInACallbackOfTheLibrarysThread)
{
    Calls calls;
    Futures others; /* with a gate of their own */
    parloom_future *future = hold_workers(options())[0];
    parloom_future *other = others.submit(pass_gate, 1, options());
    ASSERT_NE(other, nullptr) << others.error.message;
    EXPECT_OK(parloom_future_on_done(future, wait_in_vain, other, &error));
    EXPECT_OK(parloom_future_on_done(future, Calls::note, calls.call(1), &error));
    futures.open_gate();
    EXPECT_TRUE(calls.come_to(1));
}

TEST_P(FutureOfWorkers, CallbacksThatFailAreLogged)
{
    Calls calls;
    announce("a callback of a future returned 44");
    parloom_future *future = hold_workers(options())[0];
    EXPECT_OK(parloom_future_on_done(future, Calls::note, calls.call(1, 44), &error));
    EXPECT_OK(parloom_future_on_done(future, Calls::note, calls.call(2), &error));
    futures.open_gate();
    EXPECT_TRUE(calls.come_to(2));
    EXPECT_EQ(calls.numbers(), (std::vector<int>{ 1, 2 }));
}

TEST_P(FutureOfWorkers, EndsInTheOrderInWhichItIsGiven)
{
    parloom_future *held = hold_workers(options())[0];
    parloom_options other = options();
    other.n_jobs = 1;
    other.max_nbytes = 8192;
    futures.open_gate();
    EXPECT_EQ(futures.wait(held).status, PARLOOM_OK);
    parloom_future *second = futures.submit(return_square, 5, other);
    ASSERT_NE(second, nullptr) << futures.error.message;
    EXPECT_EQ(futures.wait(second).status, PARLOOM_OK);
    parloom_future *set[] = { second, held, nullptr, second }, *ended = nullptr;
    EXPECT_OK(parloom_future_next(set, 4, 0, &ended, &error));
    EXPECT_EQ(ended, held);
    EXPECT_OK(parloom_future_next(set, 4, 0, &ended, &error));
    EXPECT_EQ(ended, second);
    EXPECT_OK(parloom_future_next(set, 4, 0, &ended, &error));
    EXPECT_EQ(ended, nullptr);
}

TEST_P(FutureOfWorkers, EndsWithItsStop)
{
    Calls calls;
    parloom_stop stop = {};
    parloom_options given = options();
    given.stop = &stop;
    std::vector<parloom_future *> held = hold_workers(given);
    parloom_future *pending = futures.submit(pass_gate, 3, given);
    ASSERT_NE(pending, nullptr) << futures.error.message;
    EXPECT_OK(parloom_future_on_done(pending, Calls::note, calls.call(1), &error));
    parloom_cancel(&stop);
    for (parloom_future *future : futures.all()) {
        bool is_done = futures.wait(future).status == PARLOOM_OK; /* it may have seen parloom_cancelled in time */
        EXPECT_EQ(parloom_future_poll(future), is_done ? PARLOOM_FUTURE_DONE : PARLOOM_FUTURE_CANCELLED);
    }
    EXPECT_EQ(futures.wait(pending).status, PARLOOM_ERR_CANCELLED);
    EXPECT_EQ(futures.arrived(), GetParam().n_jobs) << "it was not begun";
    EXPECT_TRUE(calls.come_to(1));
    EXPECT_EQ(long_of(futures.wait(futures.submit(return_square, 3, options()))), 9) << "others are not concerned";
}

TEST_P(FutureOfWorkers, EndsWithCtrlC)
{
    ASSERT_OK(parloom_interrupt_begin(&error));
    (void)hold_workers(options());
    parloom_future *pending = futures.submit(pass_gate, 3, options());
    ASSERT_NE(pending, nullptr) << futures.error.message;
    std::raise(SIGINT);
    for (parloom_future *future : futures.all()) EXPECT_NE(futures.wait(future).status, PARLOOM_ERR_INTERNAL);
    EXPECT_EQ(futures.wait(pending).status, PARLOOM_ERR_CANCELLED);
    EXPECT_TRUE(parloom_interrupt_end(false));
    EXPECT_EQ(long_of(futures.wait(futures.submit(return_square, 3, options()))), 9);
}

TEST_P(FutureOfWorkers, PastItsTimeoutHasEnded)
{
    parloom_options hurried = options();
    hurried.timeout = 0.05;
    std::vector<parloom_future *> held = hold_workers(options());
    parloom_future *pending = futures.submit(return_square, 3, hurried);
    ASSERT_NE(pending, nullptr) << futures.error.message;
    parloom_result result = futures.wait(pending);
    EXPECT_EQ(result.status, PARLOOM_ERR_TIMEOUT);
    EXPECT_NE(strstr(result.error.message, "0.05 s"), nullptr) << result.error.message;
    EXPECT_EQ(parloom_future_poll(pending), PARLOOM_FUTURE_FAILED);
    futures.open_gate();
    for (parloom_future *future : held) EXPECT_EQ(futures.wait(future).status, PARLOOM_OK) << "had no timeout";
}

TEST_P(FutureOfWorkers, PastItsTimeoutIsEndedInTheMidst)
{
    Calls calls;
    parloom_options hurried = options();
    hurried.timeout = 0.2;
    parloom_future *running = futures.submit(pass_gate, 3, hurried);
    ASSERT_NE(running, nullptr) << futures.error.message;
    EXPECT_OK(parloom_future_on_done(running, Calls::note, calls.call(1), &error));
    parloom_result result = futures.wait(running);
    EXPECT_EQ(result.status, PARLOOM_ERR_TIMEOUT);
    EXPECT_NE(strstr(result.error.message, "the future ran past its timeout"), nullptr) << result.error.message;
    EXPECT_EQ(result.nbytes, 0u);
    EXPECT_TRUE(calls.come_to(1));
    futures.open_gate();
    EXPECT_EQ(long_of(futures.wait(futures.submit(return_square, 3, options()))), 9);
}

TEST_P(FutureOfWorkers, TimeoutThatIsOverAtOnceIsNoticed)
{
    parloom_options hurried = options();
    hurried.timeout = 1e-9;
    for (long k = 0; k < 20; k++) ASSERT_NE(futures.submit(pass_gate, k, hurried), nullptr) << futures.error.message;
    for (parloom_future *future : futures.all()) EXPECT_EQ(futures.wait(future).status, PARLOOM_ERR_TIMEOUT);
}

TEST_P(FutureOfWorkers, OfWorkersThatRefuseEndsWithTheReason)
{
    parloom_options given = options();
    given.worker_init = refuse;
    parloom_future *future = futures.submit(return_square, 3, given);
    parloom_status status = future != nullptr ? futures.wait(future).status : futures.error.status;
    EXPECT_EQ(status, PARLOOM_ERR_CALLBACK);
    EXPECT_EQ(long_of(futures.wait(futures.submit(return_square, 3, options()))), 9);
}

TEST_P(FutureOfWorkers, LeavesNoThreadBehind)
{
    std::thread([] {}).join(); /* a sanitizer's own thread is there now */
    size_t before = threads_of_this_process();
    {
        Futures few;
        for (long k = 0; k < 10; k++) ASSERT_NE(few.submit(return_square, k, options()), nullptr) << few.error.message;
        EXPECT_OK(parloom_future_wait_for(few.all().data(), 10, PARLOOM_UNTIL_ALL, 60, &error));
    }
    EXPECT_TRUE(loom::comes_true([&] { return threads_of_this_process() <= before; }, 20));
}

TEST_P(FutureOfWorkers, OfAnotherProcessIsNotWaitedFor)
{
    parloom_future *future = hold_workers(options())[0];
    pid_t child = fork();
    if (child == 0) {
        bool is_right = parloom_future_wait(future, -1, nullptr, nullptr) == PARLOOM_ERR_INVALID &&
                        !parloom_future_cancel(future) &&
                        parloom_future_on_done(future, Calls::note, nullptr, nullptr) == PARLOOM_ERR_INVALID;
        parloom_future_release(future);
        _exit(is_right ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    futures.open_gate();
    EXPECT_EQ(futures.wait(future).status, PARLOOM_OK);
}

INSTANTIATE_TEST_SUITE_P(, FutureOfWorkers, ::testing::ValuesIn(every_future_of_workers), name_of);

class FutureThatIsKilled : public FutureOfWorkers
{
};

TEST_P(FutureThatIsKilled, IsLostAlone)
{
    std::vector<parloom_future *> lost;
    for (long k = 0; k < 60; k++)
        if (futures.submit(k % 20 == 7 ? crash : return_square, k, options()) == nullptr)
            FAIL() << futures.error.message;
    for (size_t k = 0; k < 60; k++) {
        parloom_result result = futures.wait(futures.all()[k]);
        if (k % 20 == 7) {
            EXPECT_EQ(result.status, PARLOOM_ERR_CRASHED);
            EXPECT_EQ(result.error.signal, SIGSEGV) << result.error.message;
        } else {
            EXPECT_EQ(long_of(result), static_cast<long>(k * k)) << result.error.message;
        }
    }
}

TEST_P(FutureThatIsKilled, IsNoSignOfWorkersThatCannotWork)
{
    for (int k = 0; k < 20; k++) {
        Futures one; /* with it goes what it shares with others */
        EXPECT_EQ(one.wait(one.submit(crash, 0, options())).status, PARLOOM_ERR_CRASHED);
    }
}

TEST_P(FutureThatIsKilled, OfTooManyKindsIsRefused)
{
    parloom_options given = options();
    for (size_t k = 0; k < 8; k++) {
        given.max_nbytes = 4096 + k;
        ASSERT_NE(futures.submit(pass_gate, 2, given), nullptr) << futures.error.message;
    }
    given.max_nbytes = 8192;
    EXPECT_EQ(futures.submit(pass_gate, 2, given), nullptr);
    EXPECT_EQ(futures.error.status, PARLOOM_ERR_LIMIT) << futures.error.message;
    futures.open_gate();
    for (parloom_future *future : futures.all()) EXPECT_EQ(long_of(futures.wait(future)), 4);
    futures.release_all();
    EXPECT_EQ(long_of(futures.wait(futures.submit(return_square, 3, given))), 9);
}

TEST_P(FutureThatIsKilled, HasNoWorkerProcessesBelowIt)
{
    auto body = [](const parloom_task *, void *const *) {
        Futures below;
        parloom_options given = PARLOOM_OPTIONS_INIT;
        given.backend = "processes";
        given.n_jobs = 2;
        return below.submit(return_square, 3, given) == nullptr ? static_cast<int>(below.error.status) : 0;
    };
    parloom_result result = futures.wait(futures.submit(body, 0, options()));
    EXPECT_EQ(result.status, PARLOOM_ERR_TASK);
    EXPECT_EQ(result.error.code, PARLOOM_ERR_UNSUPPORTED) << result.error.message;
}

TEST_P(FutureThatIsKilled, FindsWhatTheProgramHadWhenItWasSubmitted)
{
    auto body = [](const parloom_task *task, void *const *) {
        const char *value = getenv("LOOM_TEST_OF_FUTURES");
        return value != nullptr ? parloom_return(task, value, strlen(value) + 1) : 1;
    };
    std::vector<parloom_future *> held = hold_workers(options());
    for (const char *value : { "first", "second" }) {
        setenv("LOOM_TEST_OF_FUTURES", value, 1);
        futures.submit(body, 0, options());
    }
    unsetenv("LOOM_TEST_OF_FUTURES");
    futures.open_gate();
    size_t n = held.size();
    EXPECT_STREQ(static_cast<const char *>(futures.wait(futures.all()[n]).data), "first");
    EXPECT_STREQ(static_cast<const char *>(futures.wait(futures.all()[n + 1]).data), "second");
    EXPECT_EQ(futures.wait(futures.submit(body, 0, options())).status, PARLOOM_ERR_TASK) << "it is not set now";
}

TEST_P(FutureThatIsKilled, IsRunAgainIfAsked)
{
    parloom_options given = options();
    given.retries = 1;
    parloom_future *future = futures.submit(crash_once, 3, given);
    ASSERT_NE(future, nullptr) << futures.error.message;
    EXPECT_EQ(long_of(futures.wait(future)), 9);
    EXPECT_EQ(futures.arrived(), 2);
}

TEST_P(FutureThatIsKilled, IsRunAgainThoughItCouldNotBeCancelled)
{
    parloom_options given = options();
    given.retries = 1;
    auto body = [](const parloom_task *task, void *const *args) {
        bool is_first = static_cast<Gate *>(args[1])->arrived == 0;
        int answer = pass_gate(task, args);
        if (is_first) std::raise(SIGKILL);
        return answer;
    };
    parloom_future *future = futures.submit(body, 3, given);
    ASSERT_NE(future, nullptr) << futures.error.message;
    ASSERT_TRUE(futures.arrive(1));
    EXPECT_FALSE(parloom_future_cancel(future));
    futures.open_gate();
    EXPECT_EQ(long_of(futures.wait(future)), 9) << "refused cancelling changes nothing";
}

TEST_P(FutureThatIsKilled, HasATimeLimitForItsTask)
{
    parloom_options given = options();
    given.task_timeout = 0.1;
    parloom_future *future = futures.submit(pass_gate, 3, given);
    ASSERT_NE(future, nullptr) << futures.error.message;
    EXPECT_EQ(futures.wait(future).status, PARLOOM_ERR_TIMEOUT);
    EXPECT_EQ(long_of(futures.wait(futures.submit(return_square, 3, given))), 9);
}

TEST_P(FutureThatIsKilled, IsCancelledByTheShutdownOfSharedWorkers)
{
    Calls calls;
    std::vector<parloom_future *> held = hold_workers(options());
    for (long k = 0; k < 5; k++) ASSERT_NE(futures.submit(pass_gate, k, options()), nullptr) << futures.error.message;
    for (parloom_future *future : futures.all())
        EXPECT_OK(parloom_future_on_done(future, Calls::note, calls.call(1), &error));
    parloom_shutdown(true);
    for (parloom_future *future : futures.all()) EXPECT_EQ(futures.wait(future).status, PARLOOM_ERR_CANCELLED);
    EXPECT_TRUE(calls.come_to(futures.all().size()));
    EXPECT_EQ(long_of(futures.wait(futures.submit(return_square, 3, options()))), 9);
}

TEST_P(FutureThatIsKilled, OutlivesAShutdownThatWaits)
{
    std::vector<parloom_future *> held = hold_workers(options());
    parloom_shutdown(false);
    parloom_future *next = futures.submit(return_square, 4, options());
    ASSERT_NE(next, nullptr) << futures.error.message;
    EXPECT_EQ(long_of(futures.wait(next)), 16) << "on new workers: the old ones are all held";
    for (parloom_future *future : held) EXPECT_EQ(parloom_future_poll(future), PARLOOM_FUTURE_RUNNING);
    futures.open_gate();
    for (parloom_future *future : held) EXPECT_EQ(futures.wait(future).status, PARLOOM_OK);
}

const std::vector<Place> every_kill_of_futures = { { "processes", 1 }, { "processes", 2 } };
INSTANTIATE_TEST_SUITE_P(, FutureThatIsKilled, ::testing::ValuesIn(every_kill_of_futures), name_of);

} // namespace

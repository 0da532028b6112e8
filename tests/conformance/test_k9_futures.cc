/* SPDX-License-Identifier: BSD-3-Clause */
/* K9: one future in each of its states; K4.17 and K4.18: callbacks and crashes. */
#include "conformance/futures.h"

#include <pthread.h>

using namespace conformance;

namespace
{

enum end { RETURNS, EXITS, EXITS_AT_ONCE, SEGFAULTS };

int end_as(long how)
{
    if (how == EXITS) std::exit(0);
    if (how == EXITS_AT_ONCE) _exit(0);
    if (how == SEGFAULTS) *reinterpret_cast<volatile int *>(8) = 1; // NOLINT
    return 77;
}

int end_in_init(void *state)
{
    return end_as(*static_cast<long *>(state));
}

int end_in_task(const parloom_task *, void *const *args)
{
    return end_as(contract::number_in(args));
}

/* After half of what it wanted to say. */
int end_in_result(const parloom_task *task, void *const *args)
{
    long half = 1;
    int answer = parloom_return(task, &half, sizeof half);
    return answer != 0 ? answer : end_as(contract::number_in(args));
}

/* args[1]: shared memory that it writes to. */
int end_in_output(const parloom_task *, void *const *args)
{
    static_cast<contract::Gate *>(args[1])->arrived++;
    return end_as(contract::number_in(args));
}

struct Case {
    parloom_body body; /* NULL: in worker_init */
    long how;
};

/* A case that is submitted in the callback of another future. */
struct Attempt {
    Case one;
    Futures *futures;
    std::atomic<parloom_future *> submitted;
    std::atomic<bool> is_over;

    static int submit(parloom_future *, void *state)
    {
        auto *attempt = static_cast<Attempt *>(state);
        parloom_options given = on("processes");
        if (attempt->one.body == nullptr) {
            given.worker_init = end_in_init;
            given.worker_init_state = &attempt->one.how;
            given.worker_init_state_nbytes = sizeof attempt->one.how;
        }
        parloom_body body = attempt->one.body != nullptr ? attempt->one.body : contract::return_square;
        attempt->submitted = attempt->futures->submit(body, attempt->one.how, given);
        attempt->is_over = true;
        return 0;
    }
};

void expect_failure(const Case &one, const parloom_error &error)
{
    SCOPED_TRACE(error.message);
    bool is_init = one.body == nullptr;
    if (one.how == SEGFAULTS) {
        EXPECT_TRUE(says(error, "SIGSEGV"));
    } else if (one.how != RETURNS) {
        EXPECT_TRUE(says(error, "exit"));
    }
    if (one.how == RETURNS) {
        EXPECT_EQ(error.status, is_init ? PARLOOM_ERR_CALLBACK : PARLOOM_ERR_TASK);
        EXPECT_EQ(error.code, 77);
    } else if (!is_init) {
        EXPECT_EQ(error.status, one.how == SEGFAULTS ? PARLOOM_ERR_CRASHED : PARLOOM_ERR_EXITED);
    }
}

int end_thread(parloom_future *, void *)
{
    pthread_exit(nullptr);
}

parloom_status status_at_once(Futures &futures, parloom_future *future)
{
    parloom_result result;
    parloom_status status = parloom_future_wait(future, 0, &result, &futures.error);
    return status == PARLOOM_OK ? result.status : status;
}

} // namespace

TEST_F(Conformance, K4_17_CrashesOfWhatACallbackSubmits)
{
    for (parloom_body body : { static_cast<parloom_body>(nullptr), end_in_task, end_in_result, end_in_output })
        for (long how : { RETURNS, EXITS, EXITS_AT_ONCE, SEGFAULTS }) {
            Futures futures;
            Attempt attempt = { { body, how }, &futures, { nullptr }, { false } };
            parloom_future *first = futures.submit(contract::return_square, 2, on("processes"));
            ASSERT_NE(first, nullptr) << futures.error.message;
            EXPECT_OK(parloom_future_on_done(first, Attempt::submit, &attempt, &error));
            ASSERT_TRUE(comes_true([&] { return attempt.is_over.load(); }));
            error = futures.error; /* worker_init may have failed before it was submitted */
            if (attempt.submitted != nullptr) error = futures.wait(attempt.submitted, 20).error;
            expect_failure(attempt.one, error);
            EXPECT_EQ(long_of(futures.wait(futures.submit(contract::return_square, 3, on("processes")))), 9);
        }
}

TEST_F(Conformance, K4_18_CallbacksThatFailOrEndTheirThread)
{
    announce("a callback of a future returned 44");
    announce("a callback of a future ended the library's thread");
    for (const char *backend : future_backends) {
        Calls calls;
        States states(backend);
        EXPECT_OK(parloom_future_on_done(states.running, Calls::note, calls.call(1, 44), &error));
        EXPECT_OK(parloom_future_on_done(states.running, end_thread, nullptr, &error));
        EXPECT_OK(parloom_future_on_done(states.running, Calls::note, calls.call(2), &error));
        EXPECT_OK(parloom_future_on_done(states.pending, end_thread, nullptr, &error));
        states.futures.open_gate();
        EXPECT_TRUE(calls.come_to(2)) << backend;
        EXPECT_EQ(long_of(states.futures.wait(states.pending)), 16);
        for (long k = 0; k < 20; k++)
            EXPECT_EQ(long_of(states.futures.wait(states.futures.submit(contract::return_square, k, states.options))),
                      k * k);
    }
}

TEST_F(Conformance, K9_02_CallbackSeesTheError)
{
    for (const char *backend : future_backends) {
        Futures futures;
        Calls calls;
        parloom_future *held = futures.submit(contract::pass_gate, 1, on(backend, 1));
        parloom_future *failing = futures.submit(contract::return_code, 6, on(backend, 1));
        ASSERT_NE(failing, nullptr) << futures.error.message;
        EXPECT_OK(parloom_future_on_done(failing, Calls::note, calls.call(1), &error));
        futures.open_gate();
        EXPECT_TRUE(calls.come_to(1));
        EXPECT_EQ(calls.statuses(), std::vector<parloom_status>{ PARLOOM_ERR_TASK }) << backend;
        EXPECT_EQ(futures.wait(held).status, PARLOOM_OK);
    }
}

TEST_F(Conformance, K9_03_CallbackRunsOnCancel)
{
    for (const char *backend : future_backends) {
        Calls calls;
        States states(backend);
        EXPECT_OK(parloom_future_on_done(states.pending, Calls::note, calls.call(1), &error));
        EXPECT_TRUE(parloom_future_cancel(states.pending));
        EXPECT_EQ(calls.statuses(), std::vector<parloom_status>{ PARLOOM_ERR_CANCELLED }) << backend;
    }
}

TEST_F(Conformance, K9_04_AFailingCallbackIsLoggedAndTheOthersRun)
{
    announce("a callback of a future returned 44");
    for (const char *backend : future_backends) {
        Calls calls;
        States states(backend);
        EXPECT_OK(parloom_future_on_done(states.running, Calls::note, calls.call(1, 44), &error));
        EXPECT_OK(parloom_future_on_done(states.running, Calls::note, calls.call(2), &error));
        states.futures.open_gate();
        EXPECT_TRUE(calls.come_to(2));
        EXPECT_EQ(calls.numbers(), (std::vector<int>{ 1, 2 })) << backend;
    }
}

/* Added after the end, it runs before the adding returns. */
static void expect_call_at_once(parloom_future *future, parloom_status status)
{
    Calls calls;
    EXPECT_EQ(parloom_future_on_done(future, Calls::note, calls.call(1), nullptr), PARLOOM_OK);
    EXPECT_EQ(calls.statuses(), std::vector<parloom_status>{ status });
}

TEST_F(Conformance, K9_05_CallbackAfterSuccess)
{
    for (const char *backend : future_backends) expect_call_at_once(States(backend).done, PARLOOM_OK);
}

TEST_F(Conformance, K9_06_CallbackAfterFailure)
{
    for (const char *backend : future_backends) expect_call_at_once(States(backend).failed, PARLOOM_ERR_TASK);
}

TEST_F(Conformance, K9_07_CallbackAfterCancel)
{
    for (const char *backend : future_backends) expect_call_at_once(States(backend).cancelled, PARLOOM_ERR_CANCELLED);
}

TEST_F(Conformance, K9_08_StatesHaveNames)
{
    for (const char *backend : future_backends) {
        States states(backend);
        auto name = [](parloom_future *future) {
            return std::string(parloom_future_state_name(parloom_future_poll(future)));
        };
        EXPECT_EQ(name(states.pending), "pending");
        EXPECT_EQ(name(states.running), "running");
        EXPECT_EQ(name(states.cancelled), "cancelled");
        EXPECT_EQ(name(states.done), "done");
        EXPECT_EQ(name(states.failed), "failed");
        EXPECT_STREQ(parloom_future_state_name(static_cast<parloom_future_state>(77)), "unknown");
    }
}

TEST_F(Conformance, K9_09_OnlyThePendingCanBeCancelled)
{
    for (const char *backend : future_backends) {
        States states(backend);
        EXPECT_TRUE(parloom_future_cancel(states.pending)) << backend;
        EXPECT_TRUE(parloom_future_cancel(states.cancelled)) << backend;
        EXPECT_FALSE(parloom_future_cancel(states.running)) << backend;
        EXPECT_FALSE(parloom_future_cancel(states.done)) << backend;
        EXPECT_FALSE(parloom_future_cancel(states.failed)) << backend;
    }
}

/* Which of pending, running, cancelled, done, failed are in one of these states. */
static std::vector<bool> are(const States &states, const std::set<parloom_future_state> &wanted)
{
    std::vector<bool> found;
    for (parloom_future *future : { states.pending, states.running, states.cancelled, states.done, states.failed })
        found.push_back(wanted.count(parloom_future_poll(future)) > 0);
    return found;
}

TEST_F(Conformance, K9_10_Cancelled)
{
    for (const char *backend : future_backends)
        EXPECT_EQ(are(States(backend), { PARLOOM_FUTURE_CANCELLED }),
                  (std::vector<bool>{ false, false, true, false, false }))
            << backend;
}

TEST_F(Conformance, K9_11_Done)
{
    for (const char *backend : future_backends)
        EXPECT_EQ(are(States(backend), { PARLOOM_FUTURE_CANCELLED, PARLOOM_FUTURE_DONE, PARLOOM_FUTURE_FAILED }),
                  (std::vector<bool>{ false, false, true, true, true }))
            << backend;
}

TEST_F(Conformance, K9_12_Running)
{
    for (const char *backend : future_backends)
        EXPECT_EQ(are(States(backend), { PARLOOM_FUTURE_RUNNING }),
                  (std::vector<bool>{ false, true, false, false, false }))
            << backend;
}

TEST_F(Conformance, K9_13_ResultWithoutWaiting)
{
    for (const char *backend : future_backends) {
        States states(backend);
        EXPECT_EQ(status_at_once(states.futures, states.pending), PARLOOM_ERR_TIMEOUT) << backend;
        EXPECT_EQ(status_at_once(states.futures, states.running), PARLOOM_ERR_TIMEOUT) << backend;
        EXPECT_EQ(status_at_once(states.futures, states.cancelled), PARLOOM_ERR_CANCELLED) << backend;
        EXPECT_EQ(status_at_once(states.futures, states.failed), PARLOOM_ERR_TASK) << backend;
        EXPECT_EQ(long_of(states.futures.wait(states.done, 0)), 25) << backend;
    }
}

TEST_F(Conformance, K9_14_AWaiterIsWokenByTheResult)
{
    for (const char *backend : future_backends) {
        States states(backend);
        std::atomic<long> value{ 0 };
        std::thread waiter([&] { value = long_of(states.futures.wait(states.running)); });
        states.futures.open_gate();
        waiter.join();
        EXPECT_EQ(value, 9) << backend;
    }
}

TEST_F(Conformance, K9_15_AWaiterIsWokenByCancel)
{
    for (const char *backend : future_backends) {
        States states(backend);
        std::atomic<int> status{ PARLOOM_OK };
        parloom_future *pending = states.pending;
        std::thread waiter([&status, pending] {
            parloom_result result;
            if (parloom_future_wait(pending, 60, &result, nullptr) == PARLOOM_OK) status = result.status;
        });
        EXPECT_TRUE(parloom_future_cancel(pending));
        waiter.join();
        EXPECT_EQ(status, PARLOOM_ERR_CANCELLED) << backend;
    }
}

TEST_F(Conformance, K9_16_ErrorWithoutWaiting)
{
    for (const char *backend : future_backends) {
        States states(backend);
        EXPECT_EQ(states.futures.wait(states.failed, 0).error.code, 9) << backend;
        EXPECT_EQ(states.futures.wait(states.failed, 0).error.status, PARLOOM_ERR_TASK) << backend;
        EXPECT_EQ(states.futures.wait(states.done, 0).error.status, PARLOOM_OK) << backend;
        EXPECT_EQ(states.futures.wait(states.cancelled, 0).error.status, PARLOOM_ERR_CANCELLED) << backend;
        EXPECT_EQ(parloom_future_wait(states.running, 0, nullptr, &error), PARLOOM_ERR_TIMEOUT);
        EXPECT_EQ(parloom_future_wait(states.pending, 0, nullptr, &error), PARLOOM_ERR_TIMEOUT);
    }
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* K2: submit, wait for several futures, take them as they end; map is a stream in order. */
#include "conformance/futures.h"
#include "contract/streams.h"

#include <map>

using namespace conformance;

namespace
{

struct Power {
    long base, exponent;
};

/* args[0]: a Power. */
int return_power(const parloom_task *task, void *const *args)
{
    const auto *power = static_cast<const Power *>(args[0]);
    long value = 1;
    for (long k = 0; k < power->exponent; k++) value *= power->base;
    return parloom_return(task, &value, sizeof value);
}

/* args[0]: a number; args[1], args[2]: two sequences. */
int return_product_of_two(const parloom_task *task, void *const *args)
{
    size_t k = contract::number_of(args);
    long value = static_cast<const long *>(args[1])[k] * static_cast<const long *>(args[2])[k];
    return parloom_return(task, &value, sizeof value);
}

int return_square_but_fail_at_three(const parloom_task *task, void *const *args)
{
    return contract::number_of(args) == 3 ? 55 : contract::square(task, args);
}

int return_square_but_sleep_at_two(const parloom_task *task, void *const *args)
{
    return contract::number_of(args) == 2 ? sleep_long(task, args) : contract::square(task, args);
}

/* What a map gives, up to what ends it. */
struct Mapped {
    std::vector<long> values;
    parloom_status status = PARLOOM_OK; /* of the stream, or of the first item that failed */
    parloom_error error = {};
};

Mapped map(contract::Source source, const parloom_options &given)
{
    Mapped mapped;
    parloom_stream *stream = nullptr;
    mapped.status = parloom_stream_open(&stream, contract::Source::next, &source, true, &given, &mapped.error);
    while (mapped.status == PARLOOM_OK) {
        parloom_result result;
        bool is_done = false;
        mapped.status = parloom_stream_next(stream, &result, &is_done, &mapped.error);
        if (mapped.status != PARLOOM_OK || is_done) break;
        if (result.status != PARLOOM_OK) mapped.error = result.error;
        mapped.status = result.status;
        if (result.status == PARLOOM_OK) mapped.values.push_back(static_cast<long>(contract::value_of(result)));
    }
    parloom_stream_close(stream);
    return mapped;
}

size_t count_ended(const std::vector<parloom_future *> &futures)
{
    size_t n = 0;
    for (parloom_future *future : futures) n += parloom_future_poll(future) >= PARLOOM_FUTURE_CANCELLED;
    return n;
}

parloom_status wait_for(const std::vector<parloom_future *> &futures, parloom_until until, double timeout,
                        parloom_error *error)
{
    return parloom_future_wait_for(futures.data(), futures.size(), until, timeout, error);
}

/* Three chains of futures that submit the next one when they have ended. */
struct Chain {
    parloom_options options;
    std::atomic<int> left, failure;

    static int go_on(parloom_future *, void *state)
    {
        auto *chain = static_cast<Chain *>(state);
        if (--chain->left > 0) chain->submit();
        return 0;
    }
    void submit()
    {
        long number = left;
        parloom_arg args[] = { parloom_in(&number, sizeof number) };
        parloom_call call = { contract::return_square, args, 1 };
        parloom_future *future = nullptr;
        parloom_status status = parloom_submit(&future, &call, &options, nullptr);
        if (status == PARLOOM_OK) status = parloom_future_on_done(future, go_on, this, nullptr);
        if (status != PARLOOM_OK) failure = status;
        parloom_future_release(future);
    }
};

} // namespace

TEST_F(Conformance, K2_01_WaitForTheFirst)
{
    for (const char *backend : future_backends) {
        States states(backend);
        parloom_future *quick = states.futures.submit(contract::return_square, 1, on(backend, 2));
        EXPECT_OK(wait_for({ states.running, quick }, PARLOOM_UNTIL_FIRST, 60, &error));
        EXPECT_EQ(parloom_future_poll(quick), PARLOOM_FUTURE_DONE) << backend;
        EXPECT_EQ(parloom_future_poll(states.running), PARLOOM_FUTURE_RUNNING) << backend;
    }
}

TEST_F(Conformance, K2_02_WaitForTheFirstOfWhichSomeHaveEnded)
{
    for (const char *backend : future_backends) {
        States states(backend);
        EXPECT_OK(wait_for({ states.done, states.running, states.cancelled }, PARLOOM_UNTIL_FIRST, 0, &error));
    }
}

TEST_F(Conformance, K2_03_WaitForTheFirstError)
{
    for (const char *backend : future_backends) {
        States states(backend);
        parloom_options others = on(backend, 2);
        parloom_future *good = states.futures.submit(contract::return_square, 2, others);
        EXPECT_EQ(wait_for({ good, states.running }, PARLOOM_UNTIL_FIRST_ERROR, 0.05, &error), PARLOOM_ERR_TIMEOUT);
        parloom_future *bad = states.futures.submit(contract::return_code, 8, others);
        EXPECT_OK(wait_for({ good, bad, states.running }, PARLOOM_UNTIL_FIRST_ERROR, 60, &error));
        EXPECT_EQ(parloom_future_poll(bad), PARLOOM_FUTURE_FAILED) << backend;
        EXPECT_EQ(parloom_future_poll(states.running), PARLOOM_FUTURE_RUNNING) << backend;
    }
}

TEST_F(Conformance, K2_04_WaitForTheFirstErrorOfWhichSomeHaveEnded)
{
    for (const char *backend : future_backends) {
        States states(backend);
        EXPECT_OK(wait_for({ states.failed, states.running, states.cancelled }, PARLOOM_UNTIL_FIRST_ERROR, 0, &error));
        EXPECT_EQ(wait_for({ states.done, states.running, states.cancelled }, PARLOOM_UNTIL_FIRST_ERROR, 0, &error),
                  PARLOOM_ERR_TIMEOUT)
            << "a cancelled one is no error";
    }
}

TEST_F(Conformance, K2_06_WaitForAll)
{
    for (const char *backend : every_future_backend) {
        Futures futures;
        for (long k = 0; k < 20; k++)
            ASSERT_NE(futures.submit(k % 3 == 0 ? contract::return_code : contract::return_square, k, on(backend)),
                      nullptr)
                << futures.error.message;
        EXPECT_OK(wait_for(futures.all(), PARLOOM_UNTIL_ALL, 60, &error));
        EXPECT_EQ(count_ended(futures.all()), 20u) << backend;
        EXPECT_OK(wait_for(futures.all(), PARLOOM_UNTIL_FIRST_ERROR, 0, &error));
    }
}

TEST_F(Conformance, K2_07_WaitWithATimeout)
{
    for (const char *backend : future_backends) {
        States states(backend);
        std::vector<parloom_future *> all = { states.done, states.failed, states.cancelled, states.running };
        EXPECT_EQ(wait_for(all, PARLOOM_UNTIL_ALL, 0.1, &error), PARLOOM_ERR_TIMEOUT);
        EXPECT_EQ(count_ended(all), 3u) << backend;
        EXPECT_EQ(parloom_future_poll(states.running), PARLOOM_FUTURE_RUNNING) << backend;
        states.futures.open_gate();
        EXPECT_EQ(long_of(states.futures.wait(states.running)), 9) << "it can be waited for still";
    }
}

TEST_F(Conformance, K2_08_EachAsItEnds)
{
    for (const char *backend : every_future_backend) {
        Futures futures;
        std::map<parloom_future *, int> seen;
        for (long k = 0; k < 50; k++)
            ASSERT_NE(futures.submit(contract::return_square, k, on(backend)), nullptr) << futures.error.message;
        std::vector<parloom_future *> left = futures.all();
        parloom_future *ended = nullptr;
        while (parloom_future_next(left.data(), left.size(), 60, &ended, &error) == PARLOOM_OK && ended != nullptr)
            seen[ended]++;
        EXPECT_EQ(ended, nullptr) << error.message;
        EXPECT_EQ(seen.size(), 50u) << backend;
        for (const auto &one : seen) EXPECT_EQ(one.second, 1);
    }
}

TEST_F(Conformance, K2_09_EachAsItEndsWithoutWaiting)
{
    for (const char *backend : future_backends) {
        States states(backend);
        std::set<parloom_future *> seen, expected = { states.cancelled, states.done, states.failed };
        parloom_future *left[] = { states.running, states.cancelled, states.done, states.failed }, *ended = nullptr;
        parloom_status status;
        while ((status = parloom_future_next(left, 4, 0, &ended, &error)) == PARLOOM_OK && ended != nullptr)
            seen.insert(ended);
        EXPECT_EQ(status, PARLOOM_ERR_TIMEOUT);
        EXPECT_EQ(seen, expected) << backend;
    }
}

TEST_F(Conformance, K2_10_DuplicatesAreGivenOnce)
{
    for (const char *backend : future_backends) {
        States states(backend);
        parloom_future *left[] = { states.done, states.failed, states.done, states.done }, *ended = nullptr;
        EXPECT_OK(parloom_future_next(left, 4, 0, &ended, &error));
        EXPECT_EQ(ended, states.done);
        EXPECT_OK(parloom_future_next(left, 4, 0, &ended, &error));
        EXPECT_EQ(ended, states.failed);
        EXPECT_OK(parloom_future_next(left, 4, 0, &ended, &error));
        EXPECT_EQ(ended, nullptr);
    }
}

TEST_F(Conformance, K2_11_Submit)
{
    for (const char *backend : every_future_backend) {
        Power power = { 2, 8 };
        parloom_arg args[] = { parloom_in(&power, sizeof power) };
        parloom_call call = { return_power, args, 1 };
        parloom_options given = on(backend);
        parloom_future *future = nullptr;
        parloom_result result;
        ASSERT_OK(parloom_submit(&future, &call, &given, &error));
        ASSERT_OK(parloom_future_wait(future, 60, &result, &error));
        EXPECT_EQ(long_of(result), 256) << backend;
        parloom_future_release(future);
    }
}

TEST_F(Conformance, K2_12_ArgumentsByName)
{
    for (const char *backend : every_future_backend) {
        Power power = {};
        power.exponent = 4;
        power.base = 3;
        parloom_arg args[] = { parloom_in(&power, sizeof power) };
        parloom_call call = {};
        call.n_args = 1;
        call.args = args;
        call.function = return_power;
        parloom_options given = on(backend);
        parloom_future *future = nullptr;
        parloom_result result;
        ASSERT_OK(parloom_submit(&future, &call, &given, &error));
        ASSERT_OK(parloom_future_wait(future, 60, &result, &error));
        EXPECT_EQ(long_of(result), 81) << backend;
        parloom_future_release(future);
    }
}

TEST_F(Conformance, K2_13_MapOverTwoSequences)
{
    std::vector<long> a, b, expected;
    for (long k = 0; k < 60; k++) {
        a.push_back(3 * k);
        b.push_back(k - 20);
        expected.push_back(a.back() * b.back());
    }
    for (const char *backend : every_future_backend) {
        Mapped mapped = map({ 60, return_product_of_two, { contract::in(a), contract::in(b) } }, on(backend));
        EXPECT_EQ(mapped.status, PARLOOM_OK) << mapped.error.message;
        EXPECT_EQ(mapped.values, expected) << backend;
    }
}

TEST_F(Conformance, K2_14_MapGivesResultsUpToTheError)
{
    for (const char *backend : every_future_backend) {
        Mapped mapped = map({ 20, return_square_but_fail_at_three }, on(backend));
        EXPECT_EQ(mapped.values, squares(3)) << backend;
        EXPECT_EQ(mapped.status, PARLOOM_ERR_TASK);
        EXPECT_EQ(mapped.error.code, 55) << mapped.error.message;
    }
}

TEST_F(Conformance, K2_15_MapWithATimeout)
{
    for (const char *backend : future_backends) {
        parloom_options given = on(backend);
        given.timeout = 1;
        Mapped mapped = map({ 3, return_square_but_sleep_at_two }, given);
        EXPECT_EQ(mapped.values, squares(2)) << backend;
        EXPECT_EQ(mapped.status, PARLOOM_ERR_TIMEOUT) << mapped.error.message;
    }
}

TEST_F(Conformance, K2_16_MapInChunks)
{
    for (const char *backend : every_future_backend) {
        for (size_t chunk : { 6, 40, 50 }) {
            parloom_options given = on(backend);
            given.batch_size = chunk;
            given.pre_dispatch = "all";
            Mapped mapped = map({ 48, contract::square }, given);
            EXPECT_EQ(mapped.status, PARLOOM_OK) << mapped.error.message;
            EXPECT_EQ(mapped.values, squares(48)) << backend << ", " << chunk;
        }
        parloom_options given = on(backend);
        given.batch_size = static_cast<size_t>(-1);
        EXPECT_EQ(map({ 48, contract::square }, given).status, PARLOOM_ERR_INVALID) << backend;
    }
}

TEST_F(Conformance, K2_19_NumberOfWorkers)
{
    Ended ended = run_program([] { /* first: the environment is read once */
                                   setenv("PARLOOM_N_JOBS", "a few", 1);
                                   Futures futures;
                                   parloom_options given = on("threads", 0);
                                   parloom_future *future = futures.submit(contract::return_square, 6, given);
                                   return future == nullptr && futures.error.status == PARLOOM_ERR_INVALID &&
                                                  says(futures.error, "a few")
                                              ? 0
                                              : 1;
    });
    EXPECT_TRUE(ended.is_ok()) << ended.err;
    for (const char *backend : future_backends) {
        Futures futures;
        EXPECT_EQ(long_of(futures.wait(futures.submit(contract::return_square, 6, on(backend, -1)))), 36);
    }
}

TEST_F(Conformance, K2_20_ChainsOfCallbacksThatSubmit)
{
    for (const char *backend : every_future_backend) {
        Chain chains[] = { { on(backend), { 100 }, { 0 } },
                           { on(backend), { 50 }, { 0 } },
                           { on(backend), { 60 }, { 0 } } };
        for (Chain &chain : chains) chain.submit();
        for (Chain &chain : chains) {
            EXPECT_TRUE(comes_true([&] { return chain.left <= 0 || chain.failure != 0; }, 20)) << backend;
            EXPECT_EQ(chain.failure, 0) << backend;
        }
    }
}

TEST_F(Conformance, K2_21_ManyThreadsOnOneSetOfWorkers)
{
    for (const char *backend : future_backends) {
        std::vector<std::thread> threads;
        std::atomic<int> wrong{ 0 };
        for (int t = 0; t < 10; t++)
            threads.emplace_back([&, t] {
                for (long round = 0; round < 4; round++) {
                    Futures futures;
                    if (t % 3 == 0) wrong += map({ 12, contract::square }, on(backend)).values != squares(12);
                    for (long k = 0; k < 12; k++) futures.submit(contract::return_square, k, on(backend));
                    if (futures.all().size() != 12) wrong++;
                    for (size_t k = 0; k < futures.all().size(); k++) {
                        bool is_cancelled = k % 4 == 3 && parloom_future_cancel(futures.all()[k]);
                        parloom_result result = futures.wait(futures.all()[k]);
                        wrong += is_cancelled ? result.status != PARLOOM_ERR_CANCELLED
                                              : long_of(result) != static_cast<long>(k * k);
                    }
                }
            });
        for (auto &thread : threads) thread.join();
        EXPECT_EQ(wrong, 0) << backend;
    }
}

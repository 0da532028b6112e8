// SPDX-License-Identifier: BSD-3-Clause
/* Futures: what is submitted is run once, its result kept, its callbacks called, on every backend that has them. */
#include "contract/futures.h"

#include <cmath>
#include <thread>

using namespace contract;

namespace
{

/* args[0]: bytes wanted. */
int return_bytes(const parloom_task *task, void *const *args)
{
    std::vector<unsigned char> bytes(static_cast<size_t>(number_in(args)));
    for (size_t k = 0; k < bytes.size(); k++) bytes[k] = static_cast<unsigned char>(k * 7);
    return parloom_return(task, bytes.data(), bytes.size());
}

int return_nothing(const parloom_task *, void *const *)
{
    return 0;
}

/* args[0]: shared, one long. */
int write_seven(const parloom_task *, void *const *args)
{
    __atomic_store_n(static_cast<long *>(args[0]), 7, __ATOMIC_SEQ_CST); /* it may be looked at meanwhile */
    return 0;
}

/* Submits what it is asked for below itself, and waits. */
int return_square_of_below(const parloom_task *task, void *const *args)
{
    Futures below;
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.n_jobs = 2;
    parloom_future *first = below.submit(return_square, number_in(args), given);
    parloom_future *second = below.submit(return_square, number_in(args) + 1, given);
    if (first == nullptr || second == nullptr) return 1;
    long sum = long_of(below.wait(first)) + long_of(below.wait(second));
    return parloom_return(task, &sum, sizeof sum);
}

class Future : public Placed
{
  protected:
    void TearDown() override
    {
        futures.release_all();
        Placed::TearDown();
    }
    Futures futures;
};

TEST_P(Future, IsRunAndGivesItsResult)
{
    parloom_future *future = futures.submit(return_square, 7, options());
    ASSERT_NE(future, nullptr) << futures.error.message;
    parloom_result result = futures.wait(future);
    EXPECT_EQ(result.status, PARLOOM_OK);
    EXPECT_EQ(long_of(result), 49);
    EXPECT_EQ(result.index, 0u);
    EXPECT_EQ(parloom_future_poll(future), PARLOOM_FUTURE_DONE);
    EXPECT_EQ(long_of(futures.wait(future, 0)), 49) << "a result is there until it is released";
}

TEST_P(Future, EndsWithoutBeingWaitedFor)
{
    parloom_future *future = futures.submit(return_square, 3, options());
    ASSERT_NE(future, nullptr) << futures.error.message;
    EXPECT_TRUE(loom::comes_true([&] { return parloom_future_poll(future) == PARLOOM_FUTURE_DONE; }, 20));
}

TEST_P(Future, TakesItsArgumentsWhenItIsSubmitted)
{
    long number = 5;
    parloom_arg args[] = { parloom_in(&number, sizeof number) };
    parloom_call call = { return_square, args, 1 };
    parloom_future *future;
    parloom_options given = options();
    ASSERT_OK(parloom_submit(&future, &call, &given, &error));
    number = 6;
    EXPECT_EQ(long_of(futures.wait(future)), 25);
    parloom_future_release(future);
}

TEST_P(Future, WritesToSharedMemoryOnly)
{
    Shared<long> shared;
    long mine = 0;
    parloom_arg into_shared = parloom_out(shared.get(), sizeof(long)), into_mine = parloom_out(&mine, sizeof mine);
    parloom_call good = { write_seven, &into_shared, 1 }, bad = { write_seven, &into_mine, 1 };
    parloom_future *future;
    parloom_options given = options();
    ASSERT_OK(parloom_submit(&future, &good, &given, &error));
    EXPECT_EQ(futures.wait(future).status, PARLOOM_OK);
    EXPECT_EQ(shared[0], 7);
    parloom_future_release(future);
    EXPECT_EQ(parloom_submit(&future, &bad, &given, &error), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("parloom_return");
}

TEST_P(Future, HasAResultOfAnySize)
{
    for (long nbytes : { 0L, 1L, 5000L, 3000000L }) {
        parloom_future *future = futures.submit(return_bytes, nbytes, options());
        ASSERT_NE(future, nullptr) << futures.error.message;
        parloom_result result = futures.wait(future);
        ASSERT_EQ(result.nbytes, static_cast<size_t>(nbytes));
        ASSERT_NE(result.data, nullptr);
        const auto *bytes = static_cast<const unsigned char *>(result.data);
        for (size_t k = 0; k < result.nbytes; k++) ASSERT_EQ(bytes[k], static_cast<unsigned char>(k * 7)) << k;
    }
    parloom_future *none = futures.submit(return_nothing, 0, options());
    ASSERT_NE(none, nullptr) << futures.error.message;
    EXPECT_EQ(futures.wait(none).data, nullptr);
}

TEST_P(Future, ManyAreOutstandingAtOnce)
{
    constexpr long MANY = 400;
    for (long k = 0; k < MANY; k++) ASSERT_NE(futures.submit(return_square, k, options()), nullptr);
    EXPECT_OK(parloom_future_wait_for(futures.all().data(), MANY, PARLOOM_UNTIL_ALL, 60, &error));
    for (long k = 0; k < MANY; k++) EXPECT_EQ(long_of(futures.wait(futures.all()[static_cast<size_t>(k)], 0)), k * k);
}

TEST_P(Future, OfAFailedTaskSaysWhy)
{
    parloom_future *future = futures.submit(return_code, 5, options());
    ASSERT_NE(future, nullptr) << futures.error.message;
    parloom_result result = futures.wait(future);
    EXPECT_EQ(result.status, PARLOOM_ERR_TASK);
    EXPECT_EQ(result.error.code, 5);
    EXPECT_EQ(parloom_future_poll(future), PARLOOM_FUTURE_FAILED);
    EXPECT_EQ(long_of(futures.wait(futures.submit(return_square, 2, options()))), 4) << "it alone failed";
}

TEST_P(Future, WithOtherOptionsRunsBesideIt)
{
    parloom_options first = options(), second = options(), third = options();
    first.n_jobs = 1;
    second.n_jobs = 2;
    third.max_nbytes = 4096;
    for (long k = 0; k < 30; k++)
        ASSERT_NE(futures.submit(return_square, k, k % 3 == 0 ? first : (k % 3 == 1 ? second : third)), nullptr)
            << futures.error.message;
    for (long k = 0; k < 30; k++) EXPECT_EQ(long_of(futures.wait(futures.all()[static_cast<size_t>(k)])), k * k);
}

TEST_P(Future, RunsOnAPoolWhichWaitsForIt)
{
    parloom_pool *pool;
    parloom_options given = options(), on_pool = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_pool_open(&pool, &given, &error));
    on_pool.pool = pool;
    for (long k = 0; k < 40; k++)
        ASSERT_NE(futures.submit(return_square, k, on_pool), nullptr) << futures.error.message;
    parloom_pool_close(pool);
    for (long k = 0; k < 40; k++) {
        EXPECT_EQ(parloom_future_poll(futures.all()[static_cast<size_t>(k)]), PARLOOM_FUTURE_DONE);
        EXPECT_EQ(long_of(futures.wait(futures.all()[static_cast<size_t>(k)], 0)), k * k);
    }
}

TEST_P(Future, CallsBackAtOnceWhenItHasEnded)
{
    Calls calls;
    parloom_future *future = futures.submit(return_square, 4, options());
    ASSERT_NE(future, nullptr) << futures.error.message;
    EXPECT_EQ(long_of(futures.wait(future)), 16);
    EXPECT_OK(parloom_future_on_done(future, Calls::note, calls.call(1), &error));
    EXPECT_EQ(calls.numbers(), std::vector<int>{ 1 });
}

TEST_P(Future, MaySubmitOthersBelowItself)
{
    parloom_future *future = futures.submit(return_square_of_below, 3, options());
    ASSERT_NE(future, nullptr) << futures.error.message;
    parloom_result result = futures.wait(future);
    EXPECT_EQ(result.status, PARLOOM_OK) << result.error.message;
    EXPECT_EQ(long_of(result), 9 + 16);
}

TEST_P(Future, GoesOnWhenItIsReleased)
{
    Shared<long> shared(20);
    parloom_options given = options();
    for (size_t k = 0; k < 20; k++) {
        parloom_arg into = parloom_out(&shared[k], sizeof(long));
        parloom_call call = { write_seven, &into, 1 };
        parloom_future *future;
        ASSERT_OK(parloom_submit(&future, &call, &given, &error));
        parloom_future_release(future);
    }
    for (size_t k = 0; k < 20; k++)
        EXPECT_TRUE(loom::comes_true([&] { return __atomic_load_n(&shared[k], __ATOMIC_SEQ_CST) == 7; }, 20));
}

TEST_P(Future, IsUsedFromSeveralThreads)
{
    std::vector<std::thread> threads;
    std::atomic<int> right{ 0 }, cancelled{ 0 };
    parloom_options given = options();
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&] {
            Futures own;
            for (long k = 0; k < 40; k++) {
                parloom_future *future = own.submit(return_square, k, given);
                ASSERT_NE(future, nullptr) << own.error.message;
                if (k % 5 == 4 && parloom_future_cancel(future)) {
                    cancelled++;
                    EXPECT_EQ(own.wait(future).status, PARLOOM_ERR_CANCELLED);
                } else if (long_of(own.wait(future)) == k * k) {
                    right++;
                }
            }
        });
    for (auto &thread : threads) thread.join();
    EXPECT_EQ(right + cancelled, 160);
}

TEST_P(Future, RefusesWhatMakesNoSense)
{
    parloom_future *future = nullptr;
    parloom_options given = options();
    parloom_call call = { return_nothing, nullptr, 0 }, none = { nullptr, nullptr, 0 };
    EXPECT_EQ(parloom_submit(nullptr, &call, &given, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_submit(&future, nullptr, &given, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_submit(&future, &none, &given, &error), PARLOOM_ERR_INVALID);
    given.batch_size = SIZE_MAX;
    EXPECT_EQ(parloom_submit(&future, &call, &given, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(future, nullptr);
    EXPECT_EQ(parloom_future_wait(nullptr, 0, nullptr, &error), PARLOOM_ERR_INVALID);
    ASSERT_NE(future = futures.submit(return_square, 1, options()), nullptr);
    EXPECT_EQ(parloom_future_wait(future, std::nan(""), nullptr, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_future_wait_for(&future, 1, static_cast<parloom_until>(9), 0, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_future_on_done(future, nullptr, nullptr, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_future_next(&future, 1, 0, nullptr, &error), PARLOOM_ERR_INVALID);
    parloom_future_release(nullptr);
}

TEST_P(Future, IsNotSubmittedWithAStopThatIsRequested)
{
    parloom_stop stop = {};
    parloom_options given = options();
    given.stop = &stop;
    parloom_cancel(&stop);
    EXPECT_EQ(futures.submit(return_square, 1, given), nullptr);
    EXPECT_EQ(futures.error.status, PARLOOM_ERR_CANCELLED) << futures.error.message;
}

struct Chain {
    parloom_options options;
    std::atomic<int> left, failure;
};

/* Each submits the next one. */
int submit_next(parloom_future *future, void *state)
{
    auto *chain = static_cast<Chain *>(state);
    parloom_result result;
    parloom_call call = { return_nothing, nullptr, 0 };
    parloom_future *next;
    if (parloom_future_wait(future, 0, &result, nullptr) != PARLOOM_OK) return chain->failure = 1;
    if (result.status != PARLOOM_OK || parloom_submit(&next, &call, &chain->options, nullptr) != PARLOOM_OK)
        return chain->failure = 2;
    if (--chain->left > 0 && parloom_future_on_done(next, submit_next, state, nullptr) != PARLOOM_OK)
        chain->failure = 3;
    parloom_future_release(next);
    return 0;
}

TEST_P(Future, SubmitsFromACallback)
{
    Chain chain{ options(), { 50 }, { 0 } };
    parloom_future *future = futures.submit(return_square, 1, options());
    ASSERT_NE(future, nullptr) << futures.error.message;
    EXPECT_OK(parloom_future_on_done(future, submit_next, &chain, &error));
    EXPECT_TRUE(loom::comes_true([&] { return chain.left <= 0 || chain.failure != 0; }, 20));
    EXPECT_EQ(chain.failure, 0);
}

INSTANTIATE_TEST_SUITE_P(, Future, ::testing::ValuesIn(every_future), name_of);

class FutureElsewhere : public Placed
{
};

TEST_P(FutureElsewhere, IsRefusedWithTheBackendsName)
{
    parloom_future *future = nullptr;
    parloom_call call = { return_nothing, nullptr, 0 };
    parloom_options given = options();
    EXPECT_EQ(parloom_submit(&future, &call, &given, &error), PARLOOM_ERR_UNSUPPORTED);
    EXPECT_SAYS(std::string("\"") + GetParam().backend + "\"");
    EXPECT_EQ(future, nullptr);
}

const std::vector<Place> elsewhere = { { "fork", 2 }, { "pthreads", 2 } };
INSTANTIATE_TEST_SUITE_P(, FutureElsewhere, ::testing::ValuesIn(elsewhere), name_of);

} // namespace

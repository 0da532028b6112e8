// SPDX-License-Identifier: BSD-3-Clause
/* Streams beside others: beside loops on one pool, beside each other, and beside a consumer that is slow. */
#include "contract/streams.h"

#include "support/waiting.h"

#include <atomic>
#include <thread>

using namespace contract;

namespace
{

int sum_of_loop(const parloom_task *task, void *const *)
{
    long sum = 0;
    parloom_arg total = parloom_reduce(&sum, sizeof sum, [](void *into, const void *from) {
        *static_cast<long *>(into) += *static_cast<const long *>(from);
    });
    auto body = [](const parloom_task *inner, void *const *args) {
        *static_cast<long *>(args[0]) += static_cast<long>(inner->index) + 100 * inner->level;
        return 0;
    };
    if (parloom_for(10, body, &total, 1, nullptr, nullptr) != PARLOOM_OK) return 1;
    return parloom_return(task, &sum, sizeof sum);
}

/* args[1]: counts who has begun; args[2]: they may end. */
int wait_for_gate(const parloom_task *, void *const *args)
{
    __atomic_add_fetch(static_cast<int *>(args[1]), 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(static_cast<int *>(args[2]), __ATOMIC_SEQ_CST) == 0) std::this_thread::yield();
    return 0;
}

/* The first one waits until args[1] has been set. */
int slow_first(const parloom_task *task, void *const *args)
{
    size_t number = number_of(args);
    if (number == 0)
        while (__atomic_load_n(static_cast<int *>(args[1]), __ATOMIC_SEQ_CST) == 0) std::this_thread::yield();
    return parloom_return(task, &number, sizeof number);
}

class StreamInCompany : public Streaming
{
};

TEST_P(StreamInCompany, CallsInsideItsTasksAreNested)
{
    Source source{ 5, sum_of_loop };
    ASSERT_OK(open(source, true, options()));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        long sum = -1;
        ASSERT_EQ(result.status, PARLOOM_OK);
        ASSERT_EQ(result.nbytes, sizeof sum);
        std::memcpy(&sum, result.data, sizeof sum);
        EXPECT_EQ(sum, 45 + 10 * 100);
    }));
}

TEST_P(StreamInCompany, RunsOnAPoolBesideLoops)
{
    parloom_pool *pool;
    parloom_options on_pool = PARLOOM_OPTIONS_INIT, given = options();
    ASSERT_OK(parloom_pool_open(&pool, &given, &error));
    on_pool.pool = pool;
    Source source{ 60, square };
    ASSERT_OK(open(source, true, on_pool));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        std::vector<size_t> out(20, 99);
        parloom_arg args[] = { each_out(out) };
        auto body = [](const parloom_task *task, void *const *inner) {
            *static_cast<size_t *>(inner[0]) = task->index;
            return 0;
        };
        EXPECT_EQ(value_of(result), result.index * result.index);
        EXPECT_OK(parloom_for(20, body, args, 1, &on_pool, &error));
        for (size_t k = 0; k < 20; k++) EXPECT_EQ(out[k], k);
    }));
    close();
    parloom_pool_close(pool);
}

TEST_P(StreamInCompany, SeveralAreOpenAtOnce)
{
    constexpr int STREAMS = 4;
    Source sources[STREAMS] = { { 40, square }, { 41, square }, { 42, square }, { 43, square } };
    parloom_stream *streams[STREAMS];
    parloom_options given = options();
    for (int k = 0; k < STREAMS; k++)
        ASSERT_OK(parloom_stream_open(&streams[k], Source::next, &sources[k], k % 2 == 0, &given, &error));
    size_t taken[STREAMS] = {};
    for (int ended = 0; ended < STREAMS;) {
        ended = 0;
        for (int k = 0; k < STREAMS; k++) {
            parloom_result result;
            bool done = false;
            ASSERT_OK(parloom_stream_next(streams[k], &result, &done, &error));
            ended += done;
            if (done) continue;
            EXPECT_EQ(value_of(result), result.index * result.index);
            taken[k]++;
        }
    }
    for (int k = 0; k < STREAMS; k++) {
        EXPECT_EQ(taken[k], sources[k].n);
        parloom_stream_close(streams[k]);
    }
}

TEST_P(StreamInCompany, ThreadsHaveStreamsOfTheirOwn)
{
    std::vector<std::thread> threads;
    parloom_options given = options();
    std::atomic<size_t> taken{ 0 };
    for (int k = 0; k < 4; k++)
        threads.emplace_back([&given, &taken] {
            Source source{ 50, square };
            parloom_stream *mine;
            parloom_error failure;
            ASSERT_EQ(parloom_stream_open(&mine, Source::next, &source, true, &given, &failure), PARLOOM_OK)
                << failure.message;
            for (bool done = false;;) {
                parloom_result result;
                ASSERT_EQ(parloom_stream_next(mine, &result, &done, &failure), PARLOOM_OK) << failure.message;
                if (done) break;
                taken++;
            }
            parloom_stream_close(mine);
        });
    for (auto &thread : threads) thread.join();
    EXPECT_EQ(taken, 200U);
}

INSTANTIATE_TEST_SUITE_P(, StreamInCompany, ::testing::ValuesIn(every_stream), name_of);

class StreamOfWorkers : public Streaming
{
};

TEST_P(StreamOfWorkers, TheFastOnesComeFirstUnordered)
{
    Shared<int> gate;
    Source source{ 21, slow_first, { parloom_inout(gate.get(), sizeof(int)) } };
    parloom_options with = options();
    with.pre_dispatch = "all";
    ASSERT_OK(open(source, false, with));
    std::vector<size_t> order;
    EXPECT_OK(read_all([&](const parloom_result &result) {
        order.push_back(result.index);
        if (order.size() == 20) __atomic_store_n(gate.get(), 1, __ATOMIC_SEQ_CST);
    }));
    ASSERT_EQ(order.size(), 21U);
    EXPECT_EQ(order.back(), 0U);
}

TEST_P(StreamOfWorkers, WorkGoesOnWhileTheConsumerDoesNot)
{
    Shared<int> begun, gate;
    gate[0] = 1;
    Source source{ 6,
                   wait_for_gate,
                   { parloom_inout(begun.get(), sizeof(int)), parloom_inout(gate.get(), sizeof(int)) } };
    parloom_options with = options();
    with.pre_dispatch = "6";
    ASSERT_OK(open(source, true, with));
    EXPECT_TRUE(loom::comes_true([&] { return __atomic_load_n(begun.get(), __ATOMIC_SEQ_CST) == 6; }, 20));
    EXPECT_OK(read_all([](const parloom_result &) {}));
}

INSTANTIATE_TEST_SUITE_P(, StreamOfWorkers, ::testing::ValuesIn(every_stream_of_workers), name_of);

} // namespace

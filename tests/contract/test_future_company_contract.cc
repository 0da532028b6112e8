// SPDX-License-Identifier: BSD-3-Clause
/* Futures beside others: loops and streams on the same workers, the backend fork, and the end of the program. */
#include "conformance/conformance.h"
#include "contract/futures.h"
#include "contract/streams.h"

#include <mutex>

using namespace contract;

namespace
{

/* args[1]: a gate; tells who runs it. It does not look whether it is cancelled. */
int sleep_in_the_gate(const parloom_task *, void *const *args)
{
    auto *gate = static_cast<Gate *>(args[1]);
    gate->arrived = static_cast<int>(getpid());
    loom::comes_true([&] { return gate->is_open != 0; }, 60);
    return 0;
}

int write_letter(parloom_future *future, void *)
{
    parloom_result result;
    bool is_right = parloom_future_wait(future, 0, &result, nullptr) == PARLOOM_OK &&
                    result.status == PARLOOM_ERR_CANCELLED && parloom_future_poll(future) == PARLOOM_FUTURE_CANCELLED;
    return write(1, is_right ? "c" : "?", 1) != 1;
}

int exit_with_seven(parloom_future *, void *)
{
    std::exit(7);
}

class FutureInCompany : public Placed
{
};

TEST_P(FutureInCompany, RunsBesideLoopsAndStreams)
{
    Futures futures;
    parloom_options given = options();
    Source source{ 60, square };
    parloom_stream *stream = nullptr;
    ASSERT_OK(parloom_stream_open(&stream, Source::next, &source, true, &given, &error));
    for (long k = 0; k < 60; k++) {
        parloom_result result;
        bool is_done = false;
        std::vector<size_t> out(20, 99);
        parloom_arg args[] = { each_out(out) };
        auto body = [](const parloom_task *task, void *const *inner) {
            *static_cast<size_t *>(inner[0]) = task->index;
            return 0;
        };
        ASSERT_NE(futures.submit(return_square, k, given), nullptr) << futures.error.message;
        EXPECT_OK(parloom_for(20, body, args, 1, &given, &error));
        ASSERT_OK(parloom_stream_next(stream, &result, &is_done, &error));
        EXPECT_EQ(value_of(result), result.index * result.index);
        for (size_t i = 0; i < 20; i++) EXPECT_EQ(out[i], i);
    }
    parloom_stream_close(stream);
    for (long k = 0; k < 60; k++) EXPECT_EQ(long_of(futures.wait(futures.all()[static_cast<size_t>(k)])), k * k);
}

/* Never released, never waited for: the program is to end all the same, and with it who works for it. */
TEST_P(FutureInCompany, EndsWithTheProgram)
{
    parloom_options given = options();
    conformance::Ended ended = conformance::run_program([given] {
        static auto *futures = new Futures; /* not lost, only never released */
        auto *running = futures->submit(sleep_in_the_gate, 1, given);
        if (running == nullptr || !futures->arrive(1)) return 1;
        fprintf(stderr, "%d", futures->arrived());
        for (long k = 0; k < 5; k++) {
            parloom_future *future = futures->submit(sleep_in_the_gate, 1, given);
            if (parloom_future_on_done(future, write_letter, nullptr, nullptr) != PARLOOM_OK) return 2;
        }
        return given.n_jobs == 1 ? 0 : 3;
    });
    EXPECT_EQ(ended.code(), 0);
    EXPECT_EQ(ended.out, "ccccc") << "cancelled, each told of once";
    int pid = std::atoi(ended.err.c_str());
    ASSERT_GT(pid, 1) << ended.err;
    EXPECT_TRUE(loom::comes_true([pid] { return loom::is_gone(pid); }, 20)) << "of a worker nothing is left";
}

TEST_P(FutureInCompany, EndsWithAProgramThatACallbackEnds)
{
    parloom_options given = options();
    conformance::Ended ended = conformance::run_program([given] {
        static auto *futures = new Futures; /* not lost, only never released */
        auto *future = futures->submit(pass_gate, 1, given);
        auto *next = futures->submit(sleep_in_the_gate, 1, given);
        if (future == nullptr || next == nullptr || !futures->arrive(1)) return 1;
        if (parloom_future_on_done(future, exit_with_seven, nullptr, nullptr) != PARLOOM_OK) return 2;
        futures->open_gate();
        for (;;) pause();
        return 3;
    });
    EXPECT_EQ(ended.code(), 7) << ended.err;
}

const std::vector<Place> every_company = { { "threads", 1 }, { "processes", 1 } };
INSTANTIATE_TEST_SUITE_P(, FutureInCompany, ::testing::ValuesIn(every_company), name_of);

class FutureBeside : public Placed
{
};

/* Which refuses programs with threads: while futures are outstanding, and only then. */
TEST_P(FutureBeside, LeavesTheProgramFitToFork)
{
    std::vector<long> found(8);
    parloom_arg args[] = { out(found) };
    parloom_options forked = options(), given = PARLOOM_OPTIONS_INIT;
    given.backend = "processes";
    given.n_jobs = 2;
    for (int round = 0; round < 30; round++) {
        {
            Futures futures;
            parloom_future *held = futures.submit(pass_gate, 3, given);
            ASSERT_NE(held, nullptr) << futures.error.message;
            EXPECT_EQ(parloom_for(8, conformance::square, args, 1, &forked, &error), PARLOOM_ERR_UNSUPPORTED);
        }
        EXPECT_OK(parloom_for(8, conformance::square, args, 1, &forked, &error));
    }
}

const std::vector<Place> beside = { { "fork", 2 } };
INSTANTIATE_TEST_SUITE_P(, FutureBeside, ::testing::ValuesIn(beside), name_of);

} // namespace

// SPDX-License-Identifier: BSD-3-Clause
/* Futures that end in two ways at once, in a callback that does not return, in a child, or with the program. */
#include "contract/futures.h"

#include "base/clock.h"

#include <cstdlib>
#include <pthread.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace contract;

namespace
{

class FutureThatEnds : public Placed
{
  protected:
    void TearDown() override
    {
        futures.open_gate();
        futures.release_all();
        Placed::TearDown();
    }
    void hold_workers(const parloom_options &given)
    {
        for (int k = 0; k < GetParam().n_jobs; k++) futures.submit(pass_gate, k, given);
        ASSERT_TRUE(futures.arrive(GetParam().n_jobs)) << futures.error.message;
    }
    Futures futures;
};

enum { ROUNDS = 60, AT_ONCE = 40 };

/* The last first, as the library's thread looks at them: it is mostly at the same one. */
void cancel_and_release(const std::vector<parloom_future *> &all, size_t odd)
{
    for (size_t k = all.size(); k-- > 0;) {
        if (k % 2 != odd) continue;
        parloom_future_cancel(all[k]);
        parloom_future_release(all[k]);
    }
}

/* Without a sanitizer it rarely shows that memory was used which is free. */
TEST_P(FutureThatEnds, IsCancelledAndReleasedAsItsTimeoutPasses)
{
    Calls calls;
    hold_workers(options());
    for (int round = 0; round < ROUNDS; round++) {
        std::vector<parloom_future *> all(AT_ONCE);
        uint64_t until_ns = loom_clock_ns() + 8000000;
        long number = 1;
        parloom_arg args[] = { parloom_in(&number, sizeof number) };
        parloom_call call = { return_square, args, 1 };
        for (parloom_future *&future : all) {
            uint64_t now = loom_clock_ns();
            parloom_options given = options();
            given.timeout = now < until_ns ? 1e-9 * static_cast<double>(until_ns - now) : 1e-6;
            ASSERT_OK(parloom_submit(&future, &call, &given, &error));
            ASSERT_OK(parloom_future_on_done(future, Calls::note, calls.call(1), &error));
        }
        while (loom_clock_ns() + 200000 < until_ns) std::this_thread::yield();
        std::thread odd([&all] { cancel_and_release(all, 1); });
        cancel_and_release(all, 0);
        odd.join();
    }
    EXPECT_TRUE(calls.come_to(static_cast<size_t>(ROUNDS * AT_ONCE))) << calls.numbers().size();
}

int end_thread(parloom_future *, void *)
{
    pthread_exit(nullptr);
}

void *cancel(void *future)
{
    parloom_future_cancel(static_cast<parloom_future *>(future));
    return nullptr;
}

/* A pool is closed when nothing is outstanding on it. */
TEST_P(FutureThatEnds, IsCancelledByAThreadThatACallbackEnds)
{
    Calls calls;
    parloom_pool *pool;
    parloom_options given = options(), on_pool = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_pool_open(&pool, &given, &error));
    on_pool.pool = pool;
    hold_workers(on_pool);
    parloom_future *future = futures.submit(return_square, 3, on_pool);
    ASSERT_NE(future, nullptr) << futures.error.message;
    announce("ended the thread that cancelled it");
    EXPECT_OK(parloom_future_on_done(future, end_thread, nullptr, &error));
    EXPECT_OK(parloom_future_on_done(future, Calls::note, calls.call(2), &error));
    pthread_t thread; /* not of the C++ library, which has destructors on that way */
    ASSERT_EQ(pthread_create(&thread, nullptr, cancel, future), 0);
    pthread_join(thread, nullptr);
    EXPECT_EQ(parloom_future_poll(future), PARLOOM_FUTURE_CANCELLED);
    EXPECT_TRUE(calls.come_to(1)) << "the callback after it";
    futures.open_gate();
    futures.release_all();
    parloom_pool_close(pool);
}

struct Forked {
    std::atomic<int> status;
};

/* What a child submits it can wait for, also where the library's thread forked it. */
int submit_in_a_child(parloom_future *, void *state)
{
    pid_t child = fork();
    if (child == 0) {
        long number = 4;
        parloom_arg args[] = { parloom_in(&number, sizeof number) };
        parloom_call call = { return_square, args, 1 };
        parloom_options given = PARLOOM_OPTIONS_INIT;
        parloom_future *future;
        parloom_result result = {};
        given.backend = "threads";
        bool is_right = parloom_submit(&future, &call, &given, nullptr) == PARLOOM_OK &&
                        parloom_future_wait(future, 20, &result, nullptr) == PARLOOM_OK && long_of(result) == 16;
        _exit(is_right ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    static_cast<Forked *>(state)->status = status;
    return 0;
}

TEST_P(FutureThatEnds, HasACallbackWhoseChildWaitsForItsOwn)
{
    Forked forked = { { -1 } };
    hold_workers(options());
    EXPECT_OK(parloom_future_on_done(futures.all()[0], submit_in_a_child, &forked, &error));
    futures.open_gate();
    EXPECT_TRUE(loom::comes_true([&] { return forked.status != -1; }, 30));
    EXPECT_EQ(forked.status, 0);
}

std::atomic<parloom_status> seen;

int note_end(parloom_future *future, void *)
{
    parloom_result result = {};
    (void)parloom_future_wait(future, 0, &result, nullptr);
    seen = result.status;
    return 0;
}

void leave_with_what_was_seen()
{
    _exit(seen == PARLOOM_ERR_CANCELLED ? 0 : 1);
}

/* Shared workers are being ended, the futures on them go on, the program does not. */
void end_after_a_shutdown(const parloom_options &given)
{
    std::atexit(leave_with_what_was_seen); /* called after what the library has registered */
    Futures futures;
    for (int k = 0; k < given.n_jobs; k++) futures.submit(pass_gate, k, given);
    parloom_future *last = futures.submit(return_square, 3, given);
    if (!futures.arrive(given.n_jobs) || last == nullptr) _exit(2);
    (void)parloom_future_on_done(last, note_end, nullptr, nullptr);
    parloom_shutdown(false);
    std::exit(3);
}

TEST_P(FutureThatEnds, IsCancelledAtExitThoughItsWorkersWereBeingEnded)
{
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_EXIT(end_after_a_shutdown(options()), testing::ExitedWithCode(0), "");
}

INSTANTIATE_TEST_SUITE_P(, FutureThatEnds, ::testing::ValuesIn(every_future_of_workers), name_of);

} // namespace

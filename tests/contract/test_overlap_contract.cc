/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_overlap_contract.cc - calls that overlap on the same workers keep their own limits, and workers that die after
 * finishing tasks are no storm.
 */
#include "tests/support/clean.h"

#include <csignal>
#include <ctime>
#include <parloom/parloom.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace
{

using Overlap = loom::Clean;

int hang(const parloom_task *, void *const *)
{
    for (;;) pause();
}

int nothing(const parloom_task *, void *const *)
{
    return 0;
}

/* Until the first word in shared memory is set; the second says how many wait. */
int wait_for_word(const parloom_task *task, void *const *args)
{
    volatile int *word = static_cast<int *>(args[0]);
    __atomic_fetch_add(&word[1], 1, __ATOMIC_SEQ_CST);
    while (*word == 0 && !parloom_cancelled(task)) usleep(1000);
    return 0;
}

int die_at_twentieths(const parloom_task *task, void *const *)
{
    if (task->index % 20 == 19) (void)raise(SIGKILL);
    return 0;
}

parloom_status limited(parloom_pool *pool, double task_timeout)
{
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.pool = pool;
    options.task_timeout = task_timeout;
    options.on_error = PARLOOM_ON_ERROR_GO_ON;
    return parloom_for(2, hang, nullptr, 0, &options, nullptr);
}

parloom_pool *open_pool()
{
    parloom_pool *pool = nullptr;
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.backend = "processes";
    options.n_jobs = 2;
    EXPECT_EQ(parloom_pool_open(&pool, &options, nullptr), PARLOOM_OK);
    return pool;
}

/* Each call's clock of a worker is its own: the one does not start the other's anew. */
TEST_F(Overlap, OfTwoCallsWithTimeLimitsEndsBoth)
{
    parloom_pool *pool = open_pool();
    parloom_status first = PARLOOM_OK, second = PARLOOM_OK;
    std::thread one([&] { first = limited(pool, 0.2); });
    std::thread other([&] { second = limited(pool, 0.3); });
    one.join();
    other.join();
    parloom_pool_close(pool);
    EXPECT_EQ(first, PARLOOM_ERR_TIMEOUT);
    EXPECT_EQ(second, PARLOOM_ERR_TIMEOUT);
}

/* More calls than the workers take at once: the limit of one that waits counts from its start. */
TEST_F(Overlap, OfManyCallsDoesNotOutlastTheLimitOfOneThatWaits)
{
    parloom_pool *pool = open_pool();
    int *word = static_cast<int *>(parloom_alloc(2 * sizeof *word, nullptr));
    std::vector<std::thread> busy;
    for (int k = 0; k < 8; k++)
        busy.emplace_back([&] {
            parloom_arg args[] = { parloom_inout(word, 2 * sizeof *word) };
            parloom_options options = PARLOOM_OPTIONS_INIT;
            options.pool = pool;
            EXPECT_EQ(parloom_for(2, wait_for_word, args, 1, &options, nullptr), PARLOOM_OK);
        });
    while (__atomic_load_n(&word[1], __ATOMIC_SEQ_CST) < 2) std::this_thread::yield(); /* both workers are busy */
    parloom_status statuses[2];
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.pool = pool;
    options.timeout = 0.1;
    options.statuses = statuses;
    EXPECT_EQ(parloom_for(2, nothing, nullptr, 0, &options, nullptr), PARLOOM_ERR_TIMEOUT);
    for (parloom_status status : statuses) EXPECT_EQ(status, PARLOOM_ERR_CANCELLED);
    *static_cast<volatile int *>(word) = 1;
    for (auto &thread : busy) thread.join();
    parloom_free(word);
    parloom_pool_close(pool);
}

TEST_F(Overlap, OfDeathsAndFinishedTasksInOneBatchIsNoStorm)
{
    for (const char *backend : { "processes", "fork" }) {
        parloom_report report{};
        report.struct_size = sizeof report;
        parloom_options options = PARLOOM_OPTIONS_INIT;
        options.backend = backend;
        options.n_jobs = 2;
        options.batch_size = 20;
        options.on_error = PARLOOM_ON_ERROR_GO_ON;
        options.report = &report;
        EXPECT_EQ(parloom_for(400, die_at_twentieths, nullptr, 0, &options, nullptr), PARLOOM_ERR_CRASHED) << backend;
        EXPECT_EQ(report.crashed, 20U);
        EXPECT_EQ(report.ok, 380U);
    }
}

} // namespace

/* SPDX-License-Identifier: BSD-3-Clause */
/* Worker processes that end by themselves, idle or grown: no call notices. */
#include "contract/shared_workers.h"

#include <cstdlib>
#include <iterator>
#include <sys/mman.h>

using namespace contract;

namespace
{

/* Lets a little time go by, each time another. */
void linger(int turns)
{
    for (int k = 0; k < turns; k++) std::this_thread::yield();
}

void be_busy(std::chrono::milliseconds time)
{
    auto until = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < until) {}
}

enum : size_t { LEAK = 3 << 20 };

/* args[0]: how many tasks its process has had with this one, args[1]: the process. */
int leak(const parloom_task *task, void *const *args)
{
    static int had;
    void *block = mmap(nullptr, LEAK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) return 1;
    memset(block, 1, LEAK);
    be_busy(std::chrono::milliseconds(1)); /* at least: memory is looked at now and then only */
    static_cast<int *>(args[0])[task->index] = ++had;
    static_cast<int *>(args[1])[task->index] = static_cast<int>(getpid());
    return 0;
}

/* Task 1 goes on for many times as long as who did task 0, if another worker did, stays idle. */
int wait_for_the_others_end(const parloom_task *task, void *const *args)
{
    int *pids = static_cast<int *>(args[0]);
    __atomic_store_n(&pids[task->index], static_cast<int>(getpid()), __ATOMIC_RELEASE);
    if (task->index == 0) return 0;
    if (!wait_for([&] { return __atomic_load_n(&pids[0], __ATOMIC_ACQUIRE) != 0; })) return 1;
    if (pids[0] != pids[1] && !wait_for([&] { return is_gone(pids[0]); })) return 2;
    be_busy(std::chrono::milliseconds(100));
    return 0;
}

} // namespace

class Retired : public SharedWorkers
{
};

/* --------------------------------------------------------------------- idle */

TEST_F(Retired, WithoutWorkEndAndAreStartedAgain)
{
    given.idle_timeout = 0.01;
    for (int round = 0; round < 5; round++) {
        Pids four = meet_all(4);
        EXPECT_GE(report.workers_started, 4);
        EXPECT_TRUE(wait_for([&] { return std::all_of(four.begin(), four.end(), is_gone); })) << round;
    }
}

TEST_F(Retired, ThatRetireWhileCallsBeginLoseNoTask)
{
    given.idle_timeout = 0.001;
    given.n_jobs = 4;
    for (int round = 0; round < 200; round++) {
        report = {};
        report.struct_size = sizeof report;
        ASSERT_EQ(run_squares(8, given), PARLOOM_OK);
        EXPECT_EQ(report.ok, 8u);
        EXPECT_EQ(report.workers_lost, 0) << "who retired is not lost";
        linger(10 * round); /* around the time at which they go */
    }
    given.schedule = PARLOOM_SCHEDULE_STATIC;
    for (int round = 0; round < 100; round++) {
        ASSERT_EQ(run_squares(8, given), PARLOOM_OK);
        linger(20 * round);
    }
}

TEST_F(Retired, ThatFewerCallsUseEndWhileTheOthersGoOn)
{
    given.idle_timeout = 1.5;
    Pids four = meet_all(4), two = meet_all(2), gone;
    std::set_difference(four.begin(), four.end(), two.begin(), two.end(), std::inserter(gone, gone.end()));
    ASSERT_TRUE(wait_for([&] {
        EXPECT_EQ(meet_all(2), two);
        return std::all_of(gone.begin(), gone.end(), is_gone);
    }));
    EXPECT_TRUE(holds(meet_all(4), two));
    EXPECT_EQ(report.workers_started, 2);
}

TEST_F(Retired, AreNotStartedAgainForACallThatHasNoTaskLeft)
{
    Shared<int> pids(2);
    parloom_arg args[] = { parloom_inout(pids.get(), 2 * sizeof(int)) };
    (void)meet_all(2);
    given.idle_timeout = 0.005;
    report = {};
    report.struct_size = sizeof report;
    ASSERT_OK(parloom_for(2, wait_for_the_others_end, args, 1, &given, &error));
    EXPECT_EQ(report.workers_started, 0);
    EXPECT_EQ(report.workers_lost, 0);
}

TEST_F(Retired, OfAPoolEndOnlyIfThePoolSaysSo)
{
    for (double seconds : { 0.001, 0.0 }) {
        parloom_pool *pool = nullptr;
        parloom_options of_pool = PARLOOM_OPTIONS_INIT, on_pool = PARLOOM_OPTIONS_INIT;
        of_pool.backend = "processes";
        of_pool.n_jobs = 3;
        of_pool.idle_timeout = seconds;
        for (int round = 0; round < 10; round++) {
            ASSERT_OK(parloom_pool_open(&pool, &of_pool, &error));
            on_pool.pool = pool;
            for (int call = 0; call < 4; call++) EXPECT_EQ(run_squares(8, on_pool), PARLOOM_OK);
            linger(200 * round);
            parloom_pool_close(pool); /* while they go */
        }
    }
}

/* ------------------------------------------------------------------- growth */

TEST_F(Retired, ThatGrewAreReplacedBetweenCalls)
{
    enum { CALLS = 60, MOST_MIB = 30 };
    Pids seen;
    given.worker_growth_limit = static_cast<size_t>(MOST_MIB) << 20;
    given.n_jobs = 2;
    for (int call = 0; call < CALLS; call++) {
        std::vector<int> had(2), pids(2);
        parloom_arg args[] = { out(had), out(pids) };
        report = {};
        report.struct_size = sizeof report;
        ASSERT_OK(parloom_for(2, leak, args, 2, &given, &error));
        EXPECT_EQ(report.ok, 2u);
        EXPECT_EQ(report.workers_lost, 0);
        for (int count : had) EXPECT_LE(count, MOST_MIB / 3 + 5) << "two in the first call, two in the last";
        seen.insert(pids.begin(), pids.end());
    }
    EXPECT_GE(seen.size(), 6u);
}

TEST_F(Retired, ThatGrewAreReplacedInTheMidstOfACall)
{
    enum { TASKS = 120 };
    const struct {
        parloom_schedule schedule;
        size_t batch;
    } ways[] = { { PARLOOM_SCHEDULE_UNSET, 1 }, { PARLOOM_SCHEDULE_UNSET, 0 }, { PARLOOM_SCHEDULE_STATIC, 1 } };
    given.worker_growth_limit = 30 << 20;
    given.n_jobs = 2;
    for (const auto &way : ways) {
        std::vector<int> had(TASKS), pids(TASKS);
        parloom_arg args[] = { out(had), out(pids) };
        parloom_shutdown(false);
        report = {};
        report.struct_size = sizeof report;
        given.schedule = way.schedule;
        given.batch_size = way.batch;
        ASSERT_OK(parloom_for(TASKS, leak, args, 2, &given, &error));
        EXPECT_EQ(report.ok, static_cast<size_t>(TASKS));
        EXPECT_EQ(report.workers_lost, 0);
        EXPECT_EQ(std::count(had.begin(), had.end(), 0), 0);
        EXPECT_GT(report.workers_started, 2);
    }
}

static int info_lines, other_lines;

static void count_lines(int level, const char *line, void *)
{
    bool is_ours = strstr(line, "had grown by") != nullptr && strstr(line, "MiB") != nullptr;
    info_lines += level == 3 && is_ours;
    other_lines += level < 3;
}

/* One line for each worker that was replaced, and no warning. */
[[noreturn]] static void end_after_a_leak()
{
    parloom_report report = {};
    parloom_options given = PARLOOM_OPTIONS_INIT;
    int had[2], pids[2], started = 0;
    parloom_arg args[] = { parloom_out(had, sizeof had), parloom_out(pids, sizeof pids) };
    setenv("PARLOOM_LOG", "info", 1);
    parloom_set_log(count_lines, nullptr);
    given.backend = "processes";
    given.n_jobs = 2;
    given.worker_growth_limit = 10 << 20;
    given.report = &report;
    for (int call = 0; call < 30; call++) {
        report.struct_size = sizeof report;
        if (parloom_for(2, leak, args, 2, &given, nullptr) != PARLOOM_OK) _exit(1);
        started += report.workers_started;
    }
    bool is_told = info_lines >= started - 2 && info_lines > 2; /* the first two replace nobody */
    _exit(is_told && other_lines == 0 ? 0 : 2);
}

TEST_F(Retired, ThatGrewAreSpokenOfInOneLineEach)
{
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(end_after_a_leak(), testing::ExitedWithCode(0), "");
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What a pool keeps of the moment it was opened (what it was given, no more), and who is asked at each call. */
#include "contract/places.h"

#include <csignal>
#include <unistd.h>

using namespace contract;

namespace
{

enum { TASKS = 24 };

/* args[0]: an array; notes whether it may be written, which is what mmap_mode c makes of it. */
int note_writable(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[1])[task->index] = parloom_array_is_writable(static_cast<const parloom_array *>(args[0]));
    return 0;
}

int note_pid(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[0])[task->index] = static_cast<int>(getpid());
    return 0;
}

int fail_at_first(const parloom_task *task, void *const *)
{
    return task->index == 0 ? 9 : 0;
}

int nothing(const parloom_task *, void *const *)
{
    return 0;
}

/* worker_init: counts in shared memory how often each of two ran. */
int count_first(void *state)
{
    __atomic_add_fetch(&(*static_cast<int **>(state))[0], 1, __ATOMIC_RELAXED);
    return 0;
}

int count_second(void *state)
{
    __atomic_add_fetch(&(*static_cast<int **>(state))[1], 1, __ATOMIC_RELAXED);
    return 0;
}

parloom_options with_mode(parloom_mmap_mode mode)
{
    parloom_options made = PARLOOM_OPTIONS_INIT;
    made.mmap_mode = mode;
    return made;
}

} // namespace

class PoolSettings : public Placed
{
  protected:
    void open(const parloom_options &with)
    {
        ASSERT_OK(parloom_pool_open(&pool, &with, &error));
        on_pool = PARLOOM_OPTIONS_INIT;
        on_pool.pool = pool;
    }
    void begin(const parloom_options &scope) { ASSERT_OK(parloom_scope_begin(&scope, &error)); }
    void TearDown() override
    {
        parloom_pool_close(pool);
        Placed::TearDown();
    }
    /* Whether copies on write are made in a call on the pool; -1: tasks do not agree. */
    int copies(parloom_options given)
    {
        double items[8] = { 0 };
        size_t shape[] = { 8 };
        parloom_array array = parloom_array_wrap(items, PARLOOM_F64, 1, shape);
        std::vector<int> seen(TASKS, -1);
        parloom_arg args[] = { parloom_in_array(&array), out(seen) };
        EXPECT_OK(parloom_for(TASKS, note_writable, args, 2, &given, &error));
        return seen == std::vector<int>(TASKS, seen[0]) ? seen[0] : -1;
    }
    parloom_pool *pool = nullptr;
    parloom_options on_pool = PARLOOM_OPTIONS_INIT;
};
INSTANTIATE_TEST_SUITE_P(On, PoolSettings, ::testing::ValuesIn(every_place), name_of);

TEST_P(PoolSettings, OfAScopeAtOpeningAreNotKept)
{
    begin(with_mode(PARLOOM_MMAP_C));
    open(options());
    EXPECT_EQ(copies(on_pool), 1);
    parloom_scope_end();
    EXPECT_EQ(copies(on_pool), 0);
    begin(with_mode(PARLOOM_MMAP_R));
    EXPECT_EQ(copies(on_pool), 0);
    parloom_scope_end();
}

TEST_P(PoolSettings, OfTheDefaultAtOpeningAreNotKept)
{
    parloom_options copying = with_mode(PARLOOM_MMAP_C);
    ASSERT_OK(parloom_set_defaults(&copying, &error));
    open(options());
    EXPECT_EQ(copies(on_pool), 1);
    begin(with_mode(PARLOOM_MMAP_R));
    EXPECT_EQ(copies(on_pool), 0) << "a later scope wins over the default at opening";
    parloom_scope_end();
    ASSERT_OK(parloom_set_defaults(nullptr, &error));
    EXPECT_EQ(copies(on_pool), 0);
}

TEST_P(PoolSettings, LoseToTheCallAndBeatScopeAndDefault)
{
    parloom_options given = options(), reading = with_mode(PARLOOM_MMAP_R);
    given.mmap_mode = PARLOOM_MMAP_C;
    open(given);
    ASSERT_OK(parloom_set_defaults(&reading, &error));
    begin(reading);
    EXPECT_EQ(copies(on_pool), 1);
    parloom_options call = on_pool;
    call.mmap_mode = PARLOOM_MMAP_R;
    EXPECT_EQ(copies(call), 0);
    parloom_scope_end();
    ASSERT_OK(parloom_set_defaults(nullptr, &error));
}

TEST_P(PoolSettings, DoNotHoldTheStopOfAScopeAtOpening)
{
    parloom_stop stop = {};
    parloom_options scope = PARLOOM_OPTIONS_INIT;
    scope.stop = &stop;
    begin(scope);
    open(options());
    parloom_cancel(&stop);
    EXPECT_EQ(parloom_for(TASKS, nothing, nullptr, 0, &on_pool, &error), PARLOOM_ERR_CANCELLED) << "in the scope";
    parloom_scope_end();
    EXPECT_OK(parloom_for(TASKS, nothing, nullptr, 0, &on_pool, &error));
}

TEST_P(PoolSettings, AreNotThoseOfThePoolThatAScopeNames)
{
    std::vector<parloom_status> statuses(4, PARLOOM_ERR_FORMAT);
    parloom_report report = {}, seen = {};
    report.struct_size = seen.struct_size = sizeof report;
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.backend = is("threads") ? "sequential" : "threads";
    given.n_jobs = is("threads") ? 1 : 4;
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    given.statuses = statuses.data();
    given.n_statuses = statuses.size();
    given.report = &report;
    parloom_pool *around = nullptr;
    ASSERT_OK(parloom_pool_open(&around, &given, &error));
    parloom_options scope = PARLOOM_OPTIONS_INIT;
    scope.pool = around;
    begin(scope);
    open(options());
    on_pool.report = &seen;
    EXPECT_EQ(parloom_for(TASKS, fail_at_first, nullptr, 0, &on_pool, &error), PARLOOM_ERR_TASK) << "of more than 4";
    parloom_scope_end();
    EXPECT_EQ(parloom_for(4, fail_at_first, nullptr, 0, &on_pool, &error), PARLOOM_ERR_TASK);
    EXPECT_EQ(seen.n_jobs, GetParam().n_jobs);
    EXPECT_STREQ(seen.backend, GetParam().n_jobs == 1 ? "sequential" : GetParam().backend);
    EXPECT_EQ(statuses, std::vector<parloom_status>(4, PARLOOM_ERR_FORMAT));
    EXPECT_EQ(report.tasks, 0u);
    parloom_pool_close(around);
}

TEST_P(PoolSettings, OfAPoolThatIsOpenedWithNothingAreTheBuiltInOnesThoughAScopeNamesAPool)
{
    parloom_report report = {};
    report.struct_size = sizeof report;
    parloom_pool *around = nullptr;
    parloom_options given = options(), scope = PARLOOM_OPTIONS_INIT;
    given.n_jobs = 3;
    ASSERT_OK(parloom_pool_open(&around, &given, &error));
    scope.pool = around;
    begin(scope);
    open(PARLOOM_OPTIONS_INIT);
    parloom_scope_end();
    on_pool.report = &report;
    EXPECT_OK(parloom_for(TASKS, nothing, nullptr, 0, &on_pool, &error));
    EXPECT_EQ(report.n_jobs, 1);
    parloom_pool_close(around);
}

/* ------------------------------------------------------------- worker_init */

class PoolInit : public PoolSettings
{
  protected:
    parloom_options counting(int (*init)(void *))
    {
        parloom_options made = PARLOOM_OPTIONS_INIT;
        made.worker_init = init;
        made.worker_init_state = &counts_at;
        made.worker_init_state_nbytes = sizeof counts_at;
        return made;
    }
    void call_twice()
    {
        for (int call = 0; call < 2; call++) EXPECT_OK(parloom_for(TASKS, nothing, nullptr, 0, &on_pool, &error));
    }
    /* Once in each worker that ran a task; fork has new ones in each call. */
    void expect_count(int count)
    {
        EXPECT_GE(count, 1);
        EXPECT_LE(count, (is("fork") ? 2 : 1) * GetParam().n_jobs);
    }
    Shared<int> counts{ 2 };
    int *counts_at = counts.get();
};
INSTANTIATE_TEST_SUITE_P(On, PoolInit, ::testing::ValuesIn(every_place), name_of);

TEST_P(PoolInit, IsNotThatOfAScopeAroundTheCall)
{
    open(options());
    begin(counting(count_first));
    call_twice();
    parloom_scope_end();
    EXPECT_EQ(counts[0], 0);
}

TEST_P(PoolInit, IsThatOfThePoolAlsoInAScopeThatHasOne)
{
    parloom_options given = counting(count_first);
    given.backend = GetParam().backend;
    given.n_jobs = GetParam().n_jobs;
    open(given);
    begin(counting(count_second));
    call_twice();
    parloom_scope_end();
    expect_count(counts[0]);
    EXPECT_EQ(counts[1], 0);
}

TEST_P(PoolInit, IsThatOfTheScopeInWhichThePoolWasOpened)
{
    begin(counting(count_first));
    open(options());
    parloom_scope_end();
    begin(counting(count_second));
    call_twice();
    parloom_scope_end();
    expect_count(counts[0]);
    EXPECT_EQ(counts[1], 0);
}

/* ----------------------------------------------------------------- one job */

/* Of backends that have workers: a pool of one job. */
class PoolOfOneJob : public PoolInit
{
  protected:
    int pid_of(const parloom_options &given)
    {
        std::vector<int> pids(3);
        parloom_arg args[] = { out(pids) };
        EXPECT_OK(parloom_for(pids.size(), note_pid, args, 1, &given, &error));
        EXPECT_EQ(pids, std::vector<int>(3, pids[0])) << "one job is one process";
        return pids[0];
    }
    parloom_options asking(int how)
    {
        parloom_options made = on_pool;
        if (how == 0) made.task_timeout = 100;
        if (how == 1) made.retries = 2;
        if (how == 2) made.require = PARLOOM_REQUIRE_ISOLATION;
        if (how == 3) made.timeout = 100;
        return made;
    }
};
INSTANTIATE_TEST_SUITE_P(On, PoolOfOneJob, ::testing::Values(Place{ "processes", 1 }, Place{ "fork", 1 }), name_of);

TEST_P(PoolOfOneJob, RunsACallInTheCallerUnlessItNeedsAWorker)
{
    open(options());
    for (int round = 0; round < 2; round++) {
        EXPECT_EQ(pid_of(on_pool), getpid());
        for (int how = 0; how < 4; how++) EXPECT_NE(pid_of(asking(how)), getpid()) << how;
    }
}

TEST_P(PoolOfOneJob, ThatWasGivenALimitRunsEachCallInAWorker)
{
    parloom_options given = options();
    given.task_timeout = 100;
    open(given);
    EXPECT_NE(pid_of(on_pool), getpid());
    parloom_options unlimited = on_pool;
    unlimited.task_timeout = -1;
    EXPECT_EQ(pid_of(unlimited), getpid());
}

TEST_P(PoolOfOneJob, KeepsItsWorker)
{
    if (is("fork")) return; /* new children in each call */
    open(options());
    int first = pid_of(asking(0));
    EXPECT_EQ(pid_of(on_pool), getpid());
    EXPECT_EQ(pid_of(asking(1)), first);
    EXPECT_EQ(pid_of(asking(2)), first);
}

TEST_P(PoolOfOneJob, RunsItsInitOnceInTheCallerAndOnceInAWorker)
{
    parloom_options given = counting(count_first);
    given.backend = GetParam().backend;
    given.n_jobs = 1;
    open(given);
    EXPECT_EQ(counts[0], 0) << "nobody has worked yet";
    for (int call = 0; call < 3; call++) (void)pid_of(on_pool);
    EXPECT_EQ(counts[0], 1);
    for (int call = 0; call < 3; call++) (void)pid_of(asking(call));
    EXPECT_EQ(counts[0], is("fork") ? 4 : 2);
    (void)pid_of(on_pool);
    EXPECT_EQ(counts[0], is("fork") ? 4 : 2);
}

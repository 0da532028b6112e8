/* SPDX-License-Identifier: BSD-3-Clause */
/* Pools: workers and settings kept over several calls, what conflicts, and how they end. */
#include "contract/places.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace contract;

namespace
{

enum { TASKS = 24 };

int note_pid(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[0])[task->index] = static_cast<int>(getpid());
    return 0;
}

int add(const parloom_task *task, void *const *args)
{
    static_cast<long *>(args[1])[task->index] = *static_cast<const long *>(args[0]) + static_cast<long>(task->index);
    return 0;
}

/* args[0]: started, args[1]: may end; both in shared memory. */
int wait_for_leave(const parloom_task *, void *const *args)
{
    __atomic_store_n(static_cast<int *>(args[0]), 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(static_cast<int *>(args[1]), __ATOMIC_ACQUIRE) == 0) usleep(100);
    return 0;
}

int fail_at_five(const parloom_task *task, void *const *)
{
    return task->index == 5 ? 9 : 0;
}

int die_at_five(const parloom_task *task, void *const *)
{
    if (task->index == 5) raise(SIGKILL);
    return 0;
}

int some_init(void *)
{
    return 0;
}

int other_init(void *)
{
    return 0;
}

void await(const int *flag)
{
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) == 0 && std::chrono::steady_clock::now() < until)
        std::this_thread::yield();
}

} // namespace

class Pool : public Placed
{
  protected:
    void open(const parloom_options &with)
    {
        ASSERT_OK(parloom_pool_open(&pool, &with, &error));
        on_pool = PARLOOM_OPTIONS_INIT;
        on_pool.pool = pool;
    }
    void TearDown() override
    {
        parloom_pool_close(pool);
        Placed::TearDown();
    }
    void expect_works()
    {
        long base = 100;
        std::vector<long> sums(TASKS);
        parloom_arg args[] = { parloom_in(&base, sizeof base), out(sums) };
        EXPECT_OK(parloom_for(TASKS, add, args, 2, &on_pool, &error));
        for (long k = 0; k < TASKS; k++) EXPECT_EQ(sums[static_cast<size_t>(k)], 100 + k);
    }
    void expect_refused(parloom_options given, const char *text)
    {
        EXPECT_EQ(parloom_for(TASKS, fail_at_five, nullptr, 0, &given, &error), PARLOOM_ERR_INVALID) << text;
        EXPECT_SAYS(text);
    }
    parloom_pool *pool = nullptr;
    parloom_options on_pool = PARLOOM_OPTIONS_INIT;
};
INSTANTIATE_TEST_SUITE_P(On, Pool, ::testing::ValuesIn(every_place), name_of);

TEST_P(Pool, ServesManyCalls)
{
    open(options());
    for (int call = 0; call < 5; call++) expect_works();
}

TEST_P(Pool, KeepsItsWorkers)
{
    if (!is("processes")) return;
    parloom_options given = options();
    given.schedule = PARLOOM_SCHEDULE_STATIC;
    open(given);
    std::vector<int> first(TASKS), second(TASKS), shared(TASKS);
    parloom_arg into_first[] = { out(first) }, into_second[] = { out(second) }, into_shared[] = { out(shared) };
    ASSERT_OK(parloom_for(TASKS, note_pid, into_first, 1, &on_pool, &error));
    ASSERT_OK(parloom_for(TASKS, note_pid, into_second, 1, &on_pool, &error));
    EXPECT_EQ(first, second);
    ASSERT_OK(parloom_for(TASKS, note_pid, into_shared, 1, &given, &error));
    if (is_separate()) {
        EXPECT_NE(first, shared) << "shared workers are others";
    }
}

TEST_P(Pool, SettingsHoldUnlessTheCallSaysOtherwise)
{
    std::vector<parloom_status> statuses(TASKS), own(TASKS);
    parloom_options given = options();
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    given.statuses = statuses.data();
    open(given);
    EXPECT_EQ(parloom_for(TASKS, fail_at_five, nullptr, 0, &on_pool, &error), PARLOOM_ERR_TASK);
    for (size_t k = 0; k < TASKS; k++) EXPECT_EQ(statuses[k], k == 5 ? PARLOOM_ERR_TASK : PARLOOM_OK);
    statuses.assign(TASKS, PARLOOM_ERR_INTERNAL);
    on_pool.statuses = own.data();
    EXPECT_EQ(parloom_for(TASKS, fail_at_five, nullptr, 0, &on_pool, &error), PARLOOM_ERR_TASK);
    EXPECT_EQ(own[5], PARLOOM_ERR_TASK);
    EXPECT_EQ(statuses[5], PARLOOM_ERR_INTERNAL);
}

TEST_P(Pool, RefusesWhatItsWorkersCannotBe)
{
    parloom_options given = options();
    given.worker_init = some_init;
    open(given);
    parloom_options other = on_pool;
    other.n_jobs = 5;
    expect_refused(other, "n_jobs");
    other = on_pool;
    other.backend = is("threads") ? "processes" : "threads";
    expect_refused(other, "backend");
    other = on_pool;
    other.worker_init = other_init;
    expect_refused(other, "worker_init");
    other = on_pool;
    other.backend = GetParam().backend;
    other.n_jobs = GetParam().n_jobs;
    other.worker_init = some_init;
    EXPECT_EQ(parloom_for(TASKS, fail_at_five, nullptr, 0, &other, &error), PARLOOM_ERR_TASK) << "equal is fine";
    expect_works();
}

class PoolOfNoBackendSaid : public loom::Clean
{
  protected:
    void SetUp() override
    {
        loom::Clean::SetUp();
        parloom_options given = PARLOOM_OPTIONS_INIT;
        given.n_jobs = 2;
        ASSERT_EQ(parloom_pool_open(&pool, &given, &error), PARLOOM_OK) << error.message;
    }
    void TearDown() override
    {
        parloom_pool_close(pool);
        loom::Clean::TearDown();
    }
    /* Where a call ran that names this backend; "" when it was refused. */
    std::string run_on(const char *backend, parloom_pool *named)
    {
        parloom_report report = {};
        report.struct_size = sizeof report;
        parloom_options call = PARLOOM_OPTIONS_INIT;
        call.pool = named;
        call.backend = backend;
        call.report = &report;
        std::vector<int> pids(TASKS);
        parloom_arg args[] = { out(pids) };
        parloom_status status = parloom_for(TASKS, note_pid, args, 1, &call, &error);
        EXPECT_TRUE(status == PARLOOM_OK || status == PARLOOM_ERR_INVALID) << error.message;
        return status == PARLOOM_OK ? report.backend : "";
    }
    parloom_pool *pool = nullptr;
    parloom_error error = {};
};

TEST_F(PoolOfNoBackendSaid, RefusesAnotherOneThanItsWorkersAre)
{
    EXPECT_EQ(run_on("processes", pool), "processes");
    EXPECT_EQ(run_on(nullptr, pool), "processes");
    EXPECT_EQ(run_on("threads", pool), "");
    EXPECT_NE(std::string(error.message).find("backend differs"), std::string::npos) << error.message;
    EXPECT_EQ(run_on("sequential", pool), "");
}

TEST_F(PoolOfNoBackendSaid, OfAScopeLeavesCallsOfAnotherBackendAlone)
{
    parloom_options scope = PARLOOM_OPTIONS_INIT;
    scope.pool = pool;
    scope.n_jobs = 2;
    ASSERT_EQ(parloom_scope_begin(&scope, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(run_on("threads", nullptr), "threads");
    EXPECT_EQ(run_on(nullptr, nullptr), "processes");
    parloom_scope_end();
}

TEST_P(Pool, IsNotOpenedWithWhatMakesNoSense)
{
    parloom_options given = options();
    parloom_pool *none = nullptr;
    EXPECT_EQ(parloom_pool_open(nullptr, &given, &error), PARLOOM_ERR_INVALID);
    given.backend = "no-such";
    EXPECT_EQ(parloom_pool_open(&none, &given, &error), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("no-such");
    EXPECT_EQ(none, nullptr);
    open(options());
    given = on_pool;
    EXPECT_EQ(parloom_pool_open(&none, &given, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(none, nullptr);
    parloom_pool_close(nullptr);
}

TEST_P(Pool, HealsAfterADeath)
{
    if (!is_separate()) return;
    open(options());
    for (int round = 0; round < 3; round++) {
        EXPECT_EQ(parloom_for(TASKS, die_at_five, nullptr, 0, &on_pool, &error), PARLOOM_ERR_CRASHED);
        EXPECT_EQ(error.task, 5u);
        expect_works();
    }
}

TEST_P(Pool, CopiesItsOptions)
{
    char backend[16];
    strncpy(backend, GetParam().backend, sizeof backend);
    parloom_options given = options();
    given.backend = backend;
    open(given);
    memset(backend, 'x', sizeof backend - 1);
    expect_works();
}

TEST_P(Pool, LetsCallsOfSeveralThreadsOverlap)
{
    if (is("fork")) return; /* refuses to fork beside another thread */
    open(options());
    std::vector<std::thread> threads;
    std::atomic<int> good{ 0 };
    for (long number = 0; number < 6; number++)
        threads.emplace_back([this, number, &good] {
            for (int call = 0; call < 10; call++) {
                std::vector<long> sums(TASKS);
                parloom_arg args[] = { parloom_in(&number, sizeof number), out(sums) };
                bool is_good = parloom_for(TASKS, add, args, 2, &on_pool, nullptr) == PARLOOM_OK;
                for (long k = 0; k < TASKS; k++) is_good &= sums[static_cast<size_t>(k)] == number + k;
                good += is_good;
            }
        });
    for (std::thread &thread : threads) thread.join();
    EXPECT_EQ(good, 60);
}

TEST_P(Pool, FillsItsStatusesForOneCallAtATime)
{
    if (is("fork")) return;
    std::vector<parloom_status> statuses(TASKS);
    parloom_options given = options();
    given.statuses = statuses.data();
    open(given);
    Shared<int> flags(2);
    std::thread other([&] {
        parloom_arg args[] = { parloom_out(&flags[0], sizeof(int)), parloom_inout(&flags[1], sizeof(int)) };
        EXPECT_EQ(parloom_for(1, wait_for_leave, args, 2, &on_pool, nullptr), PARLOOM_OK);
    });
    await(&flags[0]);
    statuses[7] = PARLOOM_ERR_FORMAT;
    EXPECT_EQ(parloom_for(TASKS, fail_at_five, nullptr, 0, &on_pool, &error), PARLOOM_ERR_BUSY);
    EXPECT_SAYS("statuses");
    EXPECT_EQ(statuses[7], PARLOOM_ERR_FORMAT) << "they are the other call's";
    std::vector<parloom_status> own(TASKS);
    parloom_options with_own = on_pool;
    with_own.statuses = own.data();
    EXPECT_EQ(parloom_for(TASKS, fail_at_five, nullptr, 0, &with_own, &error), PARLOOM_ERR_TASK);
    __atomic_store_n(&flags[1], 1, __ATOMIC_RELEASE);
    other.join();
    expect_works();
}

TEST_P(Pool, ClosesWhenItsCallsHaveReturned)
{
    if (is("fork")) return;
    open(options());
    Shared<int> flags(3);
    std::thread caller([&] {
        parloom_arg args[] = { parloom_out(&flags[0], sizeof(int)), parloom_inout(&flags[1], sizeof(int)) };
        EXPECT_EQ(parloom_for(1, wait_for_leave, args, 2, &on_pool, nullptr), PARLOOM_OK);
        __atomic_store_n(&flags[2], 1, __ATOMIC_RELEASE);
    });
    await(&flags[0]);
    std::thread closer([&] {
        parloom_pool_close(pool);
        pool = nullptr;
    });
    /* Once it is closing, new calls are refused; until then they work. */
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    parloom_status status = PARLOOM_OK;
    while (status != PARLOOM_ERR_BUSY && std::chrono::steady_clock::now() < until)
        status = parloom_for(0, fail_at_five, nullptr, 0, &on_pool, &error);
    EXPECT_EQ(status, PARLOOM_ERR_BUSY);
    EXPECT_EQ(__atomic_load_n(&flags[2], __ATOMIC_ACQUIRE), 0);
    __atomic_store_n(&flags[1], 1, __ATOMIC_RELEASE);
    closer.join();
    caller.join();
}

using PoolOfTheParent = loom::Clean;

/* Its board is shared with the child: a call there would wait for workers that see another letter. */
TEST_F(PoolOfTheParent, IsRefusedInAChildAndServesTheParentOn)
{
    parloom_error error = {};
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.n_jobs = 2;
    parloom_pool *pool = nullptr;
    ASSERT_EQ(parloom_pool_open(&pool, &options, &error), PARLOOM_OK) << error.message;
    parloom_options on_pool = PARLOOM_OPTIONS_INIT;
    on_pool.pool = pool;
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        bool is_refused = parloom_for(5, fail_at_five, nullptr, 0, &on_pool, nullptr) == PARLOOM_ERR_INVALID;
        parloom_pool_close(pool);
        _exit(is_refused ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(parloom_for(5, fail_at_five, nullptr, 0, &on_pool, &error), PARLOOM_OK) << error.message;
    parloom_pool_close(pool);
}

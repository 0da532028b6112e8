// SPDX-License-Identifier: BSD-3-Clause
/*
 * test_deaths.cc - workers that are killed from outside at any time: every task has its one status, none runs twice,
 * and the next call works. What is killed: one worker, all at once, idle ones, starting ones, the supervisor.
 *
 * The killer is a child of the test: the fork backend refuses programs that have threads.
 */
#include <parloom/parloom.h>

#include "support/clean.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <random>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace
{

constexpr int MOST_WORKERS = 16;
constexpr size_t TASKS = 100000;

/* In memory that program, workers and killer see. */
struct Shared {
    std::atomic<int> pids[MOST_WORKERS]; /* of the worker in that place that ran a task last */
    std::atomic<int> supervisor;
    std::atomic<int> kills;      /* made by the killer */
    std::atomic<int> is_running; /* a call is: the killer works */
    std::atomic<int> starts_of_workers;
    std::atomic<unsigned char> begins[TASKS];
};

class Deaths : public loom::Clean
{
  protected:
    void SetUp() override
    {
        loom::Clean::SetUp();
        parloom_error error;
        shared = static_cast<Shared *>(parloom_alloc(sizeof(Shared), &error));
        ASSERT_NE(shared, nullptr) << error.message;
        args[0] = parloom_inout(shared, sizeof *shared);
        options = PARLOOM_OPTIONS_INIT;
        options.on_error = PARLOOM_ON_ERROR_GO_ON;
        options.statuses = statuses.data();
        options.n_statuses = TASKS;
        options.n_jobs = 4;
        options.verbose = -1;
        report.struct_size = sizeof report;
        options.report = &report;
    }
    void TearDown() override
    {
        end_killer();
        parloom_free(shared);
        parloom_shutdown(true);
        loom::Clean::TearDown();
    }
    /* Kills, with pauses of up to that many microseconds, while a call runs. */
    void start_killer(unsigned seed, int pause_us, const std::function<int(std::mt19937 &)> &choose)
    {
        killer = fork();
        if (killer != 0) return;
        std::mt19937 random(seed);
        std::uniform_int_distribution<int> pause(0, pause_us);
        for (;;) {
            struct timespec some = { 0, 1000L * pause(random) };
            nanosleep(&some, nullptr); /* the random time is what is tested here */
            if (shared->is_running == 0) continue;
            int pid = choose(random);
            if (pid > 1 && kill(pid, SIGKILL) == 0) shared->kills.fetch_add(1);
        }
    }
    void end_killer()
    {
        if (killer <= 0) return;
        kill(killer, SIGKILL);
        waitpid(killer, nullptr, 0);
        killer = 0;
    }
    parloom_status call(size_t n, parloom_body body)
    {
        for (size_t i = 0; i < n; i++) shared->begins[i].store(0, std::memory_order_relaxed);
        for (auto &pid : shared->pids) pid = 0;
        std::fill(statuses.begin(), statuses.end(), static_cast<parloom_status>(1));
        shared->is_running = 1;
        parloom_status status = parloom_for(n, body, args, 1, &options, &error);
        shared->is_running = 0;
        return status;
    }
    size_t count(parloom_status status, size_t n)
    {
        return static_cast<size_t>(std::count(statuses.begin(), statuses.begin() + static_cast<long>(n), status));
    }
    /* n tasks, each with one status that fits how often it was begun. */
    void expect_conserved(size_t n)
    {
        size_t wrong = 0;
        for (size_t i = 0; i < n && wrong < 5; i++) {
            int begins = shared->begins[i];
            bool is_right = statuses[i] == PARLOOM_OK            ? begins == 1
                            : statuses[i] == PARLOOM_ERR_CRASHED ? begins <= 1
                                                                 : statuses[i] == PARLOOM_ERR_CANCELLED && begins == 0;
            if (is_right) continue;
            ADD_FAILURE() << "task " << i << " ended in " << parloom_status_name(statuses[i]) << " after " << begins
                          << " begins; the call in " << parloom_status_name(error.status) << ": " << error.message;
            wrong++;
        }
        EXPECT_EQ(report.ok + report.failed + report.crashed + report.exited + report.timed_out + report.cancelled, n);
        EXPECT_EQ(report.crashed, count(PARLOOM_ERR_CRASHED, n));
    }

    Shared *shared = nullptr;
    parloom_arg args[1];
    parloom_options options;
    parloom_report report = {};
    parloom_error error = {};
    std::vector<parloom_status> statuses = std::vector<parloom_status>(TASKS);
    pid_t killer = 0;
};

int tiny(const parloom_task *task, void *const *args)
{
    auto *shared = static_cast<Shared *>(args[0]);
    shared->begins[task->index].fetch_add(1, std::memory_order_relaxed);
    shared->pids[task->worker].store(static_cast<int>(getpid()), std::memory_order_relaxed);
    return 0;
}

/* Some other worker's pid, read by the killer. */
int some_worker(const Shared *shared, std::mt19937 &random)
{
    return shared->pids[std::uniform_int_distribution<int>(0, 3)(random)].load();
}

struct Case {
    const char *backend;
    size_t batch_size;
    unsigned seed;
};

void PrintTo(const Case &deaths, std::ostream *stream)
{
    *stream << deaths.backend << ", batch_size " << deaths.batch_size << ", seed " << deaths.seed;
}

class DeathsAtRandom : public Deaths, public ::testing::WithParamInterface<Case>
{
};

TEST_P(DeathsAtRandom, CostOneTaskEachAtMost)
{
    options.backend = GetParam().backend;
    options.batch_size = GetParam().batch_size;
    start_killer(GetParam().seed, 3000, [this](std::mt19937 &random) { return some_worker(shared, random); });
    int calls = 0;
    while (shared->kills < 300 && !HasFailure() && calls < 400) {
        int kills_before = shared->kills;
        parloom_status status = call(TASKS, tiny);
        size_t crashed = count(PARLOOM_ERR_CRASHED, TASKS);
        EXPECT_TRUE(status == PARLOOM_OK || status == PARLOOM_ERR_CRASHED)
            << parloom_status_name(status) << ": " << error.message;
        EXPECT_LE(crashed, static_cast<size_t>(shared->kills - kills_before + 1));
        expect_conserved(TASKS);
        calls++;
    }
    EXPECT_GT(shared->kills, 10) << "in " << calls << " calls";
    RecordProperty("kills", shared->kills);
    end_killer();
    EXPECT_EQ(call(1000, tiny), PARLOOM_OK) << error.message;
}

INSTANTIATE_TEST_SUITE_P(, DeathsAtRandom,
                         ::testing::Values(Case{ "processes", 1, 1 }, Case{ "processes", 0, 2 },
                                           Case{ "processes", 64, 3 }, Case{ "fork", 1, 4 }, Case{ "fork", 0, 5 }),
                         [](const ::testing::TestParamInfo<Case> &info) {
                             return std::string(info.param.backend) + std::to_string(info.param.batch_size);
                         });

TEST_F(Deaths, OfAllWorkersAtOnceLeaveTheRestToTheirSuccessors)
{
    options.backend = "processes";
    start_killer(7, 4000, [this](std::mt19937 &) {
        for (int k = 1; k < 4; k++) {
            int pid = shared->pids[k];
            if (pid > 1 && kill(pid, SIGKILL) == 0) shared->kills.fetch_add(1);
        }
        return shared->pids[0].load();
    });
    for (int round = 0; round < 40 && !HasFailure(); round++) {
        parloom_status status = call(20000, tiny);
        EXPECT_TRUE(status == PARLOOM_OK || status == PARLOOM_ERR_CRASHED) << error.message;
        expect_conserved(20000);
    }
    EXPECT_GT(shared->kills, 10);
}

TEST_F(Deaths, OfIdleWorkersCostNothing)
{
    options.backend = "processes";
    for (int round = 0; round < 20 && !HasFailure(); round++) {
        ASSERT_EQ(call(5000, tiny), PARLOOM_OK) << error.message;
        expect_conserved(5000);
        for (const auto &pid : shared->pids)
            if (pid > 1) kill(pid, SIGKILL);
    }
}

int first_ones_die(void *state)
{
    auto *shared = *static_cast<Shared **>(state);
    if (shared->starts_of_workers.fetch_add(1) < 5) raise(SIGKILL);
    return 0;
}

TEST_F(Deaths, AtTheStartOfWorkersAreReplaced)
{
    for (const char *backend : { "processes", "fork" }) {
        shared->starts_of_workers = 0;
        options.backend = backend;
        options.worker_init = first_ones_die;
        options.worker_init_state = &shared;
        options.worker_init_state_nbytes = sizeof shared;
        EXPECT_EQ(call(1000, tiny), PARLOOM_OK) << backend << ": " << error.message;
        expect_conserved(1000);
    }
}

int always_dies(void *)
{
    raise(SIGKILL);
    return 0;
}

TEST_F(Deaths, InAStormEndTheCallAndNotTheNext)
{
    for (const char *backend : { "processes", "fork" }) {
        options.backend = backend;
        options.worker_init = always_dies;
        EXPECT_EQ(call(1000, tiny), PARLOOM_ERR_CALLBACK) << backend << ": " << error.message;
        EXPECT_NE(std::strstr(error.message, "SIGKILL"), nullptr) << error.message;
        EXPECT_EQ(count(PARLOOM_ERR_CANCELLED, 1000), 1000u);
        options.worker_init = nullptr;
        EXPECT_EQ(call(1000, tiny), PARLOOM_OK) << backend << ": " << error.message;
    }
}

int every_task_dies(const parloom_task *task, void *const *args)
{
    static_cast<Shared *>(args[0])->begins[task->index].fetch_add(1, std::memory_order_relaxed);
    raise(SIGKILL);
    return 0;
}

TEST_F(Deaths, OfEveryTaskEndInAStormThatConservesTheTasks)
{
    for (const char *backend : { "processes", "fork" }) {
        options.backend = backend;
        options.batch_size = 1;
        EXPECT_EQ(call(1000, every_task_dies), PARLOOM_ERR_POOL) << backend << ": " << error.message;
        expect_conserved(1000);
        EXPECT_GT(count(PARLOOM_ERR_CRASHED, 1000), 3u);
        EXPECT_EQ(call(1000, tiny), PARLOOM_OK) << backend << ": " << error.message;
        expect_conserved(1000);
    }
}

/* Dies in its first two runs. */
int dies_twice(const parloom_task *task, void *const *args)
{
    static_cast<Shared *>(args[0])->begins[task->index].fetch_add(1, std::memory_order_relaxed);
    if (task->index % 50 == 3 && task->attempt < 2) raise(SIGSEGV);
    return 0;
}

TEST_F(Deaths, InRetriesAreRetriedAgain)
{
    for (const char *backend : { "processes", "fork" }) {
        options.backend = backend;
        options.batch_size = 1;
        options.retries = 2;
        EXPECT_EQ(call(400, dies_twice), PARLOOM_OK) << backend << ": " << error.message;
        for (size_t i = 0; i < 400; i++) EXPECT_EQ(shared->begins[i], i % 50 == 3 ? 3 : 1) << i;
        EXPECT_EQ(report.retried, 16u);
    }
}

int tells_its_supervisor(const parloom_task *task, void *const *args)
{
    static_cast<Shared *>(args[0])->supervisor = static_cast<int>(getppid());
    return tiny(task, args);
}

TEST_F(Deaths, OfTheSupervisorCostTheTasksThatRan)
{
    options.backend = "processes";
    start_killer(11, 8000, [this](std::mt19937 &) { return shared->supervisor.exchange(0); });
    int died = 0;
    for (int round = 0; round < 200 && died < 15 && !HasFailure(); round++) {
        int kills_before = shared->kills;
        parloom_status status = call(TASKS, tells_its_supervisor);
        EXPECT_TRUE(status == PARLOOM_OK || status == PARLOOM_ERR_CRASHED)
            << parloom_status_name(status) << ": " << error.message;
        expect_conserved(TASKS);
        EXPECT_LE(count(PARLOOM_ERR_CRASHED, TASKS), 4u * static_cast<size_t>(shared->kills - kills_before + 1));
        died = shared->kills;
    }
    EXPECT_GT(died, 3);
    end_killer();
    EXPECT_EQ(call(1000, tiny), PARLOOM_OK) << error.message;
}

/* Eight threads share the workers of a pool, so that more calls overlap than the board has slots. */
TEST_F(Deaths, AreSettledForAllCallsThatOverlap)
{
    parloom_pool *pool = nullptr;
    options.backend = "processes";
    parloom_options of_pool = PARLOOM_OPTIONS_INIT;
    of_pool.backend = "processes";
    of_pool.n_jobs = 4;
    ASSERT_EQ(parloom_pool_open(&pool, &of_pool, &error), PARLOOM_OK) << error.message;
    start_killer(13, 3000, [this](std::mt19937 &random) { return some_worker(shared, random); });
    shared->is_running = 1;
    constexpr size_t EACH = 2000;
    std::atomic<int> wrong{ 0 };
    std::vector<std::thread> threads;
    for (size_t t = 0; t < 8; t++) {
        threads.emplace_back([&, t] {
            std::vector<parloom_status> mine(EACH);
            for (int round = 0; round < 3000 && shared->kills < 100; round++) {
                parloom_error failure;
                parloom_options of_call = PARLOOM_OPTIONS_INIT;
                of_call.pool = pool;
                of_call.on_error = PARLOOM_ON_ERROR_GO_ON;
                of_call.batch_size = t % 2;
                of_call.statuses = mine.data();
                of_call.n_statuses = EACH;
                parloom_status status = parloom_for(EACH, tiny, args, 1, &of_call, &failure);
                size_t ok = 0, crashed = 0;
                for (parloom_status one : mine) {
                    ok += one == PARLOOM_OK;
                    crashed += one == PARLOOM_ERR_CRASHED;
                }
                bool is_right = ok + crashed == EACH && status == (crashed > 0 ? PARLOOM_ERR_CRASHED : PARLOOM_OK);
                if (!is_right && wrong.fetch_add(1) == 0)
                    ADD_FAILURE() << parloom_status_name(status) << ": " << failure.message;
            }
        });
    }
    for (auto &thread : threads) thread.join();
    shared->is_running = 0;
    end_killer();
    parloom_pool_close(pool);
    EXPECT_EQ(wrong, 0);
    EXPECT_GT(shared->kills, 10);
}

} // namespace

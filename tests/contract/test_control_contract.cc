/* SPDX-License-Identifier: BSD-3-Clause */
/* Stopping, watching and preparing calls: stop, progress, worker_init, scratch, shutdown. */
#include "contract/places.h"

#include <atomic>
#include <csignal>
#include <mutex>
#include <numeric>
#include <pthread.h>
#include <set>
#include <thread>
#include <unistd.h>

using namespace contract;

namespace
{

enum { TASKS = 40 };

int run_until_cancelled(const parloom_task *task, void *const *args)
{
    __atomic_store_n(static_cast<int *>(args[0]), 1, __ATOMIC_RELEASE);
    while (!parloom_cancelled(task)) usleep(100);
    return 0;
}

int hang(const parloom_task *, void *const *args)
{
    __atomic_store_n(static_cast<int *>(args[0]), static_cast<int>(getpid()), __ATOMIC_RELEASE);
    for (;;) pause();
}

int note_run(const parloom_task *task, void *const *args)
{
    static_cast<char *>(args[0])[task->index] = 1;
    return 0;
}

int take_two_milliseconds(const parloom_task *, void *const *)
{
    usleep(2000);
    return 0;
}

int take_two_milliseconds_and_fail_half(const parloom_task *task, void *const *)
{
    usleep(2000);
    return task->index % 2 == 0 ? 3 : 0;
}

void wait_for(const int *flag)
{
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) == 0 && std::chrono::steady_clock::now() < until)
        std::this_thread::yield();
}

parloom_stop *stop_of_handler;

void cancel_in_handler(int)
{
    parloom_cancel(stop_of_handler);
}

struct watched {
    std::vector<parloom_report> seen;
    pthread_t thread;
    bool is_same_thread = true;
};

void watch(const parloom_report *so_far, void *state)
{
    auto *watched = static_cast<struct watched *>(state);
    watched->seen.push_back(*so_far);
    watched->is_same_thread &= pthread_equal(watched->thread, pthread_self()) != 0;
}

/* What a callback allocated, and at which level the calls are that it makes. */
struct made {
    unsigned char *memory;
    int level;
};

int note_level(const parloom_task *task, void *const *args)
{
    *static_cast<int *>(args[0]) = task->level;
    return 0;
}

void allocate_and_call(const parloom_report *, void *state)
{
    auto *made = static_cast<struct made *>(state);
    if (made->memory != nullptr) return;
    made->memory = static_cast<unsigned char *>(parloom_alloc(1000, nullptr));
    if (made->memory != nullptr) memset(made->memory, 5, 1000);
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.backend = "sequential";
    parloom_arg args[] = { parloom_out(&made->level, sizeof made->level) };
    if (parloom_for(1, note_level, args, 1, &given, nullptr) != PARLOOM_OK) made->level = -1;
}

/* What worker_init is given, and what is left of it in the worker. */
struct init_state {
    int *count; /* shared memory: how often it ran */
    int value;
    int code;
};
thread_local int init_value;
thread_local int init_runs;

int initialise(void *state)
{
    auto *given = static_cast<init_state *>(state);
    __atomic_add_fetch(given->count, 1, __ATOMIC_RELAXED);
    init_value = given->value;
    init_runs++;
    given->value = -1; /* a copy of the worker's own */
    return given->code;
}

int initialise_otherwise(void *state)
{
    int code = initialise(state);
    init_value = 1000;
    return code;
}

int read_init(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[0])[task->index] = init_value;
    static_cast<int *>(args[1])[task->worker] = init_runs;
    return 0;
}

int use_scratch(const parloom_task *task, void *const *args)
{
    auto *own = static_cast<long *>(parloom_scratch(task, 1000 * sizeof(long)));
    auto *again = static_cast<long *>(parloom_scratch(task, 10));
    if (own == nullptr || own != again) return 1;
    if (reinterpret_cast<uintptr_t>(own) % 64 != 0) return 2;
    for (int k = 1; k < 1000; k++)
        if (own[k] != own[0]) return 3;
    for (int k = 0; k < 1000; k++) own[k]++; /* counts the tasks of this worker */
    static_cast<long *>(args[0])[task->worker] = own[0];
    return 0;
}

int grow_scratch(const parloom_task *task, void *const *)
{
    auto *own = static_cast<unsigned char *>(parloom_scratch(task, 100));
    memset(own, 7, 100);
    own = static_cast<unsigned char *>(parloom_scratch(task, 100000));
    for (int k = 0; k < 100000; k++)
        if (own[k] != (k < 100 ? 7 : 0)) return 1;
    return 0;
}

} // namespace

class Stop : public Placed
{
  protected:
    Stop() { report.struct_size = sizeof report; }
    parloom_stop stop = {};
    parloom_report report = {};
};
INSTANTIATE_TEST_SUITE_P(On, Stop, ::testing::ValuesIn(every_place), name_of);

TEST_P(Stop, ThatIsCancelledBeforeRunsNothing)
{
    std::vector<char> runs(TASKS);
    std::vector<parloom_status> statuses(TASKS, PARLOOM_OK);
    parloom_options given = options();
    given.stop = &stop;
    given.statuses = statuses.data();
    parloom_arg args[] = { out(runs) };
    parloom_cancel(&stop);
    EXPECT_EQ(parloom_for(TASKS, note_run, args, 1, &given, &error), PARLOOM_ERR_CANCELLED);
    EXPECT_EQ(error.status, PARLOOM_ERR_CANCELLED);
    EXPECT_EQ(runs, std::vector<char>(TASKS, 0));
    EXPECT_EQ(statuses, std::vector<parloom_status>(TASKS, PARLOOM_ERR_CANCELLED));
    stop = {};
    EXPECT_OK(parloom_for(TASKS, note_run, args, 1, &given, &error));
}

TEST_P(Stop, FromAnotherThreadEndsTheCall)
{
    if (is("fork")) return; /* refuses to fork beside another thread */
    Shared<int> started;
    parloom_options given = options();
    given.stop = &stop;
    given.report = &report;
    given.batch_size = 1;
    parloom_arg args[] = { parloom_out(started.get(), sizeof(int)) };
    std::thread canceller([&] {
        wait_for(started.get());
        parloom_cancel(&stop);
    });
    EXPECT_EQ(parloom_for(TASKS, run_until_cancelled, args, 1, &given, &error), PARLOOM_ERR_CANCELLED);
    canceller.join();
    EXPECT_GE(report.ok, 1u); /* those that ran ended */
    EXPECT_LE(report.ok, static_cast<size_t>(given.n_jobs));
    EXPECT_EQ(report.ok + report.cancelled, size_t{ TASKS });
}

TEST_P(Stop, FromASignalHandlerEndsTheCall)
{
    Shared<int> started;
    parloom_options given = options();
    given.stop = &stop;
    given.report = &report;
    stop_of_handler = &stop;
    struct sigaction handler = {}, before;
    handler.sa_handler = cancel_in_handler;
    sigaction(SIGALRM, &handler, &before);
    ualarm(30000, 30000);
    parloom_arg args[] = { parloom_out(started.get(), sizeof(int)) };
    EXPECT_EQ(parloom_for(TASKS, run_until_cancelled, args, 1, &given, &error), PARLOOM_ERR_CANCELLED);
    ualarm(0, 0);
    sigaction(SIGALRM, &before, nullptr);
    EXPECT_EQ(report.ok + report.cancelled, size_t{ TASKS });
}

TEST_P(Stop, OfNothingIsFine)
{
    parloom_cancel(nullptr);
}

/* ---------------------------------------------------------------- progress */

class Progress : public Placed
{
};
INSTANTIATE_TEST_SUITE_P(On, Progress, ::testing::ValuesIn(every_place), name_of);

TEST_P(Progress, IsToldInTheCallersThreadAndOnceAtTheEnd)
{
    watched watched;
    watched.thread = pthread_self();
    parloom_options given = options();
    given.progress = watch;
    given.progress_state = &watched;
    given.batch_size = 1;
    enum { SLOW_TASKS = 300 };
    ASSERT_OK(parloom_for(SLOW_TASKS, take_two_milliseconds, nullptr, 0, &given, &error));
    ASSERT_FALSE(watched.seen.empty());
    EXPECT_TRUE(watched.is_same_thread);
    const parloom_report &last = watched.seen.back();
    EXPECT_EQ(last.ok, size_t{ SLOW_TASKS });
    EXPECT_EQ(last.tasks, size_t{ SLOW_TASKS });
    EXPECT_LE(static_cast<double>(watched.seen.size()), 10 * last.seconds + 2);
    for (size_t k = 1; k < watched.seen.size(); k++) {
        EXPECT_GE(watched.seen[k].ok, watched.seen[k - 1].ok);
        EXPECT_GE(watched.seen[k].seconds, watched.seen[k - 1].seconds);
    }
    for (const parloom_report &one : watched.seen) EXPECT_LE(one.ok, size_t{ SLOW_TASKS });
}

TEST_P(Progress, CountsFailedTasksAsFailedWhileTheCallRuns)
{
    watched watched;
    watched.thread = pthread_self();
    parloom_options given = options();
    given.progress = watch;
    given.progress_state = &watched;
    given.batch_size = 1;
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    enum { SLOW_TASKS = 1500 };
    ASSERT_EQ(parloom_for(SLOW_TASKS, take_two_milliseconds_and_fail_half, nullptr, 0, &given, &error),
              PARLOOM_ERR_TASK);
    ASSERT_GE(watched.seen.size(), 2u) << "1500 tasks of 2 ms in 10 workers take longer than 0.1 s";
    EXPECT_GT(watched.seen[watched.seen.size() - 2].failed, 0u);
    for (const parloom_report &one : watched.seen) {
        EXPECT_LE(one.failed, SLOW_TASKS / 2u);
        EXPECT_LE(one.ok, SLOW_TASKS / 2u);
        EXPECT_EQ(one.crashed + one.exited + one.timed_out + one.cancelled, 0u);
    }
    EXPECT_EQ(watched.seen.back().failed, SLOW_TASKS / 2u);
    EXPECT_EQ(watched.seen.back().ok, SLOW_TASKS / 2u);
}

TEST_P(Progress, IsNoTaskThoughItIsToldInTheMidstOfThem)
{
    made made = { nullptr, -1 };
    parloom_options given = options();
    given.progress = allocate_and_call;
    given.progress_state = &made;
    given.batch_size = 1;
    ASSERT_OK(parloom_for(1500, take_two_milliseconds, nullptr, 0, &given, &error));
    EXPECT_EQ(made.level, 0);
    ASSERT_NE(made.memory, nullptr);
    for (int k = 0; k < 1000; k++) ASSERT_EQ(made.memory[k], 5) << "it is not freed with a task";
    parloom_free(made.memory);
}

TEST_P(Progress, OfAShortCallIsToldOnce)
{
    watched watched;
    watched.thread = pthread_self();
    std::vector<char> runs(2);
    parloom_arg args[] = { out(runs) };
    parloom_options given = options();
    given.progress = watch;
    given.progress_state = &watched;
    ASSERT_OK(parloom_for(2, note_run, args, 1, &given, &error));
    EXPECT_EQ(watched.seen.back().ok, 2u);
}

/* ------------------------------------------------------------- worker_init */

class WorkerInit : public Placed
{
  protected:
    parloom_options asking(int value)
    {
        state = { count.get(), value, 0 };
        parloom_options given = options();
        given.worker_init = initialise;
        given.worker_init_state = &state;
        given.worker_init_state_nbytes = sizeof state;
        given.batch_size = 1;
        return given;
    }
    Shared<int> count;
    init_state state;
    std::vector<int> values = std::vector<int>(TASKS), runs = std::vector<int>(10);
};
INSTANTIATE_TEST_SUITE_P(On, WorkerInit, ::testing::ValuesIn(every_place), name_of);

TEST_P(WorkerInit, RunsBeforeTheFirstTaskOfEachWorker)
{
    parloom_options given = asking(33);
    parloom_arg args[] = { out(values), out(runs) };
    init_value = init_runs = 0;
    ASSERT_OK(parloom_for(TASKS, read_init, args, 2, &given, &error));
    EXPECT_EQ(values, std::vector<int>(TASKS, 33));
    EXPECT_GE(count[0], 1);
    EXPECT_LE(count[0], given.n_jobs);
    EXPECT_EQ(state.value, 33) << "workers have copies";
}

TEST_P(WorkerInit, RunsOncePerWorkerOfAPool)
{
    parloom_options given = asking(44);
    given.batch_size = 0;
    parloom_pool *pool = nullptr;
    ASSERT_OK(parloom_pool_open(&pool, &given, &error));
    parloom_options on_pool = PARLOOM_OPTIONS_INIT;
    on_pool.pool = pool;
    for (int call = 0; call < 4; call++) {
        if (is("fork")) break; /* new children in each call */
        values.assign(TASKS, 0);
        runs.assign(10, 0);
        parloom_arg args[] = { out(values), out(runs) };
        ASSERT_OK(parloom_for(TASKS, read_init, args, 2, &on_pool, &error));
        EXPECT_EQ(values, std::vector<int>(TASKS, 44));
    }
    parloom_pool_close(pool);
    EXPECT_LE(count[0], given.n_jobs);
    init_value = init_runs = 0;
}

TEST_P(WorkerInit, ThatFailsIsACallbackErrorWithItsCode)
{
    parloom_options given = asking(1);
    state.code = 77;
    parloom_arg args[] = { out(values), out(runs) };
    EXPECT_EQ(parloom_for(TASKS, read_init, args, 2, &given, &error), PARLOOM_ERR_CALLBACK);
    EXPECT_EQ(error.code, 77);
    EXPECT_SAYS("worker_init");
    state.code = 0;
    EXPECT_OK(parloom_for(TASKS, read_init, args, 2, &given, &error)) << "the next call works";
}

TEST_P(WorkerInit, OfAnotherKindReplacesSharedWorkers)
{
    parloom_options given = asking(5);
    parloom_arg args[] = { out(values), out(runs) };
    ASSERT_OK(parloom_for(TASKS, read_init, args, 2, &given, &error));
    EXPECT_EQ(values, std::vector<int>(TASKS, 5));
    given.worker_init = initialise_otherwise;
    ASSERT_OK(parloom_for(TASKS, read_init, args, 2, &given, &error));
    EXPECT_EQ(values, std::vector<int>(TASKS, 1000));
    given = asking(6); /* the same function with another state */
    ASSERT_OK(parloom_for(TASKS, read_init, args, 2, &given, &error));
    EXPECT_EQ(values, std::vector<int>(TASKS, 6));
}

/* ----------------------------------------------------------------- scratch */

class Scratch : public Placed
{
};
INSTANTIATE_TEST_SUITE_P(On, Scratch, ::testing::ValuesIn(every_place), name_of);

TEST_P(Scratch, IsZeroAtFirstAndTheSameInAllTasksOfAWorkerAndCall)
{
    for (int call = 0; call < 3; call++) {
        std::vector<long> counts(10);
        parloom_arg args[] = { out(counts) };
        parloom_options given = options();
        ASSERT_OK(parloom_for(TASKS, use_scratch, args, 1, &given, &error)) << error.code;
        EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), 0L), TASKS);
    }
}

TEST_P(Scratch, KeepsItsBytesWhenItGrows)
{
    parloom_options given = options();
    EXPECT_OK(parloom_for(3, grow_scratch, nullptr, 0, &given, &error));
}

/* ---------------------------------------------------------------- shutdown */

using Shutdown = loom::Clean;

TEST_F(Shutdown, AtOnceEndsTasksThatRun)
{
    parloom_error error = {};
    Shared<int> started;
    std::vector<parloom_status> statuses(TASKS, PARLOOM_OK);
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.n_jobs = 2;
    given.statuses = statuses.data();
    parloom_arg args[] = { parloom_out(started.get(), sizeof(int)) };
    std::thread ender([&] {
        wait_for(started.get());
        parloom_shutdown(true);
        EXPECT_NE(kill(started[0], 0), 0) << "the worker is gone when shutdown returns";
    });
    EXPECT_EQ(parloom_for(TASKS, hang, args, 1, &given, &error), PARLOOM_ERR_CANCELLED);
    ender.join();
    EXPECT_SAYS("parloom_shutdown");
    EXPECT_EQ(statuses, std::vector<parloom_status>(TASKS, PARLOOM_ERR_CANCELLED));
    std::vector<char> runs(TASKS);
    parloom_arg next[] = { out(runs) };
    EXPECT_OK(parloom_for(TASKS, note_run, next, 1, &given, &error)) << "the next call starts new workers";
}

TEST_F(Shutdown, OfIdleWorkersEndsThem)
{
    parloom_error error = {};
    for (bool kill_them : { false, true }) {
        std::vector<int> pids(2);
        parloom_options given = PARLOOM_OPTIONS_INIT;
        given.n_jobs = 2;
        given.schedule = PARLOOM_SCHEDULE_STATIC;
        auto note_pid = [](const parloom_task *task, void *const *list) -> int {
            static_cast<int *>(list[0])[task->index] = static_cast<int>(getpid());
            return 0;
        };
        parloom_arg args[] = { out(pids) };
        ASSERT_OK(parloom_for(2, note_pid, args, 1, &given, &error));
        std::vector<int> before = pids;
        parloom_shutdown(kill_them);
        ASSERT_OK(parloom_for(2, note_pid, args, 1, &given, &error));
        EXPECT_NE(pids[0], before[0]);
        EXPECT_NE(pids[1], before[1]);
    }
}

TEST_F(Shutdown, WithoutWorkersDoesNothing)
{
    parloom_shutdown(false);
    parloom_shutdown(true);
}

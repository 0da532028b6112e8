/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * K4: the crash cases. Arguments are bytes, so what loky tries while it unserialises is tried in the code of the
 * program that runs in a worker before its first task: worker_init. A result is what a task writes.
 */
#include "conformance/conformance.h"
#include "conformance/product.h"

using namespace conformance;

namespace
{

enum end { RETURNS, EXITS, EXITS_AT_ONCE, SEGFAULTS };

int end_as(int how)
{
    if (how == EXITS) std::exit(0);
    if (how == EXITS_AT_ONCE) _exit(0);
    if (how == SEGFAULTS) *reinterpret_cast<volatile int *>(8) = 1; // NOLINT
    return 77;
}

int end_in_init(void *state)
{
    return end_as(*static_cast<int *>(state));
}

/* args[0]: one long a task, args[1]: how task 3 ends. */
int end_in_task(const parloom_task *task, void *const *args)
{
    return task->index == 3 ? end_as(*static_cast<const int *>(args[1])) : square(task, args);
}

/* The same in the midst of writing a result of two halves; args[0]: two longs a task. */
int end_in_result(const parloom_task *task, void *const *args)
{
    auto *result = static_cast<long *>(args[0]);
    result[0] = 1;
    if (task->index == 3) return end_as(*static_cast<const int *>(args[1]));
    result[1] = 2;
    return 0;
}

/* args[0]: where workers tell who they are, and whom they kill: the next one. */
int kill_the_next(const parloom_task *task, void *const *args)
{
    auto *pids = static_cast<std::atomic<int> *>(args[0]);
    pids[task->worker] = static_cast<int>(getpid());
    int next = (task->worker + 1) % task->n_jobs;
    if (!comes_true([&] { return pids[next] != 0; }, 0.2)) return 0; /* it is dead already, or has nothing to do */
    kill(pids[next], SIGKILL);
    return 0;
}

/* A thread of the first task's own outlives it. args[0]: how it ends the worker, args[1]: when it may, and then who. */
int leave_a_thread(const parloom_task *task, void *const *args)
{
    if (task->index != 0) return 0;
    int how = *static_cast<const int *>(args[0]);
    auto *may = static_cast<std::atomic<int> *>(args[1]);
    may[1] = static_cast<int>(getpid());
    std::thread([how, may] {
        comes_true([may] { return *may != 0; }, 20);
        end_as(how);
    }).detach();
    return 0;
}

int compute(const parloom_task *task, void *const *args)
{
    static_cast<double *>(args[0])[task->index] = product_by_openmp();
    return 0;
}

int sleep_and_tell(const parloom_task *task, void *const *args)
{
    *static_cast<std::atomic<int> *>(args[0]) = static_cast<int>(getpid());
    return sleep_long(task, nullptr);
}

/* A call whose workers end in worker_init; what is said of it. */
parloom_status call_with_init(const char *backend, int how, parloom_error *error)
{
    parloom_options given = on(backend);
    given.worker_init = end_in_init;
    given.worker_init_state = &how;
    given.worker_init_state_nbytes = sizeof how;
    return parloom_for(10, do_nothing, nullptr, 0, &given, error);
}

/* Ten tasks of which the fourth ends so: it alone is lost, and named. */
parloom_error lose_one(const char *backend, int how)
{
    std::vector<long> found(10, -1), expected = squares(10);
    parloom_arg args[] = { contract::out(found), parloom_in(&how, sizeof how) };
    parloom_options given = on(backend);
    parloom_error error;
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    (void)parloom_for(10, end_in_task, args, 2, &given, &error);
    expected[3] = -1;
    EXPECT_EQ(found, expected) << backend;
    EXPECT_EQ(error.task, 3u) << error.message;
    EXPECT_EQ(squares_by(on(backend), 10, nullptr), squares(10)) << "the next call";
    return error;
}

/* The same while it writes its result: the half that was written does not count. */
parloom_error lose_a_result(const char *backend, int how)
{
    std::vector<long> found(20, 0), expected;
    for (int k = 0; k < 10; k++) expected.insert(expected.end(), { k == 3 ? 0 : 1, k == 3 ? 0 : 2 });
    parloom_arg args[] = { parloom_each(contract::out(found), 2 * sizeof(long)), parloom_in(&how, sizeof how) };
    parloom_options given = on(backend);
    parloom_error error;
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    (void)parloom_for(10, end_in_result, args, 2, &given, &error);
    EXPECT_EQ(found, expected) << backend;
    EXPECT_EQ(error.task, 3u) << error.message;
    return error;
}

/* ---- in the program, when results come back */

enum where { IN_COMBINE, IN_PROGRESS, IN_MERGE };
bool ends_in_combine;

void combine(void *into, const void *from)
{
    if (ends_in_combine) std::exit(40 + IN_COMBINE);
    *static_cast<long *>(into) += *static_cast<const long *>(from);
}

void end_in_progress(const parloom_report *, void *)
{
    std::exit(40 + IN_PROGRESS);
}

void end_in_merge(const parloom_recorded *, void *)
{
    std::exit(40 + IN_MERGE);
}

/* args[0]: an accumulator, args[1]: one int a task, the process that runs it. */
int add_and_record(const parloom_task *task, void *const *args)
{
    *static_cast<long *>(args[0]) += 1;
    static_cast<int *>(args[1])[task->index] = static_cast<int>(getpid());
    return parloom_record(task, "ends", "x", 1);
}

/* In a program of its own, which ends in the midst of it; pids: of twelve tasks, in memory of its parent. */
int end_when_results_come(parloom_options given, int where, int *pids)
{
    long sum = 0;
    parloom_arg args[] = { parloom_reduce(&sum, sizeof sum, combine), parloom_inout(pids, 12 * sizeof(int)) };
    ends_in_combine = where == IN_COMBINE;
    if (where == IN_PROGRESS) given.progress = end_in_progress;
    if (where == IN_MERGE) parloom_channel_register("ends", end_in_merge, nullptr, nullptr);
    return parloom_for(12, add_and_record, args, 2, &given, nullptr) == PARLOOM_OK ? 0 : 1;
}

} // namespace

TEST_F(Conformance, K4_03_ExitBeforeTheFirstTask)
{
    for (const char *backend : process_backends) {
        EXPECT_NE(call_with_init(backend, EXITS, &error), PARLOOM_OK) << backend;
        EXPECT_TRUE(says(error, "exit")) << error.message;
        EXPECT_EQ(squares_by(on(backend), 10, &error), squares(10)) << "the next call";
    }
}

TEST_F(Conformance, K4_04_ExitAtOnceBeforeTheFirstTask)
{
    for (const char *backend : process_backends) {
        EXPECT_NE(call_with_init(backend, EXITS_AT_ONCE, &error), PARLOOM_OK) << backend;
        EXPECT_TRUE(says(error, "exit")) << error.message;
        EXPECT_EQ(squares_by(on(backend), 10, &error), squares(10)) << "the next call";
    }
}

TEST_F(Conformance, K4_05_ErrorBeforeTheFirstTask)
{
    for (const char *backend : every_backend) {
        EXPECT_EQ(call_with_init(backend, RETURNS, &error), PARLOOM_ERR_CALLBACK) << backend;
        EXPECT_EQ(error.code, 77) << error.message;
        EXPECT_EQ(squares_by(on(backend), 10, &error), squares(10)) << "the next call";
    }
}

TEST_F(Conformance, K4_06_SegfaultBeforeTheFirstTask)
{
    for (const char *backend : process_backends) {
        EXPECT_NE(call_with_init(backend, SEGFAULTS, &error), PARLOOM_OK) << backend;
        EXPECT_TRUE(says(error, "SIGSEGV")) << error.message;
        EXPECT_EQ(squares_by(on(backend), 10, &error), squares(10)) << "the next call";
    }
}

TEST_F(Conformance, K4_07_SegfaultInATask)
{
    for (const char *backend : process_backends) {
        error = lose_one(backend, SEGFAULTS);
        EXPECT_EQ(error.status, PARLOOM_ERR_CRASHED) << backend;
        EXPECT_EQ(error.signal, SIGSEGV);
        EXPECT_TRUE(says(error, "SIGSEGV")) << error.message;
    }
}

TEST_F(Conformance, K4_08_ExitInATask)
{
    for (const char *backend : process_backends) {
        error = lose_one(backend, EXITS);
        EXPECT_EQ(error.status, PARLOOM_ERR_EXITED) << backend << error.message;
        EXPECT_EQ(error.code, 0);
    }
}

TEST_F(Conformance, K4_09_ExitAtOnceInATask)
{
    for (const char *backend : process_backends) {
        error = lose_one(backend, EXITS_AT_ONCE);
        EXPECT_EQ(error.status, PARLOOM_ERR_EXITED) << backend << error.message;
        EXPECT_EQ(error.code, 0);
    }
}

TEST_F(Conformance, K4_11_SegfaultInAResult)
{
    for (const char *backend : process_backends) {
        error = lose_a_result(backend, SEGFAULTS);
        EXPECT_EQ(error.status, PARLOOM_ERR_CRASHED) << backend;
        EXPECT_EQ(error.signal, SIGSEGV);
    }
}

TEST_F(Conformance, K4_12_ExitInAResult)
{
    for (const char *backend : process_backends) EXPECT_EQ(lose_a_result(backend, EXITS).status, PARLOOM_ERR_EXITED);
}

TEST_F(Conformance, K4_14_ErrorInAResult)
{
    for (const char *backend : process_backends) {
        error = lose_a_result(backend, RETURNS);
        EXPECT_EQ(error.status, PARLOOM_ERR_TASK) << backend;
        EXPECT_EQ(error.code, 77);
    }
}

/* What runs in the program when results come back is its own code: where that ends the program, the program ends, with
 * its workers, and nothing waits for a call that is over. */
TEST_F(Conformance, K4_15_ExitWhileResultsComeBack)
{
    Shared<int> pids(12);
    for (const char *backend : every_backend)
        for (int where : { IN_COMBINE, IN_PROGRESS, IN_MERGE }) {
            memset(pids.get(), 0, 12 * sizeof(int));
            Ended ended = run_program([&] { return end_when_results_come(on(backend), where, pids.get()); });
            EXPECT_EQ(ended.code(), 40 + where) << backend << where << ended.err;
            EXPECT_TRUE(where == IN_PROGRESS || pids[11] != 0) << "all of them ran";
            for (int k = 0; k < 12; k++)
                EXPECT_TRUE(pids[k] == 0 || comes_true([&] { return is_gone(pids[k]); })) << backend << where;
        }
}

TEST_F(Conformance, K4_19_DeathWhileWorkersAreAdded)
{
    for (int round = 0; round < 5; round++) {
        std::set<int> workers = workers_of(on("processes", 2));
        ASSERT_FALSE(workers.empty());
        std::thread killer([&] { kill(*workers.begin(), SIGKILL); });
        std::vector<long> found = squares_by(on("processes", 4), 200, &error);
        killer.join();
        EXPECT_TRUE(!found.empty() || error.signal == SIGKILL) << error.message;
        EXPECT_EQ(squares_by(on("processes", 4), 200, &error), squares(200)) << error.message;
        parloom_shutdown(false);
    }
}

TEST_F(Conformance, K4_20_WorkersThatKillEachOther)
{
    for (int n_jobs : { 1, 2, 5, 13 }) {
        Shared<std::atomic<int>> pids(13);
        parloom_arg args[] = { parloom_inout(pids.get(), 13 * sizeof(int)) };
        parloom_options given = on("processes", n_jobs);
        given.require = PARLOOM_REQUIRE_ISOLATION;
        given.batch_size = 1;
        parloom_status status = parloom_for(static_cast<size_t>(n_jobs), kill_the_next, args, 1, &given, &error);
        EXPECT_EQ(status, PARLOOM_ERR_CRASHED) << error.message;
        EXPECT_EQ(error.signal, SIGKILL) << error.message;
        EXPECT_TRUE(says(error, "SIGKILL")) << error.message;
        EXPECT_EQ(squares_by(on("processes", n_jobs), 50, &error), squares(50)) << error.message;
    }
}

TEST_F(Conformance, K4_23_FailureBeforeTheFirstTaskSaysWhy)
{
    for (const char *backend : every_backend) {
        EXPECT_EQ(call_with_init(backend, RETURNS, &error), PARLOOM_ERR_CALLBACK) << backend;
        EXPECT_TRUE(says(error, "worker_init")) << error.message;
        EXPECT_TRUE(says(error, "77")) << error.message;
    }
}

TEST_F(Conformance, K4_24_OpenMPInTheProgramAndInWorkers)
{
    double expected = product_by_openmp();
    std::vector<double> found(4);
    parloom_arg args[] = { contract::out(found) };
    parloom_options given = on("processes");
    ASSERT_OK(parloom_for(4, compute, args, 1, &given, &error));
    EXPECT_EQ(found, std::vector<double>(4, expected));
}

TEST_F(Conformance, K4_26_DeathAroundShutdown)
{
    for (bool kills : { false, true })
        for (int round = 0; round < 5; round++) {
            std::set<int> workers = workers_of(on("processes", 3));
            ASSERT_EQ(workers.size(), 3u);
            std::thread killer([&] { kill(*workers.begin(), SIGKILL); });
            parloom_shutdown(kills);
            killer.join();
            for (int pid : workers) EXPECT_TRUE(comes_true([&] { return is_gone(pid); }));
        }
    EXPECT_EQ(squares_by(on("processes", 3), 50, &error), squares(50)) << error.message;
}

TEST_F(Conformance, K4_27_ShutdownEndsWhatRunsAndOtherOptionsWork)
{
    Shared<std::atomic<int>> pid(1);
    parloom_arg args[] = { parloom_inout(pid.get(), sizeof(int)) };
    parloom_options given = on("processes");
    std::thread caller([&] {
        EXPECT_EQ(parloom_for(2, sleep_and_tell, args, 1, &given, &error), PARLOOM_ERR_CANCELLED) << error.message;
    });
    EXPECT_TRUE(comes_true([&] { return pid[0] != 0; }));
    parloom_shutdown(true);
    caller.join();
    parloom_options other = on("processes", 3);
    other.inner_max_num_threads = 1;
    EXPECT_EQ(squares_by(other, 50, &error), squares(50)) << error.message;
}

TEST_F(Conformance, K4_28_DeathAfterTheResult)
{
    for (int how : { SEGFAULTS, EXITS_AT_ONCE }) {
        Shared<std::atomic<int>> may(2);
        parloom_arg args[] = { parloom_in(&how, sizeof how), parloom_inout(may.get(), 2 * sizeof(int)) };
        parloom_options given = on("processes");
        ASSERT_OK(parloom_for(2, leave_a_thread, args, 2, &given, &error)) << "what was done is delivered";
        may[0] = 1;
        EXPECT_TRUE(comes_true([&] { return is_gone(may[1]); }));
        EXPECT_EQ(squares_by(given, 50, &error), squares(50)) << "the death is noticed: " << error.message;
    }
}

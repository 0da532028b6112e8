/* SPDX-License-Identifier: BSD-3-Clause */
/* K1: ends of pools and of shared workers; K3: workers that crash, and limits. */
#include "conformance/conformance.h"
#include "support/sanitizers.h"

using namespace conformance;

namespace
{

const int MAX_DEPTH = 10;

/* Processes that have told of themselves; in shared memory. */
struct tree {
    std::atomic<int> count;
    std::atomic<int> pids[64];
};

int sleep_in_depth(const parloom_task *task, void *const *args)
{
    auto *tree = static_cast<struct tree *>(args[0]);
    tree->pids[tree->count++ % 64] = static_cast<int>(getpid());
    if (task->level == 1) return sleep_long(task, nullptr);
    parloom_options given = on("processes");
    parloom_arg inner[] = { parloom_inout(tree, sizeof *tree) };
    return parloom_for(2, sleep_in_depth, inner, 1, &given, nullptr) == PARLOOM_OK ? 0 : 1;
}

int raise_term(const parloom_task *task, void *const *)
{
    if (task->index == 4) raise(SIGTERM);
    return 0;
}

int exit_42(const parloom_task *task, void *const *)
{
    if (task->index == 4) _exit(42);
    return 0;
}

const int LINE_OF_CRASH = __LINE__ + 4;
__attribute__((noinline)) int crash_here(const parloom_task *task, void *const *)
{
    auto *nowhere = reinterpret_cast<volatile size_t *>(8); // NOLINT
    *nowhere = task->index;                                 /* here */
    return 0;
}

const char CAUSE[] = "cause: 100% of \"it\" \xc3\xbc\n\tis <kept>";

int fail_with_a_cause(const parloom_task *task, void *const *)
{
    return parloom_fail_text(task, 9, CAUSE);
}

int pass_the_cause_on(const parloom_task *task, void *const *)
{
    parloom_options given = on("processes");
    parloom_error error;
    (void)parloom_for(2, fail_with_a_cause, nullptr, 0, &given, &error);
    return parloom_fail_text(task, error.code, error.message);
}

/* args[0]: how deep to go. 0: as deep as asked; else what the depth that was refused said. */
int go_down(const parloom_task *task, void *const *args)
{
    int depth = *static_cast<const int *>(args[0]);
    if (task->level == depth) return 0;
    parloom_options given = on("sequential", 1);
    parloom_error error;
    parloom_arg inner[] = { parloom_in(&depth, sizeof depth) };
    parloom_status status = parloom_for(1, go_down, inner, 1, &given, &error);
    return status == PARLOOM_OK ? 0 : parloom_fail_text(task, 1, error.message);
}

/* args[0]: many bytes, args[1]: how many, args[2]: first and last of them. */
int look_at_both_ends(const parloom_task *, void *const *args)
{
    const auto *data = static_cast<const char *>(args[0]);
    char *ends = static_cast<char *>(args[2]);
    ends[0] = data[0];
    ends[1] = data[*static_cast<const size_t *>(args[1]) - 1];
    return 0;
}

} // namespace

TEST_F(Conformance, K1_05_FiftyTasksThenTheEnd)
{
    std::vector<long> found(50, -1);
    parloom_arg args[] = { contract::out(found) };
    parloom_options opening = on("processes", 5), given = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
    ASSERT_OK(parloom_for(50, square, args, 1, &given, &error));
    parloom_pool_close(given.pool);
    EXPECT_EQ(found, squares(50));
}

TEST_F(Conformance, K1_06_ShutdownLeavesNoWorker)
{
    parloom_report report = empty_report();
    parloom_options given = on("processes", 3);
    given.report = &report;
    EXPECT_OK(parloom_for(3, do_nothing, nullptr, 0, &given, &error));
    EXPECT_EQ(report.workers_started, 3);
    std::set<int> workers = workers_of(on("processes", 3));
    EXPECT_EQ(workers.size(), 3u);
    parloom_shutdown(false);
    for (int pid : workers) EXPECT_TRUE(comes_true([&] { return is_gone(pid); }));
}

TEST_F(Conformance, K1_09_ClosedPoolLeavesNoWorker)
{
    parloom_options opening = on("processes", 5), given = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
    std::set<int> workers = workers_of(given);
    EXPECT_EQ(workers.size(), 5u);
    parloom_pool_close(given.pool);
    for (int pid : workers) EXPECT_TRUE(comes_true([&] { return is_gone(pid); }));
}

TEST_F(Conformance, K1_14_ShutdownKillsNestedWorkers)
{
    Shared<tree> tree;
    parloom_arg args[] = { parloom_inout(tree.get(), sizeof *tree.get()) };
    parloom_options given = on("processes");
    std::thread caller([&] {
        EXPECT_EQ(parloom_for(2, sleep_in_depth, args, 1, &given, &error), PARLOOM_ERR_CANCELLED) << error.message;
    });
    EXPECT_TRUE(comes_true([&] { return tree[0].count >= 6; })) << "two, and two below each";
    parloom_shutdown(true);
    caller.join();
    for (const auto &pid : tree[0].pids) EXPECT_TRUE(pid == 0 || comes_true([&] { return is_gone(pid); })) << pid;
}

TEST_F(Conformance, K3_01_TerminatedWorker)
{
    for (const char *backend : process_backends) {
        parloom_options given = on(backend);
        EXPECT_EQ(parloom_for(10, raise_term, nullptr, 0, &given, &error), PARLOOM_ERR_CRASHED) << backend;
        EXPECT_EQ(error.signal, SIGTERM);
        EXPECT_TRUE(says(error, "SIGTERM")) << error.message;
        EXPECT_EQ(squares_by(given, 10, &error), squares(10)) << "the worker was replaced";
    }
}

TEST_F(Conformance, K3_02_WorkerThatExits)
{
    for (const char *backend : process_backends) {
        parloom_options given = on(backend);
        EXPECT_EQ(parloom_for(10, exit_42, nullptr, 0, &given, &error), PARLOOM_ERR_EXITED) << backend;
        EXPECT_EQ(error.code, 42);
        EXPECT_TRUE(says(error, "42")) << error.message;
    }
}

TEST_F(Conformance, K3_03_CrashNamesItsLine)
{
#ifdef PARLOOM_HAVE_LIBDW
    parloom_options given = on("processes");
    EXPECT_EQ(parloom_for(4, crash_here, nullptr, 0, &given, &error), PARLOOM_ERR_CRASHED);
    EXPECT_TRUE(says(error, "crash_here")) << error.message;
    EXPECT_TRUE(says(error, ("test_k3_workers.cc:" + std::to_string(LINE_OF_CRASH)).c_str())) << error.message;
#else
    GTEST_SKIP() << "lines are told by libdw, which this build has not";
#endif
}

TEST_F(Conformance, K3_04_CauseComesThroughUnchanged)
{
    for (const char *backend : every_backend) {
        parloom_options given = on(backend);
        EXPECT_EQ(parloom_for(2, pass_the_cause_on, nullptr, 0, &given, &error), PARLOOM_ERR_TASK) << backend;
        EXPECT_EQ(error.code, 9);
        EXPECT_TRUE(says(error, CAUSE)) << error.message;
    }
}

TEST_F(Conformance, K3_09_DepthOfNesting)
{
    parloom_options given = on("processes");
    for (int depth : { MAX_DEPTH, MAX_DEPTH + 1 }) {
        parloom_arg args[] = { parloom_in(&depth, sizeof depth) };
        parloom_status status = parloom_for(2, go_down, args, 1, &given, &error);
        EXPECT_EQ(status, depth == MAX_DEPTH ? PARLOOM_OK : PARLOOM_ERR_TASK) << depth << error.message;
    }
    EXPECT_TRUE(says(error, "nested")) << error.message;
}

TEST_F(Conformance, K3_10_VeryLargeArgument)
{
#ifdef LOOM_TEST_SANITIZED
    GTEST_SKIP() << "the shadow of 2.2 GB is too much";
#endif
    size_t nbytes = size_t{ 2200 } << 20;
    if (nbytes / 1024 / 1024 > static_cast<size_t>(sysconf(_SC_AVPHYS_PAGES)) / 256 / 3)
        GTEST_SKIP() << "2.2 GB and a copy of it need more memory than is free here";
    auto *data = static_cast<char *>(calloc(nbytes, 1));
    ASSERT_NE(data, nullptr);
    char ends[2] = {};
    data[0] = 1;
    data[nbytes - 1] = 2;
    parloom_arg args[] = { parloom_in(data, nbytes), parloom_in(&nbytes, sizeof nbytes),
                           parloom_out(ends, sizeof ends) };
    parloom_options given = on("processes");
    EXPECT_OK(parloom_for(2, look_at_both_ends, args, 3, &given, &error));
    EXPECT_EQ(ends[0], 1);
    EXPECT_EQ(ends[1], 2);
    free(data);
}

TEST_F(Conformance, K3_14_ProgramWithThreads)
{
    std::atomic<int> ends{ 0 };
    std::vector<std::thread> threads;
    for (int k = 0; k < 4; k++) /* they hold the lock of malloc now and then: a bare fork would hang */
        threads.emplace_back([&] {
            while (ends == 0) free(malloc(100000));
        });
    for (int round = 0; round < 5; round++) {
        EXPECT_EQ(squares_by(on("processes"), 50, &error), squares(50)) << error.message;
        parloom_shutdown(true);
    }
    parloom_options by_fork = on("fork");
    by_fork.backend_params = nullptr;
    EXPECT_EQ(parloom_for(4, do_nothing, nullptr, 0, &by_fork, &error), PARLOOM_ERR_UNSUPPORTED);
    ends = 1;
    for (std::thread &thread : threads) thread.join();
    EXPECT_TRUE(warnings().empty());
}

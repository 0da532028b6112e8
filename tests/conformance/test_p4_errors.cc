/* SPDX-License-Identifier: BSD-3-Clause */
/* P4: errors, aborting, time limits. */
#include "conformance/conformance.h"

#include <sys/mman.h>

using namespace conformance;

namespace
{

enum { DIVISION = 33, VALUE = 22 };

int divide_by_zero(const parloom_task *task, void *const *)
{
    if (task->index != 3) return 0;
    return parloom_fail(task, DIVISION, "integer division by zero");
}

/* An error with four fields. */
int fail_with_four(const parloom_task *task, void *const *)
{
    return parloom_fail(task, VALUE, "a=%d b=%s c=%.1f d=%zu", 1, "two", 3.0, task->index);
}

__attribute__((noinline)) int crash_in_the_depth(const parloom_task *, void *const *)
{
    *reinterpret_cast<volatile int *>(8) = 1; // NOLINT
    return 0;
}

/* The inner call names its function, this task names itself. */
int call_what_crashes(const parloom_task *task, void *const *)
{
    parloom_error error;
    parloom_options given = on("processes", 2);
    parloom_status status = parloom_for(4, crash_in_the_depth, nullptr, 0, &given, &error);
    return parloom_fail(task, status, "in call_what_crashes: %s", error.message);
}

/* Task 0 runs processes of its own, task 1 fails meanwhile. */
int nest_or_fail(const parloom_task *task, void *const *)
{
    if (task->index != 0) return parloom_fail(task, VALUE, "the sibling fails");
    parloom_options given = on("processes", 2);
    return parloom_for(20, do_nothing, nullptr, 0, &given, nullptr) == PARLOOM_OK ? 0 : 1;
}

int take_a_millisecond(const parloom_task *task, void *const *args)
{
    usleep(1000);
    return square(task, args);
}

/* The first fails when another one has started; the others sleep. args[0]: how many have started. */
int fail_or_sleep(const parloom_task *task, void *const *args)
{
    auto *started = static_cast<std::atomic<int> *>(args[0]);
    started[0]++;
    if (task->index > 0) return sleep_long(task, nullptr);
    if (task->n_jobs > 1) comes_true([&] { return started[0] > 1; });
    return parloom_fail(task, VALUE, "at once");
}

/* Task 5 raises SIGINT where it runs: in its worker, or in the program. */
int interrupt_at_five(const parloom_task *task, void *const *)
{
    if (task->index == 5) raise(SIGINT);
    return 0;
}

} // namespace

TEST_F(Conformance, P4_01_ErrorKeepsItsCode)
{
    for (const char *backend : every_backend) {
        parloom_options given = on(backend);
        EXPECT_EQ(parloom_for(10, divide_by_zero, nullptr, 0, &given, &error), PARLOOM_ERR_TASK) << backend;
        EXPECT_EQ(error.code, DIVISION);
        EXPECT_EQ(error.task, 3u);
        EXPECT_TRUE(says(error, "integer division by zero")) << error.message;
    }
}

TEST_F(Conformance, P4_03_InterruptInATask)
{
    for (const char *backend : every_backend) {
        parloom_options opening = on(backend), given = PARLOOM_OPTIONS_INIT;
        opening.retries = 3; /* it is no crash */
        ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
        std::set<int> before = workers_of(given);
        ASSERT_OK(parloom_interrupt_begin(&error));
        EXPECT_EQ(parloom_for(20, interrupt_at_five, nullptr, 0, &given, &error), PARLOOM_ERR_CANCELLED) << backend;
        bool is_own_process = is(backend, "processes") || is(backend, "fork");
        EXPECT_TRUE(says(error, is_own_process ? "task 5 was interrupted by SIGINT" : "Ctrl-C")) << error.message;
        if (is_own_process) {
            EXPECT_EQ(error.signal, SIGINT);
            EXPECT_EQ(error.task, 5u);
        }
        EXPECT_EQ(parloom_interrupt_end(false), !is_own_process) << "the program itself was not interrupted";
        EXPECT_EQ(squares_by(given, 50, &error), squares(50)) << backend << ": " << error.message;
        std::set<int> after = workers_of(given);
        EXPECT_EQ(after.size(), before.size()) << backend;
        parloom_pool_close(given.pool);
        after.erase(getpid());
        for (int pid : after) EXPECT_TRUE(comes_true([&] { return is_gone(pid); })) << backend;
    }
}

TEST_F(Conformance, P4_04_ErrorKeepsWhatItCarries)
{
    for (const char *backend : every_backend) {
        parloom_options given = on(backend);
        EXPECT_EQ(parloom_for(3, fail_with_four, nullptr, 0, &given, &error), PARLOOM_ERR_TASK) << backend;
        EXPECT_EQ(error.code, VALUE);
        EXPECT_TRUE(says(error, "a=1 b=two c=3.0 d=0")) << error.message;
    }
}

TEST_F(Conformance, P4_06_NestedErrorNamesBothLevels)
{
    for (const char *backend : process_backends) {
        parloom_options given = on(backend);
        EXPECT_EQ(parloom_for(2, call_what_crashes, nullptr, 0, &given, &error), PARLOOM_ERR_TASK) << backend;
        EXPECT_TRUE(says(error, "call_what_crashes")) << error.message;
        EXPECT_TRUE(says(error, "crash_in_the_depth")) << error.message;
        EXPECT_TRUE(says(error, "SIGSEGV")) << error.message;
    }
}

TEST_F(Conformance, P4_07_NestedPoolBesideAFailure)
{
    for (const char *backend : process_backends) {
        parloom_options given = on(backend);
        EXPECT_EQ(parloom_for(2, nest_or_fail, nullptr, 0, &given, &error), PARLOOM_ERR_TASK) << backend;
        EXPECT_EQ(error.code, VALUE) << error.message;
    }
}

TEST_F(Conformance, P4_08_FunctionThatWorkersCannotReach)
{
    void *code = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(code, MAP_FAILED);
    parloom_body body;
    memcpy(&body, &code, sizeof body);
    parloom_options given = on("processes");
    EXPECT_EQ(parloom_for(4, body, nullptr, 0, &given, &error), PARLOOM_ERR_FUNCTION);
    EXPECT_TRUE(says(error, "parloom_code_publish")) << error.message;
    munmap(code, 4096);
}

TEST_F(Conformance, P4_09_LimitThatIsNotReached)
{
    for (const char *backend : parallel_backends) {
        parloom_options given = on(backend);
        given.timeout = 30;
        std::vector<long> found(10, -1);
        parloom_arg args[] = { contract::out(found) };
        EXPECT_OK(parloom_for(10, take_a_millisecond, args, 1, &given, &error)) << backend;
        EXPECT_EQ(found, squares(10)) << backend;
    }
}

TEST_F(Conformance, P4_10_LimitThatIsReached)
{
    for (const char *backend : parallel_backends) {
        parloom_options given = on(backend);
        given.timeout = 0.01;
        EXPECT_EQ(parloom_for(10, sleep_long, nullptr, 0, &given, &error), PARLOOM_ERR_TIMEOUT) << backend;
    }
}

TEST_F(Conformance, P4_12_FailureEndsTheCall)
{
    for (const char *backend : every_backend)
        for (int n_jobs : { 1, 2, -2, -1 }) {
            Shared<std::atomic<int>> started(1);
            parloom_arg args[] = { parloom_inout(started.get(), sizeof(int)) };
            std::vector<parloom_status> statuses(101, PARLOOM_ERR_INTERNAL);
            parloom_options given = on(backend, n_jobs);
            given.statuses = statuses.data();
            given.n_statuses = statuses.size();
            given.batch_size = 1;
            EXPECT_EQ(parloom_for(101, fail_or_sleep, args, 1, &given, &error), PARLOOM_ERR_TASK) << backend;
            EXPECT_EQ(error.task, 0u);
            EXPECT_EQ(error.code, VALUE);
            EXPECT_LE(started[0], 8) << backend << ": nothing more is started";
            EXPECT_EQ(statuses[100], PARLOOM_ERR_CANCELLED) << backend;
        }
}

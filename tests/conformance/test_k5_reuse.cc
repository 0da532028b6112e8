/* SPDX-License-Identifier: BSD-3-Clause */
/* K5: shared workers, used again, grown, shrunk and replaced. */
#include "conformance/conformance.h"

using namespace conformance;

namespace
{

int prepared_with = -1;

int prepare(void *state)
{
    prepared_with = *static_cast<int *>(state);
    return prepared_with == 13 ? 5 : 0; /* a start that fails */
}

/* args[0]: what the worker should have been prepared with. */
int check_preparation(const parloom_task *task, void *const *args)
{
    int wanted = *static_cast<const int *>(args[0]);
    return prepared_with == wanted ? 0 : parloom_fail(task, 1, "%d, not %d", prepared_with, wanted);
}

/* args[0]: text, the value that LOOM_TEST_VALUE should have. */
int check_environment(const parloom_task *task, void *const *args)
{
    const char *found = getenv("LOOM_TEST_VALUE"), *wanted = static_cast<const char *>(args[0]);
    bool is_same = found != nullptr && strcmp(found, wanted) == 0;
    return is_same ? 0 : parloom_fail(task, 1, "\"%s\"", found != nullptr ? found : "(none)");
}

int note_preparation(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[0])[task->index] = prepared_with;
    return 0;
}

parloom_options prepared(const int *with, int n_jobs = 2)
{
    parloom_options made = on("processes", n_jobs);
    made.worker_init = prepare;
    made.worker_init_state = with;
    made.worker_init_state_nbytes = sizeof *with;
    return made;
}

int started(parloom_options given, parloom_error *error)
{
    parloom_report report = empty_report();
    given.report = &report;
    EXPECT_EQ(parloom_for(40, do_nothing, nullptr, 0, &given, error), PARLOOM_OK) << error->message;
    return report.workers_started;
}

int take_a_moment(const parloom_task *task, void *const *args)
{
    usleep(500);
    return square(task, args);
}

int call_inside(const parloom_task *, void *const *)
{
    parloom_options given = on("processes");
    return parloom_for(4, do_nothing, nullptr, 0, &given, nullptr) == PARLOOM_OK ? 0 : 1;
}

int fail_inside(const parloom_task *task, void *const *)
{
    parloom_options given = on("processes");
    auto fail = [](const parloom_task *inner, void *const *) { return parloom_fail(inner, 3, "inside"); };
    return parloom_for(4, fail, nullptr, 0, &given, nullptr) == PARLOOM_ERR_TASK ? parloom_fail(task, 4, "outside") : 0;
}

int fail_with_5(const parloom_task *task, void *const *)
{
    return task->index == 2 ? parloom_fail(task, 5, "five") : 0;
}

int read_stdin_in_a_subprocess(const parloom_task *, void *const *)
{
    return std::system("cat >/dev/null") == 0 ? 0 : 1;
}

/* args[0]: how many have come; all of them wait for one another. */
int wait_for_all(const parloom_task *task, void *const *args)
{
    auto *present = static_cast<std::atomic<size_t> *>(args[0]);
    present[0]++;
    return comes_true([&] { return present[0] >= task->count; }, 30) ? 0 : 1;
}

int meet_all(int cpus)
{
    setenv("PARLOOM_MAX_CPU_COUNT", std::to_string(cpus).c_str(), 1);
    if (parloom_cpu_count(false) > cpus) return 2;
    int workers = 2 * cpus + 2;
    Shared<std::atomic<size_t>> present(1);
    parloom_arg args[] = { parloom_inout(present.get(), sizeof(size_t)) };
    parloom_options given = on("processes", workers);
    given.batch_size = 1;
    return parloom_for(static_cast<size_t>(workers), wait_for_all, args, 1, &given, nullptr) == PARLOOM_OK ? 0 : 1;
}

/* Three deep. */
__attribute__((noinline)) int crash_inside(size_t index)
{
    *reinterpret_cast<volatile size_t *>(8) = index; // NOLINT
    return static_cast<int>(index);                  /* a constant would make tail calls of those below */
}

__attribute__((noinline)) int go_inside(size_t index)
{
    return crash_inside(index) + 1;
}

int crash_below(const parloom_task *task, void *const *)
{
    return go_inside(task->index) + 1;
}

/* As a program does that wants no report. */
int set_default_handlers(void *)
{
    for (int number : { SIGSEGV, SIGBUS, SIGABRT }) signal(number, SIG_DFL);
    return 0;
}

/* Runs `count` threads at once. */
void at_once(int count, const std::function<void(int)> &work)
{
    std::vector<std::thread> threads;
    for (int k = 0; k < count; k++) threads.emplace_back(work, k);
    for (std::thread &thread : threads) thread.join();
}

} // namespace

TEST_F(Conformance, K5_02_ManySizesWithWorkInFlight)
{
    for (bool kills : { false, true }) {
        std::atomic<int> ends{ 0 };
        std::thread other([&] {
            while (ends == 0) squares_by(on("processes", 3), 50, nullptr);
        });
        for (int n_jobs : { 12, 2, 1, 12, 6, 1, 8, 5 }) {
            std::vector<long> found(30, -1);
            parloom_arg args[] = { contract::out(found) };
            parloom_options given = on("processes", n_jobs);
            EXPECT_OK(parloom_for(30, take_a_moment, args, 1, &given, &error)) << n_jobs;
            EXPECT_EQ(found, squares(30));
            if (kills) parloom_shutdown(true); /* the other thread's calls are cancelled */
        }
        ends = 1;
        other.join();
    }
}

TEST_F(Conformance, K5_03_WorkerKilledAfterItWasAdded)
{
    EXPECT_EQ(workers_of(on("processes", 1)), std::set<int>{ getpid() });
    std::set<int> two = workers_of(on("processes", 2)), three = workers_of(on("processes", 3));
    ASSERT_EQ(three.size(), 3u);
    for (int pid : three)
        if (two.count(pid) == 0) kill(pid, SIGKILL);
    EXPECT_EQ(squares_by(on("processes", 3), 43, &error), squares(43)) << error.message;
}

TEST_F(Conformance, K5_05_NumbersOfWorkers)
{
    parloom_options given = PARLOOM_OPTIONS_INIT;
    for (const char *text : { "0", "none", "" })
        EXPECT_EQ(parloom_options_set(&given, "n_jobs", text, &error), PARLOOM_ERR_INVALID) << text;
    ASSERT_OK(parloom_options_set(&given, "n_jobs", "-1", &error));
    EXPECT_EQ(parloom_effective_n_jobs(given.n_jobs), parloom_cpu_count(false));
    EXPECT_EQ(squares_by(given, 10, &error), squares(10)) << error.message;
}

TEST_F(Conformance, K5_06_ForkOfAProgramWithThreadsIsRefused)
{
    std::atomic<int> ends{ 0 };
    std::thread other([&] {
        while (ends == 0) usleep(1000);
    });
    parloom_report report = empty_report();
    parloom_options given = on("fork");
    given.backend_params = nullptr;
    given.report = &report;
    EXPECT_EQ(parloom_for(4, do_nothing, nullptr, 0, &given, &error), PARLOOM_ERR_UNSUPPORTED);
    EXPECT_EQ(report.workers_started, 0);
    EXPECT_TRUE(says(error, "thread")) << error.message;
    ends = 1;
    other.join();
}

TEST_F(Conformance, K5_07_StartMethodByName)
{
    EXPECT_EQ(started(on("processes"), &error), 2);
    EXPECT_EQ(started(on("processes"), &error), 0) << "used again";
    EXPECT_EQ(started(on("fork"), &error), 2);
    EXPECT_EQ(started(on("fork"), &error), 2) << "for each call";
    parloom_options given = on("bad_start_method");
    EXPECT_EQ(parloom_for(4, do_nothing, nullptr, 0, &given, &error), PARLOOM_ERR_INVALID);
    EXPECT_TRUE(says(error, "bad_start_method")) << error.message;
}

TEST_F(Conformance, K5_09_WorkersAreUsedAgainUntilShutdown)
{
    EXPECT_EQ(started(on("processes"), &error), 2);
    EXPECT_EQ(started(on("processes"), &error), 0);
    parloom_shutdown(true);
    EXPECT_EQ(started(on("processes"), &error), 2);
}

TEST_F(Conformance, K5_12_NestedWorkersDoNotKeepTheProgram)
{
    Ended ended = run_program([] {
        parloom_options given = on("processes");
        return parloom_for(4, call_inside, nullptr, 0, &given, nullptr) == PARLOOM_OK ? 0 : 1;
    });
    EXPECT_TRUE(ended.is_ok()) << ended.code();
    EXPECT_EQ(ended.err, "");
}

TEST_F(Conformance, K5_13_OneSetOfStatuses)
{
    for (const char *backend : every_backend) {
        parloom_options given = on(backend);
        EXPECT_EQ(parloom_for(4, fail_with_5, nullptr, 0, &given, &error), PARLOOM_ERR_TASK) << backend;
        EXPECT_EQ(error.status, PARLOOM_ERR_TASK);
        EXPECT_EQ(error.code, 5);
        EXPECT_EQ(error.task, 2u);
        EXPECT_STREQ(parloom_status_name(error.status), "PARLOOM_ERR_TASK");
    }
}

TEST_F(Conformance, K5_14_ManyThreadsAtOnce)
{
    for (bool varies : { false, true })
        for (int broken : { 0, 13 }) {
            at_once(10, [&](int who) {
                parloom_error failure;
                int with = who == 0 && broken != 0 ? broken : 1;
                parloom_options given = prepared(&with, varies ? 2 + who % 3 : 2);
                if (with == 13) {
                    EXPECT_EQ(parloom_for(4, do_nothing, nullptr, 0, &given, &failure), PARLOOM_ERR_CALLBACK);
                    return;
                }
                for (int call = 0; call < 3; call++)
                    EXPECT_EQ(squares_by(given, 30, &failure), squares(30)) << failure.message;
            });
            parloom_shutdown(false);
        }
}

TEST_F(Conformance, K5_15_CallsDuringReplacement)
{
    std::atomic<int> ends{ 0 };
    std::thread replacer([&] {
        while (ends == 0) parloom_shutdown(false);
    });
    at_once(2, [&](int) {
        parloom_error failure;
        for (int call = 0; call < 20; call++)
            EXPECT_EQ(squares_by(on("processes"), 20, &failure), squares(20)) << failure.message;
    });
    ends = 1;
    replacer.join();
}

/* Calls at the same time, each with an environment and a state of its own; then the program's own changes. */
TEST_F(Conformance, K5_16_CallsWithSurroundingsOfTheirOwn)
{
    at_once(20, [&](int who) {
        parloom_error failure;
        int with = 100 + who;
        std::string value = "value " + std::to_string(who), variables = "LOOM_TEST_VALUE=" + value;
        parloom_options given = prepared(&with);
        parloom_arg args[] = { parloom_in(&with, sizeof with) };
        parloom_arg values[] = { parloom_in(value.c_str(), value.size() + 1) };
        given.worker_environment = variables.c_str();
        EXPECT_EQ(parloom_for(10, check_preparation, args, 1, &given, &failure), PARLOOM_OK) << failure.message;
        EXPECT_EQ(parloom_for(10, check_environment, values, 1, &given, &failure), PARLOOM_OK) << failure.message;
    });
    for (int call = 0; call < 20; call++) {
        std::string value = "value " + std::to_string(call);
        parloom_arg args[] = { parloom_in(value.c_str(), value.size() + 1) };
        parloom_options given = on("processes");
        ASSERT_EQ(setenv("LOOM_TEST_VALUE", value.c_str(), 1), 0);
        EXPECT_OK(parloom_for(10, check_environment, args, 1, &given, &error)) << call;
    }
    unsetenv("LOOM_TEST_VALUE");
}

TEST_F(Conformance, K5_18_SubprocessOfAWorkerReadsStdin)
{
    for (const char *backend : process_backends) {
        parloom_options given = on(backend);
        given.timeout = 30;
        Ended ended = run_program([&] {
            close(0);
            return parloom_for(2, read_stdin_in_a_subprocess, nullptr, 0, &given, nullptr) == PARLOOM_OK ? 0 : 1;
        });
        EXPECT_TRUE(is(backend, "fork") || ended.is_ok()) << "without a stdin of its own: " << ended.err;
        EXPECT_OK(parloom_for(2, read_stdin_in_a_subprocess, nullptr, 0, &given, &error)) << backend;
    }
}

TEST_F(Conformance, K5_20_MoreWorkersThanCoresRunAtOnce)
{
    for (int cpus : { 1, 2, 4 }) EXPECT_EQ(run_program([cpus] { return meet_all(cpus); }).code(), 0) << cpus;
}

TEST_F(Conformance, K5_21_InitDecidesWhetherWorkersAreReplaced)
{
    int one = 1, two = 2;
    std::vector<int> found(40);
    parloom_arg args[] = { contract::out(found) };
    EXPECT_EQ(started(prepared(&one), &error), 2);
    EXPECT_EQ(started(prepared(&one), &error), 0);
    EXPECT_EQ(started(prepared(&two), &error), 2) << "with another state";
    parloom_options plain = on("processes");
    EXPECT_OK(parloom_for(40, note_preparation, args, 1, &plain, &error));
    EXPECT_EQ(found, std::vector<int>(40, -1)) << "without one";
}

TEST_F(Conformance, K5_22_FailureInANestedCallIsSilent)
{
    Ended ended = run_program([] {
        parloom_options given = on("processes");
        parloom_error error;
        parloom_status status = parloom_for(4, fail_inside, nullptr, 0, &given, &error);
        return status == PARLOOM_ERR_TASK && error.code == 4 ? 0 : 1;
    });
    EXPECT_TRUE(ended.is_ok()) << ended.code();
    EXPECT_EQ(ended.err, "");
    EXPECT_EQ(ended.out, "");
}

TEST_F(Conformance, K5_23_ManyWorkers)
{
    std::set<int> many = workers_of(on("processes", 62), 62);
    EXPECT_EQ(many.size(), 62u);
    for (int pid : workers_of(on("processes", 2))) EXPECT_EQ(many.count(pid), 1u) << "fewer: the same ones";
    EXPECT_TRUE(warnings().empty());
}

/* The stack is in the error, where the program can read it, and not in what the worker prints. */
TEST_F(Conformance, K5_19_StackOfACrash)
{
#ifdef PARLOOM_HAVE_LIBDW
    for (const char *backend : process_backends) {
        parloom_options given = on(backend);
        EXPECT_EQ(parloom_for(4, crash_below, nullptr, 0, &given, &error), PARLOOM_ERR_CRASHED) << backend;
        std::string told = error.message;
        size_t crash = told.find("crash_inside"), called = told.find(", called from "), caller = told.find("go_inside"),
               body = told.find("crash_below"), running = told.find(", running ");
        EXPECT_TRUE(crash < called && called < caller && caller < body && body < running) << backend << ": " << told;
        EXPECT_EQ(told.find("shift.c"), std::string::npos) << "who calls bodies is no news: " << told;
        given.worker_init = set_default_handlers;
        EXPECT_EQ(parloom_for(4, crash_below, nullptr, 0, &given, &error), PARLOOM_ERR_CRASHED) << backend;
        EXPECT_TRUE(says(error, "SIGSEGV")) << error.message;
        EXPECT_FALSE(says(error, "called from")) << "switched off: " << error.message;
    }
#else
    GTEST_SKIP() << "functions are named by libdw, which this build has not";
#endif
}

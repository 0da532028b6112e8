/* SPDX-License-Identifier: BSD-3-Clause */
/* P1: running, results, options. */
#include "conformance/conformance.h"

#include <pthread.h>

using namespace conformance;

namespace
{

const size_t FIVE = 5;

/* What a Python function would take as positional and keyword arguments. */
struct power_args {
    long base, exponent, offset;
};
const power_args defaults = { 0, 2, 0 };

/* args[0]: power_args, args[1]: the result. */
int raise_to_power(const parloom_task *, void *const *args)
{
    const auto *given = static_cast<const power_args *>(args[0]);
    long value = 1;
    for (long k = 0; k < given->exponent; k++) value *= given->base;
    *static_cast<long *>(args[1]) = value + given->offset;
    return 0;
}

/* In the caller's memory. */
struct queue {
    std::atomic<size_t> length;
    size_t items[FIVE];
};

int put(const parloom_task *task, void *const *args)
{
    auto *queue = static_cast<struct queue *>(args[0]);
    size_t place = queue->length.fetch_add(1);
    if (place >= FIVE) return parloom_fail(task, 1, "the queue is full");
    queue->items[place] = task->index;
    return 0;
}

bool refuses(parloom_options *options, const char *name, const char *value, const char *text, parloom_error *error)
{
    return parloom_options_set(options, name, value, error) == PARLOOM_ERR_INVALID && says(*error, text);
}

} // namespace

TEST_F(Conformance, P1_01_CpuCountIsPositive)
{
    EXPECT_GT(parloom_cpu_count(false), 0);
}

TEST_F(Conformance, P1_03_EffectiveNJobsUnset)
{
    EXPECT_EQ(parloom_effective_n_jobs(0), 1);
    const int given[] = { 3, -1, 0 }, expected[] = { 3, parloom_cpu_count(false), 1 };
    for (int k = 0; k < 3; k++) {
        parloom_options scope = PARLOOM_OPTIONS_INIT;
        scope.n_jobs = given[k];
        ASSERT_OK(parloom_scope_begin(&scope, &error));
        EXPECT_EQ(parloom_effective_n_jobs(0), expected[k]);
        parloom_scope_end();
    }
    EXPECT_EQ(parloom_effective_n_jobs(0), 1);
}

TEST_F(Conformance, P1_04_SimpleParallel)
{
    for (const char *backend : { "fork", "processes", "sequential", "threads", static_cast<const char *>(nullptr) })
        for (int n_jobs : { 1, 2, -1, -2 })
            for (int verbose : { 2, 11, 100 }) {
                parloom_options given = on(backend, n_jobs);
                given.verbose = verbose;
                EXPECT_EQ(squares_by(given, FIVE, &error), squares(FIVE)) << error.message;
            }
    for (const char *backend : every_backend) { /* by instance: a pool is one */
        parloom_options opening = on(backend), given = PARLOOM_OPTIONS_INIT;
        ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
        EXPECT_EQ(squares_by(given, FIVE, &error), squares(FIVE)) << error.message;
        parloom_pool_close(given.pool);
    }
}

TEST_F(Conformance, P1_06_RenamedMainThread)
{
    char name[16] = "";
    ASSERT_EQ(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    ASSERT_EQ(pthread_setname_np(pthread_self(), "some_new_name"), 0);
    for (const char *backend : every_backend)
        EXPECT_EQ(squares_by(on(backend), FIVE, &error), squares(FIVE)) << error.message;
    EXPECT_TRUE(warnings().empty());
    pthread_setname_np(pthread_self(), name);
}

TEST_F(Conformance, P1_07_ArgumentsAndDefaults)
{
    for (const char *backend : every_backend)
        for (int n_jobs : { 1, 2, 3 }) {
            const size_t n = 10;
            power_args given[n];
            long results[n] = {};
            parloom_arg args[n][2];
            parloom_call calls[n];
            for (size_t i = 0; i < n; i++) {
                given[i] = defaults;
                given[i].base = static_cast<long>(i);
                if (i % 2 == 1) given[i].offset = 100;
                args[i][0] = parloom_in(&given[i], sizeof given[i]);
                args[i][1] = parloom_out(&results[i], sizeof results[i]);
                calls[i] = { raise_to_power, args[i], 2 };
            }
            parloom_options options = on(backend, n_jobs);
            ASSERT_OK(parloom_run(calls, n, &options, &error)) << backend;
            for (size_t i = 0; i < n; i++)
                EXPECT_EQ(results[i], static_cast<long>(i * i + (i % 2) * 100)) << backend << n_jobs;
        }
}

TEST_F(Conformance, P1_08_NothingToDo)
{
    for (const char *backend : every_backend) {
        parloom_report report = empty_report();
        parloom_options given = on(backend);
        given.report = &report;
        EXPECT_OK(parloom_for(0, do_nothing, nullptr, 0, &given, &error));
        EXPECT_EQ(report.tasks, 0u);
        EXPECT_EQ(report.workers_started, 0);
        EXPECT_OK(parloom_for_range(0, do_nothing, nullptr, 0, &given, &error));
        EXPECT_OK(parloom_run(nullptr, 0, &given, &error));
        EXPECT_EQ(report.workers_started, 0);
    }
}

TEST_F(Conformance, P1_10_ThreadsSeeTheCallersObject)
{
    struct queue queue = {};
    parloom_arg args[] = { parloom_inout(&queue, sizeof queue) };
    parloom_options given = on("threads");
    ASSERT_OK(parloom_for(FIVE, put, args, 1, &given, &error));
    EXPECT_EQ(queue.length, FIVE);
    EXPECT_EQ(std::set<size_t>(queue.items, queue.items + FIVE).size(), FIVE);
    EXPECT_EQ(parloom_for(1, put, args, 1, &given, &error), PARLOOM_ERR_TASK) << "it is full now";
}

TEST_F(Conformance, P1_11_ZeroJobsHaveNoMeaning)
{
    for (const char *backend : every_backend) {
        parloom_options given = on(backend, 2);
        EXPECT_TRUE(refuses(&given, "n_jobs", "0", "has no meaning", &error)) << error.message;
        EXPECT_TRUE(refuses(&given, "n_jobs", "0.5", "0.5", &error)) << error.message;
        EXPECT_EQ(given.n_jobs, 2);
    }
}

TEST_F(Conformance, P1_12_TextThatIsNoNumberOfJobs)
{
    parloom_options given = PARLOOM_OPTIONS_INIT;
    for (const char *text : { "2.3", "invalid_str", "", " 2", "2 " })
        EXPECT_TRUE(refuses(&given, "n_jobs", text, "n_jobs", &error)) << text << ": " << error.message;
    EXPECT_EQ(given.n_jobs, 0);
}

TEST_F(Conformance, P1_13_TextThatIsANumberOfJobs)
{
    parloom_options given = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_options_set(&given, "n_jobs", "2", &error));
    EXPECT_EQ(given.n_jobs, 2);
    EXPECT_EQ(parloom_effective_n_jobs(given.n_jobs), 2);
    EXPECT_EQ(squares_by(given, FIVE, &error), squares(FIVE));
    EXPECT_EQ(parloom_options_set(&given, "n_jobs", "2.3", &error), PARLOOM_ERR_INVALID);
}

TEST_F(Conformance, P1_14_BatchSizesThatMakeNoSense)
{
    parloom_options given = PARLOOM_OPTIONS_INIT;
    for (const char *text : { "0", "-1", "1.42" })
        EXPECT_TRUE(refuses(&given, "batch_size", text, "batch_size", &error)) << text << ": " << error.message;
    EXPECT_EQ(given.batch_size, 0u);
}

TEST_F(Conformance, P1_15_LimitsOfOneJob)
{
    for (const char *backend : process_backends) {
        parloom_options given = on(backend, 1);
        given.timeout = 100;
        std::set<int> workers = workers_of(given, 3);
        EXPECT_EQ(workers.size(), 1u) << backend;
        EXPECT_EQ(workers.count(static_cast<int>(getpid())), 0u) << "a limit needs a worker that can be killed";
    }
    for (const char *backend : { "sequential", "threads" }) {
        parloom_options given = on(backend, 1);
        given.task_timeout = 100;
        EXPECT_EQ(parloom_for(3, do_nothing, nullptr, 0, &given, &error), PARLOOM_ERR_UNSUPPORTED);
        EXPECT_TRUE(says(error, backend)) << error.message;
        EXPECT_TRUE(says(error, "100")) << error.message;
    }
}

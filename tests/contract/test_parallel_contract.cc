/* SPDX-License-Identifier: BSD-3-Clause */
/* What loops, ranges and lists promise on every backend: coverage, order, batches, what a body is told. */
#include "contract/places.h"

#include <unistd.h>

using namespace contract;

namespace
{

int square(const parloom_task *task, void *const *args)
{
    static_cast<uint64_t *>(args[0])[task->index] += static_cast<uint64_t>(task->index) * task->index;
    return 0;
}

int count_range(const parloom_task *task, void *const *args)
{
    auto *counts = static_cast<unsigned char *>(args[0]);
    for (size_t i = task->begin; i < task->end; i++) counts[i]++;
    return task->begin < task->end && task->index == task->begin && task->end <= task->count ? 0 : 7;
}

int check_cut(const parloom_task *task, void *const *args)
{
    size_t batch = *static_cast<const size_t *>(args[1]);
    if (task->begin / batch != (task->end - 1) / batch)
        return parloom_fail(task, 1, "range %zu to %zu crosses a multiple of %zu", task->begin, task->end, batch);
    return count_range(task, args);
}

int note_worker(const parloom_task *task, void *const *args)
{
    for (size_t i = task->begin; i < task->end; i++) static_cast<int *>(args[0])[i] = task->worker;
    return 0;
}

struct told {
    parloom_task task;
    char backend[32];
    int pid;
};

int note_task(const parloom_task *task, void *const *args)
{
    auto *told = static_cast<struct told *>(args[0]);
    told->task = *task;
    strncpy(told->backend, task->backend, sizeof told->backend - 1);
    told->pid = static_cast<int>(getpid());
    return 0;
}

int add_args(const parloom_task *, void *const *args)
{
    *static_cast<long *>(args[2]) = *static_cast<const long *>(args[0]) + *static_cast<const long *>(args[1]);
    return 0;
}

int negate(const parloom_task *, void *const *args)
{
    *static_cast<long *>(args[1]) = -*static_cast<const long *>(args[0]);
    return 0;
}

int no_arguments(const parloom_task *, void *const *)
{
    return 0;
}

} // namespace

class Loop : public Placed
{
};
INSTANTIATE_TEST_SUITE_P(On, Loop, ::testing::ValuesIn(every_place), name_of);

TEST_P(Loop, RunsEachIndexOnce)
{
    for (size_t n : { size_t{ 1 }, size_t{ 2 }, size_t{ 97 }, size_t{ 70001 } }) {
        std::vector<uint64_t> squares(n);
        parloom_arg args[] = { inout(squares) };
        parloom_options given = options();
        ASSERT_OK(parloom_for(n, square, args, 1, &given, &error));
        for (size_t i = 0; i < n; i++) ASSERT_EQ(squares[i], uint64_t{ i } * i);
    }
}

TEST_P(Loop, RunsEachIndexOnceForAnyBatchSize)
{
    for (size_t batch : { size_t{ 1 }, size_t{ 7 }, size_t{ 500 }, size_t{ 100000 } }) {
        std::vector<uint64_t> squares(1000);
        parloom_arg args[] = { inout(squares) };
        parloom_options given = options();
        given.batch_size = batch;
        ASSERT_OK(parloom_for(squares.size(), square, args, 1, &given, &error));
        for (size_t i = 0; i < squares.size(); i++) ASSERT_EQ(squares[i], uint64_t{ i } * i);
    }
}

TEST_P(Loop, OfRangesCoversEachIndexOnce)
{
    for (size_t n : { size_t{ 1 }, size_t{ 3 }, size_t{ 1000 }, size_t{ 300007 } }) {
        std::vector<unsigned char> counts(n);
        parloom_arg args[] = { inout(counts) };
        parloom_options given = options();
        ASSERT_OK(parloom_for_range(n, count_range, args, 1, &given, &error));
        ASSERT_EQ(counts, std::vector<unsigned char>(n, 1));
    }
}

TEST_P(Loop, CutsNoRangeAcrossAMultipleOfBatchSize)
{
    for (size_t batch : { size_t{ 1 }, size_t{ 10 }, size_t{ 333 }, size_t{ 5000 } }) {
        std::vector<unsigned char> counts(2000);
        parloom_arg args[] = { inout(counts), parloom_in(&batch, sizeof batch) };
        parloom_options given = options();
        given.batch_size = batch;
        ASSERT_OK(parloom_for_range(counts.size(), check_cut, args, 2, &given, &error));
        ASSERT_EQ(counts, std::vector<unsigned char>(counts.size(), 1));
    }
}

TEST_P(Loop, GivesBatchKToWorkerKModuloJobsWhenStatic)
{
    enum { TASKS = 101, BATCH = 5 };
    std::vector<int> workers(TASKS, -1);
    parloom_arg args[] = { out(workers) };
    parloom_options given = options();
    given.batch_size = BATCH;
    given.schedule = PARLOOM_SCHEDULE_STATIC;
    for (int call = 0; call < 3; call++) {
        workers.assign(TASKS, -1);
        ASSERT_OK(parloom_for_range(TASKS, note_worker, args, 1, &given, &error));
        for (int i = 0; i < TASKS; i++) ASSERT_EQ(workers[static_cast<size_t>(i)], i / BATCH % given.n_jobs) << i;
    }
}

TEST_P(Loop, GivesTheSameRowsToTheSameWorkerWhenStaticWithoutBatches)
{
    std::vector<int> first(64, -1), second(64, -1);
    parloom_options given = options();
    given.schedule = PARLOOM_SCHEDULE_STATIC;
    parloom_arg into_first[] = { out(first) }, into_second[] = { out(second) };
    ASSERT_OK(parloom_for(first.size(), note_worker, into_first, 1, &given, &error));
    ASSERT_OK(parloom_for(second.size(), note_worker, into_second, 1, &given, &error));
    EXPECT_EQ(first, second);
    for (int worker : first) EXPECT_TRUE(worker >= 0 && worker < given.n_jobs);
}

TEST_P(Loop, TellsABodyWhatItsTaskIs)
{
    std::vector<told> seen(40);
    parloom_arg args[] = { each_out(seen) };
    parloom_options given = options();
    ASSERT_OK(parloom_for(seen.size(), note_task, args, 1, &given, &error));
    for (size_t i = 0; i < seen.size(); i++) {
        const parloom_task &task = seen[i].task;
        EXPECT_EQ(task.index, i);
        EXPECT_EQ(task.begin, i);
        EXPECT_EQ(task.end, i + 1);
        EXPECT_EQ(task.count, seen.size());
        EXPECT_TRUE(task.worker >= 0 && task.worker < task.n_jobs) << task.worker;
        EXPECT_EQ(task.n_jobs, given.n_jobs);
        EXPECT_EQ(task.attempt, 0);
        EXPECT_EQ(task.level, 0);
        EXPECT_STREQ(seen[i].backend, given.n_jobs == 1 ? "sequential" : given.backend);
        EXPECT_EQ(seen[i].pid != getpid(), is_separate());
    }
}

TEST_P(Loop, RunsInTheCallerInOrderWithOneJob)
{
    std::vector<told> seen(5);
    parloom_arg args[] = { each_out(seen) };
    parloom_options given = options();
    given.n_jobs = 1;
    ASSERT_OK(parloom_for(seen.size(), note_task, args, 1, &given, &error));
    for (const told &one : seen) EXPECT_EQ(one.pid, getpid());
}

TEST_P(Loop, OfNothingDoesNothing)
{
    parloom_options given = options();
    parloom_report report = {};
    report.struct_size = sizeof report;
    given.report = &report;
    EXPECT_OK(parloom_for(0, square, nullptr, 0, &given, &error));
    EXPECT_OK(parloom_for_range(0, square, nullptr, 0, &given, &error));
    EXPECT_OK(parloom_run(nullptr, 0, &given, &error));
    EXPECT_EQ(report.tasks, 0u);
    EXPECT_EQ(report.workers_started, 0);
    EXPECT_EQ(error.status, PARLOOM_OK);
}

TEST_P(Loop, NeedsNoArguments)
{
    parloom_options given = options();
    EXPECT_OK(parloom_for(10, no_arguments, nullptr, 0, &given, &error));
}

TEST_P(Loop, RepeatsItselfManyTimes)
{
    std::vector<uint64_t> squares(3);
    parloom_arg args[] = { inout(squares) };
    parloom_options given = options();
    int calls = is("fork") ? 10 : 300;
    for (int call = 0; call < calls; call++) ASSERT_OK(parloom_for(squares.size(), square, args, 1, &given, &error));
    EXPECT_EQ(squares[2], 4u * static_cast<unsigned>(calls));
}

TEST_P(Loop, TakesMoreJobsThanTasks)
{
    std::vector<uint64_t> squares(2);
    parloom_arg args[] = { inout(squares) };
    parloom_options given = options();
    given.n_jobs = is("fork") ? 20 : 200;
    parloom_report report = {};
    report.struct_size = sizeof report;
    given.report = &report;
    EXPECT_OK(parloom_for(squares.size(), square, args, 1, &given, &error));
    EXPECT_EQ(squares[1], 1u);
    EXPECT_LE(report.workers_started, 2);
}

class List : public Placed
{
};
INSTANTIATE_TEST_SUITE_P(On, List, ::testing::ValuesIn(every_place), name_of);

TEST_P(List, RunsUnrelatedCallsWithTheirOwnArguments)
{
    long a = 20, b = 22, sum = 0, minus = 0, other = 0;
    parloom_arg first[] = { parloom_in(&a, sizeof a), parloom_in(&b, sizeof b), parloom_out(&sum, sizeof sum) };
    parloom_arg second[] = { parloom_in(&a, sizeof a), parloom_out(&minus, sizeof minus) };
    parloom_arg third[] = { parloom_in(&b, sizeof b), parloom_out(&other, sizeof other) };
    parloom_call calls[] = {
        { add_args, first, 3 }, { negate, second, 2 }, { negate, third, 2 }, { no_arguments, nullptr, 0 }
    };
    parloom_options given = options();
    ASSERT_OK(parloom_run(calls, 4, &given, &error));
    EXPECT_EQ(sum, 42);
    EXPECT_EQ(minus, -20);
    EXPECT_EQ(other, -22);
}

TEST_P(List, FillsTheOutputsOfManyCalls)
{
    enum { CALLS = 1500 };
    long shared_input = 5;
    std::vector<long> results(CALLS);
    std::vector<parloom_arg> args;
    std::vector<parloom_call> calls;
    args.reserve(2 * CALLS);
    for (size_t k = 0; k < CALLS; k++) {
        args.push_back(parloom_in(&shared_input, sizeof shared_input));
        args.push_back(parloom_out(&results[k], sizeof results[k]));
        calls.push_back({ negate, &args[2 * k], 2 });
    }
    parloom_options given = options();
    ASSERT_OK(parloom_run(calls.data(), calls.size(), &given, &error));
    EXPECT_EQ(results, std::vector<long>(CALLS, -5));
}

TEST_P(List, TakesARangeThatManyCallsShareOnce)
{
    enum { CALLS = 20 };
    std::vector<char> big(3 << 20, 'x');
    std::vector<parloom_arg> args(CALLS, in(big));
    std::vector<parloom_call> calls;
    for (const parloom_arg &arg : args) calls.push_back({ no_arguments, &arg, 1 });
    parloom_report report = {};
    report.struct_size = sizeof report;
    parloom_options given = options();
    given.report = &report;
    ASSERT_OK(parloom_run(calls.data(), calls.size(), &given, &error));
    EXPECT_EQ(report.spilled_nbytes, is("processes") && is_separate() ? big.size() : 0u);
}

TEST_P(List, RefusesElementsAndReductions)
{
    std::vector<long> data(4);
    parloom_arg each[] = { parloom_each(in(data), sizeof(long)) };
    parloom_call call = { no_arguments, each, 1 };
    parloom_options given = options();
    EXPECT_EQ(parloom_run(&call, 1, &given, &error), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("parloom_each");
    EXPECT_SAYS("parloom_run");
}

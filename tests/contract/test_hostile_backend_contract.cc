/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Backends that break the rules: no task is lost, run or counted twice, and the program goes on. What a decent one
 * does: test_custom_backend_contract.
 */
#include "contract/places.h"

#include <parloom/backend.h>

#include <atomic>
#include <climits>
#include <functional>
#include <numeric>
#include <thread>
#include <unistd.h>

using namespace contract;

namespace
{

enum { TASKS = 40, WORKERS = 3 };

using Run = std::function<void(parloom_backend_run *)>;

Run behaviour;
std::atomic<int> started, released;
parloom_backend_run *kept;

void work_as_all(parloom_backend_run *run)
{
    for (int k = 0; k < parloom_backend_workers(run); k++) parloom_backend_work(run, k);
}

parloom_status run_hostile(void *, void *, parloom_backend_run *run, parloom_error *)
{
    kept = run;
    behaviour(run);
    return PARLOOM_OK;
}

void release(void *)
{
    released = 1;
}

parloom_status configure(void *, int, const char *, int *workers_out, const char **, parloom_error *)
{
    *workers_out = WORKERS;
    return PARLOOM_OK;
}

/* args[0]: how often each ran; task 20 fails. */
int count_run(const parloom_task *task, void *const *args)
{
    __atomic_add_fetch(&static_cast<int *>(args[0])[task->index], 1, __ATOMIC_RELAXED);
    return task->index == 20 ? 5 : 0;
}

int wait_for_release(const parloom_task *task, void *const *args)
{
    (void)count_run(task, args);
    started = 1;
    while (!released) usleep(100);
    return 0;
}

/* What one worker does with one chunk of two tasks, to be altered. */
struct Step {
    parloom_backend_run *run;
    parloom_backend_chunk chunk = {};
    parloom_backend_result result = {};

    explicit Step(parloom_backend_run *run, int worker = 0) : run(run)
    {
        EXPECT_TRUE(parloom_backend_next(run, worker, &chunk));
    }
    void execute() { EXPECT_TRUE(parloom_backend_execute(run, 0, &chunk, &result)); }
    parloom_status report(int worker = 0) const { return parloom_backend_report(run, worker, &result); }
};

struct Offence {
    const char *name;
    const char *text;
    Run run;
};

void PrintTo(const Offence &offence, std::ostream *stream)
{
    *stream << offence.name;
}

/* After each of them the others do what is left, as if nothing had been. */
const Offence offences[] = {
    { "Twice", "reported before",
      [](parloom_backend_run *run) {
          Step step(run);
          step.execute();
          EXPECT_EQ(step.report(), PARLOOM_OK);
          EXPECT_EQ(step.report(), PARLOOM_ERR_INVALID);
      } },
    { "FromAnotherWorker", "does not have them",
      [](parloom_backend_run *run) {
          Step step(run);
          step.execute();
          EXPECT_EQ(step.report(1), PARLOOM_ERR_INVALID);
      } },
    { "OfMoreTasks", "does not have them",
      [](parloom_backend_run *run) {
          Step step(run);
          step.execute();
          step.result.end = step.result.failed = TASKS;
          EXPECT_EQ(step.report(), PARLOOM_ERR_INVALID);
      } },
    { "OfFewerTasks", "did not end so",
      [](parloom_backend_run *run) {
          Step step(run);
          step.execute();
          step.result.end = step.result.failed = step.result.begin + 1;
          EXPECT_EQ(step.report(), PARLOOM_ERR_INVALID);
      } },
    { "OfNoTasks", "there are none",
      [](parloom_backend_run *run) {
          Step step(run);
          step.result.begin = step.result.end = SIZE_MAX;
          EXPECT_EQ(step.report(), PARLOOM_ERR_INVALID);
      } },
    { "OfTasksFarAway", "does not have them",
      [](parloom_backend_run *run) {
          Step step(run);
          step.execute();
          step.result.begin += SIZE_MAX / 2;
          step.result.end += SIZE_MAX / 2;
          EXPECT_EQ(step.report(), PARLOOM_ERR_INVALID);
      } },
    { "OfAFailedTaskFarAway", "not among them",
      [](parloom_backend_run *run) {
          Step step(run);
          step.execute();
          step.result.failed = SIZE_MAX;
          EXPECT_EQ(step.report(), PARLOOM_ERR_INVALID);
      } },
    { "OfTasksThatWereNotRun", "were not run",
      [](parloom_backend_run *run) {
          Step step(run);
          step.result.begin = step.chunk.begin;
          step.result.end = step.result.failed = step.chunk.end;
          EXPECT_EQ(step.report(), PARLOOM_ERR_INVALID);
      } },
    { "AsFailedThoughItIsOk", "did not end so",
      [](parloom_backend_run *run) {
          Step step(run);
          step.execute();
          step.result.failed = step.result.begin;
          step.result.status = PARLOOM_ERR_TASK;
          EXPECT_EQ(step.report(), PARLOOM_ERR_INVALID);
      } },
    { "AsNotStartedThoughItRan", "nothing has stopped the call",
      [](parloom_backend_run *run) {
          Step step(run);
          step.execute();
          step.result.failed = step.result.begin;
          step.result.status = PARLOOM_ERR_CANCELLED;
          EXPECT_EQ(step.report(), PARLOOM_ERR_INVALID);
      } },
    { "AsCrashedInTheCallersProcess", "cannot end so",
      [](parloom_backend_run *run) {
          Step step(run);
          step.execute();
          step.result.failed = step.result.begin;
          step.result.status = PARLOOM_ERR_CRASHED;
          EXPECT_EQ(step.report(), PARLOOM_ERR_INVALID);
      } },
    { "WithAStatusThatIsNone", "cannot end so",
      [](parloom_backend_run *run) {
          Step step(run);
          step.execute();
          step.result.failed = step.result.begin;
          step.result.status = static_cast<parloom_status>(12345);
          EXPECT_EQ(step.report(), PARLOOM_ERR_INVALID);
      } },
    { "OfAWorkerThatIsNot", "worker 2147483647, and there are 3",
      [](parloom_backend_run *run) {
          parloom_backend_chunk chunk = { 0, 1 };
          parloom_backend_result result = {};
          for (int worker : { INT_MAX, int{ WORKERS }, -1, INT_MIN }) {
              EXPECT_FALSE(parloom_backend_next(run, worker, &chunk));
              EXPECT_FALSE(parloom_backend_execute(run, worker, &chunk, &result));
              EXPECT_EQ(parloom_backend_report(run, worker, &result), PARLOOM_ERR_INVALID);
          }
      } },
    { "WithoutReportingWhatItTook", "asked for tasks before it had reported",
      [](parloom_backend_run *run) {
          Step step(run);
          EXPECT_FALSE(parloom_backend_next(run, 0, &step.chunk));
      } },
    { "ByRunningAChunkTwice", "has not reported those it ran before",
      [](parloom_backend_run *run) {
          Step step(run);
          parloom_backend_chunk again = step.chunk;
          step.execute();
          EXPECT_FALSE(parloom_backend_execute(run, 0, &again, &step.result));
      } },
    { "ByRunningAChunkTwiceAfterItsReport", "does not have them",
      [](parloom_backend_run *run) {
          Step step(run);
          parloom_backend_chunk again = step.chunk;
          step.execute();
          EXPECT_EQ(step.report(), PARLOOM_OK);
          EXPECT_FALSE(parloom_backend_execute(run, 0, &again, &step.result));
      } },
    { "ByRunningTasksFarAway", "does not have them",
      [](parloom_backend_run *run) {
          Step step(run);
          for (parloom_backend_chunk far :
               { parloom_backend_chunk{ 0, SIZE_MAX }, { SIZE_MAX - 1, SIZE_MAX }, { 9, 3 } })
              EXPECT_FALSE(parloom_backend_execute(run, 0, &far, &step.result));
      } },
    { "ByKeepingAChunk", "were not reported", [](parloom_backend_run *run) { Step step(run, 1); } },
};

} // namespace

class Hostile : public loom::Clean
{
  protected:
    void SetUp() override
    {
        loom::Clean::SetUp();
        parloom_backend_ops ops = {};
        ops.struct_size = sizeof ops;
        ops.abi = PARLOOM_BACKEND_ABI;
        ops.flags = PARLOOM_BACKEND_SHARES_MEMORY;
        ops.configure = configure;
        ops.run = run_hostile;
        ops.wait_end = release;
        ASSERT_OK(parloom_backend_register("hostile", &ops, nullptr, false, &error));
        started = released = 0;
    }
    void TearDown() override
    {
        EXPECT_OK(parloom_backend_unregister("hostile", &error));
        loom::Clean::TearDown();
    }
    parloom_status call(parloom_body body, parloom_schedule schedule = PARLOOM_SCHEDULE_UNSET)
    {
        parloom_options given = PARLOOM_OPTIONS_INIT;
        report = {};
        report.struct_size = sizeof report;
        given.backend = "hostile";
        given.n_jobs = WORKERS;
        given.batch_size = 2;
        given.schedule = schedule;
        given.on_error = PARLOOM_ON_ERROR_GO_ON;
        given.report = &report;
        given.statuses = statuses.data();
        std::fill(statuses.begin(), statuses.end(), PARLOOM_ERR_INTERNAL);
        std::fill(runs.begin(), runs.end(), 0);
        parloom_arg args[] = { parloom_inout(runs.data(), sizeof(int) * TASKS) };
        return parloom_for(TASKS, body, args, 1, &given, &error);
    }
    /* Each task has one status, ran at most once, and is OK only if it ran. */
    void expect_account()
    {
        size_t ok = 0, failed = 0;
        for (size_t k = 0; k < TASKS; k++) {
            ok += statuses[k] == PARLOOM_OK;
            failed += statuses[k] == PARLOOM_ERR_TASK;
            EXPECT_LE(runs[k], 1) << k;
            EXPECT_TRUE(statuses[k] == PARLOOM_ERR_CANCELLED || runs[k] == 1) << k << " " << statuses[k];
        }
        EXPECT_EQ(report.ok, ok);
        EXPECT_EQ(report.failed, failed);
        EXPECT_EQ(report.ok + report.failed + report.cancelled, report.tasks);
    }
    void expect_blamed(const char *text)
    {
        EXPECT_SAYS("the backend \"hostile\" is defective");
        EXPECT_SAYS(text);
        expect_account();
    }
    void expect_next_call_works()
    {
        behaviour = work_as_all;
        EXPECT_EQ(call(count_run), PARLOOM_ERR_TASK) << error.message;
        EXPECT_EQ(report.ok, static_cast<size_t>(TASKS) - 1);
        EXPECT_EQ(std::accumulate(runs.begin(), runs.end(), 0), TASKS);
    }

    std::vector<int> runs = std::vector<int>(TASKS);
    std::vector<parloom_status> statuses = std::vector<parloom_status>(TASKS);
    parloom_report report;
    parloom_error error = {};
};

class Report : public Hostile, public ::testing::WithParamInterface<Offence>
{
};
INSTANTIATE_TEST_SUITE_P(Made, Report, ::testing::ValuesIn(offences),
                         [](const auto &info) { return std::string(info.param.name); });

TEST_P(Report, IsRefusedAndEndsTheCall)
{
    for (parloom_schedule schedule : { PARLOOM_SCHEDULE_UNSET, PARLOOM_SCHEDULE_STATIC }) {
        behaviour = [](parloom_backend_run *run) {
            GetParam().run(run);
            for (int k = 2; k < WORKERS; k++) parloom_backend_work(run, k);
        };
        EXPECT_EQ(call(count_run, schedule), PARLOOM_ERR_INTERNAL);
        expect_blamed(GetParam().text);
    }
    expect_next_call_works();
}

TEST_F(Hostile, ThatDoesNothingLeavesAllTasksCancelled)
{
    behaviour = [](parloom_backend_run *) {};
    EXPECT_EQ(call(count_run), PARLOOM_ERR_INTERNAL);
    expect_blamed("40 of 40 tasks were not reported");
    EXPECT_EQ(report.cancelled, static_cast<size_t>(TASKS));
    expect_next_call_works();
}

TEST_F(Hostile, ThatServesTooFewWorkersIsFoundOutWhereBatchesBelongToThem)
{
    behaviour = [](parloom_backend_run *run) { parloom_backend_work(run, 1); };
    EXPECT_EQ(call(count_run), PARLOOM_ERR_TASK) << "one can do it all";
    EXPECT_EQ(call(count_run, PARLOOM_SCHEDULE_STATIC), PARLOOM_ERR_INTERNAL);
    expect_blamed("tasks were not reported");
    EXPECT_EQ(report.ok + report.failed, 14u) << "batches 1, 4, 7 and so on";
}

TEST_F(Hostile, ThatReturnsWhileTasksRunIsWaitedFor)
{
    std::thread worker;
    behaviour = [&](parloom_backend_run *run) {
        worker = std::thread(parloom_backend_work, run, 0);
        while (!started) std::this_thread::yield();
    };
    EXPECT_EQ(call(wait_for_release), PARLOOM_ERR_INTERNAL);
    EXPECT_EQ(released, 1);
    expect_blamed("its run returned while 1 of its workers still ran tasks");
    worker.join();
    EXPECT_LE(std::accumulate(runs.begin(), runs.end(), 0), 2) << "nothing more was started";
    expect_next_call_works();
}

TEST_F(Hostile, ThatComesBackAfterTheCallIsToldNo)
{
    expect_next_call_works();
    parloom_backend_chunk chunk = { 0, 1 };
    parloom_backend_result result = {};
    EXPECT_EQ(parloom_backend_workers(kept), 0);
    EXPECT_FALSE(parloom_backend_next(kept, 0, &chunk));
    EXPECT_FALSE(parloom_backend_execute(kept, 0, &chunk, &result));
    EXPECT_EQ(parloom_backend_report(kept, 0, &result), PARLOOM_ERR_INVALID);
    parloom_backend_wait(kept);
    parloom_backend_work(kept, 0);
    EXPECT_EQ(parloom_backend_workers(nullptr), 0);
    for (int k = 0; k < 200; k++) expect_next_call_works(); /* handles are used again */
}

TEST_F(Hostile, ThatUsesOneWorkerInTwoThreadsIsRefusedInOne)
{
    behaviour = [](parloom_backend_run *run) {
        parloom_backend_chunk chunk;
        std::thread worker(parloom_backend_work, run, 0);
        while (!started) std::this_thread::yield();
        EXPECT_FALSE(parloom_backend_next(run, 0, &chunk));
        released = 1;
        worker.join();
    };
    EXPECT_EQ(call(wait_for_release), PARLOOM_ERR_INTERNAL);
    expect_blamed("two threads use worker 0 at once");
}

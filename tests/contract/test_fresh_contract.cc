/* SPDX-License-Identifier: BSD-3-Clause */
/* fresh_worker_every: a worker that has run so many tasks is replaced, and nothing of the call is lost by it. */
#include "contract/places.h"

#include <csignal>
#include <map>
#include <unistd.h>
#include <vector>

namespace
{

enum { TASKS = 24 };

int leaked; /* what a task leaves behind in its worker */

struct Seen {
    int pid, before, attempt;
};

int leave_behind(const parloom_task *task, void *const *args)
{
    Seen *seen = static_cast<Seen *>(args[0]);
    for (size_t i = task->begin; i < task->end; i++) {
        parloom_at(task, i);
        seen[i] = { static_cast<int>(getpid()), leaked++, task->attempt };
    }
    return 0;
}

int die_once(const parloom_task *task, void *const *args)
{
    if (task->index % 5 == 2 && task->attempt == 0) raise(SIGKILL);
    return leave_behind(task, args);
}

class Fresh : public contract::Placed
{
  protected:
    parloom_options fresh(int every)
    {
        parloom_options made = options();
        made.fresh_worker_every = every;
        made.report = &report;
        report.struct_size = sizeof report;
        return made;
    }
    std::map<int, int> tasks_by_worker()
    {
        std::map<int, int> found;
        for (int k = 0; k < TASKS; k++) found[seen[k].pid]++;
        return found;
    }
    void expect_at_most(int tasks)
    {
        for (int k = 0; k < TASKS; k++) EXPECT_LT(seen[k].before, tasks) << "task " << k;
        for (const auto &worker : tasks_by_worker()) EXPECT_LE(worker.second, tasks) << "worker " << worker.first;
    }

    contract::Shared<Seen> seen{ TASKS };
    parloom_arg args[1] = { parloom_out(seen.get(), TASKS * sizeof(Seen)) };
    parloom_report report = {};
};

} // namespace

TEST_P(Fresh, WorkerForEachTaskSeesNothingOfTheOthers)
{
    parloom_options given = fresh(1);
    leaked = 0;
    ASSERT_OK(parloom_for(TASKS, leave_behind, args, 1, &given, &error));
    for (int k = 0; k < TASKS; k++) EXPECT_EQ(seen[k].before, 0) << "task " << k;
    EXPECT_EQ(tasks_by_worker().size(), static_cast<size_t>(TASKS));
    EXPECT_EQ(report.ok, static_cast<size_t>(TASKS));
    EXPECT_EQ(report.workers_lost, 0);
    EXPECT_EQ(report.retried, 0u);
}

TEST_P(Fresh, WorkersRunSoManyTasksAndNoMore)
{
    parloom_options given = fresh(3);
    leaked = 0;
    ASSERT_OK(parloom_for(TASKS, leave_behind, args, 1, &given, &error));
    expect_at_most(3);
    EXPECT_EQ(report.workers_lost, 0);
}

TEST_P(Fresh, WorkersAreReplacedWhenABatchHasEnded)
{
    leaked = 0;
    for (size_t batch_size : { 2u, 4u, 100u }) {
        parloom_options given = fresh(3);
        given.batch_size = batch_size;
        ASSERT_OK(parloom_for(TASKS, leave_behind, args, 1, &given, &error));
        expect_at_most(batch_size == 2 ? 4 : batch_size == 4 ? 4 : TASKS);
        ASSERT_OK(parloom_for_range(TASKS, leave_behind, args, 1, &given, &error));
        expect_at_most(batch_size == 2 ? 4 : batch_size == 4 ? 4 : TASKS);
    }
}

TEST_P(Fresh, WorkersOfAPoolAreReplacedAcrossItsCalls)
{
    parloom_pool *pool = nullptr;
    parloom_options opened = options();
    leaked = 0;
    ASSERT_OK(parloom_pool_open(&pool, &opened, &error));
    for (int k = 0; k < 6; k++) {
        parloom_options given = PARLOOM_OPTIONS_INIT;
        given.pool = pool;
        given.fresh_worker_every = 10;
        ASSERT_OK(parloom_for(TASKS, leave_behind, args, 1, &given, &error));
        expect_at_most(10);
    }
    parloom_pool_close(pool);
}

TEST_P(Fresh, WorkersWhoHaveRunTooManyTasksBeforeRunNone)
{
    parloom_options given = fresh(-1);
    leaked = 0;
    ASSERT_OK(parloom_for(TASKS, leave_behind, args, 1, &given, &error));
    given.fresh_worker_every = 1;
    leaked = 0; /* with one job the caller did the work itself, and forked workers inherit what it left */
    ASSERT_OK(parloom_for(TASKS, leave_behind, args, 1, &given, &error));
    for (int k = 0; k < TASKS; k++) EXPECT_EQ(seen[k].before, 0) << "task " << k;
}

TEST_P(Fresh, WorkersDoTheRowsOfAStaticSchedule)
{
    parloom_options given = fresh(2);
    given.schedule = PARLOOM_SCHEDULE_STATIC;
    leaked = 0;
    for (size_t batch_size : { 1u, 2u }) {
        given.batch_size = batch_size;
        for (int k = 0; k < TASKS; k++) seen[k].pid = 0;
        ASSERT_OK(parloom_for(TASKS, leave_behind, args, 1, &given, &error));
        for (int k = 0; k < TASKS; k++) EXPECT_NE(seen[k].pid, 0) << "task " << k;
        /* Looked at after a batch, and one task may be of the call before. */
        expect_at_most(1 + static_cast<int>(batch_size));
    }
}

TEST_P(Fresh, WorkersAndTheDeadAreToldApart)
{
    parloom_options given = fresh(2);
    given.retries = 1;
    leaked = 0;
    ASSERT_OK(parloom_for(TASKS, die_once, args, 1, &given, &error));
    expect_at_most(2);
    int dead = 0;
    for (int k = 0; k < TASKS; k++) {
        EXPECT_EQ(seen[k].attempt, k % 5 == 2 ? 1 : 0);
        dead += k % 5 == 2;
    }
    EXPECT_EQ(report.workers_lost, dead);
    EXPECT_EQ(report.retried, static_cast<size_t>(dead));
    given.retries = 0;
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    EXPECT_EQ(parloom_for(TASKS, die_once, args, 1, &given, &error), PARLOOM_ERR_CRASHED);
    EXPECT_EQ(report.crashed, static_cast<size_t>(dead));
    EXPECT_EQ(report.ok, static_cast<size_t>(TASKS - dead));
}

namespace
{

int count_in_turn(const parloom_task *, void *const *args)
{
    int most = *static_cast<const int *>(args[0]);
    return ++leaked <= most ? 0 : 1;
}

int add_index(const parloom_task *task, void *const *args)
{
    *static_cast<double *>(args[0]) += 1.0 / (1.0 + static_cast<double>(task->index));
    return 0;
}

void add(void *into, const void *from)
{
    *static_cast<double *>(into) += *static_cast<const double *>(from);
}

} // namespace

TEST_P(Fresh, WorkersOfALongLoopAreCountedInTasks)
{
    int most = 60000;
    parloom_options given = fresh(most);
    parloom_arg long_args[] = { parloom_in(&most, sizeof most) };
    leaked = 0;
    ASSERT_OK(parloom_for(300000, count_in_turn, long_args, 1, &given, &error)); /* several tasks to a ticket */
    EXPECT_EQ(report.ok, 300000u);
    EXPECT_GE(report.workers_started, 4);
    most = 2;
    given.fresh_worker_every = 2;
    ASSERT_OK(parloom_for(50, count_in_turn, long_args, 1, &given, &error));
}

TEST_P(Fresh, WorkersGiveTheSameBitsInAReduction)
{
    double sums[2] = { 0, 0 };
    for (int k = 0; k < 2; k++) {
        parloom_options given = k == 0 ? options() : fresh(2);
        parloom_arg sum[] = { parloom_reduce(&sums[k], sizeof sums[k], add) };
        if (k == 0) given.backend = "sequential";
        ASSERT_OK(parloom_for(TASKS, add_index, sum, 1, &given, &error));
    }
    EXPECT_EQ(std::memcmp(&sums[0], &sums[1], sizeof sums[0]), 0);
}

namespace
{

class FreshInTheCaller : public contract::Placed
{
};

} // namespace

TEST_P(FreshInTheCaller, IsRefusedWhereTheCallSaysIt)
{
    contract::Shared<Seen> seen(TASKS);
    parloom_arg args[] = { parloom_out(seen.get(), TASKS * sizeof(Seen)) };
    parloom_options given = options();
    given.fresh_worker_every = 2;
    EXPECT_EQ(parloom_for(TASKS, leave_behind, args, 1, &given, &error), PARLOOM_ERR_UNSUPPORTED);
    EXPECT_SAYS("fresh_worker_every");
    EXPECT_SAYS(GetParam().backend);
    parloom_options scope = PARLOOM_OPTIONS_INIT;
    scope.fresh_worker_every = 2;
    given.fresh_worker_every = 0;
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_OK(parloom_for(TASKS, leave_behind, args, 1, &given, &error));
    parloom_scope_end();
}

static const std::vector<contract::Place> WITH_WORKERS = {
    { "processes", 1 }, { "processes", 2 }, { "processes", 3 }, { "fork", 1 }, { "fork", 2 }
};
INSTANTIATE_TEST_SUITE_P(WithWorkers, Fresh, ::testing::ValuesIn(WITH_WORKERS), contract::name_of);
INSTANTIATE_TEST_SUITE_P(Without, FreshInTheCaller,
                         ::testing::Values(contract::Place{ "threads", 2 }, contract::Place{ "sequential", 1 }),
                         contract::name_of);

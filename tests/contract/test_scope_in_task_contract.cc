/* SPDX-License-Identifier: BSD-3-Clause */
/* Scopes and defaults inside tasks: what was said around a call holds for the calls that its tasks make. */
#include "contract/places.h"

#include <omp.h>
#include <unistd.h>

using namespace contract;

namespace
{

struct seen {
    char backend[16];
    int n_jobs, level;
};

int look(const parloom_task *task, void *const *args)
{
    auto *seen = static_cast<struct seen *>(args[0]);
    strncpy(seen->backend, task->backend, sizeof seen->backend - 1);
    seen->n_jobs = task->n_jobs;
    seen->level = task->level;
    return 0;
}

/* A call of two tasks that names no backend. */
int look_with_two(const parloom_task *, void *const *args)
{
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.n_jobs = 2;
    parloom_arg into[] = { parloom_inout(args[0], sizeof(seen)) };
    auto note = [](const parloom_task *task, void *const *list) -> int {
        return task->index == 0 ? look(task, list) : 0;
    };
    return parloom_for(2, note, into, 1, &given, nullptr);
}

/* args[0]: three of them: what a nested call sees, the same in a scope of the task's own, and after it. */
int look_inside(const parloom_task *task, void *const *args)
{
    auto *found = static_cast<struct seen *>(args[0]);
    memset(found, 0, 3 * sizeof *found);
    parloom_arg into[3][1];
    for (int k = 0; k < 3; k++) into[k][0] = parloom_out(&found[k], sizeof found[k]);
    if (parloom_for(1, look, into[0], 1, nullptr, nullptr) != PARLOOM_OK) return 1;
    parloom_options own = PARLOOM_OPTIONS_INIT;
    own.backend = "sequential";
    own.n_jobs = 1;
    if (parloom_scope_begin(&own, nullptr) != PARLOOM_OK) return 2;
    if (parloom_for(1, look, into[1], 1, nullptr, nullptr) != PARLOOM_OK) return 3;
    parloom_scope_end();
    parloom_scope_end(); /* one too many: those of the caller are not this task's to end */
    if (parloom_for(1, look, into[2], 1, nullptr, nullptr) != PARLOOM_OK) return 4;
    found[2].n_jobs = parloom_effective_n_jobs(0);
    return task->level == 0 ? 0 : 5;
}

/* What calls of a task that say nothing do because a scope around it said so. */
struct carried {
    char spilled_to[64];
    size_t spilled_nbytes;
    int inner_threads, runs_after_failure, lines;
    bool is_kept; /* what a task wrote to its input is not in the caller's bytes */
};

int note_threads(const parloom_task *, void *const *args)
{
    *static_cast<int *>(args[0]) = omp_get_max_threads();
    return 0;
}

int write_input(const parloom_task *, void *const *args)
{
    static_cast<char *>(args[0])[0] = 1;
    return 0;
}

int count_and_fail(const parloom_task *, void *const *args)
{
    __atomic_add_fetch(static_cast<int *>(args[0]), 1, __ATOMIC_RELAXED);
    return 1;
}

void count_line(int, const char *, void *state)
{
    ++*static_cast<int *>(state);
}

int try_scope(const parloom_task *, void *const *args)
{
    auto *seen = static_cast<carried *>(args[0]);
    std::vector<char> bytes(50000);
    int threads = 0, runs = 0;
    parloom_report report = {};
    report.struct_size = sizeof report;
    parloom_options spilling = PARLOOM_OPTIONS_INIT;
    spilling.backend = "processes";
    spilling.n_jobs = 2;
    spilling.report = &report;
    parloom_arg input[] = { in(bytes) }, one[] = { parloom_out(&threads, sizeof threads) },
                counter[] = { parloom_inout(&runs, sizeof runs) };
    if (parloom_for(2, write_input, input, 1, &spilling, nullptr) != PARLOOM_OK) return 1;
    seen->spilled_nbytes = report.spilled_nbytes;
    strncpy(seen->spilled_to, report.spilled_to, sizeof seen->spilled_to - 1);
    seen->is_kept = bytes[0] == 0;
    parloom_set_log(count_line, &seen->lines);
    if (parloom_for(1, note_threads, one, 1, nullptr, nullptr) != PARLOOM_OK) return 2;
    seen->inner_threads = threads;
    parloom_set_log(nullptr, nullptr);
    if (parloom_for(5, count_and_fail, counter, 1, nullptr, nullptr) != PARLOOM_ERR_TASK) return 3;
    seen->runs_after_failure = runs;
    return 0;
}

/* One job is the caller's own, unless isolation is required. */
int look_for_isolation(const parloom_task *, void *const *args)
{
    int pid = 0;
    parloom_options given = PARLOOM_OPTIONS_INIT;
    parloom_arg into[] = { parloom_out(&pid, sizeof pid) };
    auto note_pid = [](const parloom_task *, void *const *list) -> int {
        *static_cast<int *>(list[0]) = static_cast<int>(getpid());
        return 0;
    };
    given.n_jobs = 1;
    if (parloom_for(1, note_pid, into, 1, &given, nullptr) != PARLOOM_OK) return 1;
    *static_cast<int *>(args[0]) = pid != static_cast<int>(getpid());
    return 0;
}

} // namespace

class ScopeInTask : public Placed
{
};
INSTANTIATE_TEST_SUITE_P(On, ScopeInTask, ::testing::ValuesIn(every_place), name_of);

TEST_P(ScopeInTask, HoldsOnEveryBackend)
{
    seen found[3];
    parloom_options scope = PARLOOM_OPTIONS_INIT, call = options();
    scope.backend = "threads";
    scope.n_jobs = 2;
    scope.max_nbytes = 12345;
    scope.temp_folder = "/tmp";
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    parloom_arg args[] = { parloom_out(found, sizeof found) };
    ASSERT_OK(parloom_for(1, look_inside, args, 1, &call, &error));
    EXPECT_EQ(parloom_effective_n_jobs(0), 2) << "the scope is still there";
    parloom_scope_end();
    EXPECT_STREQ(found[0].backend, "threads");
    EXPECT_EQ(found[0].level, 1);
    EXPECT_STREQ(found[1].backend, "sequential");
    EXPECT_STREQ(found[2].backend, "threads");
    EXPECT_EQ(found[2].n_jobs, 2);
}

TEST_P(ScopeInTask, OfTheProcessHoldsOnEveryBackend)
{
    seen found[3];
    parloom_options given = PARLOOM_OPTIONS_INIT, call = options();
    given.backend = "threads";
    given.n_jobs = 2;
    ASSERT_OK(parloom_set_defaults(&given, &error));
    parloom_arg args[] = { parloom_out(found, sizeof found) };
    ASSERT_OK(parloom_for(1, look_inside, args, 1, &call, &error));
    ASSERT_OK(parloom_set_defaults(nullptr, &error));
    EXPECT_STREQ(found[0].backend, "threads");
    EXPECT_EQ(found[2].n_jobs, 2);
    /* Gone afterwards, also in workers that are kept. */
    ASSERT_OK(parloom_for(1, look_inside, args, 1, &call, &error));
    EXPECT_STREQ(found[0].backend, "sequential");
}

TEST_P(ScopeInTask, CarriesWhatItSaysIntoTasks)
{
    carried seen = {};
    parloom_options scope = PARLOOM_OPTIONS_INIT, call = options();
    scope.max_nbytes = 1000;
    scope.temp_folder = "/tmp";
    scope.mmap_mode = PARLOOM_MMAP_C;
    scope.inner_max_num_threads = 5;
    scope.on_error = PARLOOM_ON_ERROR_GO_ON;
    scope.verbose = 1;
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    parloom_arg args[] = { parloom_out(&seen, sizeof seen) };
    EXPECT_OK(parloom_for(1, try_scope, args, 1, &call, &error));
    parloom_scope_end();
    EXPECT_STREQ(seen.spilled_to, "/tmp");
    EXPECT_GE(seen.spilled_nbytes, 50000u);
    EXPECT_TRUE(seen.is_kept);
    EXPECT_EQ(seen.inner_threads, 5);
    EXPECT_EQ(seen.runs_after_failure, 5);
    EXPECT_GE(seen.lines, 1);
}

TEST_P(ScopeInTask, CarriesAConstraintIntoTasks)
{
    int is_isolated = -1;
    parloom_options scope = PARLOOM_OPTIONS_INIT, call = options();
    bool is_isolated_here = is("processes") || is("fork");
    scope.require = is_isolated_here ? PARLOOM_REQUIRE_ISOLATION : PARLOOM_REQUIRE_SHAREDMEM;
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    parloom_arg args[] = { parloom_out(&is_isolated, sizeof is_isolated) };
    EXPECT_OK(parloom_for(1, look_for_isolation, args, 1, &call, &error));
    parloom_scope_end();
    EXPECT_EQ(is_isolated, scope.require == PARLOOM_REQUIRE_ISOLATION);
}

TEST_P(ScopeInTask, CarriesAHintIntoTasks)
{
    if (GetParam().n_jobs > 1) return; /* in a task of a worker, threads are the default anyhow */
    seen found = {};
    parloom_options scope = PARLOOM_OPTIONS_INIT, call = options();
    scope.prefer = PARLOOM_PREFER_THREADS;
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    parloom_arg args[] = { parloom_out(&found, sizeof found) };
    EXPECT_OK(parloom_for(1, look_with_two, args, 1, &call, &error));
    parloom_scope_end();
    EXPECT_STREQ(found.backend, "threads");
}

TEST_P(ScopeInTask, LimitsTheTaskAndNotTheCallsThatItMakesOnThreads)
{
    if (!is("processes") && !is("fork")) return; /* refused: nobody could end the task */
    seen found = {};
    parloom_options scope = PARLOOM_OPTIONS_INIT, call = options();
    scope.task_timeout = 1000;
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    parloom_arg args[] = { parloom_out(&found, sizeof found) };
    EXPECT_OK(parloom_for(1, look_with_two, args, 1, &call, &error));
    parloom_scope_end();
    EXPECT_STREQ(found.backend, "threads");
}

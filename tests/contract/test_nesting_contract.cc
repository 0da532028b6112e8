/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls made inside tasks: who runs them, how deep, and memory that a body allocates. */
#include "contract/places.h"

#include <chrono>
#include <csignal>
#include <unistd.h>

using namespace contract;

namespace
{

struct level {
    char backend[16];
    int level, pid;
};

parloom_options two_jobs(const char *backend)
{
    parloom_options made = PARLOOM_OPTIONS_INIT;
    made.n_jobs = 2;
    made.backend = backend;
    return made;
}

void note(const parloom_task *task, level *into)
{
    strncpy(into->backend, task->backend, sizeof into->backend - 1);
    into->level = task->level;
    into->pid = static_cast<int>(getpid());
}

/* Notes its own level and goes deeper by a call that names no backend, until there are four. */
int go_deeper(const parloom_task *task, void *const *args)
{
    auto *levels = static_cast<level *>(args[0]);
    if (task->index != 0) return 0;
    note(task, &levels[task->level]);
    if (task->level == 3) return 0;
    parloom_options given = two_jobs(nullptr);
    parloom_arg inner[] = { parloom_inout(levels, 4 * sizeof *levels) };
    return parloom_for(2, go_deeper, inner, 1, &given, nullptr);
}

int add_index(const parloom_task *task, void *const *args)
{
    static_cast<long *>(args[0])[task->index] += static_cast<long>(task->index);
    return 0;
}

/* A loop inside each task, over private memory of the task, on the backend named in args[1]. */
int sum_inside(const parloom_task *task, void *const *args)
{
    long parts[10];
    for (long &part : parts) part = static_cast<long>(task->index);
    parloom_options given = two_jobs(static_cast<const char *>(args[1]));
    given.backend_params = strcmp(given.backend, "fork") == 0 ? "force=1" : nullptr;
    parloom_arg inner[] = { parloom_inout(parts, sizeof parts) };
    parloom_error error;
    parloom_status status = parloom_for(10, add_index, inner, 1, &given, &error);
    if (status != PARLOOM_OK) return parloom_fail(task, status, "%s", error.message);
    long sum = 0;
    for (long part : parts) sum += part;
    static_cast<long *>(args[0])[task->index] = sum;
    return 0;
}

int die(const parloom_task *task, void *const *)
{
    if (task->index == 1) raise(SIGKILL);
    return 0;
}

int contain_a_death(const parloom_task *task, void *const *args)
{
    parloom_error error;
    parloom_options given = two_jobs("processes");
    parloom_status status = parloom_for(4, die, nullptr, 0, &given, &error);
    static_cast<int *>(args[0])[task->index] = status == PARLOOM_ERR_CRASHED && error.task == 1;
    return 0;
}

int recurse_for_ever(const parloom_task *task, void *const *args)
{
    parloom_options given = two_jobs("sequential");
    parloom_error error;
    parloom_status status = parloom_for(1, recurse_for_ever, nullptr, 0, &given, &error);
    if (args != nullptr && task->level == 0) return status == PARLOOM_OK ? 1 : 0;
    return status == PARLOOM_OK ? 0 : 1;
}

/* Allocates, uses it in a nested call on processes, and leaves it to the end of the task. */
int allocate_inside(const parloom_task *task, void *const *args)
{
    auto *memory = static_cast<long *>(parloom_alloc(10 * sizeof(long), nullptr));
    if (memory == nullptr || memory[9] != 0 || !parloom_is_shared(memory)) return 1;
    parloom_options given = two_jobs(static_cast<const char *>(args[0]));
    parloom_arg inner[] = { parloom_inout(memory, 10 * sizeof(long)) };
    parloom_error error;
    parloom_status status = parloom_for(10, add_index, inner, 1, &given, &error);
    if (status != PARLOOM_OK) return parloom_fail(task, status, "%s", error.message);
    for (long k = 0; k < 10; k++)
        if (memory[k] != k) return 2;
    return 0;
}

/* 16 MiB in each of many tasks: too much if it stayed. */
int allocate_much(const parloom_task *, void *const *)
{
    auto *memory = static_cast<char *>(parloom_alloc(size_t{ 16 } << 20, nullptr));
    if (memory == nullptr) return 1;
    memory[0] = memory[(16 << 20) - 1] = 1;
    return 0;
}

struct seen {
    char backend[16];
    int n_jobs;
};

int look(const parloom_task *task, void *const *args)
{
    auto *found = static_cast<seen *>(args[0]);
    if (task->index != 0) return 0;
    strncpy(found->backend, task->backend, sizeof found->backend - 1);
    found->n_jobs = task->n_jobs;
    return 0;
}

parloom_status look_with(seen *found, const parloom_options *options)
{
    parloom_arg into[] = { parloom_inout(found, sizeof *found) };
    return parloom_for(4, look, into, 1, options, nullptr);
}

/* By calls that say nothing. */
int look_below(const parloom_task *, void *const *args)
{
    return look_with(static_cast<seen *>(args[0]), nullptr);
}

int look_two_below(const parloom_task *, void *const *args)
{
    auto *found = static_cast<seen *>(args[0]);
    if (look_with(&found[0], nullptr) != PARLOOM_OK) return 1;
    parloom_arg into[] = { parloom_inout(&found[1], 2 * sizeof *found) };
    auto below = [](const parloom_task *task, void *const *list) -> int {
        auto *two = static_cast<seen *>(list[0]);
        if (task->index != 0) return 0;
        parloom_options asking = two_jobs("threads");
        return look_with(&two[0], nullptr) != PARLOOM_OK || look_with(&two[1], &asking) != PARLOOM_OK;
    };
    return parloom_for(2, below, into, 1, nullptr, nullptr);
}

/* Both are in it at the same time, or it never ends well. */
int meet(const parloom_task *task, void *const *args)
{
    int *here = static_cast<int *>(args[0]);
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    __atomic_store_n(&here[task->index], 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&here[1 - task->index], __ATOMIC_ACQUIRE) == 0)
        if (std::chrono::steady_clock::now() > until) return 1;
    return 0;
}

int meet_inside(const parloom_task *task, void *const *args)
{
    parloom_options given = two_jobs("threads");
    parloom_arg inner[] = { parloom_inout(static_cast<int *>(args[0]) + 2 * task->index, 2 * sizeof(int)) };
    given.batch_size = 1;
    given.schedule = PARLOOM_SCHEDULE_STATIC;
    parloom_error error;
    parloom_status status = parloom_for(2, meet, inner, 1, &given, &error);
    return status == PARLOOM_OK ? 0 : parloom_fail(task, 1, "%s", error.message);
}

int sum_in_fork(const parloom_task *task, void *const *args)
{
    long parts[10];
    for (long &part : parts) part = static_cast<long>(task->index);
    parloom_options given = two_jobs("fork");
    parloom_arg inner[] = { parloom_inout(parts, sizeof parts) };
    parloom_error error;
    if (parloom_for(10, add_index, inner, 1, &given, &error) != PARLOOM_OK)
        return parloom_fail(task, 1, "%s", error.message);
    long sum = 0;
    for (long part : parts) sum += part;
    static_cast<long *>(args[0])[task->index] = sum;
    return 0;
}

/* Without an end, by calls that say nothing. The message comes up from where it was refused. */
int recurse_silently(const parloom_task *task, void *const *args)
{
    int *deepest = static_cast<int *>(args[0]), seen = __atomic_load_n(deepest, __ATOMIC_RELAXED);
    while (task->level > seen &&
           !__atomic_compare_exchange_n(deepest, &seen, task->level, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    parloom_error error;
    parloom_arg inner[] = { parloom_inout(deepest, sizeof(int)) };
    parloom_status status = parloom_for(2, recurse_silently, inner, 1, nullptr, &error);
    return status == PARLOOM_OK ? 0 : parloom_fail(task, status, "%s", error.message);
}

int do_nothing(const parloom_task *, void *const *)
{
    return 0;
}

} // namespace

using NestingDepth = loom::Clean;

class Nesting : public Placed
{
};
INSTANTIATE_TEST_SUITE_P(On, Nesting, ::testing::ValuesIn(every_backend), name_of);

TEST_P(Nesting, GoesFromTheChosenBackendToThreadsToSequential)
{
    level levels[4] = {};
    parloom_options given = options();
    parloom_arg args[] = { parloom_inout(levels, sizeof levels) };
    ASSERT_OK(parloom_for(2, go_deeper, args, 1, &given, &error));
    /* What the caller did itself changes nothing for what is below. */
    const char *expected[] = { given.backend, is("sequential") ? "processes" : "threads",
                               is("sequential") ? "threads" : "sequential", "sequential" };
    for (int k = 0; k < 4; k++) {
        EXPECT_EQ(levels[k].level, k);
        EXPECT_STREQ(levels[k].backend, expected[k]) << k;
        EXPECT_TRUE(is("sequential") || levels[k].pid == levels[0].pid) << "below a task all is in its process";
    }
}

TEST_P(Nesting, InTheCallerLeavesBackendAndJobsAsTheyWere)
{
    seen found = {};
    parloom_options given = options(), scope = two_jobs(GetParam().backend);
    parloom_arg args[] = { parloom_inout(&found, sizeof found) };
    given.n_jobs = 1;
    given.backend = "sequential";
    ASSERT_OK(parloom_for(1, look_below, args, 1, &given, &error));
    EXPECT_STREQ(found.backend, "sequential") << "one job";
    EXPECT_EQ(found.n_jobs, 1);
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_OK(parloom_for(1, look_below, args, 1, &given, &error));
    parloom_scope_end();
    EXPECT_STREQ(found.backend, GetParam().backend);
    EXPECT_EQ(found.n_jobs, is("sequential") ? 1 : 2);
}

TEST_P(Nesting, GivesThreadsInsideThreadsThreadsOfTheirOwn)
{
    if (!is("threads")) return;
    Shared<int> meeting(6);
    parloom_options given = options();
    parloom_arg args[] = { parloom_inout(meeting.get(), 6 * sizeof(int)) };
    EXPECT_OK(parloom_for(3, meet_inside, args, 1, &given, &error)) << error.message;
}

TEST_P(Nesting, OfForkBelowThreadsIsSaidOnceAndDoneInTheCaller)
{
    if (!is("threads")) return;
    announce("fork-backed parallel loops cannot be nested below threads");
    std::vector<long> sums(6);
    parloom_options given = options();
    parloom_arg args[] = { out(sums) };
    ASSERT_OK(parloom_for(sums.size(), sum_in_fork, args, 1, &given, &error));
    for (long k = 0; k < 6; k++) EXPECT_EQ(sums[static_cast<size_t>(k)], 45 + 10 * k);
    EXPECT_EQ(warnings().size(), 1u);
}

TEST_P(Nesting, WithoutEndIsRefusedWhereNobodySaysHowMany)
{
    for (const char *backend : { "threads", "processes" }) {
        Shared<int> deepest;
        parloom_options scope = two_jobs(backend);
        parloom_arg args[] = { parloom_inout(deepest.get(), sizeof(int)) };
        ASSERT_OK(parloom_scope_begin(&scope, &error));
        parloom_options given = options();
        EXPECT_EQ(parloom_for(2, recurse_silently, args, 1, &given, &error), PARLOOM_ERR_TASK);
        parloom_scope_end();
        EXPECT_SAYS("nested 11 deep");
        EXPECT_SAYS("PARLOOM_MAX_DEPTH");
        EXPECT_EQ(deepest[0], 10);
    }
}

TEST_P(Nesting, IsAsDeepAsTheEnvironmentAllows)
{
    setenv("PARLOOM_MAX_DEPTH", "3", 1);
    Shared<int> deepest;
    parloom_options given = options();
    parloom_arg args[] = { parloom_inout(deepest.get(), sizeof(int)) };
    EXPECT_EQ(parloom_for(2, recurse_silently, args, 1, &given, &error), PARLOOM_ERR_TASK);
    EXPECT_SAYS("nested 4 deep");
    EXPECT_EQ(deepest[0], 3);
}

TEST_F(NestingDepth, ThatMakesNoSenseIsSaidAndIgnored)
{
    setenv("PARLOOM_MAX_DEPTH", "many", 1);
    announce("PARLOOM_MAX_DEPTH=\"many\"");
    int deepest = 0;
    parloom_options given = two_jobs("sequential");
    parloom_error error = {};
    parloom_arg args[] = { parloom_inout(&deepest, sizeof(int)) };
    EXPECT_EQ(parloom_for(1, recurse_silently, args, 1, &given, &error), PARLOOM_ERR_TASK);
    EXPECT_EQ(deepest, 10);
}

TEST_P(Nesting, ChangesNothingForTasksBeyondTwoLevelsUnlessTheyAsk)
{
    seen found[3] = {};
    parloom_options given = options(), scope = two_jobs("threads");
    parloom_arg args[] = { parloom_inout(found, sizeof found) };
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_OK(parloom_for(1, look_two_below, args, 1, &given, &error));
    parloom_scope_end();
    EXPECT_STREQ(found[0].backend, "threads") << "in a task, the scope holds";
    EXPECT_EQ(found[0].n_jobs, 2);
    bool is_deeper = !is("sequential"); /* then the first call counts, too */
    EXPECT_STREQ(found[1].backend, is_deeper ? "sequential" : "threads") << "in a task of a task";
    EXPECT_EQ(found[1].n_jobs, is_deeper ? 1 : 2);
    EXPECT_STREQ(found[2].backend, "threads") << "where it asks";
    EXPECT_EQ(found[2].n_jobs, 2);
}

TEST_P(Nesting, WorksOnEachBackendInsideEachOther)
{
    for (const char *inner : { "sequential", "threads", "processes", "fork" }) {
        if (is_threaded() && strcmp(inner, "fork") == 0) continue; /* a fork beside a team is the user's own risk */
        std::vector<long> sums(6);
        parloom_options given = options();
        parloom_arg args[] = { out(sums), parloom_in(inner, strlen(inner) + 1) };
        ASSERT_OK(parloom_for(sums.size(), sum_inside, args, 2, &given, &error)) << inner;
        for (long k = 0; k < 6; k++) EXPECT_EQ(sums[static_cast<size_t>(k)], 45 + 10 * k) << inner;
    }
}

TEST_P(Nesting, ContainsADeathInTheInnerCall)
{
    std::vector<int> contained(3);
    parloom_options given = options();
    parloom_arg args[] = { out(contained) };
    ASSERT_OK(parloom_for(contained.size(), contain_a_death, args, 1, &given, &error));
    EXPECT_EQ(contained, std::vector<int>(3, 1));
}

TEST_P(Nesting, BelowAScopeOfProcessesWorks)
{
    level levels[4] = {};
    parloom_options given = options(), scope = two_jobs("processes");
    parloom_arg args[] = { parloom_inout(levels, sizeof levels) };
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_OK(parloom_for(2, go_deeper, args, 1, &given, &error));
    parloom_scope_end();
    for (int k = 0; k < 4; k++) EXPECT_EQ(levels[k].level, k);
}

TEST_P(Nesting, WithoutEndIsRefused)
{
    char byte = 0;
    parloom_options given = options();
    parloom_arg args[] = { parloom_in(&byte, 1) };
    EXPECT_OK(parloom_for(1, recurse_for_ever, args, 1, &given, &error));
}

TEST_P(Nesting, SharesMemoryThatABodyAllocates)
{
    for (const char *inner : { "sequential", "threads", "processes" }) {
        parloom_options given = options();
        parloom_arg args[] = { parloom_in(inner, strlen(inner) + 1) };
        EXPECT_OK(parloom_for(4, allocate_inside, args, 1, &given, &error)) << inner;
    }
}

TEST_P(Nesting, FreesWhatABodyAllocatedWhenItsTaskEnds)
{
    parloom_options given = options();
    EXPECT_OK(parloom_for(200, allocate_much, nullptr, 0, &given, &error));
}

TEST_P(Nesting, LeavesTheLevelAsItWas)
{
    level levels[4] = {};
    parloom_options given = options();
    parloom_arg args[] = { parloom_inout(levels, sizeof levels) };
    ASSERT_OK(parloom_for(2, go_deeper, args, 1, &given, &error));
    ASSERT_OK(parloom_for(2, do_nothing, nullptr, 0, &given, &error));
    ASSERT_OK(parloom_for(2, go_deeper, args, 1, &given, &error));
    EXPECT_EQ(levels[0].level, 0);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls made inside tasks: who runs them, how deep, and memory that a body allocates. */
#include "contract/places.h"

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

int do_nothing(const parloom_task *, void *const *)
{
    return 0;
}

} // namespace

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
    const char *expected[] = { given.backend, "threads", "sequential", "sequential" };
    for (int k = 0; k < 4; k++) {
        EXPECT_EQ(levels[k].level, k);
        EXPECT_STREQ(levels[k].backend, expected[k]) << k;
        EXPECT_EQ(levels[k].pid, levels[0].pid) << "below a task all is in its process";
    }
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

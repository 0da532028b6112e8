/* SPDX-License-Identifier: BSD-3-Clause */
/* check_globals: the log is warned of what a task leaves changed in its worker, and of nothing else. */
#include "contract/places.h"

#include <cstdlib>
#include <string>
#include <unistd.h>
#include <vector>

int a_global_of_the_test = 5; /* outside of any namespace: its name is its symbol */
char a_large_buffer_of_the_test[100000];

namespace
{

enum { TASKS = 12, WHO = 7 };

enum How {
    NOTHING,
    GLOBAL,
    BUFFER,
    STATIC,
    THERE_AND_BACK,
    ENVIRONMENT,
    DIRECTORY,
};

int change(const parloom_task *task, void *const *args)
{
    static int a_static_of_a_function;
    int how = *static_cast<const int *>(args[0]);
    if (task->index != WHO) return 0;
    if (how == GLOBAL) a_global_of_the_test = 6;
    if (how == BUFFER) a_large_buffer_of_the_test[54321] = 1;
    if (how == STATIC) a_static_of_a_function++;
    if (how == THERE_AND_BACK) {
        a_global_of_the_test++;
        a_global_of_the_test--;
    }
    if (how == ENVIRONMENT) setenv("LEFT_BY_A_TASK", "1", 1);
    return how == DIRECTORY ? chdir("/") : 0;
}

int change_each(const parloom_task *task, void *const *)
{
    a_global_of_the_test = 100 + static_cast<int>(task->index);
    return 0;
}

void add(void *into, const void *from)
{
    *static_cast<int *>(into) += *static_cast<const int *>(from);
}

int add_one(const parloom_task *, void *const *args)
{
    ++*static_cast<int *>(args[0]);
    return 0;
}

/* All that a body may call, and that parloom keeps account of in statics of its own. */
int use_parloom(const parloom_task *task, void *const *)
{
    parloom_error error;
    int sum = 0;
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.n_jobs = 2;
    parloom_arg args[] = { parloom_reduce(&sum, sizeof sum, add) };
    void *memory = parloom_alloc(100000, &error), *large = parloom_alloc(3 << 20, &error);
    bool has_all = memory != nullptr && large != nullptr && parloom_scratch(task, 1000) != nullptr;
    parloom_free(memory);
    parloom_free(large);
    if (parloom_for(10, add_one, args, 1, &given, &error) != PARLOOM_OK || sum != 10) return 1;
    given.backend = "processes";
    sum = 0;
    if (parloom_for(10, add_one, args, 1, &given, &error) != PARLOOM_OK || sum != 10) return 2;
    if (parloom_cancelled(task)) return 3;
    if (parloom_record(task, "channel", "x", 1) != PARLOOM_OK) return 4;
    return has_all && parloom_cpu_count(false) > 0 ? 0 : 5;
}

class Globals : public contract::Placed
{
  protected:
    parloom_options checking()
    {
        parloom_options made = options();
        made.check_globals = 1;
        made.batch_size = 1;
        return made;
    }
    parloom_status call(int how, const parloom_options &given)
    {
        parloom_arg args[] = { parloom_in(&how, sizeof how) };
        return parloom_for(TASKS, change, args, 1, &given, &error);
    }
    /* Of these alone there is a warning, and it names the task. */
    void expect_told(int how, const std::string &what)
    {
        announce(what);
        ASSERT_OK(call(how, checking()));
        ASSERT_EQ(warnings().size(), 1u) << (warnings().empty() ? "none" : warnings().back());
        EXPECT_EQ(warnings()[0].find("task 7 of 12 left the "), 0u) << warnings()[0];
        EXPECT_NE(warnings()[0].find(what + " changed"), std::string::npos) << warnings()[0];
    }
};

} // namespace

TEST_P(Globals, ThatATaskLeavesChangedAreNamed)
{
    expect_told(GLOBAL, "the global a_global_of_the_test of the program");
}

TEST_P(Globals, AreFoundInLargeOnesToo)
{
    expect_told(BUFFER, "the global a_large_buffer_of_the_test of the program");
}

TEST_P(Globals, AreStaticsOfFunctionsToo)
{
    expect_told(STATIC, "a_static_of_a_function of the program");
}

TEST_P(Globals, AreTheEnvironmentToo)
{
    expect_told(ENVIRONMENT, "the environment");
}

TEST_P(Globals, AreTheWorkingDirectoryToo)
{
    expect_told(DIRECTORY, "the working directory");
}

TEST_P(Globals, ThatATaskPutsBackAreNotToldOf)
{
    ASSERT_OK(call(THERE_AND_BACK, checking()));
    ASSERT_OK(call(NOTHING, checking()));
    EXPECT_TRUE(warnings().empty());
}

TEST_P(Globals, AreNotLookedAtUnlessItIsAskedFor)
{
    ASSERT_OK(call(GLOBAL, options()));
    EXPECT_TRUE(warnings().empty());
}

TEST_P(Globals, AreToldOfOnceForAWorker)
{
    announce("a_global_of_the_test");
    parloom_options given = checking();
    ASSERT_OK(parloom_for(TASKS, change_each, nullptr, 0, &given, &error));
    EXPECT_GE(warnings().size(), 1u);
    EXPECT_LE(warnings().size(), static_cast<size_t>(given.n_jobs));
}

TEST_P(Globals, OfParloomItselfAreItsOwn)
{
    parloom_options given = checking();
    auto drop = [](const parloom_recorded *, void *) {};
    ASSERT_OK(parloom_channel_register("channel", drop, nullptr, &error));
    for (int k = 0; k < 2; k++) EXPECT_OK(parloom_for(TASKS, use_parloom, nullptr, 0, &given, &error));
    EXPECT_OK(parloom_channel_unregister("channel", &error));
    for (const std::string &line : warnings()) ADD_FAILURE() << line;
}

INSTANTIATE_TEST_SUITE_P(WithWorkers, Globals,
                         ::testing::Values(contract::Place{ "processes", 2 }, contract::Place{ "processes", 3 },
                                           contract::Place{ "fork", 2 }),
                         contract::name_of);

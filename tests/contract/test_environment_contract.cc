/* SPDX-License-Identifier: BSD-3-Clause */
/* Options from the environment. It is read once per process, so each claim is tried in a program of its own. */
#include <parloom/parloom.h>

#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>

namespace
{

/* 0, or the number of the first that does not hold. */
int first_false(std::initializer_list<bool> conditions)
{
    int number = 1;
    for (bool holds : conditions) {
        if (!holds) return number;
        number++;
    }
    return 0;
}

int is_on_threads(const parloom_task *task, void *const *)
{
    return strcmp(task->backend, "threads") == 0 && task->n_jobs == 3 ? 0 : 1;
}

int decide_by_environment()
{
    setenv("PARLOOM_N_JOBS", "3", 1);
    setenv("PARLOOM_BACKEND", "threads", 1);
    parloom_options scope = PARLOOM_OPTIONS_INIT;
    scope.n_jobs = 2;
    bool decides = parloom_effective_n_jobs(0) == 3;
    bool reaches_calls = parloom_for(9, is_on_threads, nullptr, 0, nullptr, nullptr) == PARLOOM_OK;
    bool begins = parloom_scope_begin(&scope, nullptr) == PARLOOM_OK;
    bool loses_to_a_scope = parloom_effective_n_jobs(0) == 2;
    parloom_scope_end();
    scope.n_jobs = 4;
    bool defaults = parloom_set_defaults(&scope, nullptr) == PARLOOM_OK;
    bool loses_to_the_default = parloom_effective_n_jobs(0) == 4;
    return first_false({ decides, reaches_calls, begins, loses_to_a_scope, defaults, loses_to_the_default });
}

int refuse_what_does_not_parse()
{
    setenv("PARLOOM_N_JOBS", "three", 1);
    parloom_error error = {};
    parloom_status status = parloom_for(3, is_on_threads, nullptr, 0, nullptr, &error);
    return first_false({ status == PARLOOM_ERR_INVALID, strstr(error.message, "PARLOOM_N_JOBS") != nullptr,
                         strstr(error.message, "three") != nullptr });
}

int refuse_an_unknown_backend()
{
    setenv("PARLOOM_BACKEND", "loky", 1);
    parloom_error error = {};
    parloom_status status = parloom_for(3, is_on_threads, nullptr, 0, nullptr, &error);
    return first_false({ status == PARLOOM_ERR_INVALID, strstr(error.message, "PARLOOM_BACKEND \"loky\"") != nullptr,
                         strstr(error.message, "processes") != nullptr });
}

int limit_cores()
{
    setenv("PARLOOM_MAX_CPU_COUNT", "1", 1);
    return first_false({ parloom_cpu_count(false) == 1, parloom_effective_n_jobs(-1) == 1,
                         parloom_effective_n_jobs(-5) == 1, parloom_effective_n_jobs(7) == 7 });
}

/* Task 0 fails; alone and in order, whoever else runs does so because the call goes on. */
int fail_at_first(const parloom_task *task, void *const *)
{
    return task->index == 0 ? 1 : 0;
}

size_t others_that_ran(parloom_pool *pool, parloom_on_error on_error)
{
    parloom_report report = {};
    report.struct_size = sizeof report;
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.pool = pool;
    given.on_error = on_error;
    given.report = &report;
    (void)parloom_for(100, fail_at_first, nullptr, 0, &given, nullptr);
    return report.ok;
}

int ask_at_each_call_on_a_pool()
{
    setenv("PARLOOM_ON_ERROR", "go_on", 1);
    parloom_options given = PARLOOM_OPTIONS_INIT, stopping = PARLOOM_OPTIONS_INIT;
    parloom_pool *plain = nullptr, *going_on = nullptr;
    given.backend = "sequential";
    stopping.on_error = PARLOOM_ON_ERROR_STOP;
    bool opens = parloom_pool_open(&plain, &given, nullptr) == PARLOOM_OK;
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    opens &= parloom_pool_open(&going_on, &given, nullptr) == PARLOOM_OK;
    bool decides = others_that_ran(plain, PARLOOM_ON_ERROR_UNSET) == 99;
    bool loses_to_the_call = others_that_ran(plain, PARLOOM_ON_ERROR_STOP) == 0;
    bool defaults = parloom_set_defaults(&stopping, nullptr) == PARLOOM_OK;
    bool loses_to_the_default = others_that_ran(plain, PARLOOM_ON_ERROR_UNSET) == 0;
    (void)parloom_set_defaults(nullptr, nullptr);
    bool begins = parloom_scope_begin(&stopping, nullptr) == PARLOOM_OK;
    bool loses_to_a_scope = others_that_ran(plain, PARLOOM_ON_ERROR_UNSET) == 0;
    bool pool_beats_scope = others_that_ran(going_on, PARLOOM_ON_ERROR_UNSET) == 99;
    parloom_scope_end();
    parloom_pool_close(plain);
    parloom_pool_close(going_on);
    return first_false({ opens, decides, loses_to_the_call, defaults, loses_to_the_default, begins, loses_to_a_scope,
                         pool_beats_scope });
}

int do_nothing(const parloom_task *, void *const *)
{
    return 0;
}

parloom_status call_on(const char *backend, const char *params = nullptr)
{
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.backend = backend;
    given.n_jobs = 2;
    given.backend_params = params;
    return parloom_for(4, do_nothing, nullptr, 0, &given, nullptr);
}

int name_params_of_one_backend()
{
    setenv("PARLOOM_BACKEND_PARAMS", "force=1", 1);
    return first_false({ call_on("threads") == PARLOOM_OK, call_on("processes") == PARLOOM_OK,
                         call_on("sequential") == PARLOOM_OK, call_on("fork") == PARLOOM_OK,
                         call_on("threads", "force=1") == PARLOOM_ERR_INVALID });
}

int require_isolation()
{
    setenv("PARLOOM_REQUIRE", "isolation", 1);
    parloom_options scope = PARLOOM_OPTIONS_INIT;
    bool refuses = call_on("threads") == PARLOOM_ERR_INVALID && call_on("sequential") == PARLOOM_ERR_INVALID;
    bool allows = call_on("processes") == PARLOOM_OK && call_on("fork") == PARLOOM_OK;
    scope.backend = "threads";
    bool begins = parloom_scope_begin(&scope, nullptr) == PARLOOM_OK;
    bool scope_gives_way = call_on(nullptr) == PARLOOM_OK;
    parloom_scope_end();
    return first_false({ refuses, allows, begins, scope_gives_way });
}

int require_shared_memory()
{
    setenv("PARLOOM_REQUIRE", "sharedmem", 1);
    return first_false({ call_on("processes") == PARLOOM_ERR_INVALID, call_on("fork") == PARLOOM_ERR_INVALID,
                         call_on("threads") == PARLOOM_OK, call_on(nullptr) == PARLOOM_OK });
}

class Environment : public ::testing::Test
{
  protected:
    void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); } /* starts this program again */
};

} // namespace

TEST_F(Environment, DecidesWhereNothingElseDoes)
{
    EXPECT_EXIT(std::exit(decide_by_environment()), ::testing::ExitedWithCode(0), "");
}

TEST_F(Environment, ThatDoesNotParseIsRefusedByName)
{
    EXPECT_EXIT(std::exit(refuse_what_does_not_parse()), ::testing::ExitedWithCode(0), "");
}

TEST_F(Environment, ThatNamesNoBackendIsRefusedByName)
{
    EXPECT_EXIT(std::exit(refuse_an_unknown_backend()), ::testing::ExitedWithCode(0), "");
}

TEST_F(Environment, LimitsTheCores)
{
    EXPECT_EXIT(std::exit(limit_cores()), ::testing::ExitedWithCode(0), "");
}

TEST_F(Environment, IsAskedAtEachCallOnAPool)
{
    EXPECT_EXIT(std::exit(ask_at_each_call_on_a_pool()), ::testing::ExitedWithCode(0), "");
}

TEST_F(Environment, NamesBackendParamsForTheBackendThatTakesThem)
{
    EXPECT_EXIT(std::exit(name_params_of_one_backend()), ::testing::ExitedWithCode(0), "");
}

TEST_F(Environment, ThatRequiresWhatTheCallsBackendCannotGiveRefusesIt)
{
    EXPECT_EXIT(std::exit(require_isolation()), ::testing::ExitedWithCode(0), "");
    EXPECT_EXIT(std::exit(require_shared_memory()), ::testing::ExitedWithCode(0), "");
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_choice_contract.cc - which backend and how many workers a call gets where its own options, scopes and pools
 * disagree, and what is refused.
 */
#include "contract/places.h"

#include <thread>

using namespace contract;

namespace
{

int nothing(const parloom_task *, void *const *)
{
    return 0;
}

} // namespace

class Choice : public loom::Clean
{
  protected:
    /* What a call of many tasks says that it got. */
    parloom_report report_of(parloom_options given)
    {
        parloom_report report = {};
        report.struct_size = sizeof report;
        given.report = &report;
        EXPECT_OK(parloom_for(50, nothing, nullptr, 0, &given, &error));
        return report;
    }
    void begin(const char *backend, int n_jobs, parloom_require require = PARLOOM_REQUIRE_UNSET)
    {
        parloom_options scope = PARLOOM_OPTIONS_INIT;
        scope.backend = backend;
        scope.n_jobs = n_jobs;
        scope.require = require;
        ASSERT_OK(parloom_scope_begin(&scope, &error));
    }
    void expect_refused(const char *backend, const char *text)
    {
        parloom_options given = PARLOOM_OPTIONS_INIT;
        given.backend = backend;
        given.n_jobs = 2;
        EXPECT_EQ(parloom_for(3, nothing, nullptr, 0, &given, &error), PARLOOM_ERR_INVALID) << backend;
        EXPECT_SAYS(backend);
        EXPECT_SAYS(text);
    }
    parloom_error error = {};
};

/* ------------------------------------------------------------ require, prefer */

TEST_F(Choice, OfTheCallAgainstWhatAScopeRequiresIsRefused)
{
    begin(nullptr, 0, PARLOOM_REQUIRE_SHAREDMEM);
    expect_refused("processes", "sharedmem");
    expect_refused("fork", "sharedmem");
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.backend = "threads";
    given.n_jobs = 2;
    EXPECT_STREQ(report_of(given).backend, "threads");
    parloom_scope_end();
    begin(nullptr, 0, PARLOOM_REQUIRE_ISOLATION);
    expect_refused("threads", "isolation");
    expect_refused("sequential", "isolation");
    given.backend = "fork";
    EXPECT_STREQ(report_of(given).backend, "fork");
    parloom_scope_end();
}

TEST_F(Choice, OfTheCallAgainstWhatTheDefaultRequiresIsRefused)
{
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.require = PARLOOM_REQUIRE_ISOLATION;
    ASSERT_OK(parloom_set_defaults(&given, &error));
    expect_refused("threads", "isolation");
    given.require = PARLOOM_REQUIRE_SHAREDMEM;
    ASSERT_OK(parloom_set_defaults(&given, &error));
    expect_refused("processes", "sharedmem");
    ASSERT_OK(parloom_set_defaults(nullptr, &error));
}

TEST_F(Choice, OfAScopeGivesWayToWhatIsRequired)
{
    begin("processes", 2);
    begin(nullptr, 0, PARLOOM_REQUIRE_SHAREDMEM);
    EXPECT_STREQ(report_of(PARLOOM_OPTIONS_INIT).backend, "threads");
    parloom_scope_end();
    parloom_scope_end();
    begin("threads", 2, PARLOOM_REQUIRE_ISOLATION); /* both said by the scope */
    EXPECT_STREQ(report_of(PARLOOM_OPTIONS_INIT).backend, "processes");
    parloom_scope_end();
    begin("threads", 2);
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.require = PARLOOM_REQUIRE_ISOLATION;
    EXPECT_STREQ(report_of(given).backend, "processes");
    parloom_scope_end();
}

TEST_F(Choice, ByAHintGivesWayToWhatAScopeRequires)
{
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.n_jobs = 2;
    given.prefer = PARLOOM_PREFER_THREADS;
    begin(nullptr, 0, PARLOOM_REQUIRE_ISOLATION);
    EXPECT_STREQ(report_of(given).backend, "processes");
    parloom_scope_end();
    given.prefer = PARLOOM_PREFER_PROCESSES;
    begin(nullptr, 0, PARLOOM_REQUIRE_SHAREDMEM);
    EXPECT_STREQ(report_of(given).backend, "threads");
    parloom_scope_end();
}

/* --------------------------------------------------------------------- jobs */

TEST_F(Choice, OfJobsIsWhatEffectiveNJobsSays)
{
    auto expect = [this](int n_jobs) {
        EXPECT_EQ(parloom_effective_n_jobs(0), n_jobs);
        EXPECT_EQ(report_of(PARLOOM_OPTIONS_INIT).n_jobs, n_jobs);
    };
    expect(1);
    begin("sequential", 4);
    expect(1);
    begin("threads", 0);
    expect(4);
    parloom_scope_end();
    parloom_scope_end();
    for (const char *backend : { "sequential", "threads", "processes" }) {
        parloom_pool *pool = nullptr;
        parloom_options given = PARLOOM_OPTIONS_INIT, scope = PARLOOM_OPTIONS_INIT;
        given.backend = backend;
        given.n_jobs = 3;
        ASSERT_OK(parloom_pool_open(&pool, &given, &error));
        scope.pool = pool;
        ASSERT_OK(parloom_scope_begin(&scope, &error));
        expect(strcmp(backend, "sequential") == 0 ? 1 : 3);
        begin(nullptr, 2); /* n_jobs of a scope does not change a pool */
        expect(strcmp(backend, "sequential") == 0 ? 1 : 3);
        parloom_scope_end();
        parloom_scope_end();
        parloom_pool_close(pool);
    }
    expect(1);
}

/* ----------------------------------------------------------- backend_params */

TEST_F(Choice, DropsBackendParamsOfAScopeThatMeanNothingToTheBackend)
{
    for (const char *params : { "force=1", "key=value" }) {
        parloom_options scope = PARLOOM_OPTIONS_INIT;
        scope.backend = "fork";
        scope.backend_params = params;
        for (bool is_default : { false, true }) {
            ASSERT_OK(is_default ? parloom_set_defaults(&scope, &error) : parloom_scope_begin(&scope, &error));
            for (const char *backend : { "sequential", "threads", "processes", "fork" }) {
                parloom_pool *pool = nullptr;
                parloom_options given = PARLOOM_OPTIONS_INIT;
                given.backend = backend;
                given.n_jobs = 2;
                EXPECT_OK(parloom_for(3, nothing, nullptr, 0, &given, &error)) << backend << " " << params;
                EXPECT_OK(parloom_pool_open(&pool, &given, &error)) << backend << " " << params;
                parloom_pool_close(pool);
            }
            if (is_default)
                ASSERT_OK(parloom_set_defaults(nullptr, &error));
            else
                parloom_scope_end();
        }
    }
}

TEST_F(Choice, RefusesBackendParamsOfTheCallThatMeanNothingToTheBackend)
{
    const char *wrong[][2] = {
        { "sequential", "force=1" }, { "threads", "force=1" }, { "processes", "force=1" }, { "fork", "key=value" }
    };
    for (const auto &pair : wrong) {
        parloom_pool *pool = nullptr;
        parloom_options given = PARLOOM_OPTIONS_INIT;
        given.backend = pair[0];
        given.n_jobs = 2;
        given.backend_params = pair[1];
        EXPECT_EQ(parloom_for(3, nothing, nullptr, 0, &given, &error), PARLOOM_ERR_INVALID) << pair[0];
        EXPECT_SAYS(pair[1]);
        EXPECT_EQ(parloom_pool_open(&pool, &given, &error), PARLOOM_ERR_INVALID) << pair[0];
        EXPECT_EQ(pool, nullptr);
    }
}

TEST_F(Choice, HandsBackendParamsOfAScopeToTheBackendThatTakesThem)
{
    parloom_options given = PARLOOM_OPTIONS_INIT, scope = PARLOOM_OPTIONS_INIT;
    given.backend = "fork";
    given.n_jobs = 2;
    scope.backend = "fork";
    scope.backend_params = "force=1";
    int may_end = 0;
    std::thread other([&may_end] {
        while (__atomic_load_n(&may_end, __ATOMIC_ACQUIRE) == 0) std::this_thread::yield();
    });
    EXPECT_EQ(parloom_for(3, nothing, nullptr, 0, &given, &error), PARLOOM_ERR_UNSUPPORTED) << "beside a thread";
    EXPECT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_OK(parloom_for(3, nothing, nullptr, 0, &given, &error));
    parloom_scope_end();
    __atomic_store_n(&may_end, 1, __ATOMIC_RELEASE);
    other.join();
}

/* -------------------------------------------------------------- temp_folder */

class Folder : public Placed
{
};
INSTANTIATE_TEST_SUITE_P(On, Folder, ::testing::ValuesIn(every_place), name_of);

TEST_P(Folder, ThatIsNotThereIsRefusedThoughNothingIsSpilled)
{
    parloom_pool *pool = nullptr;
    parloom_options given = options();
    given.temp_folder = "/no/such/folder";
    EXPECT_EQ(parloom_for(3, nothing, nullptr, 0, &given, &error), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("/no/such/folder");
    EXPECT_EQ(parloom_pool_open(&pool, &given, &error), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("/no/such/folder");
    EXPECT_EQ(pool, nullptr);
    given.temp_folder = "/dev/null";
    EXPECT_EQ(parloom_for(3, nothing, nullptr, 0, &given, &error), PARLOOM_ERR_INVALID) << "that is no folder";
    given.temp_folder = "/tmp";
    EXPECT_OK(parloom_for(3, nothing, nullptr, 0, &given, &error));
}

TEST_P(Folder, OfAScopeThatIsNotThereIsRefusedUnlessTheCallNamesAnother)
{
    parloom_options given = options(), scope = PARLOOM_OPTIONS_INIT;
    scope.temp_folder = "/no/such/folder";
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_EQ(parloom_for(3, nothing, nullptr, 0, &given, &error), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("/no/such/folder");
    given.temp_folder = "/tmp";
    EXPECT_OK(parloom_for(3, nothing, nullptr, 0, &given, &error));
    parloom_scope_end();
}

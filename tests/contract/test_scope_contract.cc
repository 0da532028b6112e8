/* SPDX-License-Identifier: BSD-3-Clause */
/* Where options come from: scopes, the process default, text; and what is refused. */
#include "contract/places.h"

#include <atomic>
#include <sys/wait.h>
#include <thread>
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

seen look_here(const parloom_options *options = nullptr)
{
    seen found = {};
    parloom_arg args[] = { parloom_out(&found, sizeof found) };
    parloom_error error = {};
    EXPECT_EQ(parloom_for(1, look, args, 1, options, &error), PARLOOM_OK) << error.message;
    return found;
}

int ignore(const parloom_task *, void *const *)
{
    return 0;
}

} // namespace

class Scope : public loom::Clean
{
  protected:
    void begin(const char *backend, int n_jobs)
    {
        parloom_options given = PARLOOM_OPTIONS_INIT;
        given.backend = backend;
        given.n_jobs = n_jobs;
        ASSERT_OK(parloom_scope_begin(&given, &error));
    }
    parloom_error error = {};
};

TEST_F(Scope, DecidesWhatTheCallDoesNot)
{
    EXPECT_STREQ(look_here().backend, "sequential"); /* n_jobs unset is 1 */
    begin("threads", 3);
    EXPECT_STREQ(look_here().backend, "threads");
    EXPECT_EQ(parloom_effective_n_jobs(0), 3);
    parloom_options call = PARLOOM_OPTIONS_INIT;
    call.n_jobs = 2;
    call.backend = "processes";
    EXPECT_STREQ(look_here(&call).backend, "processes");
    parloom_scope_end();
    EXPECT_STREQ(look_here().backend, "sequential");
    EXPECT_EQ(parloom_effective_n_jobs(0), 1);
}

TEST_F(Scope, NestsFieldByField)
{
    begin("threads", 3);
    begin(nullptr, 2);
    EXPECT_STREQ(look_here().backend, "threads");
    EXPECT_EQ(parloom_effective_n_jobs(0), 2);
    begin("processes", 0);
    EXPECT_STREQ(look_here().backend, "processes");
    EXPECT_EQ(parloom_effective_n_jobs(0), 2);
    parloom_scope_end();
    parloom_scope_end();
    EXPECT_EQ(parloom_effective_n_jobs(0), 3);
    parloom_scope_end();
    parloom_scope_end(); /* without a begin: nothing */
    EXPECT_EQ(parloom_effective_n_jobs(0), 1);
}

TEST_F(Scope, BelongsToItsThread)
{
    begin("threads", 3);
    std::thread([] {
        EXPECT_EQ(parloom_effective_n_jobs(0), 1);
        parloom_options given = PARLOOM_OPTIONS_INIT;
        given.n_jobs = 4;
        EXPECT_EQ(parloom_scope_begin(&given, nullptr), PARLOOM_OK);
        EXPECT_EQ(parloom_effective_n_jobs(0), 4);
        parloom_scope_end();
    }).join();
    EXPECT_EQ(parloom_effective_n_jobs(0), 3);
    parloom_scope_end();
}

TEST_F(Scope, CopiesItsOptions)
{
    char backend[] = "threads";
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.backend = backend;
    given.n_jobs = 2;
    ASSERT_OK(parloom_scope_begin(&given, &error));
    memset(backend, 'x', sizeof backend - 1);
    given.n_jobs = 7;
    EXPECT_STREQ(look_here().backend, "threads");
    EXPECT_EQ(parloom_effective_n_jobs(0), 2);
    parloom_scope_end();
}

TEST_F(Scope, LosesToAConstraintAndBeatsAHint)
{
    begin("processes", 2);
    parloom_options call = PARLOOM_OPTIONS_INIT;
    call.prefer = PARLOOM_PREFER_THREADS;
    EXPECT_STREQ(look_here(&call).backend, "processes");
    call = PARLOOM_OPTIONS_INIT;
    call.require = PARLOOM_REQUIRE_SHAREDMEM;
    EXPECT_STREQ(look_here(&call).backend, "threads");
    parloom_scope_end();
    begin("threads", 2);
    call.require = PARLOOM_REQUIRE_ISOLATION;
    EXPECT_STREQ(look_here(&call).backend, "processes");
    parloom_scope_end();
}

TEST_F(Scope, RefusesWhatMakesNoSenseAndDoesNotBegin)
{
    std::vector<parloom_status> statuses(1);
    parloom_report report = {};
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.backend = "no-such";
    EXPECT_EQ(parloom_scope_begin(&given, &error), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("no-such");
    EXPECT_SAYS("processes");
    given = PARLOOM_OPTIONS_INIT;
    given.statuses = statuses.data();
    EXPECT_EQ(parloom_scope_begin(&given, &error), PARLOOM_ERR_INVALID);
    given = PARLOOM_OPTIONS_INIT;
    given.errors = &error;
    given.n_errors = 1;
    EXPECT_EQ(parloom_scope_begin(&given, nullptr), PARLOOM_ERR_INVALID);
    given = PARLOOM_OPTIONS_INIT;
    given.report = &report;
    EXPECT_EQ(parloom_scope_begin(&given, &error), PARLOOM_ERR_INVALID);
    begin("threads", 2);
    given.report = nullptr;
    given.struct_size = 3;
    EXPECT_EQ(parloom_scope_begin(&given, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_effective_n_jobs(0), 2);
    parloom_scope_end();
}

TEST_F(Scope, WithAPoolLetsLibrariesRunOnIt)
{
    parloom_pool *pool = nullptr;
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.backend = "threads";
    given.n_jobs = 2;
    ASSERT_OK(parloom_pool_open(&pool, &given, &error));
    given = PARLOOM_OPTIONS_INIT;
    given.pool = pool;
    ASSERT_OK(parloom_scope_begin(&given, &error));
    EXPECT_STREQ(look_here().backend, "threads");
    parloom_options call = PARLOOM_OPTIONS_INIT;
    call.n_jobs = 3; /* does not fit the scope's pool: it is passed over */
    call.backend = "processes";
    EXPECT_STREQ(look_here(&call).backend, "processes");
    parloom_scope_end();
    parloom_pool_close(pool);
}

TEST_F(Scope, OfTheProcessHoldsWhereNoOtherDoes)
{
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.n_jobs = 3;
    given.backend = "threads";
    ASSERT_OK(parloom_set_defaults(&given, &error));
    EXPECT_STREQ(look_here().backend, "threads");
    std::thread([] { EXPECT_EQ(parloom_effective_n_jobs(0), 3); }).join();
    begin(nullptr, 2);
    EXPECT_EQ(parloom_effective_n_jobs(0), 2);
    parloom_scope_end();
    given.backend = "no-such";
    EXPECT_EQ(parloom_set_defaults(&given, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_effective_n_jobs(0), 3) << "the old default stays";
    ASSERT_OK(parloom_set_defaults(nullptr, &error));
    EXPECT_EQ(parloom_effective_n_jobs(0), 1);
}

/* ------------------------------------------------------------- pre_dispatch */

/* However the other threads of the program were in the middle of a call when it forked. */
TEST_F(Scope, OfTheProcessIsThereInAForkedProgram)
{
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "AddressSanitizer's malloc stays locked in a child where another thread was in it";
#endif
    parloom_options fallback = PARLOOM_OPTIONS_INIT;
    fallback.backend = "sequential";
    ASSERT_EQ(parloom_set_defaults(&fallback, &error), PARLOOM_OK) << error.message;
    std::atomic<bool> is_over{ false };
    std::vector<std::thread> others;
    for (int k = 0; k < 2; k++)
        others.emplace_back([&] {
            while (!is_over) look_here();
        });
    for (int round = 0; round < 200; round++) {
        pid_t child = fork();
        if (child == 0) {
            (void)alarm(20); /* one that waits for ever is killed */
            _exit(std::strcmp(look_here().backend, "sequential") == 0 ? 0 : 1);
        }
        int status = -1;
        EXPECT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0) << round;
        if (status != 0) break;
    }
    is_over = true;
    for (std::thread &other : others) other.join();
    ASSERT_EQ(parloom_set_defaults(nullptr, &error), PARLOOM_OK) << error.message;
}

TEST_F(Scope, RefusesAPreDispatchBelowOneTaskWhereItSaysOfHowManyWorkers)
{
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.pre_dispatch = "n_jobs//4";
    given.n_jobs = 2;
    EXPECT_EQ(parloom_scope_begin(&given, &error), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("pre_dispatch=\"n_jobs//4\"");
    EXPECT_EQ(parloom_set_defaults(&given, &error), PARLOOM_ERR_INVALID);
    given.n_jobs = 0;
    ASSERT_OK(parloom_scope_begin(&given, &error)) << "it depends on the calls";
    EXPECT_OK(parloom_for(3, ignore, nullptr, 0, nullptr, &error)) << "nothing is taken ahead of the caller";
    parloom_options call = PARLOOM_OPTIONS_INIT;
    call.backend = "threads";
    call.n_jobs = 2;
    EXPECT_EQ(parloom_for(3, ignore, nullptr, 0, &call, &error), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("with n_jobs 2 it is 0");
    call.n_jobs = 4;
    EXPECT_OK(parloom_for(3, ignore, nullptr, 0, &call, &error));
    parloom_scope_end();
}

TEST_F(Scope, OfAPoolRefusesAPreDispatchBelowOneTask)
{
    parloom_pool *pool = nullptr;
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.pre_dispatch = "n_jobs//4";
    given.n_jobs = 2;
    EXPECT_EQ(parloom_pool_open(&pool, &given, &error), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("with n_jobs 2 it is 0");
    EXPECT_EQ(pool, nullptr);
}

/* ------------------------------------------------------------------ options */

class Option : public Placed
{
  protected:
    void expect_refused(const parloom_options &given, const char *text, parloom_status status = PARLOOM_ERR_INVALID)
    {
        EXPECT_EQ(parloom_for(3, ignore, nullptr, 0, &given, &error), status) << text;
        EXPECT_SAYS(text);
        EXPECT_GT(strlen(error.message), 20u) << error.message;
        parloom_options good = options();
        EXPECT_OK(parloom_for(3, ignore, nullptr, 0, &good, &error)) << "the next call works";
    }
};
INSTANTIATE_TEST_SUITE_P(On, Option, ::testing::ValuesIn(every_backend), name_of);

TEST_P(Option, ThatMakesNoSenseIsRefusedWithItsName)
{
    parloom_options given = options();
    given.backend = "no-such";
    expect_refused(given, "no-such");
    given = options();
    given.prefer = static_cast<parloom_prefer>(17);
    expect_refused(given, "prefer is 17");
    given = options();
    given.require = static_cast<parloom_require>(17);
    expect_refused(given, "require is 17");
    given = options();
    given.on_error = static_cast<parloom_on_error>(-1);
    expect_refused(given, "on_error is -1");
    given = options();
    given.schedule = static_cast<parloom_schedule>(5);
    expect_refused(given, "schedule is 5");
    given = options();
    given.mmap_mode = static_cast<parloom_mmap_mode>(50);
    expect_refused(given, "mmap_mode is 50");
    given = options();
    given.timeout = 1.0 / 0.0;
    expect_refused(given, "timeout");
    given = options();
    given.task_timeout = 0.0 / 0.0;
    expect_refused(given, "task_timeout");
    given = options();
    given.batch_size = SIZE_MAX;
    expect_refused(given, "batch_size");
    given = options();
    given.n_errors = 4;
    expect_refused(given, "errors is NULL");
    given = options();
    given.backend_params = "key=value";
    expect_refused(given, "key=value");
    given = options();
    given.pre_dispatch = "system('x')";
    expect_refused(given, "pre_dispatch");
    given = options();
    given.pre_dispatch = "n_jobs//40"; /* rounds to no task at all */
    expect_refused(given, "less than one task");
    given = options();
    given.worker_init_state_nbytes = 4;
    expect_refused(given, "worker_init_state");
}

TEST_P(Option, ThatContradictsAnotherIsRefused)
{
    parloom_options given = options();
    given.require = is_threaded() || is("sequential") ? PARLOOM_REQUIRE_ISOLATION : PARLOOM_REQUIRE_SHAREDMEM;
    expect_refused(given, GetParam().backend);
    given = PARLOOM_OPTIONS_INIT;
    given.require = PARLOOM_REQUIRE_SHAREDMEM;
    given.prefer = PARLOOM_PREFER_PROCESSES;
    expect_refused(given, "prefer");
}

TEST_P(Option, ThatTheBackendCannotKeepIsUnsupported)
{
    parloom_options given = options();
    given.task_timeout = 10;
    if (is_threaded() || is("sequential")) {
        expect_refused(given, "task_timeout", PARLOOM_ERR_UNSUPPORTED);
    } else {
        EXPECT_OK(parloom_for(3, ignore, nullptr, 0, &given, &error));
    }
}

TEST_P(Option, StructOfAnotherSizeIsReadAsFarAsItGoes)
{
    parloom_options given = options();
    struct {
        parloom_options known;
        size_t newer[2];
    } longer = { given, { 0, 0 } };
    longer.known.struct_size = sizeof longer;
    EXPECT_OK(parloom_for(3, ignore, nullptr, 0, &longer.known, &error));
    longer.newer[1] = 1;
    expect_refused(longer.known, "bytes");
    given.struct_size = offsetof(parloom_options, statuses); /* of an older program: the rest is not read */
    given.statuses = reinterpret_cast<parloom_status *>(8);
    EXPECT_OK(parloom_for(3, ignore, nullptr, 0, &given, &error));
    for (size_t size : { size_t{ 0 }, size_t{ 4 }, SIZE_MAX, size_t{ 100001 } }) {
        given = options();
        given.struct_size = size;
        given.statuses = reinterpret_cast<parloom_status *>(8); /* nothing in there is followed */
        expect_refused(given, "struct_size");
    }
}

TEST_P(Option, StatusesTooFewAreRefused)
{
    std::vector<parloom_status> statuses(2, PARLOOM_OK);
    parloom_options given = options();
    given.statuses = statuses.data();
    given.n_statuses = 2;
    expect_refused(given, "2 of 3");
    EXPECT_EQ(statuses, std::vector<parloom_status>(2, PARLOOM_ERR_CANCELLED));
}

TEST_P(Option, FromTextIsStrict)
{
    parloom_options given = options();
    EXPECT_OK(parloom_options_set(&given, "n_jobs", "2", &error));
    EXPECT_EQ(given.n_jobs, 2);
    EXPECT_OK(parloom_options_set(&given, "max_nbytes", "1.5M", &error));
    EXPECT_EQ(given.max_nbytes, size_t{ 3 } << 19);
    EXPECT_OK(parloom_options_set(&given, "mmap_mode", "c", &error));
    EXPECT_EQ(given.mmap_mode, PARLOOM_MMAP_C);
    EXPECT_OK(parloom_options_set(&given, "on_error", "go_on", &error));
    EXPECT_EQ(given.on_error, PARLOOM_ON_ERROR_GO_ON);
    parloom_options before = given;
    const char *wrong[][2] = { { "n_jobs", "2 " },       { "n_jobs", "0" },     { "n_jobs", "" },
                               { "n_jobs", "2x" },       { "n_job", "2" },      { "max_nbytes", "-1" },
                               { "max_nbytes", "1Q" },   { "timeout", "soon" }, { "mmap_mode", "rw" },
                               { "statuses", "0x1234" }, { "backend", "" } };
    for (const auto &pair : wrong) {
        EXPECT_EQ(parloom_options_set(&given, pair[0], pair[1], &error), PARLOOM_ERR_INVALID)
            << pair[0] << "=" << pair[1];
        EXPECT_SAYS(pair[0]);
    }
    EXPECT_EQ(memcmp(&before, &given, sizeof given), 0);
    EXPECT_EQ(parloom_options_set(nullptr, "n_jobs", "2", &error), PARLOOM_ERR_INVALID);
}

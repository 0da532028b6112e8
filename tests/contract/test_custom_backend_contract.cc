/* SPDX-License-Identifier: BSD-3-Clause */
/* Backends of the program's own: chosen, asked, and replaced. What they must not do: test_hostile_backend_contract. */
#include "contract/custom.h"

#include <cerrno>

using namespace contract;

namespace
{

int call_inside(const parloom_task *task, void *const *args)
{
    long out[3];
    parloom_arg inner[] = { parloom_out(out, sizeof out) };
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.backend = static_cast<const char *>(args[1]);
    given.n_jobs = 2;
    if (given.backend[0] == '\0') given.backend = nullptr;
    if (parloom_for(3, square, inner, 1, &given, nullptr) != PARLOOM_OK) return 1;
    static_cast<long *>(args[0])[task->index] = out[2];
    return 0;
}

} // namespace

/* ---------------------------------------------------------------- configure */

TEST_F(Custom, IsToldItsParameters)
{
    enlist();
    parloom_options given = naming();
    given.backend_params = "param=42";
    EXPECT_OK(call(given));
    EXPECT_EQ(state.params, "param=42");
    ASSERT_OK(parloom_scope_begin(&given, &error));
    state.params = "";
    EXPECT_OK(call(PARLOOM_OPTIONS_INIT));
    EXPECT_EQ(state.params, "param=42") << "of the scope";
    parloom_scope_end();
    EXPECT_OK(call(naming()));
    EXPECT_EQ(state.params, "");
    given.backend_params = "force=1";
    EXPECT_EQ(call(given), PARLOOM_ERR_INVALID);
    given.backend = "fork";
    ASSERT_OK(parloom_scope_begin(&given, &error));
    EXPECT_OK(call(naming())) << "a scope's are meant for another one";
    parloom_scope_end();
    EXPECT_EQ(call(naming("mine", 0)), PARLOOM_OK);
    EXPECT_EQ(state.asked, 0) << "nobody said how many";
}

TEST_F(Custom, WithoutConfigureHasNoParametersAndAsManyWorkersAsAskedFor)
{
    ops.configure = nullptr;
    enlist();
    EXPECT_OK(call(naming("mine", 5)));
    EXPECT_EQ(report.n_jobs, 5);
    parloom_options given = naming();
    given.backend_params = "param=42";
    EXPECT_EQ(call(given), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("param=42");
}

TEST_F(Custom, WithoutWorkersIsRefused)
{
    enlist();
    state.workers = 0;
    EXPECT_EQ(call(naming()), PARLOOM_ERR_POOL);
    EXPECT_SAYS("mine has no active worker");
    EXPECT_EQ(report.cancelled, static_cast<size_t>(TASKS));
    for (int count : { -1, 1 << 30 }) {
        state.workers = count;
        EXPECT_EQ(call(naming()), PARLOOM_ERR_INTERNAL);
        EXPECT_SAYS("\"mine\" is defective");
    }
    EXPECT_EQ(state.runs, 0);
    parloom_pool *pool = nullptr;
    parloom_options given = naming();
    state.workers = 0;
    EXPECT_EQ(parloom_pool_open(&pool, &given, &error), PARLOOM_ERR_POOL);
}

TEST_F(Custom, LeavesOneJobToTheCaller)
{
    enlist();
    EXPECT_OK(call(naming("mine", 1)));
    EXPECT_STREQ(report.backend, "sequential");
    EXPECT_EQ(state.runs, 0);
}

TEST_F(Custom, HandsACallToAnotherBackend)
{
    enlist();
    state.status = PARLOOM_ERR_UNSUPPORTED;
    EXPECT_EQ(call(naming()), PARLOOM_ERR_UNSUPPORTED);
    EXPECT_SAYS("not today");
    state.fallback = "threads";
    parloom_options given = naming();
    given.backend_params = "param=42";
    EXPECT_OK(call(given));
    EXPECT_STREQ(report.backend, "threads");
    EXPECT_EQ(report.n_jobs, 2);
    state.fallback = "theirs";
    EXPECT_EQ(call(naming()), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("the substitute \"theirs\" is not known");
    state.fallback = "mine";
    EXPECT_EQ(call(naming()), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("in a row");
    state.fallback = "processes";
    given.require = PARLOOM_REQUIRE_SHAREDMEM;
    EXPECT_EQ(call(given), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("does not give what require asks for");
}

/* --------------------------------------------------------- hints and limits */

static std::string last_line;
static void keep_line(int, const char *line, void *)
{
    if (strstr(line, "using the backend") != nullptr) last_line = line;
}

TEST_F(Custom, ThatSharesMemoryIsWhatSharedMemoryAsksFor)
{
    enlist();
    parloom_options scope = naming(), given = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    given.require = PARLOOM_REQUIRE_SHAREDMEM;
    EXPECT_OK(call(given));
    EXPECT_STREQ(report.backend, "mine");
    for (parloom_prefer prefer : { PARLOOM_PREFER_THREADS, PARLOOM_PREFER_PROCESSES }) {
        given = PARLOOM_OPTIONS_INIT;
        given.prefer = prefer;
        EXPECT_OK(call(given));
        EXPECT_STREQ(report.backend, "mine");
    }
    parloom_scope_end();
    given = naming();
    given.task_timeout = 5;
    EXPECT_EQ(call(given), PARLOOM_ERR_UNSUPPORTED);
    given = naming();
    given.require = PARLOOM_REQUIRE_ISOLATION;
    EXPECT_EQ(call(given), PARLOOM_ERR_INVALID);
}

TEST_F(Custom, ThatSharesNoMemoryGivesWayToThreadsAndSaysSo)
{
    ops.flags = 0;
    enlist();
    parloom_set_log(keep_line, nullptr);
    parloom_options scope = naming(), given = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    given.require = PARLOOM_REQUIRE_SHAREDMEM;
    last_line = "";
    EXPECT_OK(call(given));
    EXPECT_STREQ(report.backend, "threads");
    EXPECT_EQ(last_line, "");
    given.verbose = 10;
    EXPECT_OK(call(given));
    EXPECT_EQ(last_line, "using the backend threads instead of mine, which does not share the caller's memory");
    last_line = "";
    given = PARLOOM_OPTIONS_INIT;
    given.verbose = 10;
    given.prefer = PARLOOM_PREFER_THREADS;
    EXPECT_OK(call(given));
    EXPECT_STREQ(report.backend, "mine") << "a hint gives way";
    EXPECT_EQ(last_line, "");
    parloom_scope_end();
    given = naming();
    given.require = PARLOOM_REQUIRE_SHAREDMEM;
    EXPECT_EQ(call(given), PARLOOM_ERR_INVALID) << "named by the call itself";
}

/* ------------------------------------------------------------- operations */

TEST_F(Custom, IsToldOfAnOuterCallOnce)
{
    enlist();
    for (const char *inner : { "", "threads", "mine" }) {
        state.begins = state.ends = 0;
        std::fill(out, out + TASKS, 0);
        parloom_arg args[] = { parloom_out(out, sizeof out), parloom_in(inner, strlen(inner) + 1) };
        parloom_options given = naming();
        ASSERT_OK(parloom_for(TASKS, call_inside, args, 2, &given, &error));
        EXPECT_EQ(out[TASKS - 1], 4);
        EXPECT_EQ(state.begins, 1) << inner;
        EXPECT_EQ(state.ends, 1) << inner;
    }
}

TEST_F(Custom, EndsWhatItSharesOnShutdown)
{
    enlist();
    parloom_shutdown(false);
    EXPECT_EQ(state.shutdowns, 1);
}

static parloom_status refuse(void *, void *, parloom_backend_run *, parloom_error *error)
{
    strcpy(error->message, "the queue is down");
    error->sys_errno = ECONNREFUSED;
    return PARLOOM_ERR_IO;
}

static parloom_status lie(void *, void *, parloom_backend_run *, parloom_error *error)
{
    memset(error->message, 'x', sizeof error->message); /* no end */
    return static_cast<parloom_status>(4711);
}

TEST_F(Custom, ThatCannotRunSaysWhy)
{
    ops.run = refuse;
    enlist();
    EXPECT_EQ(call(naming()), PARLOOM_ERR_IO);
    EXPECT_SAYS("backend \"mine\": the queue is down");
    EXPECT_EQ(error.sys_errno, ECONNREFUSED);
    EXPECT_EQ(report.cancelled, static_cast<size_t>(TASKS));
    ops.run = lie;
    enlist("liar");
    EXPECT_EQ(call(naming("liar")), PARLOOM_ERR_INTERNAL);
    EXPECT_SAYS("run returned 4711");
}

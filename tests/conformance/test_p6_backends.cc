/* SPDX-License-Identifier: BSD-3-Clause */
/* P6: backends, hints, constraints, scopes. */
#include "conformance/conformance.h"

#include <algorithm>

using namespace conformance;

namespace
{

int written_by_main = 1;

/* args[0]: one int a task. */
int note_global(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[0])[task->index] = written_by_main;
    return 0;
}

/* Who ran a call with these options, and how many; an error message in place of the backend where it was refused. */
parloom_report ran(const parloom_options &options, parloom_error *error)
{
    parloom_report report = empty_report();
    parloom_options given = options;
    given.report = &report;
    if (parloom_for(20, do_nothing, nullptr, 0, &given, error) != PARLOOM_OK) report.backend = error->message;
    return report;
}

bool refuses(const parloom_options &options, const char *text, parloom_error *error)
{
    return parloom_for(20, do_nothing, nullptr, 0, &options, error) == PARLOOM_ERR_INVALID && says(*error, text);
}

parloom_options hinted(parloom_prefer prefer, parloom_require require, int n_jobs)
{
    parloom_options made = on(nullptr, n_jobs);
    made.prefer = prefer;
    made.require = require;
    return made;
}

} // namespace

TEST_F(Conformance, P6_01_UnknownBackend)
{
    parloom_options given = on("unknown-backend");
    EXPECT_TRUE(refuses(given, "Invalid backend: backend \"unknown-backend\"", &error)) << error.message;
    EXPECT_EQ(parloom_scope_begin(&given, &error), PARLOOM_ERR_INVALID);
    EXPECT_TRUE(says(error, "Invalid backend: backend \"unknown-backend\"")) << error.message;
}

/* A place that forbids processes, in a program of its own. */
TEST_F(Conformance, P6_04_WithoutProcessesThreadsDoIt)
{
    Ended ended = run_program([] {
        parloom_error failure;
        setenv("PARLOOM_DISABLE_PROCESSES", "1", 1);
        for (const char *backend : process_backends) { /* the first of them is told of */
            parloom_options given = on(backend), plain = PARLOOM_OPTIONS_INIT;
            if (!is(ran(given, &failure).backend, "threads")) return 1;
            if (squares_by(given, 20, &failure) != squares(20)) return 2;
            if (parloom_scope_begin(&given, &failure) != PARLOOM_OK) return 3;
            if (!is(ran(plain, &failure).backend, "threads")) return 4;
            parloom_scope_end();
            given.require = PARLOOM_REQUIRE_ISOLATION;
            if (parloom_for(4, do_nothing, nullptr, 0, &given, &failure) != PARLOOM_ERR_UNSUPPORTED) return 5;
            if (!says(failure, "PARLOOM_DISABLE_PROCESSES")) return 6;
        }
        return is(ran(on("processes", 1), &failure).backend, "sequential") ? 0 : 7;
    });
    EXPECT_EQ(ended.code(), 0);
    EXPECT_NE(ended.err.find("\"processes\" is not available here, falling back to threads"), std::string::npos)
        << ended.err;
    EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << "one warning: " << ended.err;
}

TEST_F(Conformance, P6_05_ScopeDecidesAndEnds)
{
    parloom_options scope = on("threads", 3), other = on("fork", 2), plain = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_STREQ(ran(plain, &error).backend, "threads");
    EXPECT_EQ(ran(plain, &error).n_jobs, 3);
    std::thread([&] {
        parloom_error failure;
        EXPECT_EQ(parloom_effective_n_jobs(0), 1) << "the scope of another thread";
        EXPECT_EQ(parloom_scope_begin(&other, &failure), PARLOOM_OK) << failure.message;
        EXPECT_EQ(parloom_effective_n_jobs(0), 2);
        EXPECT_STREQ(ran(plain, &failure).backend, "fork");
        parloom_scope_end();
    }).join();
    EXPECT_EQ(ran(plain, &error).n_jobs, 3);
    parloom_scope_end();
    EXPECT_EQ(ran(plain, &error).n_jobs, 1);
    EXPECT_STREQ(ran(on(nullptr), &error).backend, "processes");
}

TEST_F(Conformance, P6_09_HintsWithoutAScope)
{
    for (int n_jobs : { 2, -1 }) {
        int jobs = parloom_effective_n_jobs(n_jobs);
        const char *threads = jobs == 1 ? "sequential" : "threads"; /* one core: the caller */
        parloom_options to_threads = hinted(PARLOOM_PREFER_THREADS, PARLOOM_REQUIRE_UNSET, n_jobs);
        EXPECT_STREQ(ran(to_threads, &error).backend, threads);
        parloom_options to_processes = hinted(PARLOOM_PREFER_PROCESSES, PARLOOM_REQUIRE_UNSET, n_jobs);
        EXPECT_STREQ(ran(to_processes, &error).backend, "processes");
        parloom_options to_memory = hinted(PARLOOM_PREFER_UNSET, PARLOOM_REQUIRE_SHAREDMEM, n_jobs);
        EXPECT_STREQ(ran(to_memory, &error).backend, threads);
    }
    for (parloom_prefer prefer : { PARLOOM_PREFER_THREADS, PARLOOM_PREFER_PROCESSES }) /* one job: the caller */
        EXPECT_EQ(workers_of(hinted(prefer, PARLOOM_REQUIRE_UNSET, 1)), std::set<int>{ getpid() });
    EXPECT_EQ(workers_of(hinted(PARLOOM_PREFER_UNSET, PARLOOM_REQUIRE_SHAREDMEM, 1)), std::set<int>{ getpid() });
}

TEST_F(Conformance, P6_11_SharedmemInAScopeOfProcesses)
{
    for (const char *backend : process_backends) {
        parloom_options scope = on(backend, 2);
        ASSERT_OK(parloom_scope_begin(&scope, &error));
        parloom_options unset = hinted(PARLOOM_PREFER_UNSET, PARLOOM_REQUIRE_SHAREDMEM, 0);
        parloom_options three = hinted(PARLOOM_PREFER_UNSET, PARLOOM_REQUIRE_SHAREDMEM, 3);
        EXPECT_STREQ(ran(unset, &error).backend, "threads");
        EXPECT_EQ(ran(unset, &error).n_jobs, 2) << "n_jobs stays what it was";
        EXPECT_STREQ(ran(three, &error).backend, "threads");
        EXPECT_EQ(ran(three, &error).n_jobs, 3);
        parloom_scope_end();
    }
}

TEST_F(Conformance, P6_12_HintsGiveRightResults)
{
    for (parloom_prefer prefer : { PARLOOM_PREFER_UNSET, PARLOOM_PREFER_PROCESSES, PARLOOM_PREFER_THREADS })
        for (int n_jobs : { 1, 2 }) {
            parloom_options given = hinted(prefer, PARLOOM_REQUIRE_UNSET, n_jobs), plain = PARLOOM_OPTIONS_INIT;
            EXPECT_EQ(squares_by(given, 10, &error), squares(10)) << error.message;
            ASSERT_OK(parloom_scope_begin(&given, &error));
            EXPECT_EQ(squares_by(plain, 10, &error), squares(10)) << error.message;
            parloom_scope_end();
        }
}

TEST_F(Conformance, P6_15_BackendOfTheCallAgainstRequire)
{
    for (const char *backend : process_backends) {
        parloom_options given = on(backend);
        given.require = PARLOOM_REQUIRE_SHAREDMEM;
        EXPECT_TRUE(refuses(given, "sharedmem", &error)) << error.message;
        EXPECT_TRUE(says(error, backend)) << error.message;
    }
}

TEST_F(Conformance, P6_16_HintsThatMakeNoSense)
{
    parloom_options given = PARLOOM_OPTIONS_INIT;
    EXPECT_EQ(parloom_options_set(&given, "prefer", "invalid", &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_options_set(&given, "require", "invalid", &error), PARLOOM_ERR_INVALID);
    given.prefer = static_cast<parloom_prefer>(9);
    EXPECT_TRUE(refuses(given, "prefer", &error)) << error.message;
    given = PARLOOM_OPTIONS_INIT;
    given.require = static_cast<parloom_require>(9);
    EXPECT_TRUE(refuses(given, "require", &error)) << error.message;
    given = hinted(PARLOOM_PREFER_PROCESSES, PARLOOM_REQUIRE_SHAREDMEM, 2);
    EXPECT_TRUE(refuses(given, "sharedmem", &error)) << error.message;
    given = on("processes");
    given.require = PARLOOM_REQUIRE_SHAREDMEM;
    EXPECT_TRUE(refuses(given, "sharedmem", &error)) << error.message;
}

TEST_F(Conformance, P6_19_StartMethodIsTheOneThatWasNamed)
{
    written_by_main = 2;
    std::vector<int> found(10);
    parloom_arg args[] = { contract::out(found) };
    parloom_options by_fork = on("fork"), by_exec = on("processes");
    ASSERT_OK(parloom_for(10, note_global, args, 1, &by_fork, &error));
    EXPECT_EQ(found, std::vector<int>(10, 2)) << "fork: what main wrote is inherited";
    ASSERT_OK(parloom_for(10, note_global, args, 1, &by_exec, &error));
    EXPECT_EQ(found, std::vector<int>(10, 1)) << "processes: started anew";
    EXPECT_STREQ(ran(by_fork, &error).backend, "fork");
    EXPECT_STREQ(ran(by_exec, &error).backend, "processes");
    written_by_main = 1;
}

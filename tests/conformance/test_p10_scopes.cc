/* SPDX-License-Identifier: BSD-3-Clause */
/* P10: configuration scopes; P11: sizes as text. */
#include "conformance/conformance.h"
#include "conformance/product.h"

using namespace conformance;

namespace
{

parloom_report ran(const parloom_options &options, parloom_error *error)
{
    parloom_report report = empty_report();
    parloom_options given = options;
    given.report = &report;
    if (parloom_for(20, do_nothing, nullptr, 0, &given, error) != PARLOOM_OK) report.backend = error->message;
    return report;
}

/* args[0]: private data. Succeeds where it was spilled. */
int is_spilled(const parloom_task *, void *const *args)
{
    return parloom_is_shared(args[0]) ? 0 : 1;
}

/* How many threads a region has in a task; the task fails with another number than one. */
int has_one_thread(const parloom_task *, void *const *)
{
    return team_of_openmp() == 1 ? 0 : 1;
}

size_t parsed(const char *text)
{
    parloom_options options = PARLOOM_OPTIONS_INIT;
    parloom_error error;
    EXPECT_EQ(parloom_options_set(&options, "max_nbytes", text, &error), PARLOOM_OK) << error.message;
    return options.max_nbytes;
}

} // namespace

TEST_F(Conformance, P10_01_DefaultHoldsUntilItIsTakenBack)
{
    parloom_options chosen = on("threads", 2), plain = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_set_defaults(&chosen, &error));
    EXPECT_STREQ(ran(plain, &error).backend, "threads");
    std::thread([&] { EXPECT_EQ(parloom_effective_n_jobs(0), 2); }).join();
    ASSERT_OK(parloom_set_defaults(nullptr, &error));
    EXPECT_EQ(parloom_effective_n_jobs(0), 1);
    EXPECT_STREQ(ran(on(nullptr), &error).backend, "processes");
}

TEST_F(Conformance, P10_04_CallWinsOverItsScope)
{
    std::vector<char> data(size_t{ 2 } << 20);
    parloom_arg args[] = { contract::in(data) };
    parloom_report report = empty_report();
    parloom_options scope = on("processes", 3), given = PARLOOM_OPTIONS_INIT;
    scope.max_nbytes = PARLOOM_NEVER;
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    given.n_jobs = 2;
    given.max_nbytes = size_t{ 1 } << 20;
    given.report = &report;
    EXPECT_OK(parloom_for(4, is_spilled, args, 1, &given, &error));
    EXPECT_EQ(report.n_jobs, 2);
    EXPECT_EQ(report.spilled_nbytes, data.size());
    given.max_nbytes = 0;
    EXPECT_OK(parloom_for(4, do_nothing, args, 1, &given, &error));
    EXPECT_EQ(report.spilled_nbytes, 0u) << "the scope says never";
    parloom_scope_end();
}

TEST_F(Conformance, P10_05_HintsOfAScopeThatMakeNoSense)
{
    for (const char *name : { "prefer", "require" }) {
        parloom_options scope = PARLOOM_OPTIONS_INIT;
        EXPECT_EQ(parloom_options_set(&scope, name, "wrong", &error), PARLOOM_ERR_INVALID);
        EXPECT_TRUE(says(error, name)) << error.message;
        EXPECT_TRUE(says(error, "wrong")) << error.message;
    }
    parloom_options scope = PARLOOM_OPTIONS_INIT;
    scope.prefer = static_cast<parloom_prefer>(7);
    EXPECT_EQ(parloom_scope_begin(&scope, &error), PARLOOM_ERR_INVALID);
    EXPECT_TRUE(says(error, "prefer")) << error.message;
}

TEST_F(Conformance, P10_07_InnerScopesInherit)
{
    parloom_options outer = on("threads", 3), inner = PARLOOM_OPTIONS_INIT, innermost = PARLOOM_OPTIONS_INIT;
    parloom_options plain = PARLOOM_OPTIONS_INIT;
    inner.n_jobs = 2;
    innermost.backend = "processes";
    ASSERT_OK(parloom_scope_begin(&outer, &error));
    ASSERT_OK(parloom_scope_begin(&inner, &error));
    EXPECT_STREQ(ran(plain, &error).backend, "threads");
    EXPECT_EQ(ran(plain, &error).n_jobs, 2);
    ASSERT_OK(parloom_scope_begin(&innermost, &error));
    EXPECT_STREQ(ran(plain, &error).backend, "processes");
    EXPECT_EQ(ran(plain, &error).n_jobs, 2);
    parloom_scope_end();
    parloom_scope_end();
    EXPECT_STREQ(ran(plain, &error).backend, "threads");
    EXPECT_EQ(ran(plain, &error).n_jobs, 3);
    parloom_scope_end();
}

TEST_F(Conformance, P10_08_InnerThreadsOnThreads)
{
    for (const char *backend : parallel_backends) {
        parloom_options scope = on(backend), plain = PARLOOM_OPTIONS_INIT;
        scope.inner_max_num_threads = 1;
        ASSERT_OK(parloom_scope_begin(&scope, &error));
        EXPECT_STREQ(ran(plain, &error).backend, backend);
        EXPECT_OK(parloom_for(8, has_one_thread, nullptr, 0, &plain, &error)) << backend;
        parloom_scope_end();
    }
}

TEST_F(Conformance, P10_09_UnsetJobsAreThoseOfTheScope)
{
    parloom_options scope = on("threads", 2), plain = PARLOOM_OPTIONS_INIT;
    EXPECT_EQ(ran(plain, &error).n_jobs, 1);
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_EQ(ran(plain, &error).n_jobs, 2);
    parloom_scope_end();
    scope.n_jobs = 0;
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_EQ(ran(plain, &error).n_jobs, 1);
    parloom_scope_end();
}

TEST_F(Conformance, P10_10_OneJobInAnInnerScope)
{
    parloom_options outer = on("threads", 2), inner = PARLOOM_OPTIONS_INIT, plain = PARLOOM_OPTIONS_INIT;
    inner.n_jobs = 1;
    ASSERT_OK(parloom_scope_begin(&outer, &error));
    ASSERT_OK(parloom_scope_begin(&inner, &error));
    EXPECT_EQ(ran(plain, &error).n_jobs, 1);
    EXPECT_EQ(parloom_effective_n_jobs(0), 1);
    parloom_scope_end();
    EXPECT_EQ(ran(plain, &error).n_jobs, 2);
    parloom_scope_end();
}

TEST_F(Conformance, P11_05_SizesAsText)
{
    EXPECT_EQ(parsed("80G"), size_t{ 80 } << 30);
    EXPECT_EQ(parsed("1.4M"), static_cast<size_t>(1.4 * (1 << 20)));
    EXPECT_EQ(parsed("120M"), size_t{ 120 } << 20);
    EXPECT_EQ(parsed("53K"), size_t{ 53 } << 10);
}

TEST_F(Conformance, P11_06_TextThatIsNoSize)
{
    parloom_options options = PARLOOM_OPTIONS_INIT;
    for (const char *text : { "fooG", "1.4N" }) {
        EXPECT_EQ(parloom_options_set(&options, "max_nbytes", text, &error), PARLOOM_ERR_INVALID) << text;
        EXPECT_TRUE(says(error, text)) << error.message;
        EXPECT_EQ(options.max_nbytes, 0u);
    }
}

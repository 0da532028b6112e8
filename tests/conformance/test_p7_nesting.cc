/* SPDX-License-Identifier: BSD-3-Clause */
/* P7: calls in tasks, and how many threads there are then. */
#include "conformance/conformance.h"
#include "conformance/product.h"

using namespace conformance;

namespace
{

const int DEPTH = 4;

int note_inner_level(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[0])[task->index] = task->level;
    return 0;
}

/* args[0]: text, the inner backend; args[1]: one int a task: its level + 10, where all is well inside. */
int call_inside(const parloom_task *task, void *const *args)
{
    int levels[4] = { -1, -1, -1, -1 };
    parloom_arg inner[] = { parloom_out(levels, sizeof levels) };
    parloom_options given = on(static_cast<const char *>(args[0]));
    if (is(task->backend, "threads")) given.backend_params = nullptr;
    parloom_error error;
    parloom_status status = parloom_for(4, note_inner_level, inner, 1, &given, &error);
    if (status != PARLOOM_OK) return parloom_fail(task, status, "%s", error.message);
    for (int level : levels)
        if (level != 1) return parloom_fail(task, 1, "level %d", level);
    static_cast<int *>(args[1])[task->index] = task->level + 10;
    return 0;
}

struct step {
    char backend[16];
    int level;
};

/* args[0]: DEPTH steps. Goes deeper by calls that name no backend. */
int go_deeper(const parloom_task *task, void *const *args)
{
    auto *steps = static_cast<step *>(args[0]);
    if (task->index != 0) return 0;
    strncpy(steps[task->level].backend, task->backend, sizeof steps->backend - 1);
    steps[task->level].level = task->level;
    if (task->level == DEPTH - 1) return 0;
    parloom_arg inner[] = { parloom_inout(steps, DEPTH * sizeof *steps) };
    parloom_options given = on(nullptr);
    return parloom_for(2, go_deeper, inner, 1, &given, nullptr);
}

/* Passes on what ended it. */
int recurse_for_ever(const parloom_task *task, void *const *)
{
    parloom_options given = on(nullptr);
    parloom_error error;
    parloom_status status = parloom_for(2, recurse_for_ever, nullptr, 0, &given, &error);
    return parloom_fail(task, status, "%s", error.message);
}

int note_team(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[0])[task->index] = team_of_openmp();
    return 0;
}

int multiply(const parloom_task *task, void *const *args)
{
    static_cast<double *>(args[0])[task->index] = product_by_openmp();
    return 0;
}

/* args[0]: text, the inner backend, or ""; args[1]: one long a task: how many workers its own call of two had. */
int ask_for_two(const parloom_task *task, void *const *args)
{
    const char *inner = static_cast<const char *>(args[0]);
    parloom_report report = empty_report();
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.backend = inner;
    given.n_jobs = 2;
    given.report = &report;
    parloom_error error;
    parloom_status status = parloom_for(4, do_nothing, nullptr, 0, &given, &error);
    if (status != PARLOOM_OK) return parloom_fail(task, status, "%s", error.message);
    static_cast<long *>(args[1])[task->index] = report.n_jobs;
    return 0;
}

/* What the inner calls of four tasks were given. A program of its own, whose workers' words are heard too. */
Ended ask_for_two_inside(const char *outer, const char *inner, long wanted)
{
    return run_program([&] {
        std::vector<long> given_jobs(4, -1);
        char name[16] = "";
        strncpy(name, inner, sizeof name - 1);
        parloom_arg args[] = { parloom_in(name, sizeof name), contract::out(given_jobs) };
        parloom_options given = on(outer);
        given.backend_params = nullptr;
        if (parloom_for(4, ask_for_two, args, 2, &given, nullptr) != PARLOOM_OK) return 1;
        return given_jobs == std::vector<long>(4, wanted) ? 0 : 2;
    });
}

/* args[0]: one seen: what a call would be that says nothing. */
struct seen {
    char backend[16];
    int n_jobs;
};

int look_below(const parloom_task *, void *const *args)
{
    auto *seen = static_cast<struct seen *>(args[0]);
    parloom_report report = empty_report();
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.report = &report;
    seen->n_jobs = parloom_effective_n_jobs(0);
    if (parloom_for(4, do_nothing, nullptr, 0, &given, nullptr) != PARLOOM_OK) return 1;
    strncpy(seen->backend, report.backend, sizeof seen->backend - 1);
    return 0;
}

/* The levels that four tasks saw, each with a call inside. */
parloom_status call_in_calls(const char *outer, const char *inner, std::vector<int> *levels, parloom_error *error)
{
    char name[16] = "";
    strncpy(name, inner, sizeof name - 1);
    levels->assign(4, -1);
    parloom_arg args[] = { parloom_in(name, sizeof name), contract::out(*levels) };
    parloom_options given = on(outer);
    return parloom_for(4, call_inside, args, 2, &given, error);
}

} // namespace

/* A fork beside threads that run cannot be had: the child could wait for ever for a lock that one of them holds. */
const char *const without_fork = "fork-backed parallel loops cannot be nested below threads, setting n_jobs=1";

/* joblib cannot nest most of these; here only the fork cannot be had, and its caller does the work. */
TEST_F(Conformance, P7_02_WarnsOnceOfWhatCannotBeNested)
{
    const char *const pairs[][2] = {
        { "processes", "fork" }, { "fork", "fork" },         { "fork", "processes" },
        { "threads", "fork" },   { "threads", "processes" }, { "processes", "processes" }
    };
    for (const auto &pair : pairs) {
        bool is_refused = is(pair[0], "threads") && is(pair[1], "fork");
        Ended ended = ask_for_two_inside(pair[0], pair[1], is_refused ? 1 : 2);
        EXPECT_EQ(ended.code(), 0) << pair[0] << " > " << pair[1] << ": " << ended.err;
        size_t first = ended.err.find("cannot be nested"), last = ended.err.rfind("cannot be nested");
        EXPECT_EQ(first != std::string::npos, is_refused) << pair[0] << " > " << pair[1] << ": " << ended.err;
        EXPECT_EQ(first, last) << "four tasks, one warning: " << ended.err;
    }
}

TEST_F(Conformance, P7_05_SequentialOuterCallChangesNothing)
{
    for (const char *chosen : every_backend) {
        parloom_options scope = on(chosen), outer = on("sequential", 1);
        seen found = {};
        parloom_arg args[] = { parloom_inout(&found, sizeof found) };
        ASSERT_OK(parloom_scope_begin(&scope, &error));
        EXPECT_OK(parloom_for(1, look_below, args, 1, &outer, &error)) << chosen;
        EXPECT_STREQ(found.backend, chosen);
        EXPECT_EQ(found.n_jobs, is(chosen, "sequential") ? 1 : 2);
        parloom_scope_end();
    }
    seen found = {};
    parloom_arg args[] = { parloom_inout(&found, sizeof found) };
    parloom_options outer = on("sequential", 1);
    EXPECT_OK(parloom_for(1, look_below, args, 1, &outer, &error));
    EXPECT_EQ(found.n_jobs, 1) << "nobody said anything";
}

TEST_F(Conformance, P7_03_EveryPairOfBackendsFinishes)
{
    std::vector<int> levels;
    announce(without_fork);
    for (const char *outer : every_backend)
        for (const char *inner : every_backend)
            EXPECT_OK(call_in_calls(outer, inner, &levels, &error)) << outer << " > " << inner;
}

TEST_F(Conformance, P7_06_LevelsOfNestedCalls)
{
    std::vector<int> levels;
    announce(without_fork);
    for (const char *outer : every_backend)
        for (const char *inner : every_backend) {
            ASSERT_OK(call_in_calls(outer, inner, &levels, &error)) << outer << " > " << inner;
            EXPECT_EQ(levels, std::vector<int>(4, 10)) << outer << " > " << inner << ": 0 outside, 1 inside";
        }
}

TEST_F(Conformance, P7_07_ChosenThenThreadsThenSequential)
{
    for (const char *chosen : parallel_backends) {
        step steps[DEPTH] = {};
        parloom_arg args[] = { parloom_inout(steps, sizeof steps) };
        parloom_options given = on(chosen);
        ASSERT_OK(parloom_for(2, go_deeper, args, 1, &given, &error)) << chosen;
        const char *expected[DEPTH] = { chosen, "threads", "sequential", "sequential" };
        for (int k = 0; k < DEPTH; k++) {
            EXPECT_STREQ(steps[k].backend, expected[k]) << chosen << k;
            EXPECT_EQ(steps[k].level, k) << chosen;
        }
    }
}

TEST_F(Conformance, P7_08_RecursionWithoutEndIsRefused)
{
    for (const char *chosen : every_backend) {
        parloom_options given = on(chosen);
        EXPECT_EQ(parloom_for(2, recurse_for_ever, nullptr, 0, &given, &error), PARLOOM_ERR_TASK) << chosen;
        EXPECT_TRUE(says(error, "nested")) << error.message;
        EXPECT_EQ(error.code, PARLOOM_ERR_TASK) << "the task whose call was refused failed, and so on upwards";
    }
}

TEST_F(Conformance, P7_11_InnerThreadsOfAScope)
{
    for (const char *backend : process_backends)
        for (int count : { 1, 2, 4, 0 }) {
            std::vector<int> found(8);
            parloom_arg args[] = { contract::out(found) };
            parloom_options scope = on(backend), plain = PARLOOM_OPTIONS_INIT;
            scope.inner_max_num_threads = count;
            ASSERT_OK(parloom_scope_begin(&scope, &error));
            EXPECT_OK(parloom_for(8, note_team, args, 1, &plain, &error));
            parloom_scope_end();
            int automatic = std::max(parloom_cpu_count(false) / 2, 1);
            EXPECT_EQ(found, std::vector<int>(8, count > 0 ? count : automatic)) << backend;
        }
}

TEST_F(Conformance, P7_13_OpenMPInTheProgramAndThenInWorkers)
{
    double expected = product_by_openmp();
    std::vector<double> found(6);
    parloom_arg args[] = { contract::out(found) };
    parloom_options given = on("processes");
    for (int round = 0; round < 3; round++) {
        ASSERT_OK(parloom_for(found.size(), multiply, args, 1, &given, &error));
        EXPECT_EQ(found, std::vector<double>(6, expected));
        EXPECT_EQ(product_by_openmp(), expected);
    }
}

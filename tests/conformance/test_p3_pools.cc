/* SPDX-License-Identifier: BSD-3-Clause */
/* P3: pools, what their workers are prepared with, and when they are used again. */
#include "conformance/conformance.h"

using namespace conformance;

namespace
{

int prepared_with;

int prepare(void *state)
{
    prepared_with = *static_cast<int *>(state);
    return 0;
}

/* args[0]: one int a task: what its worker was prepared with. */
int note_preparation(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[0])[task->index] = prepared_with;
    return 0;
}

parloom_options prepared(const char *backend, const int *with, int n_jobs = 2)
{
    parloom_options made = on(backend, n_jobs);
    made.worker_init = prepare;
    made.worker_init_state = with;
    made.worker_init_state_nbytes = sizeof *with;
    return made;
}

std::vector<int> preparations(const parloom_options &options, parloom_error *error)
{
    std::vector<int> found(100, -1);
    parloom_arg args[] = { contract::out(found) };
    parloom_options given = options;
    given.batch_size = 1;
    EXPECT_EQ(parloom_for(found.size(), note_preparation, args, 1, &given, error), PARLOOM_OK) << error->message;
    return found;
}

} // namespace

TEST_F(Conformance, P3_01_CallsOfAPoolUseTheSameWorkers)
{
    parloom_options opening = on("processes", 4), given = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
    std::set<int> first = workers_of(given), second = workers_of(given);
    EXPECT_EQ(first.size(), 4u);
    EXPECT_EQ(first, second);
    parloom_pool_close(given.pool);
}

TEST_F(Conformance, P3_02_NothingOfAPoolStays)
{
    parloom_options opening = on("processes", 4), given = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
    std::set<int> of_pool = workers_of(given);
    parloom_pool_close(given.pool);
    for (int pid : of_pool) EXPECT_TRUE(comes_true([&] { return is_gone(pid); }));
    std::set<int> shared = workers_of(on("processes", 4)); /* the same options, without the pool */
    EXPECT_EQ(shared.size(), 4u);
    for (int pid : shared) EXPECT_EQ(of_pool.count(pid), 0u);
    parloom_shutdown(false);
    for (int pid : shared) EXPECT_TRUE(comes_true([&] { return is_gone(pid); }));
}

TEST_F(Conformance, P3_04_InitOfAScopeRunsBeforeAnyTask)
{
    for (const char *backend : process_backends) {
        int with = 42;
        parloom_options scope = prepared(backend, &with), given = PARLOOM_OPTIONS_INIT;
        ASSERT_OK(parloom_scope_begin(&scope, &error));
        EXPECT_EQ(preparations(given, &error), std::vector<int>(100, 42)) << backend;
        parloom_scope_end();
    }
}

TEST_F(Conformance, P3_05_InitOfACallRunsBeforeAnyTask)
{
    for (const char *backend : process_backends) {
        int with = 43;
        EXPECT_EQ(preparations(prepared(backend, &with), &error), std::vector<int>(100, 43)) << backend;
    }
}

TEST_F(Conformance, P3_06_EqualInitKeepsTheWorkers)
{
    std::set<int> pids;
    for (int call = 0; call < 3; call++) {
        int with = 7; /* equal, not the same */
        std::set<int> workers = workers_of(prepared("processes", &with));
        pids.insert(workers.begin(), workers.end());
    }
    EXPECT_EQ(pids.size(), 2u);
}

TEST_F(Conformance, P3_07_AnotherInitReplacesTheWorkers)
{
    std::set<int> pids;
    for (int with : { 1, 2, 3 }) {
        parloom_options given = prepared("processes", &with);
        std::set<int> workers = workers_of(given);
        pids.insert(workers.begin(), workers.end());
        EXPECT_EQ(preparations(given, &error), std::vector<int>(100, with));
    }
    EXPECT_EQ(pids.size(), 6u);
}

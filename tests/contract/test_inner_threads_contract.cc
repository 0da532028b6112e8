/* SPDX-License-Identifier: BSD-3-Clause */
/* How many OpenMP threads a task may start, and that the caller has its own again afterwards. */
#include "contract/places.h"

#include <omp.h>

using namespace contract;

namespace
{

enum { TASKS = 8 };

int note_most_threads(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[0])[task->index] = omp_get_max_threads();
    return 0;
}

} // namespace

class InnerThreads : public Placed
{
  protected:
    std::vector<int> found = std::vector<int>(TASKS);
    parloom_arg args[1] = { out(found) };
};
INSTANTIATE_TEST_SUITE_P(On, InnerThreads, ::testing::ValuesIn(every_place), name_of);

TEST_P(InnerThreads, AreAsManyAsTheCallSays)
{
    int before = omp_get_max_threads();
    for (int count : { 3, 1, 5 }) {
        parloom_options given = options();
        given.inner_max_num_threads = count;
        ASSERT_OK(parloom_for(TASKS, note_most_threads, args, 1, &given, &error));
        EXPECT_EQ(found, std::vector<int>(TASKS, count));
        EXPECT_EQ(omp_get_max_threads(), before) << "the caller's own are as they were";
    }
}

TEST_P(InnerThreads, AreAsManyAsTheScopeOrThePoolSays)
{
    int before = omp_get_max_threads();
    parloom_pool *pool = nullptr;
    parloom_options given = options(), on_pool = PARLOOM_OPTIONS_INIT, scope = PARLOOM_OPTIONS_INIT;
    scope.inner_max_num_threads = 4;
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_OK(parloom_for(TASKS, note_most_threads, args, 1, &given, &error));
    EXPECT_EQ(found, std::vector<int>(TASKS, 4));
    given.inner_max_num_threads = 3;
    EXPECT_OK(parloom_pool_open(&pool, &given, &error));
    on_pool.pool = pool;
    EXPECT_OK(parloom_for(TASKS, note_most_threads, args, 1, &on_pool, &error));
    EXPECT_EQ(found, std::vector<int>(TASKS, 3));
    parloom_scope_end();
    parloom_pool_close(pool);
    EXPECT_EQ(omp_get_max_threads(), before);
}

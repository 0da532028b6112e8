/* SPDX-License-Identifier: BSD-3-Clause */
/* P2: dispatch and batching of loops. */
#include "conformance/conformance.h"

using namespace conformance;

namespace
{

const size_t TINY = 5000;

/* args[0]: one long a task; args[1]: one int a worker: whether it has run anything. Task 0 waits for another one. */
int square_in_company(const parloom_task *task, void *const *args)
{
    auto *has_run = static_cast<std::atomic<int> *>(args[1]);
    has_run[task->worker] = 1;
    if (task->index == 0) {
        auto is_in_company = [&] { return has_run[0] + has_run[1] == 2; };
        if (!comes_true(is_in_company)) return parloom_fail(task, 1, "one worker was given all that there is");
    }
    return square(task, args);
}

/* args[0]: one size_t a task: how many were handed over together with it. */
int note_batch(const parloom_task *task, void *const *args)
{
    for (size_t i = task->begin; i < task->end; i++) static_cast<size_t *>(args[0])[i] = task->end - task->begin;
    return 0;
}

int take_a_while_and_note_batch(const parloom_task *task, void *const *args)
{
    usleep(4000);
    return note_batch(task, args);
}

} // namespace

TEST_F(Conformance, P2_04_TinyTasksOnThreads)
{
    std::vector<long> found(TINY, -1);
    Shared<std::atomic<int>> has_run(2);
    parloom_arg args[] = { contract::out(found), parloom_inout(has_run.get(), 2 * sizeof(int)) };
    parloom_options given = on("threads");
    ASSERT_OK(parloom_for(TINY, square_in_company, args, 2, &given, &error));
    EXPECT_EQ(found, squares(TINY));
}

TEST_F(Conformance, P2_05_TinyTasksAreBatchedInProcesses)
{
    for (const char *backend : process_backends) {
        std::vector<size_t> batches(TINY, 0);
        parloom_arg args[] = { contract::out(batches) };
        parloom_options given = on(backend);
        ASSERT_OK(parloom_for_range(TINY, note_batch, args, 1, &given, &error)) << backend;
        size_t largest = 0;
        for (size_t batch : batches) {
            EXPECT_GT(batch, 0u) << backend;
            largest = std::max(largest, batch);
        }
        EXPECT_GT(largest, 1u) << backend;
    }
}

TEST_F(Conformance, P2_06_BatchesBeginSmallInEachCall)
{
    for (const char *backend : process_backends) {
        parloom_options given = on(backend);
        std::vector<size_t> tiny(500, 0);
        parloom_arg warming[] = { contract::out(tiny) };
        for (int run = 0; run < 2; run++) {
            std::vector<size_t> batches(20, 0);
            parloom_arg args[] = { contract::out(batches) };
            ASSERT_OK(parloom_for_range(500, note_batch, warming, 1, &given, &error)) << backend;
            ASSERT_OK(parloom_for_range(20, take_a_while_and_note_batch, args, 1, &given, &error)) << backend;
            EXPECT_EQ(batches[0], 1u) << backend << ": what the last call measured is forgotten";
        }
    }
}

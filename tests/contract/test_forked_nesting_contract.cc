/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls on threads in a process that was forked after such calls: libgomp's own threads stay behind. */
#include "contract/places.h"
#include "support/waiting.h"

#include <atomic>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace contract;

namespace
{

enum { TASKS = 30 };

int square(const parloom_task *task, void *const *args)
{
    static_cast<uint64_t *>(args[0])[task->index] = task->index * task->index;
    return 0;
}

parloom_status call_on_threads(std::vector<uint64_t> *squares, parloom_error *error)
{
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.backend = "threads";
    given.n_jobs = 3;
    parloom_arg args[] = { out(*squares) };
    return parloom_for(squares->size(), square, args, 1, &given, error);
}

std::vector<uint64_t> squares()
{
    std::vector<uint64_t> made(TASKS);
    for (size_t k = 0; k < TASKS; k++) made[k] = k * k;
    return made;
}

/* args: a word a task; 1: a call on threads did its work here. */
int call_within(const parloom_task *task, void *const *args)
{
    parloom_error error;
    std::vector<uint64_t> found(TASKS);
    if (call_on_threads(&found, &error) != PARLOOM_OK) return parloom_fail(task, 1, "%s", error.message);
    *static_cast<int *>(args[0]) = found == squares();
    return 0;
}

} // namespace

class ForkedNesting : public loom::Clean
{
  protected:
    void run_here()
    {
        std::vector<uint64_t> found(TASKS);
        ASSERT_OK(call_on_threads(&found, &error));
        EXPECT_EQ(found, squares());
    }
    /* Workers are forked whatever other threads there are. */
    void run_in_forked_workers()
    {
        std::vector<int> was_right(4);
        parloom_options given = PARLOOM_OPTIONS_INIT;
        given.backend = "fork";
        given.backend_params = "force=1";
        given.n_jobs = 2;
        given.timeout = 30; /* not for ever */
        parloom_arg args[] = { parloom_each(out(was_right), sizeof(int)) };
        EXPECT_OK(parloom_for(was_right.size(), call_within, args, 1, &given, &error));
        EXPECT_EQ(was_right, std::vector<int>(4, 1));
    }
    parloom_error error = {};
};

TEST_F(ForkedNesting, WorksWhereForkIsForcedAfterCallsOnThreads)
{
    for (int round = 0; round < 3; round++) {
        ASSERT_NO_FATAL_FAILURE(run_here());
        run_in_forked_workers();
    }
}

TEST_F(ForkedNesting, WorksWhereForkIsForcedBesideAnotherThread)
{
    std::atomic<bool> is_over{ false };
    std::thread other([&] { EXPECT_TRUE(loom::comes_true([&] { return is_over.load(); }, 60)); });
    for (int round = 0; round < 3; round++) {
        run_here();
        run_in_forked_workers();
    }
    is_over = true;
    other.join();
}

TEST_F(ForkedNesting, WorksInAProgramThatWasForkedAfterCallsOnThreads)
{
    for (int round = 0; round < 3; round++) {
        ASSERT_NO_FATAL_FAILURE(run_here());
        pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            (void)alarm(20); /* one that waits for ever is killed */
            std::vector<uint64_t> found(TASKS), again(TASKS);
            bool is_right = call_on_threads(&found, &error) == PARLOOM_OK && found == squares() &&
                            call_on_threads(&again, &error) == PARLOOM_OK && again == found;
            _exit(is_right ? 0 : 1);
        }
        int status = -1;
        EXPECT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0) << "in the child";
    }
}

/* And in a child that has run none, they are calls on threads as anywhere. */
TEST_F(ForkedNesting, WorksInAProgramThatWasForkedBefore)
{
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        (void)alarm(20);
        std::vector<uint64_t> found(TASKS);
        bool is_right = call_on_threads(&found, &error) == PARLOOM_OK && found == squares();
        _exit(is_right && warnings().empty() ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

// SPDX-License-Identifier: BSD-3-Clause
/*
 * test_constructors.cc - a static object that makes parallel calls and shared memory before main. Its constructor runs
 * again in the supervisor, where it must neither start a supervisor of its own, and so on for ever, nor take the
 * addresses of the program's memory.
 */
#include <gtest/gtest.h>
#include <parloom/parloom.h>
#include <unistd.h>

namespace
{

int note_pid(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[0])[task->index] = static_cast<int>(getpid());
    return 0;
}

parloom_status call(int *pids, parloom_error *error)
{
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.backend = "processes";
    options.n_jobs = 2;
    parloom_arg args[] = { parloom_out(pids, 4 * sizeof *pids) };
    return parloom_for(4, note_pid, args, 1, &options, error);
}

struct Early {
    Early() : memory(static_cast<int *>(parloom_alloc(4 * sizeof(int), &error))), status(call(pids, &error)) {}
    parloom_error error;
    int pids[4];
    int *memory;
    parloom_status status;
} early;

TEST(Constructor, MayMakeParallelCallsBeforeMain)
{
    ASSERT_EQ(early.status, PARLOOM_OK) << early.error.message;
    ASSERT_NE(early.memory, nullptr);
    for (int pid : early.pids) EXPECT_NE(pid, static_cast<int>(getpid()));
}

TEST(Constructor, DoesNotKeepLaterCallsFromWorking)
{
    int *late = static_cast<int *>(parloom_alloc(4 * sizeof(int), nullptr));
    ASSERT_NE(late, nullptr);
    for (int *pids : { early.memory, late }) {
        parloom_error error;
        ASSERT_EQ(call(pids, &error), PARLOOM_OK) << error.message;
        for (int k = 0; k < 4; k++) EXPECT_NE(pids[k], static_cast<int>(getpid()));
    }
    parloom_free(late);
}

} // namespace

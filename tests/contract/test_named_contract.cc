/* SPDX-License-Identifier: BSD-3-Clause */
/* Named arrays as arguments: on every backend tasks have the array itself, with the mode it was opened with. */
#include "contract/mapped_files.h"
#include "support/waiting.h"

#include <csignal>
#include <sys/wait.h>

using namespace contract;

namespace
{

/* args: a name; one found a task. Opens the array itself. */
int open_within(const parloom_task *task, void *const *args)
{
    parloom_array array;
    parloom_error error;
    if (parloom_array_open_named(&array, static_cast<const char *>(args[0]), PARLOOM_MMAP_R, &error) != PARLOOM_OK)
        return parloom_fail(task, 1, "%s", error.message);
    *static_cast<found *>(args[1]) = look_at(array);
    parloom_array_release(&array);
    return 0;
}

/* args: a name; an array. Makes an array and leaves its name. */
int create_within(const parloom_task *task, void *const *args)
{
    parloom_array made;
    parloom_error error;
    const parloom_array &given = array_of(args[1]);
    if (parloom_array_create_named(&made, static_cast<const char *>(args[0]), PARLOOM_F64, 0, 1, given.shape, nullptr,
                                   &error) != PARLOOM_OK)
        return parloom_fail(task, 1, "%s", error.message);
    for (size_t i = 0; i < given.shape[0]; i++) items_of(made)[i] = items_of(given)[i];
    parloom_array_release(&made);
    return 0;
}

/* args: an array; one found a task. Task 4 ends its worker. */
int die_in_task_4(const parloom_task *task, void *const *args)
{
    if (task->index == 4) raise(SIGKILL);
    return look(task, args);
}

/* args: a shared word. */
int tell_and_wait(const parloom_task *, void *const *args)
{
    auto *word = static_cast<uint32_t *>(args[0]);
    __atomic_store_n(word, 1u, __ATOMIC_RELEASE);
    return loom::comes_true([] { return false; }) ? 1 : 2;
}

} // namespace

class NamedArgument : public MappedFile
{
  protected:
    void SetUp() override
    {
        MappedFile::SetUp();
        name = "parloom-test-" + std::to_string(getpid());
        const size_t count = COUNT;
        ASSERT_OK(parloom_array_create_named(&array, name.c_str(), PARLOOM_F64, 0, 1, &count, nullptr, &error));
        for (size_t i = 0; i < COUNT; i++) items_of(array)[i] = 0.5 + static_cast<double>(i);
    }
    void TearDown() override
    {
        parloom_array_release(&array);
        (void)unlink(("/dev/shm/" + name).c_str());
        MappedFile::TearDown();
    }
    void open(parloom_mmap_mode mode, parloom_array *array_out)
    {
        ASSERT_OK(parloom_array_open_named(array_out, name.c_str(), mode, &error));
    }
    size_t clean()
    {
        size_t removed = 0;
        EXPECT_OK(parloom_clean_named(name.c_str(), &removed, &error));
        return removed;
    }
    parloom_array array = {};
    std::string name;
};
INSTANTIATE_TEST_SUITE_P(On, NamedArgument, ::testing::ValuesIn(every_place), name_of);

TEST_P(NamedArgument, IsPassedByReferenceWhoeverHasIt)
{
    EXPECT_EQ(expect_seen(array), 0u) << "its owner's";
    EXPECT_EQ(expect_seen(cut(array, 7, 2900, 11)), 0u);
    for (parloom_mmap_mode mode : every_mode) {
        parloom_array opened;
        ASSERT_NO_FATAL_FAILURE(open(mode, &opened));
        for (const parloom_array &view : { opened, cut(opened, 7, 2900, 11), cut(opened, 999, 1000, 1) }) {
            EXPECT_EQ(expect_seen(view), 0u) << "mode " << mode;
            EXPECT_EQ(parloom_is_shared(view.data), mode != PARLOOM_MMAP_C);
        }
        parloom_array_release(&opened);
    }
}

TEST_P(NamedArgument, IsWrittenInPlaceAndSeenByOthers)
{
    parloom_array opened, other;
    ASSERT_NO_FATAL_FAILURE(open(PARLOOM_MMAP_RW, &opened));
    ASSERT_NO_FATAL_FAILURE(open(PARLOOM_MMAP_R, &other));
    std::vector<double> want(items_of(array), items_of(array) + COUNT);
    for (const parloom_array &written : { array, opened }) {
        for (double &item : want) item = 1 / (item + 3.0);
        parloom_report report = empty_report();
        parloom_options given = options();
        given.report = &report;
        parloom_arg args[] = { parloom_inout_array(&written) };
        ASSERT_OK(parloom_for(TASKS, take_roots, args, 1, &given, &error));
        EXPECT_EQ(report.inline_nbytes + report.spilled_nbytes + report.returned_nbytes, 0u);
        for (const parloom_array &seen : { array, opened, other })
            EXPECT_EQ(memcmp(seen.data, want.data(), COUNT * sizeof(double)), 0);
    }
    parloom_array_release(&other);
    parloom_array_release(&opened);
}

TEST_P(NamedArgument, OpenedToBeReadIsNoOutput)
{
    parloom_array opened;
    ASSERT_NO_FATAL_FAILURE(open(PARLOOM_MMAP_R, &opened));
    for (parloom_arg arg : { parloom_out_array(&opened), parloom_inout_array(&opened), parloom_out(opened.data, 8) }) {
        parloom_options given = options();
        EXPECT_EQ(parloom_for(1, take_roots, &arg, 1, &given, &error), PARLOOM_ERR_INVALID);
        EXPECT_SAYS("read-only");
    }
    EXPECT_EQ(items_of(array)[0], 0.5);
    parloom_array_release(&opened);
}

TEST_P(NamedArgument, OfModeCIsEachTasksOwn)
{
    parloom_array opened;
    ASSERT_NO_FATAL_FAILURE(open(PARLOOM_MMAP_C, &opened));
    Shared<found> seen(TASKS);
    parloom_options given = options();
    parloom_arg args[] = { parloom_in_array(&opened),
                           parloom_each(parloom_inout(seen.get(), TASKS * sizeof(found)), sizeof(found)) };
    ASSERT_OK(parloom_for(TASKS, look_and_spoil, args, 2, &given, &error));
    for (size_t k = 0; k < TASKS; k++) EXPECT_EQ(seen[k].hash, hash_of(array)) << k;
    EXPECT_EQ(items_of(array)[0], 0.5);
    parloom_array_release(&opened);
}

TEST_P(NamedArgument, IsOpenedAndCreatedByTasks)
{
    Shared<found> seen(TASKS);
    parloom_options given = options();
    parloom_arg args[] = { parloom_in(name.c_str(), name.size() + 1),
                           parloom_each(parloom_inout(seen.get(), TASKS * sizeof(found)), sizeof(found)) };
    ASSERT_OK(parloom_for(TASKS, open_within, args, 2, &given, &error));
    for (size_t k = 0; k < TASKS; k++) EXPECT_EQ(seen[k].hash, hash_of(array)) << k;

    std::string made = name + "-made";
    parloom_arg create_args[] = { parloom_in(made.c_str(), made.size() + 1), parloom_in_array(&array) };
    ASSERT_OK(parloom_for(1, create_within, create_args, 2, &given, &error));
    parloom_array opened;
    ASSERT_OK(parloom_array_open_named(&opened, made.c_str(), PARLOOM_MMAP_R, &error));
    EXPECT_EQ(hash_of(opened), hash_of(array));
    parloom_array_release(&opened);
    EXPECT_OK(parloom_array_unlink_named(made.c_str(), &error));
}

TEST_P(NamedArgument, IsOwnedByTheProgramAndByNoWorker)
{
    EXPECT_EQ(expect_seen(array), 0u);
    EXPECT_EQ(clean(), 0u) << "its owner lives";
    parloom_array_release(&array); /* workers may have it mapped until they look again */
    EXPECT_EQ(clean(), 1u);
}

TEST_P(NamedArgument, UnlinkedMeanwhileStillReachesTasks)
{
    ASSERT_OK(parloom_array_unlink_named(name.c_str(), &error));
    EXPECT_EQ(expect_seen(array), 0u);
}

class NamedArgumentWithDeaths : public NamedArgument
{
};
INSTANTIATE_TEST_SUITE_P(On, NamedArgumentWithDeaths, ::testing::ValuesIn(every_kill), name_of);

TEST_P(NamedArgumentWithDeaths, SurvivesTheDeathOfAWorker)
{
    Shared<found> seen(TASKS);
    parloom_options given = options();
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    parloom_arg args[] = { parloom_in_array(&array),
                           parloom_each(parloom_inout(seen.get(), TASKS * sizeof(found)), sizeof(found)) };
    EXPECT_EQ(parloom_for(TASKS, die_in_task_4, args, 2, &given, &error), PARLOOM_ERR_CRASHED);
    for (size_t k = 0; k < TASKS; k++) {
        if (k == 4) continue;
        EXPECT_EQ(seen[k].hash, hash_of(array)) << k;
    }
    EXPECT_EQ(clean(), 0u) << "its owner lives";
    EXPECT_EQ(expect_seen(array), 0u);
}

TEST_P(NamedArgumentWithDeaths, OfAProgramKilledInACallIsALeftoverSoonAfter)
{
    std::string killed = name + "-killed";
    pid_t pid = fork();
    if (pid == 0) {
        parloom_array mine;
        const size_t count = COUNT;
        if (parloom_array_create_named(&mine, killed.c_str(), PARLOOM_F64, 0, 1, &count, nullptr, &error) != PARLOOM_OK)
            _exit(1);
        Shared<uint32_t> begun;
        parloom_options given = options();
        parloom_arg args[] = { parloom_inout(begun.get(), sizeof(uint32_t)), parloom_in_array(&mine) };
        pid_t program = getpid();
        if (fork() == 0) { /* kills the program as soon as a worker is at it */
            close(STDOUT_FILENO);
            parloom_array_release(&mine);
            loom::comes_true([&] { return __atomic_load_n(begun.get(), __ATOMIC_ACQUIRE) == 1; });
            kill(program, SIGKILL);
            _exit(0);
        }
        (void)parloom_for(TASKS, tell_and_wait, args, 2, &given, &error);
        _exit(1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
    size_t removed = 0;
    EXPECT_TRUE(loom::comes_true([&] {
        return parloom_clean_named(killed.c_str(), &removed, nullptr) == PARLOOM_OK && removed == 1;
    })) << "when its workers have ended, too";
}

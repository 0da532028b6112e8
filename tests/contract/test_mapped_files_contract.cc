/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that the program mapped, as arguments: tasks have the file itself, as it was opened, and nothing is copied. */
#include "contract/mapped_files.h"

using namespace contract;

namespace
{

/* args: an array; one found a task: those of calls that the task makes, on threads. */
int call_within(const parloom_task *task, void *const *args)
{
    std::vector<found> seen(5);
    parloom_arg inner[] = { parloom_in_array(&array_of(args[0])), parloom_each(inout(seen), sizeof(found)) };
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.backend = "threads";
    given.n_jobs = 2;
    parloom_error error;
    if (parloom_for(seen.size(), look_and_spoil, inner, 2, &given, &error) != PARLOOM_OK)
        return parloom_fail(task, 1, "%s", error.message);
    for (const found &one : seen)
        if (one.hash != seen[0].hash) return parloom_fail(task, 2, "another task's writes");
    *static_cast<found *>(args[1]) = seen[0];
    return look_at(array_of(args[0])).hash == seen[0].hash ? 0 : parloom_fail(task, 3, "a nested task's writes");
}

/* args: the items of a range of tasks, which it finds as the file has them and leaves otherwise. */
int change_own_items(const parloom_task *task, void *const *args)
{
    auto *items = static_cast<double *>(args[0]);
    for (size_t i = task->begin; i < task->end; i++) {
        double *item = items + (i - task->begin);
        if (*item != 0.5 + static_cast<double>(i)) return parloom_fail(task, 1, "item %zu is %g", i, *item);
        *item = -5;
    }
    return 0;
}

/* args: a path. Maps the file in the task, and lets the tasks of a call of its own write to it. */
int map_within(const parloom_task *task, void *const *args)
{
    parloom_array array;
    parloom_error error;
    const size_t count = COUNT;
    if (parloom_array_map(&array, static_cast<const char *>(args[0]), PARLOOM_MMAP_RW, 0, PARLOOM_F64, 0, 1, &count,
                          nullptr, &error) != PARLOOM_OK)
        return parloom_fail(task, 1, "%s", error.message);
    parloom_arg inner[] = { parloom_inout_array(&array) };
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.backend = "threads";
    given.n_jobs = 2;
    parloom_status status = parloom_for(TASKS, take_roots, inner, 1, &given, &error);
    parloom_array_release(&array);
    return status == PARLOOM_OK ? 0 : parloom_fail(task, 2, "%s", error.message);
}

} // namespace

INSTANTIATE_TEST_SUITE_P(On, MappedFile, ::testing::ValuesIn(every_place), name_of);

TEST_P(MappedFile, IsPassedAtItsAddressAndNothingIsCopied)
{
    for (parloom_mmap_mode mode : { PARLOOM_MMAP_R, PARLOOM_MMAP_RW }) {
        parloom_array array;
        ASSERT_NO_FATAL_FAILURE(map(mode, &array));
        EXPECT_TRUE(parloom_is_shared(array.data));
        for (const parloom_array &view : { array, cut(array, 7, 2900, 11), cut(array, 999, 1000, 1) }) {
            Shared<found> seen;
            parloom_report report = empty_report();
            parloom_options given = options();
            given.report = &report;
            parloom_arg args[] = { parloom_in_array(&view), parloom_inout(seen.get(), sizeof(found)) };
            ASSERT_OK(parloom_for(1, look, args, 2, &given, &error));
            EXPECT_EQ(seen[0].data, view.data);
            EXPECT_EQ(seen[0].hash, hash_of(view));
            EXPECT_TRUE(seen[0].is_memmap);
            EXPECT_TRUE(seen[0].is_shared);
            EXPECT_FALSE(seen[0].is_writable) << "an in argument";
            EXPECT_EQ(report.inline_nbytes + report.spilled_nbytes + report.returned_nbytes, 0u);
            EXPECT_STREQ(report.spilled_to, "");
        }
        parloom_array_release(&array);
    }
}

TEST_P(MappedFile, IsWrittenInPlaceByTasks)
{
    std::vector<double> want = read_file(path);
    for (double &item : want) item = 1 / (item + 3.0);
    for (parloom_mmap_mode mode : { PARLOOM_MMAP_RW, PARLOOM_MMAP_W }) {
        parloom_array array;
        ASSERT_NO_FATAL_FAILURE(map(mode, &array));
        for (size_t i = 0; i < COUNT; i++) items_of(array)[i] = 0.5 + static_cast<double>(i);
        parloom_report report = empty_report();
        parloom_options given = options();
        given.report = &report;
        parloom_arg args[] = { parloom_inout_array(&array) };
        ASSERT_OK(parloom_for(TASKS, take_roots, args, 1, &given, &error));
        EXPECT_EQ(report.inline_nbytes + report.spilled_nbytes + report.returned_nbytes, 0u);
        EXPECT_EQ(memcmp(array.data, want.data(), COUNT * sizeof(double)), 0);
        EXPECT_EQ(read_file(path), want) << "the file itself";
        parloom_array_release(&array);
    }
}

TEST_P(MappedFile, OfNumPysFormatIsTheSame)
{
    std::vector<double> items = read_file(path), want = items;
    for (double &item : want) item = 1 / (item + 3.0);
    const size_t count = COUNT;
    parloom_array wrapped = parloom_array_wrap(items.data(), PARLOOM_F64, 1, &count), array;
    ASSERT_OK(parloom_array_dump(&wrapped, (path + "-moved").c_str(), nullptr, 0, &error));
    ASSERT_OK(parloom_array_load(&array, (path + "-moved").c_str(), PARLOOM_MMAP_RW, &error));
    EXPECT_EQ(expect_seen(array), 0u);
    parloom_arg args[] = { parloom_inout_array(&array) };
    parloom_options given = options();
    ASSERT_OK(parloom_for(TASKS, take_roots, args, 1, &given, &error));
    parloom_array_release(&array);
    ASSERT_OK(parloom_array_load(&array, (path + "-moved").c_str(), PARLOOM_MMAP_UNSET, &error));
    EXPECT_EQ(memcmp(array.data, want.data(), COUNT * sizeof(double)), 0);
    parloom_array_release(&array);
}

TEST_P(MappedFile, OpenedToBeReadIsNoOutput)
{
    parloom_array array;
    ASSERT_NO_FATAL_FAILURE(map(PARLOOM_MMAP_R, &array));
    parloom_array plain = parloom_array_wrap(array.data, PARLOOM_F64, 1, array.shape);
    std::vector<double> before = read_file(path);
    for (parloom_arg arg : { parloom_out_array(&array), parloom_inout_array(&plain), parloom_inout(array.data, 8) }) {
        parloom_options given = options();
        EXPECT_EQ(parloom_for(1, take_roots, &arg, 1, &given, &error), PARLOOM_ERR_INVALID);
        EXPECT_SAYS("read-only");
    }
    for (parloom_mmap_mode mode : { PARLOOM_MMAP_RW, PARLOOM_MMAP_C }) {
        Shared<found> seen;
        parloom_options given = options();
        given.mmap_mode = mode; /* is about private memory: the file has a mode of its own */
        parloom_arg args[] = { parloom_in_array(&plain), parloom_inout(seen.get(), sizeof(found)) };
        ASSERT_OK(parloom_for(1, look, args, 2, &given, &error));
        EXPECT_EQ(seen[0].data, array.data);
        EXPECT_FALSE(seen[0].is_writable);
    }
    EXPECT_EQ(read_file(path), before);
    parloom_array_release(&array);
}

/* ------------------------------------------------------------ mode c */

TEST_P(MappedFile, OfModeCIsEachTasksOwn)
{
    parloom_array array;
    ASSERT_NO_FATAL_FAILURE(map(PARLOOM_MMAP_C, &array));
    std::vector<double> before = read_file(path);
    for (int call = 0; call < 2; call++) {
        Shared<found> seen(TASKS);
        parloom_report report = empty_report();
        parloom_options given = options();
        given.report = &report;
        parloom_arg args[] = { parloom_in_array(&array),
                               parloom_each(parloom_inout(seen.get(), TASKS * sizeof(found)), sizeof(found)) };
        ASSERT_OK(parloom_for(TASKS, look_and_spoil, args, 2, &given, &error));
        for (size_t k = 0; k < TASKS; k++) {
            EXPECT_EQ(seen[k].hash, hash_of(array)) << k << ": writes of another task";
            EXPECT_TRUE(seen[k].is_writable);
            EXPECT_EQ(seen[k].data == array.data, is("processes") && is_separate());
        }
        EXPECT_EQ(report.inline_nbytes + report.spilled_nbytes + report.returned_nbytes, 0u);
        EXPECT_EQ(memcmp(array.data, before.data(), COUNT * sizeof(double)), 0) << "the program's own";
        EXPECT_EQ(read_file(path), before);
    }
    parloom_array_release(&array);
}

TEST_P(MappedFile, OfModeCGivesEachTaskItsElementsAsTheFileHasThem)
{
    parloom_array array;
    ASSERT_NO_FATAL_FAILURE(map(PARLOOM_MMAP_C, &array));
    std::vector<double> before = read_file(path);
    for (bool is_range : { false, true, false })
        for (parloom_arg arg : { parloom_in_array(&array), parloom_in(array.data, COUNT * sizeof(double)) }) {
            parloom_arg args[] = { parloom_each(arg, sizeof(double)) };
            parloom_options given = options();
            if (is_range)
                ASSERT_OK(parloom_for_range(COUNT, change_own_items, args, 1, &given, &error));
            else
                ASSERT_OK(parloom_for(COUNT, change_own_items, args, 1, &given, &error));
            EXPECT_EQ(memcmp(array.data, before.data(), COUNT * sizeof(double)), 0);
        }
    EXPECT_EQ(read_file(path), before);
    parloom_array_release(&array);
}

TEST_P(MappedFile, OfModeCIsSeenAsTheProgramChangedIt)
{
    parloom_array array;
    ASSERT_NO_FATAL_FAILURE(map(PARLOOM_MMAP_C, &array));
    std::vector<double> before = read_file(path);
    EXPECT_FALSE(parloom_is_shared(array.data));
    EXPECT_EQ(expect_seen(array), 0u);
    items_of(array)[COUNT - 1] = 1e6;
    EXPECT_EQ(expect_seen(array), COUNT * sizeof(double)) << "copied, since it is no longer the file's";
    EXPECT_EQ(expect_seen(cut(array, 0, 100, 1)), 0u) << "in other pages it is";

    Shared<found> seen(TASKS);
    parloom_options given = options();
    parloom_arg args[] = { parloom_in_array(&array),
                           parloom_each(parloom_inout(seen.get(), TASKS * sizeof(found)), sizeof(found)) };
    ASSERT_OK(parloom_for(TASKS, look_and_spoil, args, 2, &given, &error));
    for (size_t k = 0; k < TASKS; k++) EXPECT_EQ(seen[k].hash, hash_of(array)) << k;
    EXPECT_EQ(read_file(path), before);
    parloom_array_release(&array);
}

TEST_P(MappedFile, OfModeCTakesResultsIntoTheProgramsPages)
{
    parloom_array array;
    ASSERT_NO_FATAL_FAILURE(map(PARLOOM_MMAP_C, &array));
    std::vector<double> before = read_file(path), want = before;
    for (double &item : want) item = 1 / (item + 3.0);
    parloom_arg args[] = { parloom_inout_array(&array) };
    parloom_options given = options();
    ASSERT_OK(parloom_for(TASKS, take_roots, args, 1, &given, &error));
    EXPECT_EQ(memcmp(array.data, want.data(), COUNT * sizeof(double)), 0);
    EXPECT_EQ(read_file(path), before) << "never the file";
    expect_seen(array);
    parloom_array_release(&array);
}

/* --------------------------------------------------------------- nested */

TEST_P(MappedFile, IsPassedOnToCallsInTasks)
{
    for (parloom_mmap_mode mode : every_mode) {
        parloom_array array;
        ASSERT_NO_FATAL_FAILURE(map(mode, &array));
        Shared<found> seen(TASKS);
        parloom_arg args[] = { parloom_in_array(&array),
                               parloom_each(parloom_inout(seen.get(), TASKS * sizeof(found)), sizeof(found)) };
        parloom_options given = options();
        ASSERT_OK(parloom_for(TASKS, call_within, args, 2, &given, &error)) << mode;
        for (size_t k = 0; k < TASKS; k++) {
            EXPECT_EQ(seen[k].hash, hash_of(array)) << mode << " " << k;
            EXPECT_TRUE(mode == PARLOOM_MMAP_C || seen[k].data == array.data);
        }
        parloom_array_release(&array);
    }
}

TEST_P(MappedFile, MayBeMappedInATask)
{
    std::vector<double> want = read_file(path);
    for (double &item : want) item = 1 / (item + 3.0);
    parloom_arg args[] = { parloom_in(path.c_str(), path.size() + 1) };
    parloom_options given = options();
    ASSERT_OK(parloom_for(1, map_within, args, 1, &given, &error));
    EXPECT_EQ(read_file(path), want);
}

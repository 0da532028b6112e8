/* SPDX-License-Identifier: BSD-3-Clause */
/* A3: how long what was spilled lives, and what programs leave behind when they end. */
#include "conformance/conformance.h"

#include <sys/stat.h>

using namespace conformance;

namespace
{

const size_t N = 1000;

/* In shared memory: where the copies of two callers lie, and who is there. */
struct meeting {
    std::atomic<int> present;
    const void *copies[2];
};

/* args[0]: private data of the caller, args[1]: meeting, args[2]: which caller it is. One task waits for the other
 * call; the second one leaves its worker to it. */
int meet(const parloom_task *task, void *const *args)
{
    if (task->index > 0) return 0;
    auto *meeting = static_cast<struct meeting *>(args[1]);
    meeting->copies[*static_cast<const int *>(args[2])] = args[0];
    meeting->present++;
    bool is_met = comes_true([&] { return meeting->present == 2; });
    return is_met ? 0 : parloom_fail(task, 1, "the other call did not come");
}

/* Two threads make a call each, at the same time, with the same data; a pool each where they are given. */
void meet_in_two_calls(const std::vector<double> &data, meeting *meeting, parloom_options first, parloom_options second,
                       parloom_report reports[2])
{
    auto make = [&](int who, parloom_options given) {
        parloom_arg args[] = { contract::in(data), parloom_inout(meeting, sizeof *meeting),
                               parloom_in(&who, sizeof who) };
        parloom_error failure;
        reports[who] = empty_report();
        given.max_nbytes = 40;
        given.batch_size = 1;
        given.report = &reports[who];
        EXPECT_EQ(parloom_for(2, meet, args, 3, &given, &failure), PARLOOM_OK) << failure.message;
    };
    std::thread other(make, 1, second);
    make(0, first);
    other.join();
}

int fail_with_data(const parloom_task *task, void *const *args)
{
    return static_cast<const double *>(args[0])[0] == 7.0 ? parloom_fail(task, 5, "as asked") : 0;
}

bool is_empty(const std::string &folder)
{
    return rmdir(folder.c_str()) == 0 && mkdir(folder.c_str(), 0700) == 0;
}

/* Two threads make calls and end together; `failing` of them fail. What a program would return. */
int end_together(int failing)
{
    std::atomic<int> ready{ 0 }, failed{ 0 };
    auto work = [&](int who) {
        std::vector<double> data(N, who < failing ? 7.0 : 1.0);
        parloom_arg args[] = { contract::in(data) };
        parloom_options given = on("processes");
        given.max_nbytes = 40;
        ready++;
        comes_true([&] { return ready == 2; });
        if (parloom_for(10, fail_with_data, args, 1, &given, nullptr) != PARLOOM_OK) failed++;
    };
    std::thread first(work, 0), second(work, 1);
    first.join();
    second.join();
    return failed == failing ? (failed > 0 ? 1 : 0) : 9;
}

/* Knows its neighbour, which knows it. */
struct node {
    struct node *next;
    long value;
};

int follow_the_cycle(const parloom_task *task, void *const *args)
{
    const node *at = static_cast<const node *>(args[0]);
    long sum = 0;
    for (int steps = 0; steps < 10; steps++, at = at->next) sum += at->value;
    return sum == 15 ? 0 : parloom_fail(task, 1, "%ld", sum);
}

int call_with_a_cycle(bool frees)
{
    auto *nodes = static_cast<node *>(parloom_alloc(2 * sizeof(node), nullptr));
    nodes[0] = { &nodes[1], 1 };
    nodes[1] = { &nodes[0], 2 };
    parloom_arg args[] = { parloom_in(nodes, 2 * sizeof(node)) };
    parloom_options given = on("processes");
    parloom_status status = parloom_for(10, follow_the_cycle, args, 1, &given, nullptr);
    if (frees) parloom_free(nodes);
    return status == PARLOOM_OK ? 0 : 1;
}

/* args[0]: N doubles, args[1]: a slice of them. */
int return_slice(const parloom_task *task, void *const *args)
{
    memcpy(static_cast<double *>(args[1]) + 10 * task->index, static_cast<const double *>(args[0]) + 5,
           10 * sizeof(double));
    return 0;
}

int return_slices()
{
    std::vector<double> data(N, 2.5), found(100);
    parloom_arg args[] = { contract::in(data), contract::out(found) };
    parloom_options given = on("processes");
    given.max_nbytes = 40;
    if (parloom_for(10, return_slice, args, 2, &given, nullptr) != PARLOOM_OK) return 1;
    return found == std::vector<double>(100, 2.5) ? 0 : 2;
}

} // namespace

TEST_F(Conformance, A3_01_CallsHaveCopiesOfTheirOwn)
{
    Folder here, there;
    std::vector<double> data(N, 1.0);
    Shared<meeting> meeting;
    parloom_report reports[2];
    parloom_options first = on("processes"), second = on("processes");
    first.temp_folder = here.path.c_str();
    second.temp_folder = there.path.c_str();
    meet_in_two_calls(data, meeting.get(), first, second, reports);
    EXPECT_NE(meeting[0].copies[0], meeting[0].copies[1]);
    EXPECT_EQ(here.path, reports[0].spilled_to);
    EXPECT_EQ(there.path, reports[1].spilled_to);
}

TEST_F(Conformance, A3_02_CallsOfAPoolUseOneFolder)
{
    Folder folder;
    std::vector<double> data(N, 1.0);
    parloom_arg args[] = { contract::in(data) };
    parloom_options opening = on("processes"), given = PARLOOM_OPTIONS_INIT;
    opening.temp_folder = folder.path.c_str();
    opening.max_nbytes = 40;
    ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
    for (int call = 0; call < 2; call++) {
        parloom_report report = empty_report();
        given.report = &report;
        ASSERT_OK(parloom_for(10, fail_with_data, args, 1, &given, &error));
        EXPECT_EQ(folder.path, report.spilled_to);
    }
    parloom_pool_close(given.pool);
}

TEST_F(Conformance, A3_03_PoolsOfTwoThreadsUseAFolderEach)
{
    Folder here, there;
    std::vector<double> data(N, 1.0);
    Shared<meeting> meeting;
    parloom_report reports[2];
    parloom_options opening = on("processes"), first = PARLOOM_OPTIONS_INIT, second = PARLOOM_OPTIONS_INIT;
    opening.temp_folder = here.path.c_str();
    ASSERT_OK(parloom_pool_open(&first.pool, &opening, &error));
    opening.temp_folder = there.path.c_str();
    ASSERT_OK(parloom_pool_open(&second.pool, &opening, &error));
    meet_in_two_calls(data, meeting.get(), first, second, reports);
    EXPECT_NE(meeting[0].copies[0], meeting[0].copies[1]);
    EXPECT_EQ(here.path, reports[0].spilled_to);
    EXPECT_EQ(there.path, reports[1].spilled_to);
    parloom_pool_close(first.pool);
    parloom_pool_close(second.pool);
}

TEST_F(Conformance, A3_04_ThreadsThatEndTogetherAreSilent)
{
    for (int failing : { 0, 1, 2 }) {
        Ended ended = run_program([&] { return end_together(failing); });
        EXPECT_EQ(ended.code(), failing > 0 ? 1 : 0);
        EXPECT_EQ(ended.err, "");
        EXPECT_EQ(ended.out, "");
    }
}

TEST_F(Conformance, A3_06_FailingTaskOfAPoolLeavesNothing)
{
    Folder folder;
    Ended ended = run_program([&] {
        std::vector<double> data(N, 7.0);
        parloom_arg args[] = { contract::in(data) };
        static parloom_pool *pool; /* it is not even closed */
        parloom_options opening = on("processes"), given = PARLOOM_OPTIONS_INIT;
        opening.temp_folder = folder.path.c_str();
        opening.max_nbytes = 40;
        if (parloom_pool_open(&pool, &opening, nullptr) != PARLOOM_OK) return 1;
        given.pool = pool;
        return parloom_for(10, fail_with_data, args, 1, &given, nullptr) == PARLOOM_ERR_TASK ? 0 : 2;
    });
    EXPECT_TRUE(ended.is_ok()) << ended.code();
    EXPECT_EQ(ended.err, "");
    EXPECT_TRUE(is_empty(folder.path));
}

TEST_F(Conformance, A3_07_CyclesInArguments)
{
    Ended ended = run_program([] { return call_with_a_cycle(true); });
    EXPECT_TRUE(ended.is_ok()) << ended.code();
    EXPECT_EQ(ended.err, "");
}

TEST_F(Conformance, A3_08_MemoryThatOutlivesItsTasks)
{
    Ended ended = run_program([] { return call_with_a_cycle(false); });
    EXPECT_TRUE(ended.is_ok()) << ended.code();
    EXPECT_EQ(ended.err, "");
}

TEST_F(Conformance, A3_09_SlicesOfSpilledArraysComeBack)
{
    for (int run = 0; run < 3; run++) {
        Ended ended = run_program(return_slices);
        EXPECT_TRUE(ended.is_ok()) << ended.code();
        EXPECT_EQ(ended.out, "");
        EXPECT_EQ(ended.err, "");
    }
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* How tasks end other than well, and what the caller gets to know of it: the same on every backend. */
#include "contract/failing.h"

#include <unistd.h>

using namespace contract;

namespace
{

/* args[0]: code each task returns. */
int return_code(const parloom_task *task, void *const *args)
{
    int code = static_cast<const int *>(args[0])[task->index];
    if (code != 0) return parloom_fail(task, code, "index %zu has code %d", task->index, code);
    static_cast<char *>(args[1])[task->index] = 1;
    return 0;
}

int fail_with_text(const parloom_task *task, void *const *args)
{
    return parloom_fail_text(task, 4, static_cast<const char *>(args[0]));
}

int fail_and_return_zero(const parloom_task *task, void *const *)
{
    if (task->index == 2) return 8;
    return parloom_fail(task, 0, "this is dropped");
}

int count_and_fail(const parloom_task *task, void *const *args)
{
    __atomic_add_fetch(&static_cast<int *>(args[0])[task->index], 1, __ATOMIC_RELAXED);
    return task->index == 3 ? 7 : 0;
}

int wait_until_cancelled(const parloom_task *task, void *const *)
{
    while (!parloom_cancelled(task)) usleep(200);
    return 0;
}

int fail_after_the_limit(const parloom_task *task, void *const *)
{
    while (!parloom_cancelled(task)) usleep(200);
    return 5;
}

int say_nothing_and_fail(const parloom_task *task, void *const *)
{
    return task->begin <= 25 && 25 < task->end ? 3 : 0;
}

} // namespace

class Failure : public Failing
{
};
INSTANTIATE_TEST_SUITE_P(On, Failure, ::testing::ValuesIn(every_place), name_of);

TEST_P(Failure, OfSomeTasksStopsAtTheFirstInTaskOrder)
{
    std::vector<int> codes(TASKS, 0);
    codes[7] = 11;
    codes[8] = 12;
    codes[40] = 13;
    std::vector<char> done(TASKS);
    for (size_t batch : { size_t{ 0 }, size_t{ 1 }, size_t{ 9 } }) {
        parloom_options given = asking();
        given.batch_size = batch;
        parloom_arg args[] = { in(codes), out(done) };
        ASSERT_EQ(parloom_for(TASKS, return_code, args, 2, &given, &error), PARLOOM_ERR_TASK);
        EXPECT_EQ(error.status, PARLOOM_ERR_TASK);
        EXPECT_EQ(error.task, 7u);
        EXPECT_EQ(error.code, 11);
        EXPECT_EQ(error.attempt, 0);
        EXPECT_SAYS("index 7 has code 11");
        for (size_t k = 0; k < 7; k++) EXPECT_TRUE(statuses[k] == PARLOOM_OK && done[k] == 1) << k;
        EXPECT_EQ(statuses[7], PARLOOM_ERR_TASK);
        EXPECT_EQ(errors[0].task, 7u);
        EXPECT_EQ(errors[0].code, 11);
        expect_conserved();
    }
}

TEST_P(Failure, OfSomeTasksDoesNotKeepTheOthersWhenGoingOn)
{
    std::vector<int> codes(TASKS, 0);
    for (size_t k : { 3u, 30u, 31u, 32u, 58u }) codes[k] = static_cast<int>(k) + 100;
    std::vector<char> done(TASKS);
    parloom_options given = asking();
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    parloom_arg args[] = { in(codes), out(done) };
    ASSERT_EQ(parloom_for(TASKS, return_code, args, 2, &given, &error), PARLOOM_ERR_TASK);
    EXPECT_EQ(error.task, 3u);
    EXPECT_EQ(error.code, 103);
    for (size_t k = 0; k < TASKS; k++) {
        EXPECT_EQ(statuses[k], codes[k] ? PARLOOM_ERR_TASK : PARLOOM_OK);
        EXPECT_EQ(done[k], codes[k] ? 0 : 1);
    }
    size_t expected[] = { 3, 30, 31, 32 }; /* the first four in task order */
    for (size_t k = 0; k < 4; k++) {
        EXPECT_EQ(errors[k].task, expected[k]);
        EXPECT_EQ(errors[k].code, static_cast<int>(expected[k]) + 100);
        EXPECT_EQ(errors[k].status, PARLOOM_ERR_TASK);
        EXPECT_NE(std::string(errors[k].message).find("index " + std::to_string(expected[k])), std::string::npos);
    }
    EXPECT_EQ(report.failed, 5u);
    expect_conserved();
}

TEST_P(Failure, ThatDidNotHappenIsNotTold)
{
    std::vector<int> codes(TASKS, 0);
    std::vector<char> done(TASKS);
    parloom_options given = asking();
    parloom_arg args[] = { in(codes), out(done) };
    error.code = 5;
    ASSERT_OK(parloom_for(TASKS, return_code, args, 2, &given, &error));
    EXPECT_EQ(error.code, 0);
    EXPECT_EQ(error.task, PARLOOM_NO_TASK);
    EXPECT_EQ(statuses, std::vector<parloom_status>(TASKS, PARLOOM_OK));
    for (const parloom_error &one : errors) EXPECT_TRUE(one.status == PARLOOM_OK && one.code == 0 && !one.message[0]);
    EXPECT_EQ(report.ok, size_t{ TASKS });
    EXPECT_STREQ(report.backend, GetParam().n_jobs == 1 ? "sequential" : GetParam().backend);
    EXPECT_EQ(report.n_jobs, GetParam().n_jobs);
    EXPECT_GT(report.seconds, 0);
    expect_conserved();
}

TEST_P(Failure, NeedsNoErrorRecord)
{
    std::vector<int> codes(TASKS, 1);
    std::vector<char> done(TASKS);
    parloom_options given = options();
    parloom_arg args[] = { in(codes), out(done) };
    EXPECT_EQ(parloom_for(TASKS, return_code, args, 2, &given, nullptr), PARLOOM_ERR_TASK);
    EXPECT_EQ(parloom_for(TASKS, nullptr, args, 2, &given, nullptr), PARLOOM_ERR_INVALID);
}

TEST_P(Failure, CarriesTheTextOfTheTask)
{
    std::string text(3000, 'x');
    text.replace(0, 9, "%s%n 100%");
    parloom_options given = options();
    parloom_arg args[] = { parloom_in(text.c_str(), text.size() + 1) };
    ASSERT_EQ(parloom_for(1, fail_with_text, args, 1, &given, &error), PARLOOM_ERR_TASK);
    EXPECT_EQ(error.code, 4);
    EXPECT_SAYS("%s%n 100%xxx");
    EXPECT_LT(strlen(error.message), size_t{ PARLOOM_MESSAGE_BYTES });
}

TEST_P(Failure, LongTextIsCutBetweenCharacters)
{
    const std::string euro = "\xE2\x82\xAC";
    for (size_t shift = 0; shift < euro.size(); shift++) {
        std::string text(shift, 'x');
        while (text.size() < 2000) text += euro;
        parloom_options given = options();
        parloom_arg args[] = { parloom_in(text.c_str(), text.size() + 1) };
        ASSERT_EQ(parloom_for(1, fail_with_text, args, 1, &given, &error), PARLOOM_ERR_TASK);
        std::string rest = error.message;
        EXPECT_GT(rest.size(), 800u);
        for (size_t at; (at = rest.find(euro)) != std::string::npos;) rest.erase(at, euro.size());
        for (char byte : rest) EXPECT_LT(static_cast<unsigned char>(byte), 0x80) << rest;
    }
}

TEST_P(Failure, TextOfATaskThatDidNotFailIsDropped)
{
    parloom_options given = asking();
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    ASSERT_EQ(parloom_for(TASKS, fail_and_return_zero, nullptr, 0, &given, &error), PARLOOM_ERR_TASK);
    EXPECT_EQ(error.code, 8);
    EXPECT_EQ(report.failed, 1u);
    EXPECT_EQ(std::string(error.message).find("dropped"), std::string::npos) << error.message;
}

TEST_P(Failure, InARangeCostsTheIndexThatWasAnnounced)
{
    std::vector<int> how(TASKS, 0);
    std::vector<char> done(TASKS);
    how[13] = how[44] = 1;
    for (size_t batch : { size_t{ 0 }, size_t{ 20 }, size_t{ TASKS } }) {
        done.assign(TASKS, 0);
        parloom_options given = asking();
        given.on_error = PARLOOM_ON_ERROR_GO_ON;
        given.batch_size = batch;
        parloom_arg args[] = { out(done), in(how) };
        ASSERT_EQ(parloom_for_range(TASKS, announce_and_end_badly, args, 2, &given, &error), PARLOOM_ERR_TASK);
        EXPECT_EQ(error.task, 13u);
        EXPECT_EQ(error.code, 6);
        EXPECT_SAYS("at 13");
        for (size_t k = 0; k < TASKS; k++) {
            EXPECT_EQ(statuses[k], how[k] ? PARLOOM_ERR_TASK : PARLOOM_OK) << k;
            EXPECT_EQ(done[k], how[k] ? 0 : 1) << k;
        }
        expect_conserved();
    }
}

TEST_P(Failure, InARangeThatSaysNothingCostsTheRange)
{
    parloom_options given = asking();
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    given.batch_size = 10;
    ASSERT_EQ(parloom_for_range(TASKS, say_nothing_and_fail, nullptr, 0, &given, &error), PARLOOM_ERR_TASK);
    for (size_t k = 0; k < TASKS; k++) EXPECT_EQ(statuses[k], k / 10 == 2 ? PARLOOM_ERR_TASK : PARLOOM_OK) << k;
    EXPECT_EQ(report.failed, 10u);
    expect_conserved();
}

TEST_P(Failure, OfARangeAsAWholeHasAnEntryForEachOfItsTasks)
{
    for (size_t room : { size_t{ 1 }, size_t{ 4 }, size_t{ 10 }, size_t{ 14 } }) {
        parloom_options given = asking();
        given.on_error = PARLOOM_ON_ERROR_GO_ON;
        given.batch_size = 10;
        errors.assign(room, parloom_error());
        for (parloom_error &one : errors) one.code = 99;
        given.errors = errors.data();
        given.n_errors = room;
        ASSERT_EQ(parloom_for_range(TASKS, say_nothing_and_fail, nullptr, 0, &given, &error), PARLOOM_ERR_TASK);
        for (size_t k = 0; k < room; k++) {
            EXPECT_EQ(errors[k].status, k < 10 ? PARLOOM_ERR_TASK : PARLOOM_OK) << k;
            EXPECT_EQ(errors[k].task, k < 10 ? 20 + k : PARLOOM_NO_TASK) << k;
            EXPECT_EQ(errors[k].code, k < 10 ? 3 : 0) << k;
        }
    }
}

TEST_P(Failure, OfTheCallAtItsLimitEndsEveryTaskOnce)
{
    parloom_options given = asking();
    given.timeout = 0.05;
    given.batch_size = 1;
    ASSERT_EQ(parloom_for(TASKS, wait_until_cancelled, nullptr, 0, &given, &error), PARLOOM_ERR_TIMEOUT);
    /* A worker process is killed at the limit, unless the body saw it coming and returned before. */
    EXPECT_LE(report.timed_out + report.ok, static_cast<size_t>(given.n_jobs));
    if (is_threaded() || is("sequential")) { /* with a limit one job has a worker process too */
        EXPECT_GE(report.timed_out, 1u);
        EXPECT_EQ(report.ok, 0u);
    }
    expect_conserved();
}

TEST_P(Failure, AfterTheLimitOfTheCallIsATimeout)
{
    if (!is_threaded() && !is("sequential")) return; /* elsewhere a worker is killed at the limit */
    parloom_options given = asking();
    given.timeout = 0.05;
    given.batch_size = 1;
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    ASSERT_EQ(parloom_for(TASKS, fail_after_the_limit, nullptr, 0, &given, &error), PARLOOM_ERR_TIMEOUT);
    EXPECT_GE(report.timed_out, 1u);
    EXPECT_EQ(report.failed, 0u);
    EXPECT_EQ(statuses[0], PARLOOM_ERR_TIMEOUT);
    EXPECT_EQ(errors[0].status, PARLOOM_ERR_TIMEOUT);
    expect_conserved();
    ASSERT_EQ(parloom_for_range(TASKS, fail_after_the_limit, nullptr, 0, &given, &error), PARLOOM_ERR_TIMEOUT);
    EXPECT_GE(report.timed_out, 1u);
    EXPECT_EQ(report.failed, 0u);
    expect_conserved();
}

TEST_P(Failure, IsNotRunAgain)
{
    Shared<int> runs(TASKS);
    parloom_options given = asking();
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    given.retries = 3;
    parloom_arg args[] = { parloom_out(runs.get(), TASKS * sizeof(int)) };
    EXPECT_EQ(parloom_for(TASKS, count_and_fail, args, 1, &given, &error), PARLOOM_ERR_TASK);
    for (size_t k = 0; k < TASKS; k++) EXPECT_EQ(runs[k], 1);
    EXPECT_EQ(report.retried, 0u);
}

TEST_P(Failure, OfACallWithMoreTasksThanAnyoneHasRoomForWritesNoStatuses)
{
    for (size_t n : { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 + 1 }) {
        parloom_options given = asking();
        given.n_statuses = 0; /* trusted */
        EXPECT_EQ(parloom_for(n, count_and_fail, nullptr, 0, &given, &error), PARLOOM_ERR_INVALID);
        EXPECT_SAYS(std::to_string(n));
        EXPECT_EQ(statuses, std::vector<parloom_status>(TASKS, PARLOOM_ERR_INTERNAL));
        EXPECT_EQ(errors[0].status, PARLOOM_OK);
        EXPECT_EQ(report.tasks, n);
        EXPECT_EQ(report.cancelled, n);
    }
}

TEST_P(Failure, IsReportedIntoAsMuchRoomAsTheCallerHas)
{
    parloom_options given = options();
    parloom_report small;
    memset(&small, 0x77, sizeof small);
    small.struct_size = offsetof(parloom_report, crashed);
    given.report = &small;
    ASSERT_OK(parloom_for(TASKS, fail_and_return_zero, nullptr, 0, &given, nullptr) == PARLOOM_ERR_TASK
                  ? PARLOOM_OK
                  : PARLOOM_ERR_IO);
    EXPECT_EQ(small.struct_size, offsetof(parloom_report, crashed));
    EXPECT_EQ(small.tasks, size_t{ TASKS });
    EXPECT_EQ(small.failed, 1u);
    EXPECT_EQ(small.crashed, 0x7777777777777777u);
    small.struct_size = 0;
    EXPECT_EQ(parloom_for(TASKS, fail_and_return_zero, nullptr, 0, &given, &error), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("struct_size");
}

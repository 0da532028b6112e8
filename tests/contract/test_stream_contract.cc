// SPDX-License-Identifier: BSD-3-Clause
/* What a stream gives, on every backend that runs one: results, order, credit, sources, options. */
#include "contract/streams.h"

#include <algorithm>
#include <gtest/gtest-spi.h>
#include <set>
#include <thread>

using namespace contract;

namespace
{

int give_many(const parloom_task *task, void *const *args)
{
    size_t number = number_of(args);
    std::vector<unsigned char> bytes(number * number * 37, static_cast<unsigned char>(number));
    return parloom_return(task, bytes.data(), bytes.size());
}

int give_twice(const parloom_task *task, void *const *args)
{
    size_t number = number_of(args);
    std::vector<char> long_one(5000, 'x');
    if (parloom_return(task, long_one.data(), long_one.size()) != 0) return 1;
    return parloom_return(task, &number, sizeof number);
}

int give_nothing(const parloom_task *, void *const *)
{
    return 0;
}

int give_emptiness(const parloom_task *task, void *const *)
{
    return parloom_return(task, nullptr, 0);
}

int give_rubbish(const parloom_task *task, void *const *)
{
    return parloom_return(task, nullptr, 5) == PARLOOM_ERR_INVALID ? 0 : 1;
}

int give_and_fail(const parloom_task *task, void *const *args)
{
    size_t number = number_of(args);
    (void)parloom_return(task, &number, sizeof number);
    return number % 5 == 3 ? parloom_fail(task, 9, "number %zu", number) : 0;
}

int add_up(const parloom_task *task, void *const *args)
{
    const auto *numbers = static_cast<const double *>(args[1]);
    double sum = 0;
    for (int k = 0; k < 300000; k++) sum += numbers[k] * static_cast<double>(number_of(args));
    return parloom_return(task, &sum, sizeof sum);
}

int write_out(const parloom_task *, void *const *args)
{
    static_cast<size_t *>(args[1])[number_of(args)] = number_of(args) + 1;
    return 0;
}

int tell_of_task(const parloom_task *task, void *const *)
{
    size_t told[6] = { task->index,
                       task->begin,
                       task->end,
                       task->count,
                       static_cast<size_t>(task->n_jobs),
                       static_cast<size_t>(task->level) };
    return parloom_return(task, told, sizeof told);
}

class Stream : public Streaming
{
};

TEST_P(Stream, GivesResultsInOrder)
{
    Source source{ 500, square };
    ASSERT_OK(open(source, true, options()));
    size_t next = 0;
    EXPECT_OK(read_all([&](const parloom_result &result) {
        EXPECT_EQ(result.index, next++);
        EXPECT_EQ(result.status, PARLOOM_OK);
        EXPECT_EQ(value_of(result), result.index * result.index);
        EXPECT_GE(result.seconds, 0);
    }));
    EXPECT_EQ(next, 500U);
}

TEST_P(Stream, GivesEachResultOnceAsTheyEnd)
{
    Source source{ 500, square };
    std::set<size_t> seen;
    ASSERT_OK(open(source, false, options()));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        EXPECT_TRUE(seen.insert(result.index).second) << result.index;
        EXPECT_EQ(value_of(result), result.index * result.index);
    }));
    EXPECT_EQ(seen.size(), 500U);
}

TEST_P(Stream, SaysDoneAgainAndAgain)
{
    Source source{ 3, square };
    ASSERT_OK(open(source, true, options()));
    EXPECT_OK(read_all([](const parloom_result &) {}));
    for (int k = 0; k < 3; k++) {
        parloom_result result;
        bool done = false;
        EXPECT_OK(parloom_stream_next(stream, &result, &done, &error));
        EXPECT_TRUE(done);
    }
}

TEST_P(Stream, TakesResultsOfAnySize)
{
    Source source{ 120, give_many };
    size_t next = 0;
    ASSERT_OK(open(source, true, options()));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        ASSERT_EQ(result.index, next++);
        ASSERT_EQ(result.nbytes, result.index * result.index * 37);
        const auto *bytes = static_cast<const unsigned char *>(result.data);
        EXPECT_TRUE(std::all_of(bytes, bytes + result.nbytes, [&](unsigned char c) { return c == result.index; }));
    }));
    EXPECT_EQ(next, 120U);
}

TEST_P(Stream, TheLastReturnCounts)
{
    Source source{ 20, give_twice };
    ASSERT_OK(open(source, true, options()));
    EXPECT_OK(read_all([&](const parloom_result &result) { EXPECT_EQ(value_of(result), result.index); }));
}

TEST_P(Stream, NothingReturnedIsNull)
{
    Source source{ 5, give_nothing };
    ASSERT_OK(open(source, true, options()));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        EXPECT_EQ(result.data, nullptr);
        EXPECT_EQ(result.nbytes, 0U);
    }));
}

TEST_P(Stream, EmptyResultsAndMistakesInReturn)
{
    for (parloom_body body : { give_emptiness, give_rubbish }) {
        Source source{ 5, body };
        ASSERT_OK(open(source, true, options()));
        EXPECT_OK(read_all([&](const parloom_result &result) {
            EXPECT_EQ(result.status, PARLOOM_OK);
            EXPECT_EQ(result.nbytes, 0U);
        }));
        close();
    }
}

TEST_P(Stream, AnEmptySourceIsDoneAtOnce)
{
    Source source{ 0, square };
    parloom_result result;
    bool done = false;
    ASSERT_OK(open(source, true, options()));
    EXPECT_OK(parloom_stream_next(stream, &result, &done, &error));
    EXPECT_TRUE(done);
}

TEST_P(Stream, NeverAsksForMoreThanItsCredit)
{
    struct {
        const char *text;
        size_t limit;
    } given[] = { { "1", 1 }, { "5", 5 }, { "2*n_jobs", 2 * static_cast<size_t>(GetParam().n_jobs) } };
    for (auto &one : given) {
        Source source{ 60, square };
        parloom_options with = options();
        with.pre_dispatch = one.text;
        ASSERT_OK(open(source, false, with));
        EXPECT_LE(source.asked, one.limit);
        size_t taken = 0;
        EXPECT_OK(read_all([&](const parloom_result &) { EXPECT_LE(source.asked, ++taken + one.limit); }));
        EXPECT_EQ(taken, 60U);
        close();
    }
}

TEST_P(Stream, AsksForAllWhenToldTo)
{
    Source source{ 700, square };
    parloom_options with = options();
    with.pre_dispatch = "all";
    ASSERT_OK(open(source, true, with));
    EXPECT_EQ(source.asked, 700U);
    size_t taken = 0;
    EXPECT_OK(read_all([&](const parloom_result &result) { EXPECT_EQ(result.index, taken++); }));
    EXPECT_EQ(taken, 700U);
}

TEST_P(Stream, RefusesCreditBelowOne)
{
    Source source{ 5, square };
    parloom_options with = options();
    with.pre_dispatch = "n_jobs//100";
    EXPECT_EQ(open(source, true, with), PARLOOM_ERR_INVALID);
    EXPECT_EQ(source.asked, 0U);
    stream = nullptr;
}

TEST_P(Stream, PrivateInputsAreTakenWhenAskedFor)
{
    std::vector<double> numbers(300000, 1.0); /* spilled; changed while calls wait */
    Source source{ 12, add_up, { in(numbers) } };
    parloom_options with = options();
    with.pre_dispatch = "all";
    ASSERT_OK(open(source, true, with));
    std::fill(numbers.begin(), numbers.end(), 7.0);
    EXPECT_OK(read_all([&](const parloom_result &result) {
        double sum = -1;
        ASSERT_EQ(result.nbytes, sizeof sum);
        std::memcpy(&sum, result.data, sizeof sum);
        EXPECT_EQ(sum, 300000.0 * static_cast<double>(result.index));
    }));
}

TEST_P(Stream, PublishedInputsAreCopiedOnce)
{
    std::vector<double> numbers(300000, 1.0);
    ASSERT_OK(parloom_publish(numbers.data(), numbers.size() * sizeof(double), &error));
    Source source{ 12, add_up, { in(numbers) } };
    ASSERT_OK(open(source, true, options()));
    size_t taken = 0;
    EXPECT_OK(read_all([&](const parloom_result &result) {
        EXPECT_EQ(result.status, PARLOOM_OK);
        taken++;
    }));
    EXPECT_EQ(taken, 12U);
    close();
    parloom_unpublish(numbers.data());
}

TEST_P(Stream, WritesSharedOutputsInPlace)
{
    Shared<size_t> out(40);
    Source source{ 40, write_out, { parloom_out(out.get(), 40 * sizeof(size_t)) } };
    ASSERT_OK(open(source, true, options()));
    EXPECT_OK(read_all([&](const parloom_result &result) { EXPECT_EQ(out[result.index], result.index + 1); }));
}

TEST_P(Stream, RefusesPrivateOutputs)
{
    std::vector<size_t> out(40);
    Source source{ 40, write_out, { contract::out(out) } };
    ASSERT_OK(open(source, true, options()));
    EXPECT_EQ(read_all([](const parloom_result &) { ADD_FAILURE() << "a result"; }), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("parloom_alloc");
    EXPECT_EQ(source.asked, 1U);
}

TEST_P(Stream, RefusesCallsOfNothing)
{
    Source source{ 4, nullptr };
    ASSERT_OK(open(source, true, options()));
    EXPECT_EQ(read_all([](const parloom_result &) {}), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("NULL");
}

TEST_P(Stream, ASourceThatFailsIsToldAfterWhatRuns)
{
    for (size_t at : { size_t{ 0 }, size_t{ 5 }, size_t{ 19 } }) {
        Source source{ 20, square };
        source.fails_at = at;
        ASSERT_OK(open(source, false, options()));
        size_t taken = 0;
        EXPECT_EQ(read_all([&](const parloom_result &) { taken++; }), PARLOOM_ERR_CALLBACK);
        EXPECT_EQ(error.code, -7);
        EXPECT_EQ(taken, at);
        parloom_result result;
        bool done = false;
        EXPECT_EQ(parloom_stream_next(stream, &result, &done, &error), PARLOOM_ERR_CALLBACK) << "again";
        close();
    }
}

TEST_P(Stream, StopsAfterTheFirstFailure)
{
    Source source{ 50, give_and_fail };
    size_t taken = 0;
    ASSERT_OK(open(source, true, options()));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        EXPECT_EQ(result.index, taken++);
        EXPECT_EQ(result.status, result.index == 3 ? PARLOOM_ERR_TASK : PARLOOM_OK);
        if (result.index != 3) return;
        EXPECT_EQ(result.error.code, 9);
        EXPECT_EQ(result.error.task, 3U);
        EXPECT_STREQ(result.error.message, "number 3");
        EXPECT_EQ(value_of(result), 3U) << "what it had returned is delivered";
    }));
    EXPECT_EQ(taken, 4U);
}

TEST_P(Stream, GoesOnPastFailuresAndTellsOfAll)
{
    Source source{ 50, give_and_fail };
    parloom_options with = options();
    std::vector<parloom_status> statuses(50, PARLOOM_ERR_INTERNAL);
    std::vector<parloom_error> errors(4);
    with.on_error = PARLOOM_ON_ERROR_GO_ON;
    with.statuses = statuses.data();
    with.n_statuses = statuses.size();
    with.errors = errors.data();
    with.n_errors = errors.size();
    with.report = &report;
    ASSERT_OK(open(source, false, with));
    size_t failed = 0;
    EXPECT_OK(read_all([&](const parloom_result &result) { failed += result.status == PARLOOM_ERR_TASK; }));
    close();
    EXPECT_EQ(failed, 10U);
    EXPECT_EQ(report.tasks, 50U);
    EXPECT_EQ(report.failed, 10U);
    EXPECT_EQ(report.ok, 40U);
    EXPECT_EQ(report.returned_nbytes, 50 * sizeof(size_t));
    for (size_t k = 0; k < 50; k++) EXPECT_EQ(statuses[k], k % 5 == 3 ? PARLOOM_ERR_TASK : PARLOOM_OK) << k;
    for (size_t k = 0; k < 4; k++) EXPECT_EQ(errors[k].task, 5 * k + 3);
}

TEST_P(Stream, StatusesWithoutRoomEndIt)
{
    Source source{ 20, square };
    std::vector<parloom_status> statuses(10, PARLOOM_ERR_INTERNAL);
    parloom_options with = options();
    with.statuses = statuses.data();
    with.n_statuses = statuses.size();
    ASSERT_OK(open(source, true, with));
    size_t taken = 0;
    EXPECT_EQ(read_all([&](const parloom_result &) { taken++; }), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("room for 10");
    EXPECT_EQ(taken, 10U);
}

TEST_P(Stream, TellsATaskWhereItIs)
{
    Source source{ 7, tell_of_task };
    ASSERT_OK(open(source, true, options()));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        size_t told[6];
        ASSERT_EQ(result.nbytes, sizeof told);
        std::memcpy(told, result.data, sizeof told);
        EXPECT_EQ(told[0], result.index);
        EXPECT_EQ(told[1], result.index);
        EXPECT_EQ(told[2], result.index + 1);
        EXPECT_EQ(told[3], 0U) << "nobody knows how many there are";
        EXPECT_EQ(told[4], static_cast<size_t>(GetParam().n_jobs));
        EXPECT_EQ(told[5], 0U);
    }));
}

TEST_P(Stream, NullsAreRefused)
{
    Source source{ 5, square };
    parloom_options given = options();
    EXPECT_EQ(parloom_stream_open(nullptr, Source::next, &source, true, &given, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_stream_open(&stream, nullptr, &source, true, &given, &error), PARLOOM_ERR_INVALID);
    stream = nullptr;
    parloom_stream_close(nullptr);
    bool done;
    EXPECT_EQ(parloom_stream_next(nullptr, nullptr, &done, &error), PARLOOM_ERR_INVALID);
}

/* args: the number, a table; what the first byte of it is. */
int first_of_table(const parloom_task *task, void *const *args)
{
    return parloom_return(task, args[1], 1);
}

TEST_P(Stream, ReportsWhatItsCallsCopied)
{
    enum { CALLS = 8, NBYTES = 8 << 20 };
    std::vector<char> table(NBYTES, 't');
    Source source{ CALLS, first_of_table, { in(table) } };
    parloom_options with = options();
    with.report = &report;
    ASSERT_OK(open(source, true, with));
    EXPECT_OK(read_all([](const parloom_result &result) {
        ASSERT_EQ(result.nbytes, 1U);
        EXPECT_EQ(*static_cast<const char *>(result.data), 't');
    }));
    close();
    EXPECT_EQ(report.ok, static_cast<size_t>(CALLS));
    EXPECT_EQ(report.spilled_nbytes, static_cast<size_t>(CALLS) * NBYTES) << "a copy for each call";
    EXPECT_EQ(report.inline_nbytes, CALLS * sizeof source.number);
    EXPECT_STRNE(report.spilled_to, "");
}

TEST_P(Stream, ReportsNoCopiesOfSharedMemory)
{
    Shared<char> table(8 << 20);
    Source source{ 8, first_of_table, { parloom_in(table.get(), 8 << 20) } };
    parloom_options with = options();
    with.report = &report;
    ASSERT_OK(open(source, true, with));
    EXPECT_OK(read_all([](const parloom_result &) {}));
    close();
    EXPECT_EQ(report.spilled_nbytes, 0U);
    EXPECT_STREQ(report.spilled_to, "");
}

TEST_P(Stream, ReturnIsForStreams)
{
    std::vector<int> out(4, 0);
    parloom_options given = options();
    parloom_arg args[] = { each_out(out) };
    auto body = [](const parloom_task *task, void *const *inner) {
        int value = 1;
        *static_cast<int *>(inner[0]) = parloom_return(task, &value, sizeof value);
        return 0;
    };
    ASSERT_OK(parloom_for(4, body, args, 1, &given, &error));
    for (int status : out) EXPECT_EQ(status, PARLOOM_ERR_UNSUPPORTED);
}

INSTANTIATE_TEST_SUITE_P(, Stream, ::testing::ValuesIn(every_stream), name_of);

TEST(SourceOfTests, NoticesWhoAsksIt)
{
    static parloom_call call;
    static Source source{ 5, square };
    auto ask = [] { return Source::next(&source, &call); };
    EXPECT_EQ(ask(), 1);
    EXPECT_NONFATAL_FAILURE_ON_ALL_THREADS(std::thread(ask).join(), "asked by another thread");
    source.is_asked = true;
    EXPECT_NONFATAL_FAILURE(ask(), "asked while it answers");
}

using StreamElsewhere = Streaming;

TEST_P(StreamElsewhere, IsRefusedWithTheBackendsName)
{
    Source source{ 5, square };
    EXPECT_EQ(open(source, true, options()), PARLOOM_ERR_UNSUPPORTED);
    EXPECT_SAYS(std::string("\"") + GetParam().backend + "\"");
    EXPECT_EQ(stream, nullptr);
    EXPECT_EQ(source.asked, 0U);
}

const std::vector<Place> elsewhere = { { "fork", 2 }, { "pthreads", 2 } };
INSTANTIATE_TEST_SUITE_P(, StreamElsewhere, ::testing::ValuesIn(elsewhere), name_of);

} // namespace

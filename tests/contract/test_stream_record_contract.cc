/* SPDX-License-Identifier: BSD-3-Clause */
/* What tasks of a stream record comes with their results, on every backend that runs streams. */
#include "contract/records.h"
#include "contract/streams.h"

#include <csignal>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace contract;

namespace
{

enum { TASKS = 40 };

class StreamRecords : public Streaming, protected Channels
{
  protected:
    void SetUp() override
    {
        Streaming::SetUp();
        ASSERT_NO_FATAL_FAILURE(register_both());
    }
    void TearDown() override
    {
        close();
        unregister_both();
        Streaming::TearDown();
    }
    /* The notes that came since it was asked last. */
    std::vector<Record> taken()
    {
        std::vector<Record> since;
        since.swap(notes);
        return since;
    }
    static parloom_options going_on()
    {
        parloom_options made = options();
        made.on_error = PARLOOM_ON_ERROR_GO_ON;
        return made;
    }
};

int note_some(const parloom_task *task, void *const *)
{
    size_t i = task->index;
    int failed = say(task, "notes", numbered("first ", i));
    if (i % 3 == 0) failed |= say(task, "notes", numbered("second ", i));
    if (i % 2 == 0) failed |= say(task, "counts", std::string(i, 'x'));
    failed |= say(task, "nobody's", "dropped");
    return failed != 0 ? failed : parloom_return(task, &i, sizeof i);
}

std::vector<Record> notes_of(size_t i, parloom_status status = PARLOOM_OK)
{
    std::vector<Record> expected = { { i, status, numbered("first ", i) } };
    if (i % 3 == 0) expected.push_back({ i, status, numbered("second ", i) });
    return expected;
}

TEST_P(StreamRecords, ComeWithTheResultOfTheirTask)
{
    for (bool ordered : { true, false }) {
        Source source{ TASKS, note_some };
        size_t n = 0;
        counts.clear();
        ASSERT_OK(open(source, ordered, options()));
        EXPECT_TRUE(taken().empty()) << "not before the first result";
        EXPECT_OK(read_all([&](const parloom_result &result) {
            EXPECT_EQ(taken(), notes_of(result.index)) << "of this one and of no other";
            EXPECT_TRUE(!ordered || result.index == n);
            n++;
        }));
        EXPECT_EQ(n, size_t{ TASKS });
        ASSERT_EQ(counts.size(), TASKS / 2u);
        for (const Record &count : counts) EXPECT_EQ(count.text, std::string(count.task, 'x'));
        EXPECT_EQ(merged_in, std::this_thread::get_id());
        close();
    }
}

TEST_P(StreamRecords, OfResultsThatNobodyTakesAreDropped)
{
    Source source{ TASKS, note_some };
    ASSERT_OK(open(source, true, options()));
    for (size_t k = 0; k < 3; k++) {
        parloom_result result;
        bool done = false;
        ASSERT_OK(parloom_stream_next(stream, &result, &done, &error));
        EXPECT_EQ(taken(), notes_of(k));
    }
    close();
    EXPECT_TRUE(notes.empty());
}

int note_and_fail(const parloom_task *task, void *const *args)
{
    int failed = note_some(task, args);
    return task->index % 4 == 1 ? parloom_fail(task, 5, "no") : failed;
}

TEST_P(StreamRecords, OfFailedTasksAreAmongThem)
{
    Source source{ TASKS, note_and_fail };
    ASSERT_OK(open(source, true, going_on()));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        EXPECT_EQ(result.status, result.index % 4 == 1 ? PARLOOM_ERR_TASK : PARLOOM_OK);
        EXPECT_EQ(taken(), notes_of(result.index, result.status));
    }));
}

TEST_P(StreamRecords, OfChannelsThatAreRegisteredLaterAreNotCollected)
{
    Source source{ TASKS, note_some };
    std::vector<Record> late;
    ASSERT_OK(parloom_channel_unregister("notes", &error));
    ASSERT_OK(open(source, true, options()));
    ASSERT_OK(parloom_channel_register("notes", keep, &late, &error));
    EXPECT_OK(read_all([&](const parloom_result &) {}));
    EXPECT_TRUE(late.empty());
    EXPECT_TRUE(notes.empty());
    EXPECT_EQ(counts.size(), TASKS / 2u);
}

std::string long_text(size_t task)
{
    return std::string(50000 + 1000 * task, static_cast<char>('a' + task % 26));
}

int note_much(const parloom_task *task, void *const *)
{
    int failed = say(task, "notes", long_text(task->index));
    for (int k = 0; k < 500; k++) failed |= say(task, "counts", "0123456789");
    return failed | say(task, "notes", "");
}

TEST_P(StreamRecords, OfAnySizeAndNumberAreWhole)
{
    Source source{ 12, note_much };
    size_t n = 0;
    ASSERT_OK(open(source, false, options()));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        std::vector<Record> expected = { { result.index, PARLOOM_OK, long_text(result.index) },
                                         { result.index, PARLOOM_OK, "" } };
        EXPECT_EQ(taken(), expected);
        EXPECT_EQ(counts.size(), 500u);
        counts.clear();
        n++;
    }));
    EXPECT_EQ(n, 12u);
}

/* args[0]: how the inner stream went. */
int stream_inside(const parloom_task *task, void *const *args)
{
    auto *went = static_cast<int *>(args[0]) + task->index;
    parloom_stream *inner = nullptr;
    parloom_options given = PARLOOM_OPTIONS_INIT;
    parloom_result result;
    bool done = false;
    Source source{ 4, note_some };
    given.backend = "threads";
    given.n_jobs = 2;
    *went = parloom_stream_open(&inner, Source::next, &source, true, &given, nullptr);
    while (*went == PARLOOM_OK && !done) *went = parloom_stream_next(inner, &result, &done, nullptr);
    parloom_stream_close(inner);
    return say(task, "notes", "outer");
}

TEST_P(StreamRecords, OfAStreamInATaskBecomeThoseOfTheTask)
{
    Shared<int> went{ 5 };
    parloom_arg args[] = { parloom_inout(went.get(), 5 * sizeof(int)) };
    parloom_options given = options();
    ASSERT_OK(parloom_for(5, stream_inside, args, 1, &given, &error));
    std::vector<Record> expected;
    for (size_t task = 0; task < 5; task++) {
        EXPECT_EQ(went[task], PARLOOM_OK);
        for (size_t inner = 0; inner < 4; inner++)
            for (const Record &record : notes_of(inner)) expected.push_back({ task, PARLOOM_OK, record.text });
        expected.push_back({ task, PARLOOM_OK, "outer" });
    }
    EXPECT_EQ(notes, expected);
}

INSTANTIATE_TEST_SUITE_P(On, StreamRecords, ::testing::ValuesIn(every_stream), name_of);

/* ---------------------------------------------------------------------- deaths */

class StreamRecordsOfTheDead : public StreamRecords
{
};

int note_and_die(const parloom_task *task, void *const *args)
{
    int failed = note_some(task, args);
    if (task->index % 5 == 2 && task->attempt < 2) {
        failed |= say(task, "notes", numbered("attempt ", static_cast<size_t>(task->attempt)));
        raise(SIGKILL);
    }
    return failed;
}

TEST_P(StreamRecordsOfTheDead, AreThoseUntilTheirDeath)
{
    Source source{ TASKS, note_and_die };
    ASSERT_OK(open(source, true, going_on()));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        bool is_dead = result.index % 5 == 2;
        EXPECT_EQ(result.status, is_dead ? PARLOOM_ERR_CRASHED : PARLOOM_OK);
        std::vector<Record> expected = notes_of(result.index, result.status);
        if (is_dead) expected.push_back({ result.index, result.status, "attempt 0" });
        EXPECT_EQ(taken(), expected);
    }));
}

TEST_P(StreamRecordsOfTheDead, OfSeveralAttemptsAreThoseOfTheLast)
{
    Source source{ TASKS, note_and_die };
    parloom_options given = going_on();
    given.retries = 2;
    ASSERT_OK(open(source, true, given));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        EXPECT_EQ(result.status, PARLOOM_OK) << result.error.message;
        EXPECT_EQ(taken(), notes_of(result.index));
    }));
}

int note_much_and_die(const parloom_task *task, void *const *args)
{
    int failed = note_much(task, args);
    if (task->index % 2 == 0) raise(SIGKILL);
    return failed;
}

TEST_P(StreamRecordsOfTheDead, AreWholeWhereTheyFilledTheLog)
{
    Source source{ 6, note_much_and_die };
    ASSERT_OK(open(source, true, going_on()));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        std::vector<Record> came = taken();
        ASSERT_EQ(came.size(), 2u);
        EXPECT_EQ(came[0], (Record{ result.index, result.status, long_text(result.index) }));
        EXPECT_EQ(counts.size(), 500u);
        counts.clear();
    }));
}

INSTANTIATE_TEST_SUITE_P(On, StreamRecordsOfTheDead,
                         ::testing::Values(Place{ "processes", 2 }, Place{ "processes", 3 }), name_of);

} // namespace

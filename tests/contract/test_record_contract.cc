/* SPDX-License-Identifier: BSD-3-Clause */
/* Side channels: what tasks record comes back in task order, the same on every backend, also of tasks that failed. */
#include "contract/places.h"
#include "contract/records.h"

#include <csignal>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace contract;

namespace
{

enum { TASKS = 50 };

class Records : public Placed, protected Channels
{
  protected:
    void SetUp() override
    {
        Placed::SetUp();
        ASSERT_NO_FATAL_FAILURE(register_both());
    }
    void TearDown() override
    {
        unregister_both();
        Placed::TearDown();
    }
};

class RecordsOfTheDead : public Records
{
};

int note_some(const parloom_task *task, void *const *)
{
    size_t i = task->index;
    int failed = say(task, "notes", numbered("first ", i));
    if (i % 3 == 0) failed |= say(task, "notes", numbered("second ", i));
    if (i % 2 == 0) failed |= say(task, "counts", std::string(i, 'x'));
    failed |= say(task, "nobody's", "dropped");
    return failed;
}

std::vector<Record> notes_of_all()
{
    std::vector<Record> expected;
    for (size_t i = 0; i < TASKS; i++) {
        expected.push_back({ i, PARLOOM_OK, numbered("first ", i) });
        if (i % 3 == 0) expected.push_back({ i, PARLOOM_OK, numbered("second ", i) });
    }
    return expected;
}

} // namespace

TEST_P(Records, ComeBackInTaskOrder)
{
    parloom_options given = options();
    ASSERT_OK(parloom_for(TASKS, note_some, nullptr, 0, &given, &error));
    EXPECT_EQ(notes, notes_of_all());
    ASSERT_EQ(counts.size(), TASKS / 2u);
    for (size_t k = 0; k < counts.size(); k++)
        EXPECT_EQ(counts[k], (Record{ 2 * k, PARLOOM_OK, std::string(2 * k, 'x') }));
    EXPECT_EQ(merged_in, std::this_thread::get_id());
}

TEST_P(Records, OfEachCallAreItsOwn)
{
    parloom_options given = options();
    for (int k = 0; k < 3; k++) {
        notes.clear();
        ASSERT_OK(parloom_for(TASKS, note_some, nullptr, 0, &given, &error));
        EXPECT_EQ(notes, notes_of_all());
    }
    ASSERT_OK(parloom_channel_unregister("notes", &error));
    notes.clear();
    counts.clear();
    ASSERT_OK(parloom_for(TASKS, note_some, nullptr, 0, &given, &error));
    EXPECT_TRUE(notes.empty());
    EXPECT_EQ(counts.size(), TASKS / 2u);
}

namespace
{

int note_and_fail(const parloom_task *task, void *const *)
{
    say(task, "notes", "before");
    return task->index % 7 == 3 ? parloom_fail(task, 5, "fails") : 0;
}

} // namespace

TEST_P(Records, OfTasksThatFailedCarryTheirStatus)
{
    parloom_options given = options();
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    EXPECT_EQ(parloom_for(TASKS, note_and_fail, nullptr, 0, &given, &error), PARLOOM_ERR_TASK);
    ASSERT_EQ(notes.size(), static_cast<size_t>(TASKS));
    for (size_t i = 0; i < TASKS; i++)
        EXPECT_EQ(notes[i], (Record{ i, i % 7 == 3 ? PARLOOM_ERR_TASK : PARLOOM_OK, "before" }));
}

namespace
{

int note_much(const parloom_task *task, void *const *args)
{
    const size_t *sizes = static_cast<const size_t *>(args[0]);
    std::string text(sizes[task->index], static_cast<char>('a' + task->index % 26));
    int failed = say(task, "notes", text);
    return failed | parloom_record(task, "counts", nullptr, 0);
}

} // namespace

TEST_P(Records, MayBeOfAnySize)
{
    std::vector<size_t> sizes = { 0, 1, 959, 960, 961, 1920, 1921, 4095, 4096, 100000, 1000000, 3 };
    parloom_options given = options();
    parloom_arg args[] = { contract::in(sizes) };
    ASSERT_OK(parloom_for(sizes.size(), note_much, args, 1, &given, &error));
    ASSERT_EQ(notes.size(), sizes.size());
    for (size_t i = 0; i < sizes.size(); i++)
        EXPECT_EQ(notes[i], (Record{ i, PARLOOM_OK, std::string(sizes[i], static_cast<char>('a' + i % 26)) }));
    EXPECT_EQ(counts.size(), sizes.size());
}

namespace
{

int announce_and_note(const parloom_task *task, void *const *)
{
    for (size_t i = task->begin; i < task->end; i++) {
        parloom_at(task, i);
        if (say(task, "notes", numbered("at ", i)) != 0) return 1;
        if (i == 20) return 3;
    }
    return 0;
}

int note_sum(const parloom_task *task, void *const *args)
{
    *static_cast<double *>(args[0]) += static_cast<double>(task->index);
    return say(task, "notes", numbered("adds ", task->index));
}

void add(void *into, const void *from)
{
    *static_cast<double *>(into) += *static_cast<const double *>(from);
}

int note_one(const parloom_task *task, void *const *)
{
    return say(task, "notes", "one");
}

int note_other(const parloom_task *task, void *const *)
{
    return say(task, "notes", "other");
}

} // namespace

TEST_P(Records, OfARangeBelongToTheIndexThatWasAnnounced)
{
    parloom_options given = options();
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    EXPECT_EQ(parloom_for_range(TASKS, announce_and_note, nullptr, 0, &given, &error), PARLOOM_ERR_TASK);
    ASSERT_EQ(notes.size(), static_cast<size_t>(TASKS));
    for (size_t i = 0; i < TASKS; i++)
        EXPECT_EQ(notes[i], (Record{ i, i == 20 ? PARLOOM_ERR_TASK : PARLOOM_OK, numbered("at ", i) }));
}

TEST_P(Records, ComeFromReductionsAndLists)
{
    double sum = 0;
    parloom_options given = options();
    parloom_arg args[] = { parloom_reduce(&sum, sizeof sum, add) };
    ASSERT_OK(parloom_for(TASKS, note_sum, args, 1, &given, &error));
    ASSERT_EQ(notes.size(), static_cast<size_t>(TASKS));
    for (size_t i = 0; i < TASKS; i++) EXPECT_EQ(notes[i].text, numbered("adds ", i));
    notes.clear();
    parloom_call calls[] = { { note_one, nullptr, 0 }, { note_other, nullptr, 0 }, { note_one, nullptr, 0 } };
    ASSERT_OK(parloom_run(calls, 3, &given, &error));
    std::vector<Record> expected = { { 0, PARLOOM_OK, "one" }, { 1, PARLOOM_OK, "other" }, { 2, PARLOOM_OK, "one" } };
    EXPECT_EQ(notes, expected);
}

namespace
{

int nest(const parloom_task *task, void *const *)
{
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.n_jobs = 2;
    if (say(task, "notes", "outer") != 0) return 1;
    if (parloom_for(3, note_one, nullptr, 0, &given, nullptr) != PARLOOM_OK) return 2;
    return say(task, "notes", "done");
}

} // namespace

TEST_P(Records, OfCallsMadeInATaskBecomeThatTasks)
{
    parloom_options given = options();
    ASSERT_OK(parloom_for(8, nest, nullptr, 0, &given, &error));
    std::vector<Record> expected;
    for (size_t i = 0; i < 8; i++)
        for (const char *text : { "outer", "one", "one", "one", "done" }) expected.push_back({ i, PARLOOM_OK, text });
    EXPECT_EQ(notes, expected);
}

namespace
{

int misuse(const parloom_task *task, void *const *)
{
    bool refuses = parloom_record(task, nullptr, "x", 1) == PARLOOM_ERR_INVALID &&
                   parloom_record(task, "notes", nullptr, 1) == PARLOOM_ERR_INVALID;
    return refuses ? 0 : 1;
}

} // namespace

TEST_P(Records, WithoutChannelOrBytesAreRefused)
{
    parloom_options given = options();
    EXPECT_OK(parloom_for(4, misuse, nullptr, 0, &given, &error));
    EXPECT_TRUE(notes.empty());
}

namespace
{

int note_and_die(const parloom_task *task, void *const *args)
{
    int last = *static_cast<const int *>(args[0]);
    say(task, "notes", numbered("attempt ", static_cast<size_t>(task->attempt)));
    if (task->index % 10 == 4 && task->attempt < last) raise(SIGKILL);
    return 0;
}

int sum_and_die(const parloom_task *task, void *const *args)
{
    int status = note_sum(task, args);
    if (task->index == 13) raise(SIGKILL);
    return status;
}

} // namespace

TEST_P(RecordsOfTheDead, AreWhatTheyHadRecorded)
{
    int last = 9;
    parloom_options given = options();
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    parloom_arg args[] = { parloom_in(&last, sizeof last) };
    EXPECT_EQ(parloom_for(TASKS, note_and_die, args, 1, &given, &error), PARLOOM_ERR_CRASHED);
    ASSERT_EQ(notes.size(), static_cast<size_t>(TASKS));
    for (size_t i = 0; i < TASKS; i++)
        EXPECT_EQ(notes[i], (Record{ i, i % 10 == 4 ? PARLOOM_ERR_CRASHED : PARLOOM_OK, "attempt 0" }));
}

TEST_P(RecordsOfTheDead, CountOnceWhereTheTaskIsRunAgain)
{
    int last = 2;
    parloom_options given = options();
    given.retries = 2;
    parloom_arg args[] = { parloom_in(&last, sizeof last) };
    ASSERT_OK(parloom_for(TASKS, note_and_die, args, 1, &given, &error));
    ASSERT_EQ(notes.size(), static_cast<size_t>(TASKS));
    for (size_t i = 0; i < TASKS; i++)
        EXPECT_EQ(notes[i], (Record{ i, PARLOOM_OK, i % 10 == 4 ? "attempt 2" : "attempt 0" }));
}

TEST_P(RecordsOfTheDead, CountOnceWhereABlockIsRunAgain)
{
    double sum = 0;
    parloom_options given = options();
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    given.batch_size = 10;
    parloom_arg args[] = { parloom_reduce(&sum, sizeof sum, add) };
    EXPECT_EQ(parloom_for(TASKS, sum_and_die, args, 1, &given, &error), PARLOOM_ERR_CRASHED);
    ASSERT_EQ(notes.size(), static_cast<size_t>(TASKS));
    for (size_t i = 0; i < TASKS; i++)
        EXPECT_EQ(notes[i], (Record{ i, i == 13 ? PARLOOM_ERR_CRASHED : PARLOOM_OK, numbered("adds ", i) }));
    EXPECT_EQ(sum, TASKS * (TASKS - 1) / 2 - 13);
}

TEST(Channels, TakeEachNameOnceAndOnlySoMany)
{
    parloom_error error;
    std::vector<Record> records;
    for (int k = 0; k < PARLOOM_CHANNELS_MOST; k++)
        EXPECT_OK(parloom_channel_register(std::to_string(k).c_str(), keep, &records, &error));
    EXPECT_EQ(parloom_channel_register("3", keep, &records, &error), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("\"3\"");
    EXPECT_EQ(parloom_channel_register("more", keep, &records, &error), PARLOOM_ERR_LIMIT);
    for (int k = 0; k < PARLOOM_CHANNELS_MOST; k++)
        EXPECT_OK(parloom_channel_unregister(std::to_string(k).c_str(), &error));
    EXPECT_EQ(parloom_channel_unregister("3", &error), PARLOOM_ERR_INVALID);
}

TEST(Channels, AreRefusedWithoutANameOrAMerge)
{
    parloom_error error;
    EXPECT_EQ(parloom_channel_register("x", nullptr, nullptr, &error), PARLOOM_ERR_INVALID);
    for (const char *name : { "", "parloom.x" })
        EXPECT_EQ(parloom_channel_register(name, keep, nullptr, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_channel_register(nullptr, keep, nullptr, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_channel_register(std::string(PARLOOM_STATE_NAME_BYTES, 'x').c_str(), keep, nullptr, &error),
              PARLOOM_ERR_INVALID);
}

INSTANTIATE_TEST_SUITE_P(Everywhere, Records, ::testing::ValuesIn(contract::every_place), contract::name_of);
INSTANTIATE_TEST_SUITE_P(Killable, RecordsOfTheDead, ::testing::ValuesIn(contract::every_kill), contract::name_of);

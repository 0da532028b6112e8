/* SPDX-License-Identifier: BSD-3-Clause */
/* S1, second part: what tasks bring back beside their results. */
#include "conformance/conformance.h"

using namespace conformance;

namespace
{

enum { TASKS = 30 };

using Records = std::vector<std::string>;

void keep(const parloom_recorded *record, void *state)
{
    auto *records = static_cast<Records *>(state);
    records->push_back(std::to_string(record->task) + " " +
                       std::string(static_cast<const char *>(record->data), record->nbytes));
}

/* Collects what tasks record, for as long as this lives. */
class Collecting
{
  public:
    Collecting()
    {
        parloom_error failure;
        EXPECT_EQ(parloom_channel_register("notes", keep, &records, &failure), PARLOOM_OK) << failure.message;
    }
    ~Collecting() { parloom_channel_unregister("notes", nullptr); }
    Collecting(const Collecting &) = delete;
    Collecting &operator=(const Collecting &) = delete;

    Records records;
};

/* args[0]: one long a task. Two records each, around the work. */
int square_and_record(const parloom_task *task, void *const *args)
{
    if (parloom_record(task, "notes", "begins", 6) != 0) return 1;
    if (square(task, args) != 0) return 2;
    return parloom_record(task, "notes", "ends", 4);
}

Records two_of_each()
{
    Records made;
    for (int k = 0; k < TASKS; k++)
        for (const char *text : { " begins", " ends" }) made.push_back(std::to_string(k) + text);
    return made;
}

std::vector<long> squares_and_records(const parloom_options &given, parloom_error *error)
{
    std::vector<long> found(TASKS, -1);
    parloom_arg args[] = { contract::out(found) };
    EXPECT_EQ(parloom_for(TASKS, square_and_record, args, 1, &given, error), PARLOOM_OK) << error->message;
    return found;
}

/* A tag that is captured where the call is made, and set where its tasks run. */
char tag[16];

int take_tag(void *, void *bytes, size_t room, size_t *nbytes_out)
{
    *nbytes_out = sizeof tag;
    if (room >= sizeof tag) memcpy(bytes, tag, sizeof tag);
    return 0;
}

int set_tag(const void *bytes, size_t nbytes)
{
    memcpy(tag, bytes, nbytes);
    return 0;
}

int record_tag(const parloom_task *task, void *const *)
{
    return parloom_record(task, "notes", tag, strlen(tag));
}

} // namespace

TEST_F(Conformance, S1_08_RecordsComeBackInOrder)
{
    for (const char *backend : every_backend)
        for (int n_jobs : { 1, 2, 3 }) {
            Collecting collecting;
            EXPECT_EQ(squares_and_records(on(backend, n_jobs), &error), squares(TASKS)) << backend << n_jobs;
            EXPECT_EQ(collecting.records, two_of_each()) << backend << n_jobs;
        }
}

TEST_F(Conformance, S1_11_WhereNobodyCollectsNothingIs)
{
    Records records;
    for (const char *backend : every_backend) {
        ASSERT_OK(parloom_channel_register("others", keep, &records, &error));
        EXPECT_EQ(squares_and_records(on(backend), &error), squares(TASKS)) << backend;
        EXPECT_EQ(records.size(), 0u) << backend << ": another channel";
        ASSERT_OK(parloom_channel_unregister("others", &error));
        EXPECT_EQ(squares_and_records(on(backend), &error), squares(TASKS)) << backend;
    }
}

TEST_F(Conformance, S1_12_ThereAndBack)
{
    parloom_state_ops ops = { sizeof ops, take_tag, set_tag, nullptr };
    ASSERT_OK(parloom_state_register("tag", &ops, nullptr, &error));
    for (const char *backend : every_backend)
        for (const char *text : { "red", "blue" }) {
            Collecting collecting;
            parloom_options given = on(backend);
            strncpy(tag, text, sizeof tag - 1);
            tag[strlen(text)] = '\0';
            ASSERT_OK(parloom_for(3, record_tag, nullptr, 0, &given, &error)) << backend;
            std::string end = std::string(" ") + text;
            EXPECT_EQ(collecting.records, (Records{ "0" + end, "1" + end, "2" + end })) << backend;
        }
    ASSERT_OK(parloom_state_unregister("tag", &error));
}

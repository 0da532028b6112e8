/* SPDX-License-Identifier: BSD-3-Clause */
/* S1, first part: state of the program that follows into workers; and what P3 says of globals. */
#include "conformance/conformance.h"

using namespace conformance;

namespace
{

enum { TASKS = 20, ROOM = 64 };

/* What a library of messages would keep: how they begin, and whether they are written or recorded alone. */
struct context {
    char note[ROOM / 2];
    int level; /* messages below are not written */
    int record_only;
};

context current;
int applies; /* in this process */
int captures;

context context_of(const char *note, int level = 0, int record_only = 0)
{
    context made = {};
    strncpy(made.note, note, sizeof made.note - 1);
    made.level = level;
    made.record_only = record_only;
    return made;
}

int take(void *, void *bytes, size_t room, size_t *nbytes_out)
{
    captures++;
    *nbytes_out = sizeof current;
    if (room >= sizeof current) memcpy(bytes, &current, sizeof current);
    return 0;
}

int set(const void *bytes, size_t)
{
    applies++;
    memcpy(&current, bytes, sizeof current);
    return 0;
}

void put_back(const void *, size_t)
{
    current = {};
}

/* Registered for as long as this lives; lasting: what was set stays until it is set again. */
class Following
{
  public:
    explicit Following(bool lasting = false)
    {
        parloom_state_ops ops = { sizeof ops, take, set, lasting ? nullptr : put_back };
        parloom_error failure;
        EXPECT_EQ(parloom_state_register("context", &ops, nullptr, &failure), PARLOOM_OK) << failure.message;
    }
    ~Following()
    {
        parloom_state_unregister("context", nullptr);
        current = {};
    }
    Following(const Following &) = delete;
    Following &operator=(const Following &) = delete;
};

/* args[0]: ROOM characters a task. What a message looks like that is given out there. */
int give_message(const parloom_task *task, void *const *args)
{
    snprintf(static_cast<char *>(args[0]) + task->index * ROOM, ROOM, "%s%zu", current.note, task->index);
    return 0;
}

/* args[0]: one int a task. */
int note_level(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[0])[task->index] = current.level;
    return 0;
}

int note_applies(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[0])[task->index] = applies;
    return 0;
}

int warn(const parloom_task *task, void *const *)
{
    if (current.record_only == 0 && write(2, "a warning\n", 10) != 10) return 1;
    return parloom_record(task, "warnings", "a warning", 9);
}

int fail_with_note(const parloom_task *task, void *const *)
{
    return parloom_fail(task, 3, "%sit does not work", current.note);
}

std::vector<int> noted(parloom_body body, const parloom_options &given, parloom_error *error)
{
    std::vector<int> found(TASKS, -1);
    parloom_arg args[] = { contract::out(found) };
    EXPECT_EQ(parloom_for(TASKS, body, args, 1, &given, error), PARLOOM_OK) << error->message;
    return found;
}

void count_record(const parloom_recorded *, void *state)
{
    ++*static_cast<int *>(state);
}

int warn_in_workers(bool records_only)
{
    int records = 0;
    Following following;
    current = context_of("", 0, records_only ? 1 : 0);
    parloom_channel_register("warnings", count_record, &records, nullptr);
    parloom_options given = on("processes");
    if (parloom_for(TASKS, warn, nullptr, 0, &given, nullptr) != PARLOOM_OK) return 1;
    return records == TASKS ? 0 : 2;
}

/* Two workers of their own, so that calls have the same ones. */
class Pool
{
  public:
    explicit Pool(const char *backend)
    {
        parloom_options opening = on(backend);
        parloom_error failure;
        EXPECT_EQ(parloom_pool_open(&options.pool, &opening, &failure), PARLOOM_OK) << failure.message;
    }
    ~Pool() { parloom_pool_close(options.pool); }
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;

    parloom_options options = PARLOOM_OPTIONS_INIT;
};

} // namespace

TEST_F(Conformance, P3_08_GlobalChangedBetweenCalls)
{
    Following following(true);
    for (const char *backend : every_backend) {
        Pool pool(backend);
        for (int level : { 1, 2, 2, 7 }) {
            current.level = level;
            EXPECT_EQ(noted(note_level, pool.options, &error), std::vector<int>(TASKS, level)) << backend;
        }
    }
}

TEST_F(Conformance, S1_01_StateFollowsWhereItIsRegistered)
{
    Pool pool("processes");
    current.level = 5;
    EXPECT_EQ(noted(note_level, pool.options, &error), std::vector<int>(TASKS, 0)) << "as the program starts";
    {
        Following following;
        current.level = 5;
        EXPECT_EQ(noted(note_level, pool.options, &error), std::vector<int>(TASKS, 5));
    }
    EXPECT_EQ(noted(note_level, pool.options, &error), std::vector<int>(TASKS, 0)) << "put back";
}

TEST_F(Conformance, S1_02_ContextOfMessages)
{
    Following following;
    Pool pool("processes");
    for (const char *note : { "fold 1: ", "fold 2: " }) {
        std::vector<char> messages(size_t{ TASKS } * ROOM);
        parloom_arg args[] = { contract::out(messages) };
        current = context_of(note);
        captures = 0;
        ASSERT_OK(parloom_for(TASKS, give_message, args, 1, &pool.options, &error));
        for (size_t k = 0; k < TASKS; k++) EXPECT_EQ(&messages[k * ROOM], note + std::to_string(k));
        EXPECT_EQ(captures, 1) << "asked once a call, not once a task";
    }
}

TEST_F(Conformance, S1_03_RecordedAlone)
{
    for (bool records_only : { true, false }) {
        Ended ended = run_program([&] { return warn_in_workers(records_only); });
        EXPECT_EQ(ended.code(), 0);
        EXPECT_EQ(ended.err.empty(), records_only) << ended.err;
    }
}

TEST_F(Conformance, S1_04_ErrorsCarryTheContext)
{
    Following following;
    for (const char *backend : every_backend) {
        parloom_options given = on(backend);
        current = context_of("while fitting fold 3: ");
        EXPECT_EQ(parloom_for(TASKS, fail_with_note, nullptr, 0, &given, &error), PARLOOM_ERR_TASK) << backend;
        EXPECT_TRUE(says(error, "while fitting fold 3: it does not work")) << error.message;
    }
}

TEST_F(Conformance, S1_05_FiltersHoldForTheCallAlone)
{
    Following following;
    Pool pool("processes");
    for (int level : { 3, 0, 4 }) {
        current.level = level;
        EXPECT_EQ(noted(note_level, pool.options, &error), std::vector<int>(TASKS, level));
    }
    std::vector<int> pids = noted(note_pid, pool.options, &error);
    EXPECT_EQ(std::set<int>(pids.begin(), pids.end()).count(getpid()), 0u) << "in workers";
}

TEST_F(Conformance, S1_06_ThreadsHaveThoseOfTheProgram)
{
    Following following;
    for (const char *backend : { "threads", "sequential" }) {
        current.level = 3;
        applies = 0;
        EXPECT_EQ(noted(note_level, on(backend), &error), std::vector<int>(TASKS, 3)) << backend;
        EXPECT_EQ(noted(note_applies, on(backend), &error), std::vector<int>(TASKS, 0)) << backend;
        EXPECT_EQ(current.level, 3) << "nothing was put back";
    }
}

TEST_F(Conformance, S1_07_WhatASetterSetsDoesNotLeak)
{
    for (const char *backend : process_backends) {
        Pool pool(backend);
        {
            Following following;
            current.level = 9;
            EXPECT_EQ(noted(note_level, pool.options, &error), std::vector<int>(TASKS, 9)) << backend;
        }
        EXPECT_EQ(noted(note_level, pool.options, &error), std::vector<int>(TASKS, 0)) << backend;
    }
}

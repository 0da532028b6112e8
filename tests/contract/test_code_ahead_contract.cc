/* SPDX-License-Identifier: BSD-3-Clause */
/* Published code and modules by value in calls that run while the program goes on: streams and futures. */
#include "contract/places.h"
#include "support/machine_code.h"
#include "support/module.h"

#include <cstdint>

using namespace contract;

namespace
{

enum { TASKS = 24 };

parloom_body code_of(const void *bytes, size_t nbytes)
{
    parloom_body body = nullptr;
    parloom_error error;
    EXPECT_EQ(parloom_code_publish(bytes, nbytes, &body, &error), PARLOOM_OK) << error.message;
    return body;
}

/* Calls that all write to one array. The bodies take turns; the last is published by the source, halfway. */
struct Turns {
    parloom_arg found;
    std::vector<parloom_body> bodies;
    const unsigned char *late = nullptr;
    size_t late_nbytes = 0, asked = 0;

    static int next(void *state, parloom_call *call_out)
    {
        auto *turns = static_cast<Turns *>(state);
        if (turns->asked == TASKS) return 0;
        if (turns->asked == TASKS / 2 && turns->late != nullptr)
            turns->bodies.push_back(code_of(turns->late, turns->late_nbytes));
        *call_out = { turns->bodies[turns->asked++ % turns->bodies.size()], &turns->found, 1 };
        return 1;
    }
};

class CodeAhead : public Placed
{
  protected:
    void SetUp() override
    {
        Placed::SetUp();
        for (size_t k = 0; k < TASKS; k++) found[k] = -1;
        given = options();
        given.modules = PARLOOM_MODULES_BY_VALUE;
    }
    void TearDown() override
    {
        parloom_shutdown(true);
        Placed::TearDown();
    }
    parloom_arg argument() { return parloom_inout(found.get(), TASKS * sizeof(int64_t)); }
    void stream(Turns &turns)
    {
        parloom_stream *stream = nullptr;
        ASSERT_OK(parloom_stream_open(&stream, Turns::next, &turns, true, &given, &error));
        for (bool done = false; !done;) {
            parloom_result result = {};
            parloom_status status = parloom_stream_next(stream, &result, &done, &error);
            EXPECT_OK(status);
            EXPECT_EQ(result.status, PARLOOM_OK) << result.error.message;
            if (status != PARLOOM_OK) break;
        }
        parloom_stream_close(stream);
    }
    /* Task 0 of its own. */
    void submit(parloom_body body)
    {
        parloom_arg arg = argument();
        parloom_call call = { body, &arg, 1 };
        parloom_future *future = nullptr;
        parloom_result result = {};
        ASSERT_OK(parloom_submit(&future, &call, &given, &error));
        EXPECT_OK(parloom_future_wait(future, 60, &result, &error));
        EXPECT_EQ(result.status, PARLOOM_OK) << result.error.message;
        parloom_future_release(future);
    }
    Shared<int64_t> found{ TASKS };
    parloom_options given;
};

TEST_P(CodeAhead, ThatWasPublishedRunsInAStream)
{
    parloom_body square = code_of(loom::SQUARE_CODE, sizeof loom::SQUARE_CODE);
    parloom_body twice = code_of(loom::DOUBLE_CODE, sizeof loom::DOUBLE_CODE);
    Turns turns = { argument(), { square, twice } };
    stream(turns);
    for (int64_t k = 0; k < TASKS; k++) EXPECT_EQ(found[static_cast<size_t>(k)], k % 2 == 0 ? k * k : k + k) << k;
    parloom_code_release(square);
    parloom_code_release(twice);
}

/* Its workers are at work when it comes. */
TEST_P(CodeAhead, ThatTheSourcePublishesRunsInItsStream)
{
    parloom_body square = code_of(loom::SQUARE_CODE, sizeof loom::SQUARE_CODE);
    Turns turns = {
        argument(), { square }, reinterpret_cast<const unsigned char *>(loom::DOUBLE_CODE), sizeof loom::DOUBLE_CODE
    };
    stream(turns);
    ASSERT_EQ(turns.bodies.size(), 2U);
    for (int64_t k = 0; k < TASKS; k++)
        EXPECT_EQ(found[static_cast<size_t>(k)], k < TASKS / 2 || k % 2 == 0 ? k * k : k + k) << k;
    for (parloom_body body : turns.bodies) parloom_code_release(body);
}

TEST_P(CodeAhead, ThatWasPublishedRunsInAFuture)
{
    for (int round = 0; round < 3; round++) {
        parloom_body square = code_of(loom::SQUARE_CODE, sizeof loom::SQUARE_CODE);
        found[0] = -1;
        submit(square);
        EXPECT_EQ(found[0], 0);
        parloom_code_release(square);
    }
}

/* Stores its number, in a static function. */
const char MODULE[] =
    "static int store(const unsigned long *t, void *const *a) { ((long *)a[0])[*t] = 70; return 0; }\n"
    "int (*get(void))(const unsigned long *, void *const *) { return store; }\n";

TEST_P(CodeAhead, OfAModuleByValueRunsAfterItsFileWasDeleted)
{
    loom::Module plugin(MODULE);
    if (!plugin.is_built()) GTEST_SKIP() << "no C compiler to build a module with";
    parloom_body body = reinterpret_cast<parloom_body (*)()>(plugin.symbol("get"))();
    Turns first = { argument(), { body } }, second = first;
    stream(first);
    for (size_t k = 0; k < TASKS; k++) {
        EXPECT_EQ(found[k], 70) << k;
        found[k] = -1;
    }
    unlink(plugin.path().c_str());
    parloom_shutdown(true); /* workers that have not seen it */
    stream(second);
    for (size_t k = 0; k < TASKS; k++) EXPECT_EQ(found[k], 70) << k;
    parloom_shutdown(true);
    found[0] = -1;
    submit(body);
    EXPECT_EQ(found[0], 70);
}

const std::vector<Place> ahead = { { "sequential", 1 }, { "threads", 3 }, { "processes", 1 }, { "processes", 2 } };
INSTANTIATE_TEST_SUITE_P(, CodeAhead, ::testing::ValuesIn(ahead), name_of);

} // namespace

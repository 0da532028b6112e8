/* SPDX-License-Identifier: BSD-3-Clause */
/* What follows the program into each call of a stream: registered state, surroundings, floating point. */
#include "contract/streams.h"

#include <cfenv>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <unistd.h>

using namespace contract;

namespace
{

const std::vector<Place> every_process = { { "processes", 2 }, { "processes", 3 } };

/* ------------------------------------------------------------ a registered state */

struct Told {
    int value;
    int how; /* of apply: 0 well, 1 returns 7, 2 crashes, 3 exits */
};

Told known;            /* of the program; its workers have one of their own */
int applies, restores; /* of this process */
int capture_fails;

int take(void *, void *bytes, size_t room, size_t *nbytes_out)
{
    *nbytes_out = sizeof known;
    if (room >= sizeof known) std::memcpy(bytes, &known, sizeof known);
    return capture_fails;
}

int set(const void *bytes, size_t)
{
    std::memcpy(&known, bytes, sizeof known);
    if (known.how == 1) return 7;
    if (known.how == 2) raise(SIGKILL);
    if (known.how == 3) _exit(9);
    applies++;
    return 0;
}

void put_back(const void *bytes, size_t)
{
    if (static_cast<const Told *>(bytes)->value == known.value) restores++;
    known.value = -1;
}

struct Seen {
    int value, applies, restores, pid;
};

int look(const parloom_task *task, void *const *)
{
    Seen seen = { known.value, applies, restores, static_cast<int>(getpid()) };
    return parloom_return(task, &seen, sizeof seen);
}

/* A source that does something before it gives call k. */
struct Setting : Source {
    std::function<void(size_t)> before;
    static int next(void *state, parloom_call *call_out)
    {
        auto *source = static_cast<Setting *>(state);
        if (source->asked < source->n) source->before(source->asked);
        return Source::next(source, call_out);
    }
};

class StreamState : public Streaming
{
  protected:
    void TearDown() override
    {
        parloom_stream_close(stream);
        stream = nullptr;
        parloom_state_unregister("known", nullptr);
        Streaming::TearDown();
    }
    parloom_status follow(bool restores_too = false)
    {
        parloom_state_ops ops = { sizeof(parloom_state_ops), take, set, restores_too ? put_back : nullptr };
        return parloom_state_register("known", &ops, nullptr, &error);
    }
    parloom_status open_setting(Setting &source, bool ordered, const parloom_options &given)
    {
        return parloom_stream_open(&stream, Setting::next, &source, ordered, &given, &error);
    }
    template <typename T> static T as(const parloom_result &result)
    {
        T value = {};
        EXPECT_EQ(result.status, PARLOOM_OK) << result.error.message;
        EXPECT_EQ(result.nbytes, sizeof value);
        if (result.nbytes == sizeof value) std::memcpy(&value, result.data, sizeof value);
        return value;
    }
    /* Of 60 calls every third has a state that cannot be applied so. */
    void expect_refused(int how, const std::function<void(const parloom_error &)> &check)
    {
        Setting source;
        static_cast<Source &>(source) = { 60, look };
        source.before = [&](size_t k) { known = { static_cast<int>(k), k % 3 == 1 ? how : 0 }; };
        parloom_options given = options();
        given.on_error = PARLOOM_ON_ERROR_GO_ON;
        given.retries = 1;
        given.report = &report;
        ASSERT_OK(follow());
        ASSERT_OK(open_setting(source, true, given));
        EXPECT_OK(read_all([&](const parloom_result &result) {
            if (result.index % 3 != 1) {
                EXPECT_EQ(as<Seen>(result).value, static_cast<int>(result.index));
                return;
            }
            EXPECT_EQ(result.status, PARLOOM_ERR_CALLBACK);
            EXPECT_NE(std::string(result.error.message).find("\"known\""), std::string::npos) << result.error.message;
            EXPECT_EQ(result.error.task, result.index);
            check(result.error);
        }));
        close();
        EXPECT_EQ(report.failed, 20u);
        EXPECT_EQ(report.ok, 40u);
        EXPECT_EQ(report.retried, 0u);
    }
};

TEST_P(StreamState, IsThatOfTheMomentWhenTheSourceGaveTheCall)
{
    Setting source;
    static_cast<Source &>(source) = { 100, look };
    source.before = [](size_t k) { known.value = static_cast<int>(k); };
    ASSERT_OK(follow());
    ASSERT_OK(open_setting(source, false, options()));
    size_t n = 0;
    EXPECT_OK(read_all([&](const parloom_result &result) {
        EXPECT_EQ(as<Seen>(result).value, static_cast<int>(result.index));
        n++;
    }));
    EXPECT_EQ(n, 100u);
}

TEST_P(StreamState, ChangedByTheConsumerHoldsForCallsAskedForLater)
{
    Source source{ 6, look };
    parloom_options given = options();
    given.pre_dispatch = "1"; /* each call is asked for when the one before is taken */
    known.value = 10;
    ASSERT_OK(follow());
    ASSERT_OK(open(source, true, given));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        EXPECT_EQ(as<Seen>(result).value, known.value);
        known.value += 10;
    }));
    EXPECT_EQ(known.value, 70);
}

TEST_P(StreamState, IsAppliedWhereItsBytesAreOthers)
{
    Setting source;
    static_cast<Source &>(source) = { 60, look };
    source.before = [](size_t k) { known.value = k < 30 ? 1 : 2; };
    ASSERT_OK(follow());
    ASSERT_OK(open_setting(source, true, options()));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        Seen seen = as<Seen>(result);
        EXPECT_EQ(seen.value, result.index < 30 ? 1 : 2);
        EXPECT_LE(seen.applies, seen.value);
        EXPECT_EQ(seen.restores, 0);
    }));
}

TEST_P(StreamState, IsPutBackAfterEachCall)
{
    Source source{ 40, look };
    known.value = 3;
    ASSERT_OK(follow(true));
    ASSERT_OK(open(source, true, options()));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        Seen seen = as<Seen>(result);
        EXPECT_EQ(seen.value, 3);
        EXPECT_EQ(seen.applies, seen.restores + 1);
    }));
}

TEST_P(StreamState, ThatIsNotRegisteredStaysInTheProgram)
{
    Source source{ 20, look };
    known.value = 3;
    ASSERT_OK(open(source, true, options()));
    EXPECT_OK(read_all([&](const parloom_result &result) { EXPECT_EQ(as<Seen>(result).value, 0); }));
}

TEST_P(StreamState, ThatCannotBeAppliedFailsItsCall)
{
    expect_refused(1, [](const parloom_error &refused) { EXPECT_EQ(refused.code, 7); });
}

TEST_P(StreamState, WhoseApplyingKillsTheWorkerFailsItsCall)
{
    expect_refused(2, [](const parloom_error &refused) { EXPECT_EQ(refused.signal, SIGKILL); });
}

TEST_P(StreamState, WhoseApplyingEndsTheWorkerFailsItsCall)
{
    expect_refused(3, [](const parloom_error &refused) { EXPECT_EQ(refused.code, 9); });
}

TEST_P(StreamState, ThatCannotBeCapturedEndsTheStream)
{
    Setting source;
    static_cast<Source &>(source) = { 20, look };
    source.before = [](size_t k) { capture_fails = k == 8 ? 5 : 0; };
    ASSERT_OK(follow());
    ASSERT_OK(open_setting(source, true, options()));
    size_t n = 0;
    EXPECT_EQ(read_all([&](const parloom_result &) { n++; }), PARLOOM_ERR_CALLBACK);
    capture_fails = 0;
    EXPECT_EQ(n, 8u) << "what the source gave before is delivered";
    EXPECT_EQ(error.code, 5);
    EXPECT_SAYS("\"known\"");
}

/* Loops on the same workers in between have a state of their own. */
TEST_P(StreamState, OfAStreamAndOfLoopsBesideItAreTheirs)
{
    parloom_pool *pool = nullptr;
    parloom_options made = options(), given = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_pool_open(&pool, &made, &error));
    given.pool = pool;
    given.pre_dispatch = "4";
    Setting source;
    static_cast<Source &>(source) = { 30, look };
    source.before = [](size_t k) { known.value = static_cast<int>(k); };
    ASSERT_OK(follow());
    ASSERT_OK(open_setting(source, true, given));
    Shared<int> found{ 8 };
    parloom_arg args[] = { parloom_out(found.get(), 8 * sizeof(int)) };
    auto body = [](const parloom_task *task, void *const *arguments) {
        static_cast<int *>(arguments[0])[task->index] = known.value;
        return 0;
    };
    parloom_options of_loop = PARLOOM_OPTIONS_INIT;
    of_loop.pool = pool;
    EXPECT_OK(read_all([&](const parloom_result &result) {
        EXPECT_EQ(as<Seen>(result).value, static_cast<int>(result.index));
        known.value = 1000 + static_cast<int>(result.index);
        ASSERT_OK(parloom_for(8, body, args, 1, &of_loop, &error));
        for (int k = 0; k < 8; k++) EXPECT_EQ(found[k], known.value);
    }));
    close();
    parloom_pool_close(pool);
}

INSTANTIATE_TEST_SUITE_P(On, StreamState, ::testing::ValuesIn(every_process), name_of);

/* ------------------------------------------------------------------ surroundings */

struct Around {
    int variable; /* FOLLOWS; -1: not set */
    int left;     /* LEFT_BY_A_TASK */
    char directory[200];
};

int look_around(const parloom_task *task, void *const *)
{
    Around around = {};
    const char *variable = getenv("FOLLOWS"), *left = getenv("LEFT_BY_A_TASK");
    around.variable = variable != nullptr ? std::atoi(variable) : -1;
    around.left = left != nullptr;
    if (getcwd(around.directory, sizeof around.directory) == nullptr) return 1;
    if (setenv("LEFT_BY_A_TASK", "1", 1) != 0 || chdir("/proc") != 0) return 2;
    return parloom_return(task, &around, sizeof around);
}

class StreamSurroundings : public StreamState
{
  protected:
    void TearDown() override
    {
        unsetenv("FOLLOWS");
        StreamState::TearDown();
    }
};

TEST_P(StreamSurroundings, AreThoseOfTheMomentWhenTheSourceGaveTheCall)
{
    char home[4096];
    ASSERT_NE(getcwd(home, sizeof home), nullptr);
    Setting source;
    static_cast<Source &>(source) = { 40, look_around };
    source.before = [&](size_t k) {
        setenv("FOLLOWS", std::to_string(k / 4).c_str(), 1);
        ASSERT_EQ(chdir(k % 4 < 2 ? "/" : "/tmp"), 0);
    };
    parloom_status status = open_setting(source, true, options());
    if (status == PARLOOM_OK)
        status = read_all([&](const parloom_result &result) {
            Around around = as<Around>(result);
            EXPECT_EQ(around.variable, static_cast<int>(result.index / 4));
            EXPECT_EQ(around.left, 0) << "call " << result.index;
            EXPECT_STREQ(around.directory, result.index % 4 < 2 ? "/" : "/tmp") << "call " << result.index;
        });
    EXPECT_EQ(chdir(home), 0);
    EXPECT_OK(status);
}

INSTANTIATE_TEST_SUITE_P(On, StreamSurroundings, ::testing::ValuesIn(every_process), name_of);

/* --------------------------------------------------------------- floating point */

int tell_rounding(const parloom_task *task, void *const *)
{
    int rounding = fegetround();
    fesetround(FE_DOWNWARD); /* what a task leaves is not the next one's */
    return parloom_return(task, &rounding, sizeof rounding);
}

class StreamRounding : public StreamState
{
};

TEST_P(StreamRounding, IsThatOfTheMomentWhenTheSourceGaveTheCall)
{
    Setting source;
    static_cast<Source &>(source) = { 40, tell_rounding };
    source.before = [](size_t k) { fesetround(k % 3 == 0 ? FE_UPWARD : FE_TONEAREST); };
    ASSERT_OK(open_setting(source, true, options()));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        EXPECT_EQ(as<int>(result), result.index % 3 == 0 ? FE_UPWARD : FE_TONEAREST);
        EXPECT_NE(fegetround(), FE_DOWNWARD);
    }));
    fesetround(FE_TONEAREST);
}

INSTANTIATE_TEST_SUITE_P(On, StreamRounding, ::testing::ValuesIn(every_stream), name_of);

/* ------------------------------------------------------------------------ scopes */

int tell_jobs(const parloom_task *task, void *const *)
{
    int n_jobs = parloom_effective_n_jobs(0);
    return parloom_return(task, &n_jobs, sizeof n_jobs);
}

class StreamScope : public StreamState
{
};

TEST_P(StreamScope, IsTheOneThatTheStreamWasOpenedIn)
{
    Source source{ 10, tell_jobs };
    parloom_options scope = PARLOOM_OPTIONS_INIT, given = options();
    scope.backend = "threads";
    scope.n_jobs = 5;
    given.pre_dispatch = "1"; /* mostly asked for when the scope has ended */
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    parloom_status status = open(source, true, given);
    parloom_scope_end();
    ASSERT_OK(status);
    EXPECT_OK(read_all([&](const parloom_result &result) { EXPECT_EQ(as<int>(result), 5); }));
}

INSTANTIATE_TEST_SUITE_P(On, StreamScope, ::testing::ValuesIn(every_stream), name_of);

} // namespace

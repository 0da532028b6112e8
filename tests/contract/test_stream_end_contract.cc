// SPDX-License-Identifier: BSD-3-Clause
/* How streams end otherwise than by their source: closed early, stopped, out of time, with workers that died. */
#include "contract/streams.h"

#include "support/waiting.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

using namespace contract;

namespace
{

enum { CALM, KILLED, EXITS, HANGS };

/* args[1]: what each number does; args[2]: how often each was begun. */
int do_as_told(const parloom_task *task, void *const *args)
{
    size_t number = number_of(args);
    __atomic_add_fetch(&static_cast<int *>(args[2])[number], 1, __ATOMIC_SEQ_CST);
    (void)parloom_return(task, &number, sizeof number);
    switch (static_cast<const int *>(args[1])[number]) {
    case KILLED:
        raise(SIGKILL);
        break;
    case EXITS:
        _exit(42);
    case HANGS:
        for (;;) pause();
    default:
        break;
    }
    return 0;
}

int die_once(const parloom_task *task, void *const *args)
{
    size_t number = number_of(args);
    if (task->attempt == 0 && number % 3 == 1) raise(SIGKILL);
    int attempt = task->attempt;
    return parloom_return(task, &attempt, sizeof attempt);
}

/* Says that it has begun, then goes on until it is told to end. */
int run_until_cancelled(const parloom_task *task, void *const *args)
{
    __atomic_add_fetch(static_cast<int *>(args[1]), 1, __ATOMIC_SEQ_CST);
    while (!parloom_cancelled(task)) std::this_thread::yield();
    __atomic_add_fetch(static_cast<int *>(args[2]), 1, __ATOMIC_SEQ_CST);
    return 1;
}

/* Asks whether it is cancelled when it is told to. args[1]: begun, told, ended. */
int ask_late(const parloom_task *task, void *const *args)
{
    auto *words = static_cast<int *>(args[1]);
    __atomic_add_fetch(&words[0], 1, __ATOMIC_SEQ_CST);
    loom::comes_true([&] { return __atomic_load_n(&words[1], __ATOMIC_SEQ_CST) != 0; }, 20);
    __atomic_add_fetch(&words[2], parloom_cancelled(task) ? 1 : 100, __ATOMIC_SEQ_CST);
    return 0;
}

int return_large(const parloom_task *task, void *const *args)
{
    std::vector<char> bytes(3000000, 'x');
    (void)args;
    return parloom_return(task, bytes.data(), bytes.size());
}

int kill_in_return(const parloom_task *task, void *const *args)
{
    size_t number = number_of(args);
    /* Bytes that are not there: the copy dies half way. */
    if (number == 2) return parloom_return(task, reinterpret_cast<void *>(uintptr_t{ 4096 }), 8);
    return parloom_return(task, &number, sizeof number);
}

int be_brief(const parloom_task *task, void *const *args)
{
    return parloom_return(task, args[0], sizeof(size_t));
}

void await(int *word, int value)
{
    ASSERT_TRUE(loom::comes_true([&] { return __atomic_load_n(word, __ATOMIC_SEQ_CST) >= value; }, 20)) << *word;
}

class StreamEnd : public Streaming
{
};

TEST_P(StreamEnd, ClosedEarlyCancelsTheRest)
{
    Source source{ 1000, be_brief };
    parloom_options with = options();
    with.report = &report;
    ASSERT_OK(open(source, true, with));
    parloom_result result;
    bool done = false;
    for (int k = 0; k < 2; k++) ASSERT_OK(parloom_stream_next(stream, &result, &done, &error));
    close();
    EXPECT_LT(source.asked, 50U);
    EXPECT_EQ(report.tasks, source.asked);
    expect_conserved();
    EXPECT_GE(report.ok, 2U);
}

TEST_P(StreamEnd, ClosedUnreadAndReopened)
{
    for (int k = 0; k < 10; k++) {
        Source source{ 30, be_brief };
        ASSERT_OK(open(source, k % 2 == 0, options()));
        close();
    }
    Source source{ 30, be_brief };
    size_t taken = 0;
    ASSERT_OK(open(source, true, options()));
    EXPECT_OK(read_all([&](const parloom_result &) { taken++; }));
    EXPECT_EQ(taken, 30U);
}

/* A thread that does not look at parloom_cancelled in time goes on, its stream and its stop do not. */
TEST_P(StreamEnd, AThreadThatAsksAfterTheClosingIsCancelled)
{
    if (!is_threaded()) return; /* processes are killed */
    const int n_jobs = GetParam().n_jobs;
    Shared<int> words(3);
    void *page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(page, MAP_FAILED);
    Source source{ 1000, ask_late, { parloom_inout(words.get(), 3 * sizeof(int)) } };
    parloom_options with = options();
    with.stop = static_cast<parloom_stop *>(page);
    ASSERT_OK(open(source, true, with));
    await(&words[0], n_jobs);
    close();
    munmap(page, 4096);
    __atomic_store_n(&words[1], 1, __ATOMIC_SEQ_CST);
    await(&words[2], n_jobs);
    EXPECT_EQ(words[2], n_jobs);
}

TEST_P(StreamEnd, AStopEndsIt)
{
    parloom_stop stop = {};
    Source source{ 1000, be_brief };
    parloom_options with = options();
    with.stop = &stop;
    with.report = &report;
    ASSERT_OK(open(source, true, with));
    size_t taken = 0;
    EXPECT_EQ(read_all([&](const parloom_result &) {
                  if (++taken == 5) parloom_cancel(&stop);
              }),
              PARLOOM_ERR_CANCELLED);
    EXPECT_LT(taken, 1000U);
    close();
    expect_conserved();
}

TEST_P(StreamEnd, AStopBeforeItBegins)
{
    parloom_stop stop = {};
    parloom_cancel(&stop);
    Source source{ 10, be_brief };
    parloom_options with = options();
    with.stop = &stop;
    EXPECT_EQ(open(source, true, with), PARLOOM_ERR_CANCELLED);
    EXPECT_EQ(source.asked, 0U);
    stream = nullptr;
}

INSTANTIATE_TEST_SUITE_P(, StreamEnd, ::testing::ValuesIn(every_stream), name_of);

class StreamEndOfWorkers : public Streaming
{
};

TEST_P(StreamEndOfWorkers, ClosingTellsWhoRuns)
{
    Shared<int> begun, told;
    Source source{ 10, run_until_cancelled, { parloom_inout(begun.get(), 4), parloom_inout(told.get(), 4) } };
    parloom_options with = options();
    with.report = &report;
    with.on_error = PARLOOM_ON_ERROR_GO_ON;
    ASSERT_OK(open(source, true, with));
    await(begun.get(), GetParam().n_jobs);
    close();
    EXPECT_EQ(report.ok, 0U);
    expect_conserved();
    EXPECT_EQ(begun[0], GetParam().n_jobs) << "what had not begun was not begun";
}

TEST_P(StreamEndOfWorkers, AStopTellsWhoRunsBeforeItIsClosed)
{
    parloom_stop stop = {};
    Shared<int> begun, told;
    Source source{ 10, run_until_cancelled, { parloom_inout(begun.get(), 4), parloom_inout(told.get(), 4) } };
    parloom_options with = options();
    with.stop = &stop;
    with.report = &report;
    ASSERT_OK(open(source, true, with));
    await(begun.get(), GetParam().n_jobs);
    parloom_cancel(&stop);
    EXPECT_EQ(read_all([](const parloom_result &) {}), PARLOOM_ERR_CANCELLED);
    await(told.get(), GetParam().n_jobs);
    close();
    expect_conserved();
    EXPECT_EQ(report.ok, 0U);
    EXPECT_EQ(begun[0], GetParam().n_jobs) << "what had not begun was not begun";
}

TEST_P(StreamEndOfWorkers, AStopInSharedMemoryTellsWhoRunsThoughNobodyWaits)
{
    Shared<int> begun, told;
    Shared<parloom_stop> stop;
    Source source{ 10, run_until_cancelled, { parloom_inout(begun.get(), 4), parloom_inout(told.get(), 4) } };
    parloom_options with = options();
    with.stop = stop.get();
    ASSERT_OK(open(source, true, with));
    await(begun.get(), GetParam().n_jobs);
    parloom_cancel(stop.get());
    await(told.get(), GetParam().n_jobs);
    close();
}

/* In memory that workers do not see. */
TEST_P(StreamEndOfWorkers, AStopTellsWhoRunsThoughNobodyWaits)
{
    Shared<int> begun, told;
    parloom_stop stop = {};
    Source source{ 10, run_until_cancelled, { parloom_inout(begun.get(), 4), parloom_inout(told.get(), 4) } };
    parloom_options with = options();
    with.stop = &stop;
    ASSERT_OK(open(source, true, with));
    await(begun.get(), GetParam().n_jobs);
    parloom_cancel(&stop);
    await(told.get(), GetParam().n_jobs);
    close();
}

TEST_P(StreamEndOfWorkers, AnInterruptTellsWhoRunsThoughNobodyWaits)
{
    Shared<int> begun, told;
    Source source{ 10, run_until_cancelled, { parloom_inout(begun.get(), 4), parloom_inout(told.get(), 4) } };
    ASSERT_OK(parloom_interrupt_begin(&error));
    ASSERT_OK(open(source, true, options()));
    await(begun.get(), GetParam().n_jobs);
    raise(SIGINT);
    await(told.get(), GetParam().n_jobs);
    close();
    EXPECT_TRUE(parloom_interrupt_end(false));
}

TEST_P(StreamEndOfWorkers, TimeoutEndsIt)
{
    Shared<int> begun, told;
    Source source{ 10, run_until_cancelled, { parloom_inout(begun.get(), 4), parloom_inout(told.get(), 4) } };
    parloom_options with = options();
    with.timeout = 0.05;
    with.report = &report;
    ASSERT_OK(open(source, false, with));
    EXPECT_EQ(read_all([](const parloom_result &) { ADD_FAILURE() << "a result"; }), PARLOOM_ERR_TIMEOUT);
    parloom_result result;
    bool done = false;
    EXPECT_EQ(parloom_stream_next(stream, &result, &done, &error), PARLOOM_ERR_TIMEOUT) << "again";
    close();
    expect_conserved();
}

TEST_P(StreamEndOfWorkers, OneThatIsNotReadDoesNotHoldUpLoops)
{
    parloom_pool *pool;
    parloom_options on_pool = PARLOOM_OPTIONS_INIT, given = options();
    ASSERT_OK(parloom_pool_open(&pool, &given, &error));
    on_pool.pool = pool;
    Source source{ 20, return_large }; /* workers wait for room that nobody has made yet */
    ASSERT_OK(open(source, true, on_pool));
    std::vector<int> out(50, 0);
    parloom_arg args[] = { each_out(out) };
    auto body = [](const parloom_task *, void *const *inner) {
        *static_cast<int *>(inner[0]) = 1;
        return 0;
    };
    EXPECT_OK(parloom_for(50, body, args, 1, &on_pool, &error));
    EXPECT_EQ(std::count(out.begin(), out.end(), 1), 50);
    close();
    parloom_pool_close(pool);
}

INSTANTIATE_TEST_SUITE_P(, StreamEndOfWorkers, ::testing::ValuesIn(every_stream_of_workers), name_of);

class StreamDeath : public Streaming
{
  protected:
    StreamDeath() : how(TASKS), begun(TASKS) {}
    static constexpr size_t TASKS = 60;
    Source source_of(parloom_body body)
    {
        return Source{ TASKS, body, { parloom_in(how.get(), TASKS * 4), parloom_inout(begun.get(), TASKS * 4) } };
    }
    parloom_options asking()
    {
        parloom_options with = options();
        with.on_error = PARLOOM_ON_ERROR_GO_ON;
        with.report = &report;
        return with;
    }
    Shared<int> how, begun;
};

TEST_P(StreamDeath, CostsOneResult)
{
    how[7] = KILLED;
    how[8] = KILLED;
    how[30] = EXITS;
    Source source = source_of(do_as_told);
    ASSERT_OK(open(source, true, asking()));
    size_t next = 0;
    EXPECT_OK(read_all([&](const parloom_result &result) {
        size_t k = result.index;
        EXPECT_EQ(k, next++);
        parloom_status expected = how[k] == KILLED  ? PARLOOM_ERR_CRASHED
                                  : how[k] == EXITS ? PARLOOM_ERR_EXITED
                                                    : PARLOOM_OK;
        EXPECT_EQ(result.status, expected) << k << ": " << result.error.message;
        EXPECT_EQ(begun[k], 1);
        EXPECT_EQ(result.nbytes, sizeof(size_t)) << "what it had returned before is delivered";
        if (how[k] == KILLED) {
            EXPECT_EQ(result.error.signal, SIGKILL);
            EXPECT_GT(result.error.pid, 0);
            EXPECT_NE(std::string(result.error.message).find("task " + std::to_string(k) + " crashed"),
                      std::string::npos);
        }
        if (how[k] == EXITS) {
            EXPECT_EQ(result.error.code, 42);
        }
    }));
    close();
    EXPECT_EQ(report.crashed, 2U);
    EXPECT_EQ(report.exited, 1U);
    EXPECT_EQ(report.ok, TASKS - 3);
    EXPECT_EQ(report.workers_lost, 3);
}

TEST_P(StreamDeath, StopsThereUnlessToldToGoOn)
{
    how[7] = KILLED;
    Source source = source_of(do_as_told);
    parloom_options with = options();
    ASSERT_OK(open(source, true, with));
    size_t taken = 0;
    parloom_status last = PARLOOM_OK;
    EXPECT_OK(read_all([&](const parloom_result &result) {
        taken++;
        last = result.status;
    }));
    EXPECT_EQ(taken, 8U);
    EXPECT_EQ(last, PARLOOM_ERR_CRASHED);
}

TEST_P(StreamDeath, RetriesRunAgain)
{
    Source source{ 30, die_once };
    parloom_options with = asking();
    with.retries = 2;
    ASSERT_OK(open(source, true, with));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        int attempt = -1;
        ASSERT_EQ(result.status, PARLOOM_OK) << result.error.message;
        ASSERT_EQ(result.nbytes, sizeof attempt);
        std::memcpy(&attempt, result.data, sizeof attempt);
        EXPECT_EQ(attempt, result.index % 3 == 1 ? 1 : 0);
    }));
    close();
    EXPECT_EQ(report.retried, 10U);
    EXPECT_EQ(report.ok, 30U);
}

TEST_P(StreamDeath, ADeathWhileAResultIsCopied)
{
    Source source{ 8, kill_in_return };
    ASSERT_OK(open(source, true, asking()));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        EXPECT_EQ(result.status, result.index == 2 ? PARLOOM_ERR_CRASHED : PARLOOM_OK);
        if (result.index == 2) {
            EXPECT_EQ(result.data, nullptr) << "half a result is none";
        }
    }));
}

TEST_P(StreamDeath, TaskTimeoutCostsOne)
{
    how[4] = HANGS;
    Source source = source_of(do_as_told);
    parloom_options with = asking();
    with.task_timeout = 0.2;
    ASSERT_OK(open(source, true, with));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        EXPECT_EQ(result.status, result.index == 4 ? PARLOOM_ERR_TIMEOUT : PARLOOM_OK) << result.error.message;
    }));
    close();
    EXPECT_EQ(report.timed_out, 1U);
    EXPECT_EQ(report.ok, TASKS - 1);
}

TEST_P(StreamDeath, ClosingDoesNotWaitForOneThatHangs)
{
    how[0] = HANGS;
    Source source = source_of(do_as_told);
    ASSERT_OK(open(source, false, asking()));
    await(&begun[0], 1);
    close(); /* returns: its worker is killed */
    EXPECT_EQ(report.timed_out, 0U) << "there was no limit";
    EXPECT_GE(report.cancelled, 1U);
    expect_conserved();
    Source next = source_of(do_as_told);
    how[0] = CALM;
    size_t taken = 0;
    ASSERT_OK(open(next, true, asking()));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        EXPECT_EQ(result.status, PARLOOM_OK);
        taken++;
    }));
    EXPECT_EQ(taken, TASKS);
}

TEST_P(StreamDeath, AStormEndsIt)
{
    for (size_t k = 0; k < TASKS; k++) how[k] = KILLED;
    Source source = source_of(do_as_told);
    parloom_options with = asking();
    with.retries = 1000;
    ASSERT_OK(open(source, true, with));
    EXPECT_EQ(read_all([](const parloom_result &) { ADD_FAILURE() << "a result"; }), PARLOOM_ERR_POOL);
    close();
    expect_conserved();
}

TEST_P(StreamDeath, AnotherStreamOnTheSameWorkersGoesOn)
{
    how[0] = HANGS;
    parloom_pool *pool;
    parloom_options given = options(), on_pool = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_pool_open(&pool, &given, &error));
    on_pool.pool = pool;
    Source hanging = source_of(do_as_told), calm{ 200, be_brief };
    parloom_stream *other;
    ASSERT_OK(parloom_stream_open(&other, Source::next, &calm, true, &on_pool, &error));
    ASSERT_OK(open(hanging, false, on_pool));
    await(&begun[0], 1);
    close();
    size_t taken = 0;
    for (bool done = false; !done;) {
        parloom_result result;
        ASSERT_OK(parloom_stream_next(other, &result, &done, &error));
        if (!done) {
            EXPECT_EQ(result.index, taken++);
        }
    }
    EXPECT_EQ(taken, 200U);
    parloom_stream_close(other);
    parloom_pool_close(pool);
}

INSTANTIATE_TEST_SUITE_P(, StreamDeath, ::testing::Values(Place{ "processes", 2 }, Place{ "processes", 3 }), name_of);

} // namespace

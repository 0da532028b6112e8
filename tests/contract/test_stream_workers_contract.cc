/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of a stream about its workers, and what is told of it: fresh workers, changed globals, limits, lines. */
#include "contract/streams.h"

#include "support/waiting.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <map>
#include <thread>
#include <unistd.h>

using namespace contract;

int a_global_of_streams = 5; /* outside of any namespace: its name is its symbol */

namespace
{

struct Lines {
    std::vector<std::string> all;
    Lines() { parloom_set_log(take, this); }
    ~Lines() { parloom_set_log(nullptr, nullptr); }
    static void take(int, const char *line, void *state) { static_cast<Lines *>(state)->all.push_back(line); }
    size_t count(const std::string &text) const
    {
        size_t found = 0;
        for (const std::string &line : all) found += line.find(text) != std::string::npos;
        return found;
    }
};

class StreamWorkers : public Streaming
{
  protected:
    parloom_options told()
    {
        parloom_options made = options();
        made.report = &report;
        made.on_error = PARLOOM_ON_ERROR_GO_ON;
        return made;
    }
};

/* ------------------------------------------------------------------ fresh workers */

int leaked; /* what a task leaves behind in its worker */

struct Seen {
    int pid, before, attempt;
};

int leave_behind(const parloom_task *task, void *const *)
{
    Seen seen = { static_cast<int>(getpid()), leaked++, task->attempt };
    return parloom_return(task, &seen, sizeof seen);
}

int die_once(const parloom_task *task, void *const *args)
{
    if (task->index % 5 == 2 && task->attempt == 0) raise(SIGKILL);
    return leave_behind(task, args);
}

class StreamOfFresh : public StreamWorkers
{
  protected:
    std::map<int, int> read_pids(int every)
    {
        std::map<int, int> tasks_of;
        EXPECT_OK(read_all([&](const parloom_result &result) {
            Seen seen = {};
            EXPECT_EQ(result.status, PARLOOM_OK) << result.error.message;
            if (result.nbytes == sizeof seen) std::memcpy(&seen, result.data, sizeof seen);
            EXPECT_LT(seen.before, every) << "task " << result.index;
            tasks_of[seen.pid]++;
        }));
        return tasks_of;
    }
};

TEST_P(StreamOfFresh, WorkersRunNoMoreTasksThanTheyMay)
{
    for (int every : { 1, 3 }) {
        Source source{ 24, leave_behind };
        parloom_options given = told();
        given.fresh_worker_every = every;
        ASSERT_OK(open(source, true, given));
        std::map<int, int> tasks_of = read_pids(every);
        for (const auto &worker : tasks_of) EXPECT_LE(worker.second, every);
        EXPECT_GE(tasks_of.size(), 24u / static_cast<unsigned>(every));
        close();
        EXPECT_EQ(report.ok, 24u);
        EXPECT_EQ(report.workers_lost, 0u) << "who goes by itself is not lost";
    }
}

TEST_P(StreamOfFresh, WorkersThatDieAreReplacedToo)
{
    Source source{ 30, die_once };
    parloom_options given = told();
    given.fresh_worker_every = 2;
    given.retries = 1;
    ASSERT_OK(open(source, false, given));
    std::map<int, int> tasks_of = read_pids(2);
    EXPECT_GE(tasks_of.size(), 15u);
    close();
    EXPECT_EQ(report.ok, 30u);
    EXPECT_EQ(report.retried, 6u);
    EXPECT_EQ(report.workers_lost, 6u);
}

int hold_more(const parloom_task *task, void *const *)
{
    size_t nbytes = 8 << 20;
    char *kept = static_cast<char *>(malloc(nbytes)); /* never freed */
    if (kept == nullptr) return 1;
    for (size_t k = 0; k < nbytes; k += 4096) const_cast<volatile char *>(kept)[k] = 1;
    return leave_behind(task, nullptr);
}

TEST_P(StreamOfFresh, WorkersThatGrowAreReplaced)
{
    Source source{ 12, hold_more };
    parloom_options given = told();
    given.worker_growth_limit = 1 << 20;
    given.pre_dispatch = "1"; /* a worker is looked at once the time for it has come: not in each task */
    ASSERT_OK(open(source, true, given));
    std::map<int, int> tasks_of = read_pids(1000);
    EXPECT_GT(tasks_of.size(), static_cast<size_t>(GetParam().n_jobs));
    close();
    EXPECT_EQ(report.workers_lost, 0u);
}

INSTANTIATE_TEST_SUITE_P(On, StreamOfFresh, ::testing::Values(Place{ "processes", 2 }, Place{ "processes", 3 }),
                         name_of);

/* ------------------------------------------------------------------ changed globals */

/* Named like those of loops: sanitizers have globals of their own, and leave these tests out. */
class Globals : public StreamWorkers
{
};

int change(const parloom_task *task, void *const *)
{
    if (task->index == 7) a_global_of_streams = 6;
    if (task->index == 9) setenv("LEFT_BY_A_TASK", "1", 1);
    return 0;
}

int applied; /* a state that follows is no task's change */

int take(void *, void *bytes, size_t room, size_t *nbytes_out)
{
    *nbytes_out = sizeof applied;
    if (room >= sizeof applied) std::memcpy(bytes, &applied, sizeof applied);
    return 0;
}

int set(const void *bytes, size_t)
{
    std::memcpy(&applied, bytes, sizeof applied);
    return 0;
}

int give_changing(void *state, parloom_call *call_out)
{
    applied++;
    return Source::next(state, call_out);
}

TEST_P(Globals, ThatTasksOfAStreamChangeAreToldOf)
{
    parloom_state_ops ops = { sizeof ops, take, set, nullptr };
    Source source{ 20, change };
    Lines lines;
    parloom_options given = told();
    given.check_globals = 1;
    ASSERT_OK(parloom_state_register("applied", &ops, nullptr, &error));
    parloom_status status = parloom_stream_open(&stream, give_changing, &source, true, &given, &error);
    if (status == PARLOOM_OK) status = read_all([](const parloom_result &) {});
    close();
    EXPECT_OK(status);
    EXPECT_OK(parloom_state_unregister("applied", &error));
    EXPECT_EQ(lines.count("task 7 left the global a_global_of_streams of the program changed"), 1u);
    EXPECT_EQ(lines.count("task 9 left the environment changed"), 1u);
    EXPECT_EQ(lines.count(" left "), 2u) << "of nothing else";
}

INSTANTIATE_TEST_SUITE_P(On, Globals, ::testing::Values(Place{ "processes", 2 }), name_of);

/* -------------------------------------------------------------------------- limits */

/* args[1]: int[], the pid of who runs each task. */
int run_for_ever(const parloom_task *, void *const *args)
{
    int *pids = static_cast<int *>(args[1]);
    __atomic_store_n(&pids[number_of(args)], static_cast<int>(getpid()), __ATOMIC_SEQ_CST);
    for (;;) pause();
}

int run_some_for_ever(const parloom_task *task, void *const *args)
{
    size_t number = number_of(args);
    if (number % 3 == 1) return run_for_ever(task, args);
    return parloom_return(task, &number, sizeof number);
}

class StreamOfLimits : public StreamWorkers
{
  protected:
    int pid_of(size_t k) { return __atomic_load_n(&pids[k], __ATOMIC_SEQ_CST); }
    static bool is_gone(int pid) { return kill(pid, 0) != 0 && errno == ESRCH; }
    Shared<int> pids{ 64 };
    parloom_arg shared = parloom_inout(pids.get(), 64 * sizeof(int));
};

TEST_P(StreamOfLimits, TaskTimeoutIsKeptWhileNobodyWaits)
{
    Source source{ 2, run_for_ever, { shared } };
    parloom_options given = told();
    given.task_timeout = 0.2;
    ASSERT_OK(open(source, true, given));
    for (size_t k = 0; k < 2; k++) {
        ASSERT_TRUE(loom::comes_true([&] { return pid_of(k) != 0; }, 30));
        ASSERT_TRUE(loom::comes_true([&] { return is_gone(pid_of(k)); }, 30));
    }
    size_t n = 0;
    EXPECT_OK(read_all([&](const parloom_result &result) {
        EXPECT_EQ(result.status, PARLOOM_ERR_TIMEOUT) << result.error.message;
        EXPECT_EQ(result.error.pid, pid_of(result.index));
        n++;
    }));
    EXPECT_EQ(n, 2u);
    close();
    EXPECT_EQ(report.timed_out, 2u);
}

TEST_P(StreamOfLimits, TaskTimeoutIsThatOfEachTaskAlone)
{
    Source source{ 30, run_some_for_ever, { shared } };
    parloom_options given = told();
    given.task_timeout = 0.1;
    ASSERT_OK(open(source, true, given));
    EXPECT_OK(read_all([&](const parloom_result &result) {
        EXPECT_EQ(result.status, result.index % 3 == 1 ? PARLOOM_ERR_TIMEOUT : PARLOOM_OK) << result.error.message;
    }));
    close();
    EXPECT_EQ(report.timed_out, 10u);
    EXPECT_EQ(report.ok, 20u);
}

TEST_P(StreamOfLimits, KilledByOthersBeforeTheLimitIsACrash)
{
    Source source{ 1, run_for_ever, { shared } };
    parloom_options given = told();
    given.task_timeout = 20;
    ASSERT_OK(open(source, true, given));
    ASSERT_TRUE(loom::comes_true([&] { return pid_of(0) != 0; }, 30));
    ASSERT_EQ(kill(pid_of(0), SIGKILL), 0);
    EXPECT_OK(read_all([&](const parloom_result &result) { EXPECT_EQ(result.status, PARLOOM_ERR_CRASHED); }));
}

TEST_P(StreamOfLimits, TimeoutIsKeptWhileNobodyWaits)
{
    Source source{ 40, run_for_ever, { shared } };
    parloom_options given = told();
    given.timeout = 0.3;
    given.pre_dispatch = "all";
    ASSERT_OK(open(source, true, given));
    for (size_t k = 0; k < static_cast<size_t>(GetParam().n_jobs); k++) {
        ASSERT_TRUE(loom::comes_true([&] { return pid_of(k) != 0; }, 30));
        ASSERT_TRUE(loom::comes_true([&] { return is_gone(pid_of(k)); }, 30));
    }
    EXPECT_EQ(read_all([](const parloom_result &) { ADD_FAILURE() << "a result"; }), PARLOOM_ERR_TIMEOUT);
    close();
    for (size_t k = static_cast<size_t>(GetParam().n_jobs); k < 40; k++) EXPECT_EQ(pid_of(k), 0) << "begun: " << k;
    EXPECT_EQ(report.timed_out + report.cancelled, 40u);
}

INSTANTIATE_TEST_SUITE_P(On, StreamOfLimits, ::testing::Values(Place{ "processes", 2 }, Place{ "processes", 3 }),
                         name_of);

/* args[1]: counts who has begun; args[2]: they may end. */
int wait_for_gate(const parloom_task *, void *const *args)
{
    __atomic_add_fetch(static_cast<int *>(args[1]), 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(static_cast<int *>(args[2]), __ATOMIC_SEQ_CST) == 0) std::this_thread::yield();
    return 0;
}

TEST(StreamOnThreads, BeginsNothingAfterItsTimeout)
{
    Shared<int> begun, gate;
    Source source{ 8, wait_for_gate, { parloom_inout(begun.get(), 4), parloom_inout(gate.get(), 4) } };
    parloom_options given = PARLOOM_OPTIONS_INIT;
    parloom_stream *stream = nullptr;
    parloom_error error;
    parloom_result result;
    bool done = false;
    given.backend = "threads";
    given.n_jobs = 2;
    given.timeout = 0.1;
    given.pre_dispatch = "all";
    ASSERT_OK(parloom_stream_open(&stream, Source::next, &source, true, &given, &error));
    EXPECT_EQ(parloom_stream_next(stream, &result, &done, &error), PARLOOM_ERR_TIMEOUT);
    int before = __atomic_load_n(begun.get(), __ATOMIC_SEQ_CST);
    __atomic_store_n(gate.get(), 1, __ATOMIC_SEQ_CST);
    parloom_stream_close(stream); /* those that wait at the gate end */
    EXPECT_EQ(__atomic_load_n(begun.get(), __ATOMIC_SEQ_CST), before);
}

/* ------------------------------------------------------------------- what is told */

class StreamOfLines : public StreamWorkers
{
};

int return_number(const parloom_task *task, void *const *args)
{
    size_t number = number_of(args);
    return parloom_return(task, &number, sizeof number);
}

TEST_P(StreamOfLines, NamesWorkersAndEnd)
{
    Lines lines;
    Source source{ 7, return_number };
    parloom_options given = told();
    given.verbose = 1;
    std::string front = "[Parallel(n_jobs=" + std::to_string(GetParam().n_jobs) + ")]: ";
    ASSERT_OK(open(source, true, given));
    EXPECT_OK(read_all([](const parloom_result &) {}));
    close();
    ASSERT_GE(lines.all.size(), 2u);
    EXPECT_EQ(lines.all.front().find(front + "Using backend "), 0u) << lines.all.front();
    EXPECT_EQ(lines.all.back().find(front + "Done 7 out of 7 | elapsed: "), 0u) << lines.all.back();
    EXPECT_NE(lines.all.back().find("finished"), std::string::npos) << lines.all.back();
}

/* Until the source has ended nobody knows how many there will be. */
TEST_P(StreamOfLines, TellsHowManyHaveEndedOfAnUnknownNumber)
{
    Lines lines;
    Source source{ SIZE_MAX, return_number };
    parloom_options given = told();
    given.verbose = 11; /* as often as there is something to tell */
    ASSERT_OK(open(source, true, given));
    auto has_line = [&] { return lines.count("]: Done") >= 3; };
    parloom_result result;
    bool done = false;
    ASSERT_TRUE(loom::comes_true(
        [&] { return parloom_stream_next(stream, &result, &done, &error) != PARLOOM_OK || has_line(); }, 30));
    EXPECT_TRUE(has_line());
    EXPECT_EQ(lines.count(" out of "), 0u);
    EXPECT_GE(lines.count(" tasks"), 3u);
    close();
    EXPECT_EQ(lines.count(" out of "), 1u) << "at the end it is known";
}

struct Progress {
    std::vector<size_t> ended;
    static void take(const parloom_report *so_far, void *state)
    {
        static_cast<Progress *>(state)->ended.push_back(so_far->ok);
    }
};

class StreamOfProgress : public StreamWorkers
{
};

/* Results that wait for a consumer who is busy elsewhere have ended. */
TEST_P(StreamOfProgress, CountsWhatHasEndedNotWhatWasTaken)
{
    Shared<int> begun, gate;
    Progress progress;
    Source source{ 100, wait_for_gate, { parloom_inout(begun.get(), 4), parloom_inout(gate.get(), 4) } };
    parloom_options given = told();
    given.pre_dispatch = "all";
    given.progress = Progress::take;
    given.progress_state = &progress;
    gate[0] = 1;
    auto opened = std::chrono::steady_clock::now();
    ASSERT_OK(open(source, true, given));
    parloom_result result;
    bool done = false;
    ASSERT_TRUE(loom::comes_true([&] { return __atomic_load_n(begun.get(), __ATOMIC_SEQ_CST) == 100; }, 30));
    auto told_next = opened + std::chrono::milliseconds(200); /* ten times a second */
    ASSERT_TRUE(loom::comes_true([&] { return std::chrono::steady_clock::now() > told_next; }));
    ASSERT_OK(parloom_stream_next(stream, &result, &done, &error));
    ASSERT_EQ(progress.ended.size(), 1u);
    EXPECT_GE(progress.ended.back(), 100u - static_cast<unsigned>(GetParam().n_jobs)) << "they may be ending";
    EXPECT_OK(read_all([](const parloom_result &) {}));
    close();
    EXPECT_EQ(progress.ended.back(), 100u);
}

INSTANTIATE_TEST_SUITE_P(On, StreamOfLines, ::testing::ValuesIn(every_stream), name_of);
INSTANTIATE_TEST_SUITE_P(On, StreamOfProgress, ::testing::ValuesIn(every_stream_of_workers), name_of);

} // namespace

/* SPDX-License-Identifier: BSD-3-Clause */
/* K11, and what K3 and K5 say of it: workers that end when they are idle, or have grown. */
#include "conformance/conformance.h"

#include <algorithm>
#include <sys/mman.h>

using namespace conformance;

namespace
{

enum : size_t { LARGE = 200000, LEAK = size_t{ 3 } << 20 };

/* A call in which each of n_jobs workers has a task: they all wait for one another. */
struct Meeting {
    std::set<int> pids;
    parloom_report report = empty_report();
};

/* args[0]: one int a task: its process; args[1]: how many have come. */
int meet(const parloom_task *task, void *const *args)
{
    auto *come = static_cast<std::atomic<size_t> *>(args[1]);
    note_pid(task, args);
    come[0]++;
    return comes_true([&] { return come[0] >= task->count; }, 40) ? 0 : 1;
}

Meeting meet_all(parloom_options given, parloom_error *error)
{
    Meeting met;
    auto n = static_cast<size_t>(given.n_jobs);
    Shared<int> pids(n);
    Shared<std::atomic<size_t>> come(1);
    parloom_arg args[] = { parloom_inout(pids.get(), n * sizeof(int)), parloom_inout(come.get(), sizeof(size_t)) };
    given.batch_size = 1;
    given.report = &met.report;
    EXPECT_EQ(parloom_for(n, meet, args, 2, &given, error), PARLOOM_OK) << error->message;
    met.pids = std::set<int>(pids.get(), pids.get() + n);
    EXPECT_EQ(met.pids.size(), n);
    return met;
}

parloom_options idle_after(double seconds, int n_jobs)
{
    parloom_options made = on("processes", n_jobs);
    made.idle_timeout = seconds;
    return made;
}

/* args[0]: LARGE bytes a task, in private memory of the program: a result that takes a while. */
int give_much(const parloom_task *task, void *const *args)
{
    memset(args[0], static_cast<int>(task->index + 1), LARGE);
    return 0;
}

/* Right if all of it has come back, and no worker was lost. */
void expect_much(const parloom_options &options, size_t n, parloom_error *error)
{
    std::vector<char> results(n * LARGE);
    parloom_arg args[] = { parloom_each(contract::out(results), LARGE) };
    parloom_report report = empty_report();
    parloom_options given = options;
    given.report = &report;
    given.batch_size = 1;
    ASSERT_EQ(parloom_for(n, give_much, args, 1, &given, error), PARLOOM_OK) << error->message;
    EXPECT_EQ(report.ok, n);
    EXPECT_EQ(report.workers_lost, 0);
    for (size_t k = 0; k < n; k++) {
        EXPECT_EQ(results[k * LARGE], static_cast<char>(k + 1));
        EXPECT_EQ(results[(k + 1) * LARGE - 1], static_cast<char>(k + 1));
    }
}

/* A state that takes its time to be taken and to be set, as an object that is slow to serialise. */
struct Slow {
    unsigned take_us, set_us;
} slow;

int take_slowly(void *, void *bytes, size_t room, size_t *nbytes_out)
{
    static uint64_t number;
    struct {
        uint64_t number;
        Slow slow;
    } now = { ++number, slow }; /* another one in each call */
    usleep(slow.take_us);
    *nbytes_out = sizeof now;
    if (room >= sizeof now) memcpy(bytes, &now, sizeof now);
    return 0;
}

int set_slowly(const void *bytes, size_t)
{
    Slow told;
    memcpy(&told, static_cast<const char *>(bytes) + sizeof(uint64_t), sizeof told);
    usleep(told.set_us);
    return 0;
}

/* Registered for as long as this lives. */
class Slowly
{
  public:
    Slowly(unsigned take_us, unsigned set_us)
    {
        parloom_state_ops ops = { sizeof ops, take_slowly, set_slowly, nullptr };
        parloom_error failure;
        slow = { take_us, set_us };
        EXPECT_EQ(parloom_state_register("slow", &ops, nullptr, &failure), PARLOOM_OK) << failure.message;
    }
    ~Slowly() { parloom_state_unregister("slow", nullptr); }
    Slowly(const Slowly &) = delete;
    Slowly &operator=(const Slowly &) = delete;
};

/* args[0]: one int a task: its process. Keeps 3 MiB for ever. */
int leak(const parloom_task *task, void *const *args)
{
    void *block = mmap(nullptr, LEAK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) return 1;
    memset(block, 1, LEAK);
    usleep(1000); /* memory is looked at now and then only */
    return note_pid(task, args);
}

int leak_in_many_calls()
{
    enum { CALLS = 30, EACH = 10 };
    setenv("PARLOOM_LOG", "info", 1);
    std::set<int> seen;
    parloom_options given = on("processes");
    given.worker_growth_limit = size_t{ 60 } << 20;
    given.batch_size = 1;
    for (int call = 0; call < CALLS; call++) {
        std::vector<int> pids(EACH);
        parloom_report report = empty_report();
        parloom_arg args[] = { contract::out(pids) };
        given.report = &report;
        if (parloom_for(EACH, leak, args, 1, &given, nullptr) != PARLOOM_OK) return 1;
        if (report.ok != EACH || report.workers_lost != 0) return 2;
        if (std::count(pids.begin(), pids.end(), 0) != 0) return 3;
        seen.insert(pids.begin(), pids.end());
    }
    return seen.size() > 4 ? 0 : 4; /* two at a time; 900 MiB in all, and 60 or a little more in each */
}

} // namespace

TEST_F(Conformance, K3_05_IdleWorkersLeaveAndComeBack)
{
    for (int round = 0; round < 5; round++) {
        Meeting met = meet_all(idle_after(0.01, 4), &error);
        EXPECT_GE(met.report.workers_started, 4) << round;
        for (int pid : met.pids) EXPECT_TRUE(comes_true([&] { return is_gone(pid); })) << round;
    }
}

TEST_F(Conformance, K3_06_GrownWorkersAreReplaced)
{
    Ended ended = run_program(leak_in_many_calls);
    EXPECT_EQ(ended.code(), 0) << ended.err;
    std::istringstream lines(ended.err);
    size_t told = 0;
    for (std::string line; std::getline(lines, line);) {
        told += line.find("had grown by") != std::string::npos;
        EXPECT_EQ(line.find("warning"), std::string::npos) << line;
    }
    EXPECT_GE(told, 2u) << ended.err;
}

/* Calls that say less share what is there; what a call says of idle workers holds until the next one says otherwise. */
TEST_F(Conformance, K5_17_UsedAgainAndSetAnew)
{
    Meeting three = meet_all(idle_after(42, 3), &error), again = meet_all(idle_after(42, 3), &error);
    EXPECT_EQ(three.report.workers_started, 3);
    EXPECT_EQ(again.report.workers_started, 0);
    EXPECT_EQ(again.pids, three.pids);
    Meeting fewer = meet_all(on("processes", 2), &error);
    EXPECT_EQ(fewer.report.workers_started, 0);
    EXPECT_TRUE(std::includes(three.pids.begin(), three.pids.end(), fewer.pids.begin(), fewer.pids.end()));
    Meeting more = meet_all(on("processes", 5), &error);
    EXPECT_EQ(more.report.workers_started, 2);
    Meeting brief = meet_all(idle_after(0.01, 5), &error);
    EXPECT_EQ(brief.report.workers_started, 0);
    for (int pid : brief.pids) EXPECT_TRUE(comes_true([&] { return is_gone(pid); })) << "the limit was set anew";
    EXPECT_EQ(meet_all(on("processes", 5), &error).report.workers_started, 5);
}

TEST_F(Conformance, K11_01_IdleWorkersAndLargeResults)
{
    for (int round = 0; round < 5; round++) {
        expect_much(idle_after(0.001, 2), 8, &error);
        for (int turn = 0; turn < 100 * round; turn++) std::this_thread::yield(); /* around the time they go */
    }
    EXPECT_TRUE(warnings().empty());
}

TEST_F(Conformance, K11_02_IdleWorkersAndSlowState)
{
    const unsigned pairs[][2] = { { 10, 20 }, { 10, 100 }, { 100, 100 }, { 1, 100 } }; /* milliseconds */
    for (const auto &pair : pairs) {
        Slowly slowly(pair[1] * 1000, pair[1] * 100);
        parloom_options given = idle_after(pair[0] * 1e-3, 2);
        for (int call = 0; call < 3; call++)
            EXPECT_EQ(squares_by(given, 16, &error), squares(16)) << pair[0] << "/" << pair[1] << error.message;
    }
    EXPECT_TRUE(warnings().empty());
}

TEST_F(Conformance, K11_03_PoolThatIsClosedWhileItsWorkersGo)
{
    Slowly slowly(20000, 2000);
    for (int round = 0; round < 5; round++) {
        parloom_options opening = idle_after(0.001, 2), given = PARLOOM_OPTIONS_INIT;
        ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
        EXPECT_EQ(squares_by(given, 16, &error), squares(16)) << error.message;
        for (int turn = 0; turn < 50 * round; turn++) std::this_thread::yield();
        parloom_pool_close(given.pool);
    }
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Where tasks run that were bound, on every backend, and that nothing of it stays. */
#include "base/machine.h"

#include "contract/places.h"

#include <parloom/parloom.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sched.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace
{

enum { TASKS = 32 };

struct Seat {
    cpu_set_t cpus;
    int worker, has_hwloc, inner;
};

bool has_hwloc()
{
    std::ifstream maps("/proc/self/maps");
    std::string line;
    while (std::getline(maps, line))
        if (line.find("libhwloc") != std::string::npos) return true;
    return false;
}

int note_seat(const parloom_task *task, void *const *args)
{
    auto *seat = static_cast<Seat *>(args[0]) + task->index;
    sched_getaffinity(0, sizeof seat->cpus, &seat->cpus);
    seat->worker = task->worker;
    seat->has_hwloc = has_hwloc();
    return 0;
}

cpu_set_t affinity()
{
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    return set;
}

std::vector<int> cpus_of(const cpu_set_t &set)
{
    std::vector<int> cpus;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    return cpus;
}

class Bind : public loom::Clean, public ::testing::WithParamInterface<const char *>
{
  protected:
    void SetUp() override
    {
        loom::Clean::SetUp();
        if (is("pthreads")) {
            ASSERT_OK(register_pthreads(&error));
        }
        seats = static_cast<Seat *>(parloom_alloc(TASKS * sizeof(Seat), &error));
        ASSERT_NE(seats, nullptr) << error.message;
        ours = affinity();
        options.n_jobs = 2;
        options.backend = GetParam();
        options.schedule = PARLOOM_SCHEDULE_STATIC;
        options.batch_size = 1;
    }
    void TearDown() override
    {
        parloom_free(seats);
        parloom_shutdown(true);
        if (is("pthreads")) {
            EXPECT_OK(parloom_backend_unregister("pthreads", &error));
        }
        loom::Clean::TearDown();
    }
    static bool is(const char *backend) { return strcmp(GetParam(), backend) == 0; }
    parloom_status call(const char *bind)
    {
        parloom_arg args[] = { parloom_inout(seats, TASKS * sizeof(Seat)) };
        options.bind = bind;
        return parloom_for(TASKS, note_seat, args, 1, &options, &error);
    }
    void expect_unbound()
    {
        for (int i = 0; i < TASKS; i++) EXPECT_TRUE(CPU_EQUAL(&seats[i].cpus, &ours)) << "task " << i;
    }
    void expect_all_on(int cpu)
    {
        for (int i = 0; i < TASKS; i++) EXPECT_EQ(cpus_of(seats[i].cpus), std::vector<int>{ cpu }) << "task " << i;
    }
    Seat *seats = nullptr;
    cpu_set_t ours;
    parloom_options options = PARLOOM_OPTIONS_INIT;
    parloom_error error = {};
};

TEST_P(Bind, CompactGivesEachWorkerACpuOfItsOwn)
{
    if (CPU_COUNT(&ours) < 2) GTEST_SKIP() << "one CPU: all workers sit there";
    ASSERT_EQ(call("compact"), PARLOOM_OK) << error.message;
    for (int i = 0; i < TASKS; i++) {
        EXPECT_EQ(seats[i].worker, i % 2);
        EXPECT_EQ(CPU_COUNT(&seats[i].cpus), 1) << "task " << i;
        EXPECT_TRUE(CPU_EQUAL(&seats[i].cpus, &seats[i % 2].cpus)) << "task " << i;
    }
    EXPECT_FALSE(CPU_EQUAL(&seats[0].cpus, &seats[1].cpus));
}

TEST_P(Bind, PutsWorkersOnTheCoresThatTheDescriptionNames)
{
    const loom_machine *machine = loom_machine_here();
    if (machine == nullptr) GTEST_SKIP() << "hwloc cannot look at this machine";
    for (const char *bind : { "core", "spread", "numa" }) {
        ASSERT_EQ(call(bind), PARLOOM_OK) << error.message;
        char text[4096];
        ASSERT_EQ(parloom_placement_describe(&options, text, sizeof text, &error), PARLOOM_OK) << error.message;
        EXPECT_NE(strstr(text, bind), nullptr) << text;
        for (int worker = 0; worker < 2; worker++) {
            loom_cpuset set = {};
            char cpus[256];
            for (int cpu : cpus_of(seats[worker].cpus)) loom_cpuset_add(&set, cpu);
            loom_cpuset_write(&set, cpus, sizeof cpus);
            std::string line = "worker " + std::to_string(worker) + ": CPU";
            line += loom_cpuset_count(&set) == 1 ? " " : "s ";
            line += std::string(cpus) + " (core";
            EXPECT_NE(strstr(text, line.c_str()), nullptr) << line << "\n" << text;
        }
    }
}

TEST_P(Bind, GivesBackWhatTheCallerHad)
{
    int cpu = cpus_of(ours).back();
    ASSERT_EQ(call(std::to_string(cpu).c_str()), PARLOOM_OK) << error.message;
    expect_all_on(cpu);
    cpu_set_t after = affinity();
    EXPECT_TRUE(CPU_EQUAL(&after, &ours));
}

TEST_P(Bind, WorkersThatAreUsedAgainMoveWithTheCall)
{
    std::vector<int> usable = cpus_of(ours);
    ASSERT_EQ(call(nullptr), PARLOOM_OK) << error.message;
    expect_unbound();
    for (int cpu : { usable.front(), usable.back(), usable.back(), usable.front() }) {
        ASSERT_EQ(call(std::to_string(cpu).c_str()), PARLOOM_OK) << error.message;
        expect_all_on(cpu);
    }
    ASSERT_EQ(call("none"), PARLOOM_OK) << error.message;
    expect_unbound();
}

TEST_P(Bind, OfAPoolHoldsForItsCallsAndYieldsToTheirs)
{
    std::string first = std::to_string(cpus_of(ours).front()), last = std::to_string(cpus_of(ours).back());
    parloom_options kept = options;
    kept.bind = first.c_str();
    parloom_pool *pool = nullptr;
    ASSERT_EQ(parloom_pool_open(&pool, &kept, &error), PARLOOM_OK) << error.message;
    options.backend = nullptr;
    options.n_jobs = 0;
    options.pool = pool;
    ASSERT_EQ(call(nullptr), PARLOOM_OK) << error.message;
    expect_all_on(cpus_of(ours).front());
    ASSERT_EQ(call(last.c_str()), PARLOOM_OK) << error.message;
    expect_all_on(cpus_of(ours).back());
    ASSERT_EQ(call("none"), PARLOOM_OK) << error.message;
    expect_unbound();
    parloom_pool_close(pool);
}

TEST_P(Bind, ComesFromAScopeAndIsTheCallersAffinityAtMost)
{
    std::string all = "0-";
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(cpus_of(ours).back()), &one);
    parloom_options scope = PARLOOM_OPTIONS_INIT;
    scope.bind = all.c_str();
    ASSERT_EQ(parloom_scope_begin(&scope, &error), PARLOOM_OK) << error.message;
    all = "7"; /* it was copied */
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    ASSERT_EQ(call(nullptr), PARLOOM_OK) << error.message;
    expect_all_on(cpus_of(ours).back());
    ASSERT_EQ(sched_setaffinity(0, sizeof ours, &ours), 0);
    parloom_scope_end();
}

TEST_P(Bind, RefusesWhatIsNoSetOrHasNoCpuThatMayBeUsed)
{
    EXPECT_EQ(call("cores"), PARLOOM_ERR_INVALID);
    EXPECT_NE(strstr(error.message, "\"cores\""), nullptr) << error.message;
    EXPECT_EQ(call("4095"), PARLOOM_ERR_INVALID);
    EXPECT_NE(strstr(error.message, "no CPU that may be used"), nullptr) << error.message;
    ASSERT_EQ(call(nullptr), PARLOOM_OK) << error.message;
}

void keep_line(int, const char *line, void *state)
{
    *static_cast<std::string *>(state) += line;
}

TEST_P(Bind, NotesOnceThatASetIsPartlyOutside)
{
    std::string log;
    parloom_set_log(keep_line, &log);
    int cpu = cpus_of(ours).back();
    std::string usable = std::to_string(cpu);
    EXPECT_OK(call(usable.c_str()));
    EXPECT_OK(call("0-")) << "all that there are";
    EXPECT_EQ(log, "");
    for (int k = 0; k < 2; k++) {
        EXPECT_OK(call((usable + ",4000").c_str()));
        expect_all_on(cpu);
    }
    parloom_set_log(nullptr, nullptr);
    size_t at = log.find("leave out 4000");
    EXPECT_NE(at, std::string::npos) << log;
    EXPECT_EQ(log.find("leave out", at + 1), std::string::npos) << log;
}

TEST_P(Bind, DoesNotChangeResults)
{
    double sums[3];
    const char *binds[] = { nullptr, "compact", "spread" };
    for (int k = 0; k < 3; k++) {
        auto body = [](const parloom_task *task, void *const *args) {
            *static_cast<double *>(args[0]) += 1.0 / (1.0 + static_cast<double>(task->index));
            return 0;
        };
        auto combine = [](void *into, const void *from) {
            *static_cast<double *>(into) += *static_cast<const double *>(from);
        };
        sums[k] = 0.0;
        parloom_arg args[] = { parloom_reduce(&sums[k], sizeof(double), combine) };
        options.bind = binds[k];
        ASSERT_EQ(parloom_for(1000, body, args, 1, &options, &error), PARLOOM_OK) << error.message;
    }
    EXPECT_EQ(memcmp(&sums[0], &sums[1], sizeof(double)), 0);
    EXPECT_EQ(memcmp(&sums[0], &sums[2], sizeof(double)), 0);
}

TEST_P(Bind, CallsThatDoNotBindNeverOpenHwloc)
{
    ASSERT_EQ(call(nullptr), PARLOOM_OK) << error.message;
    ASSERT_EQ(call("none"), PARLOOM_OK) << error.message;
    ASSERT_EQ(call("0-"), PARLOOM_OK) << error.message;
    EXPECT_FALSE(has_hwloc());
    for (int i = 0; i < TASKS; i++) EXPECT_EQ(seats[i].has_hwloc, 0) << "task " << i;
}

TEST_P(Bind, InnerThreadsAreNoMoreThanTheCpusOfTheirWorker)
{
    auto body = [](const parloom_task *task, void *const *args) {
        static_cast<Seat *>(args[0])[task->index].inner = parloom_effective_n_jobs(-1);
        return 0;
    };
    parloom_arg args[] = { parloom_inout(seats, TASKS * sizeof(Seat)) };
    options.bind = "compact";
    ASSERT_EQ(parloom_for(TASKS, body, args, 1, &options, &error), PARLOOM_OK) << error.message;
    for (int i = 0; i < TASKS; i++) EXPECT_EQ(seats[i].inner, 1) << "task " << i;
}

/* A call in a task, on threads: bound within what its worker may use. */
int bind_inside(const parloom_task *task, void *const *args)
{
    auto *seat = static_cast<Seat *>(args[0]) + task->index;
    parloom_options inner = PARLOOM_OPTIONS_INIT;
    inner.n_jobs = 2;
    inner.backend = "threads";
    Seat found[2] = {};
    parloom_arg inner_args[] = { parloom_inout(found, sizeof found) };
    parloom_error error;
    if (parloom_for(2, note_seat, inner_args, 1, &inner, &error) != PARLOOM_OK) return 1;
    cpu_set_t outer = affinity();
    seat->inner = CPU_EQUAL(&found[0].cpus, &outer) && CPU_EQUAL(&found[1].cpus, &outer);
    return 0;
}

TEST_P(Bind, OfAScopeStaysWithinTheWorkersOwnCpusInTasks)
{
    std::string last = std::to_string(cpus_of(ours).back()), first = std::to_string(cpus_of(ours).front());
    parloom_options scope = PARLOOM_OPTIONS_INIT;
    scope.bind = first.c_str();
    ASSERT_EQ(parloom_scope_begin(&scope, &error), PARLOOM_OK) << error.message;
    parloom_arg args[] = { parloom_inout(seats, TASKS * sizeof(Seat)) };
    options.bind = last.c_str();
    ASSERT_EQ(parloom_for(TASKS, bind_inside, args, 1, &options, &error), PARLOOM_OK) << error.message;
    for (int i = 0; i < TASKS; i++) EXPECT_EQ(seats[i].inner, 1) << "task " << i;
    parloom_scope_end();
}

INSTANTIATE_TEST_SUITE_P(Backends, Bind, ::testing::Values("threads", "processes", "fork", "pthreads"),
                         [](const auto &info) { return std::string(info.param); });

/* --------------------------------------------------------------- the caller */

using BindOne = loom::Clean;

TEST_F(BindOne, TheCallerItselfIsNeverBound)
{
    Seat seat = {};
    parloom_error error;
    parloom_arg args[] = { parloom_inout(&seat, sizeof seat) };
    parloom_options options = PARLOOM_OPTIONS_INIT;
    cpu_set_t ours = affinity();
    options.bind = "compact";
    ASSERT_EQ(parloom_for(1, note_seat, args, 1, &options, &error), PARLOOM_OK) << error.message;
    EXPECT_TRUE(CPU_EQUAL(&seat.cpus, &ours));
    EXPECT_FALSE(has_hwloc());
    options.bind = "cores";
    EXPECT_EQ(parloom_for(1, note_seat, args, 1, &options, &error), PARLOOM_ERR_INVALID) << "wrong on every backend";
}

TEST_F(BindOne, WorkerProcessesNeedNoHwlocToBeBound)
{
    Seat seats[2] = {};
    parloom_error error;
    parloom_arg args[] = { parloom_inout(seats, sizeof seats) };
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.n_jobs = 2;
    options.bind = "core";
    ASSERT_EQ(parloom_for(2, note_seat, args, 1, &options, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(seats[0].has_hwloc + seats[1].has_hwloc, 0);
}

/* Workers of a worker, forked from it. */
TEST_F(BindOne, WorkersOfABoundWorkerStayWhereItIs)
{
    parloom_error error;
    auto *seats = static_cast<Seat *>(parloom_alloc(4 * sizeof(Seat), &error));
    ASSERT_NE(seats, nullptr);
    auto outer = [](const parloom_task *task, void *const *args) {
        Seat *mine = static_cast<Seat *>(args[0]) + 2 * task->index;
        parloom_arg inner_args[] = { parloom_inout(mine, 2 * sizeof(Seat)) };
        parloom_options inner = PARLOOM_OPTIONS_INIT;
        inner.n_jobs = 2;
        inner.backend = "processes";
        return static_cast<int>(parloom_for(2, note_seat, inner_args, 1, &inner, nullptr));
    };
    parloom_arg args[] = { parloom_inout(seats, 4 * sizeof(Seat)) };
    parloom_options options = PARLOOM_OPTIONS_INIT;
    int last = cpus_of(affinity()).back();
    std::string bind = std::to_string(last);
    options.n_jobs = 2;
    options.bind = bind.c_str();
    ASSERT_EQ(parloom_for(2, outer, args, 1, &options, &error), PARLOOM_OK) << error.message;
    for (int i = 0; i < 4; i++) EXPECT_EQ(cpus_of(seats[i].cpus), std::vector<int>{ last }) << "task " << i;
    parloom_free(seats);
}

/* The first call that needs worker processes is made by a bound thread: they are not bound for all times. */
TEST_F(BindOne, WorkerProcessesThatABoundThreadStartedAreNotBound)
{
    parloom_error error;
    auto *seats = static_cast<Seat *>(parloom_alloc(4 * sizeof(Seat), &error));
    ASSERT_NE(seats, nullptr);
    auto start = [](const parloom_task *, void *const *args) {
        parloom_arg inner[] = { parloom_inout(args[0], 2 * sizeof(Seat)) };
        parloom_options processes = PARLOOM_OPTIONS_INIT;
        processes.backend = "processes";
        processes.n_jobs = 2;
        return static_cast<int>(parloom_for(2, note_seat, inner, 1, &processes, nullptr));
    };
    parloom_arg args[] = { parloom_inout(seats, 4 * sizeof(Seat)) };
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.backend = "threads";
    options.n_jobs = 2;
    options.bind = "compact";
    ASSERT_EQ(parloom_for(2, start, args, 1, &options, &error), PARLOOM_OK) << error.message;
    options.backend = "processes";
    options.bind = nullptr;
    ASSERT_EQ(parloom_for(4, note_seat, args, 1, &options, &error), PARLOOM_OK) << error.message;
    cpu_set_t ours = affinity();
    for (int i = 0; i < 4; i++) EXPECT_TRUE(CPU_EQUAL(&seats[i].cpus, &ours)) << "task " << i;
    parloom_free(seats);
}

TEST_F(BindOne, DescriptionSaysWhatIsNotBoundAndCutsWhatDoesNotFit)
{
    char text[512], small[8];
    parloom_error error;
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.n_jobs = 2;
    options.memory_policy = PARLOOM_MEMORY_INTERLEAVE;
    ASSERT_EQ(parloom_placement_describe(&options, text, sizeof text, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(strncmp(text, "processes: 2 workers not bound, ", 32), 0) << text;
    EXPECT_NE(strstr(text, "memory interleave\n"), nullptr) << text;
    EXPECT_EQ(strstr(text, "worker 0"), nullptr) << text;
    EXPECT_FALSE(has_hwloc());
    ASSERT_EQ(parloom_placement_describe(&options, small, sizeof small, &error), PARLOOM_OK);
    EXPECT_STREQ(small, "process");
    options.bind = "nowhere";
    EXPECT_EQ(parloom_placement_describe(&options, text, sizeof text, &error), PARLOOM_ERR_INVALID);
    EXPECT_STREQ(text, "");
    EXPECT_EQ(parloom_placement_describe(nullptr, nullptr, 9, &error), PARLOOM_ERR_INVALID);
}

TEST_F(BindOne, IsReadFromText)
{
    parloom_error error;
    parloom_options options = PARLOOM_OPTIONS_INIT;
    ASSERT_EQ(parloom_options_set(&options, "bind", "0-3,8", &error), PARLOOM_OK) << error.message;
    EXPECT_STREQ(options.bind, "0-3,8");
    EXPECT_EQ(parloom_options_set(&options, "bind", "coree", &error), PARLOOM_ERR_INVALID);
    ASSERT_EQ(parloom_options_set(&options, "memory_policy", "interleave", &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(options.memory_policy, PARLOOM_MEMORY_INTERLEAVE);
    EXPECT_EQ(parloom_options_set(&options, "memory_policy", "everywhere", &error), PARLOOM_ERR_INVALID);
}

TEST_F(BindOne, IsReadFromTheEnvironment)
{
    setenv("PARLOOM_BIND", std::to_string(cpus_of(affinity()).back()).c_str(), 1);
    Seat seats[2] = {};
    parloom_error error;
    parloom_arg args[] = { parloom_inout(seats, sizeof seats) };
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.n_jobs = 2;
    options.backend = "threads";
    ASSERT_EQ(parloom_for(2, note_seat, args, 1, &options, &error), PARLOOM_OK) << error.message;
    for (const Seat &seat : seats) EXPECT_EQ(CPU_COUNT(&seat.cpus), 1);
    unsetenv("PARLOOM_BIND");
}

} // namespace

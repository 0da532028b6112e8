/* SPDX-License-Identifier: BSD-3-Clause */
/* The workers that calls without a pool share: how many there are, and how they end. By themselves:
 * test_retire_contract. */
#include "contract/shared_workers.h"

#include <atomic>
#include <cmath>
#include <cstdlib>

using namespace contract;

namespace
{

/* args[0]: started, args[1]: may end. */
int wait_for_leave(const parloom_task *, void *const *args)
{
    __atomic_store_n(static_cast<int *>(args[0]), 1, __ATOMIC_RELEASE);
    return wait_for([&] { return __atomic_load_n(static_cast<int *>(args[1]), __ATOMIC_ACQUIRE) != 0; }) ? 0 : 1;
}

/* args[0]: how many have come; args[1]: one worker number. Crashes where args[2] says so. */
int meet_another(const parloom_task *task, void *const *args)
{
    int *come = static_cast<int *>(args[0]);
    *static_cast<int *>(args[1]) = task->worker;
    __atomic_add_fetch(come, 1, __ATOMIC_ACQ_REL);
    if (!wait_for([&] { return __atomic_load_n(come, __ATOMIC_ACQUIRE) >= 2; })) return 1;
    return *static_cast<const int *>(args[2]) != 0 ? raise(SIGKILL) : 0;
}

int init_with(void *)
{
    return 0;
}

} // namespace

/* --------------------------------------------------------------------- size */

TEST_F(SharedWorkers, GrowAndShrinkWithoutRestartingEachOther)
{
    Pids two = meet_all(2);
    EXPECT_EQ(report.workers_started, 2);
    Pids twelve = meet_all(12);
    EXPECT_EQ(report.workers_started, 10);
    EXPECT_TRUE(holds(twelve, two));
    for (int n_jobs : { 5, 3, 8, 12 }) {
        EXPECT_TRUE(holds(twelve, meet_all(n_jobs)));
        EXPECT_EQ(report.workers_started, 0) << n_jobs;
    }
}

TEST_F(SharedWorkers, AreReusedByCallsThatSayTheSameOrLess)
{
    Pids three = meet_all(3);
    EXPECT_EQ(report.workers_started, 3);
    given.idle_timeout = 42;
    EXPECT_EQ(meet_all(3), three);
    EXPECT_EQ(report.workers_started, 0);
    given.idle_timeout = 0;
    EXPECT_TRUE(holds(meet_all(4), three));
    EXPECT_EQ(report.workers_started, 1);
    EXPECT_TRUE(holds(meet_all(4), three));
    EXPECT_EQ(report.workers_started, 0);
}

TEST_F(SharedWorkers, OfAnotherInitAreOthers)
{
    int value = 1;
    given.worker_init = init_with;
    given.worker_init_state = &value;
    given.worker_init_state_nbytes = sizeof value;
    (void)meet_all(3);
    EXPECT_EQ(report.workers_started, 3);
    (void)meet_all(3);
    EXPECT_EQ(report.workers_started, 0);
    value = 2;
    (void)meet_all(3);
    EXPECT_EQ(report.workers_started, 3) << "the same function with another state";
    given.worker_init = nullptr;
    given.worker_init_state = nullptr;
    given.worker_init_state_nbytes = 0;
    (void)meet_all(3);
    EXPECT_EQ(report.workers_started, 3);
}

TEST_F(SharedWorkers, MoreThanCoresAllRunAtOnce)
{
    for (const char *cores : { "1", "2", "4" }) {
        setenv("PARLOOM_MAX_CPU_COUNT", cores, 1);
        int most = parloom_cpu_count(false);
        (void)meet_all(2 * most + 2);
    }
    unsetenv("PARLOOM_MAX_CPU_COUNT");
}

TEST_F(SharedWorkers, AreResizedManyTimesWithWorkInFlight)
{
    for (bool kills : { false, true }) {
        std::atomic<bool> is_over{ false };
        std::atomic<int> others{ 0 };
        std::thread beside([&] {
            parloom_options with = PARLOOM_OPTIONS_INIT;
            with.backend = "processes";
            with.n_jobs = 3;
            while (!is_over) {
                EXPECT_TRUE(run_squares(200, with) == PARLOOM_OK || kills);
                others++;
            }
        });
        for (int n_jobs : { 12, 2, 1, 12, 6, 1, 8, 5 }) {
            int before = others;
            if (kills) parloom_shutdown(true);
            given.n_jobs = n_jobs;
            given.report = nullptr;
            EXPECT_EQ(run_squares(100, given), PARLOOM_OK);
            EXPECT_TRUE(wait_for([&] { return others > before; }));
        }
        is_over = true;
        beside.join();
    }
}

TEST_F(SharedWorkers, RecoverFromAKillAfterAResize)
{
    Pids four = meet_all(4);
    Pids two = meet_all(2);
    int victim = *two.begin();
    ASSERT_EQ(kill(victim, SIGKILL), 0);
    ASSERT_TRUE(wait_for([&] { return is_gone(victim); }));
    EXPECT_EQ(run_squares(42, given), PARLOOM_OK);
    Pids after = meet_all(4, 1); /* the other worker may have run all 42 before anybody heard of the death */
    EXPECT_EQ(after.count(victim), 0u);
}

/* ----------------------------------------------------------------- shutdown */

TEST_F(SharedWorkers, EndAtOnceWhenNobodyUsesThem)
{
    EXPECT_OK(parloom_shutdown_within(0, &error)) << "there are none";
    Pids two = meet_all(2);
    EXPECT_OK(parloom_shutdown_within(INFINITY, &error));
    EXPECT_TRUE(wait_for([&] { return std::all_of(two.begin(), two.end(), is_gone); }));
    EXPECT_EQ(parloom_shutdown_within(-1, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_shutdown_within(NAN, nullptr), PARLOOM_ERR_INVALID);
    (void)meet_all(2);
    EXPECT_EQ(report.workers_started, 2);
}

TEST_F(SharedWorkers, AreKilledWhenTheTimeIsOver)
{
    Shared<int> started, may_end;
    parloom_arg args[] = { parloom_inout(started.get(), sizeof(int)), parloom_inout(may_end.get(), sizeof(int)) };
    parloom_status status = PARLOOM_OK;
    given.n_jobs = 2;
    given.report = nullptr;
    std::thread caller([&] { status = parloom_for(4, wait_for_leave, args, 2, &given, nullptr); });
    EXPECT_TRUE(wait_for([&] { return __atomic_load_n(started.get(), __ATOMIC_ACQUIRE) != 0; }));
    EXPECT_EQ(parloom_shutdown_within(0.02, &error), PARLOOM_ERR_TIMEOUT);
    EXPECT_SAYS("were killed");
    caller.join();
    EXPECT_EQ(status, PARLOOM_ERR_CANCELLED);
    (void)meet_all(2);
}

TEST_F(SharedWorkers, AreWaitedForWhileNewCallsGetOthers)
{
    Shared<int> started, may_end;
    parloom_arg args[] = { parloom_inout(started.get(), sizeof(int)), parloom_inout(may_end.get(), sizeof(int)) };
    parloom_status status = PARLOOM_ERR_INTERNAL, drained = PARLOOM_ERR_INTERNAL;
    parloom_options quiet = given;
    quiet.n_jobs = 2;
    quiet.report = nullptr;
    std::thread caller([&] { status = parloom_for(2, wait_for_leave, args, 2, &quiet, nullptr); });
    EXPECT_TRUE(wait_for([&] { return __atomic_load_n(started.get(), __ATOMIC_ACQUIRE) != 0; }));
    std::thread drainer([&] { drained = parloom_shutdown_within(50, nullptr); });
    given.n_jobs = 4;
    EXPECT_TRUE(wait_for([&] { /* until a call starts four new workers */
                               report = {};
                               report.struct_size = sizeof report;
                               EXPECT_EQ(run_squares(4, given), PARLOOM_OK);
                               return report.workers_started == 4;
    }));
    __atomic_store_n(may_end.get(), 1, __ATOMIC_RELEASE);
    caller.join();
    drainer.join();
    EXPECT_EQ(status, PARLOOM_OK);
    EXPECT_EQ(drained, PARLOOM_OK);
}

/* ------------------------------------------------------ the end of a program */

static int call_inside(const parloom_task *, void *const *)
{
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.backend = "processes";
    given.n_jobs = 2;
    given.idle_timeout = 300;
    long out[4];
    parloom_arg args[] = { parloom_out(out, sizeof out) };
    return parloom_for(4, square, args, 1, &given, nullptr) == PARLOOM_OK && out[3] == 9 ? 0 : 1;
}

[[noreturn]] static void end_after(bool nested, void (*at_exit)(void))
{
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.backend = "processes";
    given.n_jobs = 2;
    given.idle_timeout = 300;
    long out[4];
    parloom_arg args[] = { parloom_out(out, sizeof out) };
    if (at_exit != nullptr) atexit(at_exit);
    bool is_ok = nested ? parloom_for(4, call_inside, nullptr, 0, &given, nullptr) == PARLOOM_OK
                        : parloom_for(4, square, args, 1, &given, nullptr) == PARLOOM_OK;
    exit(is_ok ? 0 : 1);
}

static void kill_workers()
{
    parloom_shutdown(true);
}

static void drain_workers()
{
    if (parloom_shutdown_within(10, nullptr) != PARLOOM_OK) _exit(2);
}

TEST_F(SharedWorkers, DoNotKeepAProgramFromEnding)
{
    GTEST_FLAG_SET(death_test_style, "threadsafe"); /* starts this program again */
    EXPECT_EXIT(end_after(true, nullptr), testing::ExitedWithCode(0), "");
    EXPECT_EXIT(end_after(false, kill_workers), testing::ExitedWithCode(0), "");
    EXPECT_EXIT(end_after(true, drain_workers), testing::ExitedWithCode(0), "");
}

/* ------------------------------------------------------------ at one time */

/* Two calls with one task each, which wait for each other. */
class OverlappingCalls : public SharedWorkers
{
  protected:
    void meet_each_other(int crashes)
    {
        Shared<int> come, workers(2);
        parloom_status statuses[2];
        parloom_error errors[2] = {};
        auto call = [&](int k) {
            int is_crash = k < crashes;
            parloom_arg args[] = { parloom_inout(come.get(), sizeof(int)),
                                   parloom_inout(&workers[static_cast<size_t>(k)], sizeof(int)),
                                   parloom_in(&is_crash, sizeof is_crash) };
            parloom_options asked = given;
            asked.report = nullptr;
            statuses[k] = parloom_for(1, meet_another, args, 3, &asked, &errors[k]);
        };
        std::thread other(call, 0);
        call(1);
        other.join();
        for (int k = 0; k < 2; k++) {
            EXPECT_EQ(statuses[k], k < crashes ? PARLOOM_ERR_CRASHED : PARLOOM_OK) << errors[k].message;
            EXPECT_EQ(workers[static_cast<size_t>(k)], 0) << "worker 0 of its call";
            if (k < crashes) {
                EXPECT_EQ(errors[k].worker, 0) << errors[k].message;
                EXPECT_EQ(errors[k].task, 0u);
            }
        }
    }
};

TEST_F(OverlappingCalls, TakeSharedWorkersThatAreIdle)
{
    (void)meet_all(2);
    given.n_jobs = 2;
    for (int crashes : { 0, 1, 2, 0 }) meet_each_other(crashes);
}

TEST_F(OverlappingCalls, TakeWorkersOfAPoolThatAreIdle)
{
    given.n_jobs = 2;
    parloom_options opening = given;
    opening.report = nullptr;
    ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
    for (int crashes : { 0, 1, 2, 0 }) meet_each_other(crashes);
    parloom_pool_close(given.pool);
}

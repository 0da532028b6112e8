// SPDX-License-Identifier: BSD-3-Clause
/*
 * test_manners.cc - what tasks and programs do that a library of worker processes must put up with: forks in a body,
 * closed descriptors, changed signals, hangs, thousands of failures; ignored children, threads that end, nested calls.
 */
#include "support/harm.h"

#include <algorithm>
#include <chrono>
#include <fenv.h>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <vector>

namespace
{

using namespace loom;
using Manners = Crashes;

class OnBothBackends : public Crashes, public ::testing::WithParamInterface<const char *>
{
    void SetUp() override
    {
        Crashes::SetUp();
        options.backend = GetParam();
    }
};
INSTANTIATE_TEST_SUITE_P(, OnBothBackends, ::testing::Values("processes", "fork"),
                         [](const ::testing::TestParamInfo<const char *> &info) { return std::string(info.param); });

/* ---- atexit */

Shared *of_handler;

void count_handler()
{
    if (of_handler != nullptr) of_handler->handler_runs++;
}

TEST_P(OnBothBackends, ExitInATaskRunsNoHandlerOfTheProgram)
{
    of_handler = shared;
    std::atexit(count_handler);
    shared->how = EXIT_3;
    shared->victim = 4;
    EXPECT_EQ(call(do_harm), PARLOOM_ERR_EXITED);
    EXPECT_EQ(shared->handler_runs, 0);
    of_handler = nullptr;
}

/* ---- what LLVM's OpenMP leaves of a process that does not end by exit */

bool is_registered(int pid)
{
    std::string name = "__KMP_REGISTERED_LIB_" + std::to_string(pid) + "_" + std::to_string(getuid());
    return access(("/dev/shm/" + name).c_str(), F_OK) == 0;
}

int succeed(const parloom_task *, void *const *)
{
    return 0;
}

int remember_pid(void *state)
{
    Shared *shared;
    std::memcpy(&shared, state, sizeof shared);
    shared->pids[shared->handler_runs++ % static_cast<int>(TASKS)] = static_cast<int>(getpid());
    return 0;
}

/* Also not those that came too late for any task. With libgomp there is nothing to leave. */
TEST_P(OnBothBackends, WorkersLeaveNoRegistrationOfOpenMP)
{
    shared->victim = TASKS;
    parloom_options threads = options;
    threads.backend = "threads";
    EXPECT_EQ(parloom_for(TASKS, do_harm, args, 1, &threads, &error), PARLOOM_OK) << error.message;
    for (auto &pid : shared->pids) pid = 0;
    options.n_jobs = 6;
    options.worker_init = remember_pid;
    options.worker_init_state = &shared;
    options.worker_init_state_nbytes = sizeof shared;
    for (int round = 0; round < 5; round++)
        EXPECT_EQ(parloom_for(6, succeed, nullptr, 0, &options, &error), PARLOOM_OK) << error.message;
    EXPECT_GT(shared->handler_runs, 0);
    parloom_shutdown(true);
    auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    for (const std::atomic<int> &pid : shared->pids) {
        while (is_registered(pid) && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
        EXPECT_FALSE(is_registered(pid)) << "pid " << pid;
    }
}

/* ---- fork in a body */

int fork_and_return(const parloom_task *task, void *const *args)
{
    auto *shared = static_cast<Shared *>(args[0]);
    shared->begins[task->index]++;
    if (task->index == shared->victim && fork() == 0) shared->strangers++;
    return 0;
}

TEST_P(OnBothBackends, AForkInABodyMakesNoSecondWorker)
{
    for (size_t batch : { size_t{ 1 }, size_t{ 0 } }) {
        options.batch_size = batch;
        shared->victim = TASKS / 2;
        EXPECT_EQ(call(fork_and_return), PARLOOM_OK) << error.message;
        for (size_t i = 0; i < TASKS; i++) {
            EXPECT_EQ(statuses[i], PARLOOM_OK) << "task " << i;
            EXPECT_EQ(shared->begins[i], 1) << "task " << i;
        }
        shared->victim = TASKS;
        EXPECT_EQ(call(fork_and_return), PARLOOM_OK) << error.message;
    }
}

/* ---- descriptors */

int close_all(const parloom_task *task, void *const *args)
{
    auto *shared = static_cast<Shared *>(args[0]);
    shared->begins[task->index]++;
    if (task->index == shared->victim) (void)syscall(SYS_close_range, 3, ~0U, 0);
    return 0;
}

TEST_P(OnBothBackends, ATaskThatClosesAllDescriptorsIsOk)
{
    options.n_jobs = 1;
    options.require = PARLOOM_REQUIRE_ISOLATION;
    for (size_t victim : { size_t{ 0 }, TASKS / 2, TASKS - 1 }) {
        shared->victim = victim;
        EXPECT_EQ(call(close_all), PARLOOM_OK) << error.message;
        expect_others_delivered(TASKS);
    }
    shared->victim = TASKS;
    EXPECT_EQ(call(close_all), PARLOOM_OK) << error.message;
}

/* ---- what a task changes and the next call must not see */

int change_state(const parloom_task *, void *const *)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    fesetround(FE_UPWARD);
    return chdir("/");
}

int look_at_state(const parloom_task *task, void *const *)
{
    sigset_t now;
    sigprocmask(SIG_SETMASK, nullptr, &now);
    if (sigismember(&now, SIGTERM) == 1) return parloom_fail(task, 1, "SIGTERM is blocked");
    if (fegetround() != FE_TONEAREST) return parloom_fail(task, 2, "rounding is not to nearest");
    return 0;
}

TEST_P(OnBothBackends, WhatATaskChangesDoesNotReachTheNextCall)
{
    options.n_jobs = 1;
    options.require = PARLOOM_REQUIRE_ISOLATION;
    EXPECT_EQ(call(change_state), PARLOOM_OK) << error.message;
    EXPECT_EQ(call(look_at_state), PARLOOM_OK) << error.message;
}

/* ---- messages */

int fail_softly(const parloom_task *task, void *const *)
{
    if (task->index == 0) return parloom_fail(task, 0, "all is well");
    if (task->index == 1) (void)parloom_fail(task, 5, "thought better of it");
    return task->index >= 2 ? 9 : 0;
}

TEST_F(Manners, LeaveMessagesWithTheTaskThatGaveThem)
{
    parloom_error errors[4];
    options.errors = errors;
    options.n_errors = 4;
    for (const char *backend : { "sequential", "threads", "processes", "fork" }) {
        options.backend = backend;
        options.n_jobs = std::strcmp(backend, "sequential") == 0 ? 1 : 2;
        EXPECT_EQ(call(fail_softly, 4), PARLOOM_ERR_TASK) << backend;
        for (size_t k = 0; k < 2; k++) {
            EXPECT_EQ(errors[k].task, k + 2);
            EXPECT_EQ(errors[k].code, 9);
            EXPECT_EQ(std::strstr(errors[k].message, "well"), nullptr) << backend << ": " << errors[k].message;
            EXPECT_EQ(std::strstr(errors[k].message, "better"), nullptr) << backend << ": " << errors[k].message;
        }
    }
}

int fail_always(const parloom_task *task, void *const *)
{
    return parloom_fail(task, static_cast<int>(task->index % 100) + 1, "task %zu has no luck", task->index);
}

TEST_P(OnBothBackends, SeventyThousandFailuresAreAllTold)
{
    constexpr size_t MANY = 70000;
    std::vector<parloom_status> all(MANY);
    std::vector<parloom_error> errors(2000);
    options.statuses = all.data();
    options.n_statuses = MANY;
    options.errors = errors.data();
    options.n_errors = errors.size();
    EXPECT_EQ(call(fail_always, MANY), PARLOOM_ERR_TASK);
    EXPECT_EQ(std::count(all.begin(), all.end(), PARLOOM_ERR_TASK), static_cast<long>(MANY));
    for (size_t k = 0; k < errors.size(); k++) {
        ASSERT_EQ(errors[k].task, k);
        EXPECT_EQ(errors[k].code, static_cast<int>(k % 100) + 1);
        EXPECT_NE(std::strstr(errors[k].message, "no luck"), nullptr) << errors[k].message;
    }
}

int crash_in_the_middle(const parloom_task *task, void *const *)
{
    if (task->index == task->count / 2) raise(SIGKILL);
    return 0;
}

TEST_P(OnBothBackends, ADeathAmongAMillionTicketsIsSettled)
{
    constexpr size_t MANY = 1000000;
    std::vector<parloom_status> all(MANY);
    options.statuses = all.data();
    options.n_statuses = MANY;
    EXPECT_EQ(call(crash_in_the_middle, MANY), PARLOOM_ERR_CRASHED);
    EXPECT_EQ(error.task, MANY / 2);
    EXPECT_EQ(std::count(all.begin(), all.end(), PARLOOM_OK), static_cast<long>(MANY - 1));
    options.on_error = PARLOOM_ON_ERROR_STOP;
    EXPECT_EQ(call(crash_in_the_middle, MANY), PARLOOM_ERR_CRASHED);
    EXPECT_EQ(std::count(all.begin(), all.begin() + MANY / 2, PARLOOM_OK), static_cast<long>(MANY / 2));
    EXPECT_EQ(all[MANY / 2], PARLOOM_ERR_CRASHED);
    for (size_t i = MANY / 2 + 1; i < MANY; i++)
        ASSERT_TRUE(all[i] == PARLOOM_OK || all[i] == PARLOOM_ERR_CANCELLED) << i;
}

/* ---- time limits */

int hang_at_victim(const parloom_task *task, void *const *args)
{
    auto *shared = static_cast<Shared *>(args[0]);
    shared->begins[task->index]++;
    sigset_t all;
    sigfillset(&all);
    if (task->index != shared->victim) return 0;
    sigprocmask(SIG_SETMASK, &all, nullptr);
    for (;;) pause();
}

TEST_P(OnBothBackends, ATaskThatHangsCostsItselfAlone)
{
    shared->victim = TASKS / 2;
    options.task_timeout = 0.1;
    EXPECT_EQ(call(hang_at_victim), PARLOOM_ERR_TIMEOUT);
    EXPECT_EQ(error.task, TASKS / 2);
    EXPECT_EQ(statuses[TASKS / 2], PARLOOM_ERR_TIMEOUT);
    expect_others_delivered(TASKS / 2);
}

int hang(void *)
{
    for (;;) pause();
}

TEST_P(OnBothBackends, ACallThatRunsOutOfTimeBeforeAWorkerIsReadyIsCancelled)
{
    options.worker_init = hang;
    options.timeout = 0.05;
    EXPECT_EQ(call(do_harm), PARLOOM_ERR_TIMEOUT) << error.message;
    EXPECT_EQ(std::count(statuses, statuses + TASKS, PARLOOM_ERR_CANCELLED), static_cast<long>(TASKS));
}

/* ---- the program */

TEST_F(Manners, OfAProgramThatIgnoresItsChildrenHideNoDeath)
{
    auto before = signal(SIGCHLD, SIG_IGN);
    for (const char *backend : { "processes", "fork" }) {
        options.backend = backend;
        shared->victim = 3;
        shared->how = NULL_WRITE;
        EXPECT_EQ(call(do_harm), PARLOOM_ERR_CRASHED) << backend;
        EXPECT_EQ(error.signal, SIGSEGV) << backend << ": " << error.message;
        expect_others_delivered(3);
        shared->how = EXIT_3;
        EXPECT_EQ(call(do_harm), PARLOOM_ERR_EXITED) << backend << ": " << error.message;
        EXPECT_EQ(error.code, 3) << backend << ": " << error.message;
        expect_others_delivered(3);
    }
    signal(SIGCHLD, before);
}

TEST_F(Manners, OfAProgramThatWaitsForAnyChildHideNoDeath)
{
    std::atomic<bool> is_over{ false };
    std::thread reaper([&] {
        while (!is_over) (void)waitpid(-1, nullptr, WNOHANG);
    });
    options.backend = "processes";
    shared->victim = 3;
    shared->how = NULL_WRITE;
    for (int round = 0; round < 20; round++) {
        EXPECT_EQ(call(do_harm), PARLOOM_ERR_CRASHED);
        EXPECT_EQ(error.signal, SIGSEGV) << error.message;
        expect_others_delivered(3);
    }
    is_over = true;
    reaper.join();
}

TEST_F(Manners, OfAThreadThatEndsLeaveTheWorkersAlive)
{
    options.backend = "processes";
    options.schedule = PARLOOM_SCHEDULE_STATIC; /* every worker runs some, also one that is slow to start */
    shared->victim = TASKS;
    std::thread([&] { EXPECT_EQ(call(do_harm), PARLOOM_OK) << error.message; }).join();
    std::vector<int> pids(shared->pids, shared->pids + TASKS);
    EXPECT_EQ(call(do_harm), PARLOOM_OK) << error.message;
    for (const auto &pid : shared->pids) EXPECT_NE(std::find(pids.begin(), pids.end(), pid), pids.end());
}

TEST_F(Manners, OfAForkedProgramLeaveTheParentsWorkersAlive)
{
    options.backend = "processes";
    shared->victim = TASKS;
    EXPECT_EQ(call(do_harm), PARLOOM_OK) << error.message;
    pid_t child = fork();
    if (child == 0) {
        bool works = call(do_harm) == PARLOOM_OK;
        std::exit(works ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    EXPECT_EQ(call(do_harm), PARLOOM_OK) << error.message;
    expect_others_delivered(TASKS);
}

/* ---- nested calls */

int inner_task(const parloom_task *task, void *const *args)
{
    static_cast<std::atomic<long> *>(args[0])->fetch_add(static_cast<long>(task->index) + 1);
    return task->level == 1 ? 0 : 1;
}

int nest(const parloom_task *task, void *const *args)
{
    parloom_error error;
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.backend = "processes";
    options.n_jobs = 2;
    auto *sum = static_cast<std::atomic<long> *>(parloom_alloc(sizeof(std::atomic<long>), &error));
    if (sum == nullptr) return parloom_fail(task, 1, "%s", error.message);
    parloom_arg inner[] = { parloom_inout(sum, sizeof *sum) };
    if (parloom_for(10, inner_task, inner, 1, &options, &error) != PARLOOM_OK)
        return parloom_fail(task, 2, "%s", error.message);
    static_cast<Shared *>(args[0])->begins[task->index] = static_cast<int>(sum->load());
    return 0;
}

TEST_F(Manners, AllowProcessesInsideProcesses)
{
    options.backend = "processes";
    for (int round = 0; round < 3; round++) {
        ASSERT_EQ(call(nest, 4), PARLOOM_OK) << error.message;
        for (size_t i = 0; i < 4; i++) EXPECT_EQ(shared->begins[i], 55);
    }
}

} // namespace

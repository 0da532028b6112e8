/* SPDX-License-Identifier: BSD-3-Clause */
/* What a cancelled task counts as, and how far a stop reaches: into workers, and into calls that tasks have made. */
#include "contract/places.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <sched.h>
#include <unistd.h>

using namespace contract;

namespace
{

enum { TASKS = 12 };

bool comes_true(const int *word)
{
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == 0) {
        if (std::chrono::steady_clock::now() > until) return false;
        sched_yield();
    }
    return true;
}

void set(int *word)
{
    __atomic_store_n(word, 1, __ATOMIC_RELEASE);
}

/* args[0]: that it has begun. Returns what args[1] says once it was told. */
int return_when_told(const parloom_task *task, void *const *args)
{
    set(static_cast<int *>(args[0]));
    while (!parloom_cancelled(task)) usleep(100);
    return parloom_fail(task, *static_cast<const int *>(args[1]), "told");
}

/* Sees the stop itself and never asks: what it returns is its own failure. */
int fail_untold(const parloom_task *, void *const *args)
{
    set(static_cast<int *>(args[0]));
    return comes_true(static_cast<const int *>(args[2])) ? *static_cast<const int *>(args[1]) : 0;
}

/* Asked once, and told that it may go on: what it returns later is its own failure. */
int ask_and_fail_untold(const parloom_task *task, void *const *args)
{
    if (parloom_cancelled(task)) return 0;
    return fail_untold(task, args);
}

int announce_and_return_when_told(const parloom_task *task, void *const *args)
{
    parloom_at(task, task->begin);
    parloom_at(task, task->begin + 1);
    return return_when_told(task, args);
}

int call_and_wait(const parloom_task *task, void *const *args)
{
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.backend = static_cast<const char *>(args[2]);
    given.backend_params = strcmp(given.backend, "fork") == 0 ? "force=1" : nullptr;
    given.n_jobs = 2;
    const int zero = 0;
    parloom_arg inner[] = { parloom_inout(args[0], sizeof(int)), parloom_in(&zero, sizeof zero) };
    parloom_error error;
    parloom_status status = parloom_for(TASKS, return_when_told, inner, 2, &given, &error);
    if (status != PARLOOM_ERR_CANCELLED) return parloom_fail(task, 1, "%s", error.message);
    return strstr(error.message, "with the task") != nullptr ? 0 : parloom_fail(task, 2, "%s", error.message);
}

/* Set before the alarm is; a signal may come to any thread, also one that the program did not start. */
std::atomic<parloom_stop *> stop_of_alarm;
std::atomic<const int *> begun_of_alarm;

void cancel_once_begun(int)
{
    if (__atomic_load_n(begun_of_alarm.load(), __ATOMIC_ACQUIRE) != 0) parloom_cancel(stop_of_alarm);
}

/* Cancels the stop from a signal handler as soon as a task has begun: no other thread, which fork would refuse. */
class Alarm
{
  public:
    Alarm(parloom_stop *stop, const int *begun)
    {
        stop_of_alarm = stop;
        begun_of_alarm = begun;
        struct sigaction handler = {};
        handler.sa_handler = cancel_once_begun;
        sigaction(SIGALRM, &handler, &before_);
        ualarm(5000, 5000);
    }
    ~Alarm()
    {
        ualarm(0, 0);
        sigaction(SIGALRM, &before_, nullptr);
    }
    Alarm(const Alarm &) = delete;
    Alarm &operator=(const Alarm &) = delete;

  private:
    struct sigaction before_;
};

/* Keeps the caller from looking at its stop: cancels it, and comes back when a task has said that it was told. */
struct blocker {
    parloom_stop *stop;
    const int *is_told;
    bool is_seen;
};

void cancel_and_block(const parloom_report *, void *state)
{
    auto *blocker = static_cast<struct blocker *>(state);
    if (blocker->is_seen) return;
    parloom_cancel(blocker->stop);
    blocker->is_seen = comes_true(blocker->is_told);
}

int say_when_told(const parloom_task *task, void *const *args)
{
    while (!parloom_cancelled(task)) usleep(100);
    set(static_cast<int *>(args[0]));
    return 0;
}

} // namespace

class Cancelled : public Placed
{
  protected:
    Cancelled() { report.struct_size = sizeof report; }
    parloom_options watched(parloom_stop *stop_of_call)
    {
        parloom_options given = options();
        given.stop = stop_of_call;
        given.report = &report;
        given.batch_size = 1;
        given.statuses = statuses.data();
        return given;
    }
    size_t count(parloom_status status) const
    {
        size_t found = 0;
        for (parloom_status one : statuses) found += one == status;
        return found;
    }
    Shared<int> begun;
    Shared<parloom_stop> shared;
    parloom_stop stop = {};
    parloom_report report = {};
    std::vector<parloom_status> statuses = std::vector<parloom_status>(TASKS, PARLOOM_OK);
};
INSTANTIATE_TEST_SUITE_P(On, Cancelled, ::testing::ValuesIn(every_place), name_of);

TEST_P(Cancelled, TaskThatFailsAfterItWasToldCountsAsCancelled)
{
    const int code = 7;
    parloom_options given = watched(&stop);
    parloom_arg args[] = { parloom_out(begun.get(), sizeof(int)), parloom_in(&code, sizeof code) };
    Alarm alarm(&stop, begun.get());
    EXPECT_EQ(parloom_for(TASKS, return_when_told, args, 2, &given, &error), PARLOOM_ERR_CANCELLED);
    EXPECT_SAYS("through its stop");
    EXPECT_EQ(statuses, std::vector<parloom_status>(TASKS, PARLOOM_ERR_CANCELLED));
    EXPECT_EQ(report.cancelled, size_t{ TASKS });
    EXPECT_EQ(report.failed, 0u);
}

TEST_P(Cancelled, TaskThatEndsWellIsOk)
{
    const int code = 0;
    parloom_options given = watched(&stop);
    parloom_arg args[] = { parloom_out(begun.get(), sizeof(int)), parloom_in(&code, sizeof code) };
    Alarm alarm(&stop, begun.get());
    EXPECT_EQ(parloom_for(TASKS, return_when_told, args, 2, &given, &error), PARLOOM_ERR_CANCELLED);
    EXPECT_GE(count(PARLOOM_OK), 1u);
    EXPECT_EQ(count(PARLOOM_OK) + count(PARLOOM_ERR_CANCELLED), size_t{ TASKS });
}

TEST_P(Cancelled, TaskThatWasNotToldFailsAsEver)
{
    for (parloom_body body : { fail_untold, ask_and_fail_untold }) {
        const int code = 7;
        memset(shared.get(), 0, sizeof(parloom_stop));
        begun[0] = 0;
        parloom_options given = watched(shared.get());
        const void *requested = const_cast<const int *>(&shared[0].requested);
        parloom_arg args[] = { parloom_out(begun.get(), sizeof(int)), parloom_in(&code, sizeof code),
                               parloom_in(requested, sizeof(int)) };
        Alarm alarm(shared.get(), begun.get());
        EXPECT_EQ(parloom_for(TASKS, body, args, 3, &given, &error), PARLOOM_ERR_CANCELLED);
        EXPECT_GE(report.failed, 1u);
        EXPECT_EQ(report.failed + report.cancelled, size_t{ TASKS });
    }
}

TEST_P(Cancelled, RangeKeepsWhatWasDoneBeforeTheIndexThatWasTold)
{
    const int code = 7;
    parloom_options given = watched(&stop);
    given.batch_size = TASKS;
    parloom_arg args[] = { parloom_out(begun.get(), sizeof(int)), parloom_in(&code, sizeof code) };
    Alarm alarm(&stop, begun.get());
    EXPECT_EQ(parloom_for_range(TASKS, announce_and_return_when_told, args, 2, &given, &error), PARLOOM_ERR_CANCELLED);
    EXPECT_EQ(statuses[0], PARLOOM_OK);
    EXPECT_EQ(count(PARLOOM_OK), 1u);
    EXPECT_EQ(count(PARLOOM_ERR_CANCELLED), size_t{ TASKS - 1 });
}

TEST_P(Cancelled, StopInSharedMemoryIsSeenByTheTasksThemselves)
{
    if (!is_separate()) return; /* else the caller, which is kept from looking, also runs tasks */
    Shared<int> is_told;
    blocker blocker = { shared.get(), is_told.get(), false };
    parloom_options given = watched(shared.get());
    given.progress = cancel_and_block;
    given.progress_state = &blocker;
    parloom_arg args[] = { parloom_out(is_told.get(), sizeof(int)) };
    EXPECT_EQ(parloom_for(2, say_when_told, args, 1, &given, &error), PARLOOM_ERR_CANCELLED);
    EXPECT_TRUE(blocker.is_seen);
}

class CancelledInside : public Cancelled
{
};
INSTANTIATE_TEST_SUITE_P(On, CancelledInside, ::testing::ValuesIn(every_backend), name_of);

TEST_P(CancelledInside, CallsOfTasksEndToo)
{
    for (const char *inner : { "sequential", "threads", "processes", "fork" }) {
        if (is("threads") && strcmp(inner, "fork") == 0) continue; /* a fork beside a team is the user's own risk */
        stop = {};
        __atomic_store_n(begun.get(), 0, __ATOMIC_RELEASE); /* the alarm of the round before may be looked at still */
        parloom_options given = watched(&stop);
        given.errors = &error;
        given.n_errors = 1;
        const int zero = 0;
        parloom_arg args[] = { parloom_out(begun.get(), sizeof(int)), parloom_in(&zero, sizeof zero),
                               parloom_in(inner, strlen(inner) + 1) };
        Alarm alarm(&stop, begun.get());
        EXPECT_EQ(parloom_for(TASKS, call_and_wait, args, 3, &given, nullptr), PARLOOM_ERR_CANCELLED) << inner;
        EXPECT_EQ(report.failed, 0u) << inner << ": " << error.message;
        EXPECT_GE(report.ok, 1u) << inner;
    }
}

// SPDX-License-Identifier: BSD-3-Clause
/*
 * test_crash_states.cc - a worker is killed after its k-th instruction, for k through a whole call; another worker
 * and the replacement complete it, and the account must be right each time.
 *
 *   this process      traces the first worker of each call: lets it make k single steps, kills it
 *   └ caller          makes the calls with the fork backend and checks what they report
 *     ├ worker 0      the one that is traced: held in worker_init until the tracer has it
 *     └ worker 1      held in worker_init until worker 0 is dead, or through
 *
 * A killed process leaves shared memory exactly as a prefix of its instructions wrote it, so no state of a death in
 * join, claim, run, tell or leave is out of reach, whatever the luck of the scheduler.
 */
#include <parloom/parloom.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <omp.h>
#include <random>
#include <sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

constexpr size_t MOST_TASKS = 64;
constexpr size_t NO_FAILURE = SIZE_MAX;

enum Kind { INDEX, ANNOUNCED, SILENT, LIST, SUM };

struct Scenario {
    const char *name;
    Kind kind;
    size_t n, batch_size;
    bool is_static;
    size_t failing; /* this task returns 7 */
    bool go_on;
    int deaths; /* the replacement of worker 0 is traced and killed as well */
    int retries;
};

void PrintTo(const Scenario &one, std::ostream *stream)
{
    *stream << one.n << " tasks, " << one.deaths << " death(s)";
}

/* Between tracer, caller and workers. */
struct Shared {
    std::atomic<int> arrivals;     /* workers that came to worker_init in this call */
    std::atomic<int> are_two_here; /* the second one is never traced; from the third on they are replacements */
    std::atomic<int> traced_pid;   /* who waits to be traced; 0: nobody yet */
    std::atomic<int> go;           /* the traced one may leave worker_init */
    std::atomic<int> deaths_left;  /* how many arrivals are still to be traced */
    std::atomic<int> is_settled;   /* nobody is traced any more: others may work */
    long steps_made;               /* by the one that was traced last; the tracer's own */
    std::atomic<int> is_asked;     /* the tracer wants a call */
    std::atomic<int> is_over;      /* the caller has made and checked it */
    std::atomic<int> begins[MOST_TASKS], ends[MOST_TASKS];
    std::atomic<int> crashes_seen, oks_seen;
    std::atomic<int> is_wrong;
    char complaint[2048];
};

Shared *shared;
const Scenario *scenario;

/* Sleeps until the word is no longer that value; false: not within 20 s. */
bool await_change(std::atomic<int> &word, int value)
{
    static_assert(sizeof word == 4, "a futex");
    for (int attempt = 0; attempt < 20 && word.load() == value; attempt++) {
        struct timespec second = { 1, 0 };
        syscall(SYS_futex, &word, FUTEX_WAIT, value, &second, nullptr, 0);
    }
    return word.load() != value;
}

void set(std::atomic<int> &word, int value)
{
    word = value;
    syscall(SYS_futex, &word, FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0);
}

int hold(void *)
{
    omp_set_num_threads(1); /* libomp starts itself at its first call: a million steps that are not ours */
    int arrival = shared->arrivals.fetch_add(1);
    if (arrival == 1) set(shared->are_two_here, 1);
    if (arrival != 1 && shared->deaths_left.fetch_sub(1) > 0) {
        int me = static_cast<int>(getpid());
        set(shared->traced_pid, me);
        for (int seen = shared->go; seen != me && shared->is_settled == 0; seen = shared->go)
            await_change(shared->go, seen);
        return 0;
    }
    await_change(shared->is_settled, 0);
    return 0;
}

int end_of(const parloom_task *task, size_t index)
{
    shared->ends[index].fetch_add(1);
    return index == scenario->failing ? parloom_fail(task, 7, "task %zu fails", index) : 0;
}

int run_index(const parloom_task *task, void *const *)
{
    shared->begins[task->index].fetch_add(1);
    return end_of(task, task->index);
}

int run_announced(const parloom_task *task, void *const *)
{
    for (size_t i = task->begin; i < task->end; i++) {
        parloom_at(task, i);
        shared->begins[i].fetch_add(1);
        int code = end_of(task, i);
        if (code != 0) return code;
    }
    return 0;
}

int run_silent(const parloom_task *task, void *const *)
{
    for (size_t i = task->begin; i < task->end; i++) {
        shared->begins[i].fetch_add(1);
        shared->ends[i].fetch_add(1);
    }
    return 0;
}

int run_sum(const parloom_task *task, void *const *args)
{
    shared->begins[task->index].fetch_add(1);
    *static_cast<long *>(args[0]) += 1L << (task->index % 60);
    return end_of(task, task->index);
}

void add(void *into, const void *from)
{
    *static_cast<long *>(into) += *static_cast<const long *>(from);
}

struct Outcome {
    parloom_status status;
    parloom_status statuses[MOST_TASKS];
    parloom_error error;
    long sum;
};

void make_call(Outcome *outcome)
{
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.backend = "fork";
    options.n_jobs = 2;
    options.batch_size = scenario->batch_size;
    options.schedule = scenario->is_static ? PARLOOM_SCHEDULE_STATIC : PARLOOM_SCHEDULE_UNSET;
    options.on_error = scenario->go_on ? PARLOOM_ON_ERROR_GO_ON : PARLOOM_ON_ERROR_STOP;
    options.retries = scenario->retries;
    options.worker_init = hold;
    options.statuses = outcome->statuses;
    options.n_statuses = scenario->n;
    outcome->sum = 0;
    size_t n = scenario->n;
    parloom_arg sum = parloom_reduce(&outcome->sum, sizeof outcome->sum, add);
    parloom_call calls[MOST_TASKS] = {};
    for (auto &call : calls) call.function = run_index;
    switch (scenario->kind) {
    case INDEX:
        outcome->status = parloom_for(n, run_index, nullptr, 0, &options, &outcome->error);
        break;
    case ANNOUNCED:
        outcome->status = parloom_for_range(n, run_announced, nullptr, 0, &options, &outcome->error);
        break;
    case SILENT:
        outcome->status = parloom_for_range(n, run_silent, nullptr, 0, &options, &outcome->error);
        break;
    case LIST:
        outcome->status = parloom_run(calls, n, &options, &outcome->error);
        break;
    case SUM:
        outcome->status = parloom_for(n, run_sum, &sum, 1, &options, &outcome->error);
        break;
    }
}

void complain(const char *what, size_t task, const Outcome &outcome)
{
    if (shared->is_wrong.exchange(1) != 0) return;
    int length = std::snprintf(shared->complaint, sizeof shared->complaint, "%s (task %zu): %s: %s; statuses", what,
                               task, parloom_status_name(outcome.status), outcome.error.message);
    for (size_t i = 0; i < scenario->n && length < 1900; i++)
        length += std::snprintf(shared->complaint + length, sizeof shared->complaint - static_cast<size_t>(length),
                                " %d:%d/%d", outcome.statuses[i], shared->begins[i].load(), shared->ends[i].load());
}

/* What must hold of one task, whatever the instruction at which a worker died. */
const char *wrong_with(size_t task, parloom_status status)
{
    int begins = shared->begins[task], ends = shared->ends[task];
    bool may_repeat = scenario->kind == SUM || scenario->retries > 0;
    if (begins > 1 && !may_repeat) return "a task was begun twice";
    switch (status) {
    case PARLOOM_OK:
        if (ends < 1) return "a task is OK and did not end";
        return task == scenario->failing ? "a task that failed is OK" : nullptr;
    case PARLOOM_ERR_TASK:
        return task != scenario->failing ? "a task that did not fail is noted as failed" : nullptr;
    case PARLOOM_ERR_CRASHED:
        return scenario->retries > 0 ? "a task crashed although it may be retried" : nullptr;
    case PARLOOM_ERR_CANCELLED:
        if (scenario->go_on) return "a task was cancelled although the call goes on";
        return begins > 0 && !may_repeat ? "a task was cancelled and begun" : nullptr;
    default:
        return "a task ended in a status that nothing here can cause";
    }
}

/* A body that is killed before its first parloom_at has announced nothing: the range is lost as a whole, unbegun. */
bool is_blamed_by_name(size_t task)
{
    return scenario->kind != ANNOUNCED || shared->begins[task] > 0;
}

void check(const Outcome &outcome)
{
    size_t crashed = 0, first_failure = scenario->n;
    long expected = 0;
    for (size_t i = 0; i < scenario->n; i++) {
        const char *wrong = wrong_with(i, outcome.statuses[i]);
        if (wrong != nullptr) complain(wrong, i, outcome);
        crashed += outcome.statuses[i] == PARLOOM_ERR_CRASHED && is_blamed_by_name(i);
        /* A task that failed has added before; one that crashed has not, whatever it had done. */
        if (outcome.statuses[i] == PARLOOM_OK || outcome.statuses[i] == PARLOOM_ERR_TASK) expected += 1L << (i % 60);
        bool is_failure = outcome.statuses[i] != PARLOOM_OK && outcome.statuses[i] != PARLOOM_ERR_CANCELLED;
        if (is_failure && i < first_failure) first_failure = i;
        if (outcome.statuses[i] == PARLOOM_ERR_CANCELLED && i < first_failure)
            complain("a task below the first failure was cancelled", i, outcome);
    }
    size_t most = static_cast<size_t>(scenario->deaths) * (scenario->kind == SILENT ? scenario->batch_size : 1);
    if (crashed > most) complain("more tasks crashed than workers died", crashed, outcome);
    bool has_failed = first_failure < scenario->n;
    if (has_failed && outcome.error.task != first_failure) complain("another task is named", first_failure, outcome);
    if (has_failed == (outcome.status == PARLOOM_OK)) complain("the call's status is wrong", first_failure, outcome);
    if (scenario->kind == SUM && scenario->go_on && outcome.sum != expected) complain("the sum is wrong", 0, outcome);
    shared->crashes_seen += static_cast<int>(crashed);
    shared->oks_seen += static_cast<int>(crashed == 0);
}

[[noreturn]] void be_caller()
{
    static Outcome outcome;
    shared->is_settled = 1;
    make_call(&outcome); /* the first one sets up what later ones find */
    set(shared->is_over, 1);
    for (;;) {
        await_change(shared->is_asked, 0);
        shared->is_asked = 0;
        make_call(&outcome);
        check(outcome);
        set(shared->is_over, 1);
        set(shared->traced_pid, -1); /* no more workers come */
    }
}

/* ---- the tracer */

/* About to sleep on a futex: a worker that waits for its next call, since nothing else here makes it sleep. */
bool is_falling_asleep(pid_t pid)
{
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, pid, nullptr, &registers) != 0 || registers.rax != SYS_futex) return false;
    if (registers.rdi == reinterpret_cast<unsigned long>(&shared->go)) return false; /* it was stopped in there */
    if ((registers.rsi & FUTEX_CMD_MASK) != FUTEX_WAIT && (registers.rsi & FUTEX_CMD_MASK) != FUTEX_WAIT_BITSET)
        return false;
    constexpr long SYSCALL = 0x050f;
    return (ptrace(PTRACE_PEEKTEXT, pid, registers.rip, nullptr) & 0xffff) == SYSCALL;
}

enum Stepped { STEPPED, ASLEEP, ENDED };

Stepped step(pid_t pid)
{
    int status = 0;
    if (is_falling_asleep(pid)) return ASLEEP;
    if (ptrace(PTRACE_SINGLESTEP, pid, nullptr, nullptr) != 0) return ENDED;
    return waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status) ? STEPPED : ENDED;
}

/* Lets the waiting worker make that many steps, then kills it. False: it came to the end of its work before. */
bool trace(pid_t pid, long steps)
{
    int status = 0;
    if (ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) != 0) return false;
    /* Stopped before it may go: one that ran until the stop could sleep for its next call by then, and a step would
     * take it back into that sleep, from which only the other worker's work wakes it. */
    ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr);
    waitpid(pid, &status, __WALL);
    set(shared->go, static_cast<int>(pid));
    Stepped last = STEPPED;
    for (shared->steps_made = 0; shared->steps_made < steps && last == STEPPED; shared->steps_made++) last = step(pid);
    kill(pid, SIGKILL);
    if (last != ENDED) waitpid(pid, &status, __WALL);
    return last == STEPPED;
}

/* One call in which the traced workers die after so many steps, or when they are through. */
void make_traced_call(const long *steps)
{
    std::memset(static_cast<void *>(shared->begins), 0, sizeof shared->begins);
    std::memset(static_cast<void *>(shared->ends), 0, sizeof shared->ends);
    shared->deaths_left = scenario->deaths;
    shared->arrivals = 0;
    shared->are_two_here = 0;
    shared->is_settled = 0;
    shared->traced_pid = 0;
    shared->is_over = 0;
    shared->go = 0;
    set(shared->is_asked, 1);
    EXPECT_TRUE(await_change(shared->are_two_here, 0)) << "no second worker came";
    for (int death = 0; death < scenario->deaths; death++) {
        EXPECT_TRUE(await_change(shared->traced_pid, 0)) << "no worker came";
        pid_t pid = shared->traced_pid.exchange(0);
        if (pid <= 0) break; /* the call is over */
        if (!trace(pid, steps[death])) break;
    }
    shared->deaths_left = 0;
    set(shared->is_settled, 1);
    set(shared->go, -1);
    EXPECT_TRUE(await_change(shared->is_over, 0)) << "the call hangs";
}

/* How many instructions of a call a death follows; all of them with a large number, which takes an hour. */
long points_wanted()
{
    const char *text = std::getenv("PARLOOM_TEST_CRASH_POINTS");
    return text != nullptr ? std::max(std::atol(text), 1L) : 25;
}

class CrashStates : public ::testing::TestWithParam<Scenario>
{
};

TEST_P(CrashStates, AccountForEveryTask)
{
    scenario = &GetParam();
    void *memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    shared = new (memory) Shared();
    cpu_set_t one; /* a step is two switches of tasks: on one CPU they cost a microsecond each */
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(sched_getcpu()), &one);
    sched_setaffinity(0, sizeof one, &one);
    pid_t caller = fork();
    if (caller == 0) be_caller();
    EXPECT_TRUE(await_change(shared->is_over, 0)) << "the caller does not start";

    const long whole[2] = { LONG_MAX, LONG_MAX };
    make_traced_call(whole);
    long total = shared->steps_made;
    std::mt19937 random(20240817);
    std::uniform_int_distribution<long> stride(1, std::max(2 * total / points_wanted(), 2L)), anywhere(0, total);
    int calls = 0;
    for (long k = 0; k < total && !HasFailure() && shared->is_wrong == 0; k += stride(random)) {
        long steps[2] = { k, anywhere(random) };
        make_traced_call(steps);
        calls++;
        if (shared->is_wrong != 0)
            ADD_FAILURE() << "killed after " << k << " of " << total << ", then " << steps[1]
                          << " instructions: " << shared->complaint;
    }
    EXPECT_GT(total, 300) << "the worker was through at once";
    RecordProperty("calls", calls);
    RecordProperty("crashed", shared->crashes_seen.load());
    RecordProperty("instructions", static_cast<int>(total));
    kill(caller, SIGKILL);
    waitpid(caller, nullptr, 0);
    munmap(memory, sizeof(Shared));
}

const Scenario SCENARIOS[] = {
    { "Singles", INDEX, 6, 1, false, NO_FAILURE, true, 1, 0 },
    { "Auto", INDEX, 40, 0, false, NO_FAILURE, true, 1, 0 },
    { "Batches", INDEX, 20, 3, false, NO_FAILURE, true, 1, 0 },
    { "Static", INDEX, 12, 2, true, NO_FAILURE, true, 1, 0 },
    { "Ranges", ANNOUNCED, 20, 4, false, NO_FAILURE, true, 1, 0 },
    { "AutoRanges", ANNOUNCED, 40, 0, false, NO_FAILURE, true, 1, 0 },
    { "SilentRanges", SILENT, 20, 4, false, NO_FAILURE, true, 1, 0 },
    { "List", LIST, 8, 1, false, NO_FAILURE, true, 1, 0 },
    { "Reduction", SUM, 20, 4, false, NO_FAILURE, true, 1, 0 },
    { "SinglesThatFail", INDEX, 12, 1, false, 5, true, 1, 0 },
    { "SinglesThatStop", INDEX, 12, 1, false, 5, false, 1, 0 },
    { "AutoThatStops", INDEX, 40, 0, false, 9, false, 1, 0 },
    { "RangesThatFail", ANNOUNCED, 20, 4, false, 6, true, 1, 0 },
    { "RangesThatStop", ANNOUNCED, 20, 4, false, 6, false, 1, 0 },
    { "StaticThatStops", INDEX, 12, 2, true, 3, false, 1, 0 },
    { "ReductionThatFails", SUM, 20, 4, false, 6, true, 1, 0 },
    { "TwoDeaths", INDEX, 12, 1, false, NO_FAILURE, true, 2, 0 },
    { "TwoDeathsInRanges", ANNOUNCED, 20, 4, false, NO_FAILURE, true, 2, 0 },
    { "TwoDeathsInReduction", SUM, 20, 4, false, NO_FAILURE, true, 2, 0 },
    { "Retries", INDEX, 12, 1, false, NO_FAILURE, true, 2, 3 },
    { "RetriedReduction", SUM, 20, 4, false, NO_FAILURE, true, 2, 3 },
};

INSTANTIATE_TEST_SUITE_P(, CrashStates, ::testing::ValuesIn(SCENARIOS),
                         [](const ::testing::TestParamInfo<Scenario> &info) { return info.param.name; });

} // namespace

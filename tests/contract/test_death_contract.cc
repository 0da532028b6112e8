/* SPDX-License-Identifier: BSD-3-Clause */
/* What the death of a worker costs, where tasks have processes of their own. */
#include "contract/failing.h"
#include "support/waiting.h"

#include <cstdio>
#include <unistd.h>

using namespace contract;

namespace
{

int end_badly(const parloom_task *task, void *const *args)
{
    switch (static_cast<const int *>(args[0])[task->index]) {
    case 1:
        return 5;
    case 2:
        raise(SIGKILL);
        break;
    case 3:
        _exit(42);
    case 4:
        raise(SIGABRT);
        break;
    default:
        break;
    }
    static_cast<char *>(args[1])[task->index] = 1;
    return 0;
}

int die_twice(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[0])[task->index] = task->attempt;
    if (task->index == 5 && task->attempt < 2) raise(SIGKILL);
    if (task->index == 9 && task->attempt < 1) _exit(1);
    return 0;
}

int wait_for_ever(const parloom_task *task, void *const *)
{
    if (task->index == 4)
        for (;;) pause();
    return 0;
}

int die_in_third_range(const parloom_task *task, void *const *)
{
    if (task->begin <= 25 && 25 < task->end) raise(SIGKILL);
    return 0;
}

/* Not for ever: a limit that is none fails the test, and does not hang it. */
int take_its_time(const parloom_task *task, void *const *)
{
    for (int k = 0; task->index == 4 && k < 100000; k++) usleep(100);
    return 0;
}

/* args[0]: the process that all workers end with. */
int note_supervisor(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[0])[task->index] = static_cast<int>(getppid());
    return 0;
}

int some_init(void *)
{
    return 0;
}

} // namespace

class Death : public Failing
{
};
INSTANTIATE_TEST_SUITE_P(On, Death, ::testing::ValuesIn(every_kill), name_of);

TEST_P(Death, CostsOneTaskAndIsNamed)
{
    std::vector<int> how(TASKS, 0);
    std::vector<char> done(TASKS);
    how[5] = 1;
    how[11] = how[30] = 2;
    how[12] = 3;
    how[59] = 4;
    parloom_options given = asking();
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    errors.assign(6, parloom_error());
    given.errors = errors.data();
    given.n_errors = errors.size();
    parloom_arg args[] = { in(how), out(done) };
    ASSERT_EQ(parloom_for(TASKS, end_badly, args, 2, &given, &error), PARLOOM_ERR_TASK);
    parloom_status expected[] = { PARLOOM_OK, PARLOOM_ERR_TASK, PARLOOM_ERR_CRASHED, PARLOOM_ERR_EXITED,
                                  PARLOOM_ERR_CRASHED };
    for (size_t k = 0; k < TASKS; k++) {
        EXPECT_EQ(statuses[k], expected[how[k]]) << k;
        EXPECT_EQ(done[k], how[k] == 0 ? 1 : 0) << k;
    }
    EXPECT_EQ(errors[1].task, 11u);
    EXPECT_EQ(errors[1].signal, SIGKILL);
    EXPECT_GT(errors[1].pid, 0);
    EXPECT_TRUE(errors[1].worker >= 0 && errors[1].worker < given.n_jobs);
    EXPECT_NE(strstr(errors[1].message, "task 11 of 60"), nullptr) << errors[1].message;
    EXPECT_NE(strstr(errors[1].message, "end_badly"), nullptr) << errors[1].message;
    EXPECT_EQ(errors[2].task, 12u);
    EXPECT_EQ(errors[2].code, 42);
    EXPECT_EQ(errors[2].status, PARLOOM_ERR_EXITED);
    EXPECT_EQ(errors[4].signal, SIGABRT);
    EXPECT_EQ(errors[5].status, PARLOOM_OK);
    EXPECT_EQ(report.workers_lost, 4);
    expect_conserved();
}

TEST_P(Death, StopsAtTheFirstErrorInTaskOrder)
{
    std::vector<int> how(TASKS, 0);
    std::vector<char> done(TASKS);
    how[20] = 2;
    how[21] = 1;
    parloom_options given = asking();
    parloom_arg args[] = { in(how), out(done) };
    ASSERT_EQ(parloom_for(TASKS, end_badly, args, 2, &given, &error), PARLOOM_ERR_CRASHED);
    EXPECT_EQ(error.task, 20u);
    for (size_t k = 0; k < 20; k++) EXPECT_TRUE(statuses[k] == PARLOOM_OK && done[k] == 1) << k;
    expect_conserved();
}

TEST_P(Death, InARangeCostsTheIndexThatWasAnnounced)
{
    std::vector<int> how(TASKS, 0);
    std::vector<char> done(TASKS);
    how[13] = how[44] = 2;
    parloom_options given = asking();
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    given.batch_size = TASKS;
    parloom_arg args[] = { out(done), in(how) };
    ASSERT_EQ(parloom_for_range(TASKS, announce_and_end_badly, args, 2, &given, &error), PARLOOM_ERR_CRASHED);
    EXPECT_EQ(error.task, 13u);
    for (size_t k = 0; k < TASKS; k++) {
        EXPECT_EQ(statuses[k], how[k] ? PARLOOM_ERR_CRASHED : PARLOOM_OK) << k;
        EXPECT_EQ(done[k], how[k] ? 0 : 1) << k;
    }
    expect_conserved();
}

TEST_P(Death, InARangeThatSaysNothingHasAnEntryForEachOfItsTasks)
{
    parloom_options given = asking();
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    given.batch_size = 10;
    errors.assign(12, parloom_error());
    given.errors = errors.data();
    given.n_errors = errors.size();
    ASSERT_EQ(parloom_for_range(TASKS, die_in_third_range, nullptr, 0, &given, &error), PARLOOM_ERR_CRASHED);
    for (size_t k = 0; k < TASKS; k++) EXPECT_EQ(statuses[k], k / 10 == 2 ? PARLOOM_ERR_CRASHED : PARLOOM_OK) << k;
    for (size_t k = 0; k < errors.size(); k++) {
        EXPECT_EQ(errors[k].status, k < 10 ? PARLOOM_ERR_CRASHED : PARLOOM_OK) << k;
        EXPECT_EQ(errors[k].task, k < 10 ? 20 + k : PARLOOM_NO_TASK) << k;
        EXPECT_EQ(errors[k].signal, k < 10 ? SIGKILL : 0) << k;
    }
    expect_conserved();
}

TEST_P(Death, IsRetriedAsOftenAsAsked)
{
    std::vector<int> attempts(TASKS, -1);
    parloom_options given = asking();
    given.retries = 2;
    parloom_arg args[] = { out(attempts) };
    ASSERT_OK(parloom_for(TASKS, die_twice, args, 1, &given, &error));
    EXPECT_EQ(attempts[5], 2);
    EXPECT_EQ(attempts[9], 1);
    EXPECT_EQ(report.retried, 3u);
    expect_conserved();
    given.retries = 1;
    ASSERT_EQ(parloom_for(TASKS, die_twice, args, 1, &given, &error), PARLOOM_ERR_CRASHED);
    EXPECT_EQ(error.task, 5u);
    EXPECT_EQ(error.attempt, 1);
    expect_conserved();
}

TEST_P(Death, OfATaskPastItsLimitIsATimeout)
{
    parloom_options given = asking();
    given.task_timeout = 0.05;
    given.retries = 2;
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    ASSERT_EQ(parloom_for(TASKS, wait_for_ever, nullptr, 0, &given, &error), PARLOOM_ERR_TIMEOUT);
    EXPECT_EQ(error.task, 4u);
    for (size_t k = 0; k < TASKS; k++) EXPECT_EQ(statuses[k], k == 4 ? PARLOOM_ERR_TIMEOUT : PARLOOM_OK) << k;
    EXPECT_EQ(report.retried, 0u);
    expect_conserved();
}

TEST_P(Death, AtALimitOfLessThanATickIsATimeoutToo)
{
    for (double seconds : { 1e-9, 1e-10, 1e-300 }) {
        parloom_options given = asking();
        given.task_timeout = seconds;
        given.on_error = PARLOOM_ON_ERROR_GO_ON;
        EXPECT_EQ(parloom_for(5, take_its_time, nullptr, 0, &given, &error), PARLOOM_ERR_TIMEOUT) << seconds;
        EXPECT_EQ(statuses[4], PARLOOM_ERR_TIMEOUT) << seconds;
    }
}

TEST_P(Death, OfACallPastItsLimitTakesHungTasksAlong)
{
    parloom_options given = asking();
    given.batch_size = 1;
    ASSERT_OK(parloom_for(4, wait_for_ever, nullptr, 0, &given, &error)); /* workers are there now */
    given.timeout = 0.5;
    ASSERT_EQ(parloom_for(TASKS, wait_for_ever, nullptr, 0, &given, &error), PARLOOM_ERR_TIMEOUT);
    EXPECT_EQ(statuses[4], PARLOOM_ERR_TIMEOUT);
    EXPECT_EQ(report.timed_out, 1u);
    expect_conserved();
}

TEST_P(Death, DoesNotReachTheCallerWithOneJobThatNeedsAWorker)
{
    for (int how_many : { 0, 1, 2 }) {
        std::vector<int> how(4, 2);
        std::vector<char> done(4);
        parloom_options given = options();
        given.n_jobs = 1;
        if (how_many == 0) given.require = PARLOOM_REQUIRE_ISOLATION;
        if (how_many == 1) given.timeout = 100;
        if (how_many == 2) given.retries = 1;
        parloom_arg args[] = { in(how), out(done) };
        ASSERT_EQ(parloom_for(4, end_badly, args, 2, &given, &error), PARLOOM_ERR_CRASHED);
        EXPECT_NE(error.pid, getpid());
    }
}

TEST_P(Death, LeavesTheNextCallAlone)
{
    std::vector<int> how(TASKS, 0);
    std::vector<char> done(TASKS);
    how[2] = 2;
    for (int round = 0; round < 5; round++) {
        parloom_options given = options();
        parloom_arg args[] = { in(how), out(done) };
        ASSERT_EQ(parloom_for(TASKS, end_badly, args, 2, &given, &error), PARLOOM_ERR_CRASHED);
        std::vector<int> well(TASKS, 0);
        parloom_arg good[] = { in(well), out(done) };
        ASSERT_OK(parloom_for(TASKS, end_badly, good, 2, &given, &error));
    }
}

/* --------------------------------------------------------- the supervisor's */

/* Of the process that starts workers: the next call is made while it dies, or when it is dead. */
class DeathOfTheSupervisor : public loom::Clean
{
  protected:
    parloom_options two_jobs() const
    {
        parloom_options made = PARLOOM_OPTIONS_INIT;
        made.backend = "processes";
        made.n_jobs = 2;
        made.retries = 5; /* tasks that its workers had begun */
        return made;
    }
    void call_and_kill(const parloom_options &given, bool until_dead)
    {
        std::vector<int> supervisors(8);
        parloom_arg args[] = { out(supervisors) };
        ASSERT_OK(parloom_for(supervisors.size(), note_supervisor, args, 1, &given, &error));
        /* Of the one that was killed before, a worker may have run a task in its last moment, as a child of init's. */
        int supervisor = *std::max_element(supervisors.begin(), supervisors.end());
        ASSERT_NE(supervisor, getpid());
        if (supervisor > 1 && kill(supervisor, SIGKILL) == 0) n_killed++;
        if (until_dead && supervisor > 1) {
            EXPECT_TRUE(loom::comes_true([&] { return loom::is_gone(supervisor); }));
        }
    }
    void TearDown() override
    {
        EXPECT_GT(n_killed, ROUNDS / 2);
        loom::Clean::TearDown();
    }
    parloom_error error = {};
    int n_killed = 0;
    enum { ROUNDS = 50 };
};

TEST_F(DeathOfTheSupervisor, DoesNotRefuseTheNextCall)
{
    for (int round = 0; round < ROUNDS; round++)
        ASSERT_NO_FATAL_FAILURE(call_and_kill(two_jobs(), round % 2 != 0)) << round;
}

/* Seats that are empty are filled before anybody has looked at what became of those that are not. */
TEST_F(DeathOfTheSupervisor, DoesNotRefuseTheNextCallThatNeedsMoreWorkers)
{
    for (int round = 0; round < ROUNDS; round++) {
        parloom_options given = two_jobs();
        given.n_jobs = round % 2 == 0 ? 2 : 4;
        ASSERT_NO_FATAL_FAILURE(call_and_kill(given, round / 2 % 2 != 0)) << round;
    }
}

TEST_F(DeathOfTheSupervisor, DoesNotRefuseTheNextCallThatNeedsWorkersOfItsOwn)
{
    for (int round = 0; round < ROUNDS; round++) {
        parloom_options given = two_jobs();
        given.worker_init = some_init; /* another state: the shared workers are replaced */
        given.worker_init_state = &round;
        given.worker_init_state_nbytes = sizeof round;
        ASSERT_NO_FATAL_FAILURE(call_and_kill(given, round % 2 != 0)) << round;
    }
}

TEST_F(DeathOfTheSupervisor, DoesNotRefuseTheNextPool)
{
    for (int round = 0; round < ROUNDS; round++) {
        parloom_pool *pool = nullptr;
        parloom_options given = two_jobs(), on_pool = PARLOOM_OPTIONS_INIT;
        ASSERT_OK(parloom_pool_open(&pool, &given, &error)) << round;
        on_pool.pool = pool;
        call_and_kill(on_pool, round % 2 != 0);
        parloom_pool_close(pool);
        ASSERT_FALSE(HasFailure()) << round;
    }
}

/* ------------------------------------------------------------- worker_init */

namespace
{

/* How worker_init ends its worker: by a signal, or (0) with an exit code. */
struct init_end {
    int *count; /* shared memory: how often it ran */
    int signal_number, code;
};

int end_in_init(void *state)
{
    const auto *how = static_cast<init_end *>(state);
    __atomic_add_fetch(how->count, 1, __ATOMIC_RELAXED);
    if (how->signal_number == 0) _exit(how->code);
    return raise(how->signal_number);
}

} // namespace

class DeathInWorkerInit : public Placed
{
  protected:
    void expect_callback(parloom_status status, const init_end &how)
    {
        EXPECT_EQ(status, PARLOOM_ERR_CALLBACK) << error.message;
        EXPECT_EQ(error.signal, how.signal_number);
        EXPECT_EQ(error.code, how.code);
        EXPECT_GT(error.pid, 0);
        EXPECT_SAYS("worker_init");
        EXPECT_SAYS((how.signal_number == SIGKILL ? "SIGKILL" : how.signal_number == SIGTERM ? "SIGTERM" : "code 3"));
        EXPECT_GT(*how.count, GetParam().n_jobs) << "it may have been by chance";
        *how.count = 0;
    }
    Shared<int> count;
};
INSTANTIATE_TEST_SUITE_P(On, DeathInWorkerInit, ::testing::ValuesIn(every_kill), name_of);

TEST_P(DeathInWorkerInit, IsACallbackErrorThatSaysHow)
{
    for (init_end how :
         { init_end{ count.get(), SIGKILL, 0 }, init_end{ count.get(), SIGTERM, 0 }, init_end{ count.get(), 0, 3 } }) {
        std::vector<int> deeds(6);
        std::vector<char> done(6);
        parloom_arg args[] = { in(deeds), out(done) };
        parloom_options given = options();
        given.worker_init = end_in_init;
        given.worker_init_state = &how;
        given.worker_init_state_nbytes = sizeof how;
        parloom_report report = {};
        report.struct_size = sizeof report;
        given.report = &report;
        expect_callback(parloom_for(6, end_badly, args, 2, &given, &error), how);
        EXPECT_EQ(report.cancelled, 6u);
        EXPECT_EQ(done, std::vector<char>(6, 0));
        given = options();
        ASSERT_OK(parloom_for(6, end_badly, args, 2, &given, &error)) << "the next call works";
        EXPECT_EQ(done, std::vector<char>(6, 1));
    }
}

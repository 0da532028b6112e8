/* SPDX-License-Identifier: BSD-3-Clause */
/* What follows the program into its workers: registered states, environment, working directory, locale, umask. */
#include "contract/places.h"

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>
#include <unistd.h>

namespace
{

enum { TASKS = 40 };

/* ------------------------------------------------------------ a registered state */

int global;            /* of the program; its workers have one of their own */
int applies, restores; /* of this process */

struct Told {
    int value;
    int how; /* of apply: 0 well, 1 returns 7, 2 crashes, 3 exits */
    char filling[20000];
};

struct Known {
    int value = 0;
    int how = 0;
    int captures = 0;
    int refused = 0; /* what register said inside of capture */
    bool is_large = false, registers = false;
    int fails = 0;
};

int take(void *state, void *bytes, size_t room, size_t *nbytes_out);

int set(const void *bytes, size_t)
{
    const Told *told = static_cast<const Told *>(bytes);
    if (told->how == 1) return 7;
    if (told->how == 2) abort();
    if (told->how == 3) _exit(9);
    applies++;
    global = told->value;
    return 0;
}

void put_back(const void *bytes, size_t)
{
    if (static_cast<const Told *>(bytes)->value == global) restores++;
    global = -1;
}

parloom_state_ops ops_of(bool restores_too = false)
{
    return { sizeof(parloom_state_ops), take, set, restores_too ? put_back : nullptr };
}

int take(void *state, void *bytes, size_t room, size_t *nbytes_out)
{
    Known *known = static_cast<Known *>(state);
    Told told = {};
    parloom_state_ops ops = ops_of();
    known->captures++;
    if (known->fails != 0) return known->fails;
    if (known->registers) known->refused = parloom_state_register("inner", &ops, state, nullptr);
    *nbytes_out = known->is_large ? sizeof told : offsetof(Told, filling);
    told.value = known->value;
    told.how = known->how;
    if (room >= *nbytes_out) std::memcpy(bytes, &told, *nbytes_out);
    return 0;
}

struct Seen {
    int value, applies, restores, pid;
};

int look(const parloom_task *task, void *const *args)
{
    static_cast<Seen *>(args[0])[task->index] = { global, applies, restores, static_cast<int>(getpid()) };
    return 0;
}

class State : public contract::Placed
{
  protected:
    void SetUp() override
    {
        Placed::SetUp();
        global = 0;
    }
    void TearDown() override
    {
        parloom_state_unregister("known", nullptr);
        Placed::TearDown();
    }
    parloom_status call(const parloom_options &given)
    {
        parloom_arg args[] = { parloom_out(seen.get(), TASKS * sizeof(Seen)) };
        for (int k = 0; k < TASKS; k++) seen[k] = { -2, -2, -2, -2 };
        return parloom_for(TASKS, look, args, 1, &given, &error);
    }
    bool all_saw(int value)
    {
        for (int k = 0; k < TASKS; k++)
            if (seen[k].value != value) return false;
        return true;
    }
    bool none_ran()
    {
        for (int k = 0; k < TASKS; k++)
            if (seen[k].value != -2) return false;
        return true;
    }
    /* Two workers of their own, so that the next call has the same ones. */
    parloom_options on_pool()
    {
        parloom_options made = options();
        EXPECT_OK(parloom_pool_open(&pool, &made, &error));
        parloom_options given = PARLOOM_OPTIONS_INIT;
        given.pool = pool;
        return given;
    }

    contract::Shared<Seen> seen{ TASKS };
    parloom_pool *pool = nullptr;
    Known known;
};

class StateOfProcesses : public State
{
};

} // namespace

TEST_P(State, ThatIsNotRegisteredStaysInTheProgram)
{
    parloom_options given = on_pool();
    ASSERT_OK(call(given));
    EXPECT_TRUE(all_saw(0));
    global = 5;
    ASSERT_OK(call(given));
    bool inherits = !is_separate() || is("fork"); /* fork: as it is at the call */
    EXPECT_TRUE(all_saw(inherits ? 5 : 0));
    parloom_pool_close(pool);
}

TEST_P(State, FollowsTheProgramIntoReusedWorkers)
{
    parloom_state_ops ops = ops_of();
    ASSERT_OK(parloom_state_register("known", &ops, &known, &error));
    parloom_options given = on_pool();
    for (int value : { 3, 4, 4, 9 }) {
        known.value = global = value; /* where tasks share or inherit the program's memory, they see it there */
        ASSERT_OK(call(given));
        EXPECT_TRUE(all_saw(value)) << value;
    }
    parloom_pool_close(pool);
}

TEST_P(State, DoesNotLeakIntoLaterCallsWhereItIsPutBack)
{
    parloom_state_ops ops = ops_of(true);
    ASSERT_OK(parloom_state_register("known", &ops, &known, &error));
    parloom_options given = on_pool();
    known.value = global = 3;
    ASSERT_OK(call(given));
    EXPECT_TRUE(all_saw(3));
    ASSERT_OK(parloom_state_unregister("known", &error));
    global = -1;
    ASSERT_OK(call(given));
    for (int k = 0; k < TASKS; k++) { /* a worker that had no task in the first call has nothing to put back */
        bool is_untouched = is("processes") && is_separate() && seen[k].restores == 0;
        EXPECT_EQ(seen[k].value, is_untouched ? 0 : -1) << "task " << k;
    }
    parloom_pool_close(pool);
}

TEST_P(StateOfProcesses, IsAppliedWhenItsBytesChangedAndNotOtherwise)
{
    parloom_state_ops ops = ops_of();
    ASSERT_OK(parloom_state_register("known", &ops, &known, &error));
    parloom_options given = on_pool();
    for (int k = 0; k < 5; k++) {
        ASSERT_OK(call(given));
        for (int i = 0; i < TASKS; i++) EXPECT_EQ(seen[i].applies, 1);
    }
    EXPECT_GE(known.captures, 5);
    known.value = 8;
    ASSERT_OK(call(given));
    for (int i = 0; i < TASKS; i++) EXPECT_LE(seen[i].applies, 2);
    EXPECT_TRUE(all_saw(8));
    parloom_pool_close(pool);
}

TEST_P(StateOfProcesses, IsAppliedAndPutBackInEachCallWhereItHasARestore)
{
    parloom_state_ops ops = ops_of(true);
    ASSERT_OK(parloom_state_register("known", &ops, &known, &error));
    parloom_options given = on_pool();
    given.schedule = PARLOOM_SCHEDULE_STATIC; /* each worker has rows in each call */
    known.value = 6;
    for (int k = 0; k < 4; k++) {
        ASSERT_OK(call(given));
        for (int i = 0; i < TASKS; i++) {
            EXPECT_EQ(seen[i].applies, k + 1);
            EXPECT_EQ(seen[i].restores, k);
        }
        EXPECT_TRUE(all_saw(6));
    }
    parloom_pool_close(pool);
}

TEST_P(StateOfProcesses, ThatGrowsIsCapturedAsAWhole)
{
    parloom_state_ops ops = ops_of();
    ASSERT_OK(parloom_state_register("known", &ops, &known, &error));
    parloom_options given = on_pool();
    for (bool is_large : { false, true, false }) {
        known.is_large = is_large;
        known.value++;
        ASSERT_OK(call(given));
        EXPECT_TRUE(all_saw(known.value));
    }
    parloom_pool_close(pool);
}

namespace
{

int die_first(const parloom_task *task, void *const *args)
{
    if (task->index == 0 && task->attempt == 0) raise(SIGKILL);
    return look(task, args);
}

} // namespace

TEST_P(StateOfProcesses, IsAppliedInWorkersThatReplaceTheDead)
{
    parloom_state_ops ops = ops_of();
    ASSERT_OK(parloom_state_register("known", &ops, &known, &error));
    known.value = 12;
    parloom_options given = options();
    given.retries = 1;
    parloom_arg args[] = { parloom_out(seen.get(), TASKS * sizeof(Seen)) };
    ASSERT_OK(parloom_for(TASKS, die_first, args, 1, &given, &error));
    EXPECT_TRUE(all_saw(12));
}

TEST_P(StateOfProcesses, IsTheOneOfTheThreadThatMadeTheCall)
{
    static thread_local int mine;
    parloom_state_ops ops = ops_of(true);
    ops.capture = [](void *, void *bytes, size_t room, size_t *nbytes_out) {
        Told told = {};
        told.value = mine;
        *nbytes_out = offsetof(Told, filling);
        if (room >= *nbytes_out) std::memcpy(bytes, &told, *nbytes_out);
        return 0;
    };
    ASSERT_OK(parloom_state_register("known", &ops, nullptr, &error));
    parloom_options given = on_pool();
    std::atomic<int> wrong(0);
    auto make_calls = [&](int value) {
        contract::Shared<Seen> own(TASKS);
        mine = value;
        for (int k = 0; k < 50; k++) {
            parloom_arg args[] = { parloom_out(own.get(), TASKS * sizeof(Seen)) };
            wrong += parloom_for(TASKS, look, args, 1, &given, nullptr) != PARLOOM_OK;
            for (int i = 0; i < TASKS; i++) wrong += own[i].value != value;
        }
    };
    std::thread one(make_calls, 1), two(make_calls, 2);
    one.join();
    two.join();
    EXPECT_EQ(wrong, 0);
    parloom_pool_close(pool);
}

TEST_P(StateOfProcesses, ThatCannotBeCapturedRefusesTheCall)
{
    parloom_state_ops ops = ops_of();
    ASSERT_OK(parloom_state_register("known", &ops, &known, &error));
    known.fails = 4;
    EXPECT_EQ(call(options()), PARLOOM_ERR_CALLBACK);
    EXPECT_EQ(error.code, 4);
    EXPECT_SAYS("known");
    EXPECT_TRUE(none_ran());
    known.fails = 0;
    ASSERT_OK(call(options()));
    EXPECT_TRUE(all_saw(known.value));
}

TEST_P(StateOfProcesses, ThatCannotBeAppliedRefusesTheCall)
{
    parloom_state_ops ops = ops_of();
    ASSERT_OK(parloom_state_register("known", &ops, &known, &error));
    parloom_options given = on_pool();
    for (int how : { 1, 2, 3 }) {
        known.how = how;
        EXPECT_EQ(call(given), PARLOOM_ERR_CALLBACK) << how;
        EXPECT_SAYS("\"known\"");
        EXPECT_EQ(error.code, how == 1 ? 7 : how == 3 ? 9 : 0);
        EXPECT_EQ(error.signal, how == 2 ? SIGABRT : 0);
        EXPECT_GE(error.worker, 0);
        EXPECT_TRUE(none_ran());
        known.how = 0;
        ASSERT_OK(call(given));
        EXPECT_TRUE(all_saw(known.value));
    }
    parloom_pool_close(pool);
}

TEST_P(StateOfProcesses, RegistersNothingWhileItIsCaptured)
{
    parloom_state_ops ops = ops_of();
    ASSERT_OK(parloom_state_register("known", &ops, &known, &error));
    known.registers = true;
    ASSERT_OK(call(options()));
    EXPECT_EQ(known.refused, PARLOOM_ERR_BUSY);
}

TEST(StateRegister, TakesEachNameOnceAndGivesItBackOnce)
{
    parloom_error error;
    Known known;
    parloom_state_ops ops = ops_of();
    EXPECT_OK(parloom_state_register("known", &ops, &known, &error));
    EXPECT_EQ(parloom_state_register("known", &ops, &known, &error), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("\"known\"");
    EXPECT_OK(parloom_state_unregister("known", &error));
    EXPECT_EQ(parloom_state_unregister("known", &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_state_unregister(nullptr, &error), PARLOOM_ERR_INVALID);
}

TEST(StateRegister, RefusesWhatCannotTravel)
{
    parloom_error error;
    parloom_state_ops ops = ops_of(), bad = ops;
    EXPECT_EQ(parloom_state_register(nullptr, &ops, nullptr, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_state_register("", &ops, nullptr, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_state_register("parloom.x", &ops, nullptr, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_state_register(std::string(PARLOOM_STATE_NAME_BYTES, 'x').c_str(), &ops, nullptr, &error),
              PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_state_register("x", nullptr, nullptr, &error), PARLOOM_ERR_INVALID);
    bad.apply = nullptr;
    EXPECT_EQ(parloom_state_register("x", &bad, nullptr, &error), PARLOOM_ERR_INVALID);
    bad = ops;
    bad.capture = nullptr;
    EXPECT_EQ(parloom_state_register("x", &bad, nullptr, &error), PARLOOM_ERR_INVALID);
    bad = ops;
    bad.struct_size = 0;
    EXPECT_EQ(parloom_state_register("x", &bad, nullptr, &error), PARLOOM_ERR_INVALID);
    bad = ops;
    static int no_code;
    void *address = &no_code;
    std::memcpy(&bad.apply, &address, sizeof address);
    EXPECT_EQ(parloom_state_register("x", &bad, nullptr, &error), PARLOOM_ERR_FUNCTION);
}

INSTANTIATE_TEST_SUITE_P(Everywhere, State, ::testing::ValuesIn(contract::every_place), contract::name_of);
INSTANTIATE_TEST_SUITE_P(Separate, StateOfProcesses,
                         ::testing::Values(contract::Place{ "processes", 2 }, contract::Place{ "processes", 3 }),
                         contract::name_of);

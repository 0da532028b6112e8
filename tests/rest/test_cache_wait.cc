/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cache_wait.cc - who waits for a result that somebody else computes can be cancelled. */
#include "contract/places.h"
#include "support/cache_kit.h"
#include "support/waiting.h"

#include <atomic>
#include <csignal>
#include <sys/wait.h>
#include <thread>

using namespace loom;
using contract::Place;
using contract::Shared;

namespace
{

/* In shared memory. */
struct meeting {
    std::atomic<int> runs, asked, is_over;
    std::atomic<int> status; /* of the last one that asked in a task */
};

meeting *meeting_of(const void *value)
{
    return reinterpret_cast<meeting *>(static_cast<uintptr_t>(*static_cast<const int64_t *>(value)));
}

/* compute(meeting): runs until it is over. */
int compute(parloom_cache_run *, void *const *args, parloom_array *results)
{
    meeting *about = meeting_of(args[0]);
    about->runs++;
    comes_true([&] { return about->is_over != 0; });
    *static_cast<int64_t *>(results[0].data) = 42;
    return 0;
}

parloom_status ask(parloom_cached *function, meeting *about)
{
    auto address = static_cast<int64_t>(reinterpret_cast<uintptr_t>(about));
    parloom_cache_value args[] = { parloom_cache_i64(nullptr, address) };
    parloom_array result = {};
    about->asked++;
    parloom_status status = parloom_cache_call(function, args, 1, &result, nullptr, nullptr);
    if (status == PARLOOM_OK) parloom_array_release(&result);
    return status;
}

int ask_in_task(const parloom_task *, void *const *args)
{
    const auto *packed = static_cast<const parloom_array *>(args[0]);
    auto *about = *static_cast<meeting *const *>(args[1]);
    parloom_cached *function = nullptr;
    if (parloom_cache_unpack(&function, packed->data, packed->shape[0], nullptr) != PARLOOM_OK) return 1;
    parloom_status status = ask(function, about);
    about->status = status;
    parloom_cache_unbind(function);
    return status == PARLOOM_OK ? 0 : 2;
}

class CacheWait : public contract::Placed
{
  protected:
    void SetUp() override
    {
        Placed::SetUp();
        static const parloom_cache_param params[] = { { "meeting", PARLOOM_CACHE_I64, 0, nullptr } };
        static const parloom_cache_result results[] = { { nullptr, PARLOOM_I64, 0, nullptr, 0 } };
        parloom_cache_function definition = define_ramp();
        definition.name = "compute";
        definition.body = compute;
        definition.params = params;
        definition.n_params = 1;
        definition.n_ignore = 0;
        definition.results = results;
        function = kit.bind(kit.open(), definition);
    }
    void TearDown() override
    {
        kit.close();
        Placed::TearDown();
    }
    /* Another process computes, from now until let_go. */
    void let_compute()
    {
        holder = fork();
        if (holder == 0) _exit(ask(function, about.get()) == PARLOOM_OK ? 0 : 1);
        ASSERT_TRUE(comes_true([&] { return about->runs == 1; }));
    }
    void let_go()
    {
        int status = 0;
        EXPECT_EQ(waitpid(holder, &status, WNOHANG), 0) << "it computes still";
        about->is_over = 1;
        waitpid(holder, &status, 0);
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        EXPECT_EQ(about->runs, 1);
        EXPECT_EQ(ask(function, about.get()), PARLOOM_OK);
        EXPECT_EQ(about->runs, 1);
    }
    /* Presses Ctrl-C when one more has asked. Whatever happens, the meeting ends at last. */
    pid_t press_when_asked() const
    {
        pid_t terminal = fork();
        if (terminal != 0) return terminal;
        meeting *at = about.get();
        if (comes_true([&] { return at->asked >= 2; })) kill(getppid(), SIGINT);
        _exit(0);
    }
    parloom_status ask_in_tasks(parloom_options *how)
    {
        std::vector<char> bytes(parloom_cache_pack(function, nullptr, 0));
        parloom_cache_pack(function, bytes.data(), bytes.size());
        const size_t nbytes = bytes.size();
        parloom_array packed = parloom_array_wrap(bytes.data(), PARLOOM_U8, 1, &nbytes);
        meeting *at = about.get();
        parloom_arg args[] = { parloom_in_array(&packed), parloom_in(&at, sizeof at) };
        how->batch_size = 1;
        return parloom_for(6, ask_in_task, args, 2, how, &error);
    }
    CacheKit kit;
    parloom_cached *function = nullptr;
    Shared<meeting> shared;
    struct {
        Shared<meeting> *all;
        meeting *operator->() const { return all->get(); }
        meeting *get() const { return all->get(); }
    } about{ &shared };
    pid_t holder = 0;
};

using CacheStop = CacheWait;
using CacheStopped = CacheWait;
using CacheInterrupt = CacheWait;

} // namespace

TEST_P(CacheStop, EndsTheWaitOfATask)
{
    let_compute();
    parloom_stop stop = {};
    std::thread canceller([&] {
        comes_true([&] { return about->asked >= 2; });
        parloom_cancel(&stop);
    });
    parloom_options how = options();
    how.stop = &stop;
    EXPECT_EQ(ask_in_tasks(&how), PARLOOM_ERR_CANCELLED) << error.message;
    canceller.join();
    EXPECT_EQ(about->status, PARLOOM_ERR_CANCELLED);
    let_go();
}

/* Nobody waits, and nobody computes for who has left. */
TEST_P(CacheStopped, LetsNobodyCompute)
{
    static parloom_stop stop;
    stop = {};
    struct both {
        parloom_cached *function;
        meeting *about;
    } given = { function, about.get() };
    auto body = [](const parloom_task *task, void *const *args) {
        const auto *at = static_cast<const both *>(args[0]);
        parloom_cancel(&stop);
        at->about->is_over = 1;
        at->about->status = comes_true([&] { return parloom_cancelled(task); }) ? ask(at->function, at->about) : 0;
        return 1;
    };
    parloom_arg args[] = { parloom_in(&given, sizeof given) };
    parloom_options how = options();
    how.stop = &stop;
    EXPECT_EQ(parloom_for(1, body, args, 1, &how, &error), PARLOOM_ERR_CANCELLED) << error.message;
    EXPECT_EQ(about->status, PARLOOM_ERR_CANCELLED);
    EXPECT_EQ(about->runs, 0);
}

TEST_P(CacheInterrupt, EndsTheWaitOfATask)
{
    let_compute();
    pid_t terminal = press_when_asked();
    parloom_options how = options();
    ASSERT_OK(parloom_interrupt_begin(&error));
    EXPECT_EQ(ask_in_tasks(&how), PARLOOM_ERR_CANCELLED) << error.message;
    EXPECT_TRUE(parloom_interrupt_end(false));
    waitpid(terminal, nullptr, 0);
    let_go();
}

TEST_P(CacheInterrupt, EndsTheWaitOfTheProgram)
{
    let_compute();
    pid_t terminal = press_when_asked();
    ASSERT_OK(parloom_interrupt_begin(&error));
    EXPECT_EQ(ask(function, about.get()), PARLOOM_ERR_CANCELLED);
    EXPECT_TRUE(parloom_interrupt_end(false));
    waitpid(terminal, nullptr, 0);
    let_go();
}

INSTANTIATE_TEST_SUITE_P(On, CacheStop,
                         ::testing::Values(Place{ "sequential", 1 }, Place{ "threads", 2 }, Place{ "processes", 2 }),
                         contract::name_of);
/* The stop is the program's, so not in workers. */
INSTANTIATE_TEST_SUITE_P(On, CacheStopped, ::testing::Values(Place{ "sequential", 1 }, Place{ "threads", 2 }),
                         contract::name_of);
INSTANTIATE_TEST_SUITE_P(By, CacheInterrupt,
                         ::testing::Values(Place{ "sequential", 1 }, Place{ "threads", 2 }, Place{ "processes", 2 },
                                           Place{ "fork", 2 }),
                         contract::name_of);

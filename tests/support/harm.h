/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * harm.h - what a task may do to its worker, and a call of forty tasks of which one does it.
 */
#ifndef LOOM_TESTS_SUPPORT_HARM_H
#define LOOM_TESTS_SUPPORT_HARM_H

#include <parloom/parloom.h>

#include "support/clean.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <pthread.h>
#include <stdexcept>
#include <unistd.h>

namespace loom
{

constexpr size_t TASKS = 40;

struct Shared {
    std::atomic<int> begins[TASKS];
    std::atomic<int> handler_runs;
    std::atomic<int> strangers; /* tasks that ran in a process that is no worker */
    std::atomic<int> pids[TASKS];
    int how;
    size_t victim;
};

enum How {
    NOTHING,
    NULL_WRITE,
    WILD_WRITE,
    JUMP,
    ABORT,
    DIVIDE,
    ILLEGAL,
    BUS,
    TRAP,
    BADSYS,
    CPU_LIMIT,
    TERMINATED,
    HANGUP,
    EXIT_3,
    EXIT_0,
    QUICK_EXIT_5,
    UNDERSCORE_EXIT_4,
    THREAD_EXIT,
    EXEC,
    OVERFLOWS,
    THROWS,
    JUMPS_OUT,
    FORKS,
    CLOSES_ALL,
    LEAVES_THREAD,
    BLOCKS_SIGNALS
};

/* Far more than a stack; the compiler may not make a loop of it, nor its frames smaller: the index is not known. */
__attribute__((noinline)) inline long sink(volatile char *below, long depth)
{
    volatile char here[4096];
    here[depth & 4095] = below != nullptr ? below[0] : '\0';
    return depth > 1000000 ? here[depth & 4095] : sink(here, depth + 1) + here[depth & 4095];
}

inline void harm(int how)
{
    switch (how) {
    case NULL_WRITE:
        *reinterpret_cast<volatile int *>(8) = 1;
        break; // NOLINT
    case WILD_WRITE:
        *reinterpret_cast<volatile int *>(0x123456789000) = 1;
        break; // NOLINT
    case JUMP:
        reinterpret_cast<void (*)()>(0x1234567000)();
        break; // NOLINT
    case ABORT:
        std::abort();
    case DIVIDE:
        raise(SIGFPE);
        break;
    case ILLEGAL:
        raise(SIGILL);
        break;
    case BUS:
        raise(SIGBUS);
        break;
    case TRAP:
        raise(SIGTRAP);
        break;
    case BADSYS:
        raise(SIGSYS);
        break;
    case CPU_LIMIT:
        raise(SIGXCPU);
        break;
    case TERMINATED:
        raise(SIGTERM);
        break;
    case HANGUP:
        raise(SIGHUP);
        break;
    case EXIT_3:
        std::exit(3);
    case EXIT_0:
        std::exit(0);
    case QUICK_EXIT_5:
        std::quick_exit(5);
    case UNDERSCORE_EXIT_4:
        _exit(4);
    case THREAD_EXIT:
        pthread_exit(nullptr);
    case EXEC:
        execl("/bin/sh", "sh", "-c", "exit 6", nullptr);
        break;
    case OVERFLOWS:
        sink(nullptr, 0);
        break;
    case THROWS:
        throw std::runtime_error("out of a body");
    default:
        break;
    }
}

inline int do_harm(const parloom_task *task, void *const *args)
{
    auto *shared = static_cast<Shared *>(args[0]);
    shared->begins[task->index]++;
    shared->pids[task->index] = static_cast<int>(getpid());
    if (task->index == shared->victim) harm(shared->how);
    return 0;
}

class Crashes : public loom::Clean
{
  protected:
    void SetUp() override
    {
        loom::Clean::SetUp();
        parloom_error failure;
        shared = static_cast<Shared *>(parloom_alloc(sizeof(Shared), &failure));
        ASSERT_NE(shared, nullptr) << failure.message;
        args[0] = parloom_inout(shared, sizeof *shared);
        options.n_jobs = 2;
        options.batch_size = 1;
        options.on_error = PARLOOM_ON_ERROR_GO_ON;
        options.statuses = statuses;
        options.n_statuses = TASKS;
    }
    void TearDown() override
    {
        parloom_free(shared);
        parloom_shutdown(true);
        loom::Clean::TearDown();
    }
    parloom_status call(parloom_body body, size_t n = TASKS)
    {
        for (auto &count : shared->begins) count = 0;
        return parloom_for(n, body, args, 1, &options, &error);
    }
    /* All but the victim are OK, and ran once. */
    void expect_others_delivered(size_t victim)
    {
        for (size_t i = 0; i < TASKS; i++) {
            EXPECT_EQ(shared->begins[i], 1) << "task " << i;
            if (i != victim) {
                EXPECT_EQ(statuses[i], PARLOOM_OK) << "task " << i;
            }
        }
    }
    Shared *shared = nullptr;
    parloom_arg args[1];
    parloom_options options = PARLOOM_OPTIONS_INIT;
    parloom_status statuses[TASKS];
    parloom_error error = {};
};

} // namespace loom

#endif

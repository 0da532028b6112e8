/* SPDX-License-Identifier: BSD-3-Clause */
/* custom.h - a decent backend of threads that notes what it is asked, and a fixture to register it and call. */
#ifndef LOOM_TESTS_CONTRACT_CUSTOM_H
#define LOOM_TESTS_CONTRACT_CUSTOM_H

#include "contract/places.h"

#include <parloom/backend.h>

#include <algorithm>
#include <mutex>
#include <thread>

namespace contract
{

enum { TASKS = 24 };

/* What its operations saw, and how they behave. */
struct mine {
    std::mutex mutex; /* calls in tasks ask as well */
    int workers = 3;
    parloom_status status = PARLOOM_OK;
    const char *fallback = nullptr;
    int asked = -1;
    std::string params, opened;
    int opens = 0, closes = 0, shutdowns = 0, begins = 0, ends = 0, runs = 0;
    bool had_pool = false;

    void note(bool has_pool)
    {
        std::lock_guard<std::mutex> lock(mutex);
        runs++;
        had_pool = has_pool;
    }
};

inline mine &of(void *state)
{
    return *static_cast<mine *>(state);
}

inline parloom_status configure(void *state, int n_jobs, const char *params, int *workers_out,
                                const char **fallback_out, parloom_error *error)
{
    std::lock_guard<std::mutex> lock(of(state).mutex);
    of(state).asked = n_jobs;
    of(state).params = params != nullptr ? params : "";
    if (params != nullptr && strncmp(params, "param=", 6) != 0) return PARLOOM_ERR_INVALID;
    *workers_out = of(state).workers;
    *fallback_out = of(state).fallback;
    if (of(state).status != PARLOOM_OK) strcpy(error->message, "not today");
    return of(state).status;
}

inline parloom_status open_pool(void *state, int workers, const char *params, void **pool_out, parloom_error *)
{
    of(state).opens++;
    of(state).opened = std::to_string(workers) + " " + (params != nullptr ? params : "");
    *pool_out = state;
    return PARLOOM_OK;
}

inline void close_pool(void *state, void *pool)
{
    EXPECT_EQ(pool, state);
    of(state).closes++;
}

/* Threads, one for each worker. */
inline parloom_status run(void *state, void *pool, parloom_backend_run *run, parloom_error *)
{
    std::vector<std::thread> threads;
    of(state).note(pool == state);
    for (int k = 0; k < parloom_backend_workers(run); k++) threads.emplace_back(parloom_backend_work, run, k);
    parloom_backend_wait(run);
    for (std::thread &thread : threads) thread.join();
    return PARLOOM_OK;
}

inline void shut_down(void *state, bool)
{
    of(state).shutdowns++;
}

inline void wait_begin(void *state)
{
    of(state).begins++;
}

inline void wait_end(void *state)
{
    of(state).ends++;
}

inline int square(const parloom_task *task, void *const *args)
{
    static_cast<long *>(args[0])[task->index] = static_cast<long>(task->index * task->index);
    return 0;
}

class Custom : public loom::Clean
{
  protected:
    void SetUp() override
    {
        loom::Clean::SetUp();
        ops.struct_size = sizeof ops;
        ops.abi = PARLOOM_BACKEND_ABI;
        ops.flags = PARLOOM_BACKEND_SHARES_MEMORY;
        ops.configure = configure;
        ops.open = open_pool;
        ops.close = close_pool;
        ops.run = run;
        ops.shutdown = shut_down;
        ops.wait_begin = wait_begin;
        ops.wait_end = wait_end;
    }
    void TearDown() override
    {
        const char *names[16];
        size_t count = parloom_backend_list(names, 16);
        for (size_t k = 4; k < count; k++)
            EXPECT_EQ(parloom_backend_unregister(names[k], &error), PARLOOM_OK) << error.message;
        loom::Clean::TearDown();
    }
    void enlist(const char *name = "mine", bool make_default = false)
    {
        ASSERT_OK(parloom_backend_register(name, &ops, &state, make_default, &error));
    }
    void expect_refused(const char *name, parloom_status status, const char *text)
    {
        EXPECT_EQ(parloom_backend_register(name, &ops, &state, false, &error), status);
        EXPECT_SAYS(text);
    }
    parloom_options naming(const char *name = "mine", int n_jobs = 2)
    {
        parloom_options given = PARLOOM_OPTIONS_INIT;
        given.backend = name;
        given.n_jobs = n_jobs;
        return given;
    }
    parloom_status call(parloom_options given)
    {
        std::fill(out, out + TASKS, -1);
        report = {};
        report.struct_size = sizeof report;
        given.report = &report;
        parloom_arg args[] = { parloom_out(out, sizeof out) };
        parloom_status status = parloom_for(TASKS, square, args, 1, &given, &error);
        for (long k = 0; status == PARLOOM_OK && k < TASKS; k++) EXPECT_EQ(out[k], k * k);
        return status;
    }
    static std::vector<std::string> list()
    {
        const char *names[16];
        return { names, names + parloom_backend_list(names, 16) };
    }

    mine state;
    parloom_backend_ops ops = {};
    parloom_report report;
    parloom_error error = {};
    long out[TASKS];
};

} // namespace contract

#endif

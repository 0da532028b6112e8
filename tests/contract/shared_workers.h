/* SPDX-License-Identifier: BSD-3-Clause */
/* shared_workers.h - calls on the workers that calls without a pool share, and who did them. */
#ifndef LOOM_TESTS_CONTRACT_SHARED_WORKERS_H
#define LOOM_TESTS_CONTRACT_SHARED_WORKERS_H

#include "contract/places.h"
#include "support/waiting.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <functional>
#include <set>
#include <thread>
#include <unistd.h>

namespace contract
{

using Pids = std::set<int>;

inline bool wait_for(const std::function<bool()> &condition)
{
    return loom::comes_true(condition, 40.0);
}

inline bool is_gone(int pid)
{
    return kill(pid, 0) != 0 && errno == ESRCH;
}

/* Each worker has one task: all wait for all. args[0]: pids, args[1]: how many have come. */
inline int meet(const parloom_task *task, void *const *args)
{
    int *come = static_cast<int *>(args[1]), all = static_cast<int>(task->count);
    static_cast<int *>(args[0])[task->index] = static_cast<int>(getpid());
    __atomic_add_fetch(come, 1, __ATOMIC_ACQ_REL);
    return wait_for([&] { return __atomic_load_n(come, __ATOMIC_ACQUIRE) >= all; }) ? 0 : 1;
}

inline int square(const parloom_task *task, void *const *args)
{
    static_cast<long *>(args[0])[task->index] = static_cast<long>(task->index * task->index);
    return 0;
}

class SharedWorkers : public loom::Clean
{
  protected:
    void SetUp() override
    {
        loom::Clean::SetUp();
        given.backend = "processes";
        given.batch_size = 1;
        given.report = &report;
    }
    /* The processes of a call in which each of n_jobs workers has one task. most_lost: deaths it may be the first to
     * notice. */
    Pids meet_all(int n_jobs, int most_lost = 0)
    {
        Shared<int> pids(static_cast<size_t>(n_jobs)), come;
        parloom_arg args[] = { parloom_inout(pids.get(), sizeof(int) * static_cast<size_t>(n_jobs)),
                               parloom_inout(come.get(), sizeof(int)) };
        report = {};
        report.struct_size = sizeof report;
        given.n_jobs = n_jobs;
        EXPECT_OK(parloom_for(static_cast<size_t>(n_jobs), meet, args, 2, &given, &error));
        EXPECT_LE(report.workers_lost, most_lost);
        Pids met(pids.get(), pids.get() + n_jobs);
        EXPECT_EQ(met.size(), static_cast<size_t>(n_jobs));
        return met;
    }
    /* A call of n tasks, which gets all of it right. */
    parloom_status run_squares(size_t n, parloom_options with)
    {
        std::vector<long> squares(n, -1);
        parloom_arg args[] = { out(squares) };
        parloom_error failure = {};
        parloom_status status = parloom_for(n, square, args, 1, &with, &failure);
        for (size_t k = 0; status == PARLOOM_OK && k < n; k++) EXPECT_EQ(squares[k], static_cast<long>(k * k));
        EXPECT_TRUE(status == PARLOOM_OK || status == PARLOOM_ERR_CANCELLED) << failure.message;
        return status;
    }
    static bool holds(const Pids &all, const Pids &some)
    {
        return std::includes(all.begin(), all.end(), some.begin(), some.end());
    }

    parloom_options given = PARLOOM_OPTIONS_INIT;
    parloom_report report = {};
    parloom_error error = {};
};

} // namespace contract

#endif

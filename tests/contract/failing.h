/* SPDX-License-Identifier: BSD-3-Clause */
/* failing.h - calls of TASKS tasks that ask for all that can be told of how they ended. */
#ifndef LOOM_TESTS_CONTRACT_FAILING_H
#define LOOM_TESTS_CONTRACT_FAILING_H

#include "contract/places.h"

#include <algorithm>
#include <csignal>

namespace contract
{

enum { TASKS = 60 };

/* args[0]: who has ended well, args[1]: 1 returns 6, 2 dies. */
inline int announce_and_end_badly(const parloom_task *task, void *const *args)
{
    const int *how = static_cast<const int *>(args[1]);
    for (size_t i = task->begin; i < task->end; i++) {
        parloom_at(task, i);
        if (how[i] == 1) return parloom_fail(task, 6, "at %zu", i);
        if (how[i] == 2) raise(SIGKILL);
        static_cast<char *>(args[0])[i] = 1;
    }
    return 0;
}

class Failing : public Placed
{
  protected:
    Failing() { report.struct_size = sizeof report; }
    parloom_options asking()
    {
        parloom_options given = options();
        statuses.assign(TASKS, PARLOOM_ERR_INTERNAL);
        errors.assign(4, parloom_error());
        for (parloom_error &one : errors) one.code = 99;
        given.statuses = statuses.data();
        given.n_statuses = statuses.size();
        given.errors = errors.data();
        given.n_errors = errors.size();
        given.report = &report;
        return given;
    }
    void expect_conserved()
    {
        EXPECT_EQ(report.ok + report.failed + report.crashed + report.exited + report.timed_out + report.cancelled,
                  report.tasks);
        auto count = [this](parloom_status status) {
            return static_cast<size_t>(std::count(statuses.begin(), statuses.end(), status));
        };
        EXPECT_EQ(report.ok, count(PARLOOM_OK));
        EXPECT_EQ(report.failed, count(PARLOOM_ERR_TASK));
        EXPECT_EQ(report.crashed, count(PARLOOM_ERR_CRASHED));
        EXPECT_EQ(report.exited, count(PARLOOM_ERR_EXITED));
        EXPECT_EQ(report.timed_out, count(PARLOOM_ERR_TIMEOUT));
        EXPECT_EQ(report.cancelled, count(PARLOOM_ERR_CANCELLED));
    }
    parloom_report report = {};
    std::vector<parloom_status> statuses;
    std::vector<parloom_error> errors;
};

} // namespace contract

#endif

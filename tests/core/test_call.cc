// SPDX-License-Identifier: BSD-3-Clause
/*
 * test_call.cc - calls for which there is no memory: the n-th allocation of the program fails, for n = 1, 2, 3, ...
 * Whatever is refused, no task is said to have ended well that did not, and what tasks may not change stays.
 */
#include "base/fault.h"
#include "support/clean.h"

#include <parloom/parloom.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <vector>

namespace
{

enum { TASKS = 50, MOST = 500 /* allocations of a call: a test that needs more has gone wrong */, IN_WORKERS = 60 };

#ifndef PARLOOM_FAULTS

TEST(CallWithoutMemory, NeedsFaultHooks)
{
    GTEST_SKIP() << "built without PARLOOM_FAULTS";
}

#else

/* args: who ran (in shared memory), an element to write, how each ends. */
int run_and_end(const parloom_task *task, void *const *args)
{
    auto *runs = static_cast<int *>(args[0]);
    const auto *codes = static_cast<const int *>(args[2]);
    auto *results = static_cast<int *>(args[1]);
    for (size_t i = task->begin; i < task->end; i++) {
        parloom_at(task, i);
        __atomic_add_fetch(&runs[i], 1, __ATOMIC_RELAXED);
        results[i - task->begin] = 1;
        if (codes[i] != 0) return codes[i];
    }
    return 0;
}

/* Writes where nobody else should see it. */
int write_to_in(const parloom_task *task, void *const *args)
{
    static_cast<unsigned char *>(args[0])[task->index] = 1;
    return 0;
}

class WithoutMemory : public loom::Clean, public ::testing::WithParamInterface<const char *>
{
  protected:
    void SetUp() override
    {
        loom::Clean::SetUp();
        runs = static_cast<int *>(parloom_alloc(TASKS * sizeof(int), nullptr));
        ASSERT_NE(runs, nullptr);
    }
    void TearDown() override
    {
        loom_fault_disarm();
        parloom_free(runs);
        loom::Clean::TearDown();
    }
    static parloom_options options()
    {
        parloom_options made = PARLOOM_OPTIONS_INIT;
        made.backend = GetParam();
        made.n_jobs = 2;
        return made;
    }
    bool is(const char *backend) const { return std::string(GetParam()) == backend; }
    bool is_separate() const { return is("processes") || is("fork"); }

    parloom_options asking()
    {
        parloom_options made = options();
        made.on_error = PARLOOM_ON_ERROR_GO_ON;
        statuses.assign(TASKS, PARLOOM_ERR_INTERNAL);
        made.statuses = statuses.data();
        made.n_statuses = TASKS;
        report = {};
        report.struct_size = sizeof report;
        made.report = &report;
        std::fill(runs, runs + TASKS, 0);
        results.assign(TASKS, -1);
        return made;
    }
    size_t count(parloom_status status) const
    {
        return static_cast<size_t>(std::count(statuses.begin(), statuses.end(), status));
    }
    /* After a call, whatever became of it. */
    void expect_true_account(parloom_status status, const std::vector<int> &codes)
    {
        EXPECT_EQ(count(PARLOOM_OK) + count(PARLOOM_ERR_TASK) + count(PARLOOM_ERR_CANCELLED), size_t{ TASKS });
        EXPECT_EQ(report.tasks, size_t{ TASKS });
        EXPECT_EQ(report.ok + report.failed + report.cancelled, size_t{ TASKS });
        EXPECT_EQ(report.ok, count(PARLOOM_OK));
        EXPECT_EQ(report.failed, count(PARLOOM_ERR_TASK));
        EXPECT_EQ(report.cancelled, count(PARLOOM_ERR_CANCELLED));
        for (size_t k = 0; k < TASKS; k++) {
            if (statuses[k] != PARLOOM_ERR_CANCELLED) {
                EXPECT_GT(runs[k], 0) << k;
                EXPECT_EQ(statuses[k], codes[k] != 0 ? PARLOOM_ERR_TASK : PARLOOM_OK) << k;
            }
            bool is_written = is_separate() ? statuses[k] == PARLOOM_OK : runs[k] > 0;
            EXPECT_EQ(results[k], is_written ? 1 : -1) << k;
        }
        if (status == PARLOOM_OK || status == PARLOOM_ERR_TASK) {
            EXPECT_EQ(report.cancelled, 0u);
        } else {
            EXPECT_EQ(status, PARLOOM_ERR_MEMORY) << error.message;
        }
    }
    /* Calls with one allocation more that succeeds each time, until none fails. Forked workers count for themselves
     * what they allocate beyond what the program had before. */
    void for_each_failure(bool from_then_on, const std::function<void(unsigned nth)> &call)
    {
        unsigned nth = 1;
        for (bool is_hit = true; is_hit && nth < MOST && !HasFailure(); nth++) {
            loom_fault_arm(LOOM_FAULT_MALLOC, nth, ENOMEM, from_then_on);
            call(nth);
            loom_fault_disarm();
            is_hit = loom_fault_hits(LOOM_FAULT_MALLOC) >= nth || (is("fork") && nth < IN_WORKERS);
            if (HasFailure()) ADD_FAILURE() << "allocation " << nth << " failed, from then on: " << from_then_on;
        }
        EXPECT_LT(nth, unsigned{ MOST });
        EXPECT_GT(nth, 2u) << "no allocation was met";
    }
    parloom_error error = {};
    parloom_report report = {};
    int *runs = nullptr;
    std::vector<int> results;
    std::vector<parloom_status> statuses;
};

std::string name_of(const ::testing::TestParamInfo<const char *> &info)
{
    return info.param;
}

class CallWithoutMemory : public WithoutMemory
{
  protected:
    /* Index and range loops in which these tasks fail; the first call is not disturbed. */
    void expect_true_accounts(const std::vector<int> &codes)
    {
        for (bool is_range : { false, true }) {
            auto call = is_range ? parloom_for_range : parloom_for;
            for (bool from_then_on : { false, true }) {
                parloom_arg args[] = { parloom_inout(runs, TASKS * sizeof(int)),
                                       parloom_each(parloom_out(results.data(), TASKS * sizeof(int)), sizeof(int)),
                                       parloom_in(codes.data(), TASKS * sizeof(int)) };
                auto make = [&](unsigned) {
                    parloom_options given = asking();
                    args[1] = parloom_each(parloom_out(results.data(), TASKS * sizeof(int)), sizeof(int));
                    parloom_status status = call(TASKS, run_and_end, args, 3, &given, &error);
                    loom_fault_disarm();
                    expect_true_account(status, codes);
                };
                make(0);
                for_each_failure(from_then_on, make);
                make(0);
                EXPECT_EQ(report.cancelled, 0u) << "the next call works";
            }
        }
    }
};
INSTANTIATE_TEST_SUITE_P(On, CallWithoutMemory, ::testing::Values("sequential", "threads", "processes", "fork"),
                         name_of);

TEST_P(CallWithoutMemory, SaysOfNoTaskThatItEndedWellUnlessItRan)
{
    expect_true_accounts(std::vector<int>(TASKS, 0));
}

/* So many that the account has to grow. */
TEST_P(CallWithoutMemory, SaysOfNoTaskThatItEndedWellUnlessItRanAlsoWhenHalfOfThemFail)
{
    std::vector<int> codes(TASKS, 0);
    for (size_t k = 1; k < TASKS; k += 2) codes[k] = 7;
    expect_true_accounts(codes);
}

TEST_P(CallWithoutMemory, OfAStaticScheduleGivesEachTaskOneStatus)
{
    std::vector<int> codes(TASKS, 0);
    for (size_t k = 1; k < TASKS; k += 2) codes[k] = 7;
    for_each_failure(false, [&](unsigned) {
        parloom_options given = asking();
        given.schedule = PARLOOM_SCHEDULE_STATIC;
        given.batch_size = 3;
        parloom_arg args[] = { parloom_inout(runs, TASKS * sizeof(int)),
                               parloom_each(parloom_out(results.data(), TASKS * sizeof(int)), sizeof(int)),
                               parloom_in(codes.data(), TASKS * sizeof(int)) };
        parloom_status status = parloom_for(TASKS, run_and_end, args, 3, &given, &error);
        loom_fault_disarm();
        expect_true_account(status, codes);
    });
}

/* -------------------------------------------------------------- own views */

/* mmap_mode c where a worker's own view cannot be made: never the caller's bytes instead. */
class OwnViewWithoutMemory : public WithoutMemory
{
  protected:
    void expect_refused_or_done(parloom_status status)
    {
        loom_fault_disarm();
        EXPECT_TRUE(status == PARLOOM_OK || status == PARLOOM_ERR_MEMORY)
            << parloom_status_name(status) << ": " << error.message;
        EXPECT_EQ(report.ok + report.cancelled, size_t{ TASKS });
        EXPECT_EQ(report.ok, count(PARLOOM_OK));
        if (status == PARLOOM_OK) {
            EXPECT_EQ(report.ok, size_t{ TASKS });
        } else {
            EXPECT_NE(error.message[0], '\0');
        }
        n_refused += status != PARLOOM_OK;
        n_views += std::string(error.message).find("mmap_mode c") != std::string::npos;
    }
    int n_refused = 0;
    int n_views = 0; /* refused for that reason */
};
INSTANTIATE_TEST_SUITE_P(On, OwnViewWithoutMemory, ::testing::Values("sequential", "threads", "fork"), name_of);

TEST_P(OwnViewWithoutMemory, RefusesTheCallAndLeavesTheCallersBytes)
{
    for (bool from_then_on : { false, true }) {
        std::vector<unsigned char> data(5000, 0);
        parloom_arg args[] = { parloom_in(data.data(), data.size()) };
        for_each_failure(from_then_on, [&](unsigned) {
            parloom_options given = asking();
            given.mmap_mode = PARLOOM_MMAP_C;
            expect_refused_or_done(parloom_for(TASKS, write_to_in, args, 1, &given, &error));
            EXPECT_EQ(data, std::vector<unsigned char>(data.size(), 0));
        });
        EXPECT_GT(n_refused, 0);
        EXPECT_GT(n_views, 0);
    }
}

TEST_P(OwnViewWithoutMemory, RefusesAListAndLeavesTheCallersBytes)
{
    for (bool from_then_on : { false, true }) {
        std::vector<unsigned char> first(5000, 0), second(100, 0);
        parloom_arg of_first[] = { parloom_in(first.data(), first.size()) };
        parloom_arg of_second[] = { parloom_in(second.data(), second.size()) };
        std::vector<parloom_call> calls;
        for (size_t k = 0; k < TASKS; k++) calls.push_back({ write_to_in, k % 2 == 0 ? of_first : of_second, 1 });
        for_each_failure(from_then_on, [&](unsigned) {
            parloom_options given = asking();
            given.mmap_mode = PARLOOM_MMAP_C;
            expect_refused_or_done(parloom_run(calls.data(), calls.size(), &given, &error));
            EXPECT_EQ(first, std::vector<unsigned char>(first.size(), 0));
            EXPECT_EQ(second, std::vector<unsigned char>(second.size(), 0));
        });
        EXPECT_GT(n_refused, 0);
        EXPECT_GT(n_views, 0);
    }
}

TEST_P(OwnViewWithoutMemory, RefusesEachWithElementsAndArraysToo)
{
    std::vector<unsigned char> elements(TASKS * 100, 0);
    parloom_arg args[] = { parloom_each(parloom_in(elements.data(), elements.size()), 100) };
    for_each_failure(false, [&](unsigned) {
        parloom_options given = asking();
        given.mmap_mode = PARLOOM_MMAP_C;
        given.batch_size = 1;
        expect_refused_or_done(parloom_for(TASKS, write_to_in, args, 1, &given, &error));
        EXPECT_EQ(elements, std::vector<unsigned char>(elements.size(), 0));
    });
    EXPECT_GT(n_views, 0);
}

#endif

} // namespace

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_mixture_contract.cc - calls of random shape keep the promises: conservation, the same bits and the same first
 * error as sequential, one status a task, a death costs what it costs and nothing else. Each seed is a test's worth of
 * calls; a failure names the draw.
 */
#include "tests/contract/mixture.h"
#include "tests/support/clean.h"

#include <map>
#include <ostream>
#include <string>

using namespace loom;

namespace
{

constexpr uint64_t CALLS = 60; /* of one seed, on each backend */

struct Case {
    const char *backend;
    uint64_t seed;
};

void PrintTo(const Case &mixed, std::ostream *stream)
{
    *stream << mixed.backend << ", seed " << mixed.seed;
}

class Mixtures : public Clean, public ::testing::WithParamInterface<Case>
{
};

std::map<parloom_status, size_t> count(const Outcome &outcome)
{
    std::map<parloom_status, size_t> counts;
    for (parloom_status status : outcome.statuses) counts[status]++;
    return counts;
}

void expect_conserved(const Mixture &mixture, const Outcome &outcome)
{
    auto counts = count(outcome);
    EXPECT_EQ(outcome.report.tasks, mixture.n);
    EXPECT_EQ(outcome.report.ok, counts[PARLOOM_OK]);
    EXPECT_EQ(outcome.report.failed, counts[PARLOOM_ERR_TASK]);
    EXPECT_EQ(outcome.report.crashed, counts[PARLOOM_ERR_CRASHED]);
    EXPECT_EQ(outcome.report.exited, counts[PARLOOM_ERR_EXITED]);
    EXPECT_EQ(outcome.report.cancelled, counts[PARLOOM_ERR_CANCELLED]);
    EXPECT_EQ(outcome.report.timed_out, 0U);
    if (mixture.on_error == PARLOOM_ON_ERROR_GO_ON) {
        EXPECT_EQ(counts[PARLOOM_ERR_CANCELLED], 0U);
    }
}

void expect_results(const Mixture &mixture, const Outcome &outcome, bool is_staged)
{
    for (size_t i = 0; i < mixture.n; i++) {
        if (outcome.statuses[i] == PARLOOM_OK) {
            ASSERT_EQ(outcome.out[i], value_of(i)) << "task " << i;
            ASSERT_EQ(outcome.each[i], 2 * value_of(i)) << "task " << i;
            ASSERT_GE(outcome.runs[i], 1) << "task " << i;
        } else if (is_staged) {
            ASSERT_EQ(outcome.each[i], UNTOUCHED_EACH)
                << "the element of task " << i << " is not the caller's any more";
        }
        if (!mixture.is_deadly) {
            ASSERT_LE(outcome.runs[i], 1) << "task " << i << " was run twice";
        }
    }
}

void expect_as_sequential(const Mixture &mixture, const Outcome &outcome)
{
    Outcome reference = run(mixture, "sequential");
    EXPECT_EQ(outcome.status, reference.status);
    if (outcome.status != PARLOOM_OK && reference.status != PARLOOM_OK) {
        EXPECT_EQ(outcome.error.task, reference.error.task);
    }
    bool is_whole = outcome.status == PARLOOM_OK || mixture.on_error == PARLOOM_ON_ERROR_GO_ON;
    if (!is_whole || !mixture.has_exact_failures()) return;
    EXPECT_EQ(outcome.statuses, reference.statuses);
    EXPECT_EQ(outcome.sums[0], reference.sums[0]); /* bit by bit: the blocks are the same */
    EXPECT_EQ(outcome.sums[1], reference.sums[1]);
}

void expect_deaths(const Mixture &mixture, const Outcome &outcome)
{
    auto counts = count(outcome);
    size_t deaths = counts[PARLOOM_ERR_CRASHED] + counts[PARLOOM_ERR_EXITED];
    EXPECT_NE(outcome.status, PARLOOM_OK);
    if (mixture.has_exact_failures()) {
        EXPECT_LE(deaths, 2U);
    }
    bool all_run = mixture.on_error == PARLOOM_ON_ERROR_GO_ON && mixture.fate.fail_modulus == 0;
    if (!all_run) return;
    EXPECT_GE(deaths, 1U);
    EXPECT_EQ(outcome.sums[1], static_cast<double>(outcome.report.ok)); /* each OK task is in the sum, once */
}

TEST_P(Mixtures, OfAnyShapeKeepThePromises)
{
    for (uint64_t k = 0; k < CALLS && !HasFailure(); k++) {
        Mixture mixture(GetParam().seed * CALLS + k);
        bool is_process = std::string(GetParam().backend) == "processes" || std::string(GetParam().backend) == "fork";
        if (mixture.is_deadly && !is_process) continue;
        SCOPED_TRACE(mixture.describe());
        Outcome outcome = run(mixture, GetParam().backend);
        SCOPED_TRACE(outcome.error.message);
        expect_conserved(mixture, outcome);
        bool is_staged = is_process && (mixture.n_jobs > 1 || mixture.is_deadly);
        expect_results(mixture, outcome, is_staged);
        if (mixture.is_deadly)
            expect_deaths(mixture, outcome);
        else
            expect_as_sequential(mixture, outcome);
    }
}

std::vector<Case> cases()
{
    std::vector<Case> all;
    for (const char *backend : { "sequential", "threads", "processes", "fork" })
        for (uint64_t seed = 1; seed <= 4; seed++) all.push_back({ backend, seed });
    return all;
}

INSTANTIATE_TEST_SUITE_P(All, Mixtures, ::testing::ValuesIn(cases()), [](const auto &info) {
    return std::string(info.param.backend) + "_" + std::to_string(info.param.seed);
});

} // namespace

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mixture.h - a call of random shape: size, form, cuts, failures, deaths and options drawn from one seed.
 *
 * The same draw gives the same call, so what sequential says of it is the measure for every other backend.
 */
#ifndef LOOM_TESTS_CONTRACT_MIXTURE_H
#define LOOM_TESTS_CONTRACT_MIXTURE_H

#include <cstddef>
#include <cstdint>
#include <parloom/parloom.h>
#include <string>
#include <vector>

namespace loom
{

/* What the body of a call is told: which tasks fail, and how. -1: none. */
struct Fate {
    int fail_modulus, fail_remainder; /* modulus 0: none fails */
    long crash_at, exit_at;
    bool announces;
};

struct Mixture {
    explicit Mixture(uint64_t seed);

    size_t n;
    bool is_range, is_shared, is_deadly;
    Fate fate;
    int n_jobs;
    size_t batch_size, max_nbytes;
    parloom_schedule schedule;
    parloom_on_error on_error;
    int retries;

    std::string describe() const;
    /* Failures fall on indices, not on whole ranges: then they are the same however the loop was cut. */
    bool has_exact_failures() const { return !is_range || fate.announces; }
};

/* What became of it. */
struct Outcome {
    parloom_status status;
    parloom_error error;
    parloom_report report;
    std::vector<parloom_status> statuses;
    std::vector<double> out, each;
    std::vector<unsigned char> runs; /* how often each task was run to its end, or to its failure */
    double sums[2];                  /* of a reduction: values, and tasks */
};

constexpr double UNTOUCHED_OUT = -1, UNTOUCHED_EACH = -2;
double input_of(size_t task);
double value_of(size_t task); /* what an OK task writes to out; each gets twice that */

Outcome run(const Mixture &mixture, const char *backend);

} // namespace loom

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* mixture.cc - draw a call, run it (see mixture.h). */
#include "tests/contract/mixture.h"

#include <atomic>
#include <csignal>
#include <cstring>
#include <random>
#include <unistd.h>

namespace loom
{

double input_of(size_t task)
{
    return static_cast<double>(task) * 1.25;
}

double value_of(size_t task)
{
    return input_of(task) * 3 + 1;
}

Mixture::Mixture(uint64_t seed)
{
    std::mt19937_64 draw(seed);
    auto below = [&draw](size_t bound) { return static_cast<size_t>(draw() % bound); };
    n = 1 + below(below(2) ? 20 : 5000);
    is_range = below(2);
    is_shared = below(2);
    fate = { 0, 0, -1, -1, !is_range || below(4) != 0 };
    size_t kind = below(6); /* 0, 5: nothing goes wrong */
    if (kind == 1 || kind == 4) fate.fail_modulus = static_cast<int>(2 + below(40));
    if (fate.fail_modulus > 0) fate.fail_remainder = static_cast<int>(below(static_cast<size_t>(fate.fail_modulus)));
    if (kind == 2 || kind == 4) fate.crash_at = static_cast<long>(below(n));
    if (kind == 3 || kind == 4) fate.exit_at = static_cast<long>(below(n));
    is_deadly = fate.crash_at >= 0 || fate.exit_at >= 0;
    n_jobs = static_cast<int>(1 + below(5));
    batch_size = below(3) ? 0 : 1 + below(50);
    max_nbytes = below(3) ? 0 : 1 + below(3000);
    schedule = below(4) ? PARLOOM_SCHEDULE_UNSET : PARLOOM_SCHEDULE_STATIC;
    on_error = below(2) ? PARLOOM_ON_ERROR_GO_ON : PARLOOM_ON_ERROR_STOP;
    retries = is_deadly && below(4) == 0 ? static_cast<int>(1 + below(2)) : 0;
}

std::string Mixture::describe() const
{
    return "n " + std::to_string(n) + (is_range ? " range" : " index") + (fate.announces ? " announced" : "") +
           ", jobs " + std::to_string(n_jobs) + ", batch " + std::to_string(batch_size) + ", schedule " +
           std::to_string(schedule) + ", on_error " + std::to_string(on_error) + ", retries " +
           std::to_string(retries) + ", crash " + std::to_string(fate.crash_at) + ", exit " +
           std::to_string(fate.exit_at) + ", failures mod " + std::to_string(fate.fail_modulus);
}

namespace
{

void add(void *into, const void *from)
{
    double *sums = static_cast<double *>(into);
    const double *more = static_cast<const double *>(from);
    sums[0] += more[0];
    sums[1] += more[1];
}

int body(const parloom_task *task, void *const *args)
{
    const Fate &fate = *static_cast<const Fate *>(args[0]);
    const double *in = static_cast<const double *>(args[1]);
    double *out = static_cast<double *>(args[2]);
    double *each = static_cast<double *>(args[3]);
    double *sums = static_cast<double *>(args[4]);
    unsigned char *runs = static_cast<unsigned char *>(args[5]);
    for (size_t i = task->begin; i < task->end; i++) {
        long index = static_cast<long>(i);
        if (fate.announces) parloom_at(task, i);
        if (index == fate.crash_at) (void)raise(SIGKILL);
        if (index == fate.exit_at) _exit(3);
        runs[i]++;
        out[i] = in[i] * 3 + 1;
        each[i - task->begin] = 2 * out[i];
        if (fate.fail_modulus > 0 && index % fate.fail_modulus == fate.fail_remainder)
            return parloom_fail(task, 7, "task %zu was to fail", i);
        sums[0] += out[i] / 7;
        sums[1] += 1;
    }
    return 0;
}

} // namespace

Outcome run(const Mixture &mixture, const char *backend)
{
    size_t n = mixture.n;
    Outcome outcome{};
    std::vector<double> in(n);
    for (size_t i = 0; i < n; i++) in[i] = input_of(i);
    outcome.statuses.resize(n);
    outcome.each.assign(n, UNTOUCHED_EACH);
    outcome.out.assign(n, UNTOUCHED_OUT);
    outcome.runs.assign(n, 0);
    double *shared = mixture.is_shared ? static_cast<double *>(parloom_alloc(n * sizeof(double), nullptr)) : nullptr;
    if (shared != nullptr) std::memcpy(shared, outcome.out.data(), n * sizeof(double));
    unsigned char *runs = static_cast<unsigned char *>(parloom_alloc(n, nullptr)); /* what the dead did shows too */

    parloom_arg args[] = {
        parloom_in(&mixture.fate, sizeof mixture.fate),
        parloom_in(in.data(), n * sizeof(double)),
        parloom_out(shared != nullptr ? shared : outcome.out.data(), n * sizeof(double)),
        parloom_each(parloom_out(outcome.each.data(), n * sizeof(double)), sizeof(double)),
        parloom_reduce(outcome.sums, sizeof outcome.sums, add),
        parloom_inout(runs, n),
    };
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.backend = backend;
    options.n_jobs = mixture.n_jobs;
    options.batch_size = mixture.batch_size;
    options.max_nbytes = mixture.max_nbytes;
    options.schedule = mixture.schedule;
    options.on_error = mixture.on_error;
    options.retries = mixture.retries;
    options.require = mixture.is_deadly ? PARLOOM_REQUIRE_ISOLATION : PARLOOM_REQUIRE_UNSET;
    options.statuses = outcome.statuses.data();
    options.n_statuses = n;
    outcome.report.struct_size = sizeof outcome.report;
    options.report = &outcome.report;
    auto call = mixture.is_range ? parloom_for_range : parloom_for;
    outcome.status = call(n, body, args, 6, &options, &outcome.error);
    if (shared != nullptr) std::memcpy(outcome.out.data(), shared, n * sizeof(double));
    std::memcpy(outcome.runs.data(), runs, n);
    parloom_free(shared);
    parloom_free(runs);
    return outcome;
}

} // namespace loom

/* SPDX-License-Identifier: BSD-3-Clause */
/* tbb.cc - the same loops with oneTBB's parallel_for: one task handed over at once, and its automatic batches. */
#include <cstdio>
#include <vector>

#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>

#include "body.h"
#include "serve.h"
#include "stopwatch.h"

namespace
{

using Range = tbb::blocked_range<size_t>;

template <class Body> void run(bool automatic, size_t n, Body body)
{
    auto part = [body](const Range &range) {
        for (size_t i = range.begin(); i != range.end(); i++) body(i);
    };
    if (automatic) {
        tbb::parallel_for(Range(0, n), part, tbb::auto_partitioner());
    } else {
        tbb::parallel_for(Range(0, n, 1), part, tbb::simple_partitioner());
    }
}

/* "simple|auto KIND TASKS STEPS THREADS" */
void answer_loop(const char *arguments, FILE *answer)
{
    static std::vector<double> stored;
    char way[16];
    int kind, threads;
    size_t n;
    unsigned long long steps;
    if (std::sscanf(arguments, "%15s %d %zu %llu %d", way, &kind, &n, &steps, &threads) != 5) return;
    tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(threads));
    if (stored.size() < n) stored.resize(n);
    double *out = stored.data();
    bool automatic = way[0] == 'a';
    double start = stopwatch_now_ns();
    switch (kind) {
    case BODY_EMPTY:
        run(automatic, n, [](size_t i) { body_empty(i); });
        break;
    case BODY_STORE:
        run(automatic, n, [out](size_t i) { body_store(i, out); });
        break;
    default:
        run(automatic, n, [steps](size_t) { body_spin(steps); });
    }
    std::fprintf(answer, "%.0f", stopwatch_now_ns() - start);
}

} // namespace

int main()
{
    const serve_job jobs[] = { { "loop", answer_loop } };
    return serve(jobs, 1);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* body.c - see body.h. Nothing here may be inlined into a caller: every side pays the same call. */
#include "body.h"

#include "stopwatch.h"

void body_empty(size_t index)
{
    __asm__ volatile("" : : "r"(index)); /* else the call is known to do nothing and may be dropped */
}

void body_store(size_t index, double *out)
{
    out[index] = (double)index;
}

uint64_t body_spin(uint64_t steps)
{
    uint64_t state = steps;
    for (uint64_t step = 0; step < steps; step++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        __asm__ volatile("" : "+r"(state)); /* keeps the chain: one multiply and one add per step, in order */
    }
    return state;
}

void body_fill(double *row, size_t count, double value)
{
    for (size_t i = 0; i < count; i++) row[i] = value;
}

uint64_t body_touch(const void *data, size_t nbytes)
{
    const volatile unsigned char *bytes = data;
    uint64_t sum = 0;
    for (size_t at = 0; at < nbytes; at += 4096) sum += bytes[at];
    return sum;
}

static double spin_ns(uint64_t steps)
{
    double start = stopwatch_now_ns();
    body_spin(steps);
    return stopwatch_now_ns() - start;
}

uint64_t body_steps_for(double ns)
{
    const uint64_t steps = 2000000;
    double best = spin_ns(steps);
    for (int i = 0; i < 20; i++) {
        double once = spin_ns(steps);
        if (once < best) best = once;
    }
    return (uint64_t)(ns * (double)steps / best);
}

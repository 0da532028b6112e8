/* SPDX-License-Identifier: BSD-3-Clause */
/* rounds.c - see rounds.h. */
#include "rounds.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "stopwatch.h"

enum {
    SPIN_DOWN_NS = 20000000, /* libgomp spins 300 000 pauses = about 8 ms after a region */
    WATCH_NS = 15000000,
};

static double busy_ticks, all_ticks; /* of all CPUs, seen in the quiet moments */

struct ticks {
    double busy, all;
};

static struct ticks read_ticks(void)
{
    struct ticks ticks = { 0, 0 };
    unsigned long long field[8] = { 0 };
    FILE *file = fopen("/proc/stat", "re");
    if (!file) return ticks;
    /* user nice system idle iowait irq softirq steal */
    int found = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &field[0], &field[1], &field[2], &field[3],
                       &field[4], &field[5], &field[6], &field[7]);
    fclose(file);
    for (int i = 0; i < found; i++) {
        ticks.all += (double)field[i];
        if (i != 3 && i != 4) ticks.busy += (double)field[i];
    }
    return ticks;
}

static void leave_the_machine_alone(void)
{
    stopwatch_sleep_ns(SPIN_DOWN_NS);
    struct ticks before = read_ticks();
    stopwatch_sleep_ns(WATCH_NS);
    struct ticks after = read_ticks();
    busy_ticks += after.busy - before.busy;
    all_ticks += after.all - before.all;
}

int rounds_taken(const struct rounds_side *side, int n_rounds)
{
    return side->most > 0 && side->most < n_rounds ? side->most : n_rounds;
}

static bool has_turn(const struct rounds_side *side, int round, int n_rounds)
{
    return round < rounds_taken(side, n_rounds) && (round >= 0 || side->most == 0);
}

void rounds_run(struct rounds_side *sides, size_t n_sides, int n_rounds)
{
    for (int round = -1; round < n_rounds; round++) {
        for (size_t i = 0; i < n_sides; i++) {
            if (!has_turn(&sides[i], round, n_rounds)) continue;
            /* A side that failed once is not asked again: what is missing is said once, and costs no time. */
            if (round >= 0 && isnan(sides[i].samples[round > 0 ? round - 1 : 0])) {
                sides[i].samples[round] = ROUNDS_UNKNOWN;
                continue;
            }
            leave_the_machine_alone();
            sides[i].samples[round < 0 ? 0 : round] = sides[i].take(sides[i].how);
        }
        fputc('.', stderr);
    }
    fputc('\n', stderr);
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double quantile(const struct rounds_side *side, int n_rounds, double part)
{
    double sorted[ROUNDS_MAX];
    n_rounds = rounds_taken(side, n_rounds);
    for (int i = 0; i < n_rounds; i++) {
        if (isnan(side->samples[i])) return ROUNDS_UNKNOWN;
        sorted[i] = side->samples[i];
    }
    qsort(sorted, (size_t)n_rounds, sizeof sorted[0], compare);
    double at = part * (n_rounds - 1);
    int low = (int)floor(at), high = (int)ceil(at);
    return (sorted[low] + sorted[high]) / 2;
}

double rounds_median(const struct rounds_side *side, int n_rounds)
{
    return quantile(side, n_rounds, 0.5);
}

double rounds_lowest(const struct rounds_side *side, int n_rounds)
{
    return quantile(side, n_rounds, 0);
}

double rounds_highest(const struct rounds_side *side, int n_rounds)
{
    return quantile(side, n_rounds, 1);
}

double rounds_others_percent(void)
{
    return all_ticks > 0 ? 100 * busy_ticks / all_ticks : 0;
}

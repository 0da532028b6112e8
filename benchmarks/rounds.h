/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rounds.h - several sides take turns: A B C, A B C, ... in one run, so that what the machine does meanwhile (clock
 * speed, neighbours, free memory) meets all of them alike; ratios of medians are then worth more than the figures.
 *
 * The first round is dropped (not of sides that take few turns). Before each turn the machine is left alone for a
 * moment, because the threads of an OpenMP runtime spin on for some milliseconds after a region and would disturb
 * whoever comes next; in that moment is also watched how much of the CPUs others use.
 */
#ifndef BENCHMARKS_ROUNDS_H
#define BENCHMARKS_ROUNDS_H

#include <math.h>
#include <stddef.h>

#define ROUNDS_UNKNOWN ((double)NAN) /* what could not be measured */
enum { ROUNDS_MAX = 99 };

struct rounds_side {
    const char *name;
    double (*take)(const void *how); /* one turn; what it took, ROUNDS_UNKNOWN if it could not be measured */
    const void *how;
    int most;                   /* turns: a side of seconds takes fewer, and none to warm up; 0: as many as all */
    double samples[ROUNDS_MAX]; /* set by rounds_run */
};

void rounds_run(struct rounds_side *sides, size_t n_sides, int n_rounds);
/* How many samples a side has. */
int rounds_taken(const struct rounds_side *side, int n_rounds);
double rounds_median(const struct rounds_side *side, int n_rounds); /* ROUNDS_UNKNOWN if any turn failed */
double rounds_lowest(const struct rounds_side *side, int n_rounds);
double rounds_highest(const struct rounds_side *side, int n_rounds);

/* Part of the machine's CPU time, in percent, that was used while all sides were quiet. */
double rounds_others_percent(void);

#endif

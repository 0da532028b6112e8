/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ledger.h - where figures go: every sample to a CSV file, medians to stdout, and, for what has a goal, a row for the
 * one table that make bench prints.
 */
#ifndef BENCHMARKS_LEDGER_H
#define BENCHMARKS_LEDGER_H

#include "flags.h"
#include "rounds.h"

/* Prints the question and opens the files that flags name. */
void ledger_open(const char *benchmark, const char *question, const struct flags *flags);
void ledger_close(void);

/* Lets the sides take turns and writes what they took. unit: "ns/task". */
void ledger_measure(const char *quantity, const char *unit, struct rounds_side *sides, size_t n_sides);
/* Median of the side of that name; ROUNDS_UNKNOWN if there is none. */
double ledger_median(const struct rounds_side *sides, size_t n_sides, const char *name);

enum ledger_goal { LEDGER_AT_MOST, LEDGER_AT_LEAST };

/* A row of the table: ours and peer are in unit; ratio is what the goal speaks of. peer ROUNDS_UNKNOWN: there is none.
 */
struct ledger_row {
    const char *what;
    double ours, peer;
    const char *unit;
    double ratio;
    enum ledger_goal sense;
    double goal; /* ROUNDS_UNKNOWN: only to be known */
};
void ledger_write_row(const struct ledger_row *row);

/* The two usual ones: ours takes at most goal times the peer's time; ours is at least goal times faster. */
void ledger_at_most(const char *what, const char *unit, double ours, double peer, double goal);
void ledger_times_faster(const char *what, const char *unit, double ours, double peer, double goal);
/* Of so many workers, each as fast as the serial peer: 1 is all of them. Times are of a task. */
void ledger_efficiency(const char *what, const char *unit, double ours, double serial, int workers, double goal);

#endif

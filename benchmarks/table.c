/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * table.c - what does it cost that tasks read a table of the program's private memory?
 *
 * A million tasks of 1 us, each of which looks up one of a million entries of 40 bytes: the known case of a pool whose
 * function was bound to a cache of integers as bit arrays, and pickled it for each chunk. The table is copied to where
 * worker processes see it in each call, and that is counted. Peers: the plain loop; multiprocessing.Pool.map with the
 * cache as a dict, beside the same loop in Python; joblib with the table as an array, which it maps, and a tenth of the
 * tasks. Those of Python take one turn: they need seconds. All figures are ns of wall time per task.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "body.h"
#include "call.h"
#include "flags.h"
#include "ledger.h"
#include "peer.h"
#include "rounds.h"
#include "stopwatch.h"

enum { ENTRIES = 1 << 20, BITS = 40, TASKS = 1000000, JOBLIB_TASKS = 100000, SCATTER = 7919 };
#define TASK_NS         1000.0
#define GOAL_EFFICIENCY 0.8

struct entry {
    uint8_t bits[BITS];
};

static struct {
    int jobs;
    uint64_t steps;      /* of body_spin in a task */
    struct entry *table; /* private: malloc */
    uint8_t *ones;       /* shared: bits that are set in the entry of each task */
    struct peer *python;
} now;

static uint8_t look_up(const struct entry *table, size_t index)
{
    const struct entry *entry = &table[index * SCATTER % ENTRIES];
    uint8_t ones = 0;
    for (int bit = 0; bit < BITS; bit++) ones = (uint8_t)(ones + entry->bits[bit]);
    return ones;
}

static int run_look_up(const parloom_task *task, void *const *args)
{
    const uint64_t *steps = args[1];
    uint8_t *ones = args[2];
    body_spin(*steps);
    ones[task->index] = look_up(args[0], task->index);
    return 0;
}

static double check(double ns)
{
    for (size_t i = 0; i < TASKS; i++)
        if (now.ones[i] != (uint8_t)__builtin_popcountll(i * SCATTER % ENTRIES)) return ROUNDS_UNKNOWN;
    return ns / TASKS;
}

static double take_serial(const void *given)
{
    (void)given;
    double start = stopwatch_now_ns();
    for (size_t i = 0; i < TASKS; i++) {
        body_spin(now.steps);
        now.ones[i] = look_up(now.table, i);
    }
    return check(stopwatch_now_ns() - start);
}

static double take_parloom(const void *given)
{
    const char *backend = given;
    parloom_arg args[] = { parloom_in(now.table, ENTRIES * sizeof *now.table), parloom_in(&now.steps, sizeof now.steps),
                           parloom_out(now.ones, TASKS) };
    return check(call_ns(TASKS, run_look_up, args, 3, PARLOOM_OPTIONS(.n_jobs = now.jobs, .backend = backend)));
}

struct python {
    const char *way;
    int tasks;
};

static double take_python(const void *given)
{
    const struct python *python = given;
    return peer_ask(now.python, "%s %d %d %llu %d", python->way, (int)ENTRIES, python->tasks,
                    (unsigned long long)now.steps, now.jobs) /
           python->tasks;
}

static void measure(void)
{
    static const struct python serially = { "table_serial", TASKS }, pool = { "table_pool", TASKS },
                               with_joblib = { "table_joblib", JOBLIB_TASKS };
    static struct rounds_side sides[] = {
        { "serial", take_serial, NULL, 0, { 0 } },           { "processes", take_parloom, "processes", 0, { 0 } },
        { "threads", take_parloom, "threads", 0, { 0 } },    { "Python, serial", take_python, &serially, 1, { 0 } },
        { "multiprocessing", take_python, &pool, 1, { 0 } }, { "joblib auto", take_python, &with_joblib, 1, { 0 } },
    };
    enum { SIDES = sizeof sides / sizeof sides[0] };
    ledger_measure("table", "ns/task", sides, SIDES);
    double serial = ledger_median(sides, SIDES, "serial"), python = ledger_median(sides, SIDES, "Python, serial");
    ledger_efficiency("40 MB table: efficiency of processes, transfer included (peer: serial)", "ns",
                      ledger_median(sides, SIDES, "processes"), serial, now.jobs, GOAL_EFFICIENCY);
    ledger_efficiency("40 MB table: efficiency of threads (peer: serial)", "ns", ledger_median(sides, SIDES, "threads"),
                      serial, now.jobs, ROUNDS_UNKNOWN);
    ledger_efficiency("40 MB table: efficiency of multiprocessing (peer: Python, serial)", "ns",
                      ledger_median(sides, SIDES, "multiprocessing"), python, now.jobs, ROUNDS_UNKNOWN);
    ledger_efficiency("40 MB table: efficiency of joblib (peer: Python, serial)", "ns",
                      ledger_median(sides, SIDES, "joblib auto"), python, now.jobs, ROUNDS_UNKNOWN);
}

static bool make_table(void)
{
    now.table = malloc(ENTRIES * sizeof *now.table);
    now.ones = parloom_alloc(TASKS, NULL);
    if (!now.table || !now.ones) return false;
    for (size_t i = 0; i < ENTRIES; i++)
        for (int bit = 0; bit < BITS; bit++) now.table[i].bits[bit] = (uint8_t)(i >> bit & 1);
    return true;
}

int main(int argc, char **argv)
{
    struct flags flags = flags_parse(argc, argv);
    ledger_open("table", "what does it cost that tasks read a table of the program's private memory?", &flags);
    now.jobs = flags.jobs;
    now.steps = body_steps_for(TASK_NS);
    if (!make_table()) return 1;
    now.python = peer_start_python("joblib_peer.py");
    measure();
    peer_stop(now.python);
    parloom_free(now.ones);
    free(now.table);
    ledger_close();
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dispatch.c - what does it cost to hand one task to a worker?
 *
 * Five bodies: nothing, one double stored, and arithmetic for 1, 10 and 100 us. Each is run by every backend with one
 * task handed over at once and with automatic batches; by OpenMP (libgomp) loops written by hand; by oneTBB; by
 * joblib; and, for the empty one, by a message and its reply through two pipes. The bodies are the same machine code
 * (body.c). All figures are ns of wall time per task; "serial" is the plain loop.
 */
#include <stdio.h>
#include <string.h>

#include "body.h"
#include "call.h"
#include "flags.h"
#include "ledger.h"
#include "peer.h"
#include "rounds.h"
#include "stopwatch.h"

static const struct work {
    const char *name;
    enum body_kind kind;
    double ns;    /* of arithmetic in a task */
    size_t tasks; /* so many that a round takes tens of milliseconds */
    double goal_efficiency;
} works[] = {
    { "empty", BODY_EMPTY, 0, 1000000, 0 },  { "store", BODY_STORE, 0, 1000000, 0 },
    { "1us", BODY_SPIN, 1e3, 100000, 0.85 }, { "10us", BODY_SPIN, 1e4, 20000, 0.95 },
    { "100us", BODY_SPIN, 1e5, 2000, 0.97 },
};

static struct {
    struct peer *openmp, *tbb, *pipe, *joblib;
} peers;

/* How one side does the work at hand. */
struct how {
    const char *name;
    struct peer *const
        *peer; /* asked for "loop <way> ..."; NULL: parloom, or the plain loop when backend is NULL too */
    const char *way;
    const char *backend;
    size_t batch_size;    /* 0: auto */
    size_t tasks_at_most; /* a side that needs microseconds for each is asked for fewer; 0: all */
    bool is_empty_only;
};

static struct {
    int jobs;
    const struct work *work;
    uint64_t steps; /* of body_spin in a task */
    double *stored; /* shared: works[].tasks doubles */
} now;

/* One opaque call per task, as in the loops of the peers: so these two do their work here, not in body.c. */
static int run_empty(const parloom_task *task, void *const *args)
{
    (void)task;
    (void)args;
    return 0;
}

static int run_store(const parloom_task *task, void *const *args)
{
    double *stored = args[0];
    stored[task->index] = (double)task->index;
    return 0;
}

static int run_spin(const parloom_task *task, void *const *args)
{
    (void)task;
    const uint64_t *steps = args[0];
    body_spin(*steps);
    return 0;
}

static double take_parloom(const void *given)
{
    const struct how *how = given;
    const parloom_body body[] = { run_empty, run_store, run_spin };
    enum body_kind kind = now.work->kind;
    parloom_arg args[] = { kind == BODY_STORE ? parloom_out(now.stored, now.work->tasks * sizeof *now.stored)
                                              : parloom_in(&now.steps, sizeof now.steps) };
    const parloom_options *options =
        PARLOOM_OPTIONS(.n_jobs = now.jobs, .backend = how->backend, .batch_size = how->batch_size);
    bool has_workers = strcmp(how->backend, "threads") == 0 || strcmp(how->backend, "processes") == 0;
    if (has_workers) /* wakes them, as the OpenMP sides do */
        (void)parloom_for((size_t)now.jobs, run_empty, NULL, 0, options, NULL);
    return call_ns(now.work->tasks, body[kind], args, kind == BODY_EMPTY ? 0 : 1, options) / (double)now.work->tasks;
}

static double take_serial(const void *given)
{
    (void)given;
    double start = stopwatch_now_ns();
    for (size_t i = 0; i < now.work->tasks; i++) {
        switch (now.work->kind) {
        case BODY_EMPTY:
            body_empty(i);
            break;
        case BODY_STORE:
            body_store(i, now.stored);
            break;
        case BODY_SPIN:
            body_spin(now.steps);
            break;
        }
    }
    return (stopwatch_now_ns() - start) / (double)now.work->tasks;
}

static double take_peer(const void *given)
{
    const struct how *how = given;
    size_t tasks = now.work->tasks;
    if (how->tasks_at_most && how->tasks_at_most < tasks) tasks = how->tasks_at_most;
    double ns = peer_ask(*how->peer, "loop %s %d %zu %llu %d", how->way, (int)now.work->kind, tasks,
                         (unsigned long long)now.steps, now.jobs);
    return ns / (double)tasks;
}

static void write_dispatch_goals(const struct rounds_side *sides, size_t n_sides)
{
    const struct goal {
        const char *what, *ours, *peer;
        double limit;
    } goals[] = {
        { "processes, chunk 1 / libgomp dynamic,1", "processes chunk 1", "openmp dynamic", 1.5 },
        { "processes, chunk 1 / the same, same body", "processes chunk 1", "openmp dynamic, same body", 1.5 },
        { "processes, auto / libgomp guided", "processes auto", "openmp guided", 3 },
        { "processes, auto / the same, same body", "processes auto", "openmp guided, same body", 3 },
        { "threads, auto / libgomp guided", "threads auto", "openmp guided", 1.1 },
        { "threads, auto / the same, same body", "threads auto", "openmp guided, same body", 1.1 },
    };
    /* Empty and storing tasks are the dispatch itself; from 1 us on, chunk 1 is judged by its efficiency. */
    for (size_t i = now.work->kind == BODY_SPIN ? 4 : 0; i < sizeof goals / sizeof goals[0]; i++) {
        char what[96];
        snprintf(what, sizeof what, "%s tasks: %s", now.work->name, goals[i].what);
        ledger_at_most(what, "ns", ledger_median(sides, n_sides, goals[i].ours),
                       ledger_median(sides, n_sides, goals[i].peer), goals[i].limit);
    }
}

static void write_efficiency(const struct rounds_side *sides, size_t n_sides, const char *side, double goal)
{
    char what[96];
    double serial = ledger_median(sides, n_sides, "serial"), ours = ledger_median(sides, n_sides, side);
    snprintf(what, sizeof what, "%s tasks: efficiency of %s (peer: serial)", now.work->name, side);
    ledger_efficiency(what, "ns", ours, serial, now.jobs, goal);
}

static void write_goals(const struct rounds_side *sides, size_t n_sides)
{
    write_dispatch_goals(sides, n_sides);
    if (now.work->kind != BODY_SPIN) return;
    write_efficiency(sides, n_sides, "processes chunk 1", now.work->goal_efficiency);
    write_efficiency(sides, n_sides, "processes auto", ROUNDS_UNKNOWN);
    write_efficiency(sides, n_sides, "openmp dynamic", ROUNDS_UNKNOWN); /* what was to be had in this run */
}

static void measure(void)
{
    static const struct how serial, hows[] = {
        { "processes chunk 1", .backend = "processes", .batch_size = 1 },
        { "openmp dynamic", .peer = &peers.openmp, .way = "dynamic direct" },
        { "processes auto", .backend = "processes" },
        { "openmp guided", .peer = &peers.openmp, .way = "guided direct" },
        { "threads auto", .backend = "threads" },
        { "openmp guided, same body", .peer = &peers.openmp, .way = "guided body" },
        { "openmp dynamic, same body", .peer = &peers.openmp, .way = "dynamic body" },
        { "threads chunk 1", .backend = "threads", .batch_size = 1 },
        { "openmp static", .peer = &peers.openmp, .way = "static direct" },
        { "fork chunk 1", .backend = "fork", .batch_size = 1 },
        { "tbb simple", .peer = &peers.tbb, .way = "simple" },
        { "fork auto", .backend = "fork" },
        { "tbb auto", .peer = &peers.tbb, .way = "auto" },
        { "sequential chunk 1", .backend = "sequential", .batch_size = 1 },
        { "joblib auto", .peer = &peers.joblib, .way = "auto", .tasks_at_most = 50000 },
        { "sequential auto", .backend = "sequential" },
        { "joblib batch 1", .peer = &peers.joblib, .way = "1", .tasks_at_most = 2000 },
        { "pipe round trip", .peer = &peers.pipe, .way = "pipe", .tasks_at_most = 50000, .is_empty_only = true },
    };
    static struct rounds_side sides[1 + sizeof hows / sizeof hows[0]];
    size_t n_sides = 0;
    sides[n_sides++] = (struct rounds_side){ .name = "serial", .take = take_serial, .how = &serial };
    for (size_t i = 0; i < sizeof hows / sizeof hows[0]; i++) {
        if (hows[i].is_empty_only && now.work->kind != BODY_EMPTY) continue;
        sides[n_sides++] = (struct rounds_side){ .name = hows[i].name,
                                                 .take = hows[i].backend ? take_parloom : take_peer,
                                                 .how = &hows[i] };
    }
    ledger_measure(now.work->name, "ns/task", sides, n_sides);
    write_goals(sides, n_sides);
}

int main(int argc, char **argv)
{
    struct flags flags = flags_parse(argc, argv);
    ledger_open("dispatch", "what does it cost to hand one task to a worker?", &flags);
    now.jobs = flags.jobs;
    now.stored = parloom_alloc(works[BODY_STORE].tasks * sizeof *now.stored, NULL);
    if (!now.stored) return 1;
    peers.openmp = peer_start("peer_openmp");
    peers.tbb = peer_start("peer_tbb");
    peers.pipe = peer_start("peer_pipe");
    peers.joblib = peer_start_python("joblib_peer.py");
    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) {
        if (!flags_want(&flags, works[i].name)) continue;
        now.work = &works[i];
        now.steps = now.work->ns > 0 ? body_steps_for(now.work->ns) : 0;
        measure();
    }
    peer_stop(peers.joblib);
    peer_stop(peers.pipe);
    peer_stop(peers.tbb);
    peer_stop(peers.openmp);
    parloom_free(now.stored);
    ledger_close();
    return 0;
}

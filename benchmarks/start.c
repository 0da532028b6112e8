/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * start.c - how long until two workers have answered: the first time ever, and when they are there already?
 *
 * "First" is the first call of a fresh process, which has no worker yet; small, or with 4 GiB of touched private memory
 * (fork from such a program copies its page tables). "Warm" is one of many empty calls in a row; "rested" one after 2
 * ms without work, when the workers sleep. Every call has one task for each worker, given to it by the static schedule:
 * so all of them have to answer; and the first call checks that they did.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "flags.h"
#include "footprint.h"
#include "ledger.h"
#include "peer.h"
#include "rounds.h"
#include "serve.h"
#include "stopwatch.h"

enum { JOBS_MAX = 1024, WARM_CALLS = 2000, SLOW_CALLS = 50, RESTED_CALLS = 100, REGIONS = 20000 };

struct how {
    struct peer *peer;    /* that answers; NULL: this process */
    const char *question; /* up to the number of jobs; to a fresh process in the group "first" */
    const char *script;   /* of that fresh process, when it is Python */
    size_t resident;      /* bytes of private memory of that process */
    const char *backend;
    parloom_schedule schedule;
    int calls;
};

static int jobs;

static int answer_pid(const parloom_task *task, void *const *args)
{
    (void)task;
    pid_t *pid = args[0];
    *pid = getpid();
    return 0;
}

static int answer_nothing(const parloom_task *task, void *const *args)
{
    (void)task;
    (void)args;
    return 0;
}

/* ---- in a fresh process */

static bool all_differ(const pid_t *pids, int count)
{
    for (int i = 0; i < count; i++) {
        if (pids[i] == getpid()) return false;
        for (int k = 0; k < i; k++) {
            if (pids[i] == pids[k]) return false;
        }
    }
    return true;
}

/* "RESIDENT JOBS": ns of the first call of this process. */
static void serve_first(const char *arguments, FILE *answer)
{
    size_t resident;
    int workers;
    static pid_t pids[JOBS_MAX];
    if (sscanf(arguments, "%zu %d", &resident, &workers) != 2) return;
    if (resident > 0 && !footprint_take(resident)) return;
    parloom_arg args[] = { parloom_each(parloom_out(pids, (size_t)workers * sizeof pids[0]), sizeof pids[0]) };
    double ns = call_ns((size_t)workers, answer_pid, args, 1,
                        PARLOOM_OPTIONS(.n_jobs = workers, .backend = "processes", .batch_size = 1,
                                        .schedule = PARLOOM_SCHEDULE_STATIC));
    if (all_differ(pids, workers)) {
        fprintf(answer, "%.0f", ns);
    } else {
        fputs("not every worker answered", answer);
    }
}

static double warm_ns(int calls, int workers, const char *backend, parloom_schedule schedule)
{
    const parloom_options *options =
        PARLOOM_OPTIONS(.n_jobs = workers, .backend = backend, .batch_size = 1, .schedule = schedule);
    if (isnan(call_ns((size_t)workers, answer_nothing, NULL, 0, options))) return ROUNDS_UNKNOWN;
    double start = stopwatch_now_ns();
    for (int i = 0; i < calls; i++) {
        if (parloom_for((size_t)workers, answer_nothing, NULL, 0, options, NULL) != PARLOOM_OK) return ROUNDS_UNKNOWN;
    }
    return (stopwatch_now_ns() - start) / calls;
}

/* "RESIDENT JOBS": ns of a warm call of this process. */
static void serve_warm(const char *arguments, FILE *answer)
{
    static void *memory;
    size_t resident;
    int workers;
    if (sscanf(arguments, "%zu %d", &resident, &workers) != 2) return;
    if (resident > 0 && !memory) memory = footprint_take(resident);
    fprintf(answer, "%.1f", warm_ns(WARM_CALLS, workers, "processes", PARLOOM_SCHEDULE_STATIC));
}

/* ---- the sides */

static double take_first(const void *given)
{
    const struct how *how = given;
    struct peer *fresh = how->script ? peer_start_python(how->script) : peer_start("bench_start");
    double ns = how->script ? peer_ask(fresh, "first %d", jobs) : peer_ask(fresh, "first %zu %d", how->resident, jobs);
    peer_stop(fresh);
    return ns;
}

static double take_warm(const void *given)
{
    const struct how *how = given;
    if (how->peer && how->resident) return peer_ask(how->peer, "warm %zu %d", how->resident, jobs);
    if (how->peer) return peer_ask(how->peer, "%s %d %d", how->question, how->calls, jobs);
    return warm_ns(how->calls, jobs, how->backend, how->schedule);
}

static double take_rested(const void *given)
{
    const struct how *how = given;
    double sum = 0;
    for (int i = 0; i < RESTED_CALLS; i++) {
        stopwatch_sleep_ns(2000000);
        sum += call_ns(
            (size_t)jobs, answer_nothing, NULL, 0,
            PARLOOM_OPTIONS(.n_jobs = jobs, .backend = how->backend, .batch_size = 1, .schedule = how->schedule));
    }
    return sum / RESTED_CALLS;
}

static void measure_first(const struct flags *flags)
{
    const struct how small = { 0 }, large = { .resident = flags->resident }, loky = { .script = "joblib_peer.py" };
    static struct rounds_side sides[3];
    sides[0] = (struct rounds_side){ "parloom, small program", take_first, &small, 0, { 0 } };
    sides[1] = (struct rounds_side){ "parloom, large program", take_first, &large, 0, { 0 } };
    sides[2] = (struct rounds_side){ "loky (joblib), import not counted", take_first, &loky, 0, { 0 } };
    ledger_measure("first call", "ns", sides, 3);
    double ours = ledger_median(sides, 3, sides[1].name), theirs = ledger_median(sides, 3, sides[2].name);
    char what[96];
    snprintf(what, sizeof what, "first call ever, %d workers, %.1f GiB parent, ms (peer: the goal)", jobs,
             (double)flags->resident / (1 << 30));
    ledger_at_most(what, "ms", ours / 1e6, 5, 1);
    ledger_times_faster("  the same / loky's first call", "ms", ours / 1e6, theirs / 1e6, 40);
    ledger_times_faster("  from a small program / loky's first call", "ms",
                        ledger_median(sides, 3, sides[0].name) / 1e6, theirs / 1e6, ROUNDS_UNKNOWN);
}

static void measure_warm(const struct flags *flags)
{
    struct peer *large = peer_start("bench_start"), *openmp = peer_start("peer_openmp");
    struct peer *joblib = peer_start_python("joblib_peer.py");
    const struct how hows[] = {
        { .backend = "processes", .schedule = PARLOOM_SCHEDULE_STATIC, .calls = WARM_CALLS },
        { .peer = openmp, .question = "region", .calls = REGIONS },
        { .peer = joblib, .question = "warm", .calls = SLOW_CALLS },
        { .peer = large, .resident = flags->resident ? flags->resident : 1 },
        { .backend = "processes", .calls = WARM_CALLS },
        { .backend = "threads", .schedule = PARLOOM_SCHEDULE_STATIC, .calls = WARM_CALLS },
        { .backend = "fork", .schedule = PARLOOM_SCHEDULE_STATIC, .calls = SLOW_CALLS },
        { .backend = "processes", .schedule = PARLOOM_SCHEDULE_STATIC },
    };
    static const char *const names[] = {
        "processes",
        "openmp region",
        "joblib",
        "processes, large program",
        "processes, whoever is free",
        "threads",
        "fork",
        "processes, rested 2 ms",
    };
    enum { SIDES = sizeof names / sizeof names[0] };
    static struct rounds_side sides[SIDES];
    for (size_t i = 0; i < SIDES; i++) {
        sides[i] = (struct rounds_side){ names[i], i + 1 < SIDES ? take_warm : take_rested, &hows[i], 0, { 0 } };
    }
    ledger_measure("warm call", "ns", sides, SIDES);
    double ours = ledger_median(sides, SIDES, "processes");
    ledger_at_most("warm empty call to 2 processes / libgomp region", "ns", ours,
                   ledger_median(sides, SIDES, "openmp region"), 20);
    ledger_times_faster("warm empty call to 2 processes / joblib's", "ns", ours, ledger_median(sides, SIDES, "joblib"),
                        60);
    peer_stop(joblib);
    peer_stop(openmp);
    peer_stop(large);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--serve") == 0) {
        const struct serve_job served[] = { { "first", serve_first }, { "warm", serve_warm } };
        return serve(served, sizeof served / sizeof served[0]);
    }
    struct flags flags = flags_parse(argc, argv);
    jobs = flags.jobs;
    ledger_open("start", "how long until two workers have answered: the first time ever, and when they are there?",
                &flags);
    if (flags_want(&flags, "first")) measure_first(&flags);
    if (flags_want(&flags, "warm")) measure_warm(&flags);
    ledger_close();
    return 0;
}

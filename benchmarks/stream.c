/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream.c - what does a call cost that has an argument of its own: in a list, and from a source that is asked?
 *
 * 100 000 calls of one function, each with 64 bytes that only it has. parloom_run is given all at once. A stream asks
 * for them one by one, as many ahead as it takes by itself (pre_dispatch unset), and hands out a result of 8 bytes for
 * each. Peers: a message of 64 bytes and its reply through two pipes, in C; joblib with automatic batches, whose calls
 * come from a generator. The arguments are made before the clock starts. All figures are ns of wall time per call.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flags.h"
#include "ledger.h"
#include "peer.h"
#include "rounds.h"
#include "stopwatch.h"

#include <parloom/parloom.h>

enum { CALLS = 100000, PIPE_CALLS = 50000, ARGUMENT_WORDS = 8 };

struct argument {
    uint64_t words[ARGUMENT_WORDS];
};

static struct {
    int jobs;
    struct argument *arguments;
    parloom_arg *args;
    parloom_call *calls;
    struct peer *pipe, *joblib;
} now;

struct how {
    const char *backend;
    bool is_ordered;
};

/* The last word is made of the others: a call that was given those of another one fails. */
static uint64_t sum_of(const struct argument *argument)
{
    uint64_t sum = 0;
    for (int k = 0; k < ARGUMENT_WORDS - 1; k++) sum += argument->words[k];
    return sum;
}

static int check(const parloom_task *task, void *const *args)
{
    const struct argument *argument = args[0];
    return argument->words[0] != task->index || argument->words[ARGUMENT_WORDS - 1] != sum_of(argument);
}

static int check_and_return(const parloom_task *task, void *const *args)
{
    const struct argument *argument = args[0];
    if (parloom_return(task, &argument->words[ARGUMENT_WORDS - 1], sizeof argument->words[0]) != 0) return 1;
    return check(task, args);
}

static int give(void *state, parloom_call *call_out)
{
    size_t *next = state;
    if (*next == CALLS) return 0;
    *call_out = (parloom_call){ check_and_return, &now.args[*next], 1 };
    ++*next;
    return 1;
}

static double failed(const parloom_error *error)
{
    fprintf(stderr, "%s: %s\n", parloom_status_name(error->status), error->message);
    return ROUNDS_UNKNOWN;
}

static double take_run(const void *given)
{
    const struct how *how = given;
    parloom_error error;
    double start = stopwatch_now_ns();
    parloom_status status =
        parloom_run(now.calls, CALLS, PARLOOM_OPTIONS(.n_jobs = now.jobs, .backend = how->backend), &error);
    double ns = stopwatch_now_ns() - start;
    return status == PARLOOM_OK ? ns / CALLS : failed(&error);
}

/* Reads results until there are no more; how many were as they should be. */
static size_t consume(parloom_stream *stream, parloom_error *error)
{
    parloom_result result;
    size_t good = 0;
    bool is_done = false;
    while (parloom_stream_next(stream, &result, &is_done, error) == PARLOOM_OK && !is_done) {
        uint64_t sum = 0;
        if (result.status != PARLOOM_OK || result.nbytes != sizeof sum) continue;
        memcpy(&sum, result.data, sizeof sum);
        good += sum == now.arguments[result.index].words[ARGUMENT_WORDS - 1];
    }
    return good;
}

static double take_stream(const void *given)
{
    const struct how *how = given;
    parloom_stream *stream = NULL;
    parloom_error error;
    size_t next = 0;
    double start = stopwatch_now_ns();
    const parloom_options *options = PARLOOM_OPTIONS(.n_jobs = now.jobs, .backend = how->backend);
    if (parloom_stream_open(&stream, give, &next, how->is_ordered, options, &error) != PARLOOM_OK)
        return failed(&error);
    size_t good = consume(stream, &error);
    parloom_stream_close(stream);
    double ns = stopwatch_now_ns() - start;
    return good == CALLS ? ns / CALLS : failed(&error);
}

static double take_pipe(const void *given)
{
    (void)given;
    return peer_ask(now.pipe, "loop pipe 0 %d 0 1", PIPE_CALLS) / PIPE_CALLS;
}

static double take_joblib(const void *given)
{
    (void)given;
    return peer_ask(now.joblib, "calls %d %d", CALLS, now.jobs) / CALLS;
}

static void write_goals(const struct rounds_side *sides, size_t n_sides)
{
    static const struct goal {
        const char *what, *ours;
        double of_pipe, of_joblib;
    } goals[] = {
        { "calls with 64 bytes: run", "run, processes", 0.15, 30 },
        { "calls with 64 bytes: stream", "stream, processes", 0.3, 15 },
    };
    double pipe = ledger_median(sides, n_sides, "pipe, message and reply");
    double joblib = ledger_median(sides, n_sides, "joblib auto");
    for (size_t i = 0; i < sizeof goals / sizeof goals[0]; i++) {
        double ours = ledger_median(sides, n_sides, goals[i].ours);
        char what[96];
        snprintf(what, sizeof what, "%s / pipe message and reply", goals[i].what);
        ledger_at_most(what, "ns", ours, pipe, goals[i].of_pipe);
        snprintf(what, sizeof what, "%s / joblib auto", goals[i].what);
        ledger_times_faster(what, "ns", ours, joblib, goals[i].of_joblib);
    }
}

static void measure(void)
{
    static const struct how processes = { "processes", true }, unordered = { "processes", false },
                            threads = { "threads", true }, alone = { "sequential", true };
    static struct rounds_side sides[] = {
        { "run, processes", take_run, &processes, 0, { 0 } },
        { "stream, processes", take_stream, &processes, 0, { 0 } },
        { "pipe, message and reply", take_pipe, NULL, 0, { 0 } },
        { "joblib auto", take_joblib, NULL, 0, { 0 } },
        { "stream, processes, unordered", take_stream, &unordered, 0, { 0 } },
        { "run, threads", take_run, &threads, 0, { 0 } },
        { "stream, threads", take_stream, &threads, 0, { 0 } },
        { "run, sequential", take_run, &alone, 0, { 0 } },
        { "stream, sequential", take_stream, &alone, 0, { 0 } },
    };
    enum { SIDES = sizeof sides / sizeof sides[0] };
    ledger_measure("calls", "ns/call", sides, SIDES);
    write_goals(sides, SIDES);
}

static bool make_calls(void)
{
    now.arguments = calloc(CALLS, sizeof *now.arguments);
    now.args = calloc(CALLS, sizeof *now.args);
    now.calls = calloc(CALLS, sizeof *now.calls);
    if (!now.arguments || !now.args || !now.calls) return false;
    for (size_t i = 0; i < CALLS; i++) {
        struct argument *argument = &now.arguments[i];
        for (size_t k = 0; k < ARGUMENT_WORDS - 1; k++) argument->words[k] = i + k;
        argument->words[ARGUMENT_WORDS - 1] = sum_of(argument);
        now.args[i] = parloom_in(argument, sizeof *argument);
        now.calls[i] = (parloom_call){ check, &now.args[i], 1 };
    }
    return true;
}

int main(int argc, char **argv)
{
    struct flags flags = flags_parse(argc, argv);
    ledger_open("stream", "what does a call cost that has an argument of its own?", &flags);
    now.jobs = flags.jobs;
    if (!make_calls()) return 1;
    now.pipe = peer_start("peer_pipe");
    now.joblib = peer_start_python("joblib_peer.py");
    measure();
    peer_stop(now.joblib);
    peer_stop(now.pipe);
    free(now.calls);
    free(now.args);
    free(now.arguments);
    ledger_close();
    return 0;
}

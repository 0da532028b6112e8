/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * results.c - what do results cost: written into a shared array that is there, into a private one, or returned?
 *
 * Rows of 8 MiB, 512 MiB together, each filled by one task. Private out arrays are staged in shared memory and copied
 * back when the call ends. In a stream each task makes its row in memory of its own and returns it; "kept" is copied
 * out of the result into an ordinary array, as what joblib returns is the caller's. Peers: the plain loop, OpenMP
 * threads filling an ordinary array, joblib filling a memmap and joblib returning the rows. "fresh" memory has not been
 * touched before, "again" has.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "body.h"
#include "call.h"
#include "flags.h"
#include "footprint.h"
#include "ledger.h"
#include "peer.h"
#include "rounds.h"
#include "stopwatch.h"

enum { ROW_DOUBLES = 1 << 20, ROWS_MAX = 64 };

static int jobs;
static size_t rows;

struct how {
    struct peer *peer;
    const char *question;
    size_t answer;       /* which number of the answer counts */
    double *array;       /* to be filled; NULL: a fresh shared one */
    const char *backend; /* NULL: the plain loop */
};

static int fill_row(const parloom_task *task, void *const *args)
{
    body_fill(args[0], ROW_DOUBLES, (double)task->index);
    return 0;
}

static size_t row_bytes(void)
{
    return ROW_DOUBLES * sizeof(double);
}

/* Filling alone, in ns; rows that did not arrive are no result. */
static double fill(double *array, const char *backend)
{
    for (size_t row = 0; row < rows; row++) {
        array[row * ROW_DOUBLES] = array[(row + 1) * ROW_DOUBLES - 1] = -1;
    }
    parloom_arg args[] = { parloom_each(parloom_out(array, rows * row_bytes()), row_bytes()) };
    double ns = call_ns(rows, fill_row, args, 1, PARLOOM_OPTIONS(.n_jobs = jobs, .backend = backend, .batch_size = 1));
    for (size_t row = 0; row < rows; row++) {
        if (array[row * ROW_DOUBLES] != (double)row || array[(row + 1) * ROW_DOUBLES - 1] != (double)row)
            return ROUNDS_UNKNOWN;
    }
    return ns;
}

static double take_parloom(const void *given)
{
    const struct how *how = given;
    footprint_warm(rows * row_bytes());
    if (how->array) return fill(how->array, how->backend);
    double *fresh = parloom_alloc(rows * row_bytes(), NULL);
    if (!fresh) return ROUNDS_UNKNOWN;
    double ns = fill(fresh, how->backend);
    parloom_free(fresh);
    return ns;
}

/* ---- returned through a stream */

static int return_row(const parloom_task *task, void *const *args)
{
    static double *row; /* of this worker, for its life */
    (void)args;
    if (!row) row = malloc(row_bytes());
    if (!row) return 1;
    body_fill(row, ROW_DOUBLES, (double)task->index);
    return parloom_return(task, row, row_bytes()) != 0;
}

static int give_row(void *state, parloom_call *call_out)
{
    size_t *next = state;
    *call_out = (parloom_call){ return_row, NULL, 0 };
    return ++*next <= rows;
}

/* How many rows came, each in its turn and whole. array: where they are kept, or NULL. */
static size_t consume(parloom_stream *stream, double *array)
{
    parloom_result result;
    size_t good = 0;
    bool is_done = false;
    while (parloom_stream_next(stream, &result, &is_done, NULL) == PARLOOM_OK && !is_done) {
        const double *row = result.data;
        if (result.status != PARLOOM_OK || result.nbytes != row_bytes()) continue;
        good += row[0] == (double)good && row[ROW_DOUBLES - 1] == row[0];
        if (array) memcpy(array + result.index * ROW_DOUBLES, row, row_bytes());
    }
    return good;
}

static double take_stream(const void *given)
{
    const struct how *how = given;
    parloom_stream *stream = NULL;
    size_t next = 0;
    footprint_warm(rows * row_bytes());
    double start = stopwatch_now_ns();
    const parloom_options *options = PARLOOM_OPTIONS(.n_jobs = jobs, .backend = how->backend);
    if (parloom_stream_open(&stream, give_row, &next, true, options, NULL) != PARLOOM_OK) return ROUNDS_UNKNOWN;
    size_t good = consume(stream, how->array);
    parloom_stream_close(stream);
    double ns = stopwatch_now_ns() - start;
    return good == rows ? ns : ROUNDS_UNKNOWN;
}

static double take_serial(const void *given)
{
    const struct how *how = given;
    double start = stopwatch_now_ns();
    for (size_t row = 0; row < rows; row++) body_fill(how->array + row * ROW_DOUBLES, ROW_DOUBLES, (double)row);
    return stopwatch_now_ns() - start;
}

static double take_peer(const void *given)
{
    const struct how *how = given;
    footprint_warm(rows * row_bytes());
    peer_ask(how->peer, "%s %zu %d %d", how->question, rows, (int)ROW_DOUBLES, jobs);
    return peer_answer(how->peer, how->answer);
}

static void measure(double *private, double *shared)
{
    struct peer *openmp = peer_start("peer_openmp"), *joblib = peer_start_python("joblib_peer.py");
    const struct how plain = { .array = private }, fresh = { .backend = "processes" },
                     again = { .backend = "processes", .array = shared },
                     staged = { .backend = "processes", .array = private },
                     threads = { .backend = "threads", .array = private },
                     openmp_fresh = { .peer = openmp, .question = "fill" },
                     openmp_again = { .peer = openmp, .question = "fill", .answer = 1 },
                     streamed = { .backend = "processes" }, kept = { .backend = "processes", .array = private },
                     memmap = { .peer = joblib, .question = "filled" },
                     returned = { .peer = joblib, .question = "returned" };
    static struct rounds_side sides[11];
    size_t n = 0;
    sides[n++] = (struct rounds_side){ "serial, again", take_serial, &plain, 0, { 0 } };
    sides[n++] = (struct rounds_side){ "processes, shared, fresh", take_parloom, &fresh, 0, { 0 } };
    sides[n++] = (struct rounds_side){ "openmp, fresh", take_peer, &openmp_fresh, 0, { 0 } };
    sides[n++] = (struct rounds_side){ "processes, shared, again", take_parloom, &again, 0, { 0 } };
    sides[n++] = (struct rounds_side){ "openmp, again", take_peer, &openmp_again, 0, { 0 } };
    sides[n++] = (struct rounds_side){ "joblib, memmap, again", take_peer, &memmap, 0, { 0 } };
    sides[n++] = (struct rounds_side){ "processes, private (staged)", take_parloom, &staged, 0, { 0 } };
    sides[n++] = (struct rounds_side){ "joblib, returned", take_peer, &returned, 3, { 0 } };
    sides[n++] = (struct rounds_side){ "processes, stream", take_stream, &streamed, 0, { 0 } };
    sides[n++] = (struct rounds_side){ "processes, stream, kept", take_stream, &kept, 0, { 0 } };
    sides[n++] = (struct rounds_side){ "threads, private, again", take_parloom, &threads, 0, { 0 } };
    ledger_measure("results", "ns", sides, n);
    double ours = ledger_median(sides, n, "processes, shared, again") / 1e6;
    double back = ledger_median(sides, n, "processes, private (staged)") / 1e6;
    double openmp_ms = ledger_median(sides, n, "openmp, fresh") / 1e6;
    double returned_ms = ledger_median(sides, n, "joblib, returned") / 1e6;
    ledger_at_most("results, preallocated shared array / OpenMP, fresh array", "ms", ours, openmp_ms, ROUNDS_UNKNOWN);
    ledger_times_faster("results, preallocated / joblib's memmap", "ms", ours,
                        ledger_median(sides, n, "joblib, memmap, again") / 1e6, ROUNDS_UNKNOWN);
    ledger_times_faster("results, preallocated / joblib returning arrays", "ms", ours, returned_ms, 20);
    ledger_times_faster("results, through a stream / joblib returning arrays", "ms",
                        ledger_median(sides, n, "processes, stream") / 1e6, returned_ms, 5);
    ledger_times_faster("results, through a stream and kept / joblib returning arrays", "ms",
                        ledger_median(sides, n, "processes, stream, kept") / 1e6, returned_ms, ROUNDS_UNKNOWN);
    ledger_times_faster("results, private out (staged) / joblib returning arrays", "ms", back, returned_ms,
                        ROUNDS_UNKNOWN);
    peer_stop(joblib);
    peer_stop(openmp);
}

int main(int argc, char **argv)
{
    struct flags flags = flags_parse(argc, argv);
    jobs = flags.jobs;
    rows = flags.nbytes / row_bytes() < ROWS_MAX ? flags.nbytes / row_bytes() : ROWS_MAX;
    ledger_open("results", "what do results cost: written into a shared array, into a private one, or returned?",
                &flags);
    double *private = malloc(rows * row_bytes()), *shared = parloom_alloc(rows * row_bytes(), NULL);
    if (rows > 0 && private && shared) measure(private, shared);
    parloom_free(shared);
    free(private);
    ledger_close();
    return 0;
}

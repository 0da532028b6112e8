/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache.c - what does it cost to find a result that was kept?
 *
 * A function of one number that gives eight, and one of 16 MiB of doubles that gives as much, mapped: called again with
 * the same argument, beside joblib.Memory with its folder on the same disk (/dev/shm). The second case is mostly the
 * digest of the argument, here on --jobs threads; joblib knows one. For knowledge: one thread of ours, the question
 * alone (is it there?), and a call with the cache off. All figures are microseconds for one call.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <parloom/parloom.h>

#include "flags.h"
#include "footprint.h"
#include "ledger.h"
#include "peer.h"
#include "rounds.h"
#include "stopwatch.h"

enum { SMALL_TIMES = 300, LARGE_TIMES = 5, SMALL_COUNT = 8, LARGE_NBYTES = 16 << 20 };
#define GOAL_SMALL 3.0
#define GOAL_LARGE 20.0

static struct {
    parloom_cache *cache, *off, *alone; /* alone: digests on one thread */
    parloom_cached *small, *large, *small_off, *large_alone;
    double *argument;
    struct peer *joblib;
} now;

static int give_small(parloom_cache_run *run, void *const *args, parloom_array *results)
{
    (void)run;
    for (int k = 0; k < SMALL_COUNT; k++) ((double *)results[0].data)[k] = (double)*(const int64_t *)args[0];
    return 0;
}

static int give_large(parloom_cache_run *run, void *const *args, parloom_array *results)
{
    const parloom_array *given = args[0];
    (void)run;
    for (size_t k = 0; k < given->shape[0]; k++) ((double *)results[0].data)[k] = 2 * ((const double *)given->data)[k];
    return 0;
}

/* ---------------------------------------------------------------------- measure */

/* ns of one call; the first number of the result has to be right. */
static double call(parloom_cached *function, const parloom_cache_value *argument, int times, double right)
{
    double start = stopwatch_now_ns();
    for (int k = 0; k < times; k++) {
        parloom_array result = { .data = NULL };
        parloom_error error;
        if (parloom_cache_call(function, argument, 1, &result, NULL, &error) != PARLOOM_OK) {
            fprintf(stderr, "bench_cache: %s\n", error.message);
            return ROUNDS_UNKNOWN;
        }
        bool is_right = ((const double *)result.data)[0] == right;
        parloom_array_release(&result);
        if (!is_right) return ROUNDS_UNKNOWN;
    }
    return (stopwatch_now_ns() - start) / times / 1e3;
}

static double take_small(const void *given)
{
    parloom_cache_value argument = parloom_cache_i64(NULL, 7);
    return call(given != NULL ? now.small_off : now.small, &argument, SMALL_TIMES, 7);
}

static double take_large(const void *given)
{
    const size_t count = LARGE_NBYTES / sizeof(double);
    parloom_array array = parloom_array_wrap(now.argument, PARLOOM_F64, 1, &count);
    parloom_cache_value argument = parloom_cache_array(NULL, &array);
    return call(given != NULL ? now.large_alone : now.large, &argument, LARGE_TIMES, 2);
}

static double take_check(const void *given)
{
    parloom_cache_value argument = parloom_cache_i64(NULL, 7);
    bool is_there = true;
    (void)given;
    double start = stopwatch_now_ns();
    for (int k = 0; k < SMALL_TIMES && is_there; k++) parloom_cache_check(now.small, &argument, 1, &is_there, NULL);
    return is_there ? (stopwatch_now_ns() - start) / SMALL_TIMES / 1e3 : ROUNDS_UNKNOWN;
}

static double take_joblib(const void *given)
{
    const bool *is_large = given;
    double ns =
        peer_ask(now.joblib, "hit %d %d %d", LARGE_NBYTES, *is_large ? 1 : 0, *is_large ? LARGE_TIMES : SMALL_TIMES);
    return ns / 1e3;
}

static void measure(void)
{
    static const bool yes = true, no = false;
    static struct rounds_side small[] = { { "parloom", take_small, NULL, 0, { 0 } },
                                          { "check", take_check, NULL, 0, { 0 } },
                                          { "off", take_small, &yes, 0, { 0 } },
                                          { "joblib", take_joblib, &no, 0, { 0 } } };
    static struct rounds_side large[] = { { "parloom", take_large, NULL, 0, { 0 } },
                                          { "parloom, one thread", take_large, &yes, 0, { 0 } },
                                          { "joblib", take_joblib, &yes, 0, { 0 } } };
    ledger_measure("small", "us", small, 4);
    ledger_times_faster("hit, small argument / joblib.Memory", "us", ledger_median(small, 4, "parloom"),
                        ledger_median(small, 4, "joblib"), GOAL_SMALL);
    ledger_measure("large", "us", large, 3);
    ledger_times_faster("hit, 16 MiB argument, mapped result / joblib.Memory", "us", ledger_median(large, 3, "parloom"),
                        ledger_median(large, 3, "joblib"), GOAL_LARGE);
}

/* ------------------------------------------------------------------------ begin */

static parloom_cached *bind(parloom_cache *cache, bool is_large)
{
    static const size_t small_shape[] = { SMALL_COUNT }, large_shape[] = { LARGE_NBYTES / sizeof(double) };
    const parloom_cache_param param = { .name = "x", .type = is_large ? PARLOOM_CACHE_ARRAY : PARLOOM_CACHE_I64 };
    const parloom_cache_result result = { .dtype = PARLOOM_F64,
                                          .ndim = 1,
                                          .shape = is_large ? large_shape : small_shape };
    const parloom_cache_function definition = { .struct_size = sizeof definition,
                                                .name = is_large ? "large" : "small",
                                                .body = is_large ? give_large : give_small,
                                                .params = &param,
                                                .n_params = 1,
                                                .results = &result,
                                                .n_results = 1,
                                                .mmap_mode = is_large ? PARLOOM_MMAP_R : PARLOOM_MMAP_UNSET };
    parloom_cached *function = NULL;
    parloom_error error;
    if (parloom_cache_bind(&function, cache, &definition, &error) != PARLOOM_OK)
        fprintf(stderr, "bench_cache: %s\n", error.message);
    return function;
}

static bool begin(const char *folder, int jobs)
{
    parloom_error error;
    now.argument = footprint_take(LARGE_NBYTES);
    const parloom_cache_options *some = PARLOOM_CACHE_OPTIONS(.n_jobs = jobs),
                                *one = PARLOOM_CACHE_OPTIONS(.n_jobs = 1);
    if (now.argument == NULL || parloom_cache_open(&now.cache, folder, some, &error) != PARLOOM_OK ||
        parloom_cache_open(&now.alone, folder, one, &error) != PARLOOM_OK ||
        parloom_cache_open(&now.off, NULL, NULL, &error) != PARLOOM_OK)
        return false;
    for (size_t k = 0; k < LARGE_NBYTES / sizeof(double); k++) now.argument[k] = 1;
    now.small = bind(now.cache, false);
    now.large = bind(now.cache, true);
    now.small_off = bind(now.off, false);
    now.large_alone = bind(now.alone, true);
    return now.small != NULL && now.large != NULL && now.small_off != NULL && now.large_alone != NULL;
}

static void end(void)
{
    parloom_cache_unbind(now.small);
    parloom_cache_unbind(now.large);
    parloom_cache_unbind(now.small_off);
    parloom_cache_unbind(now.large_alone);
    if (now.cache != NULL) parloom_cache_clear(now.cache, NULL);
    parloom_cache_close(now.cache);
    parloom_cache_close(now.off);
    parloom_cache_close(now.alone);
    if (now.argument != NULL) footprint_give_back(now.argument, LARGE_NBYTES);
}

int main(int argc, char **argv)
{
    struct flags flags = flags_parse(argc, argv);
    char folder[] = "/dev/shm/bench_cache_XXXXXX", command[sizeof folder + 16];
    if (mkdtemp(folder) == NULL) return 1;
    ledger_open("cache", "what does it cost to find a result that was kept?", &flags);
    bool is_ready = begin(folder, flags.jobs);
    if (is_ready) {
        now.joblib = peer_start_python("joblib_peer.py");
        measure();
        peer_stop(now.joblib);
    }
    end();
    snprintf(command, sizeof command, "rm -rf %s", folder);
    bool is_gone = system(command) == 0;
    ledger_close();
    return is_ready && is_gone ? 0 : 1;
}

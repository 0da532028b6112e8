/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hash.c - what does it cost to digest a large array?
 *
 * An array of doubles in private memory, by so many threads, beside joblib.hash of an array of the same size (MD5), and
 * beside as many threads that only read the same memory: no digest can be faster than that. For knowledge: one thread,
 * SHA-256, every second item, and a file in /dev/shm that is mapped, which is copied so that nobody can cut it short
 * under the reader. All figures are ms of wall time.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <parloom/parloom.h>

#include "flags.h"
#include "footprint.h"
#include "ledger.h"
#include "peer.h"
#include "rounds.h"
#include "stopwatch.h"

enum { MOST_THREADS = 128, LANES = 8, JOBLIB_TURNS = 3 };
#define GOAL_JOBLIB    20.0
#define GOAL_BANDWIDTH 0.8

static struct {
    int jobs;
    size_t nbytes;
    uint64_t *data;
    uint64_t sum;         /* of its words */
    parloom_array mapped; /* the same bytes in a file */
    struct peer *joblib;
} now;

/* ------------------------------------------------------------------------- read */

struct part {
    const uint64_t *words;
    size_t count;
    uint64_t sum;
};

static void *read_part(void *given)
{
    struct part *part = given;
    uint64_t lanes[LANES] = { 0 };
    for (size_t k = 0; k + LANES <= part->count; k += LANES)
        for (int lane = 0; lane < LANES; lane++) lanes[lane] += part->words[k + (size_t)lane];
    part->sum = 0;
    for (int lane = 0; lane < LANES; lane++) part->sum += lanes[lane];
    return NULL;
}

static uint64_t read_all(int threads)
{
    struct part parts[MOST_THREADS];
    pthread_t workers[MOST_THREADS];
    size_t count = now.nbytes / sizeof(uint64_t), each = count / (size_t)threads / LANES * LANES;
    uint64_t sum = 0;
    for (int k = 0; k < threads; k++) {
        size_t first = (size_t)k * each;
        parts[k] = (struct part){ now.data + first, k + 1 < threads ? each : count - first, 0 };
        if (k > 0 && pthread_create(&workers[k], NULL, read_part, &parts[k]) != 0) exit(1);
    }
    read_part(&parts[0]);
    for (int k = 0; k < threads; k++) {
        if (k > 0) pthread_join(workers[k], NULL);
        sum += parts[k].sum;
    }
    return sum;
}

static double take_read(const void *given)
{
    (void)given;
    double start = stopwatch_now_ns();
    uint64_t sum = read_all(now.jobs);
    double ms = (stopwatch_now_ns() - start) / 1e6;
    return sum == now.sum ? ms : ROUNDS_UNKNOWN;
}

/* ------------------------------------------------------------------------- hash */

struct way {
    const char *algorithm;
    size_t step; /* every item, or every second */
    bool is_mapped;
    bool is_alone; /* one thread */
};

static double take_hash(const void *given)
{
    const struct way *way = given;
    size_t count = now.nbytes / sizeof(double) / way->step;
    ptrdiff_t stride = (ptrdiff_t)(way->step * sizeof(double));
    void *data = way->is_mapped ? now.mapped.data : now.data;
    parloom_array array = parloom_array_wrap_strided(data, PARLOOM_F64, 0, 1, &count, &stride);
    parloom_hash_options options = { .algorithm = way->algorithm,
                                     .loop = PARLOOM_OPTIONS(.n_jobs = way->is_alone ? 1 : now.jobs) };
    parloom_digest digest;
    parloom_error error;
    double start = stopwatch_now_ns();
    if (parloom_hash_array(&array, &options, &digest, &error) == PARLOOM_OK) return (stopwatch_now_ns() - start) / 1e6;
    fprintf(stderr, "bench_hash: %s\n", error.message);
    return ROUNDS_UNKNOWN;
}

static double take_joblib(const void *given)
{
    (void)given;
    return peer_ask(now.joblib, "hash %zu", now.nbytes) / 1e6;
}

static void measure(void)
{
    static const struct way threads = { NULL, 1, false, false }, alone = { NULL, 1, false, true },
                            sha256 = { "sha256", 1, false, false }, second = { NULL, 2, false, false },
                            mapped = { NULL, 1, true, false };
    static struct rounds_side sides[] = {
        { "threads", take_hash, &threads, 0, { 0 } },          { "read", take_read, NULL, 0, { 0 } },
        { "one thread", take_hash, &alone, 0, { 0 } },         { "mapped file", take_hash, &mapped, 0, { 0 } },
        { "every second item", take_hash, &second, 0, { 0 } }, { "sha256", take_hash, &sha256, JOBLIB_TURNS, { 0 } },
        { "joblib", take_joblib, NULL, JOBLIB_TURNS, { 0 } },
    };
    enum { SIDES = sizeof sides / sizeof sides[0] };
    char what[100];
    ledger_measure("hash", "ms", sides, SIDES);
    double ours = ledger_median(sides, SIDES, "threads"), joblib = ledger_median(sides, SIDES, "joblib");
    double plain = ledger_median(sides, SIDES, "read");
    snprintf(what, sizeof what, "%zu MiB: hash / joblib.hash", now.nbytes >> 20);
    ledger_times_faster(what, "ms", ours, joblib, GOAL_JOBLIB);
    snprintf(what, sizeof what, "%zu MiB: hash / as many threads that only read", now.nbytes >> 20);
    ledger_times_faster(what, "ms", ours, plain, GOAL_BANDWIDTH);
    snprintf(what, sizeof what, "%zu MiB: hash of a mapped file / threads that read", now.nbytes >> 20);
    ledger_times_faster(what, "ms", ledger_median(sides, SIDES, "mapped file"), plain, ROUNDS_UNKNOWN);
}

/* ------------------------------------------------------------------------ begin */

static bool map_copy(void)
{
    char path[] = "/dev/shm/bench_hash_XXXXXX";
    int fd = mkstemp(path);
    const char *bytes = (const char *)now.data;
    size_t done = 0;
    parloom_error error;
    if (fd < 0) return false;
    while (done < now.nbytes) {
        ssize_t written = write(fd, bytes + done, now.nbytes - done);
        if (written <= 0) break;
        done += (size_t)written;
    }
    close(fd);
    bool is_mapped = done == now.nbytes && parloom_array_map(&now.mapped, path, PARLOOM_MMAP_R, 0, PARLOOM_U8, 0, 1,
                                                             &now.nbytes, NULL, &error) == PARLOOM_OK;
    unlink(path);
    return is_mapped;
}

static bool make_data(size_t nbytes)
{
    now.nbytes = nbytes;
    now.data = footprint_take(nbytes);
    if (!now.data) return false;
    for (size_t k = 0; k < nbytes / sizeof *now.data; k++) now.data[k] = k * 0x9e3779b97f4a7c15U;
    now.sum = read_all(1);
    return map_copy();
}

int main(int argc, char **argv)
{
    struct flags flags = flags_parse(argc, argv);
    ledger_open("hash", "what does it cost to digest a large array?", &flags);
    now.jobs = flags.jobs < MOST_THREADS ? flags.jobs : MOST_THREADS;
    if (!make_data(flags.nbytes)) {
        fprintf(stderr, "bench_hash: no room for %zu MiB twice\n", flags.nbytes >> 20);
        return 1;
    }
    now.joblib = peer_start_python("joblib_peer.py");
    measure();
    peer_stop(now.joblib);
    parloom_array_release(&now.mapped);
    footprint_give_back(now.data, now.nbytes);
    ledger_close();
    return 0;
}

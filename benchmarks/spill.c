/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spill.c - how long until a large private input is where two workers read it, and how much memory does that take?
 *
 * "fresh" calls are the first of that size in their process: new shared memory is filled. "again" is the third such
 * call, which may reuse it. What ends the time: the moment when the last worker has begun a task that does not look
 * (spill alone), has read one byte of the input, has read a byte of each page; or the end of the whole call, which
 * frees what it does not keep. Peers: write(2) and memcpy into new pages of /dev/shm, memcpy into pages that are
 * there, joblib.dump and joblib's automatic memmap.
 */
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "body.h"
#include "call.h"
#include "flags.h"
#include "footprint.h"
#include "ledger.h"
#include "peer.h"
#include "rounds.h"
#include "serve.h"
#include "stopwatch.h"

enum { JOBS_MAX = 1024, WRITE_BYTES = 1 << 20, PLACE_FROM = 1 << 20 /* up to this an input travels inline */ };

static int jobs;
static size_t nbytes; /* of the array at hand */
static void *source;  /* private memory of this process, as long */
static struct peer *joblib;

/* ---- the tasks */

enum look { LOOK_NONE, LOOK_BYTE, LOOK_PAGES };

struct request {
    uint64_t look;
    uint64_t nbytes;
};

static int look(const parloom_task *task, void *const *args)
{
    (void)task;
    const struct request *request = args[0];
    double *moment = args[2];
    size_t seen = request->look == LOOK_PAGES ? request->nbytes : request->look == LOOK_BYTE ? 1 : 0;
    body_touch(args[1], seen);
    *moment = stopwatch_now_ns();
    return 0;
}

/* Where the workers say that they have read all of it, and wait until it has been counted. */
struct meeting {
    _Atomic int arrived;
    _Atomic int counted;
};

static int look_and_stay(const parloom_task *task, void *const *args)
{
    (void)task;
    const struct request *request = args[0];
    struct meeting *meeting = args[2];
    body_touch(args[1], request->nbytes);
    atomic_fetch_add_explicit(&meeting->arrived, 1, memory_order_release); /* pairs with the acquire in watch */
    double limit = stopwatch_now_ns() + 30e9;
    /* acquire pairs with the release in watch; nothing is read through it, it only ends the wait. */
    while (!atomic_load_explicit(&meeting->counted, memory_order_acquire) && stopwatch_now_ns() < limit) {
        stopwatch_sleep_ns(1000000);
    }
    return 0;
}

/* ---- in a fresh process */

static const parloom_options *one_task_each(int workers)
{
    static parloom_options options = PARLOOM_OPTIONS_INIT;
    options.n_jobs = workers;
    options.backend = "processes";
    options.batch_size = 1;
    options.schedule = PARLOOM_SCHEDULE_STATIC;
    return &options;
}

/* The last moment, ROUNDS_UNKNOWN if one is older than the call. */
static double last_of(const double *moments, int count, double start)
{
    double last = start;
    for (int i = 0; i < count; i++) {
        if (moments[i] < start) return ROUNDS_UNKNOWN;
        last = fmax(last, moments[i]);
    }
    return last;
}

/* The workers are there, and know where their answers go, before what is measured begins. */
static bool start_workers(const parloom_arg *args, int workers)
{
    struct request nothing = { LOOK_NONE, 0 };
    const parloom_arg small[] = { parloom_in(&nothing, sizeof nothing), parloom_in(&nothing, sizeof nothing), args[2] };
    return !isnan(call_ns((size_t)workers, look, small, 3, one_task_each(workers)));
}

/* "BYTES LOOK TIMES IS_REFUSED JOBS": of the last of so many calls, ns from its start to the last look and to its end
 */
static void serve_input(const char *arguments, FILE *answer)
{
    static double moments[JOBS_MAX];
    size_t size;
    int wanted, times, is_refused, workers;
    if (sscanf(arguments, "%zu %d %d %d %d", &size, &wanted, &times, &is_refused, &workers) != 5) return;
    if (is_refused && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0) return;
    void *data = footprint_take(size);
    struct request request = { (uint64_t)wanted, size };
    parloom_arg args[] = { parloom_in(&request, sizeof request), parloom_in(data, size),
                           parloom_each(parloom_out(moments, (size_t)workers * sizeof(double)), sizeof(double)) };
    if (!data || !start_workers(args, workers)) return;
    parloom_report report = { .struct_size = sizeof report };
    parloom_options options = *one_task_each(workers);
    options.report = &report;
    footprint_warm(size);
    double start = 0, call = 0;
    for (int i = 0; i < times; i++) {
        start = stopwatch_now_ns();
        call = call_ns((size_t)workers, look, args, 3, &options);
    }
    if (size > PLACE_FROM && strcmp(report.spilled_to, "/dev/shm") != 0) {
        fprintf(answer, "spilled to '%s' and not to /dev/shm", report.spilled_to);
    } else {
        fprintf(answer, "%.0f %.0f", last_of(moments, workers, start) - start, call);
    }
    footprint_give_back(data, size);
}

struct watch {
    struct meeting *meeting;
    int workers;
    double highest;
};

static void *watch(void *given)
{
    struct watch *watched = given;
    int seen_after = 0; /* counts made since all workers have read everything */
    double limit = stopwatch_now_ns() + 30e9;
    while (seen_after < 3 && stopwatch_now_ns() < limit) {
        /* acquire: the reads of the workers before they arrived; pairs with look_and_stay */
        bool all = atomic_load_explicit(&watched->meeting->arrived, memory_order_acquire) == watched->workers;
        watched->highest = fmax(watched->highest, footprint_bytes());
        if (all) seen_after++;
        stopwatch_sleep_ns(1000000);
    }
    atomic_store_explicit(&watched->meeting->counted, 1, memory_order_release); /* pairs with look_and_stay */
    return NULL;
}

/* "BYTES JOBS": the most memory in use, above what was before the call with the caller's own array. */
static void serve_memory(const char *arguments, FILE *answer)
{
    size_t size;
    int workers;
    if (sscanf(arguments, "%zu %d", &size, &workers) != 2) return;
    struct watch watched = { parloom_alloc(sizeof(struct meeting), NULL), workers, 0 };
    void *data = footprint_take(size);
    if (!data || !watched.meeting) return;
    double before = footprint_bytes();
    struct request request = { LOOK_PAGES, size };
    parloom_arg args[] = { parloom_in(&request, sizeof request), parloom_in(data, size),
                           parloom_inout(watched.meeting, sizeof *watched.meeting) };
    pthread_t thread;
    if (pthread_create(&thread, NULL, watch, &watched) != 0) return;
    double ns = call_ns((size_t)workers, look_and_stay, args, 3, one_task_each(workers));
    pthread_join(thread, NULL);
    if (!isnan(ns)) fprintf(answer, "%.0f", watched.highest - before);
    footprint_give_back(data, size);
    parloom_free(watched.meeting);
}

/* ---- the sides */

struct how {
    int look;
    const char *name; /* of the look, for joblib */
    int times;
    bool is_refused; /* huge pages */
    size_t answer;   /* which number of the answer counts */
};

static double take_parloom(const void *given)
{
    const struct how *how = given;
    struct peer *fresh = peer_start("bench_spill");
    peer_ask(fresh, "input %zu %d %d %d %d", nbytes, how->look, how->times, how->is_refused, jobs);
    double ns = peer_answer(fresh, how->answer);
    peer_stop(fresh);
    return ns;
}

static double take_memory(const void *given)
{
    (void)given;
    struct peer *fresh = peer_start("bench_spill");
    double above = peer_ask(fresh, "memory %zu %d", nbytes, jobs);
    peer_stop(fresh);
    return above;
}

static double take_joblib(const void *given)
{
    const struct how *how = given;
    footprint_warm(nbytes);
    if (!how->name) return peer_ask(joblib, "dump %zu", nbytes);
    peer_ask(joblib, "input %zu %s %d", nbytes, how->name, jobs);
    return peer_answer(joblib, how->answer);
}

static int open_place(void)
{
    return open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

static double take_write(const void *given)
{
    (void)given;
    int place = open_place();
    if (place < 0) return ROUNDS_UNKNOWN;
    footprint_warm(nbytes);
    double start = stopwatch_now_ns();
    for (size_t at = 0; at < nbytes;) {
        size_t part = nbytes - at < WRITE_BYTES ? nbytes - at : WRITE_BYTES;
        ssize_t written = write(place, (char *)source + at, part);
        if (written <= 0) {
            close(place);
            return ROUNDS_UNKNOWN;
        }
        at += (size_t)written;
    }
    double ns = stopwatch_now_ns() - start;
    close(place);
    return ns;
}

/* memcpy into new pages, and once more into the same. */
static double copy_mapped(bool again)
{
    int place = open_place();
    if (place < 0 || ftruncate(place, (off_t)nbytes) != 0) return ROUNDS_UNKNOWN;
    void *target = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_SHARED, place, 0);
    close(place);
    if (target == MAP_FAILED) return ROUNDS_UNKNOWN;
    footprint_warm(nbytes);
    if (again) memcpy(target, source, nbytes);
    double start = stopwatch_now_ns();
    memcpy(target, source, nbytes);
    double ns = stopwatch_now_ns() - start;
    munmap(target, nbytes);
    return ns;
}

static double take_mapped(const void *given)
{
    (void)given;
    return copy_mapped(false);
}

static double take_memcpy(const void *given)
{
    (void)given;
    return copy_mapped(true);
}

static const struct how spill = { .look = LOOK_NONE, .times = 1 },
                        refused = { .look = LOOK_NONE, .times = 1, .is_refused = true },
                        byte = { .look = LOOK_BYTE, .times = 1 }, pages = { .look = LOOK_PAGES, .times = 1 },
                        call = { .look = LOOK_PAGES, .times = 1, .answer = 1 },
                        again = { .look = LOOK_BYTE, .times = 3 }, joblib_byte = { .name = "byte" },
                        joblib_pages = { .name = "pages" }, joblib_call = { .name = "pages", .answer = 1 }, dump;

static struct rounds_side sides[] = {
    { "parloom fresh, spill", take_parloom, &spill, 0, { 0 } },
    { "write(2)", take_write, NULL, 0, { 0 } },
    { "parloom fresh, huge pages refused", take_parloom, &refused, 0, { 0 } },
    { "mmap + memcpy", take_mapped, NULL, 0, { 0 } },
    { "parloom fresh, one byte", take_parloom, &byte, 0, { 0 } },
    { "joblib, one byte", take_joblib, &joblib_byte, 3, { 0 } },
    { "parloom fresh, all pages", take_parloom, &pages, 0, { 0 } },
    { "joblib, all pages", take_joblib, &joblib_pages, 3, { 0 } },
    { "parloom fresh, whole call", take_parloom, &call, 0, { 0 } },
    { "joblib, whole call", take_joblib, &joblib_call, 3, { 0 } },
    { "parloom again, one byte", take_parloom, &again, 0, { 0 } },
    { "warm memcpy", take_memcpy, NULL, 0, { 0 } },
    { "joblib.dump", take_joblib, &dump, 3, { 0 } },
};
enum { SIDES = sizeof sides / sizeof sides[0] };

static double median_ms(const char *name)
{
    return ledger_median(sides, SIDES, name) / 1e6;
}

static void write_goals(void)
{
    static const struct goal {
        const char *what, *ours, *peer;
        double limit;
    } goals[] = {
        { "spill into /dev/shm / write(2)", "parloom fresh, spill", "write(2)", 2.5 },
        { "the same where huge pages are refused / write(2)", "parloom fresh, huge pages refused", "write(2)", 0.95 },
        { "private input, last worker's first byte / joblib", "parloom fresh, one byte", "joblib, one byte", 3 },
        { "private input, last worker's last page / joblib", "parloom fresh, all pages", "joblib, all pages", 3 },
    };
    for (size_t i = 0; i < sizeof goals / sizeof goals[0]; i++) {
        char what[96];
        snprintf(what, sizeof what, "%zu MiB: %s", nbytes >> 20, goals[i].what);
        ledger_times_faster(what, "ms", median_ms(goals[i].ours), median_ms(goals[i].peer), goals[i].limit);
    }
}

static bool measure_size(size_t size)
{
    char quantity[32];
    nbytes = size;
    source = footprint_take(nbytes);
    if (!source) return false;
    snprintf(quantity, sizeof quantity, "%zu MiB", nbytes >> 20);
    ledger_measure(quantity, "ns", sides, SIDES);
    footprint_give_back(source, nbytes);
    return true;
}

static bool measure_sizes(size_t largest)
{
    static const size_t smaller[] = { 1 << 20, 16 << 20, 128 << 20 };
    joblib = peer_start_python("joblib_peer.py");
    bool measured = true;
    for (size_t i = 0; measured && i < sizeof smaller / sizeof smaller[0]; i++) {
        if (smaller[i] < largest) measured = measure_size(smaller[i]);
    }
    measured = measured && measure_size(largest);
    if (measured) write_goals();
    peer_stop(joblib);
    return measured;
}

static void measure_memory(void)
{
    static struct rounds_side side[1];
    side[0] = (struct rounds_side){ "parloom", take_memory, NULL, 0, { 0 } };
    ledger_measure("memory above the caller's array", "bytes", side, 1);
    char what[96];
    snprintf(what, sizeof what, "%zu MiB: memory above the caller's own (peer: the array's size)", nbytes >> 20);
    ledger_at_most(what, "GiB", ledger_median(side, 1, "parloom") / (1 << 30), (double)nbytes / (1 << 30), 1.05);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--serve") == 0) {
        const struct serve_job served[] = { { "input", serve_input }, { "memory", serve_memory } };
        return serve(served, sizeof served / sizeof served[0]);
    }
    struct flags flags = flags_parse(argc, argv);
    jobs = flags.jobs;
    ledger_open("spill", "how long until a large private input is where two workers read it?", &flags);
    bool measured = true;
    if (flags_want(&flags, "input")) measured = measure_sizes(flags.nbytes);
    nbytes = flags.nbytes;
    if (flags_want(&flags, "memory")) measure_memory();
    ledger_close();
    return measured ? 0 : 1;
}

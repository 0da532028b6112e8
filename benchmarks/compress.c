/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * compress.c - how long does it take to keep an array compressed, and how small does it get?
 *
 * 64 MiB of doubles to /dev/shm, beside joblib.dump with ("zlib", 3) of the same numbers: standard normals, which are
 * noise, and a table of sines in hundredths in which every thousandth number is noise. "one thread" is zlib without a
 * scope; "blosc" has one that allows --jobs threads. Ratios are of sizes: the array's to the file's.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <parloom/parloom.h>

#include "flags.h"
#include "footprint.h"
#include "ledger.h"
#include "peer.h"
#include "rounds.h"
#include "stopwatch.h"

enum { NAME_NBYTES = 128, MOST_NBYTES = 64 << 20 };

static struct {
    size_t nbytes;
    double *data;
    int jobs;
    struct peer *python;
    char file[NAME_NBYTES], packed[NAME_NBYTES];
    double joblib_ratio, ratio; /* of what was written last */
} now;

/* ---- numbers, the same in each run */

static double uniform(void)
{
    static unsigned short state[3] = { 1, 2, 3 };
    return erand48(state);
}

static void fill_normal(void)
{
    for (size_t k = 0; k < now.nbytes / sizeof(double); k++)
        now.data[k] = sqrt(-2 * log(1 - uniform())) * cos(2 * 3.14159265358979 * uniform());
}

static void fill_repetitive(void)
{
    for (size_t k = 0; k < now.nbytes / sizeof(double); k++)
        now.data[k] = floor(100 * sin((double)k * 1e-3)) + (k % 1000 == 0 ? uniform() : 0);
}

/* ---- the sides */

struct way {
    const char *codec; /* NULL: joblib's */
    bool on_threads;
};

static double ratio_of(const char *path)
{
    struct stat file;
    return stat(path, &file) == 0 && file.st_size > 0 ? (double)now.nbytes / (double)file.st_size : 0;
}

static parloom_status dump_to(const char *path, const char *codec)
{
    const size_t count = now.nbytes / sizeof(double);
    parloom_array array = parloom_array_wrap(now.data, PARLOOM_F64, 1, &count);
    parloom_error error;
    parloom_status status = parloom_array_dump(&array, path, codec, 0, &error);
    if (status != PARLOOM_OK) fprintf(stderr, "%s\n", error.message);
    return status;
}

static double take_joblib(void)
{
    double ns = peer_ask(now.python, "joblib_zlib %s %s", now.file, now.packed);
    now.joblib_ratio = ratio_of(now.packed);
    unlink(now.packed);
    return ns;
}

static double take_dump(const void *given)
{
    const struct way *way = given;
    if (way->codec == NULL) return take_joblib();
    if (way->on_threads && parloom_scope_begin(PARLOOM_OPTIONS(.n_jobs = now.jobs), NULL) != PARLOOM_OK)
        return ROUNDS_UNKNOWN;
    double start = stopwatch_now_ns();
    parloom_status status = dump_to(now.packed, way->codec);
    double ns = stopwatch_now_ns() - start;
    if (way->on_threads) parloom_scope_end();
    now.ratio = ratio_of(now.packed);
    unlink(now.packed);
    return status == PARLOOM_OK ? ns : ROUNDS_UNKNOWN;
}

static void measure(const char *data, const char *how, const struct way *ours, double goal)
{
    static const struct way theirs = { NULL, false };
    struct rounds_side sides[] = { { "parloom", take_dump, ours, 0, { 0 } },
                                   { "joblib.dump, zlib 3", take_dump, &theirs, 0, { 0 } } };
    char what[128];
    snprintf(what, sizeof what, "%s: %s", data, how);
    ledger_measure(what, "ns", sides, 2);
    snprintf(what, sizeof what, "%s: %s (%.3f) / joblib zlib 3 (%.3f)", data, how, now.ratio, now.joblib_ratio);
    ledger_times_faster(what, "ms", ledger_median(sides, 2, "parloom") / 1e6,
                        ledger_median(sides, 2, "joblib.dump, zlib 3") / 1e6, goal);
}

int main(int argc, char **argv)
{
    static const struct way zlib = { "zlib", false }, blosc = { "blosc", true };
    struct flags flags = flags_parse(argc, argv);
    ledger_open("compress", "how long does it take to keep an array compressed?", &flags);
    now.nbytes = flags.nbytes < MOST_NBYTES ? flags.nbytes : MOST_NBYTES;
    now.jobs = flags.jobs;
    now.data = footprint_take(now.nbytes);
    if (!now.data) return 1;
    now.python = peer_start_python("rest_peer.py");
    snprintf(now.file, sizeof now.file, "/dev/shm/benchmarks-compress-%d.npy", (int)getpid());
    snprintf(now.packed, sizeof now.packed, "/dev/shm/benchmarks-compress-%d", (int)getpid());
    fill_normal();
    bool is_made = dump_to(now.file, "none") == PARLOOM_OK;
    if (is_made && flags_want(&flags, "normals")) {
        measure("normals", "zlib, one thread", &zlib, 10);
        measure("normals", "blosc", &blosc, 30);
    }
    fill_repetitive();
    is_made = is_made && dump_to(now.file, "none") == PARLOOM_OK;
    if (is_made && flags_want(&flags, "repetitive")) measure("repetitive", "zlib, one thread", &zlib, 3);
    unlink(now.file);
    peer_stop(now.python);
    footprint_give_back(now.data, now.nbytes);
    ledger_close();
    return is_made ? 0 : 1;
}

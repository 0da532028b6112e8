/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rest.c - how long until a large array is in a file, and until it is back?
 *
 * Doubles in private memory, dumped as .npy to /dev/shm and to a folder on a disk (BENCHMARKS_DISK, else /var/tmp),
 * beside joblib.dump and numpy.save of an array of their own. Between two turns the file is deleted and the disk has
 * caught up, so that each dump writes a new file and none waits for the one before. Nobody forces anything to the disk
 * in the time that is measured. Then the same file is loaded into memory and opened as a memmap, beside numpy.load; it
 * lies in /dev/shm, so no disk is measured. Ours may use --jobs threads, beside them one; the peers know one only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <parloom/parloom.h>

#include "flags.h"
#include "footprint.h"
#include "ledger.h"
#include "peer.h"
#include "rounds.h"
#include "stopwatch.h"

enum { OPENS = 2000, NAME_NBYTES = 4096, TMPFS = 0x01021994 };

static struct {
    size_t nbytes;
    int jobs;
    void *data;
    struct peer *python;
    char file[NAME_NBYTES]; /* in /dev/shm, that is loaded */
} now;

/* ---- dump */

struct dump {
    const char *way;    /* of the peer; NULL: ours */
    const char *folder; /* "/dev/shm" */
    int jobs;
};

static parloom_status dump_to(const char *path, int jobs)
{
    const parloom_dump_options options = { .n_jobs = jobs };
    const size_t count = now.nbytes / sizeof(double);
    parloom_array array = parloom_array_wrap(now.data, PARLOOM_F64, 1, &count);
    parloom_error error;
    parloom_status status = parloom_array_dump_with(&array, path, &options, &error);
    if (status != PARLOOM_OK) fprintf(stderr, "%s\n", error.message);
    return status;
}

static double take_dump(const void *given)
{
    const struct dump *dump = given;
    char path[NAME_NBYTES];
    sync();
    footprint_warm(now.nbytes);
    if (dump->way) return peer_ask(now.python, "%s %zu %s", dump->way, now.nbytes, dump->folder);
    snprintf(path, sizeof path, "%s/benchmarks-rest-%d.npy", dump->folder, (int)getpid());
    double start = stopwatch_now_ns();
    parloom_status status = dump_to(path, dump->jobs);
    double ns = stopwatch_now_ns() - start;
    unlink(path);
    return status == PARLOOM_OK ? ns : ROUNDS_UNKNOWN;
}

static void measure_dumps(const char *where, const char *folder, double than_joblib)
{
    const struct dump ours = { NULL, folder, now.jobs }, alone = { NULL, folder, 1 },
                      joblib = { "joblib_dump", folder, 1 }, numpy = { "numpy_save", folder, 1 };
    struct rounds_side sides[] = { { "parloom", take_dump, &ours, 0, { 0 } },
                                   { "parloom, one thread", take_dump, &alone, 0, { 0 } },
                                   { "joblib.dump", take_dump, &joblib, 0, { 0 } },
                                   { "numpy.save", take_dump, &numpy, 0, { 0 } } };
    enum { SIDES = sizeof sides / sizeof sides[0] };
    char quantity[64], what[96];
    snprintf(quantity, sizeof quantity, "dump to %s", where);
    ledger_measure(quantity, "ns", sides, SIDES);
    double ms = ledger_median(sides, SIDES, "parloom") / 1e6;
    snprintf(what, sizeof what, "%zu MiB: dump to %s / joblib.dump", now.nbytes >> 20, where);
    ledger_times_faster(what, "ms", ms, ledger_median(sides, SIDES, "joblib.dump") / 1e6, than_joblib);
    snprintf(what, sizeof what, "%zu MiB: dump to %s / numpy.save", now.nbytes >> 20, where);
    ledger_times_faster(what, "ms", ms, ledger_median(sides, SIDES, "numpy.save") / 1e6, 0.95);
}

static const char *disk_folder(void)
{
    const char *named = getenv("BENCHMARKS_DISK");
    const char *folder = named && named[0] != '\0' ? named : "/var/tmp";
    struct statfs about;
    if (statfs(folder, &about) == 0 && about.f_type != TMPFS) return folder;
    fprintf(stderr, "%s is not on a disk: name a folder that is in BENCHMARKS_DISK\n", folder);
    return NULL;
}

/* ---- load */

struct load {
    int jobs; /* 0: the peer's */
};

static double take_load(const void *given)
{
    parloom_array array;
    const struct load *load = given;
    footprint_warm(now.nbytes);
    if (load->jobs == 0) return peer_ask(now.python, "numpy_load %s", now.file);
    const parloom_load_options options = { .n_jobs = load->jobs };
    double start = stopwatch_now_ns();
    parloom_status status = parloom_array_load_with(&array, now.file, &options, NULL);
    double ns = stopwatch_now_ns() - start;
    if (status != PARLOOM_OK) return ROUNDS_UNKNOWN;
    parloom_array_release(&array);
    return ns;
}

static double take_open(const void *given)
{
    parloom_array array;
    if (given) return peer_ask(now.python, "numpy_open %s %d", now.file, (int)OPENS);
    double start = stopwatch_now_ns();
    for (int k = 0; k < OPENS; k++) {
        if (parloom_array_load(&array, now.file, PARLOOM_MMAP_R, NULL) != PARLOOM_OK) return ROUNDS_UNKNOWN;
        parloom_array_release(&array);
    }
    return (stopwatch_now_ns() - start) / OPENS;
}

static void measure_loads(void)
{
    const struct load ours = { now.jobs }, alone = { 1 }, numpy = { 0 };
    struct rounds_side loads[] = { { "parloom", take_load, &ours, 0, { 0 } },
                                   { "parloom, one thread", take_load, &alone, 0, { 0 } },
                                   { "numpy.load", take_load, &numpy, 0, { 0 } } };
    char what[96];
    ledger_measure("load into memory", "ns", loads, 3);
    snprintf(what, sizeof what, "%zu MiB: load into memory / numpy.load", now.nbytes >> 20);
    ledger_times_faster(what, "ms", ledger_median(loads, 3, "parloom") / 1e6,
                        ledger_median(loads, 3, "numpy.load") / 1e6, 0.95);
}

static void measure_opens(void)
{
    static struct rounds_side opens[] = { { "parloom", take_open, NULL, 0, { 0 } },
                                          { "numpy.load, mmap_mode r", take_open, "numpy", 0, { 0 } } };
    char what[96];
    ledger_measure("open as memmap, and close", "ns", opens, 2);
    snprintf(what, sizeof what, "%zu MiB: open as memmap, and close / numpy.load", now.nbytes >> 20);
    ledger_at_most(what, "us", ledger_median(opens, 2, "parloom") / 1e3,
                   ledger_median(opens, 2, "numpy.load, mmap_mode r") / 1e3, 0.7);
}

static bool make_file(void)
{
    snprintf(now.file, sizeof now.file, "/dev/shm/benchmarks-rest-%d.npy", (int)getpid());
    return dump_to(now.file, now.jobs) == PARLOOM_OK;
}

int main(int argc, char **argv)
{
    struct flags flags = flags_parse(argc, argv);
    ledger_open("rest", "how long until a large array is in a file, and until it is back?", &flags);
    now.nbytes = flags.nbytes;
    now.jobs = flags.jobs;
    now.data = footprint_take(now.nbytes);
    if (!now.data) return 1;
    now.python = peer_start_python("rest_peer.py");
    const char *disk = disk_folder();
    if (flags_want(&flags, "dump to /dev/shm")) measure_dumps("/dev/shm", "/dev/shm", 2.5);
    if (disk && flags_want(&flags, "dump to a disk")) measure_dumps("a disk", disk, 1.4);
    bool is_made = make_file();
    if (is_made && flags_want(&flags, "load into memory")) measure_loads();
    if (is_made && flags_want(&flags, "open as memmap")) measure_opens();
    unlink(now.file);
    peer_stop(now.python);
    footprint_give_back(now.data, now.nbytes);
    ledger_close();
    return is_made ? 0 : 1;
}

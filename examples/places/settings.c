/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * settings.c - reads the command line. What concerns parloom goes to parloom_options_set as it is: the library knows
 * its options, their ranges, and how to say what is wrong with them.
 */
#include "settings.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: places [options] [POINTS.csv]\n"
    "How clustered are places? Ripley's K, as L(r) - r, with a bootstrap band and an envelope of chance.\n"
    "\n"
    "  POINTS.csv, --input FILE  longitude,latitude in degrees, one place a line\n"
    "                            (default: the Census gazetteer of weather-util-data, else simulated places)\n"
    "  --simulated               simulated places (a Thomas cluster process), also where the gazetteer is\n"
    "  --replicates N            of the bootstrap (999)\n"
    "  --simulations N           of complete spatial randomness (99)\n"
    "  --seed N                  of all random streams (1)\n"
    "  --out FOLDER              for places.npy and places.svg (.); made if it is missing\n"
    "  --backend NAME            processes (default), threads, fork, sequential\n"
    "  --n-jobs N                workers; -1 all usable cores (default), -2 all but one, ...\n"
    "  --max-nbytes SIZE         inputs above it are spilled to shared memory (1M)\n"
    "  --temp-folder FOLDER      where they are spilled to (/dev/shm if they fit)\n"
    "  --help\n";

enum option_key { INPUT = 256, SIMULATED, REPLICATES, SIMULATIONS, SEED, OUT, PARLOOM, HELP };

static const struct option known[] = {
    { "input", required_argument, NULL, INPUT },
    { "simulated", no_argument, NULL, SIMULATED },
    { "replicates", required_argument, NULL, REPLICATES },
    { "simulations", required_argument, NULL, SIMULATIONS },
    { "seed", required_argument, NULL, SEED },
    { "out", required_argument, NULL, OUT },
    { "backend", required_argument, NULL, PARLOOM },
    { "n-jobs", required_argument, NULL, PARLOOM },
    { "max-nbytes", required_argument, NULL, PARLOOM },
    { "temp-folder", required_argument, NULL, PARLOOM },
    { "help", no_argument, NULL, HELP },
    { NULL, 0, NULL, 0 },
};

static bool read_number(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *number_out)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || number < least || number > most) {
        fprintf(stderr, "places: --%s: '%s' is not a whole number from %llu to %llu\n", name, text,
                (unsigned long long)least, (unsigned long long)most);
        return false;
    }
    *number_out = number;
    return true;
}

static bool read_count(const char *name, const char *text, size_t *count_out)
{
    enum { MOST = 1000000 };
    uint64_t number;
    if (!read_number(name, text, 1, MOST, &number)) return false;
    *count_out = (size_t)number;
    return true;
}

/* "n-jobs" here is "n_jobs" there. */
static bool set_parloom_option(parloom_options *options, const char *name, const char *value)
{
    char key[32];
    parloom_error error;
    snprintf(key, sizeof key, "%s", name);
    for (char *dash = key; (dash = strchr(dash, '-'));) *dash = '_';
    if (parloom_options_set(options, key, value, &error) == PARLOOM_OK) return true;
    fprintf(stderr, "places: --%s: %s\n", name, error.message);
    return false;
}

static bool take_option(struct settings *settings, int key, const char *name)
{
    switch (key) {
    case INPUT:
        settings->csv = optarg;
        return true;
    case SIMULATED:
        settings->simulated = true;
        return true;
    case REPLICATES:
        return read_count(name, optarg, &settings->replicates);
    case SIMULATIONS:
        return read_count(name, optarg, &settings->simulations);
    case SEED:
        return read_number(name, optarg, 0, UINT64_MAX, &settings->seed);
    case OUT:
        settings->out = optarg;
        return true;
    case PARLOOM:
        return set_parloom_option(&settings->options, name, optarg);
    default:
        fputs("places: --help lists the options\n", stderr);
        return false;
    }
}

static enum settings_outcome take_rest(struct settings *settings, int argc, char **argv)
{
    if (optind < argc) settings->csv = argv[optind++];
    if (optind < argc) {
        fprintf(stderr, "places: '%s' is one file too many\n", argv[optind]);
        return SETTINGS_REFUSED;
    }
    if (settings->csv && settings->simulated) {
        fputs("places: --simulated does not go with a file of places\n", stderr);
        return SETTINGS_REFUSED;
    }
    return SETTINGS_RUN;
}

enum settings_outcome settings_read(struct settings *settings_out, int argc, char **argv)
{
    struct settings settings = { .out = ".", .replicates = 999, .simulations = 99, .seed = 1 };
    settings.options = (parloom_options)PARLOOM_OPTIONS_INIT;
    for (int key, at = 0; (key = getopt_long(argc, argv, "", known, &at)) != -1;) {
        if (key == HELP) {
            fputs(usage, stdout);
            return SETTINGS_HELP_SHOWN;
        }
        if (!take_option(&settings, key, known[at].name)) return SETTINGS_REFUSED;
    }
    enum settings_outcome outcome = take_rest(&settings, argc, argv);
    if (outcome == SETTINGS_RUN) *settings_out = settings;
    return outcome;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * settings.h - the command line.
 */
#ifndef PLACES_SETTINGS_H
#define PLACES_SETTINGS_H

#include <parloom/parloom.h>

enum settings_outcome { SETTINGS_RUN, SETTINGS_HELP_SHOWN, SETTINGS_REFUSED };

struct settings {
    const char *csv; /* NULL: the gazetteer if it is installed, else simulated places */
    bool simulated;
    const char *out;
    size_t replicates, simulations;
    uint64_t seed;
    parloom_options options; /* backend, n_jobs, max_nbytes, temp_folder: borrowed from argv */
};

/* What is refused is explained on stderr. */
enum settings_outcome settings_read(struct settings *settings_out, int argc, char **argv);

#endif

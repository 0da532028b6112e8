/* SPDX-License-Identifier: BSD-3-Clause */
/* flags.h - what can be said on the command line of every benchmark. */
#ifndef BENCHMARKS_FLAGS_H
#define BENCHMARKS_FLAGS_H

#include <stdbool.h>
#include <stddef.h>

struct flags {
    int rounds;        /* that count; one more is run first and dropped */
    int jobs;          /* workers or threads on every side */
    size_t nbytes;     /* the largest array */
    size_t resident;   /* of the large program that starts workers (bench_start) */
    const char *csv;   /* NULL: no file */
    const char *table; /* a file to which the rows of the goals are added; NULL: none */
    const char *only;  /* measure only quantities whose name contains this; NULL: all */
};

/* Ends the program with a usage text when the arguments make no sense. */
struct flags flags_parse(int argc, char **argv);
bool flags_want(const struct flags *flags, const char *quantity);

#endif

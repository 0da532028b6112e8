/* SPDX-License-Identifier: BSD-3-Clause */
/* flags.c - see flags.h. */
#include "flags.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rounds.h"

static void leave(const char *program)
{
    fprintf(
        stderr,
        "usage: %s [--rounds N] [--jobs N] [--mib N] [--resident-mib N] [--csv FILE] [--table FILE] [--only NAME]\n",
        program);
    exit(2);
}

static size_t number_in(const char *text, size_t low, size_t high, const char *program)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < low || value > high) leave(program);
    return (size_t)value;
}

struct flags flags_parse(int argc, char **argv)
{
    static const struct option names[] = {
        { "rounds", required_argument, NULL, 'r' },       { "jobs", required_argument, NULL, 'j' },
        { "mib", required_argument, NULL, 'm' },          { "csv", required_argument, NULL, 'c' },
        { "resident-mib", required_argument, NULL, 'R' }, { "table", required_argument, NULL, 't' },
        { "only", required_argument, NULL, 'o' },         { NULL, 0, NULL, 0 },
    };
    struct flags flags = { .rounds = 7, .jobs = 2, .nbytes = (size_t)1 << 30, .resident = (size_t)4 << 30 };
    int name;
    while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (name) {
        case 'r':
            flags.rounds = (int)number_in(optarg, 1, ROUNDS_MAX, argv[0]);
            break;
        case 'j':
            flags.jobs = (int)number_in(optarg, 1, 1024, argv[0]);
            break;
        case 'm':
            flags.nbytes = number_in(optarg, 1, 1 << 20, argv[0]) << 20;
            break;
        case 'R':
            flags.resident = number_in(optarg, 0, 1 << 24, argv[0]) << 20;
            break;
        case 'c':
            flags.csv = optarg;
            break;
        case 't':
            flags.table = optarg;
            break;
        case 'o':
            flags.only = optarg;
            break;
        default:
            leave(argv[0]);
        }
    }
    if (optind != argc) leave(argv[0]);
    return flags;
}

bool flags_want(const struct flags *flags, const char *quantity)
{
    return !flags->only || strstr(quantity, flags->only);
}

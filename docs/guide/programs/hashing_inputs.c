/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <string.h>

enum { ROWS = 1000, COLUMNS = 1000 };

static double field[ROWS][COLUMNS];

/* The digest of what a simulation is given: its field, its settings, and room for its result. */
static int print_digest(const char *when, double viscosity, const char *solver, int verbose)
{
    const size_t shape[] = { ROWS, COLUMNS }, ignored[] = { 3 }; /* verbose changes nothing in the result */
    parloom_array array = parloom_array_wrap(field, PARLOOM_F64, 2, shape);
    const char *const names[] = { "field", "viscosity", "solver", "verbose" };
    const parloom_arg values[] = { parloom_in_array(&array), parloom_in(&viscosity, sizeof viscosity),
                                   parloom_in(solver, strlen(solver)), parloom_in(&verbose, sizeof verbose) };
    const parloom_hash_options options = { .ignored = ignored, .n_ignored = 1, .loop = PARLOOM_OPTIONS(.n_jobs = 2) };
    parloom_digest digest;
    char text[PARLOOM_DIGEST_TEXT_BYTES];
    parloom_error error;
    if (parloom_hash_named(names, values, 4, &options, &digest, &error) != PARLOOM_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    parloom_digest_text(&digest, text);
    printf("%s  %s\n", text, when);
    return 0;
}

int main(void)
{
    for (int k = 0; k < ROWS * COLUMNS; k++) field[k / COLUMNS][k % COLUMNS] = k % 97;
    int failed = print_digest("at first", 0.25, "multigrid", 0);
    failed += print_digest("told to talk", 0.25, "multigrid", 1);
    failed += print_digest("thicker", 0.5, "multigrid", 0);
    field[ROWS - 1][COLUMNS - 1] += 1e-9;
    failed += print_digest("one cell changed", 0.25, "multigrid", 0);
    return failed;
}

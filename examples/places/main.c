/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c - how clustered are the populated places of the United States?
 *
 *     survey  ->  pairs  ->  999 bootstrap replicates  \
 *       |                                               >  bands  ->  table, places.npy, places.svg
 *       +---------------->   99 simulations of chance  /
 *
 * The two loops run on whatever --backend and --n-jobs say; the answer has the same bits whatever they say.
 */
#include "bands.h"
#include "bootstrap.h"
#include "envelope.h"
#include "picture.h"
#include "progress.h"
#include "survey.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_BYTES = 1024 };

/* What the two loops fill in. */
struct results {
    parloom_array replicates, simulations; /* a row each of L(r) - r */
    parloom_report bootstrap, envelope;
};

static int complain(const char *what, const parloom_error *error)
{
    fprintf(stderr, "places: %s: %s\n", what, error->message);
    return -1;
}

static bool create_rows(parloom_array *rows_out, size_t n, parloom_error *error)
{
    size_t shape[] = { n, RIPLEY_CLASSES };
    return parloom_array_create(rows_out, PARLOOM_F64, 2, shape, error) == PARLOOM_OK;
}

static parloom_options options_for(const struct settings *settings, struct progress *progress, parloom_report *report)
{
    parloom_options options = settings->options;
    /* Nobody said how many: neither the command line nor PARLOOM_N_JOBS. */
    if (options.n_jobs == 0 && parloom_effective_n_jobs(0) == 1) options.n_jobs = -1;
    options.progress = progress_show;
    options.progress_state = progress;
    report->struct_size = sizeof *report;
    options.report = report;
    return options;
}

static int run_loops(struct results *results, const struct survey *survey, const struct pair_list *pairs,
                     const struct settings *settings)
{
    parloom_error error;
    double area = window_area(survey->window);
    struct progress progress = progress_of("bootstrap");
    parloom_options options = options_for(settings, &progress, &results->bootstrap);
    parloom_status status =
        bootstrap_run(&results->replicates, pairs, survey->grid.count, area, settings->seed, &options, &error);
    if (status != PARLOOM_OK) return complain("bootstrap", &error);

    progress = progress_of("simulations");
    options = options_for(settings, &progress, &results->envelope);
    status = envelope_run(&results->simulations, survey->window, survey->grid.count, settings->seed, &options, &error);
    return status == PARLOOM_OK ? 0 : complain("simulations", &error);
}

static bool make_bands(struct bands *bands_out, const struct results *results, const struct survey *survey,
                       const struct pair_list *pairs)
{
    const parloom_array *replicates = &results->replicates;
    const parloom_array *simulations = &results->simulations;
    if (bootstrap_of_data(pairs, survey->grid.count, window_area(survey->window), bands_out->data) &&
        band_of_rows(&bands_out->bootstrap, replicates->data, replicates->shape[0], 0.025) &&
        band_of_rows(&bands_out->envelope, simulations->data, simulations->shape[0], 0)) {
        return true;
    }
    fputs("places: no memory for the bands\n", stderr);
    return false;
}

static int write_npy(const parloom_array *rows, const char *folder)
{
    char path[PATH_BYTES];
    parloom_error error;
    snprintf(path, sizeof path, "%s/places.npy", folder);
    if (parloom_array_dump(rows, path, NULL, 0, &error) != PARLOOM_OK) return complain(path, &error);
    printf("\nwrote %s\n", path);
    return 0;
}

static int write_svg(const struct bands *bands, const struct survey *survey, const struct settings *settings)
{
    char path[PATH_BYTES], subtitle[256];
    snprintf(path, sizeof path, "%s/places.svg", settings->out);
    snprintf(subtitle, sizeof subtitle, "%s: %zu bootstrap replicates, %zu simulations of chance", survey->subject,
             settings->replicates, settings->simulations);
    struct picture picture = { survey->question,    subtitle,          bands, survey->window,
                               survey->grid.points, survey->grid.count };
    if (picture_write(&picture, path) != 0) return -1;
    printf("wrote %s\n", path);
    return 0;
}

/* "1098 tasks in 24.1 s on 2 workers (processes): CPU use 197 %, 401.9 MB spilled to /dev/shm" */
static void print_cost(const parloom_report *first, const parloom_report *second)
{
    double seconds = first->seconds + second->seconds;
    double cpu_seconds = first->cpu_seconds + second->cpu_seconds;
    size_t spilled = first->spilled_nbytes + second->spilled_nbytes;
    printf("%zu tasks in %.1f s on %d workers (%s): CPU use %.0f %%, ", first->tasks + second->tasks, seconds,
           first->n_jobs, first->backend, seconds > 0 ? 100 * cpu_seconds / seconds : 0);
    if (spilled) {
        printf("%.1f MB spilled to %s\n", (double)spilled / 1e6,
               first->spilled_nbytes ? first->spilled_to : second->spilled_to);
    } else {
        puts("nothing spilled");
    }
}

static int answer(struct results *results, const struct survey *survey, const struct pair_list *pairs,
                  const struct settings *settings)
{
    struct bands bands;
    if (run_loops(results, survey, pairs, settings) != 0) return -1;
    if (!make_bands(&bands, results, survey, pairs)) return -1;
    putchar('\n');
    bands_print(stdout, &bands);
    if (write_npy(&results->replicates, settings->out) != 0) return -1;
    if (write_svg(&bands, survey, settings) != 0) return -1;
    print_cost(&results->bootstrap, &results->envelope);
    return 0;
}

static int make_folder(const char *path)
{
    bool fits = strlen(path) + sizeof "/places.npy" <= PATH_BYTES;
    if (!fits) errno = ENAMETOOLONG;
    if (fits && (mkdir(path, 0777) == 0 || errno == EEXIST)) return 0;
    fprintf(stderr, "places: could not make the folder %s: %s\n", path, strerror(errno));
    return -1;
}

static int measure(const struct survey *survey, const struct settings *settings)
{
    struct pair_list pairs = { 0 };
    struct results results = { 0 };
    parloom_error error = { 0 };
    int outcome = -1;
    if (!pairs_create(&pairs, survey->window, &survey->grid)) {
        fputs("places: no memory for the pairs\n", stderr);
        return -1;
    }
    printf("%s\nwindow of %.0f km2, %zu pairs closer than %d km, %.1f MB\n", survey->subject,
           window_area(survey->window), pairs_count(&pairs), GRID_REACH_KM, (double)pairs_nbytes(&pairs) / 1e6);
    (void)fflush(stdout); /* before the loops: a reader waits for less */
    if (create_rows(&results.replicates, settings->replicates, &error) &&
        create_rows(&results.simulations, settings->simulations, &error)) {
        outcome = answer(&results, survey, &pairs, settings);
    } else {
        complain("results", &error);
    }
    parloom_array_release(&results.simulations);
    parloom_array_release(&results.replicates);
    pairs_free(&pairs);
    return outcome;
}

int main(int argc, char **argv)
{
    struct settings settings;
    struct survey survey;
    enum settings_outcome outcome = settings_read(&settings, argc, argv);
    if (outcome != SETTINGS_RUN) return outcome == SETTINGS_HELP_SHOWN ? EXIT_SUCCESS : 2;
    if (make_folder(settings.out) != 0) return EXIT_FAILURE; /* now, and not after a minute of work */
    if (survey_open(&survey, &settings) != 0) return EXIT_FAILURE;
    int result = measure(&survey, &settings);
    survey_close(&survey);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

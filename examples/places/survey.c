/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * survey.c - chooses among the three sources of places, projects them, and puts the window around them.
 */
#include "survey.h"
#include "places.h"
#include "thomas.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The window reaches this far from what was found. */
static const double margin_km = 60;

struct source {
    struct point_list places, entries;
    double margin_km;
    const char *question, *what;
};

static int read_csv(struct source *source, const char *path)
{
    if (places_read_csv(&source->places, path) != 0) return -1;
    struct plane plane = plane_of_points(&source->places);
    plane_project(&plane, &source->places);
    source->question = "How clustered are the places?";
    source->what = "places of the given file";
    source->margin_km = margin_km;
    return 0;
}

static int read_gazetteer(struct source *source)
{
    if (places_read_gazetteer(&source->places, &source->entries, PLACES_GAZETTEER) != 0) return -1;
    struct plane plane = plane_of_united_states();
    plane_project(&plane, &source->places);
    plane_project(&plane, &source->entries);
    source->question = "How clustered are the populated places of the United States?";
    source->what = "populated places of the contiguous states (Census gazetteer of 2022)";
    source->margin_km = margin_km;
    return 0;
}

static int simulate(struct source *source, uint64_t seed)
{
    struct thomas thomas = thomas_country();
    source->question = "How clustered are places that scatter about unseen centres?";
    source->what = "simulated places (Thomas cluster process)";
    source->margin_km = WINDOW_CELL_KM / 2.0; /* the entries are the centres of the window's cells */
    return thomas_simulate(&thomas, seed, &source->places, &source->entries);
}

static int read_source(struct source *source, const struct settings *settings)
{
    if (settings->csv) return read_csv(source, settings->csv);
    if (!settings->simulated && access(PLACES_GAZETTEER, R_OK) == 0) return read_gazetteer(source);
    return simulate(source, settings->seed);
}

static int survey_source(struct survey *survey, const struct source *source)
{
    const struct point_list *places = &source->places;
    survey->window = window_create(source->entries.count ? &source->entries : places, source->margin_km);
    if (!survey->window) return -1;
    survey->grid_memory = malloc(grid_nbytes(survey->window, places->count));
    if (!survey->grid_memory) {
        fputs("places: no memory for the grid\n", stderr);
        return -1;
    }
    survey->grid = grid_build(survey->window, places->items, places->count, survey->grid_memory);
    survey->question = source->question;
    snprintf(survey->subject, sizeof survey->subject, "%zu %s", places->count, source->what);
    return 0;
}

int survey_open(struct survey *survey_out, const struct settings *settings)
{
    struct source source = { 0 };
    struct survey survey = { 0 };
    int result = read_source(&source, settings);
    if (result == 0) result = survey_source(&survey, &source);
    point_list_free(&source.places);
    point_list_free(&source.entries);
    if (result == 0) {
        *survey_out = survey;
    } else {
        survey_close(&survey);
    }
    return result;
}

void survey_close(struct survey *survey)
{
    free(survey->grid_memory);
    free(survey->window);
    *survey = (struct survey){ 0 };
}

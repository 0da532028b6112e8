/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * survey.h - what is measured: the places in the plane, and the window they could have been anywhere in.
 */
#ifndef PLACES_SURVEY_H
#define PLACES_SURVEY_H

#include "grid.h"
#include "settings.h"

struct survey {
    struct window *window;
    struct grid grid; /* the places, sorted by square */
    void *grid_memory;
    const char *question; /* "How clustered are the populated places of the United States?" */
    char subject[160];    /* "31377 populated places of the contiguous states" */
};

/* -1 when there is nothing to measure; a line on stderr says why. */
int survey_open(struct survey *survey_out, const struct settings *settings);
void survey_close(struct survey *survey);

#endif

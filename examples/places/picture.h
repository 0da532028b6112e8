/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * picture.h - the answer as a drawing: L(r) - r on the left, the places in their window on the right.
 */
#ifndef PLACES_PICTURE_H
#define PLACES_PICTURE_H

#include "bands.h"
#include "window.h"

struct picture {
    const char *title, *subtitle;
    const struct bands *bands;
    const struct window *window;
    const struct point *places;
    size_t n_places;
};

/* Writes an SVG file. -1 and a line on stderr when that fails. */
int picture_write(const struct picture *picture, const char *path);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map.h - the small map beside the curve: how many places each cell of the window holds.
 */
#ifndef PLACES_MAP_H
#define PLACES_MAP_H

#include "picture.h"

/* Draws into the rectangle; returns the height it used, 0 when there was no memory for it. */
double map_draw(FILE *file, const struct picture *picture, double left, double top, double width, double height);

#endif

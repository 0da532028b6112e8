/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * places.h - where the places are: the Census gazetteer, or a list of longitudes and latitudes.
 */
#ifndef PLACES_PLACES_H
#define PLACES_PLACES_H

#include "plane.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where Debian's package weather-util-data puts the gazetteer. */
#define PLACES_GAZETTEER "/usr/share/weather-util/places.gz"

/*
 * Reads the gazetteer (gzip or plain). places_out: populated places of the contiguous states. entries_out: every entry
 * of the contiguous states, with counties and county subdivisions. In radians. On failure: a line on stderr, -1, and
 * the lists are empty.
 */
int places_read_gazetteer(struct point_list *places_out, struct point_list *entries_out, const char *path);

/* Reads "longitude,latitude" in degrees, one place a line; a first line of words and lines with # are skipped. */
int places_read_csv(struct point_list *places_out, const char *path);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * places.c - reads the two formats in which places come.
 *
 * The gazetteer has a section for each entry, of which two lines matter here:
 *
 *     [fips0100100]                          state 01; 5 digits a county, 7 a place, 10 a county subdivision
 *     centroid = (0.5775578, -1.4927283)     latitude, longitude in radians
 */
#include "places.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { LINE_BYTES = 4096, PLACE_DIGITS = 7 };

/* Alaska, Hawaii and the territories (codes above Wyoming's 56) are not joined to the rest by land. */
static bool is_contiguous(const char *digits)
{
    int state = (digits[0] - '0') * 10 + (digits[1] - '0');
    return state != 2 && state != 15 && state <= 56;
}

/* The digits of "[fips0100100]", how many there are; 0 for any other line. */
static size_t section_digits(const char *line, const char **digits_out)
{
    static const char opening[] = "[fips";
    if (strncmp(line, opening, sizeof opening - 1) != 0) return 0;
    *digits_out = line + sizeof opening - 1;
    size_t count = strspn(*digits_out, "0123456789");
    return (*digits_out)[count] == ']' && count >= 2 ? count : 0;
}

static bool read_centroid(const char *line, struct point *point_out)
{
    return sscanf(line, "centroid = ( %lf , %lf )", &point_out->y, &point_out->x) == 2;
}

/* Where the reader is: digits of the section it is in, 0 outside of sections that count. */
struct reader {
    struct point_list *places, *entries;
    size_t digits;
};

static bool take_line(struct reader *reader, const char *line)
{
    const char *digits;
    struct point point;
    if (line[0] == '[') {
        size_t count = section_digits(line, &digits);
        reader->digits = count && is_contiguous(digits) ? count : 0;
        return true;
    }
    if (!reader->digits || !read_centroid(line, &point)) return true;
    if (reader->digits == PLACE_DIGITS && !point_list_append(reader->places, point)) return false;
    return point_list_append(reader->entries, point);
}

static int complain(const char *path, const char *why)
{
    fprintf(stderr, "places: %s: %s\n", path, why);
    return -1;
}

static int read_sections(struct reader *reader, gzFile file, const char *path)
{
    char line[LINE_BYTES];
    while (gzgets(file, line, sizeof line)) {
        if (!take_line(reader, line)) return complain(path, "no memory for its entries");
    }
    int status;
    const char *why = gzerror(file, &status);
    if (status != Z_OK && status != Z_STREAM_END) return complain(path, status == Z_ERRNO ? strerror(errno) : why);
    return reader->places->count ? 0 : complain(path, "holds no section [fips + 7 digits] of the contiguous states");
}

int places_read_gazetteer(struct point_list *places_out, struct point_list *entries_out, const char *path)
{
    gzFile file = gzopen(path, "re");
    if (!file) return complain(path, strerror(errno));
    struct reader reader = { places_out, entries_out, 0 };
    int result = read_sections(&reader, file, path);
    gzclose(file);
    if (result == 0) return 0;
    point_list_free(places_out);
    point_list_free(entries_out);
    return result;
}

/* Degrees from "lon,lat"; what follows a third comma is somebody else's column. */
static bool read_pair(const char *line, struct point *point_out)
{
    static const double radians_per_degree = 0.017453292519943295;
    double lon, lat;
    char after;
    int fields = sscanf(line, " %lf , %lf %c", &lon, &lat, &after);
    if (fields < 2 || (fields == 3 && after != ',')) return false;
    if (!(fabs(lon) <= 180 && fabs(lat) <= 90)) return false;
    *point_out = (struct point){ lon * radians_per_degree, lat * radians_per_degree };
    return true;
}

static int read_lines(struct point_list *places, FILE *file, const char *path)
{
    char line[LINE_BYTES];
    for (size_t number = 1; fgets(line, sizeof line, file); number++) {
        struct point point;
        size_t blanks = strspn(line, " \t\r\n");
        if (line[blanks] == '\0' || line[blanks] == '#') continue;
        if (read_pair(line, &point)) {
            if (!point_list_append(places, point)) return complain(path, "no memory for its points");
        } else if (number > 1 || !isalpha((unsigned char)line[blanks])) {
            fprintf(stderr, "places: %s: line %zu is not \"longitude,latitude\" in degrees\n", path, number);
            return -1;
        }
    }
    if (ferror(file)) return complain(path, strerror(errno));
    return places->count >= 2 ? 0 : complain(path, "holds fewer than two points");
}

int places_read_csv(struct point_list *places_out, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) return complain(path, strerror(errno));
    int result = read_lines(places_out, file, path);
    (void)fclose(file);
    if (result != 0) point_list_free(places_out);
    return result;
}

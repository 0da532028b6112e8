/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * picture.c - draws the chart as SVG, by hand: scales, axes, bands, curve, legend.
 */
#include "picture.h"
#include "map.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* The page, in pixels: the chart, below it the strip that enlarges the envelope, and the column beside both. */
enum { PAGE_WIDTH = 1080, PAGE_HEIGHT = 620, LEFT = 84, WIDTH = 590, SIDE = 726, SIDE_WIDTH = 326 };
enum { CHART_TOP = 96, CHART_HEIGHT = 338, STRIP_TOP = 470, STRIP_HEIGHT = 86 };

static const char style[] = "<style>\n"
                            "text { font-family: 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', "
                            "sans-serif; fill: #24313c; }\n"
                            ".title { font-size: 23px; font-weight: bold; }\n"
                            ".sub { font-size: 14px; fill: #5a6873; }\n"
                            ".label { font-size: 14px; }\n"
                            ".small { font-size: 12px; fill: #5a6873; }\n"
                            "</style>\n";

/* From kilometres to pixels, upwards: low at the bottom of a panel, high at its top. */
struct scale {
    double low, high, step;
    double top, height;
};

static double across(double r)
{
    return LEFT + WIDTH * r / GRID_REACH_KM;
}

static double along(const struct scale *scale, double value)
{
    return scale->top + scale->height * (scale->high - value) / (scale->high - scale->low);
}

/* 1, 2 or 5 times a power of ten, such that a span takes about count of them. */
static double round_step(double span, double count)
{
    double power = pow(10, floor(log10(span / count)));
    double digit = span / count / power;
    return power * (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10);
}

/* Whole steps that hold zero and the values; what hangs down by a hair gets no step of its own. */
static struct scale scale_around(double low, double high, double count)
{
    double hair = (high - low) * 0.04;
    double step = round_step(high - low, count);
    return (struct scale){ step * floor((low + hair) / step), step * ceil(high / step), step, 0, 0 };
}

static void widen(const double *values, double *low, double *high)
{
    for (size_t k = 0; k < RIPLEY_CLASSES; k++) {
        *low = fmin(*low, values[k]);
        *high = fmax(*high, values[k]);
    }
}

static struct scale chart_scale(const struct bands *bands)
{
    double low = 0;
    double high = 1;
    widen(bands->data, &low, &high);
    widen(bands->bootstrap.low, &low, &high);
    widen(bands->bootstrap.high, &low, &high);
    widen(bands->envelope.low, &low, &high);
    widen(bands->envelope.high, &low, &high);
    struct scale scale = scale_around(low, high, 6);
    scale.top = CHART_TOP;
    scale.height = CHART_HEIGHT;
    return scale;
}

static struct scale strip_scale(const struct bands *bands)
{
    double low = -1e-6;
    double high = 1e-6;
    widen(bands->envelope.low, &low, &high);
    widen(bands->envelope.high, &low, &high);
    struct scale scale = scale_around(low, high, 3);
    scale.top = STRIP_TOP;
    scale.height = STRIP_HEIGHT;
    return scale;
}

static void draw_frame(FILE *file, const struct scale *scale)
{
    long first = lround(scale->low / scale->step);
    long last = lround(scale->high / scale->step);
    for (long k = first; k <= last; k++) {
        double y = along(scale, (double)k * scale->step);
        fprintf(file, "<path d=\"M%d %.1fH%d\" stroke=\"#e3e8ec\"/>\n", LEFT, y, LEFT + WIDTH);
        fprintf(file, "<text class=\"small\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s%g</text>\n", LEFT - 9, y + 4,
                k < 0 ? "−" : "", fabs((double)k * scale->step));
    }
    double bottom = scale->top + scale->height;
    for (int r = 0; r <= GRID_REACH_KM; r += 50) {
        fprintf(file, "<path d=\"M%.1f %.1fv5\" stroke=\"#5a6873\"/>\n", across(r), bottom);
    }
    fprintf(file, "<path d=\"M%d %.1fV%.1fH%d\" fill=\"none\" stroke=\"#5a6873\"/>\n", LEFT, scale->top, bottom,
            LEFT + WIDTH);
}

static void draw_labels(FILE *file)
{
    enum { BOTTOM = STRIP_TOP + STRIP_HEIGHT };
    for (int r = 0; r <= GRID_REACH_KM; r += 50) {
        fprintf(file, "<text class=\"small\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>\n", across(r),
                BOTTOM + 20, r);
    }
    fprintf(file, "<text class=\"label\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">distance r, km</text>\n",
            LEFT + WIDTH / 2, BOTTOM + 44);
    fprintf(file,
            "<text class=\"label\" transform=\"translate(%d %d) rotate(-90)\" text-anchor=\"middle\">L(r) − r, "
            "km</text>\n",
            LEFT - 52, CHART_TOP + CHART_HEIGHT / 2);
    fprintf(file, "<text class=\"small\" x=\"%d\" y=\"%d\">the range of chance, enlarged</text>\n", LEFT + 10,
            STRIP_TOP - 8);
}

static void draw_band(FILE *file, const struct scale *scale, const struct band *band, const char *colour)
{
    fprintf(file, "<path fill=\"%s\" d=\"M%.1f %.2f", colour, across(0), along(scale, 0));
    for (size_t k = 0; k < RIPLEY_CLASSES; k++) {
        fprintf(file, "L%.1f %.2f", across(ripley_distance(k)), along(scale, band->high[k]));
    }
    for (size_t k = RIPLEY_CLASSES; k-- > 0;) {
        fprintf(file, "L%.1f %.2f", across(ripley_distance(k)), along(scale, band->low[k]));
    }
    fputs("z\"/>\n", file);
}

/* From r = 0, where there are no neighbours and L is 0. */
static void draw_curve(FILE *file, const struct scale *scale, const double *values)
{
    fputs("<path fill=\"none\" stroke=\"#b3261e\" stroke-width=\"1.8\" stroke-linejoin=\"round\" d=\"", file);
    fprintf(file, "M%.1f %.2f", across(0), along(scale, 0));
    for (size_t k = 0; k < RIPLEY_CLASSES; k++) {
        fprintf(file, "L%.1f %.2f", across(ripley_distance(k)), along(scale, values[k]));
    }
    fputs("\"/>\n", file);
}

static void draw_chance(FILE *file, const struct scale *scale, const struct bands *bands)
{
    draw_band(file, scale, &bands->envelope, "#a9b3bb");
    fprintf(file, "<path d=\"M%d %.1fH%d\" stroke=\"#24313c\" stroke-dasharray=\"5 4\"/>\n", LEFT, along(scale, 0),
            LEFT + WIDTH);
}

static void draw_chart(FILE *file, const struct bands *bands)
{
    struct scale chart = chart_scale(bands);
    struct scale strip = strip_scale(bands);
    draw_frame(file, &chart);
    draw_chance(file, &chart, bands);
    draw_band(file, &chart, &bands->bootstrap, "#f3a79f");
    draw_curve(file, &chart, bands->data);
    draw_frame(file, &strip);
    draw_chance(file, &strip, bands);
    draw_labels(file);
}

static void draw_legend(FILE *file, double top)
{
    static const char *const marks[] = {
        "<path d=\"M0 0h30\" stroke=\"#b3261e\" stroke-width=\"1.6\"/>",
        "<path d=\"M0 -6h30v12h-30z\" fill=\"#f3a79f\"/>",
        "<path d=\"M0 -6h30v12h-30z\" fill=\"#a9b3bb\"/>",
        "<path d=\"M0 0h30\" stroke=\"#24313c\" stroke-dasharray=\"5 4\"/>",
    };
    static const char *const meanings[] = {
        "the places: the higher, the more clustered",
        "95 % of the bootstrap replicates",
        "lowest and highest simulation of chance",
        "expected by chance: L(r) = r",
    };
    for (int k = 0; k < 4; k++) {
        fprintf(file, "<g transform=\"translate(%d %.1f)\">%s<text class=\"small\" x=\"40\" y=\"4\">%s</text></g>\n",
                SIDE, top + 24 * k, marks[k], meanings[k]);
    }
}

static void draw(FILE *file, const struct picture *picture)
{
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\">\n"
            "<title>%s</title>\n%s<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n",
            PAGE_WIDTH, PAGE_HEIGHT, PAGE_WIDTH, PAGE_HEIGHT, picture->title, style, PAGE_WIDTH, PAGE_HEIGHT);
    fprintf(file, "<text class=\"title\" x=\"%d\" y=\"42\">%s</text>\n", LEFT - 56, picture->title);
    fprintf(file, "<text class=\"sub\" x=\"%d\" y=\"67\">%s</text>\n", LEFT - 56, picture->subtitle);
    draw_chart(file, picture->bands);
    fprintf(file, "<text class=\"label\" x=\"%d\" y=\"%d\">Places in each cell of %d km × %d km</text>\n", SIDE,
            CHART_TOP + 10, WINDOW_CELL_KM, WINDOW_CELL_KM);
    double height = map_draw(file, picture, SIDE, CHART_TOP + 24, SIDE_WIDTH, 260);
    draw_legend(file, CHART_TOP + 24 + height + 50);
    fputs("</svg>\n", file);
}

int picture_write(const struct picture *picture, const char *path)
{
    FILE *file = fopen(path, "we");
    if (file) draw(file, picture);
    bool is_written = file && !ferror(file);
    if (file && fclose(file) != 0) is_written = false;
    if (is_written) return 0;
    fprintf(stderr, "places: could not write %s: %s\n", path, strerror(errno));
    return -1;
}

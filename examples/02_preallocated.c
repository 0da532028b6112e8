/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 02_preallocated.c - results written in place, by workers that follow pointers.
 *
 * Memory from parloom_alloc lies at the same address in the program and in every worker process. So a structure full of
 * pointers is an argument like any other: nothing is packed, sent or copied back.
 *
 *     survey ---> parcels[0] ---> corners          parcels of different sizes, each in memory of its own
 *        |        parcels[1] ---> corners
 *        +------> areas[0 ..]                      task k writes areas[k]
 */
#include <parloom/parloom.h>

#include <stdio.h>

enum { PARCELS = 100 };

struct corner {
    double x, y;
};

struct parcel {
    const struct corner *corners;
    int n_corners;
};

struct survey {
    struct parcel *parcels;
    double *areas; /* preallocated: the results */
};

/* The shoelace formula. */
static int measure(const parloom_task *task, void *const *args)
{
    const struct survey *survey = args[0];
    const struct parcel *parcel = &survey->parcels[task->index];
    double twice = 0;
    for (int k = 0; k < parcel->n_corners; k++) {
        struct corner here = parcel->corners[k];
        struct corner next = parcel->corners[(k + 1) % parcel->n_corners];
        twice += here.x * next.y - next.x * here.y;
    }
    survey->areas[task->index] = twice / 2;
    return 0;
}

/* A staircase of so many steps, each of one by one: its area is 1 + 2 + ... + steps. */
static const struct corner *staircase(int steps, int *n_corners_out)
{
    struct corner *corners = parloom_alloc(sizeof *corners * (size_t)(2 * steps + 2), NULL);
    if (!corners) return NULL;
    int n = 0;
    corners[n++] = (struct corner){ 0, 0 };
    for (int k = 0; k < steps; k++) {
        corners[n++] = (struct corner){ steps - k, k };
        corners[n++] = (struct corner){ steps - k, k + 1 };
    }
    corners[n++] = (struct corner){ 0, steps };
    *n_corners_out = n;
    return corners;
}

static struct survey *create_survey(void)
{
    struct survey *survey = parloom_alloc(sizeof *survey, NULL);
    if (!survey) return NULL;
    survey->parcels = parloom_alloc(sizeof *survey->parcels * PARCELS, NULL);
    survey->areas = parloom_alloc(sizeof *survey->areas * PARCELS, NULL);
    if (!survey->parcels || !survey->areas) return NULL;
    for (int k = 0; k < PARCELS; k++) {
        struct parcel *parcel = &survey->parcels[k];
        parcel->corners = staircase(k + 1, &parcel->n_corners);
        if (!parcel->corners) return NULL;
    }
    return survey;
}

int main(void)
{
    parloom_error error;
    parloom_report report = { .struct_size = sizeof report };
    struct survey *survey = create_survey(); /* what parloom_alloc gave ends with the program, at the latest */
    if (!survey) return 1;
    parloom_arg args[] = { parloom_in(survey, sizeof *survey) };
    if (parloom_for(PARCELS, measure, args, 1, PARLOOM_OPTIONS(.n_jobs = 2, .report = &report), &error) != PARLOOM_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    printf("areas %g, %g, %g ... %g\n", survey->areas[0], survey->areas[1], survey->areas[2],
           survey->areas[PARCELS - 1]);
    printf("%zu bytes spilled, %zu bytes copied back\n", report.spilled_nbytes, report.returned_nbytes);
    return 0;
}

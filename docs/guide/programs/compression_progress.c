/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <stdlib.h>

enum { COUNT = 1000000 };

struct watcher {
    double most; /* of all there is to do; then it is given up */
    int times;
};

/* 0: go on. */
static int watch(uint64_t done_nbytes, uint64_t nbytes, void *state)
{
    struct watcher *watcher = state;
    watcher->times++;
    return (double)done_nbytes > watcher->most * (double)nbytes;
}

int main(void)
{
    double *heights = malloc(COUNT * sizeof *heights);
    if (heights == NULL) return 1;
    for (int k = 0; k < COUNT; k++) heights[k] = k % 1000 * 0.5;
    const size_t shape[] = { COUNT };
    parloom_array array = parloom_array_wrap(heights, PARLOOM_F64, 1, shape);
    struct watcher patient = { 1, 0 }, impatient = { 0, 0 };
    parloom_dump_options options = { .codec = "gzip:6", .n_jobs = -1, .progress = watch, .progress_state = &patient };
    parloom_error error;

    parloom_status status = parloom_array_dump_with(&array, "heights.npy.gz", &options, &error);
    printf("%s, told %s\n", parloom_status_name(status), patient.times > 1 ? "more than once" : "once");

    options.progress_state = &impatient;
    status = parloom_array_dump_with(&array, "again.npy.gz", &options, &error);
    printf("%s: %s\n", parloom_status_name(status), error.message);
    FILE *file = fopen("again.npy.gz", "rb");
    printf("%s\n", file == NULL ? "no file" : "a file");

    if (file != NULL) fclose(file);
    remove("heights.npy.gz");
    free(heights);
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <string.h>

enum { COUNT = 200000 };
static double heights[COUNT];

/* Says how often the array is as large as the file. */
static void keep(const char *path, const char *codec)
{
    const size_t shape[] = { COUNT };
    parloom_array array = parloom_array_wrap(heights, PARLOOM_F64, 1, shape), again;
    parloom_error error;
    if (parloom_array_dump(&array, path, codec, 0, &error) != PARLOOM_OK ||
        parloom_array_load(&again, path, PARLOOM_MMAP_UNSET, &error) != PARLOOM_OK) {
        printf("%s\n", error.message);
        return;
    }
    FILE *file = fopen(path, "rb");
    int is_smaller = file != NULL && fseek(file, 0, SEEK_END) == 0 && (size_t)ftell(file) < sizeof heights / 2;
    if (file != NULL) fclose(file);
    printf("%-14s %-12s %s, %s\n", path, codec != NULL ? codec : "by its name",
           is_smaller ? "less than half" : "as large",
           memcmp(again.data, heights, sizeof heights) == 0 ? "same" : "lost");
    parloom_array_release(&again);
    remove(path);
}

int main(void)
{
    for (int k = 0; k < COUNT; k++) heights[k] = k % 1000 * 0.5;
    keep("heights.npy", NULL);
    keep("heights.npy.gz", NULL);
    keep("heights.zst", NULL);
    keep("heights.npy", "xz:1");
    keep("heights.npy", "blosc");
    keep("heights.npy", "blsc");
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <unistd.h>

enum { COUNT = 200000 };

static int fill(const parloom_task *task, void *const *args)
{
    const parloom_array *out = args[0];
    float *values = out->data;
    for (size_t i = task->begin; i < task->end; i++) values[i] = (float)i / 2;
    return 0;
}

int main(void)
{
    const char *path = "guide_results.bin";
    const size_t shape[] = { COUNT };
    parloom_array results;
    parloom_error error;

    if (parloom_array_map(&results, path, PARLOOM_MMAP_W, 0, PARLOOM_F32, 0, 1, shape, NULL, &error) != PARLOOM_OK)
        return 1;
    parloom_arg args[] = { parloom_out_array(&results) };
    if (parloom_for_range(COUNT, fill, args, 1, PARLOOM_OPTIONS(.n_jobs = 2), &error) != PARLOOM_OK) return 1;
    parloom_array_release(&results);

    if (parloom_array_map(&results, path, PARLOOM_MMAP_R, 0, PARLOOM_F32, 0, 1, shape, NULL, &error) != PARLOOM_OK)
        return 1;
    const float *values = results.data;
    printf("%g %g %g, writable: %d\n", (double)values[0], (double)values[1], (double)values[COUNT - 1],
           parloom_array_is_writable(&results));
    parloom_array_release(&results);
    return unlink(path);
}

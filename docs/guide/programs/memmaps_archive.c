/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <unistd.h>

enum { COUNT = 1000 };

static parloom_status store(const char *path, parloom_error *error)
{
    float samples[COUNT];
    double step = 0.25;
    const size_t shape[] = { COUNT };
    for (int k = 0; k < COUNT; k++) samples[k] = (float)k;
    const char *names[] = { "samples", "step" };
    parloom_array arrays[] = { parloom_array_wrap(samples, PARLOOM_F32, 1, shape),
                               parloom_array_wrap(&step, PARLOOM_F64, 0, NULL) };
    return parloom_npz_dump(path, names, arrays, 2, NULL, 0, error);
}

int main(void)
{
    const char *path = "guide_run.npz";
    parloom_npz *run;
    parloom_array samples, step;
    parloom_error error;

    if (store(path, &error) != PARLOOM_OK || parloom_npz_open(&run, path, &error) != PARLOOM_OK) {
        printf("%s\n", error.message);
        return 1;
    }
    for (size_t k = 0; k < parloom_npz_count(run); k++) printf("%s ", parloom_npz_name(run, k));
    if (parloom_npz_load(&samples, run, "samples", PARLOOM_MMAP_R, &error) != PARLOOM_OK) return 1;
    if (parloom_npz_load(&step, run, "step", PARLOOM_MMAP_UNSET, &error) != PARLOOM_OK) return 1;
    parloom_npz_close(run); /* the arrays stay */
    printf("%g %g\n", (double)((const float *)samples.data)[COUNT - 1], *(const double *)step.data);
    parloom_array_release(&samples);
    parloom_array_release(&step);
    return unlink(path);
}

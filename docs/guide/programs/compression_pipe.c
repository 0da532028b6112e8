/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <unistd.h>

int main(void)
{
    double values[] = { 0.5, 1.5, 2.5 };
    const size_t shape[] = { 3 };
    parloom_array array = parloom_array_wrap(values, PARLOOM_F64, 1, shape), received;
    parloom_error error;
    int ends[2];
    if (pipe(ends) != 0) return 1;
    if (parloom_array_dump_fd(&array, ends[1], NULL, 0, &error) != PARLOOM_OK ||
        parloom_array_dump_fd(&array, ends[1], "gzip:9", 0, &error) != PARLOOM_OK) {
        printf("%s\n", error.message);
        return 1;
    }
    close(ends[1]);
    for (int k = 0; k < 2; k++) {
        if (parloom_array_load_fd(&received, ends[0], PARLOOM_MMAP_UNSET, &error) != PARLOOM_OK) {
            printf("%s\n", error.message);
            return 1;
        }
        printf("%zu items, the last is %g\n", received.shape[0], ((const double *)received.data)[2]);
        parloom_array_release(&received);
    }
    close(ends[0]);
    return 0;
}

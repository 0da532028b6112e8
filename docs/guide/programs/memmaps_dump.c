/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <unistd.h>

enum { COUNT = 6 };

static int double_items(const parloom_task *task, void *const *args)
{
    const parloom_array *array = args[0];
    float *values = array->data;
    for (size_t i = task->begin; i < task->end; i++) values[i] *= 2;
    return 0;
}

static parloom_status print(const char *path, const char *when)
{
    parloom_array array;
    parloom_status status = parloom_array_load(&array, path, PARLOOM_MMAP_UNSET, NULL); /* read into memory */
    if (status != PARLOOM_OK) return status;
    printf("%s:", when);
    for (int i = 0; i < COUNT; i++) printf(" %g", (double)((const float *)array.data)[i]);
    printf("\n");
    parloom_array_release(&array);
    return status;
}

/* Doubles the items of the file as it is mapped with that mode. */
static parloom_status run(const char *path, parloom_mmap_mode mode, parloom_error *error)
{
    parloom_array array;
    parloom_status status = parloom_array_load(&array, path, mode, error);
    if (status != PARLOOM_OK) return status;
    parloom_arg args[] = { parloom_inout_array(&array) };
    status = parloom_for_range(COUNT, double_items, args, 1, PARLOOM_OPTIONS(.n_jobs = 2), error);
    parloom_array_release(&array);
    return status;
}

int main(void)
{
    const char *path = "guide_dump.npy";
    float values[COUNT] = { 1, 2, 3, 4, 5, 6 };
    const size_t shape[] = { COUNT };
    parloom_array array = parloom_array_wrap(values, PARLOOM_F32, 1, shape);
    parloom_error error;

    if (parloom_array_dump(&array, path, NULL, 0, &error) != PARLOOM_OK) return 1;
    print(path, "dumped");
    if (run(path, PARLOOM_MMAP_RW, &error) == PARLOOM_OK) print(path, "r+");
    if (run(path, PARLOOM_MMAP_C, &error) == PARLOOM_OK) print(path, "c");
    if (run(path, PARLOOM_MMAP_R, &error) != PARLOOM_OK) printf("r: %s\n", parloom_status_name(error.status));
    return unlink(path);
}

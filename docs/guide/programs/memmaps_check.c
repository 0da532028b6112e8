/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <unistd.h>

/* A table of doubles, rows one after the other, as the code below it takes for granted: or says what it is instead. */
static int is_table(const parloom_array *a, const char *path)
{
    int is_one = a->dtype == PARLOOM_F64 && a->ndim == 2 && parloom_array_is_native(a) &&
                 a->strides[1] == sizeof(double) && a->strides[0] == (ptrdiff_t)(a->shape[1] * sizeof(double));
    if (is_one) return 1;
    printf("%s: no table of f64, but %s (", path, parloom_dtype_name(a->dtype));
    for (int k = 0; k < a->ndim; k++) printf("%s%zu", k > 0 ? ", " : "", a->shape[k]);
    printf(")%s\n", a->ndim > 1 && a->strides[0] < a->strides[1] ? ", columns first" : "");
    return 0;
}

static void keep(const char *path, void *data, parloom_dtype dtype, const size_t *shape, const ptrdiff_t *strides)
{
    parloom_array made = parloom_array_wrap_strided(data, dtype, 0, 2, shape, strides), loaded;
    parloom_error error;
    if (parloom_array_dump(&made, path, NULL, 0, &error) != PARLOOM_OK ||
        parloom_array_load(&loaded, path, PARLOOM_MMAP_R, &error) != PARLOOM_OK) {
        printf("%s\n", error.message);
        return;
    }
    if (is_table(&loaded, path))
        printf("%s: %zu rows, the last item is %g\n", path, loaded.shape[0], ((const double *)loaded.data)[5]);
    parloom_array_release(&loaded);
    unlink(path);
}

int main(void)
{
    double doubles[] = { 1, 2, 3, 4, 5, 6 };
    float floats[] = { 1, 2, 3, 4, 5, 6 };
    const size_t shape[] = { 2, 3 };
    const ptrdiff_t columns_first[] = { sizeof(double), 2 * sizeof(double) };
    keep("guide_a.npy", doubles, PARLOOM_F64, shape, NULL);
    keep("guide_b.npy", floats, PARLOOM_F32, shape, NULL);
    keep("guide_c.npy", doubles, PARLOOM_F64, shape, columns_first);
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

enum { CELLS = 64, STEPS = 2000, CASES = 12 };

/* Heat in a rod: expensive enough to be kept. */
static int solve(parloom_cache_run *run, void *const *args, parloom_array *results)
{
    double conductivity = *(const double *)args[0], next[CELLS];
    double *rod = results[0].data;
    (void)run;
    rod[0] = 100;
    for (int step = 0; step < STEPS; step++) {
        for (int k = 1; k < CELLS - 1; k++) next[k] = rod[k] + conductivity * (rod[k - 1] - 2 * rod[k] + rod[k + 1]);
        for (int k = 1; k < CELLS - 1; k++) rod[k] = next[k];
    }
    return 0;
}

static int middle(const parloom_task *task, void *const *args)
{
    const parloom_array *packed = args[0];
    parloom_cached *function = NULL;
    parloom_array rod = { 0 };
    parloom_cache_info info;
    parloom_error error;
    /* Three different cases, each asked for by four tasks: whoever comes first computes it. */
    parloom_cache_value value = parloom_cache_f64(NULL, 0.1 * (double)(1 + task->index % 3));
    if (parloom_cache_unpack(&function, packed->data, packed->shape[0], &error) != PARLOOM_OK)
        return parloom_fail_text(task, 1, error.message);
    parloom_status status = parloom_cache_call(function, &value, 1, &rod, &info, &error);
    if (status == PARLOOM_OK) {
        ((double *)args[1])[task->index] = ((const double *)rod.data)[CELLS / 2];
        ((int *)args[2])[task->index] = info.is_hit ? 0 : 1;
        parloom_array_release(&rod);
    }
    parloom_cache_unbind(function);
    return status == PARLOOM_OK ? 0 : parloom_fail_text(task, 2, error.message);
}

static int run_all(parloom_cached *function)
{
    unsigned char bytes[4096]; /* a function is named in 1.1 KiB, and is_valid would be a second one */
    size_t nbytes = parloom_cache_pack(function, bytes, sizeof bytes);
    if (nbytes == 0 || nbytes > sizeof bytes) return 1;
    parloom_array packed = parloom_array_wrap(bytes, PARLOOM_U8, 1, &nbytes);
    double middles[CASES];
    int computed[CASES], sum = 0;
    parloom_arg args[] = { parloom_in_array(&packed), parloom_out(middles, sizeof middles),
                           parloom_out(computed, sizeof computed) };
    parloom_error error;
    if (parloom_for(CASES, middle, args, 3, PARLOOM_OPTIONS(.n_jobs = 4), &error) != PARLOOM_OK) {
        printf("%s\n", error.message);
        return 1;
    }
    for (int k = 0; k < CASES; k++) sum += computed[k];
    printf("%.3f %.3f %.3f, computed %d times\n", middles[0], middles[1], middles[2], sum);
    return 0;
}

int main(int argc, char **argv)
{
    const size_t shape[] = { CELLS };
    const parloom_cache_param params[] = { { .name = "conductivity", .type = PARLOOM_CACHE_F64 } };
    const parloom_cache_result results[] = { { .dtype = PARLOOM_F64, .ndim = 1, .shape = shape } };
    const parloom_cache_function definition = { .struct_size = sizeof definition,
                                                .name = "solve",
                                                .body = solve,
                                                .params = params,
                                                .n_params = 1,
                                                .results = results,
                                                .n_results = 1 };
    const char *location = argc > 1 ? argv[1] : "solver_cache";
    parloom_cache *cache = NULL;
    parloom_cached *function = NULL;
    parloom_error error;
    int failed = 1;
    if (parloom_cache_open(&cache, location, NULL, &error) == PARLOOM_OK &&
        parloom_cache_bind(&function, cache, &definition, &error) == PARLOOM_OK) {
        parloom_cache_clear(cache, NULL);
        failed = run_all(function) + run_all(function);
        parloom_cache_clear(cache, NULL);
    } else
        printf("%s\n", error.message);
    parloom_cache_unbind(function);
    parloom_cache_close(cache);
    return failed;
}

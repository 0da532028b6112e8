/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <stdlib.h>

/* All primes below a limit: how many they are, only the function knows. */
static int primes(parloom_cache_run *run, void *const *args, parloom_array *results)
{
    int64_t limit = *(const int64_t *)args[0];
    char *is_composite = calloc((size_t)limit, 1);
    size_t count = 0;
    (void)results;
    if (is_composite == NULL) return parloom_cache_fail(run, 1, "no memory");
    for (int64_t k = 2; k < limit; k++) {
        if (is_composite[k]) continue;
        count++;
        for (int64_t multiple = k * k; multiple < limit; multiple += k) is_composite[multiple] = 1;
    }
    int64_t *found = parloom_cache_make(run, 0, 1, &count);
    for (int64_t k = 2; found != NULL && k < limit; k++)
        if (!is_composite[k]) *found++ = k;
    free(is_composite);
    return found == NULL ? 1 : 0;
}

static void call(parloom_cached *function, int64_t limit)
{
    parloom_cache_value args[] = { parloom_cache_i64("limit", limit) };
    parloom_array found = { 0 };
    parloom_cache_info info;
    parloom_error error;
    if (parloom_cache_call(function, args, 1, &found, &info, &error) != PARLOOM_OK) {
        printf("%s\n", error.message);
        return;
    }
    printf("%zu primes below %lld, %s\n", found.shape[0], (long long)limit, info.is_hit ? "found" : "computed");
    parloom_array_release(&found);
}

static void count(const parloom_cache_item *item, void *state)
{
    if (item->nbytes > 0) ++*(int *)state;
}

int main(int argc, char **argv)
{
    const parloom_cache_param params[] = { { .name = "limit", .type = PARLOOM_CACHE_I64 } };
    const parloom_cache_result results[] = { { .dtype = PARLOOM_I64, .ndim = PARLOOM_CACHE_TOLD } };
    const parloom_cache_function definition = { .struct_size = sizeof definition,
                                                .name = "primes",
                                                .body = primes,
                                                .params = params,
                                                .n_params = 1,
                                                .results = results,
                                                .n_results = 1 };
    const parloom_cache_options *options = PARLOOM_CACHE_OPTIONS(.mmap_mode = PARLOOM_MMAP_R);
    const char *location = argc > 1 ? argv[1] : "primes_cache";
    parloom_cache *cache = NULL;
    parloom_cached *function = NULL;
    parloom_error error;
    int entries = 0;
    if (parloom_cache_open(&cache, location, options, &error) != PARLOOM_OK ||
        parloom_cache_bind(&function, cache, &definition, &error) != PARLOOM_OK) {
        printf("%s\n", error.message);
        return 1;
    }
    parloom_cache_clear(cache, NULL);
    for (int round = 0; round < 2; round++)
        for (int64_t limit = 1000; limit <= 100000; limit *= 10) call(function, limit);
    parloom_cache_reduce(cache, 0, 2, 0, NULL);
    parloom_cache_list(cache, count, &entries, NULL);
    printf("%d entries are left\n", entries);
    call(function, 100000);
    call(function, 1000);
    parloom_cache_clear(cache, NULL);
    parloom_cache_unbind(function);
    parloom_cache_close(cache);
    return 0;
}

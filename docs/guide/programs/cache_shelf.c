/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COUNT = 10 };

static int squares(parloom_cache_run *run, void *const *args, parloom_array *results)
{
    double scale = *(const double *)args[0], *items = results[0].data;
    (void)run;
    for (int k = 0; k < COUNT; k++) items[k] = scale * k * k;
    return 0;
}

/* What was computed before the last calibration is computed anew. May be asked twice in one call. */
static bool is_calibrated(const parloom_cache_info *info, void *state)
{
    return info->created_s > *(const double *)state;
}

static parloom_status bind(parloom_cached **function, parloom_cache *cache, double *calibrated_s, parloom_error *error)
{
    const size_t shape[] = { COUNT };
    const parloom_cache_value quietly = parloom_cache_i64("verbose", 0);
    const parloom_cache_param params[] = { { .name = "scale", .type = PARLOOM_CACHE_F64 },
                                           { .name = "verbose", .type = PARLOOM_CACHE_I64, .fallback = &quietly } };
    const parloom_cache_result results[] = { { .dtype = PARLOOM_F64, .ndim = 1, .shape = shape } };
    const char *ignore[] = { "verbose" };
    const parloom_cache_function definition = { .struct_size = sizeof definition,
                                                .name = "squares",
                                                .body = squares,
                                                .version = "2", /* stays, whoever builds it */
                                                .params = params,
                                                .n_params = 2,
                                                .results = results,
                                                .n_results = 1,
                                                .ignore = ignore,
                                                .n_ignore = 1,
                                                .is_valid = is_calibrated,
                                                .is_valid_state = calibrated_s,
                                                .expires_after_s = 7 * 24 * 3600.0 };
    return parloom_cache_bind(function, cache, &definition, error);
}

typedef parloom_status caller(parloom_cached *function, const parloom_cache_value *args, size_t n_args,
                              parloom_array *results_out, parloom_cache_info *info_out, parloom_error *error);

/* Says when its result was computed; 0: not at all. */
static double call(caller *how, parloom_cached *function, int verbose, const char *when)
{
    const parloom_cache_value args[] = { parloom_cache_f64("scale", 0.5), parloom_cache_i64("verbose", verbose) };
    parloom_array items;
    parloom_cache_info info;
    parloom_error error;
    if (how(function, args, 2, &items, &info, &error) != PARLOOM_OK) {
        printf("%s\n", error.message);
        return 0;
    }
    printf("%s: %s\n", when, info.is_hit ? "found" : "computed");
    parloom_array_release(&items);
    return info.created_s;
}

/* Gives the key to another process, which knows nothing of the arguments. */
static int send_key(parloom_cached *function)
{
    const parloom_cache_value args[] = { parloom_cache_f64("scale", 0.5) };
    parloom_shelved *shelved = NULL;
    parloom_error error;
    int status = 1;
    if (parloom_cache_shelve(&shelved, function, args, 1, NULL, &error) != PARLOOM_OK) {
        printf("%s\n", error.message);
        return 1;
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "cache_shelf", parloom_shelved_key(shelved), (char *)NULL);
        _exit(127);
    }
    if (pid > 0) waitpid(pid, &status, 0);
    parloom_shelved_release(shelved);
    return status == 0 ? 0 : 1;
}

static int receive_key(parloom_cached *function, const char *key)
{
    parloom_shelved *shelved = NULL;
    parloom_array items;
    parloom_error error;
    parloom_status status = parloom_shelved_open(&shelved, function, key, &error);
    if (status == PARLOOM_OK) status = parloom_shelved_get(shelved, &items, &error);
    if (status == PARLOOM_OK) {
        printf("by its key: the last item is %g\n", ((const double *)items.data)[COUNT - 1]);
        parloom_array_release(&items);
    } else
        printf("%s\n", error.message);
    parloom_shelved_release(shelved);
    return status == PARLOOM_OK ? 0 : 1;
}

static int use(parloom_cache *cache, parloom_cached *function, double *calibrated_s)
{
    parloom_cache_clear(cache, NULL);
    call(parloom_cache_call, function, 0, "first");
    double computed_s = call(parloom_cache_call, function, 1, "verbose is ignored");
    int failed = send_key(function);
    *calibrated_s = computed_s;
    call(parloom_cache_call, function, 0, "after a calibration");
    call(parloom_cache_call, function, 0, "again");
    call(parloom_cache_force, function, 0, "forced");
    parloom_cache_clear(cache, NULL);
    return failed;
}

int main(int argc, char **argv)
{
    parloom_cache *cache = NULL;
    parloom_cached *function = NULL;
    parloom_error error;
    double calibrated_s = 0;
    int failed = 1;
    if (parloom_cache_open(&cache, "squares_cache", NULL, &error) != PARLOOM_OK ||
        bind(&function, cache, &calibrated_s, &error) != PARLOOM_OK)
        printf("%s\n", error.message);
    else
        failed = argc > 1 ? receive_key(function, argv[1]) : use(cache, function, &calibrated_s);
    parloom_cache_unbind(function);
    parloom_cache_close(cache);
    return failed;
}

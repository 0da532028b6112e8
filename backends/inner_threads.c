/* SPDX-License-Identifier: BSD-3-Clause */
/* inner_threads.c - choose, set and put back how many threads tasks may start (see inner_threads.h). */
#include "backends/inner_threads.h"

#include "backends/openmp.h"
#include "backends/shift.h"
#include "base/variables.h"

#include <limits.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const VARIABLES[LOOM_INNER_KINDS] = {
    [LOOM_INNER_OPENMP] = "OMP_NUM_THREADS",        [LOOM_INNER_OPENBLAS] = "OPENBLAS_NUM_THREADS",
    [LOOM_INNER_MKL] = "MKL_NUM_THREADS",           [LOOM_INNER_BLIS] = "BLIS_NUM_THREADS",
    [LOOM_INNER_VECLIB] = "VECLIB_MAXIMUM_THREADS", [LOOM_INNER_NUMBA] = "NUMBA_NUM_THREADS",
    [LOOM_INNER_NUMEXPR] = "NUMEXPR_NUM_THREADS",
};

/* The first number of the value ("4", "4,2"); 0: none. */
static int32_t parse_count(const char *value)
{
    char *end;
    long count = strtol(value, &end, 10);
    return end != value && count > 0 && count <= INT_MAX ? (int32_t)count : 0;
}

/* All of ours are called O..., M..., B..., V... or N...: the rest of the environment is passed over in a moment. */
static bool may_be_ours(char first)
{
    const uint32_t ours =
        1u << ('O' - 'A') | 1u << ('M' - 'A') | 1u << ('B' - 'A') | 1u << ('V' - 'A') | 1u << ('N' - 'A');
    unsigned letter = (unsigned)(first - 'A');
    return letter < 26 && (ours >> letter & 1u) != 0;
}

/* "NAME=value" of one of ours; -1: of none. */
static int kind_of(const char *variable, const char **value_out)
{
    if (!may_be_ours(variable[0])) return -1;
    for (int kind = 0; kind < LOOM_INNER_KINDS; kind++) {
        if (variable[0] != VARIABLES[kind][0] || variable[1] != VARIABLES[kind][1]) continue;
        size_t length = strlen(VARIABLES[kind]);
        if (strncmp(variable, VARIABLES[kind], length) != 0) continue;
        if (variable[length] != '=') continue;
        *value_out = variable + length + 1;
        return kind;
    }
    return -1;
}

/* ------------------------------------------------------------------ choosing */

static void take(struct loom_inner_threads *inner, int kind, const char *value)
{
    int32_t count = parse_count(value);
    if (count == 0) return;
    inner->count[kind] = count;
    inner->chosen |= UINT32_C(1) << kind;
}

/* One pass over the variables: seven getenv would be the dearest part of a short call. */
static void take_environment(struct loom_inner_threads *inner)
{
    for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
        const char *value;
        int kind = kind_of(*variable, &value);
        if (kind >= 0) take(inner, kind, value);
    }
}

/* In a worker process the variables are our own: what the user chose came with the call. */
static bool take_outer(struct loom_inner_threads *inner)
{
    const struct loom_shift *shift = loom_shift_current();
    while (shift != NULL && !loom_inner_threads_are_chosen(&shift->inner)) shift = shift->outer;
    if (shift == NULL) return false;
    for (int kind = 0; kind < LOOM_INNER_KINDS; kind++)
        if ((shift->inner.chosen >> kind & 1) != 0) inner->count[kind] = shift->inner.count[kind];
    inner->chosen = shift->inner.chosen;
    return true;
}

static void take_workers_own(struct loom_inner_threads *inner, const char *worker_environment)
{
    struct loom_variable variable;
    while (loom_variables_next(&worker_environment, &variable)) {
        const char *value;
        int kind = kind_of(variable.name, &value);
        if (kind >= 0) take(inner, kind, value);
    }
}

void loom_inner_threads_choose(struct loom_inner_threads *inner, int most, int share, const char *worker_environment)
{
    inner->chosen = 0;
    for (int kind = 0; kind < LOOM_INNER_KINDS; kind++) inner->count[kind] = most > 0 ? most : share;
    if (most > 0) return;
    if (!take_outer(inner)) take_environment(inner);
    take_workers_own(inner, worker_environment);
}

/* ---------------------------------------------------------- worker processes */

static void set_variable(const char *name, int32_t count)
{
    char text[16];
    const char *now = getenv(name);
    if (now != NULL && parse_count(now) == count) return; /* "4,2" says more than we could */
    (void)snprintf(text, sizeof text, "%d", (int)count);
    (void)setenv(name, text, 1);
}

static struct loom_inner_threads settled; /* workers have one thread that sets it */

void loom_inner_threads_forget(void)
{
    memset(&settled, 0, sizeof settled);
}

bool loom_inner_threads_are_settled(const struct loom_inner_threads *inner)
{
    return !loom_inner_threads_are_chosen(inner) || memcmp(inner, &settled, sizeof settled) == 0;
}

void loom_inner_threads_settle(const struct loom_inner_threads *inner)
{
    if (loom_inner_threads_are_settled(inner)) return;
    settled = *inner;
    for (int kind = 0; kind < LOOM_INNER_KINDS; kind++) set_variable(VARIABLES[kind], inner->count[kind]);
    (void)setenv("ENABLE_IPC", "1", 0); /* TBB's: several processes share the cores */
    loom_blas_settle(inner);
    loom_openmp_set_inner_threads(inner->count[LOOM_INNER_OPENMP]); /* last: OpenBLAS may be one that sets it too */
}

/* -------------------------------------------------------- the caller's process */

void loom_inner_threads_begin(const struct loom_inner_threads *inner, struct loom_inner_of_call *before_out)
{
    before_out->is_set = loom_inner_threads_are_chosen(inner);
    if (!before_out->is_set) return;
    int openmp = omp_get_max_threads();
    if (loom_blas_begin(inner, &before_out->blas)) omp_set_num_threads(openmp); /* OpenBLAS may have set it too */
}

void loom_inner_threads_end(struct loom_inner_of_call *before)
{
    if (!before->is_set) return;
    int openmp = omp_get_max_threads();
    if (loom_blas_end(&before->blas)) omp_set_num_threads(openmp);
    before->is_set = false;
}

/* Regions inside tasks of a team are off by default. Where the user says how deep they may go, that holds. */
static int allow_regions(int threads)
{
    int active = omp_get_active_level(), most = omp_get_max_active_levels();
    bool is_needed = threads > 1 && active >= most;
    if (!is_needed || getenv("OMP_MAX_ACTIVE_LEVELS") != NULL || getenv("OMP_NESTED") != NULL) return -1;
    omp_set_max_active_levels(active + 1);
    return most;
}

void loom_inner_threads_enter(const struct loom_inner_threads *inner, const struct loom_inner_of_call *call,
                              struct loom_inner_of_thread *before_out)
{
    before_out->is_set = call->is_set;
    if (!before_out->is_set) return;
    before_out->openmp = omp_get_max_threads();
    omp_set_num_threads(inner->count[LOOM_INNER_OPENMP]); /* of this implicit task only, or of the caller */
    before_out->active_levels = allow_regions(inner->count[LOOM_INNER_OPENMP]);
    loom_blas_enter(inner, &call->blas, &before_out->blas);
}

void loom_inner_threads_leave(struct loom_inner_of_thread *before)
{
    if (!before->is_set) return;
    loom_blas_leave(&before->blas);
    if (before->active_levels >= 0) omp_set_max_active_levels(before->active_levels);
    omp_set_num_threads(before->openmp);
}

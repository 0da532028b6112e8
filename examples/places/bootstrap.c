/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bootstrap.c - one task is one replicate: draw n places, walk over all pairs, write one row.
 *
 * A place drawn m times counts m times, so the pair (i, j) stands m_i * m_j times in the replicate. Copies of one place
 * are no pairs: at distance 0 they would look like the tightest of clusters. What is left are n^2 - sum of m_i^2
 * ordered pairs of different places.
 */
#include "bootstrap.h"

#include <stdlib.h>
#include <string.h>

/* What a replicate needs besides the pairs. Small, so it travels with the call. */
struct plan {
    size_t n;
    double area;
    uint64_t seed;
    size_t first[RIPLEY_CLASSES + 1];
};

/* Fills times[0 .. n-1] with how often each place was drawn; returns the number of ordered pairs left. */
static double draw_places(struct stream *stream, uint32_t *times, size_t n)
{
    memset(times, 0, n * sizeof times[0]);
    for (size_t k = 0; k < n; k++) times[stream_below(stream, (uint32_t)n)]++;
    double with_itself = 0;
    for (size_t k = 0; k < n; k++) with_itself += (double)times[k] * times[k];
    return (double)n * (double)n - with_itself;
}

/* Four sums at a time: each addition waits for the one before it, and four such queues are served side by side. The
 * order is part of the result, which therefore has the same bits wherever it is computed. */
static double sum_class(const struct pair *pairs, size_t begin, size_t end, const uint32_t *times)
{
    double sums[4] = { 0 };
    size_t p = begin;
    for (; p + 4 <= end; p += 4) {
        for (size_t k = 0; k < 4; k++) {
            const struct pair *pair = &pairs[p + k];
            sums[k] += (int)(times[pair->i] * times[pair->j]) * pair->weight;
        }
    }
    for (; p < end; p++) sums[0] += (int)(times[pairs[p].i] * times[pairs[p].j]) * pairs[p].weight;
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

static void walk_pairs(const struct pair *pairs, const struct plan *plan, const uint32_t *times, double ordered_pairs,
                       double *row_out)
{
    double sums[RIPLEY_CLASSES];
    for (size_t k = 0; k < RIPLEY_CLASSES; k++) sums[k] = sum_class(pairs, plan->first[k], plan->first[k + 1], times);
    ripley_from_sums(sums, plan->area, ordered_pairs, row_out);
}

static int replicate(const parloom_task *task, void *const *args)
{
    const struct pair *pairs = args[0];
    const struct plan *plan = args[1];
    const parloom_array *rows = args[2];
    uint32_t *times = parloom_scratch(task, plan->n * sizeof *times);
    if (!times) return parloom_fail(task, 1, "no memory for the multiplicities of %zu places", plan->n);

    struct stream stream = stream_open(plan->seed, STREAM_BOOTSTRAP, (uint32_t)task->index);
    double ordered_pairs = draw_places(&stream, times, plan->n);
    walk_pairs(pairs, plan, times, ordered_pairs, (double *)rows->data + task->index * RIPLEY_CLASSES);
    return 0;
}

static struct plan plan_for(const struct pair_list *pairs, size_t n, double area, uint64_t seed)
{
    struct plan plan = { .n = n, .area = area, .seed = seed };
    memcpy(plan.first, pairs->first, sizeof plan.first);
    return plan;
}

parloom_status bootstrap_run(const parloom_array *rows, const struct pair_list *pairs, size_t n, double area,
                             uint64_t seed, const parloom_options *options, parloom_error *error)
{
    struct plan plan = plan_for(pairs, n, area, seed);
    parloom_arg args[] = {
        parloom_in(pairs->items, pairs_nbytes(pairs)), /* private and large: spilled once, mapped by each worker */
        parloom_in(&plan, sizeof plan), parloom_out_array(rows), /* shared: each task writes its row in place */
    };
    return parloom_for(rows->shape[0], replicate, args, 3, options, error);
}

bool bootstrap_of_data(const struct pair_list *pairs, size_t n, double area, double row_out[RIPLEY_CLASSES])
{
    struct plan plan = plan_for(pairs, n, area, 0);
    uint32_t *once = malloc(n * sizeof *once);
    if (!once) return false;
    for (size_t k = 0; k < n; k++) once[k] = 1;
    walk_pairs(pairs->items, &plan, once, (double)n * ((double)n - 1), row_out);
    free(once);
    return true;
}

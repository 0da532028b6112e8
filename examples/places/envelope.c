/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * envelope.c - one task is one simulation: throw n points, sort them into a grid, measure L(r) - r, write one row.
 */
#include "envelope.h"

struct throw
{
    size_t n;
    uint64_t seed;
};

static int simulate(const parloom_task *task, void *const *args)
{
    const struct window *window = args[0];
    const struct throw *throw = args[1];
    const parloom_array *rows = args[2];
    /* Scratch is kept from task to task of a worker: no task but the first waits for fresh pages. */
    struct point *points = parloom_scratch(task, throw->n * sizeof *points + grid_nbytes(window, throw->n));
    if (!points) return parloom_fail(task, 1, "no memory for %zu random points", throw->n);

    struct stream stream = stream_open(throw->seed, STREAM_ENVELOPE, (uint32_t)task->index);
    for (size_t k = 0; k < throw->n; k++) points[k] = window_draw(window, &stream);
    struct grid grid = grid_build(window, points, throw->n, points + throw->n);
    ripley_of_grid(window, &grid, (double *)rows->data + task->index * RIPLEY_CLASSES);
    return 0;
}

parloom_status envelope_run(const parloom_array *rows, const struct window *window, size_t n, uint64_t seed,
                            const parloom_options *options, parloom_error *error)
{
    struct throw throw = { n, seed };
    parloom_arg args[] = {
        parloom_in(window, window_nbytes(window)),
        parloom_in(&throw, sizeof throw),
        parloom_out_array(rows),
    };
    return parloom_for(rows->shape[0], simulate, args, 3, options, error);
}

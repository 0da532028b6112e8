/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * letter.c - tickets: how a call is cut, and which tasks a ticket stands for.
 *
 * Auto: at most 65 536 tickets of equal size; workers take several at once, as many as fit the time a chunk should
 * last. Given a batch_size, a ticket is a batch (several, where there would be more than 4 million). Reductions: a
 * ticket is a block. Static without a batch_size: one ticket for each worker.
 */
#include "backends/letter.h"

enum { MOST_AUTO_TICKETS = 1 << 16, MOST_TICKETS = 1 << 22 };

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

/* A worker is replaced between two tickets. */
static uint64_t finer(const struct loom_run *run)
{
    uint64_t least = divide_up(run->n, MOST_TICKETS);
    return least > run->fresh_worker_every ? least : run->fresh_worker_every;
}

void loom_letter_cut(const struct loom_run *run, uint64_t *tickets_out, uint64_t *grain_out, bool *is_auto_out)
{
    uint64_t grain = 1;
    *is_auto_out = false;
    if (run->block_size > 0) {
        grain = run->block_size;
    } else if (run->batch_size > 0) {
        uint64_t batches = divide_up(run->n, run->batch_size);
        grain = run->batch_size * divide_up(batches, MOST_TICKETS);
    } else if (run->is_static) {
        grain = divide_up(run->n, (uint64_t)run->n_jobs);
    } else {
        grain = divide_up(run->n, MOST_AUTO_TICKETS);
        if (run->fresh_worker_every > 0 && grain > run->fresh_worker_every) grain = finer(run);
        *is_auto_out = true;
    }
    *grain_out = grain > 0 ? grain : 1; /* a lane has no tasks of its own */
    *tickets_out = divide_up(run->n, *grain_out);
}

static const struct loom_repair *repairs_of(const struct loom_letter *letter)
{
    return (const struct loom_repair *)(uintptr_t)letter->repairs;
}

uint64_t loom_letter_begin(const struct loom_letter *letter, uint64_t ticket)
{
    if (letter->repairs != 0) return repairs_of(letter)[ticket].begin;
    return ticket * letter->grain;
}

uint64_t loom_letter_end(const struct loom_letter *letter, uint64_t ticket)
{
    if (letter->repairs != 0) return repairs_of(letter)[ticket].end;
    return letter->n - ticket * letter->grain < letter->grain ? letter->n : (ticket + 1) * letter->grain;
}

uint64_t loom_letter_ticket_of(const struct loom_letter *letter, uint64_t task)
{
    if (task >= letter->n) return letter->tickets;
    if (letter->repairs == 0) return task / letter->grain;
    uint64_t low = 0, high = letter->tickets;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (repairs_of(letter)[middle].end <= task)
            low = middle + 1;
        else
            high = middle;
    }
    return low < letter->tickets && repairs_of(letter)[low].begin <= task ? low : letter->tickets;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* retire.c - idle workers and grown ones end by themselves (see retire.h). */
#include "backends/retire.h"

#include "base/clock.h"
#include "base/process.h"

#include <stdio.h>
#include <unistd.h>

#define LOOK_NS UINT64_C(10000000) /* between two looks at the memory, which cost about 10 us each */

void loom_retire_begin(struct loom_retire *retire, struct loom_board_shared *board, struct loom_seat_shared *seat)
{
    *retire = (struct loom_retire){ .board = board, .seat = seat, .worked_ns = loom_clock_ns() };
}

static __attribute__((noreturn)) void end(void)
{
    (void)fflush(stdout);
    _exit(0);
}

static void say_so(struct loom_retire *retire, uint64_t growth_nbytes)
{
    loom_store_relaxed(&retire->seat->code, (int32_t)(growth_nbytes >> 20)); /* relaxed: ordered by state */
    loom_store_relaxed(&retire->seat->exited, 1); /* with 0, where wait is lost; relaxed: ordered by state */
    loom_store_full(&retire->seat->state,
                    LOOM_SEAT_RETIRED); /* before the last look at the bell; pairs with the crew */
}

static uint64_t deadline(const struct loom_retire *retire)
{
    uint64_t idle_ns = loom_load_relaxed(&retire->board->idle_ns); /* relaxed: changes come with a ring */
    if (idle_ns == 0 || idle_ns > LOOM_NEVER_NS - 1 - retire->worked_ns) return LOOM_NEVER_NS;
    return retire->worked_ns + idle_ns;
}

void loom_retire_await_bell(struct loom_retire *retire, uint32_t seen)
{
    if (loom_board_await_bell(retire->board, seen, deadline(retire))) return;
    say_so(retire, 0);
    if (loom_load_full(&retire->board->bell) == seen) end(); /* rung from now on: the death tells the program */
    loom_store_relaxed(&retire->seat->exited, 0);
    loom_store_full(&retire->seat->state, LOOM_SEAT_READY);
}

bool loom_retire_is_watched(const struct loom_retire *retire)
{
    return loom_load_relaxed(&retire->board->growth_nbytes) != 0; /* relaxed: ordered by the call */
}

/* What it holds for itself: pages that others see too are not its growth. */
static bool look(struct loom_retire *retire)
{
    uint64_t most = loom_load_relaxed(&retire->board->growth_nbytes); /* relaxed: ordered by the call */
    uint64_t now_nbytes = loom_process_private_nbytes();
    if (most == 0 || now_nbytes == 0) return false;
    if (retire->first_nbytes == 0) retire->first_nbytes = now_nbytes;
    uint64_t growth = now_nbytes > retire->first_nbytes ? now_nbytes - retire->first_nbytes : 0;
    if (growth > most) retire->growth_nbytes = growth;
    return retire->growth_nbytes > 0;
}

bool loom_retire_look(struct loom_retire *retire)
{
    uint64_t now_ns = loom_clock_ns();
    if (retire->growth_nbytes > 0 || now_ns < retire->next_look_ns) return retire->growth_nbytes > 0;
    retire->next_look_ns = now_ns + LOOK_NS;
    return look(retire);
}

void loom_retire_if_grown(struct loom_retire *retire)
{
    retire->worked_ns = loom_clock_ns();
    if (!loom_retire_is_watched(retire) || !look(retire)) return;
    say_so(retire, retire->growth_nbytes);
    end();
}

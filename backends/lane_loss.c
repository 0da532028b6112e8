/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lane_loss.c - what the death of a worker took of a lane: run again, or ended so (see lane_crew.h).
 *
 * Where tasks have a limit, each worker has the kernel kill it when one is past it (worker_clock.c): nobody in the
 * program has to watch. Such a death is told from others by when it came.
 */
#include "backends/lane_crew.h"

#include "backends/belt_work.h"
#include "backends/state.h"
#include "base/status.h"

#include <signal.h>
#include <sys/wait.h>

static struct loom_belt_place_shared *place_at(const struct loom_crew_lane *lane, uint32_t k)
{
    return &lane->belt->places[k];
}

/* The writer is dead. */
static bool was_run_by(const struct loom_crew_lane *lane, uint32_t k, uint32_t seat)
{
    if (lane->on_belt[k] == NULL) return false;
    uint64_t stage = loom_load_full(&place_at(lane, k)->stage); /* pairs with the worker's taking */
    bool is_in = LOOM_BELT_PHASE(stage) == LOOM_BELT_RUNNING || LOOM_BELT_PHASE(stage) == LOOM_BELT_WANTING;
    return is_in && LOOM_BELT_SEAT(stage) == seat;
}

/* ------------------------------------------------------------------- limits */

static bool has_timed_out(const struct loom_crew_lane *lane, uint32_t k, uint64_t ended_ns)
{
    uint64_t limit_ns = loom_load_relaxed(&place_at(lane, k)->limit_ns); /* relaxed: its writer is dead */
    return limit_ns > 0 && ended_ns >= limit_ns;
}

bool loom_crew_lanes_have_timed_out(const struct loom_crew *crew, uint32_t seat, const struct loom_death *death)
{
    bool is_killed = WIFSIGNALED(death->wait_status) && WTERMSIG(death->wait_status) == SIGKILL;
    if (!is_killed || death->oom_killed || death->ended_ns == 0) return false;
    for (uint32_t number = 0; number < LOOM_BOARD_BELTS; number++) {
        const struct loom_crew_lane *lane = crew->lanes[number];
        for (uint32_t k = 0; lane != NULL && k < LOOM_LANE_PLACES; k++)
            if (was_run_by(lane, k, seat)) return has_timed_out(lane, k, death->ended_ns);
    }
    return false;
}

/* ------------------------------------------------------------------- losses */

static bool is_retried(const struct loom_crew_lane *lane, const struct loom_parcel *parcel,
                       const struct loom_death *death)
{
    return death->status != PARLOOM_ERR_TIMEOUT && parcel->attempt < lane->order.run->retries &&
           !parcel->is_cancelled && !lane->is_closing; /* refused: it waits until the closing */
}

static void retry(struct loom_crew_lane *lane, struct loom_parcel *parcel)
{
    parcel->attempt++;
    lane->order.run->tally->retried++;
    loom_records_release(&parcel->records); /* of several attempts the last one counts */
    loom_parcel_push(&lane->waiting, parcel);
}

/* It died in its body, or before: in a function that was to apply a state. */
static void describe(const struct loom_crew_lane *lane, struct loom_parcel *parcel, uint32_t seat,
                     const struct loom_death *death)
{
    struct loom_loss loss = {
        lane->crew, seat, (int)seat, parcel->index, parcel->index + 1, 0, parcel->work.body, death
    };
    parcel->status = death->status;
    if (parcel->status == PARLOOM_ERR_CALLBACK)
        (void)loom_state_is_to_blame(lane->crew, seat, death->wait_status, death->pid, &parcel->error);
    else
        loom_loss_describe(&loss, &parcel->error);
    if (lane->is_refused && lane->refusal.status == PARLOOM_ERR_CANCELLED) { /* killed by who refused */
        parcel->error = lane->refusal;
        parcel->status = PARLOOM_ERR_CANCELLED;
    }
    parcel->error.attempt = parcel->attempt;
    parcel->error.task = parcel->index;
}

static void lose(struct loom_crew_lane *lane, uint32_t k, uint32_t seat, const struct loom_death *death)
{
    struct loom_parcel *parcel = lane->on_belt[k];
    parloom_error error;
    struct loom_death how = *death;
    bool is_to_blame = loom_state_is_to_blame(lane->crew, seat, death->wait_status, death->pid, &error);
    if (is_to_blame) how.status = PARLOOM_ERR_CALLBACK;
    loom_lane_take_log(lane, k, seat);
    loom_belt_work_read(parcel, place_at(lane, k), (int)seat, death->pid); /* what it had returned */
    parcel->seconds = 0;
    (void)loom_lane_take_off(lane, k);
    if (!is_to_blame && is_retried(lane, parcel, death)) {
        retry(lane, parcel);
        return;
    }
    describe(lane, parcel, seat, &how);
    loom_lane_end(lane, parcel);
}

void loom_lane_harvest(struct loom_crew_lane *lane, uint32_t seat, const struct loom_death *death)
{
    bool is_retired = death->status == PARLOOM_OK; /* it is at no belt any more */
    if (seat >= (uint32_t)lane->order.run->n_jobs) return;
    if (!is_retired) lane->order.run->tally->workers_lost++;
    loom_lane_collect(lane); /* what it had finished */
    for (uint32_t k = 0; k < LOOM_LANE_PLACES; k++)
        if (was_run_by(lane, k, seat)) lose(lane, k, seat, death);
    loom_lane_fill_belt(lane);
}

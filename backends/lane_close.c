/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lane_close.c - the end of a lane on worker processes (see lane_crew.h).
 *
 * Nobody enters a belt that is off the board: a worker says that it comes in, then looks at the board again; the
 * program takes the belt off, then looks who is in. Both full: at least one sees the other.
 */
#include "backends/lane_crew.h"

#include "backends/catch.h"
#include "backends/dispatch.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/stop.h"
#include "shm/arena.h"

#include <stdlib.h>

#define GRACE_NS UINT64_C(10000000) /* for bodies that look at parloom_cancelled */
#define LOOK_NS  UINT64_C(1000000)
#define STUCK_NS UINT64_C(1000000000) /* for who has no body to end and only has to find its way out */

/* ----------------------------------------------------------------- closing */

struct visitor {
    const struct loom_crew_lane *lane;
    uint32_t seat;
};

static bool is_inside(const void *state)
{
    const struct visitor *visitor = state;
    struct loom_crew *crew = visitor->lane->crew;
    if (crew->seats[visitor->seat].state == LOOM_CREW_EMPTY) return false;
    /* full: after the belt was taken off the board; pairs with the worker's entering */
    return loom_load_full(&loom_board_seat(crew->board, visitor->seat)->visit) == visitor->lane->number + 1;
}

static bool has_visitors(const struct loom_crew_lane *lane)
{
    for (uint32_t seat = 0; seat < (uint32_t)lane->order.run->n_jobs; seat++) {
        struct visitor visitor = { lane, seat };
        if (is_inside(&visitor)) return true;
    }
    return false;
}

/* It is in a body, or in what belongs to it. */
static bool is_busy(const void *state)
{
    const struct visitor *visitor = state;
    if (!is_inside(visitor)) return false;
    for (uint32_t k = 0; k < LOOM_LANE_PLACES; k++) {
        uint64_t stage = loom_load_full(&visitor->lane->belt->places[k].stage); /* pairs with taking and ending */
        enum loom_belt_phase phase = LOOM_BELT_PHASE(stage);
        bool is_taken = phase == LOOM_BELT_RUNNING || phase == LOOM_BELT_WANTING;
        if (is_taken && LOOM_BELT_SEAT(stage) == visitor->seat) return true;
    }
    return false;
}

static void kill_visitors(struct loom_crew_lane *lane, bool (*is_guilty)(const void *state))
{
    for (uint32_t seat = 0; seat < (uint32_t)lane->order.run->n_jobs; seat++) {
        struct visitor visitor = { lane, seat };
        if (is_guilty(&visitor)) loom_catch(lane->crew, seat, is_guilty, &visitor);
    }
}

static void await_visitors(struct loom_crew_lane *lane)
{
    uint64_t grace_ns = loom_clock_ns() + GRACE_NS;
    while (has_visitors(lane)) {
        uint64_t now = loom_clock_ns();
        if (now >= grace_ns) kill_visitors(lane, now >= grace_ns + STUCK_NS ? is_inside : is_busy);
        loom_lane_sleep(lane, now + LOOK_NS);
        loom_crew_settle_events(lane->crew);
        loom_lane_collect(lane);
    }
}

/* What has not begun comes back; bodies that run are told. */
static void stop_work(struct loom_crew_lane *lane, struct loom_parcel_queue *back)
{
    struct loom_parcel *parcel;
    lane->is_closing = true;
    loom_store_full(&lane->crew->board->belts[lane->number], 0); /* full: before the look at visits */
    loom_store_full(&lane->belt->stop_before, 0);                /* full: pairs with nothing, seen soon */
    for (uint32_t k = 0; k < LOOM_LANE_PLACES; k++) {
        parcel = lane->on_belt[k];
        if (parcel != NULL && loom_lane_recall(lane, parcel)) loom_parcel_push(back, parcel);
    }
    while ((parcel = loom_parcel_pop(&lane->waiting)) != NULL) loom_parcel_push(back, parcel);
}

static void drop_all(struct loom_crew_lane *lane, struct loom_parcel_queue *queue, bool has_ended)
{
    struct loom_parcel *parcel;
    while ((parcel = loom_parcel_pop(queue)) != NULL) {
        if (!has_ended) parcel->status = PARLOOM_ERR_CANCELLED;
        loom_lane_let_go(lane, parcel);
        lane->order.drop(parcel, lane->order.state);
    }
}

void loom_lane_destroy(struct loom_crew_lane *lane)
{
    if (lane->belt != NULL) loom_arena_free(loom_arena_public(NULL), lane->belt);
    loom_letter_free(lane->crew, lane->letter);
    loom_lane_free_rooms(lane);
    free(lane);
}

void loom_lane_close(struct loom_lane *base)
{
    struct loom_crew_lane *lane = (struct loom_crew_lane *)base; /* its first member */
    struct loom_crew *crew = lane->crew;
    struct loom_parcel_queue back = { NULL, NULL };
    struct loom_lane_order order = lane->order;
    void (*closed)(void *state) = lane->closed;
    void *closed_state = lane->closed_state;
    for (int k = 0; k < 2; k++) loom_stop_unwatch(lane->watched[k]);
    pthread_mutex_lock(&crew->lock);
    stop_work(lane, &back);
    await_visitors(lane);
    loom_lane_collect(lane);
    for (uint32_t k = 0; k < LOOM_LANE_PLACES; k++) /* lost without a death that was seen: its supervisor is gone */
        if (lane->on_belt[k] != NULL) loom_parcel_push(&back, loom_lane_take_off(lane, k));
    crew->lanes[lane->number] = NULL;
    crew->lanes_ended += lane->n_ended;
    drop_all(lane, &back, false);
    drop_all(lane, &lane->ended, true);
    loom_lane_destroy(lane);
    pthread_mutex_unlock(&crew->lock);
    if (closed != NULL) closed(closed_state);
    order.end(order.state);
}

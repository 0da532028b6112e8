/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lane_crew.c - a lane on worker processes: open, post, await (see lane_crew.h).
 *
 * Path        letter of the call, place, ticket, bell; worker; collect: status, result; room and letter are given back.
 */
#include "backends/lane_crew.h"

#include "backends/catch.h"
#include "backends/dispatch.h"
#include "backends/shift.h"
#include "backends/watch.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/stop.h"
#include "base/topology.h"
#include "shm/arena.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define LIMIT_LOOK_NS UINT64_C(10000000)

static struct loom_crew_lane *as_crew_lane(struct loom_lane *lane)
{
    return (struct loom_crew_lane *)lane; /* its first member */
}

static int bell_of(const struct loom_crew_lane *lane)
{
    return lane->crew->bell_fds[LOOM_BOARD_SLOTS + lane->number];
}

/* -------------------------------------------------- what the crew asks of all */

static void ring(const struct loom_crew_lane *lane)
{
    uint64_t one = 1;
    ssize_t written = write(bell_of(lane), &one, sizeof one);
    (void)written; /* full counter: it is rung already */
}

void loom_crew_lanes_ring(struct loom_crew *crew)
{
    for (uint32_t k = 0; k < LOOM_BOARD_BELTS; k++)
        if (crew->lanes[k] != NULL) ring(crew->lanes[k]);
}

void loom_crew_lanes_harvest(struct loom_crew *crew, uint32_t seat, const struct loom_death *death)
{
    for (uint32_t k = 0; k < LOOM_BOARD_BELTS; k++)
        if (crew->lanes[k] != NULL) loom_lane_harvest(crew->lanes[k], seat, death);
    loom_crew_lanes_ring(crew);
}

void loom_crew_lanes_refuse(struct loom_crew *crew, const parloom_error *error)
{
    for (uint32_t k = 0; k < LOOM_BOARD_BELTS; k++) {
        struct loom_crew_lane *lane = crew->lanes[k];
        if (lane == NULL) continue;
        if (!lane->is_refused) lane->refusal = *error;
        lane->is_refused = true;
        ring(lane);
    }
}

bool loom_crew_lanes_want(struct loom_crew *crew, uint32_t seat, bool was_started)
{
    bool is_wanted = false;
    for (uint32_t k = 0; k < LOOM_BOARD_BELTS; k++) {
        struct loom_crew_lane *lane = crew->lanes[k];
        if (lane == NULL || lane->is_refused || lane->is_closing || seat >= (uint32_t)lane->order.run->n_jobs) continue;
        if (was_started) lane->order.run->tally->workers_started++;
        is_wanted = true;
    }
    return is_wanted;
}

int loom_crew_lanes_jobs(const struct loom_crew *crew)
{
    int most = 0;
    for (uint32_t k = 0; k < LOOM_BOARD_BELTS; k++) {
        const struct loom_crew_lane *lane = crew->lanes[k];
        if (lane == NULL || lane->is_refused || lane->is_closing) continue;
        if (lane->order.run->n_jobs > most) most = lane->order.run->n_jobs;
    }
    return most;
}

uint64_t loom_crew_lanes_ended(const struct loom_crew *crew)
{
    uint64_t ended = crew->lanes_ended;
    for (uint32_t k = 0; k < LOOM_BOARD_BELTS; k++)
        if (crew->lanes[k] != NULL) ended += crew->lanes[k]->n_ended;
    return ended;
}

void loom_crew_lanes_serve(struct loom_crew *crew)
{
    for (uint32_t k = 0; k < LOOM_BOARD_BELTS; k++)
        if (crew->lanes[k] != NULL) loom_lane_collect(crew->lanes[k]);
}

/* ------------------------------------------------------------------ limits */

static struct loom_belt_place_shared *place_at(const struct loom_crew_lane *lane, uint32_t k)
{
    return &lane->belt->places[k];
}

/* Under the lock: a call that is run again has another. */
static uint32_t place_of(const struct loom_parcel *parcel)
{
    return (uint32_t)(parcel->ticket % LOOM_LANE_PLACES);
}

struct suspect {
    struct loom_belt_place_shared *place;
    uint64_t stage; /* as it was seen */
};

static bool is_still_there(const void *state)
{
    const struct suspect *suspect = state;
    return loom_load_full(&suspect->place->stage) == suspect->stage; /* it is stopped, or wrote on */
}

static bool is_taken(uint64_t stage)
{
    return LOOM_BELT_PHASE(stage) == LOOM_BELT_RUNNING || LOOM_BELT_PHASE(stage) == LOOM_BELT_WANTING;
}

static void watch_place(struct loom_crew_lane *lane, uint32_t k, uint64_t now)
{
    struct suspect suspect = { place_at(lane, k), loom_load_full(&place_at(lane, k)->stage) };
    enum loom_belt_phase phase = LOOM_BELT_PHASE(suspect.stage);
    uint64_t started_ns = loom_load_relaxed(&suspect.place->started_ns); /* relaxed: limits only */
    uint32_t seat = LOOM_BELT_SEAT(suspect.stage);
    if (phase != LOOM_BELT_RUNNING || started_ns == 0 || seat >= lane->crew->n_seats) return;
    if (now < started_ns || now - started_ns < lane->order.run->task_timeout_ns) return;
    loom_catch(lane->crew, seat, is_still_there, &suspect);
}

/* The closing may be long in coming. Needs no lock. */
static void stop_bodies(struct loom_crew_lane *lane)
{
    loom_store_full(&lane->belt->stop_before, 0); /* full: pairs with nothing, seen soon */
}

static parloom_status watch(struct loom_crew_lane *lane, uint64_t now, parloom_error *error)
{
    const struct loom_run *run = lane->order.run;
    if (lane->is_refused) {
        *error = lane->refusal;
        return error->status;
    }
    parloom_status status = loom_lane_look_for_end(run, error);
    if (status != PARLOOM_OK) {
        stop_bodies(lane);
        return status;
    }
    for (uint32_t k = 0; run->task_timeout_ns > 0 && k < LOOM_LANE_PLACES; k++)
        if (lane->on_belt[k] != NULL) watch_place(lane, k, now);
    return PARLOOM_OK;
}

static uint64_t next_look(const struct loom_crew_lane *lane, uint64_t now, uint64_t until_ns)
{
    const struct loom_run *run = lane->order.run;
    uint64_t next = run->deadline_ns < until_ns ? run->deadline_ns : until_ns;
    if (loom_shift_run_is_stoppable(run) && now + LOOM_WATCH_STOP_NS < next) next = now + LOOM_WATCH_STOP_NS;
    if (run->task_timeout_ns > 0 && now + LIMIT_LOOK_NS < next) next = now + LIMIT_LOOK_NS;
    return next;
}

/* The crew's lock is let go meanwhile. */
void loom_lane_sleep(struct loom_crew_lane *lane, uint64_t until_ns)
{
    struct loom_crew *crew = lane->crew;
    struct pollfd watched[2] = { { .fd = bell_of(lane), .events = POLLIN },
                                 { .fd = crew->event_fd, .events = POLLIN } };
    uint64_t rung;
    pthread_mutex_unlock(&crew->lock);
    (void)poll(watched, 2, loom_clock_poll_ms(until_ns));                                 /* EINTR: looks again */
    if (watched[0].revents != 0 && read(watched[0].fd, &rung, sizeof rung) < 0) rung = 0; /* somebody took it */
    pthread_mutex_lock(&crew->lock);
}

/* full: before the last look; pairs with loom_belt_end */
static void sleep_unless_news(struct loom_crew_lane *lane, uint64_t until_ns)
{
    loom_store_full(&lane->belt->is_awaited, 1);
    if (!loom_lane_has_news(lane)) loom_lane_sleep(lane, until_ns);
    loom_store_relaxed(&lane->belt->is_awaited, 0); /* relaxed: a bell too many is looked at in vain */
}

/* ----------------------------------------------------------------- the ops */

static parloom_status post(struct loom_lane *base, struct loom_parcel *parcel, parloom_error *error)
{
    struct loom_crew_lane *lane = as_crew_lane(base);
    parloom_status status = PARLOOM_OK;
    pthread_mutex_lock(&lane->crew->lock);
    parcel->attempt = 0;
    parcel->is_cancelled = parcel->has_begun = false;
    parcel->room = (struct loom_room){ NULL, 0 };
    parcel->letter = NULL;
    if (lane->is_refused) {
        *error = lane->refusal;
        status = error->status;
    }
    if (status == PARLOOM_OK) parcel->letter = loom_lane_spare_letter(lane);
    if (status == PARLOOM_OK) status = loom_letter_write_parcel(lane->crew, lane->order.run, parcel, error);
    if (status == PARLOOM_OK) {
        loom_parcel_push(&lane->waiting, parcel);
        loom_lane_fill_belt(lane);
    }
    pthread_mutex_unlock(&lane->crew->lock);
    return status;
}

static bool is_done_for_now(struct loom_crew_lane *lane, struct loom_parcel **parcel_out)
{
    loom_crew_settle_events(lane->crew);
    loom_lane_collect(lane);
    loom_lane_fill_belt(lane);
    *parcel_out = loom_parcel_pop(&lane->ended);
    return *parcel_out != NULL || (lane->n_on_belt == 0 && lane->waiting.first == NULL);
}

static parloom_status await(struct loom_lane *base, uint64_t until_ns, struct loom_parcel **parcel_out,
                            parloom_error *error)
{
    struct loom_crew_lane *lane = as_crew_lane(base);
    parloom_status status = PARLOOM_OK;
    pthread_mutex_lock(&lane->crew->lock);
    *parcel_out = loom_parcel_pop(&lane->ended);
    while (*parcel_out == NULL && !is_done_for_now(lane, parcel_out)) {
        uint64_t now = loom_clock_ns();
        status = watch(lane, now, error);
        if (status != PARLOOM_OK || now >= until_ns || lane->is_woken) break;
        sleep_unless_news(lane, next_look(lane, now, until_ns));
    }
    lane->is_woken = false;
    pthread_mutex_unlock(&lane->crew->lock);
    return status;
}

static bool recall(struct loom_lane *base, struct loom_parcel *parcel)
{
    struct loom_crew_lane *lane = as_crew_lane(base);
    pthread_mutex_lock(&lane->crew->lock);
    bool is_back = loom_lane_recall(lane, parcel);
    pthread_mutex_unlock(&lane->crew->lock);
    return is_back;
}

static bool has_begun(struct loom_lane *base, struct loom_parcel *parcel)
{
    struct loom_crew_lane *lane = as_crew_lane(base);
    pthread_mutex_lock(&lane->crew->lock);
    uint32_t k = place_of(parcel);
    /* full: as collect does */
    bool has = parcel->has_begun || (lane->on_belt[k] == parcel &&
                                     LOOM_BELT_PHASE(loom_load_full(&place_at(lane, k)->stage)) != LOOM_BELT_POSTED);
    pthread_mutex_unlock(&lane->crew->lock);
    return has;
}

static bool is_still_in(const void *state)
{
    const struct suspect *suspect = state;
    uint64_t stage = loom_load_full(&suspect->place->stage); /* it is stopped, or wrote on */
    return is_taken(stage) && LOOM_BELT_TICKET(stage) == LOOM_BELT_TICKET(suspect->stage);
}

static void end_in_time(struct loom_crew_lane *lane, struct loom_parcel *parcel)
{
    parcel->status = loom_status_fail(&parcel->error, PARLOOM_ERR_TIMEOUT, 0,
                                      "task %zu was past its limit before it was run again", parcel->index);
    parcel->error.task = parcel->index;
    parcel->error.attempt = parcel->attempt;
    parcel->returned_nbytes = LOOM_PARCEL_NOTHING;
    loom_lane_end(lane, parcel);
    ring(lane);
}

static void catch_runner(struct loom_crew_lane *lane, struct loom_parcel *parcel)
{
    uint32_t k = place_of(parcel);
    struct suspect suspect = { place_at(lane, k), loom_load_full(&place_at(lane, k)->stage) }; /* full: as collect */
    if (lane->on_belt[k] == parcel && is_taken(suspect.stage) && LOOM_BELT_SEAT(suspect.stage) < lane->crew->n_seats)
        loom_catch(lane->crew, LOOM_BELT_SEAT(suspect.stage), is_still_in, &suspect);
}

/* Who ran it may have died since its owner looked: then it waits to be run again, and nobody would end it. */
static bool expire(struct loom_lane *base, struct loom_parcel *parcel)
{
    struct loom_crew_lane *lane = as_crew_lane(base);
    pthread_mutex_lock(&lane->crew->lock);
    parcel->is_cancelled = true;
    if (!parcel->has_begun && loom_lane_recall(lane, parcel))
        end_in_time(lane, parcel);
    else
        catch_runner(lane, parcel);
    pthread_mutex_unlock(&lane->crew->lock);
    return true;
}

static void stop(struct loom_lane *base)
{
    stop_bodies(as_crew_lane(base));
}

static void wake(struct loom_lane *base)
{
    struct loom_crew_lane *lane = as_crew_lane(base);
    pthread_mutex_lock(&lane->crew->lock);
    lane->is_woken = true;
    ring(lane);
    pthread_mutex_unlock(&lane->crew->lock);
}

static void release(struct loom_lane *base, struct loom_parcel *parcel)
{
    struct loom_crew_lane *lane = as_crew_lane(base);
    pthread_mutex_lock(&lane->crew->lock);
    loom_lane_let_go(lane, parcel);
    pthread_mutex_unlock(&lane->crew->lock);
}

static const struct loom_lane_ops ops = {
    post, await, recall, has_begun, expire, stop, wake, release, loom_lane_close
};

/* ----------------------------------------------------------------- opening */

static parloom_status make_belt(struct loom_crew_lane *lane, parloom_error *error)
{
    const struct loom_run *run = lane->order.run;
    if (run->channels != NULL || run->checks_globals) lane->log_nbytes = LOOM_LANE_LOG_BYTES;
    struct loom_arena *arena = loom_arena_public(error);
    void *memory =
        arena != NULL ? loom_arena_allocate(arena, loom_belt_nbytes(LOOM_LANE_PLACES, lane->log_nbytes), 0, true, error)
                      : NULL;
    if (memory == NULL) return error->status;
    lane->belt = loom_belt_init(memory, LOOM_LANE_PLACES, lane->log_nbytes, (uint32_t)run->n_jobs);
    parloom_status status = loom_letter_write_lane(lane->crew, run, &lane->letter, error);
    lane->belt->letter = (uint64_t)(uintptr_t)lane->letter;
    return status;
}

static parloom_status take_number(struct loom_crew_lane *lane, parloom_error *error)
{
    for (uint32_t k = 0; k < LOOM_BOARD_BELTS; k++) {
        if (lane->crew->lanes[k] != NULL) continue;
        lane->number = k;
        lane->crew->lanes[k] = lane;
        return PARLOOM_OK;
    }
    return loom_status_fail(
        error, PARLOOM_ERR_LIMIT, 0,
        "%d streams, or sets of options of futures, are open on these workers: end one, or use another "
        "pool",
        LOOM_BOARD_BELTS);
}

/* Under the lock, on the crew's first seats. */
static parloom_status put_on_board(struct loom_crew_lane *lane, parloom_error *error)
{
    struct loom_crew *crew = lane->crew;
    int n_jobs = lane->order.run->n_jobs;
    parloom_status status = take_number(lane, error);
    if (status != PARLOOM_OK) return status;
    if ((uint32_t)n_jobs > crew->n_jobs) crew->n_jobs = (uint32_t)n_jobs;
    crew->told_of_failed_start = false;
    loom_crew_settle_events(crew); /* deaths while nobody called */
    status = loom_crew_staff(crew, 0, n_jobs, lane->order.run->tally, error);
    if (status != PARLOOM_OK) {
        crew->lanes[lane->number] = NULL;
        return status;
    }
    /* relaxed: a hint */
    loom_store_relaxed(&crew->board->may_spin, (int)crew->n_jobs <= loom_topology_cpu_count(false));
    loom_store_relaxed(&crew->board->growth_nbytes, lane->order.run->growth_nbytes); /* relaxed: ordered by the belt */
    loom_store_full(&crew->board->belts[lane->number], (uint64_t)(uintptr_t)lane->belt); /* full: the belt */
    /* Bodies are told of a stop though nobody awaits them: it may lie in memory that they do not see. */
    lane->watched[0] = loom_stop_watch(lane->order.run->stop, &lane->belt->stop_before);
    lane->watched[1] = loom_stop_watch(lane->order.run->interrupt, &lane->belt->stop_before);
    return PARLOOM_OK;
}

parloom_status loom_crew_lane_open(struct loom_crew *crew, const struct loom_lane_order *order,
                                   void (*closed)(void *state), void *closed_state, struct loom_lane **lane_out,
                                   parloom_error *error)
{
    struct loom_crew_lane *lane = loom_memory_zeroed(1, sizeof *lane);
    if (lane == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a stream");
    lane->lane.ops = &ops;
    lane->order = *order;
    lane->crew = crew;
    lane->closed = closed;
    lane->closed_state = closed_state;
    pthread_mutex_lock(&crew->lock);
    parloom_status status = make_belt(lane, error);
    if (status == PARLOOM_OK) status = put_on_board(lane, error);
    if (status != PARLOOM_OK)
        loom_lane_destroy(lane);
    else
        *lane_out = &lane->lane;
    pthread_mutex_unlock(&crew->lock);
    return status;
}

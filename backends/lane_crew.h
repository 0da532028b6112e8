/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lane_crew.h - a lane whose workers are processes: parcels go over a belt (shm/belt.h), the crew settles deaths.
 *
 *   lane_crew.c    open, post, await; its limits; what the crew asks of all its lanes
 *   lane_belt.c    onto the belt and off it; room for results
 *   lane_log.c     what tasks recorded
 *   lane_loss.c    what a death took
 *   lane_close.c   nobody comes in, who is inside is told, then killed, before its memory goes
 *
 * Everything here is guarded by the crew's lock.
 */
#ifndef LOOM_BACKENDS_LANE_CREW_H
#define LOOM_BACKENDS_LANE_CREW_H

#include "backends/crew.h"
#include "backends/lane.h"
#include "backends/letter.h"
#include "backends/loss.h"
#include "shm/belt.h"

enum {
    LOOM_LANE_PLACES = 128,
    LOOM_LANE_LOG_BYTES =
        8192 /* of each place, where anything is recorded: a task that fills it waits for the program */
};

struct loom_crew_lane {
    struct loom_lane lane;
    struct loom_lane_order order;
    int watched[2]; /* the order's stop and interrupt (loom_stop_watch), while it is on the board */
    struct loom_crew *crew;
    void (*closed)(void *state);
    void *closed_state;
    uint32_t number;
    struct loom_letter *letter;
    struct loom_belt_shared *belt;
    uint32_t log_nbytes;
    struct loom_parcel *on_belt[LOOM_LANE_PLACES];
    uint32_t n_on_belt;
    uint64_t next_ticket;
    struct loom_parcel_queue waiting, ended;
    struct loom_room kept[LOOM_LANE_PLACES];
    size_t n_kept, usual_nbytes;
    struct loom_letter_parcel *spare[LOOM_LANE_PLACES]; /* letters of calls that are over */
    size_t n_spare;
    uint64_t n_ended;
    bool is_refused, is_closing, is_woken;
    parloom_error refusal;
};

/* closed, unless NULL, is called when the lane has let go of the crew. LIMIT: LOOM_BOARD_BELTS are open on it. */
parloom_status loom_crew_lane_open(struct loom_crew *crew, const struct loom_lane_order *order,
                                   void (*closed)(void *state), void *closed_state, struct loom_lane **lane_out,
                                   parloom_error *error);
/* Whether a worker ended by the clock that it sets for itself: what it ran of a lane was past its limit. */
bool loom_crew_lanes_have_timed_out(const struct loom_crew *crew, uint32_t seat, const struct loom_death *death);
/* A worker died: what it ran of any lane is lost, or run again. */
void loom_crew_lanes_harvest(struct loom_crew *crew, uint32_t seat, const struct loom_death *death);
void loom_crew_lanes_refuse(struct loom_crew *crew, const parloom_error *error);
void loom_crew_lanes_ring(struct loom_crew *crew);
/* Whether a lane needs a worker in that seat; counted as started if so and was_started. */
bool loom_crew_lanes_want(struct loom_crew *crew, uint32_t seat, bool was_started);
/* The most workers a lane that goes on needs; 0: none does. */
int loom_crew_lanes_jobs(const struct loom_crew *crew);
uint64_t loom_crew_lanes_ended(const struct loom_crew *crew); /* calls, as a sign of progress */
/* Workers that wait for room: whoever waits for the crew gives it, since their own consumer may be waiting in a loop.
 */
void loom_crew_lanes_serve(struct loom_crew *crew);

/* ---- among the files of lanes */

/* Puts on the belt what waits, as far as there are places. */
void loom_lane_fill_belt(struct loom_crew_lane *lane);
/* Takes what has ended, and answers who wants room. */
void loom_lane_collect(struct loom_crew_lane *lane);
bool loom_lane_has_news(const struct loom_crew_lane *lane); /* something that collect would see */
/* Takes a parcel back that has not begun. */
bool loom_lane_recall(struct loom_crew_lane *lane, struct loom_parcel *parcel);
/* The one on place k, whatever became of it; NULL: the place is free. */
struct loom_parcel *loom_lane_take_off(struct loom_crew_lane *lane, uint32_t k);
/* The parcel on place k has ended. */
void loom_lane_end(struct loom_crew_lane *lane, struct loom_parcel *parcel);
/* Takes what the worker of place k has logged; it may be dead. */
void loom_lane_take_log(struct loom_crew_lane *lane, uint32_t k, uint32_t seat);
void loom_lane_harvest(struct loom_crew_lane *lane, uint32_t seat, const struct loom_death *death);
/* Takes back letter and room of a parcel. */
void loom_lane_let_go(struct loom_crew_lane *lane, struct loom_parcel *parcel);
struct loom_letter_parcel *loom_lane_spare_letter(struct loom_crew_lane *lane); /* or NULL */
/* What was kept. */
void loom_lane_free_rooms(struct loom_crew_lane *lane);
/* Sleeps on the bell of the lane and on the crew's events; the lock is let go meanwhile. */
void loom_lane_sleep(struct loom_crew_lane *lane, uint64_t until_ns);
void loom_lane_destroy(struct loom_crew_lane *lane);
void loom_lane_close(struct loom_lane *base);

#endif

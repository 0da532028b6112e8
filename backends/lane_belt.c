/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lane_belt.c - parcels on a belt and off it again, with their results (see lane_crew.h).
 *
 * Rooms       results are written into memory of the program, prepared before they are known: as large as the largest
 *             so far, so that a worker mostly finds room; one that does not asks and waits.
 */
#include "backends/lane_crew.h"

#include "backends/belt_work.h"
#include "backends/dispatch.h"
#include "backends/state.h"
#include "base/memory.h"
#include "base/status.h"
#include "shm/arena.h"

#include <string.h>

enum {
    ROOM_FIRST_NBYTES = 1024,
    ROOM_MOST_NBYTES = 16 << 20 /* larger ones are made when a worker asks */
};

static struct loom_belt_place_shared *place_at(const struct loom_crew_lane *lane, uint32_t k)
{
    return &lane->belt->places[k];
}

/* ------------------------------------------------------------------- rooms */

static void free_room(struct loom_room room)
{
    loom_arena_free(loom_arena_public(NULL), room.address);
}

static void keep_room(struct loom_crew_lane *lane, struct loom_room room)
{
    bool is_usual = room.nbytes >= lane->usual_nbytes && room.nbytes <= ROOM_MOST_NBYTES;
    if (room.address == NULL) return;
    if (is_usual && lane->n_kept < LOOM_LANE_PLACES && !lane->is_closing)
        lane->kept[lane->n_kept++] = room;
    else
        free_room(room);
}

static struct loom_room make_room(size_t nbytes, parloom_error *error)
{
    struct loom_room room = { NULL, nbytes };
    struct loom_arena *arena = loom_arena_public(error);
    if (arena != NULL) room.address = loom_arena_allocate(arena, nbytes, 0, false, error);
    if (room.address == NULL) room.nbytes = 0;
    return room;
}

/* None is no misfortune: the worker asks. */
static struct loom_room usual_room(struct loom_crew_lane *lane)
{
    parloom_error error;
    if (lane->usual_nbytes == 0) lane->usual_nbytes = ROOM_FIRST_NBYTES;
    while (lane->n_kept > 0) {
        struct loom_room room = lane->kept[--lane->n_kept];
        if (room.nbytes >= lane->usual_nbytes) return room;
        free_room(room);
    }
    return make_room(lane->usual_nbytes, &error);
}

static void set_room(struct loom_belt_place_shared *place, struct loom_room room)
{
    place->room = (uint64_t)(uintptr_t)room.address;
    place->room_nbytes = room.nbytes;
}

static void learn_nbytes(struct loom_crew_lane *lane, size_t nbytes)
{
    size_t most = nbytes < ROOM_MOST_NBYTES ? nbytes : ROOM_MOST_NBYTES;
    if (most > lane->usual_nbytes) lane->usual_nbytes = loom_memory_round_up(most, ROOM_FIRST_NBYTES);
}

static void answer_wish(struct loom_crew_lane *lane, uint32_t k, uint32_t seat)
{
    struct loom_parcel *parcel = lane->on_belt[k];
    struct loom_belt_place_shared *place = place_at(lane, k);
    parloom_error error = { .status = PARLOOM_ERR_CANCELLED };
    if (place->wanted_nbytes == LOOM_BELT_LOG_FULL) {
        loom_lane_take_log(lane, k, seat);
        loom_store_relaxed(&place->logged, 0); /* relaxed: ordered by the answer */
        loom_belt_answer(place, PARLOOM_OK);
        return;
    }
    size_t nbytes = (size_t)place->wanted_nbytes;
    struct loom_room room = { NULL, 0 };
    if (!lane->is_closing) room = make_room(nbytes, &error);
    if (room.address == NULL) {
        loom_belt_answer(place, error.status);
        return;
    }
    learn_nbytes(lane, nbytes);
    keep_room(lane, parcel->room);
    parcel->room = room;
    set_room(place, room);
    loom_belt_answer(place, PARLOOM_OK);
}

/* -------------------------------------------------------------------- belt */

static void put(struct loom_crew_lane *lane, struct loom_parcel *parcel)
{
    while (lane->on_belt[lane->next_ticket % LOOM_LANE_PLACES] != NULL) lane->next_ticket++;
    uint32_t k = (uint32_t)(lane->next_ticket % LOOM_LANE_PLACES);
    struct loom_belt_place_shared *place = place_at(lane, k);
    parcel->ticket = lane->next_ticket++;
    if (parcel->room.address == NULL) parcel->room = usual_room(lane);
    place->work = (uint64_t)(uintptr_t)parcel->letter;
    place->index = parcel->index;
    place->attempt = parcel->attempt;
    place->status = PARLOOM_OK;
    place->message[0] = '\0';
    set_room(place, parcel->room);
    loom_store_relaxed(&place->started_ns, 0); /* relaxed, all: ordered by posting */
    loom_store_relaxed(&place->limit_ns, 0);
    loom_store_relaxed(&place->logged, 0);
    loom_store_relaxed(&place->returned_nbytes, LOOM_BELT_NOTHING);
    lane->on_belt[k] = parcel;
    lane->n_on_belt++;
    loom_belt_post(lane->belt, place, parcel->ticket);
}

void loom_lane_fill_belt(struct loom_crew_lane *lane)
{
    bool is_filled = false;
    while (lane->waiting.first != NULL && lane->n_on_belt < LOOM_LANE_PLACES) {
        put(lane, loom_parcel_pop(&lane->waiting));
        is_filled = true;
    }
    if (is_filled) loom_board_ring(lane->crew->board);
}

struct loom_parcel *loom_lane_take_off(struct loom_crew_lane *lane, uint32_t k)
{
    struct loom_parcel *parcel = lane->on_belt[k];
    lane->on_belt[k] = NULL;
    lane->n_on_belt--;
    loom_belt_clear(place_at(lane, k));
    return parcel;
}

void loom_lane_end(struct loom_crew_lane *lane, struct loom_parcel *parcel)
{
    lane->n_ended++;
    parcel->has_begun = true;
    loom_parcel_push(&lane->ended, parcel);
}

static void read_end(struct loom_crew_lane *lane, uint32_t k, uint32_t seat)
{
    struct loom_parcel *parcel = lane->on_belt[k];
    int pid = seat < lane->crew->n_seats ? lane->crew->seats[seat].pid : 0;
    loom_lane_take_log(lane, k, seat);
    loom_belt_work_read(parcel, place_at(lane, k), (int)seat, pid);
    if (parcel->returned_nbytes != LOOM_PARCEL_NOTHING) learn_nbytes(lane, parcel->returned_nbytes);
}

static void read_rubbish(struct loom_parcel *parcel)
{
    parcel->status = loom_status_fail(&parcel->error, PARLOOM_ERR_INTERNAL, 0,
                                      "it is not known how task %zu ended: a task has written over the memory in which "
                                      "workers and program agree",
                                      parcel->index);
    parcel->error.task = parcel->index;
    parcel->returned_nbytes = LOOM_PARCEL_NOTHING;
}

static void collect_place(struct loom_crew_lane *lane, uint32_t k)
{
    struct loom_parcel *parcel = lane->on_belt[k];
    struct loom_belt_place_shared *place = place_at(lane, k);
    uint64_t stage = loom_load_full(&place->stage); /* pairs with the worker's end and wish */
    if (LOOM_BELT_TICKET(stage) != parcel->ticket) {
        read_rubbish(parcel);
    } else if (LOOM_BELT_PHASE(stage) == LOOM_BELT_ENDED) {
        read_end(lane, k, LOOM_BELT_SEAT(stage));
    } else {
        if (LOOM_BELT_PHASE(stage) == LOOM_BELT_WANTING) answer_wish(lane, k, LOOM_BELT_SEAT(stage));
        return;
    }
    loom_lane_end(lane, loom_lane_take_off(lane, k));
}

void loom_lane_collect(struct loom_crew_lane *lane)
{
    for (uint32_t k = 0; lane->n_on_belt > 0 && k < LOOM_LANE_PLACES; k++)
        if (lane->on_belt[k] != NULL) collect_place(lane, k);
}

/* Something that collect would see. */
bool loom_lane_has_news(const struct loom_crew_lane *lane)
{
    for (uint32_t k = 0; lane->n_on_belt > 0 && k < LOOM_LANE_PLACES; k++) {
        if (lane->on_belt[k] == NULL) continue;
        enum loom_belt_phase phase = LOOM_BELT_PHASE(loom_load_full(&place_at(lane, k)->stage));
        if (phase != LOOM_BELT_POSTED && phase != LOOM_BELT_RUNNING) return true;
    }
    return false;
}

bool loom_lane_recall(struct loom_crew_lane *lane, struct loom_parcel *parcel)
{
    uint32_t k = (uint32_t)(parcel->ticket % LOOM_LANE_PLACES);
    if (loom_parcel_remove(&lane->waiting, parcel)) return true;
    if (lane->on_belt[k] != parcel || !loom_belt_recall(place_at(lane, k), parcel->ticket)) return false;
    (void)loom_lane_take_off(lane, k);
    return true;
}

struct loom_letter_parcel *loom_lane_spare_letter(struct loom_crew_lane *lane)
{
    return lane->n_spare > 0 ? lane->spare[--lane->n_spare] : NULL;
}

/* With its hold on the state only where that is the one that the next call may have: states can be large. */
static void keep_letter(struct loom_crew_lane *lane, struct loom_letter_parcel *letter)
{
    if (letter == NULL || lane->n_spare == LOOM_LANE_PLACES || lane->is_closing) {
        loom_letter_free_parcel(lane->crew, letter);
        return;
    }
    if (letter->state != (uint64_t)(uintptr_t)lane->crew->state) {
        loom_state_drop(lane->crew, letter->state);
        letter->state = 0;
    }
    lane->spare[lane->n_spare++] = letter;
}

void loom_lane_let_go(struct loom_crew_lane *lane, struct loom_parcel *parcel)
{
    keep_letter(lane, parcel->letter);
    parcel->letter = NULL;
    keep_room(lane, parcel->room);
    parcel->room = (struct loom_room){ NULL, 0 };
}

void loom_lane_free_rooms(struct loom_crew_lane *lane)
{
    while (lane->n_kept > 0) free_room(lane->kept[--lane->n_kept]);
    while (lane->n_spare > 0) loom_letter_free_parcel(lane->crew, lane->spare[--lane->n_spare]);
}

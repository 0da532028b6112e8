/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * belt_work.c - one call of a stream in its worker (see belt_work.h).
 *
 * Path        clock, arguments, body (parloom_return copies its result into the room of the place), status, clock.
 */
#include "backends/belt_work.h"

#include "backends/globals.h"
#include "base/clock.h"
#include "base/status.h"

#include <string.h>

static void write_end(struct loom_belt_place_shared *place, parloom_status status, int code, const char *message)
{
    size_t length = strnlen(message, sizeof place->message - 1);
    place->status = (int32_t)status;
    place->code = code;
    memcpy(place->message, message, length);
    place->message[length] = '\0';
}

static void tell(struct loom_shift *shift, size_t begin, size_t end, const parloom_error *error)
{
    struct loom_belt_work *work = shift->tell_state;
    (void)begin;
    (void)end;
    if (error != NULL)
        write_end(work->place, error->status, error->code, error->message);
    else if (work->place->status == PARLOOM_OK) /* else it was refused, and says why */
        write_end(work->place, PARLOOM_ERR_CANCELLED, 0, "");
}

static void refuse(struct loom_shift *shift, const parloom_error *error)
{
    struct loom_belt_work *work = shift->tell_state;
    loom_belt_work_refuse(work->place, error);
}

void loom_belt_work_refuse(struct loom_belt_place_shared *place, const parloom_error *error)
{
    write_end(place, error->status, error->code, error->message);
}

static const struct loom_work *find_work(struct loom_shift *shift, size_t index)
{
    struct loom_belt_work *work = shift->tell_state;
    (void)index;
    return &work->work;
}

/* The last one counts; while it is copied there is none: a death in the middle leaves no half result. */
static parloom_status give(struct loom_shift *shift, const void *data, size_t nbytes)
{
    struct loom_belt_work *work = shift->tell_state;
    struct loom_belt_place_shared *place = work->place;
    loom_store_release(&place->returned_nbytes, LOOM_BELT_NOTHING); /* release: before the bytes change */
    parloom_status status = nbytes > place->room_nbytes ? work->grow(work, nbytes) : PARLOOM_OK;
    if (status != PARLOOM_OK) return status;
    if (nbytes > 0) memcpy((void *)(uintptr_t)place->room, data, nbytes);
    loom_store_release(&place->returned_nbytes, (uint64_t)nbytes); /* pairs with the program's collecting */
    return PARLOOM_OK;
}

/* In pieces, as over the log of a desk. */
static parloom_status record(struct loom_shift *shift, size_t task, uint32_t channel, const void *data, size_t nbytes)
{
    struct loom_belt_work *work = shift->tell_state;
    parloom_status status = PARLOOM_OK;
    size_t told = 0;
    (void)task; /* of a place there is one */
    do {
        size_t left = nbytes - told, here = left < LOOM_RECORD_PIECE_BYTES ? left : LOOM_RECORD_PIECE_BYTES;
        struct loom_belt_entry_shared entry = { LOOM_RECORD_ENTRY, channel, here == left, (uint32_t)here };
        status = work->log(work, &entry, here > 0 ? (const char *)data + told : NULL);
        told += here;
    } while (told < nbytes && status == PARLOOM_OK);
    return status;
}

static void warn(struct loom_shift *shift, size_t task, const char *text)
{
    struct loom_belt_work *work = shift->tell_state;
    struct loom_belt_entry_shared entry = { LOOM_GLOBALS_ENTRY, 0, 1, (uint32_t)strlen(text) + 1 };
    (void)task;
    (void)work->log(work, &entry, text);
}

void loom_belt_work_begin(struct loom_belt_work *work, _Atomic uint64_t *stop_before)
{
    struct loom_shift *shift = &work->shift;
    shift->is_list = true;
    shift->works = NULL;
    shift->find_work = find_work;
    shift->go_on = true; /* whether a failure ends the stream is its owner's business */
    shift->current = &work->current;
    shift->range_begin = &work->range_begin;
    shift->range_end = &work->range_end;
    shift->stop_before = stop_before;
    shift->tell = tell;
    shift->record = record;
    shift->warn = warn;
    shift->refuse = refuse;
    shift->give = give;
    shift->tell_state = work;
}

static bool has_room(struct loom_belt_work *work, struct loom_belt_place_shared *place)
{
    parloom_error error;
    if (loom_shift_widen(&work->shift, work->work.n_arguments, &error) == PARLOOM_OK) return true;
    loom_belt_work_refuse(place, &error);
    return false;
}

void loom_belt_work_run(struct loom_belt_work *work, struct loom_belt_place_shared *place)
{
    uint64_t started_ns = loom_clock_ns();
    loom_store_relaxed(&place->started_ns, started_ns); /* relaxed: limits only */
    work->place = place;
    work->shift.task.attempt = place->attempt;
    if (has_room(work, place)) (void)loom_shift_run(&work->shift, (size_t)place->index, (size_t)place->index + 1);
    loom_shift_forget_work(&work->shift); /* the program takes the arguments back when it reads the end */
    place->ran_ns = loom_clock_ns() - started_ns;
}

void loom_belt_work_read(struct loom_parcel *parcel, struct loom_belt_place_shared *place, int worker, int pid)
{
    uint64_t nbytes = loom_load_acquire(&place->returned_nbytes); /* pairs with give */
    parcel->returned_nbytes = nbytes <= parcel->room.nbytes ? (size_t)nbytes : LOOM_PARCEL_NOTHING;
    parcel->seconds = 1e-9 * (double)place->ran_ns;
    parcel->status = (parloom_status)place->status;
    if (parcel->status == PARLOOM_OK) return;
    place->message[sizeof place->message - 1] = '\0';
    loom_status_fail(&parcel->error, parcel->status, 0, "%s", place->message);
    parcel->error.code = place->code;
    parcel->error.attempt = parcel->attempt;
    parcel->error.task = parcel->index;
    parcel->error.worker = worker;
    parcel->error.pid = pid;
}

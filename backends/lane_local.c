/* SPDX-License-Identifier: BSD-3-Clause */
/* lane_local.c - one worker of a lane in the caller's own process (see lane_local.h). */
#include "backends/lane_local.h"

#include "base/clock.h"
#include "base/fpu.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/stop.h"

#include <stdlib.h>
#include <string.h>

static parloom_status grow(struct loom_belt_work *work, uint64_t nbytes)
{
    struct loom_lane_bench *bench = (struct loom_lane_bench *)work;
    void *room = loom_memory_aligned(64, loom_memory_round_up((size_t)nbytes, 64));
    if (room == NULL) return PARLOOM_ERR_MEMORY;
    free(bench->parcel->room.address);
    bench->parcel->room = (struct loom_room){ room, (size_t)nbytes };
    bench->place.room = (uint64_t)(uintptr_t)room;
    bench->place.room_nbytes = nbytes;
    return PARLOOM_OK;
}

static parloom_status record(struct loom_shift *shift, size_t task, uint32_t channel, const void *data, size_t nbytes)
{
    struct loom_lane_bench *bench = shift->tell_state; /* whose first member it is */
    struct loom_record made = { .task = task, .channel = channel, .worker = bench->number, .is_last = true };
    return loom_records_add(&bench->parcel->records, &made, data, nbytes) ? PARLOOM_OK : PARLOOM_ERR_MEMORY;
}

parloom_status loom_lane_bench_begin(struct loom_lane_bench *bench, const struct loom_run *run, int number,
                                     _Atomic uint64_t *stop_before, parloom_error *error)
{
    struct loom_run one = *run;
    one.most_arguments = 1;
    bench->number = number;
    bench->fp_control = run->fp_control;
    bench->parcel = NULL;
    memset(&bench->place, 0, sizeof bench->place);
    parloom_status status = loom_shift_begin(&bench->work.shift, &one, number, error);
    loom_belt_work_begin(&bench->work, stop_before);
    bench->work.grow = grow;
    bench->work.shift.record = record;
    return status;
}

void loom_lane_bench_run(struct loom_lane_bench *bench, struct loom_parcel *parcel)
{
    struct loom_belt_place_shared *place = &bench->place;
    bench->parcel = parcel;
    bench->work.work = parcel->work;
    place->index = parcel->index;
    place->attempt = parcel->attempt;
    place->status = PARLOOM_OK;
    place->code = 0;
    place->message[0] = '\0';
    place->room = (uint64_t)(uintptr_t)parcel->room.address;
    place->room_nbytes = parcel->room.nbytes;
    loom_store_relaxed(&place->returned_nbytes, LOOM_BELT_NOTHING); /* relaxed: this thread reads it */
    uint64_t fp_before = loom_fpu_read();
    loom_fpu_write(parcel->has_fp_control ? parcel->fp_control : bench->fp_control);
    loom_shift_enter(&bench->work.shift);
    loom_belt_work_run(&bench->work, place);
    loom_shift_leave(&bench->work.shift);
    loom_fpu_write(fp_before);
    loom_belt_work_read(parcel, place, bench->number, 0);
}

void loom_lane_bench_end(struct loom_lane_bench *bench)
{
    loom_shift_end(&bench->work.shift);
}

/* A thread cannot be ended in the midst of a body. */
bool loom_lane_local_expire(struct loom_lane *lane, struct loom_parcel *parcel)
{
    (void)lane;
    (void)parcel;
    return false;
}

void loom_lane_local_release(struct loom_lane *lane, struct loom_parcel *parcel)
{
    (void)lane;
    free(parcel->room.address);
    parcel->room = (struct loom_room){ NULL, 0 };
}

parloom_status loom_lane_local_watch(struct loom_local *local, parloom_error *error)
{
    pthread_mutex_lock(&local->lock);
    parloom_status status = local->failure;
    if (status != PARLOOM_OK && error != NULL) *error = local->error;
    pthread_mutex_unlock(&local->lock);
    if (status != PARLOOM_OK) return status;
    return loom_lane_look_for_end(local->run, error);
}

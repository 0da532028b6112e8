/* SPDX-License-Identifier: BSD-3-Clause */
/* lane_local.h - lanes whose workers are in the caller's own process: what sequential and threads share. */
#ifndef LOOM_BACKENDS_LANE_LOCAL_H
#define LOOM_BACKENDS_LANE_LOCAL_H

#include "backends/belt_work.h"
#include "backends/lane.h"
#include "backends/local.h"

/* The place where one worker works: results are noted as on a belt (shm/belt.h), where nobody else looks. */
struct loom_lane_bench {
    struct loom_belt_work work; /* first: grow finds the bench by it */
    struct loom_belt_place_shared place;
    struct loom_parcel *parcel; /* that is run now */
    int number;
    uint64_t fp_control; /* of the run */
};

/* MEMORY. */
parloom_status loom_lane_bench_begin(struct loom_lane_bench *bench, const struct loom_run *run, int number,
                                     _Atomic uint64_t *stop_before, parloom_error *error);
void loom_lane_bench_run(struct loom_lane_bench *bench, struct loom_parcel *parcel);
void loom_lane_bench_end(struct loom_lane_bench *bench);
/* Of lanes in the caller's process. */
bool loom_lane_local_expire(struct loom_lane *lane, struct loom_parcel *parcel);
void loom_lane_local_release(struct loom_lane *lane, struct loom_parcel *parcel);
/* What it means for a lane: OK, or that no more will come. */
parloom_status loom_lane_local_watch(struct loom_local *local, parloom_error *error);

#endif

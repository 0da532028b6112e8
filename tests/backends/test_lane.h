/* SPDX-License-Identifier: BSD-3-Clause */
/* test_lane.h - a lane as test_lane.cc sees it: on a crew whose workers never come. */
#ifndef LOOM_TESTS_BACKENDS_TEST_LANE_H
#define LOOM_TESTS_BACKENDS_TEST_LANE_H

#include "backends/lane.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lane_bench; /* crew, run and lane */

struct lane_bench *lane_bench_open(void); /* NULL: none */
void lane_bench_close(struct lane_bench *bench);
parloom_status lane_bench_post(struct lane_bench *bench, struct loom_parcel *parcel, parloom_error *error);
/* What the lane gives back, within the time; NULL: nothing. */
struct loom_parcel *lane_bench_await(struct lane_bench *bench, uint64_t within_ns);
bool lane_bench_expire(struct lane_bench *bench, struct loom_parcel *parcel);
void lane_bench_release(struct lane_bench *bench, struct loom_parcel *parcel);

#ifdef __cplusplus
}
#endif
#endif

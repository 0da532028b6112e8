/* SPDX-License-Identifier: BSD-3-Clause */
/* test_lane.c - the lane of test_lane.cc: its belt has atomics, which C++ cannot include. */
#include "backends/test_lane.h"
#include "support/crew_script.h"

#include "backends/lane_crew.h"
#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>

struct lane_bench {
    struct crew_script script;
    struct loom_crew *crew;
    struct loom_tally tally;
    struct loom_run run;
    struct loom_lane *lane;
};

static int nothing(const parloom_task *task, void *const *args)
{
    (void)task, (void)args;
    return 0;
}

static void drop(struct loom_parcel *parcel, void *state)
{
    (void)parcel, (void)state;
}

static void end(void *state)
{
    (void)state;
}

struct lane_bench *lane_bench_open(void)
{
    struct lane_bench *bench = loom_memory_zeroed(1, sizeof *bench);
    parloom_error error;
    if (bench == NULL) return NULL;
    bench->crew = crew_open(&bench->script);
    bench->run = (struct loom_run){
        .n_jobs = 1, .retries = 1, .deadline_ns = LOOM_NEVER_NS, .backend_name = "processes", .tally = &bench->tally
    };
    struct loom_lane_order order = { &bench->run, drop, end, NULL };
    if (bench->crew != NULL && loom_crew_lane_open(bench->crew, &order, NULL, NULL, &bench->lane, &error) == PARLOOM_OK)
        return bench;
    lane_bench_close(bench);
    return NULL;
}

void lane_bench_close(struct lane_bench *bench)
{
    if (bench->lane != NULL) bench->lane->ops->close(bench->lane);
    if (bench->crew != NULL) crew_close(bench->crew);
    free(bench);
}

parloom_status lane_bench_post(struct lane_bench *bench, struct loom_parcel *parcel, parloom_error *error)
{
    parcel->work.body = nothing;
    return bench->lane->ops->post(bench->lane, parcel, error);
}

struct loom_parcel *lane_bench_await(struct lane_bench *bench, uint64_t within_ns)
{
    struct loom_parcel *parcel = NULL;
    parloom_error error;
    (void)bench->lane->ops->await(bench->lane, loom_clock_ns() + within_ns, &parcel, &error);
    return parcel;
}

bool lane_bench_expire(struct lane_bench *bench, struct loom_parcel *parcel)
{
    return bench->lane->ops->expire(bench->lane, parcel);
}

void lane_bench_release(struct lane_bench *bench, struct loom_parcel *parcel)
{
    bench->lane->ops->release(bench->lane, parcel);
}

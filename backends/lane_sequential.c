/* SPDX-License-Identifier: BSD-3-Clause */
/* lane_sequential.c - a lane without workers: who waits for a result makes it, in the order of posting. */
#include "backends/lane_local.h"

#include "base/memory.h"
#include "base/status.h"

#include <stdlib.h>

struct sequential_lane {
    struct loom_lane lane;
    struct loom_lane_order order;
    struct loom_local local;
    struct loom_lane_bench bench;
    struct loom_local_crew *crew; /* whose worker_init has run; NULL: there is none */
    bool owns_crew;
    struct loom_parcel_queue waiting;
};

static struct sequential_lane *as_sequential(struct loom_lane *lane)
{
    return (struct sequential_lane *)lane; /* its first member */
}

static parloom_status post(struct loom_lane *base, struct loom_parcel *parcel, parloom_error *error)
{
    (void)error;
    parcel->attempt = 0;
    parcel->room = (struct loom_room){ NULL, 0 };
    loom_parcel_push(&as_sequential(base)->waiting, parcel);
    return PARLOOM_OK;
}

static parloom_status await(struct loom_lane *base, uint64_t until_ns, struct loom_parcel **parcel_out,
                            parloom_error *error)
{
    struct sequential_lane *lane = as_sequential(base);
    struct loom_inner_of_thread before;
    (void)until_ns; /* nothing goes on while nobody waits */
    *parcel_out = NULL;
    if (lane->crew != NULL) (void)loom_local_init(&lane->local, lane->crew, 0);
    parloom_status status = loom_lane_local_watch(&lane->local, error);
    if (status != PARLOOM_OK || lane->waiting.first == NULL) return status;
    *parcel_out = loom_parcel_pop(&lane->waiting);
    loom_inner_threads_enter(&lane->order.run->inner, &lane->local.inner, &before);
    loom_lane_bench_run(&lane->bench, *parcel_out);
    loom_inner_threads_leave(&before);
    return PARLOOM_OK;
}

static bool recall(struct loom_lane *base, struct loom_parcel *parcel)
{
    return loom_parcel_remove(&as_sequential(base)->waiting, parcel);
}

/* Who posts is who waits: nothing goes on beside it. */
static bool has_begun(struct loom_lane *base, struct loom_parcel *parcel)
{
    (void)base;
    (void)parcel;
    return false;
}

static void wake(struct loom_lane *base)
{
    (void)base;
}

static void close_lane(struct loom_lane *base)
{
    struct sequential_lane *lane = as_sequential(base);
    struct loom_lane_order order = lane->order;
    struct loom_parcel *parcel;
    while ((parcel = loom_parcel_pop(&lane->waiting)) != NULL) {
        parcel->status = PARLOOM_ERR_CANCELLED;
        order.drop(parcel, order.state);
    }
    loom_lane_bench_end(&lane->bench);
    (void)loom_local_end(&lane->local, NULL);
    if (lane->owns_crew) loom_local_close(lane->crew, false);
    free(lane);
    order.end(order.state);
}

static const struct loom_lane_ops ops = {
    post, await, recall, has_begun, loom_lane_local_expire, NULL, wake, loom_lane_local_release, close_lane
};

parloom_status loom_lane_open_sequential(void *workers, const struct loom_lane_order *order,
                                         struct loom_lane **lane_out, parloom_error *error)
{
    struct sequential_lane *lane = loom_memory_aligned(128, loom_memory_round_up(sizeof *lane, 128));
    if (lane == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a stream");
    *lane = (struct sequential_lane){ .lane = { &ops }, .order = *order, .crew = workers };
    parloom_status status = PARLOOM_OK;
    void *crew = NULL;
    if (workers == NULL && order->run->worker_init != NULL) status = loom_local_open(&crew, NULL, 1, error);
    if (crew != NULL) lane->crew = crew;
    lane->owns_crew = crew != NULL;
    loom_local_begin(&lane->local, order->run);
    if (status == PARLOOM_OK)
        status = loom_lane_bench_begin(&lane->bench, order->run, 0, &lane->local.stop_before, error);
    if (status == PARLOOM_OK) {
        *lane_out = &lane->lane;
        return PARLOOM_OK;
    }
    (void)loom_local_end(&lane->local, NULL);
    if (lane->owns_crew) loom_local_close(lane->crew, false);
    free(lane);
    return status;
}

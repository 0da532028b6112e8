/* SPDX-License-Identifier: BSD-3-Clause */
/* lane.c - queues of parcels, and when a lane ends (see lane.h). */
#include "backends/lane.h"

#include "backends/shift.h"
#include "base/clock.h"
#include "base/status.h"

void loom_parcel_push(struct loom_parcel_queue *queue, struct loom_parcel *parcel)
{
    parcel->next = NULL;
    if (queue->last != NULL)
        queue->last->next = parcel;
    else
        queue->first = parcel;
    queue->last = parcel;
}

struct loom_parcel *loom_parcel_pop(struct loom_parcel_queue *queue)
{
    struct loom_parcel *parcel = queue->first;
    if (parcel == NULL) return NULL;
    queue->first = parcel->next;
    if (queue->first == NULL) queue->last = NULL;
    parcel->next = NULL;
    return parcel;
}

bool loom_parcel_remove(struct loom_parcel_queue *queue, struct loom_parcel *parcel)
{
    struct loom_parcel *before = NULL, *at = queue->first;
    while (at != NULL && at != parcel) {
        before = at;
        at = at->next;
    }
    if (at == NULL) return false;
    if (before != NULL)
        before->next = at->next;
    else
        queue->first = at->next;
    if (queue->last == at) queue->last = before;
    at->next = NULL;
    return true;
}

parloom_status loom_lane_look_for_end(const struct loom_run *run, parloom_error *error)
{
    if (run->deadline_ns != LOOM_NEVER_NS && loom_clock_ns() >= run->deadline_ns)
        return loom_status_fail(error, PARLOOM_ERR_TIMEOUT, 0, "the stream ran past its limit");
    if (loom_shift_run_is_cancelled(run))
        return loom_status_fail(error, PARLOOM_ERR_CANCELLED, 0, "the stream was cancelled %s",
                                loom_shift_run_canceller(run));
    return PARLOOM_OK;
}

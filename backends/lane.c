/* SPDX-License-Identifier: BSD-3-Clause */
/* lane.c - queues of parcels (see lane.h). */
#include "backends/lane.h"

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

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream.c - a source is asked, its calls run on a lane, results are handed out one by one.
 *
 * Path of a call    posted (stream_source.c); comes back when it has ended; kept until it is its turn (ordered); what
 * it recorded is merged; handed out, let go when the consumer comes again. Credit            asked - handed out <=
 * limit: what runs, what waits and what was not read yet all count. Ends              done; or a failure, after what
 * was still running (of the source) or at once (of the stream).
 */
#include "core/stream.h"

#include "backends/shift.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/status.h"
#include "core/channel.h"
#include "core/pool.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------- results */

static parloom_status grow_early(parloom_stream *stream, size_t needed, parloom_error *error)
{
    size_t room = stream->early_room > 0 ? stream->early_room : 16;
    while (room < needed) room *= 2;
    if (room == stream->early_room) return PARLOOM_OK;
    struct loom_stream_item **grown = loom_memory_zeroed(room, sizeof *grown);
    if (grown == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory to put %zu results in order", needed);
    for (size_t k = 0; k < stream->early_room; k++)
        if (stream->early[k] != NULL) grown[stream->early[k]->parcel.index % room] = stream->early[k];
    free(stream->early);
    stream->early = grown;
    stream->early_room = room;
    return PARLOOM_OK;
}

/* NULL: it is not there yet. */
static struct loom_stream_item *next_in_order(parloom_stream *stream)
{
    if (stream->early_room == 0) return NULL;
    struct loom_stream_item **at = &stream->early[stream->handed_out % stream->early_room];
    struct loom_stream_item *item = *at;
    *at = NULL;
    return item;
}

/* Waits for one more, at most until then, and puts it where it belongs. */
static parloom_status receive(parloom_stream *stream, uint64_t until_ns, bool *is_received, parloom_error *error)
{
    struct loom_parcel *parcel = NULL;
    parloom_status status = grow_early(stream, stream->asked - stream->handed_out, error);
    if (status == PARLOOM_OK) status = stream->lane->ops->await(stream->lane, until_ns, &parcel, error);
    *is_received = status == PARLOOM_OK && parcel != NULL;
    if (!*is_received) return status;
    stream->outstanding--;
    loom_stream_account_note(&stream->account, parcel->index, parcel->status, &parcel->error);
    loom_stream_learn(stream, parcel->seconds);
    if (stream->is_ordered)
        stream->early[parcel->index % stream->early_room] = (struct loom_stream_item *)parcel;
    else
        loom_parcel_push(&stream->ready, parcel);
    return PARLOOM_OK;
}

/* What has ended while nobody waited is counted before it is told of. Where nothing goes on by itself there is none. */
static void tell(parloom_stream *stream)
{
    parloom_error error;
    bool goes_on = stream->plan.backend != loom_backend_find("sequential");
    if (!loom_stream_account_is_due(&stream->account)) return;
    while (goes_on && stream->outstanding > 0) /* an error comes again when the consumer waits */
        if (receive(stream, 0, &goes_on, &error) != PARLOOM_OK) break;
    if (stream->is_drained) stream->account.progress.facts.n = stream->asked;
    loom_stream_account_tell(&stream->account);
}

static parloom_status find_next(parloom_stream *stream, struct loom_stream_item **item_out, parloom_error *error)
{
    *item_out = NULL;
    for (;;) {
        bool is_received;
        tell(stream);
        *item_out = stream->is_ordered ? next_in_order(stream) : (void *)loom_parcel_pop(&stream->ready);
        if (*item_out != NULL || stream->outstanding == 0) return PARLOOM_OK;
        parloom_status status = receive(stream, stream->account.next_told_ns, &is_received, error);
        if (status != PARLOOM_OK) return status;
    }
}

/* Before the result itself, in the consumer's thread. */
static parloom_status merge(parloom_stream *stream, struct loom_stream_item *item, parloom_error *error)
{
    struct loom_records *records = &item->parcel.records;
    if (stream->run.channels == NULL) return PARLOOM_OK;
    if (loom_channels_merge_one(&stream->channels, records, item->parcel.status, stream->is_inner)) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for what task %zu recorded: some of it is lost",
                            item->parcel.index);
}

static void hand_out(parloom_stream *stream, struct loom_stream_item *item, parloom_result *result)
{
    const struct loom_parcel *parcel = &item->parcel;
    bool has_data = parcel->returned_nbytes != LOOM_PARCEL_NOTHING;
    memset(result->reserved, 0, sizeof result->reserved); /* not the kilobyte of error.message, for each result */
    result->index = parcel->index;
    result->status = parcel->status;
    result->data = has_data ? parcel->room.address : NULL;
    result->nbytes = has_data ? parcel->returned_nbytes : 0;
    result->seconds = parcel->seconds;
    loom_status_clear(&result->error);
    if (parcel->status != PARLOOM_OK) result->error = parcel->error;
    stream->account.so_far.returned_nbytes += result->nbytes;
    stream->in_hand = item;
    stream->handed_out++;
    if (parcel->status != PARLOOM_OK && !stream->run.go_on) stream->is_over = true;
}

static void take_from_hand(parloom_stream *stream)
{
    if (stream->in_hand == NULL) return;
    stream->lane->ops->release(stream->lane, &stream->in_hand->parcel);
    loom_stream_put_item(stream, stream->in_hand);
    stream->in_hand = NULL;
}

static parloom_status fail(parloom_stream *stream, parloom_status status, parloom_error *error)
{
    if (stream->failure == PARLOOM_OK) {
        stream->failure = status;
        stream->failure_error = *error;
    }
    stream->is_over = true;
    *error = stream->failure_error;
    return stream->failure;
}

/* Also where results are always there: then nobody waits, and the lane does not look. */
static parloom_status watch(parloom_stream *stream, parloom_error *error)
{
    parloom_status status = loom_lane_look_for_end(&stream->run, error);
    if (status != PARLOOM_OK && stream->lane->ops->stop != NULL) stream->lane->ops->stop(stream->lane);
    return status;
}

static parloom_status feed_and_find(parloom_stream *stream, struct loom_stream_item **item_out, parloom_error *error)
{
    parloom_status status = watch(stream, error);
    if (status != PARLOOM_OK) return status;
    loom_stream_feed(stream);
    status = find_next(stream, item_out, error);
    bool may_be_late = status == PARLOOM_OK && *item_out != NULL && stream->run.deadline_ns != LOOM_NEVER_NS;
    return may_be_late ? watch(stream, error) : status; /* workers may know before us, and end tasks therefore */
}

parloom_status parloom_stream_next(parloom_stream *stream, parloom_result *result_out, bool *done_out,
                                   parloom_error *error)
{
    parloom_error unasked;
    struct loom_stream_item *item = NULL;
    if (error == NULL) error = &unasked;
    loom_status_clear(error);
    if (stream == NULL || result_out == NULL || done_out == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "stream, result_out and done_out must not be NULL");
    take_from_hand(stream);
    if (stream->is_over && stream->failure != PARLOOM_OK) return fail(stream, stream->failure, error);
    if (!stream->is_over) {
        parloom_status status = feed_and_find(stream, &item, error);
        if (status == PARLOOM_OK && item == NULL) status = stream->failure;
        if (status == PARLOOM_OK && item != NULL) status = merge(stream, item, error);
        if (status != PARLOOM_OK && item != NULL) stream->in_hand = item; /* of no use any more */
        if (status != PARLOOM_OK && status == stream->failure) *error = stream->failure_error;
        if (status != PARLOOM_OK) return fail(stream, status, error);
    }
    *done_out = item == NULL;
    stream->is_over |= item == NULL;
    if (item != NULL) hand_out(stream, item, result_out);
    return PARLOOM_OK;
}

/* ------------------------------------------------------------------ closing */

static void free_early(parloom_stream *stream)
{
    for (size_t k = 0; k < stream->early_room; k++) {
        if (stream->early[k] == NULL) continue;
        stream->lane->ops->release(stream->lane, &stream->early[k]->parcel);
        loom_stream_free_item(stream->early[k]);
    }
}

static void free_ready(parloom_stream *stream)
{
    struct loom_parcel *parcel;
    while ((parcel = loom_parcel_pop(&stream->ready)) != NULL) {
        stream->lane->ops->release(stream->lane, parcel);
        loom_stream_free_item((struct loom_stream_item *)parcel);
    }
}

void parloom_stream_close(parloom_stream *stream)
{
    if (stream == NULL) return;
    parloom_pool *pool = stream->plan.pool;
    take_from_hand(stream);
    free_early(stream);
    free_ready(stream);
    stream->lane->ops->close(stream->lane);
    pthread_mutex_lock(&stream->lock);
    loom_stream_account_close(&stream->account, &stream->tally);
    if (pool != NULL) loom_pool_leave(pool, &stream->plan.options);
    stream->is_closed = true;
    bool has_ended = stream->lane == NULL;
    pthread_mutex_unlock(&stream->lock);
    if (has_ended) loom_stream_destroy(stream);
}

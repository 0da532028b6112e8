/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream_source.c - the source of a stream is asked, its calls are made ready and posted (see stream.h).
 *
 * Path of a call    given by the source in the consumer's thread; arguments copied; state, floating point and what
 *                   surrounds the program captured; posted.
 */
#include "core/stream.h"

#include "backends/shift.h"
#include "base/fpu.h"
#include "base/memory.h"
#include "base/status.h"
#include "core/state.h"
#include "shm/letters.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH_MOST = 64, LETTER_NBYTES = 256 };
#define BATCH_SHORT_S 50e-6  /* batches grow while their tasks take less on average, */
#define BATCH_LONG_S  200e-6 /* and shrink when they take more */

void loom_stream_free_item(struct loom_stream_item *item)
{
    loom_records_release(&item->parcel.records);
    loom_arguments_release(&item->arguments);
    if (item->arguments.letter != NULL)
        loom_arena_free(loom_letters_arena(LOOM_SEGMENT_READ, NULL), item->arguments.letter);
    free(item);
}

void loom_stream_put_item(parloom_stream *stream, struct loom_stream_item *item)
{
    loom_records_release(&item->parcel.records);
    loom_arguments_release(&item->arguments);
    loom_parcel_push(&stream->spare, &item->parcel);
}

/* As if zeroed, but for the kilobyte of message that its error may have had. Arguments are left empty by releasing
 * them. */
static void empty(struct loom_parcel *parcel)
{
    size_t rest = offsetof(struct loom_parcel, error) + sizeof parcel->error;
    memset((void *)parcel, 0, offsetof(struct loom_parcel, error));
    loom_status_clear(&parcel->error);
    memset((char *)parcel + rest, 0, sizeof *parcel - rest);
}

/* Small inputs of one call after the other. Without it each gets a block of its own. */
static void make_letter(struct loom_arguments *arguments)
{
    parloom_error error;
    struct loom_arena *arena = loom_letters_arena(LOOM_SEGMENT_READ, &error);
    if (arena != NULL) arguments->letter = loom_arena_allocate(arena, LETTER_NBYTES, 0, false, &error);
    if (arguments->letter != NULL) arguments->letter_nbytes = LETTER_NBYTES;
}

static struct loom_stream_item *get_item(parloom_stream *stream)
{
    struct loom_stream_item *item = (struct loom_stream_item *)loom_parcel_pop(&stream->spare);
    if (item != NULL)
        empty(&item->parcel);
    else if ((item = loom_memory_zeroed(1, sizeof *item)) != NULL)
        make_letter(&item->arguments);
    return item;
}

void loom_stream_drop(struct loom_parcel *parcel, void *state)
{
    parloom_stream *stream = state;
    pthread_mutex_lock(&stream->lock);
    /* Killed by the closing: cancelled, unless there was a limit to be past. */
    bool has_limit = stream->run.task_timeout_ns > 0 || stream->failure == PARLOOM_ERR_TIMEOUT;
    if (parcel->status == PARLOOM_ERR_TIMEOUT && !has_limit) parcel->status = PARLOOM_ERR_CANCELLED;
    if (!stream->is_closed) loom_stream_account_note(&stream->account, parcel->index, parcel->status, &parcel->error);
    pthread_mutex_unlock(&stream->lock);
    loom_stream_free_item((struct loom_stream_item *)parcel);
}

static void end_source(parloom_stream *stream, parloom_status status, const parloom_error *error)
{
    stream->is_drained = true;
    if (stream->failure != PARLOOM_OK) return;
    stream->failure = status;
    stream->failure_error = *error;
}

static parloom_status stage(parloom_stream *stream, struct loom_stream_item *item, const parloom_call *call,
                            parloom_error *error)
{
    parloom_status status = loom_arguments_stage_call(&item->arguments, call, &stream->plan.options, "stream", error);
    if (status != PARLOOM_OK) return status;
    item->parcel.work = item->arguments.works[0];
    item->parcel.index = stream->asked;
    item->parcel.has_fp_control = true;
    item->parcel.fp_control = loom_fpu_read();
    status = loom_stream_account_take(&stream->account, stream->asked, error);
    if (status == PARLOOM_OK) loom_stream_account_copies(&stream->account, item->arguments.spill);
    return status;
}

/* What its worker takes on is what the program has now: the source may just have set it. Where tasks see the program's
 * own there is nothing to carry. */
static parloom_status post_with_state(parloom_stream *stream, struct loom_stream_item *item, parloom_error *error)
{
    struct loom_state *state = NULL;
    parloom_status status = PARLOOM_OK;
    if (stream->plan.backend->memory == LOOM_MEMORY_SEPARATE) status = loom_state_capture(&state, error);
    if (status != PARLOOM_OK) return status;
    item->parcel.state = state;
    status = stream->lane->ops->post(stream->lane, &item->parcel, error);
    item->parcel.state = NULL;
    loom_state_release(state);
    return status;
}

static parloom_status post(parloom_stream *stream, const parloom_call *call, parloom_error *error)
{
    struct loom_stream_item *item = get_item(stream);
    if (item == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a call of a stream");
    parloom_status status = stage(stream, item, call, error);
    if (status != PARLOOM_OK) {
        loom_stream_free_item(item);
        return status;
    }
    stream->asked++;
    status = post_with_state(stream, item, error);
    if (status == PARLOOM_OK)
        stream->outstanding++;
    else
        loom_stream_free_item(item); /* it was taken, and counts as cancelled */
    return status;
}

/* ------------------------------------------------------------------- source */

static void ask(parloom_stream *stream)
{
    parloom_error error;
    parloom_call call = { NULL, NULL, 0 };
    int answer = stream->source(stream->state, &call);
    if (answer == 0) {
        stream->is_drained = true;
    } else if (answer < 0) {
        loom_status_fail(&error, PARLOOM_ERR_CALLBACK, 0,
                         "the source of the stream returned %d when asked for call %zu", answer, stream->asked);
        error.code = answer;
        end_source(stream, PARLOOM_ERR_CALLBACK, &error);
    } else {
        parloom_status status = post(stream, &call, &error);
        if (status != PARLOOM_OK) end_source(stream, status, &error);
    }
}

void loom_stream_feed(parloom_stream *stream)
{
    size_t ahead = stream->asked - stream->handed_out, batch = stream->batch;
    if (batch > stream->limit) batch = stream->limit;
    if (ahead > stream->limit || stream->limit - ahead < batch) return;
    while (!stream->is_drained && stream->asked - stream->handed_out < stream->limit) ask(stream);
}

/* Unset batches follow how long tasks take: where that is next to nothing, more of them bridge the consumer's naps. */
void loom_stream_learn(parloom_stream *stream, double seconds)
{
    stream->mean_seconds = 0.8 * stream->mean_seconds + 0.2 * seconds;
    if (!stream->is_auto || ++stream->since_change < stream->limit) return;
    size_t n_batches = stream->limit / stream->batch;
    if (stream->mean_seconds < BATCH_SHORT_S && stream->batch < BATCH_MOST)
        stream->batch *= 2;
    else if (stream->mean_seconds > BATCH_LONG_S && stream->batch > 1)
        stream->batch /= 2;
    stream->limit = n_batches * stream->batch;
    stream->since_change = 0;
}

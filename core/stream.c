/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream.c - a source is asked, its calls run on a lane, results are handed out one by one.
 *
 * Path of a call    asked for in the consumer's thread, arguments copied, posted; comes back when it has ended; kept
 *                   until it is its turn (ordered), handed out, let go when the consumer comes again.
 * Credit            asked - handed out <= limit: what runs, what waits and what was not read yet all count.
 * Ends              done; or a failure, after what was still running (of the source) or at once (of the stream).
 */
#include "backends/lane.h"
#include "backends/shift.h"
#include "base/clock.h"
#include "base/expression.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/status.h"
#include "base/stop.h"
#include "core/call.h"
#include "core/pool.h"
#include "core/scope.h"
#include "core/stream_account.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_MOST = 64 };
#define BATCH_SHORT_S 50e-6  /* batches grow while their tasks take less on average, */
#define BATCH_LONG_S  200e-6 /* and shrink when they take more */

struct item {
    struct loom_parcel parcel; /* first: what comes back from the lane is an item */
    struct loom_arguments arguments;
};

struct parloom_stream {
    struct loom_plan plan; /* its options are a copy, with their strings */
    parloom_options inherited;
    bool is_inherited;
    struct loom_run run;
    struct loom_placement *placement; /* of the run, or NULL */
    struct loom_tally tally;
    struct loom_lane *lane;
    parloom_source source;
    void *state;
    bool is_ordered, is_drained, is_over;
    size_t asked, handed_out, outstanding;
    size_t limit, batch; /* calls ahead of the consumer; asked for at a time */
    bool is_auto;
    double mean_seconds; /* of tasks, smoothed */
    size_t since_change; /* results since the batch changed */
    struct item **early; /* ordered: ended before their turn, by index modulo early_room */
    size_t early_room;
    struct item *in_hand;   /* the consumer has its result */
    parloom_status failure; /* how the stream ends after what still runs */
    parloom_error failure_error;
    pthread_mutex_t lock; /* of the account: a thread may drop its task after the closing */
    bool is_closed;
    struct loom_stream_account account;
};

/* -------------------------------------------------------------------- items */

static void free_item(struct item *item)
{
    loom_arguments_release(&item->arguments);
    free(item);
}

/* The lane has done with a call that nobody will read. */
static void drop(struct loom_parcel *parcel, void *state)
{
    parloom_stream *stream = state;
    pthread_mutex_lock(&stream->lock);
    /* Killed by the closing: cancelled, unless there was a limit to be past. */
    bool has_limit = stream->run.task_timeout_ns > 0 || stream->failure == PARLOOM_ERR_TIMEOUT;
    if (parcel->status == PARLOOM_ERR_TIMEOUT && !has_limit) parcel->status = PARLOOM_ERR_CANCELLED;
    if (!stream->is_closed) loom_stream_account_note(&stream->account, parcel->index, parcel->status, &parcel->error);
    pthread_mutex_unlock(&stream->lock);
    free_item((struct item *)parcel);
}

static void end_source(parloom_stream *stream, parloom_status status, const parloom_error *error)
{
    stream->is_drained = true;
    if (stream->failure != PARLOOM_OK) return;
    stream->failure = status;
    stream->failure_error = *error;
}

static parloom_status check_outputs(const struct loom_arguments *arguments, parloom_error *error)
{
    if (!loom_arguments_are_staged_outputs(arguments)) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                            "out and inout arguments of a stream are shared memory: nobody could say when they are to "
                            "be copied back; use parloom_alloc, or hand the result out with parloom_return");
}

static parloom_status stage(parloom_stream *stream, struct item *item, const parloom_call *call, parloom_error *error)
{
    struct loom_request request = { .n = 1, .is_list = true, .calls = call };
    parloom_status status = loom_arguments_check(&request, error);
    if (status != PARLOOM_OK) return status;
    /* On threads too: the source may use its memory again for the next call. */
    status = loom_arguments_stage(&item->arguments, &request, &stream->plan.options, LOOM_MEMORY_SEPARATE, 0, error);
    if (status != PARLOOM_OK) return status;
    item->arguments.request = NULL; /* gone after this call */
    item->parcel.work = item->arguments.works[0];
    item->parcel.index = stream->asked;
    status = check_outputs(&item->arguments, error);
    return status == PARLOOM_OK ? loom_stream_account_take(&stream->account, stream->asked, error) : status;
}

static parloom_status post(parloom_stream *stream, const parloom_call *call, parloom_error *error)
{
    struct item *item = loom_memory_zeroed(1, sizeof *item);
    if (item == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a call of a stream");
    parloom_status status = stage(stream, item, call, error);
    if (status != PARLOOM_OK) {
        free_item(item);
        return status;
    }
    stream->asked++;
    status = stream->lane->ops->post(stream->lane, &item->parcel, error);
    if (status == PARLOOM_OK)
        stream->outstanding++;
    else
        free_item(item); /* it was taken, and counts as cancelled */
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

/* As many as the consumer has made room for, once there is room for a batch of them. */
static void feed(parloom_stream *stream)
{
    size_t ahead = stream->asked - stream->handed_out, batch = stream->batch;
    if (batch > stream->limit) batch = stream->limit;
    if (ahead > stream->limit || stream->limit - ahead < batch) return;
    while (!stream->is_drained && stream->asked - stream->handed_out < stream->limit) ask(stream);
}

/* Unset batches follow how long tasks take: where that is next to nothing, more of them bridge the consumer's naps. */
static void learn(parloom_stream *stream, double seconds)
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

/* ------------------------------------------------------------------- results */

static parloom_status grow_early(parloom_stream *stream, size_t needed, parloom_error *error)
{
    size_t room = stream->early_room > 0 ? stream->early_room : 16;
    while (room < needed) room *= 2;
    if (room == stream->early_room) return PARLOOM_OK;
    struct item **grown = loom_memory_zeroed(room, sizeof *grown);
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
static struct item *next_in_order(parloom_stream *stream)
{
    if (stream->early_room == 0) return NULL;
    struct item **at = &stream->early[stream->handed_out % stream->early_room];
    struct item *item = *at;
    *at = NULL;
    return item;
}

/* Waits for one more; puts it where it belongs. */
static parloom_status receive(parloom_stream *stream, struct item **item_out, parloom_error *error)
{
    struct loom_parcel *parcel = NULL;
    uint64_t until_ns = stream->account.options->progress != NULL ? stream->account.next_told_ns : LOOM_NEVER_NS;
    parloom_status status = grow_early(stream, stream->asked - stream->handed_out, error);
    if (status == PARLOOM_OK) status = stream->lane->ops->await(stream->lane, until_ns, &parcel, error);
    loom_stream_account_tell(&stream->account);
    if (status != PARLOOM_OK || parcel == NULL) return status;
    struct item *item = (struct item *)parcel;
    stream->outstanding--;
    loom_stream_account_note(&stream->account, parcel->index, parcel->status, &parcel->error);
    learn(stream, parcel->seconds);
    if (stream->is_ordered)
        stream->early[parcel->index % stream->early_room] = item;
    else
        *item_out = item;
    return PARLOOM_OK;
}

static parloom_status find_next(parloom_stream *stream, struct item **item_out, parloom_error *error)
{
    *item_out = NULL;
    for (;;) {
        if (stream->is_ordered) *item_out = next_in_order(stream);
        if (*item_out != NULL || stream->outstanding == 0) return PARLOOM_OK;
        parloom_status status = receive(stream, item_out, error);
        if (status != PARLOOM_OK || *item_out != NULL) return status;
    }
}

static void hand_out(parloom_stream *stream, struct item *item, parloom_result *result)
{
    const struct loom_parcel *parcel = &item->parcel;
    bool has_data = parcel->returned_nbytes != LOOM_PARCEL_NOTHING;
    memset(result, 0, sizeof *result);
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
    free_item(stream->in_hand);
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
static parloom_status watch(const parloom_stream *stream, parloom_error *error)
{
    const struct loom_run *run = &stream->run;
    if (run->deadline_ns != LOOM_NEVER_NS && loom_clock_ns() >= run->deadline_ns)
        return loom_status_fail(error, PARLOOM_ERR_TIMEOUT, 0, "the stream ran past its limit");
    if (loom_shift_run_is_cancelled(run))
        return loom_status_fail(error, PARLOOM_ERR_CANCELLED, 0, "the stream was cancelled %s",
                                loom_shift_run_canceller(run));
    return PARLOOM_OK;
}

static parloom_status feed_and_find(parloom_stream *stream, struct item **item_out, parloom_error *error)
{
    parloom_status status = watch(stream, error);
    if (status != PARLOOM_OK) return status;
    feed(stream);
    return find_next(stream, item_out, error);
}

parloom_status parloom_stream_next(parloom_stream *stream, parloom_result *result_out, bool *done_out,
                                   parloom_error *error)
{
    parloom_error unasked;
    struct item *item = NULL;
    if (error == NULL) error = &unasked;
    loom_status_clear(error);
    if (stream == NULL || result_out == NULL || done_out == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "stream, result_out and done_out must not be NULL");
    take_from_hand(stream);
    if (stream->is_over && stream->failure != PARLOOM_OK) return fail(stream, stream->failure, error);
    if (!stream->is_over) {
        parloom_status status = feed_and_find(stream, &item, error);
        if (status == PARLOOM_OK && item == NULL) status = stream->failure;
        if (status != PARLOOM_OK && status == stream->failure) *error = stream->failure_error;
        if (status != PARLOOM_OK) return fail(stream, status, error);
    }
    *done_out = item == NULL;
    stream->is_over |= item == NULL;
    if (item != NULL) hand_out(stream, item, result_out);
    return PARLOOM_OK;
}

/* ------------------------------------------------------------------ opening */

/* On the caller alone nothing runs ahead: what is asked for at a time is run, then more is asked for. */
static parloom_status set_limit(parloom_stream *stream, parloom_error *error)
{
    const parloom_options *options = &stream->plan.options;
    bool is_alone = stream->plan.backend == loom_backend_find("sequential");
    stream->batch = options->batch_size > 0 ? options->batch_size : 1;
    stream->is_auto = options->batch_size == 0 && options->pre_dispatch == NULL && !is_alone;
    if (options->pre_dispatch != NULL)
        return loom_expression_tasks(options->pre_dispatch, stream->plan.n_jobs, &stream->limit, error);
    size_t n_batches = is_alone ? 1 : 2 * (size_t)stream->plan.n_jobs;
    if (!loom_memory_mul(n_batches, stream->batch, &stream->limit)) stream->limit = SIZE_MAX;
    return PARLOOM_OK;
}

static parloom_status copy_options(parloom_stream *stream, parloom_error *error)
{
    parloom_options inherited, *options = &stream->plan.options;
    parloom_status status = loom_options_copy(options, options, error);
    if (status != PARLOOM_OK) {
        *options = (parloom_options){ .struct_size = 0 }; /* its strings are not ours */
        return status;
    }
    if (!loom_scope_inherit(&inherited)) return PARLOOM_OK;
    status = loom_options_copy(&stream->inherited, &inherited, error);
    stream->is_inherited = status == PARLOOM_OK;
    return status;
}

static void freeze(parloom_stream *stream)
{
    stream->placement = loom_plan_placement(&stream->plan, stream->plan.n_jobs);
    stream->run.placement = stream->placement;
    loom_call_freeze_plan(&stream->plan, &stream->run);
    stream->run.tally = &stream->tally;
    if (stream->is_inherited) stream->run.scope = &stream->inherited;
    loom_stream_account_open(&stream->account, &stream->plan.options, stream->plan.backend->name, stream->plan.n_jobs);
}

static void destroy(parloom_stream *stream)
{
    if (stream->plan.options.struct_size > 0) loom_options_destroy(&stream->plan.options);
    if (stream->is_inherited) loom_options_destroy(&stream->inherited);
    loom_tally_fini(&stream->tally);
    pthread_mutex_destroy(&stream->lock);
    free(stream->placement);
    free(stream->early);
    free(stream);
}

/* The lane has let go of everything. */
static void end(void *state)
{
    parloom_stream *stream = state;
    pthread_mutex_lock(&stream->lock); /* whoever closes may be in there still */
    bool is_closed = stream->is_closed;
    stream->lane = NULL;
    pthread_mutex_unlock(&stream->lock);
    if (is_closed) destroy(stream);
}

static parloom_status open_lane(parloom_stream *stream, parloom_error *error)
{
    const struct loom_plan *plan = &stream->plan;
    if (plan->backend->open_lane == NULL)
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                                "the backend \"%s\" runs no streams: their calls come when its workers exist already; "
                                "use processes or threads",
                                plan->backend->name);
    void *workers = plan->pool != NULL ? loom_pool_workers(plan->pool, plan->backend) : NULL;
    struct loom_lane_order order = { &stream->run, drop, end, stream };
    return plan->backend->open_lane(workers, &order, &stream->lane, error);
}

static parloom_status open_planned(parloom_stream *stream, parloom_error *error)
{
    parloom_status status = loom_tally_init(&stream->tally, 0, 1, error);
    if (status == PARLOOM_OK) status = copy_options(stream, error);
    if (status == PARLOOM_OK) status = set_limit(stream, error);
    if (status == PARLOOM_OK && loom_stop_is_requested(stream->plan.options.stop))
        status = loom_status_fail(error, PARLOOM_ERR_CANCELLED, 0,
                                  "the stream was cancelled through its stop before it began");
    if (status != PARLOOM_OK) return status;
    freeze(stream);
    return open_lane(stream, error);
}

static parloom_status start(parloom_stream *stream, const parloom_options *given, parloom_error *error)
{
    parloom_status status = loom_plan_make(&stream->plan, given, error);
    if (status != PARLOOM_OK) stream->plan.options.struct_size = 0;
    if (status == PARLOOM_OK && stream->plan.pool != NULL) {
        status = loom_pool_enter(stream->plan.pool, &stream->plan.options, error);
        if (status != PARLOOM_OK) stream->plan.options.struct_size = 0;
    }
    if (status != PARLOOM_OK) return status;
    status = open_planned(stream, error);
    if (status != PARLOOM_OK && stream->plan.pool != NULL) loom_pool_leave(stream->plan.pool, &stream->plan.options);
    return status;
}

parloom_status parloom_stream_open(parloom_stream **stream_out, parloom_source source, void *state, bool ordered,
                                   const parloom_options *options, parloom_error *error)
{
    parloom_error unasked;
    if (error == NULL) error = &unasked;
    loom_status_clear(error);
    if (stream_out == NULL || source == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "stream_out and source must not be NULL");
    parloom_stream *stream = loom_memory_zeroed(1, sizeof *stream);
    if (stream == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a stream");
    pthread_mutex_init(&stream->lock, NULL);
    stream->source = source;
    stream->state = state;
    stream->is_ordered = ordered;
    parloom_status status = start(stream, options, error);
    if (status != PARLOOM_OK) {
        destroy(stream);
        return status;
    }
    feed(stream);
    *stream_out = stream;
    return PARLOOM_OK;
}

/* ------------------------------------------------------------------ closing */

static void free_early(parloom_stream *stream)
{
    for (size_t k = 0; k < stream->early_room; k++) {
        if (stream->early[k] == NULL) continue;
        stream->lane->ops->release(stream->lane, &stream->early[k]->parcel);
        free_item(stream->early[k]);
    }
}

void parloom_stream_close(parloom_stream *stream)
{
    if (stream == NULL) return;
    parloom_pool *pool = stream->plan.pool;
    take_from_hand(stream);
    free_early(stream);
    stream->lane->ops->close(stream->lane);
    pthread_mutex_lock(&stream->lock);
    loom_stream_account_close(&stream->account, &stream->tally);
    if (pool != NULL) loom_pool_leave(pool, &stream->plan.options);
    stream->is_closed = true;
    bool has_ended = stream->lane == NULL;
    pthread_mutex_unlock(&stream->lock);
    if (has_ended) destroy(stream);
}

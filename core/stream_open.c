/* SPDX-License-Identifier: BSD-3-Clause */
/* stream_open.c - a stream is planned, its lane opened (see stream.h). */
#include "core/stream.h"

#include "backends/shift.h"
#include "base/expression.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/status.h"
#include "base/stop.h"
#include "core/channel.h"
#include "core/pool.h"
#include "core/scope.h"

#include <stdlib.h>

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
    stream->is_inner = loom_shift_current() != NULL;
    if (loom_channels_freeze(&stream->channels)) stream->run.channels = &stream->channels;
    loom_stream_account_open(&stream->account, &stream->plan.options, stream->plan.backend->name, stream->plan.n_jobs);
}

void loom_stream_destroy(parloom_stream *stream)
{
    if (stream->plan.options.struct_size > 0) loom_options_destroy(&stream->plan.options);
    if (stream->is_inherited) loom_options_destroy(&stream->inherited);
    loom_tally_fini(&stream->tally);
    pthread_mutex_destroy(&stream->lock);
    free(stream->placement);
    for (struct loom_parcel *spare; (spare = loom_parcel_pop(&stream->spare)) != NULL;)
        loom_stream_free_item((struct loom_stream_item *)spare);
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
    if (is_closed) loom_stream_destroy(stream);
}

static parloom_status open_lane(parloom_stream *stream, parloom_error *error)
{
    const struct loom_plan *plan = &stream->plan;
    if (plan->backend->open_lane == NULL)
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                                "the backend \"%s\" runs no streams, only loops and lists of calls: use processes or "
                                "threads",
                                plan->backend->name);
    void *workers = plan->pool != NULL ? loom_pool_workers(plan->pool, plan->backend) : NULL;
    struct loom_lane_order order = { &stream->run, loom_stream_drop, end, stream };
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
        loom_stream_destroy(stream);
        return status;
    }
    loom_stream_account_show(&stream->account);
    loom_stream_feed(stream);
    *stream_out = stream;
    return PARLOOM_OK;
}

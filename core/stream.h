/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream.h - a stream: private to its files.
 *
 *   stream.c          results and their order; closing
 *   stream_open.c     opening
 *   stream_source.c   the source is asked, its calls are made ready and posted
 *   stream_account.c  how they ended, and who is told
 */
#ifndef LOOM_CORE_STREAM_H
#define LOOM_CORE_STREAM_H

#include "backends/lane.h"
#include "core/call.h"
#include "core/stream_account.h"

#include <pthread.h>

struct loom_stream_item {
    struct loom_parcel parcel; /* first: what comes back from the lane is an item */
    struct loom_arguments arguments;
};

struct parloom_stream {
    struct loom_plan plan; /* its options are a copy, with their strings */
    parloom_options inherited;
    bool is_inherited;
    struct loom_run run;
    struct loom_channels channels;    /* of the run, where there are any */
    bool is_inner;                    /* opened in a task: what is recorded becomes the task's */
    struct loom_placement *placement; /* of the run, or NULL */
    struct loom_tally tally;
    struct loom_lane *lane;
    parloom_source source;
    void *state;
    bool is_ordered, is_drained, is_over;
    size_t asked, handed_out, outstanding;
    size_t limit, batch; /* calls ahead of the consumer; asked for at a time */
    bool is_auto;
    double mean_seconds;             /* of tasks, smoothed */
    size_t since_change;             /* results since the batch changed */
    struct loom_stream_item **early; /* ordered: ended before their turn, by index modulo early_room */
    size_t early_room;
    struct loom_parcel_queue ready;   /* else: fetched before they were asked for */
    struct loom_parcel_queue spare;   /* items to be used again: they are too large to be cheap */
    struct loom_stream_item *in_hand; /* the consumer has its result */
    parloom_status failure;           /* how the stream ends after what still runs */
    parloom_error failure_error;
    pthread_mutex_t lock; /* of the account: a thread may drop its task after the closing */
    bool is_closed;
    struct loom_stream_account account;
};

/* As many calls as the consumer has made room for, once there is room for a batch of them (stream_source.c). */
void loom_stream_feed(parloom_stream *stream);
/* Unset batches follow how long tasks take. */
void loom_stream_learn(parloom_stream *stream, double seconds);
void loom_stream_free_item(struct loom_stream_item *item);
/* The same in the consumer's thread: it is used again. */
void loom_stream_put_item(parloom_stream *stream, struct loom_stream_item *item);
/* The lane has done with a call that nobody will read. */
void loom_stream_drop(struct loom_parcel *parcel, void *state);
void loom_stream_destroy(parloom_stream *stream); /* stream_open.c; NULL is not fine */

#endif

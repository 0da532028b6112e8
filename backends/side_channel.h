/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * side_channel.h - what tasks record, on its way from the body to the program.
 *
 * In the caller's own process it is added to the call's records at once. A worker process tells it over the log of its
 * desk, in pieces: what was told before a death is there, and a full log waits for the program.
 */
#ifndef LOOM_BACKENDS_SIDE_CHANNEL_H
#define LOOM_BACKENDS_SIDE_CHANNEL_H

#include "backends/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The channels of a call. In letters too: there merge and state are not for workers. */
struct loom_channel {
    char name[PARLOOM_STATE_NAME_BYTES];
    void (*merge)(const parloom_recorded *record, void *state);
    void *state;
};

struct loom_channels {
    uint64_t n;
    struct loom_channel channels[PARLOOM_CHANNELS_MOST];
};

/* A record, or a piece of one; the pieces of one record follow each other among those of their task. */
struct loom_record {
    size_t task;
    uint32_t channel;
    int worker;
    bool is_last; /* piece of its record */
    size_t order; /* in which it came */
    size_t at, nbytes;
};

/* Of a call: private to the program. One thread at a time. Zeroed: none. */
struct loom_records {
    struct loom_record *records;
    size_t n, room;
    char *bytes;
    size_t n_bytes, bytes_room;
    bool is_short_of_memory; /* some are lost */
};

/* Copies data; the rest as in made. False: no memory, noted too. */
bool loom_records_add(struct loom_records *records, const struct loom_record *made, const void *data, size_t nbytes);
/* By task, and in the order in which they came. */
void loom_records_sort(struct loom_records *records);
/* From a sorted record on, whose pieces are joined in room of its own: *at is moved behind them. False: no whole record
 * is left, or no memory (noted). data: freed by the caller. */
bool loom_records_next(struct loom_records *records, size_t *at, struct loom_record *record_out, void **data_out);
void loom_records_release(struct loom_records *records);

/* ---- over the log of a desk */

enum {
    LOOM_RECORD_ENTRY = 1, /* status of an entry: no parloom_status is positive */
    LOOM_RECORD_PIECE_BYTES = 960,
    LOOM_RECORD_LAST = 1 << 16 /* in code, beside the channel */
};

struct loom_log_entry;
struct loom_dispatch;
/* The record of a shift in a worker process: waits for the program where its log is full. */
struct loom_shift;
parloom_status loom_record_tell(struct loom_shift *shift, size_t task, uint32_t channel, const void *data,
                                size_t nbytes);
/* Program: takes what a worker told. */
void loom_records_take(const struct loom_run *run, const struct loom_log_entry *entry, int worker, const char *piece);
/* Before a round that runs tasks again: drops what they recorded in the rounds before. */
void loom_records_drop(struct loom_dispatch *dispatch);

#ifdef __cplusplus
}
#endif
#endif

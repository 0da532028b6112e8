/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * channel.c - which side channels are registered, and the records of a call that has ended.
 *
 * A call made in a task collects for that task: its records become the task's, in their order, whatever the backends of
 * the two. So what a body records reaches the program through any number of levels.
 */
#include "core/channel.h"

#include "backends/shift.h"
#include "base/status.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct {
    pthread_mutex_t lock;
    struct loom_channels channels;
} book = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Whoever held the lock is not in the child. */
static void renew_lock_in_child(void)
{
    book.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, renew_lock_in_child);
}

/* ---------------------------------------------------------------- the register */

static uint64_t find(const char *name)
{
    uint64_t k = 0;
    while (k < book.channels.n && strcmp(book.channels.channels[k].name, name) != 0) k++;
    return k;
}

static parloom_status add(const struct loom_channel *channel, parloom_error *error)
{
    if (find(channel->name) < book.channels.n)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "channel \"%s\" is registered already", channel->name);
    if (book.channels.n == PARLOOM_CHANNELS_MOST)
        return loom_status_fail(error, PARLOOM_ERR_LIMIT, 0,
                                "%d channels are registered: unregister one, or record to one of them",
                                PARLOOM_CHANNELS_MOST);
    book.channels.channels[book.channels.n++] = *channel;
    return PARLOOM_OK;
}

parloom_status parloom_channel_register(const char *name, void (*merge)(const parloom_recorded *record, void *state),
                                        void *state, parloom_error *error)
{
    struct loom_channel channel = { .merge = merge, .state = state };
    loom_status_clear(error);
    if (name == NULL || name[0] == '\0' || strlen(name) >= sizeof channel.name ||
        strncmp(name, "parloom.", strlen("parloom.")) == 0)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "a channel is named with 1 to %zu characters, and not \"parloom...\"",
                                sizeof channel.name - 1);
    if (merge == NULL) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "channel \"%s\" has no merge", name);
    memcpy(channel.name, name, strlen(name));
    pthread_mutex_lock(&book.lock);
    parloom_status status = add(&channel, error);
    pthread_mutex_unlock(&book.lock);
    return status;
}

parloom_status parloom_channel_unregister(const char *name, parloom_error *error)
{
    loom_status_clear(error);
    pthread_mutex_lock(&book.lock);
    uint64_t at = name != NULL ? find(name) : book.channels.n;
    bool is_found = at < book.channels.n;
    if (is_found) {
        struct loom_channel *place = &book.channels.channels[at];
        memmove(place, place + 1, (size_t)(--book.channels.n - at) * sizeof *place);
    }
    pthread_mutex_unlock(&book.lock);
    if (is_found) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no channel \"%s\" is registered", name != NULL ? name : "");
}

/* ----------------------------------------------------------------------- calls */

bool loom_channels_freeze(struct loom_channels *channels_out)
{
    const struct loom_shift *around = loom_shift_current();
    channels_out->n = 0;
    if (around != NULL) {
        if (around->channels != NULL) *channels_out = *around->channels;
    } else {
        pthread_mutex_lock(&book.lock);
        if (book.channels.n > 0) *channels_out = book.channels;
        pthread_mutex_unlock(&book.lock);
    }
    return channels_out->n > 0;
}

/* around: the task that gets it; NULL: the program. */
static bool hand_on(const struct loom_channel *channel, const struct loom_record *record, const void *data,
                    parloom_status status, struct loom_shift *around)
{
    if (around != NULL) return parloom_record(&around->task, channel->name, data, record->nbytes) == PARLOOM_OK;
    parloom_recorded recorded = {
        .task = record->task, .status = status, .worker = record->worker, .data = data, .nbytes = record->nbytes
    };
    channel->merge(&recorded, channel->state);
    return true;
}

bool loom_channels_merge(const struct loom_channels *channels, struct loom_records *records,
                         const struct loom_tally *tally)
{
    struct loom_shift *around = loom_shift_current();
    struct loom_record record;
    void *data;
    bool is_whole = true;
    loom_records_sort(records);
    for (size_t at = 0; loom_records_next(records, &at, &record, &data);) {
        parloom_status status = loom_tally_status(tally, record.task);
        is_whole &= hand_on(&channels->channels[record.channel], &record, data, status, around);
        free(data);
    }
    return is_whole && !records->is_short_of_memory;
}

/* A stream of a task may be read on outside of it: then there is nobody to give it to. */
bool loom_channels_merge_one(const struct loom_channels *channels, struct loom_records *records, parloom_status status,
                             bool is_inner)
{
    struct loom_shift *around = is_inner ? loom_shift_current() : NULL;
    struct loom_record record;
    void *data;
    bool is_whole = true;
    if (is_inner && around == NULL) return true;
    for (size_t at = 0; loom_records_next(records, &at, &record, &data);) {
        is_whole &= hand_on(&channels->channels[record.channel], &record, data, status, around);
        free(data);
    }
    return is_whole && !records->is_short_of_memory;
}

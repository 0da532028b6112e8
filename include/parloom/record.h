/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * record.h - what tasks bring back beside their results: side channels.
 *
 * A task records bytes to a channel, and the program is given them in task order when the call has ended, on every
 * backend alike: warnings, counters, what a failed task had found until then. From a stream the program is given those
 * of a task when it takes the result of that task, in parloom_stream_next; a channel is one of a stream if it was
 * registered when the stream was opened.
 */
#ifndef PARLOOM_RECORD_H
#define PARLOOM_RECORD_H

#include <parloom/parallel.h>
#include <parloom/state.h>
#include <parloom/status.h>

#include <stddef.h>

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

enum { PARLOOM_CHANNELS_MOST = 16 }; /* registered at a time */

/* One record as the program is given it. It grows at its end in later releases. */
typedef struct parloom_recorded {
    size_t task;           /* index; in a range the one that parloom_at announced last, else where the range begins */
    parloom_status status; /* how that task ended */
    int worker;            /* which one recorded it */
    const void *data;      /* aligned to 16; borrowed until merge returns */
    size_t nbytes;
} parloom_recorded;

/*
 * Registers a side channel. When a call of the program has ended, merge is given each record of its tasks: tasks in
 * ascending order, the records of a task in the order in which it made them. Tasks that failed or crashed are among
 * them, with what they recorded until then. Of a task that was run again only the last run counts.
 *
 * name     below PARLOOM_STATE_NAME_BYTES, not registered yet, not beginning with "parloom."; copied
 * merge    called in the thread that made the call, before it returns; it may make calls
 * state    handed to merge; borrows until the channel is unregistered
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID  no name, one that is taken or reserved, no merge
 *   PARLOOM_ERR_LIMIT    PARLOOM_CHANNELS_MOST are registered
 * Threads: any thread of the program; calls that run already do not have it.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/10_records.c
 */
parloom_status parloom_channel_register(const char *name, void (*merge)(const parloom_recorded *record, void *state),
                                        void *state, parloom_error *error);

/*
 * Unregisters a side channel: what tasks of later calls record to it is dropped.
 *
 * name     of the channel
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID  no such channel
 * Threads: any thread of the program; calls that run already keep it, so its state must outlive them.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/10_records.c
 */
parloom_status parloom_channel_unregister(const char *name, parloom_error *error);

/*
 * Records bytes to a side channel, for the task that runs. In a call that was made in a task, the record becomes one of
 * that task when the inner call has ended.
 *
 * task     of the body
 * channel  its name; where the program registered none of that name, nothing is recorded
 * data     copied; NULL where nbytes is 0
 * nbytes   bytes; many small ones are cheap, megabytes are better written to an out argument
 *
 * Returns: PARLOOM_OK, also where nobody collects, or
 * Errors:
 *   PARLOOM_ERR_INVALID  no channel was named, or data is NULL
 *   PARLOOM_ERR_MEMORY   no memory for the record, in the caller's own process; where the program finds none for what
 *                        workers sent, the call returns it
 * Threads: in a task body, the thread that runs it.
 * Blocks:  in a worker process, while the program has not taken what was recorded before.
 * Since:   0.1
 * Example: examples/10_records.c
 */
parloom_status parloom_record(const parloom_task *task, const char *channel, const void *data, size_t nbytes);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif

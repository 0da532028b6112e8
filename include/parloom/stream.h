/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream.h - results as they come: calls from a source that is asked while others run, results of any size.
 *
 * Where a loop would have to know all its calls and hold all its results, a stream holds a few of each: the source is
 * never asked for more than pre_dispatch calls beyond what the consumer has taken, so a slow consumer, or a source
 * without an end, fills no memory.
 *
 * Each call of a stream is a call of its own. In its worker process it finds registered state (state.h), environment,
 * working directory, locale and floating-point environment as the program had them when the source gave it: the source
 * may set them for each of its calls, and what a task leaves changed of the surroundings the next one does not find.
 * Scopes and side channels (record.h) are those that the stream was opened with: a scope is mostly left before the last
 * call is asked for. What a task recorded is merged when its result is taken.
 *
 *     parloom_stream_open(&stream, next_call, &source, true, PARLOOM_OPTIONS(.n_jobs = -1), &error);
 *     while (parloom_stream_next(stream, &result, &done, &error) == PARLOOM_OK && !done) use(&result);
 *     parloom_stream_close(stream);
 */
#ifndef PARLOOM_STREAM_H
#define PARLOOM_STREAM_H

#include <parloom/options.h>
#include <parloom/parallel.h>
#include <parloom/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

/*
 * The source of a stream: gives one call each time it is asked, in the consumer's thread, during parloom_stream_open
 * and parloom_stream_next. Returns 1 with call_out set, 0 at the end, or a negative number of its own on an error: the
 * stream then gives what is still running, and at last PARLOOM_ERR_CALLBACK with that number as error.code.
 *
 * What the call points to is borrowed until the source is asked again, or the stream is closed: in arguments are copied
 * then and there on every backend, unless they are shared or published. out and inout arguments must be shared memory
 * (parloom_alloc). parloom_each and parloom_reduce are for loops. It must not use the stream it feeds.
 */
typedef int (*parloom_source)(void *state, parloom_call *call_out);

/* One result. */
typedef struct parloom_result {
    size_t index;          /* position in the source; of a future 0 */
    parloom_status status; /* CALLBACK: a state could not be applied in its worker (state.h), and it was not run */
    parloom_error error;   /* of this task; filled only when status is not PARLOOM_OK */
    const void *data;      /* what the body gave to parloom_return; NULL: nothing */
    size_t nbytes;         /* of data: valid until the next parloom_stream_next or _close; of a future: future.h */
    double seconds;        /* the task ran; 0 where its worker died */
    uint64_t reserved[4];
} parloom_result;

typedef struct parloom_stream parloom_stream;

/*
 * Hands a result of any size to the consumer of the stream, or to who waits for the future: it is copied. Of several
 * the last one counts; that of a task which then fails is delivered with its failure.
 *
 * task     of the body
 * data     borrows; NULL only with nbytes 0
 * nbytes   bytes
 *
 * Returns: 0, or a negative parloom_status:
 * Errors:
 *   PARLOOM_ERR_UNSUPPORTED  this call is neither a stream nor a future: write into an out argument
 *   PARLOOM_ERR_INVALID      data is NULL
 *   PARLOOM_ERR_MEMORY, PARLOOM_ERR_SPACE, PARLOOM_ERR_LIMIT, PARLOOM_ERR_IO  no room for so much
 *   PARLOOM_ERR_CANCELLED    the stream is being closed, or what the future runs on
 * Threads: in a task body, the thread that runs it.
 * Blocks:  in a worker process, a result that is larger than those before it waits until its program next waits for
 *          these workers (as in parloom_stream_next; for futures the library's thread does), which makes room for it.
 * Since:   0.1
 * Example: tests/accept/06_stream.c
 */
int parloom_return(const parloom_task *task, const void *data, size_t nbytes);

/*
 * Opens a stream and starts work: the source is asked for the first calls.
 *
 * stream_out set on success; end it with parloom_stream_close
 * source     borrows until the end of the source was told, or the stream is closed
 * state      what source is given
 * ordered    true: results come in the order of the source; false: as they finish
 * options    borrows; copied with their strings and worker_init_state. pre_dispatch says how many calls are taken
 *            ahead of the consumer ("all", "16", "2*n_jobs"; unset: 2 * n_jobs batches, whose size follows batch_size
 *            or, unset, how long tasks take). With batch_size the source is asked for that many at a time. on_error
 *            STOP: the stream ends with the first result that is a failure; GO_ON: it goes on. Of statuses, errors and
 *            report the pointers are copied: what they point to is borrowed until the stream is closed, statuses and
 *            errors being filled then, too. Worker processes keep task_timeout and timeout by themselves, also while
 *            nobody waits; the program learns of it when it waits next. On threads nothing is begun after timeout.
 *            progress is told, and verbose shown, while the program is in parloom_stream_next, and at the closing.
 *            schedule does not apply. NULL: all unset
 * error      NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID      an option makes no sense, source is NULL, pre_dispatch comes to less than 1
 *   PARLOOM_ERR_UNSUPPORTED  the backend runs no streams (fork, registered ones), or cannot do what was asked
 *   PARLOOM_ERR_LIMIT        too many streams are open on one pool (8), too many processes or descriptors
 *   PARLOOM_ERR_MEMORY, PARLOOM_ERR_SPACE, PARLOOM_ERR_IO, PARLOOM_ERR_VERSION, PARLOOM_ERR_POOL  as for calls
 *   PARLOOM_ERR_BUSY         the pool is being closed
 * Threads: any thread; each stream is then used by one thread at a time.
 * Blocks:  for as long as starting workers and asking the source takes.
 * Since:   0.1
 * Example: tests/accept/06_stream.c
 */
parloom_status parloom_stream_open(parloom_stream **stream_out, parloom_source source, void *state, bool ordered,
                                   const parloom_options *options, parloom_error *error);

/*
 * Waits for the next result, having asked the source for as many calls as the consumer has made room for. What its task
 * recorded (record.h) is merged in this thread before the result is given, also of a task that failed; merge must not
 * use the stream. In an ordered stream that is task order.
 *
 * stream     not closed
 * result_out set when done_out is false
 * done_out   true: there are no more results, result_out is not set
 * error      NULL is fine; tells of the stream, result_out->error of a task
 *
 * Returns: PARLOOM_OK, also for the result of a task that failed; another status is the end of the stream:
 * Errors:
 *   PARLOOM_ERR_TIMEOUT    it ran past its timeout
 *   PARLOOM_ERR_CANCELLED  its stop was requested, or the shared workers were shut down
 *   PARLOOM_ERR_CALLBACK   the source, worker_init or the capture function of a state failed; error->code is what it
 *                          returned
 *   PARLOOM_ERR_INVALID    a call of the source makes no sense
 *   PARLOOM_ERR_FUNCTION   a call's function cannot be reached from a worker
 *   PARLOOM_ERR_SPACE, PARLOOM_ERR_MEMORY, PARLOOM_ERR_LIMIT, PARLOOM_ERR_IO  no room for a call's arguments, or for
 *                          what it recorded
 *   PARLOOM_ERR_POOL       workers cannot be kept alive
 * Threads: one at a time.
 * Blocks:  until a result is there. On the backend sequential it runs the task itself.
 * Since:   0.1
 * Example: tests/accept/06_stream.c
 */
parloom_status parloom_stream_next(parloom_stream *stream, parloom_result *result_out, bool *done_out,
                                   parloom_error *error);

/*
 * Ends a stream, and cancels what is left of it and of nothing else: tasks that have not begun are not run, those that
 * run see parloom_cancelled. In worker processes one that goes on is killed 10 ms later; a thread cannot be ended: it
 * goes on by itself, with what its task needs. Results that were not taken are dropped, with what their tasks recorded.
 *
 * stream     takes; NULL: nothing
 *
 * Returns: nothing; the report, if one was asked for, says how the tasks ended.
 * Errors:  none.
 * Threads: any thread, when no other uses the stream.
 * Blocks:  for at most some 10 ms; where a body on a thread does not look at parloom_cancelled, some 100.
 * Since:   0.1
 * Example: tests/accept/06_stream.c
 */
void parloom_stream_close(parloom_stream *stream);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * backend.h - backends of your own: calls that run on threads, queues or processes which parloom knows nothing about.
 *
 * A backend brings workers. parloom keeps the account: it hands out tasks, runs bodies, and notes how tasks ended, so
 * that indices, elements, reductions, failures and limits mean what they mean everywhere. In its run operation a
 * backend lets each of its workers do
 *
 *     while (parloom_backend_next(run, worker, &chunk))
 *         while (parloom_backend_execute(run, worker, &chunk, &result))
 *             parloom_backend_report(run, worker, &result);
 *
 * or, in one line, parloom_backend_work(run, worker), and comes back when all of them are done: parloom_backend_wait.
 * Each step is checked. What was reported twice, by the wrong worker, otherwise than it ended or not at all, a worker
 * that does not exist, or a run that is over: it is refused and ends the call with PARLOOM_ERR_INTERNAL, which names
 * the backend. It is never counted, and no task is run twice. Tasks that nobody reported count as CANCELLED.
 *
 * Where bodies run. With PARLOOM_BACKEND_SHARES_MEMORY: in threads of the caller's process. Without it in processes
 * that run itself forked: these call parloom_backend_execute only, chunks and results travel to and fro as plain bytes,
 * and the program calls next and report for them. What such a child cost when it died is reported as
 * PARLOOM_ERR_CRASHED or PARLOOM_ERR_EXITED. Reductions and limits of single tasks are not for custom backends of
 * this second kind, streams and futures for none: they are refused with PARLOOM_ERR_UNSUPPORTED.
 */
#ifndef PARLOOM_BACKEND_H
#define PARLOOM_BACKEND_H

#include <parloom/options.h>
#include <parloom/status.h>

#include <stdbool.h>
#include <stddef.h>

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

#define PARLOOM_BACKEND_ABI 1u /* grows when what is here changes its meaning; fields are only ever appended */

enum {
    PARLOOM_BACKEND_SHARES_MEMORY = 1 /* bodies run in the caller's process and see its memory */
};

enum { PARLOOM_BACKEND_NAME_BYTES = 64, PARLOOM_BACKEND_MOST_WORKERS = 4096 };

/* One call, as the backend that runs it sees it. */
typedef struct parloom_backend_run parloom_backend_run;

/* Tasks [begin, end) that were handed to a worker and are still to be run. Plain bytes. */
typedef struct parloom_backend_chunk {
    size_t begin;
    size_t end;
} parloom_backend_chunk;

/* What became of tasks [begin, end): those before failed are OK, the others ended in status. Plain bytes. */
typedef struct parloom_backend_result {
    size_t begin;
    size_t end;
    size_t failed;         /* end: all are OK */
    parloom_status status; /* OK, TASK, TIMEOUT, CANCELLED (not started); from processes also CRASHED, EXITED */
    parloom_error error;   /* of task failed; signal, code, pid and message are told to the caller */
} parloom_backend_result;

/*
 * What a backend does. state: as registered. Operations may be called by several threads at once; what is NULL is left
 * out. error is never NULL: fill status and message (or nothing) when returning a failure.
 */
typedef struct parloom_backend_ops {
    size_t struct_size; /* sizeof(parloom_backend_ops) */
    unsigned abi;       /* PARLOOM_BACKEND_ABI */
    unsigned flags;     /* of PARLOOM_BACKEND_SHARES_MEMORY */
    /* Says how many workers a call or pool gets; 0 refuses it: "NAME has no active worker". Asked before each call
     * without a pool and when one is opened; may be asked without a call (parloom_effective_n_jobs).
     * n_jobs: as asked for, 0: nobody said. params: backend_params, or NULL: refuse (INVALID) what means nothing.
     * A failure with *fallback_out set to a name hands the call to that backend instead. NULL: n_jobs as asked for. */
    parloom_status (*configure)(void *state, int n_jobs, const char *params, int *workers_out,
                                const char **fallback_out, parloom_error *error);
    /* Workers of a pool, if they are to outlive calls: *pool_out is given to run and close. Both or none. */
    parloom_status (*open)(void *state, int workers, const char *params, void **pool_out, parloom_error *error);
    void (*close)(void *state, void *pool);
    /* Runs the call on workers 0 .. parloom_backend_workers(run) - 1 and returns when they are done with it. Required.
     * In the caller's thread. pool: of open, NULL: the call has none. A failure says why the call could not be run. */
    parloom_status (*run)(void *state, void *pool, parloom_backend_run *run, parloom_error *error);
    /* parloom_shutdown: end what calls without a pool share. */
    void (*shutdown)(void *state, bool kill);
    /* Around run, in the caller's thread, once for each call that was not made in a task. */
    void (*wait_begin)(void *state);
    void (*wait_end)(void *state);
} parloom_backend_ops;

/*
 * Registers a backend: from now on options, scopes and PARLOOM_BACKEND may name it. Worker processes start as the
 * program does, without main: to have it there as well, register it in a constructor.
 *
 * name     borrows; letters, digits, '_', '-' and '.', less than PARLOOM_BACKEND_NAME_BYTES of them
 * ops      borrows; copied
 * state    borrows until it is unregistered; handed to the operations
 * make_default  true: calls for which nobody named a backend use it: it wins over PARLOOM_BACKEND and loses to
 *          parloom_set_defaults. Calls in tasks keep threads and sequential
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or, and then nothing is registered,
 * Errors:
 *   PARLOOM_ERR_INVALID      no name can be that, it is taken (also: by a built-in backend), or ops are incomplete
 *   PARLOOM_ERR_VERSION      ops are of another ABI
 *   PARLOOM_ERR_UNSUPPORTED  a flag is not known here
 *   PARLOOM_ERR_MEMORY       no memory for the copy
 * Threads: any thread.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/13_custom_backend.c
 */
parloom_status parloom_backend_register(const char *name, const parloom_backend_ops *ops, void *state,
                                        bool make_default, parloom_error *error);

/*
 * Offers a backend that is registered only when it is first named: a plug-in to be opened, say.
 *
 * name     borrows; as for parloom_backend_register
 * load     calls parloom_backend_register with that name and returns PARLOOM_OK; or says in error what is missing.
 *          Asked again each time as long as it failed; by several threads, if several ask first
 * state    borrows until it is unregistered; handed to load
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID  no name can be that, it is taken, or load is NULL
 *   PARLOOM_ERR_MEMORY   no memory for the note of it
 * Threads: any thread.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/13_custom_backend.c
 */
parloom_status parloom_backend_offer(const char *name, parloom_status (*load)(void *state, parloom_error *error),
                                     void *state, parloom_error *error);

/*
 * Takes a backend, or the offer of one, back. If it was the default, the built-in one is again.
 *
 * name     borrows
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK: nothing uses its state any more; or
 * Errors:
 *   PARLOOM_ERR_INVALID  no such name, or that of a built-in backend
 *   PARLOOM_ERR_BUSY     a call runs on it, or a pool of it is open
 * Threads: any thread; not in its operations.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/13_custom_backend.c
 */
parloom_status parloom_backend_unregister(const char *name, parloom_error *error);

/*
 * Lists the backends that can be named: the built-in ones, then those registered or offered, oldest first.
 *
 * names    NULL, or room for that many; gives static strings
 * room     how many fit
 *
 * Returns: how many there are, whatever the room.
 * Errors:  none.
 * Threads: any thread.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/13_custom_backend.c
 */
size_t parloom_backend_list(const char **names, size_t room);

/*
 * Says how many workers a call has: not more than configure said, nor than tasks.
 *
 * handle   of the run operation; one that is over has none
 *
 * Returns: their number; they are 0 and up.
 * Errors:  none.
 * Threads: any thread of the program.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/13_custom_backend.c
 */
int parloom_backend_workers(parloom_backend_run *handle);

/*
 * Takes the next tasks for a worker, who has reported all it took before.
 *
 * run        of the run operation
 * worker     its number
 * chunk_out  set on success
 *
 * Returns: true; false: nothing is left for this worker, the call stops, or this was a mistake, which ends the call.
 * Errors:  none.
 * Threads: any thread of the program; one at a time for one worker.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/13_custom_backend.c
 */
bool parloom_backend_next(parloom_backend_run *run, int worker, parloom_backend_chunk *chunk_out);

/*
 * Runs tasks of a chunk: all of it, or up to the first that failed. The rest is run by another call of this after the
 * result was reported, so it is called until it returns false.
 *
 * run         of the run operation
 * worker      its number
 * chunk       of parloom_backend_next; its begin moves to behind what was run
 * result_out  set on success; to be reported as it is
 *
 * Returns: true; false: nothing of the chunk is left, the run is over, or this was a mistake, which ends the call.
 * Errors:  none.
 * Threads: any thread of the program; one at a time for one worker. Without PARLOOM_BACKEND_SHARES_MEMORY also in a
 *          process that was forked in the run operation.
 * Blocks:  for as long as the tasks take.
 * Since:   0.1
 * Example: examples/13_custom_backend.c
 */
bool parloom_backend_execute(parloom_backend_run *run, int worker, parloom_backend_chunk *chunk,
                             parloom_backend_result *result_out);

/*
 * Reports what became of tasks.
 *
 * handle   of the run operation
 * worker   who took them
 * result   borrows; of parloom_backend_execute. For a process that died in task k of its chunk [begin, end): { begin,
 *          k + 1, k, PARLOOM_ERR_CRASHED, ... }; the rest of its chunk is run by the process that takes its place
 *
 * Returns: PARLOOM_OK, or, and then it is not counted and the call ends,
 * Errors:
 *   PARLOOM_ERR_INVALID  the worker did not have these tasks, they were reported before, did not end so, or the run is
 *                        over
 * Threads: any thread of the program; one at a time for one worker.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/13_custom_backend.c
 */
parloom_status parloom_backend_report(parloom_backend_run *handle, int worker, const parloom_backend_result *result);

/*
 * Does a worker's whole part of a call in this thread: next, execute and report until nothing is left.
 *
 * run      of the run operation
 * worker   its number
 *
 * Returns: nothing.
 * Errors:  none.
 * Threads: any thread of the program; one for each worker.
 * Blocks:  for as long as the tasks take.
 * Since:   0.1
 * Example: examples/13_custom_backend.c
 */
void parloom_backend_work(parloom_backend_run *run, int worker);

/*
 * Waits until nothing is left to take and all that was taken is reported. Meanwhile the caller's progress callback is
 * called and limits are looked at.
 *
 * handle   of the run operation
 *
 * Returns: nothing.
 * Errors:  none.
 * Threads: the one that runs the run operation.
 * Blocks:  until then: for ever, if a worker keeps what it took.
 * Since:   0.1
 * Example: examples/13_custom_backend.c
 */
void parloom_backend_wait(parloom_backend_run *handle);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif

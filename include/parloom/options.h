/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options.h - everything about a call that is not its work: who runs it, how many, with what limits, and what is told
 * about it. And where options come from: scopes, the process default, the environment.
 *
 * Zero in a field means "not set", and then the next one decides:
 *
 *     call  >  pool  >  scope  >  process default  >  environment (PARLOOM_N_JOBS, ...)  >  built-in
 *
 * Where zero would be a useful value, a negative one says it. docs/options.md lists names, variables and ranges.
 */
#ifndef PARLOOM_OPTIONS_H
#define PARLOOM_OPTIONS_H

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

/* A hint; loses to a backend that the call or a scope chose. */
typedef enum parloom_prefer { PARLOOM_PREFER_UNSET, PARLOOM_PREFER_PROCESSES, PARLOOM_PREFER_THREADS } parloom_prefer;

/* A constraint; wins over the backend of a scope, and contradicting the call's own is PARLOOM_ERR_INVALID. */
typedef enum parloom_require {
    PARLOOM_REQUIRE_UNSET,
    PARLOOM_REQUIRE_SHAREDMEM, /* tasks see the caller's memory: threads or sequential */
    PARLOOM_REQUIRE_ISOLATION  /* a crash must not reach the caller: worker processes, also for one job */
} parloom_require;

/* How memory is mapped: the in arguments of a call, and files (array.h). */
typedef enum parloom_mmap_mode {
    PARLOOM_MMAP_UNSET, /* "r"; when loading: read into memory */
    PARLOOM_MMAP_R,     /* "r": workers may only read */
    PARLOOM_MMAP_RW,    /* "r+": workers write what all workers see */
    PARLOOM_MMAP_W,     /* "w+": as r+ when loading; creates or overwrites in parloom_array_map */
    PARLOOM_MMAP_C      /* "c", copy on write: a task's writes stay its own */
} parloom_mmap_mode;

typedef enum parloom_on_error {
    PARLOOM_ON_ERROR_UNSET, /* stop */
    PARLOOM_ON_ERROR_STOP,  /* start nothing more; report the first error in task order */
    PARLOOM_ON_ERROR_GO_ON  /* run everything; the statuses say what happened to each */
} parloom_on_error;

typedef enum parloom_schedule {
    PARLOOM_SCHEDULE_UNSET, /* whoever is free takes the next batch */
    PARLOOM_SCHEDULE_STATIC /* batch k goes to worker k mod n_jobs: the same rows to the same worker, call after call;
                               rows of a worker that died go to whoever is free. In a reduction its blocks are the
                               batches */
} parloom_schedule;

/* How what verbose asks for is shown. Named, it is shown also at verbose 0, of calls that are made in no task. */
typedef enum parloom_progress_style {
    PARLOOM_PROGRESS_STYLE_UNSET, /* a bar where there can be one, else lines */
    PARLOOM_PROGRESS_STYLE_LINES, /* joblib's */
    PARLOOM_PROGRESS_STYLE_BAR,   /* on stderr: a terminal, no log sink set, verbose below 50; elsewhere lines */
    PARLOOM_PROGRESS_STYLE_JSON   /* an object a line */
} parloom_progress_style;
/* On which NUMA nodes the pages of shared memory lie: of spilled data, and of parloom_alloc blocks of 1 MiB and more.
 */
typedef enum parloom_memory_policy {
    PARLOOM_MEMORY_UNSET,       /* first_touch */
    PARLOOM_MEMORY_FIRST_TOUCH, /* as the kernel decides when the program reserves them: usually where it runs; numactl
                                   and set_mempolicy count */
    PARLOOM_MEMORY_LOCAL,       /* on the node of the thread that makes the call or allocates, whatever numactl says */
    PARLOOM_MEMORY_INTERLEAVE   /* in turns on all nodes the program may use */
} parloom_memory_policy;

/* How the code of tasks gets to worker processes, which have no copy of it yet. */
typedef enum parloom_modules {
    PARLOOM_MODULES_UNSET,        /* by reference */
    PARLOOM_MODULES_BY_REFERENCE, /* workers open the file of the library again; one that was replaced or deleted
                                     meanwhile is refused */
    PARLOOM_MODULES_BY_VALUE /* the bytes of the library travel, as they were when a call first named it so: a plugin
                                that was rebuilt or deleted since still runs as it was */
} parloom_modules;

#define PARLOOM_NEVER SIZE_MAX /* for max_nbytes: spill nothing */

typedef struct parloom_pool parloom_pool; /* pool.h */

/*
 * Stops calls: zero it, name it in their options, cancel it from any thread or signal handler. Zero it again before
 * its next use, when the calls that name it have returned.
 */
typedef struct parloom_stop {
    volatile int requested; /* written by parloom_cancel; may be read by anybody */
    int reserved[7];
} parloom_stop;

/*
 * Requests the end of all calls that name this stop, and of those that their tasks have made: they start nothing more,
 * and return when the tasks that run have ended (a long body may look now and then: parloom_cancelled says so within
 * 10 ms). What was not run, or failed after it was told, ends as PARLOOM_ERR_CANCELLED.
 *
 * stop     borrows; NULL: nothing
 *
 * Returns: nothing.
 * Errors:  none.
 * Threads: any thread of the program; async-signal-safe.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/07_control.c
 */
void parloom_cancel(parloom_stop *stop);

/*
 * Makes the first Ctrl-C (SIGINT) cancel calls: those that begin between here and the matching end, in any thread, end
 * as if their stop had been cancelled. The program's own handler is set again at once, so a second Ctrl-C does what it
 * always did. Begins nest; the outermost pair counts. A program that ignores SIGINT goes on ignoring it.
 *
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or, and then nothing has begun,
 * Errors:
 *   PARLOOM_ERR_IO  the handler cannot be set
 * Threads: any thread of the program; the handler is that of the whole process.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/07_control.c
 */
parloom_status parloom_interrupt_begin(parloom_error *error);

/*
 * Ends it: the program's own handler is back, or stays, if the program has set another one meanwhile.
 *
 * pass_on  true: a Ctrl-C that was taken is raised again by the outermost end, when calls have returned and results are
 *          saved: the program's handler is called, or the program ends as by any Ctrl-C. false: it has done its work
 *
 * Returns: true when a Ctrl-C was taken since the outermost begin. Without a begin: false.
 * Errors:  none.
 * Threads: any thread of the program; with pass_on the program's handler runs in this one.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/07_control.c
 */
bool parloom_interrupt_end(bool pass_on);

/* What a call did, or has done so far. At the end ok + failed + crashed + exited + timed_out + cancelled = tasks. */
typedef struct parloom_report {
    size_t struct_size;     /* the caller writes sizeof(parloom_report) */
    size_t tasks;           /* of the call */
    size_t ok;              /* ended in PARLOOM_OK */
    size_t failed;          /* PARLOOM_ERR_TASK */
    size_t crashed;         /* PARLOOM_ERR_CRASHED */
    size_t exited;          /* PARLOOM_ERR_EXITED */
    size_t timed_out;       /* PARLOOM_ERR_TIMEOUT */
    size_t cancelled;       /* PARLOOM_ERR_CANCELLED */
    size_t retried;         /* runs of tasks beyond their first */
    size_t inline_nbytes;   /* arguments that travelled in the letter */
    size_t spilled_nbytes;  /* arguments and outputs staged in segments, each counted once */
    size_t returned_nbytes; /* copied back to the caller's private memory */
    double seconds;         /* wall time of the call */
    double cpu_seconds;     /* of its tasks, as far as known */
    int n_jobs;             /* workers the call could use */
    int workers_started;    /* for this call */
    int workers_lost;       /* that died or were killed in it */
    const char *backend;    /* static */
    char spilled_to[64];    /* "/dev/shm", "memfd", the folder; "" where nothing was spilled */
} parloom_report;

/* Start from PARLOOM_OPTIONS_INIT or PARLOOM_OPTIONS(...); then only what differs needs to be said. */
typedef struct parloom_options {
    size_t struct_size; /* set by PARLOOM_OPTIONS_INIT: tells the library which release this struct is of */

    /* ---- who works */

    /* How many workers. 0: unset (1 outside a scope). 1: in the caller, for debugging (not when isolation is required
     * or a limit or a retry needs a worker). -1: all usable cores, -2: all but one, ...; at least one worker. */
    int n_jobs;
    /* "sequential", "threads", "processes", "fork", or the name of a registered one (backend.h). NULL: unset (the
     * default that was registered, else processes; in a task threads, below that sequential; tasks that ran in their
     * caller do not count). */
    const char *backend;
    /* "key=value;..." for the backend. Of the built-in ones only fork takes one: "force=1" forks although the program
     * has other threads, which is safe only where the tasks need no lock that such a thread may hold. */
    const char *backend_params;
    /* Run on these workers. Other settings of the call win over the pool's, but backend, n_jobs and worker_init must be
     * unset or equal: PARLOOM_ERR_INVALID. In a scope: for what libraries start below it, where it fits them. */
    parloom_pool *pool;
    parloom_prefer prefer;
    parloom_require require;

    /* ---- where bytes live */

    /* Spill private inputs larger than this many bytes. 0: unset (1 MiB); PARLOOM_NEVER: none. */
    size_t max_nbytes;
    /* Of in arguments in private memory, whatever their size. R; C: a task may write, and nobody sees it; RW and W:
     * they are inout. */
    parloom_mmap_mode mmap_mode;
    /* Folder for spilled data. NULL: unset (/dev/shm, a memfd, the system's temporary folder: the first with room). */
    const char *temp_folder;

    /* ---- how work is handed out */

    /* For streams: calls taken ahead of the consumer: "all", "16", "2*n_jobs"; numbers, n_jobs, ( ), + - * / // % **,
     * at least 1 when computed. NULL: unset (2 * n_jobs batches). */
    const char *pre_dispatch;
    /* Tasks handed over at once. 0: unset (found from how long they take). Given: no range crosses a multiple of it. */
    size_t batch_size;
    parloom_schedule schedule;

    /* ---- limits and failures */

    /* Seconds from the start of a task in its worker. 0: unset; negative: none. A backend that cannot kill a task
     * refuses it: PARLOOM_ERR_UNSUPPORTED. */
    double task_timeout;
    /* Seconds for the whole call. 0: unset; negative: none. At the limit running tasks end as TIMEOUT (on threads: when
     * they end), the rest as CANCELLED, the call as TIMEOUT. */
    double timeout;
    parloom_on_error on_error;
    /* Runs added for a task that CRASHED or EXITED, not for TIMEOUT or TASK. 0: unset; negative: none. inout data in
     * shared memory is not put back before a retry. */
    int retries;

    /* ---- what is told about it. Borrowed until the call ends; in a scope: PARLOOM_ERR_INVALID. In a pool they serve
     * one call at a time: a second at the same time is PARLOOM_ERR_BUSY */

    /* NULL, or one per task: filled for every task, also on failure (CANCELLED when the call was refused). */
    parloom_status *statuses;
    /* Room in statuses. 0: trusted. A call with more tasks is refused. */
    size_t n_statuses;
    /* NULL, or room for n_errors: the failed tasks in task order, one each, also where a range was lost as a whole; the
     * rest is cleared. */
    parloom_error *errors;
    size_t n_errors;
    /* NULL, or filled when the call ends, whatever it returned. */
    parloom_report *report;
    /* Called in the thread that made the call, at most 10 times a second, and once at the end. NULL: unset. */
    void (*progress)(const parloom_report *so_far, void *state);
    void *progress_state;
    /* NULL, or what cancels the call. */
    parloom_stop *stop;
    /* joblib's levels: above 0 progress to the log (about as many lines as the level says), above 10 whenever tasks
     * have ended (at most 10 lines a second), 50 and above to stdout. 0: unset (silent); negative: silent. */
    int verbose;

    /* ---- what workers are like */

    /* OpenMP and BLAS threads inside a task, on every backend. 0: unset (OMP_NUM_THREADS, OPENBLAS_NUM_THREADS, ...
     * where the environment has them, else cores / n_jobs; in a task its share of the cores counts); negative: the
     * same, also below a scope that sets it. */
    int inner_max_num_threads;
    /* Run once in each new worker before its first task, on every backend; non-zero is a failure. Shared workers that
     * ran another one are replaced. */
    int (*worker_init)(void *state);
    /* Copied to the workers: worker_init gets a pointer to the copy. */
    const void *worker_init_state;
    size_t worker_init_state_nbytes;

    /* ---- how progress is shown, and the life of workers */

    parloom_progress_style progress_style;
    /* A worker that has run this many tasks is replaced by a new one, whose globals have their initial values again;
     * looked at when a batch, a range or a block of a reduction has ended. 0: unset; negative: never. A call that says
     * it on threads or sequential, which have no workers to replace, gets PARLOOM_ERR_UNSUPPORTED. */
    int fresh_worker_every;
    /* For debugging, in worker processes: above 0, globals of the program and of its own libraries are compared after
     * each task, with the environment and the working directory, and the log is warned of what a task left changed,
     * once for each worker. 0: unset; negative: not. Slow: all of that is copied and compared. */
    int check_globals;

    /* ---- where workers and memory sit, and how code travels */

    /* Of the spilled data of the call; in a scope, the default or the environment also of parloom_alloc. What the
     * system does not do is noted in the log, and nothing else happens. */
    parloom_memory_policy memory_policy;
    /* Of bodies and worker_init in libraries; the program itself is there already. */
    parloom_modules modules;
    /* Which CPUs a worker may use while it runs tasks of the call: "none"; "core": worker k the k-th core, with its
     * hardware threads; "numa": the k-th NUMA node; "compact": the k-th hardware thread, neighbours first; "spread":
     * a core each, as far apart as they can be; in turns where there are more workers. Or a set of CPUs that all
     * workers share: "0-3,8" or "0x10f". Only CPUs that the calling thread may use count; a set with none of them is
     * refused. Where binding fails the call runs unbound, with a note in the log; one job in the caller is never
     * bound. NULL: unset (none). */
    const char *bind;

    /* ---- when worker processes go */

    /* Seconds after which one that had nothing to do ends, silently; the next call starts what it needs.
     * 0: unset (300 for the workers that calls without a pool share, never for those of a pool); negative: never. Of
     * calls that share workers the last one that began counts. */
    double idle_timeout;
    /* A worker process whose own memory has grown by more than this many bytes since its first task is replaced, after
     * the task or batch it is in. 0: unset (never); PARLOOM_NEVER: never. */
    size_t worker_growth_limit;

    /* ---- what worker processes have that the program has not */

    /* Their variables: "NAME=value;NAME2=value2", set in a new worker before worker_init and before the libraries of
     * tasks are opened, and kept there whatever the program's environment becomes. They win over the program's, also
     * where they say how many threads OpenMP and BLAS start; inner_max_num_threads wins over them. Libraries that the
     * program itself is linked with have been loaded before. Shared workers that have others are replaced. A call that
     * says it on threads or sequential, which have no environment of their own, or on a registered backend gets
     * PARLOOM_ERR_UNSUPPORTED. NULL: unset (none). */
    const char *worker_environment;
} parloom_options;

#ifdef __cplusplus
#ifdef __GNUC__
__attribute__((unused)) /* clang warns where this header is all there is */
#endif
static inline parloom_options
parloom_options_unset(void)
{
    parloom_options options = parloom_options();
    options.struct_size = sizeof options;
    return options;
}
#define PARLOOM_OPTIONS_INIT parloom_options_unset()
#else
/* parloom_options options = PARLOOM_OPTIONS_INIT; */
#define PARLOOM_OPTIONS_INIT                   \
    {                                          \
        .struct_size = sizeof(parloom_options) \
    }
/* PARLOOM_OPTIONS(.n_jobs = 4, .backend = "threads") is a const parloom_options * that lives as long as the block. */
#define PARLOOM_OPTIONS(...) (&(const parloom_options){ .struct_size = sizeof(parloom_options), __VA_ARGS__ })
#endif

/*
 * Sets one option from text, as the environment and command lines do: ("n_jobs", "2"), ("max_nbytes", "1.5M"). Strict:
 * no blanks, no rest, nothing is evaluated.
 *
 * options  borrows; one field is changed on success. A text option borrows value until the options are last used
 * name     of a field that text can say: docs/options.md
 * value    sizes in bytes, or with K, M, G, T (powers of 1024), or "never"; seconds as "2.5"; choices by name
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID  no such option (a similar name is suggested), or the value does not parse or is out of range
 * Threads: any thread; one at a time for one options struct.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/03_tuning.c
 */
parloom_status parloom_options_set(parloom_options *options, const char *name, const char *value, parloom_error *error);

/*
 * Begins a scope: options for everything this thread starts until the matching end, also inside its tasks (there all
 * but pool, stop, progress and worker_init, which mean something in this thread or process alone; and backend and
 * n_jobs not in tasks of tasks, so that a recursion does not multiply workers). Scopes nest; the inner one wins, field
 * by field.
 *
 * options  borrows; copied, with their strings and worker_init_state
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or, and then no scope has begun,
 * Errors:
 *   PARLOOM_ERR_INVALID  an option makes no sense, an unknown backend, backend_params without the backend they are for,
 *                        or one that serves a single call (statuses, errors, report)
 *   PARLOOM_ERR_MEMORY   no memory for the copy
 * Threads: any thread; a scope belongs to the thread that began it.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/05_scope.c
 */
parloom_status parloom_scope_begin(const parloom_options *options, parloom_error *error);

/*
 * Ends the innermost scope of this thread. Without a begin: nothing.
 *
 * Returns: nothing.
 * Errors:  none.
 * Threads: the thread that began it.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/05_scope.c
 */
void parloom_scope_end(void);

/*
 * Sets the process default: what counts for threads that have no scope.
 *
 * options  borrows; copied, with their strings and worker_init_state. NULL: none from now on. Copies are kept until the
 *          program ends, since calls may still read the one before: to be set now and then, not in a loop
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or, and then the old default stays,
 * Errors:
 *   PARLOOM_ERR_INVALID  an option makes no sense, an unknown backend, backend_params without the backend they are for,
 *                        or one that serves a single call
 *   PARLOOM_ERR_MEMORY   no memory for the copy
 * Threads: any thread of the program; calls that run already keep what they began with.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/07_control.c
 */
parloom_status parloom_set_defaults(const parloom_options *options, parloom_error *error);

/*
 * Sets where warnings, verbose lines and progress go.
 *
 * sink     called with whole lines, without a line end; level: 1 error, 2 warning, 3 info, 4 debug. It may be called by
 *          several threads. NULL: stderr, which is also where they go at first; bars are drawn only there
 * state    handed to sink; borrows until another sink is set
 *
 * Returns: nothing.
 * Errors:  none.
 * Threads: any thread of the program.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/07_control.c
 */
void parloom_set_log(void (*sink)(int level, const char *line, void *state), void *state);

/*
 * Counts the cores that may be used here: the least of the affinity mask, the quotas of the control groups (rounded
 * up) and PARLOOM_MAX_CPU_COUNT. Counted afresh, since an affinity may change.
 *
 * only_physical_cores  true: hardware threads of one core count once
 *
 * Returns: the number, at least 1.
 * Errors:  none: what cannot be read does not limit.
 * Threads: any thread.
 * Blocks:  never for long: it reads a few small files of the kernel.
 * Since:   0.1
 * Example: examples/07_control.c
 */
int parloom_cpu_count(bool only_physical_cores);

/*
 * Says what n_jobs means here and now.
 *
 * n_jobs   as in the options: 0: what a call that does not say it gets (scope, default, environment, else 1); negative:
 *          all usable cores and so on
 *
 * Returns: the number of workers, at least 1.
 * Errors:  none.
 * Threads: any thread, also in a task body.
 * Blocks:  as parloom_cpu_count.
 * Since:   0.1
 * Example: examples/05_scope.c
 */
int parloom_effective_n_jobs(int n_jobs);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif

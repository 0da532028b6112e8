/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run.h - what a backend is given: one call, checked, resolved and frozen by core, and the ops table it fills.
 *
 * A backend never sees core/. Everything in a run is read-only to it but tally, which it fills.
 */
#ifndef LOOM_BACKENDS_RUN_H
#define LOOM_BACKENDS_RUN_H

#include "backends/tally.h"
#include "base/placement.h"

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

struct loom_state;
struct loom_channels;
struct loom_records;

#define LOOM_RUN_MOST_TASKS ((size_t)1 << 60) /* indices have room for marks beside them (shift.h) */

enum loom_argument_form {
    LOOM_ARGUMENT_BYTES = 1, /* args[k] is address */
    LOOM_ARGUMENT_ARRAY,     /* args[k] points to array (its data already valid where the task runs) */
    LOOM_ARGUMENT_EACH,      /* args[k] is address + index * stride */
    LOOM_ARGUMENT_REDUCE     /* args[k] is address + block * stride; a block starts as the bytes at neutral */
};

/* One argument as tasks see it. Addresses are valid where the tasks run. */
struct loom_argument {
    uint32_t form;
    uint32_t copy_on_write; /* mmap_mode c: a task may write, nobody sees it */
    uint64_t address;       /* 0 with nbytes 0: args[k] is not to be read */
    uint64_t nbytes;
    uint64_t stride;
    uint64_t neutral; /* REDUCE: address of the neutral element, read-only */
    uint64_t array;   /* ARRAY: address of the parloom_array, whose data lies in [address, address + nbytes) */
};

/* A function and its arguments; loops have one, parloom_run one per task. */
struct loom_work {
    parloom_body body;
    const struct loom_argument *arguments;
    size_t n_arguments;
};

/* Threads inside a task, by who starts them: what the six variables *_NUM_THREADS are about (inner_threads.c). */
enum loom_inner_kind {
    LOOM_INNER_OPENMP,
    LOOM_INNER_OPENBLAS,
    LOOM_INNER_MKL,
    LOOM_INNER_BLIS,
    LOOM_INNER_VECLIB,
    LOOM_INNER_NUMBA,
    LOOM_INNER_NUMEXPR,
    LOOM_INNER_KINDS
};
struct loom_inner_threads {
    int32_t count[LOOM_INNER_KINDS]; /* 0, all of them: as the caller has it */
    uint32_t chosen;                 /* bit k: by the user's environment, so nested calls do not divide it */
};

struct loom_shift;
struct loom_custom; /* a backend that the program registered (custom.h) */

struct loom_run {
    size_t n;                      /* tasks, > 0 */
    const struct loom_work *works; /* one, or n of them */
    bool is_list;                  /* n works */
    size_t most_arguments;         /* of any work */
    bool is_range;                 /* bodies take [begin, end) */
    size_t batch_size;             /* tasks handed over at once; 0: auto */
    size_t block_size;             /* reductions: tasks of one accumulator (multiple of batch_size); 0: none */
    const char *params;            /* backend_params that the backend takes, or NULL */
    bool is_static;                /* batch k to worker k mod n_jobs */
    int n_jobs;
    int level;                /* task->level */
    int parallel_level;       /* of calls made inside tasks: how many of the calls around them are not sequential */
    int cores;                /* for calls made inside a task; 0: as the caller has it */
    int cpus;                 /* that this process may use, counted for this call; 0: nobody had to know */
    const char *backend_name; /* task->backend; static */
    int retries;
    bool go_on;               /* on_error */
    uint64_t task_timeout_ns; /* 0: none */
    uint64_t deadline_ns;     /* of the whole call; LOOM_NEVER_NS: none */
    /* What cancels it (loom_shift_run_is_cancelled); each may be NULL. */
    const parloom_stop *stop;        /* the call's own */
    const parloom_stop *interrupt;   /* of Ctrl-C (base/interrupt.h) */
    const struct loom_shift *around; /* the task that made the call, where that may be cancelled itself */
    struct loom_inner_threads inner; /* inside tasks */
    const parloom_options *scope; /* holds for calls made inside tasks; its strings live as long as the run. Or NULL */
    uint64_t idle_ns;             /* worker processes that had no work for that long end; 0: nobody said */
    uint64_t growth_nbytes;       /* and those that grew by more; 0: never */
    uint64_t fp_control;          /* rounding, FTZ/DAZ, traps of the caller (base/fpu.h) */
    const struct loom_placement *placement; /* which CPUs each worker may use; NULL: not bound */
    bool modules_by_value;                  /* bodies in libraries travel with their bytes */
    bool wants_cpu;                         /* tally->cpu_seconds is asked for */
    const char *worker_environment;         /* variables of worker processes (base/variables.h), or NULL */
    int (*worker_init)(void *state);
    const void *worker_init_state;
    size_t worker_init_state_nbytes;
    /* Called in the caller's thread, at most 10 a second while the call runs; NULL: nobody asked. */
    void (*watch)(size_t ended, const struct loom_tally_counts *counts, void *state);
    void *watch_state;
    /* Puts staged inout elements of tasks [begin, end) back to the caller's bytes before they run again; NULL: nothing
     * to. */
    void (*before_retry)(size_t begin, size_t end, void *state);
    void *before_retry_state;
    struct loom_tally *tally;             /* filled by the backend */
    const struct loom_channels *channels; /* that tasks may record to (side_channel.h); NULL: none */
    size_t fresh_worker_every;            /* tasks after which a worker is replaced; 0: never */
    bool checks_globals;                  /* workers tell of what tasks leave changed */
    struct loom_records *records;         /* of those channels; filled by the backend */
    struct loom_state *state; /* what separate workers apply before their part in the call (state.h); NULL: nothing */
};

struct loom_lane;
struct loom_lane_order;

/* What a backend is able to do, and does. */
struct loom_backend {
    const char *name;
    struct loom_custom *custom; /* NULL: one of ours; else it does what its operations say, and ours are NULL */
    enum { LOOM_MEMORY_SAME, LOOM_MEMORY_INHERITED, LOOM_MEMORY_SEPARATE } memory; /* how tasks see the caller's */
    bool can_kill;                            /* task_timeout, retries, isolation */
    bool has_environment;                     /* its workers may have variables of their own: worker_environment */
    bool (*takes_params)(const char *params); /* whether it understands backend_params; NULL: it has none */
    const char *(*unavailable)(void);         /* why there are no such workers in this program; NULL: there are */
    /* What it cannot run below, for a call made in the task that this thread is in; NULL: it can. */
    const char *(*cannot_nest)(const char *params);
    /* Resources that outlive a call (pools). NULL: none. open may be called again after close. */
    parloom_status (*open)(void **workers_out, const parloom_options *options, int n_jobs, parloom_error *error);
    void (*close)(void *workers, bool kill);
    /* Ends the workers that calls without a pool share, when nobody uses them or (kill) at once; the next call starts
     * new ones. NULL: it shares none. */
    void (*shutdown)(bool kill);
    /* The same, but waits for the calls that run on them, and kills at the deadline: false. NULL: it shares none. */
    bool (*drain)(uint64_t deadline_ns);
    /* Runs it; workers: of open, or NULL (shared workers, or none). A status other than OK means that the call could
     * not be run (the tally then says how far it came); what happened to tasks is in the tally alone. */
    parloom_status (*run)(void *workers, const struct loom_run *run, parloom_error *error);
    /* Opens a lane (backends/lane.h). NULL: it has none, and runs no streams. */
    parloom_status (*open_lane)(void *workers, const struct loom_lane_order *order, struct loom_lane **lane_out,
                                parloom_error *error);
};

/* By name; NULL: unknown. Does not load what was offered. */
const struct loom_backend *loom_backend_find(const char *name);
/* The same, for who needs it; loads what was offered. what: "backend", or the variable that named it. INVALID, or why
 * it could not be loaded. */
parloom_status loom_backend_get(const struct loom_backend **backend_out, const char *name, const char *what,
                                parloom_error *error);
/* What serves where nobody named a backend: "processes", or one that was registered as default. */
const char *loom_backend_default(void);
void loom_backend_shutdown(bool kill); /* of all that share workers */
bool loom_backend_drain(uint64_t deadline_ns);

/* A backend has its say before a call or pool is planned: *n_jobs (0: nobody said) becomes the number of its workers,
 * and it may put another one in its place (*backend). Ours leave all as it is. */
parloom_status loom_backend_configure(const struct loom_backend **backend, int *n_jobs, const char *params,
                                      parloom_error *error);
bool loom_backend_takes_params(const struct loom_backend *backend, const char *params);
/* The operations, whoever's they are. open: *workers_out stays as it was where there is nothing to keep. */
parloom_status loom_backend_open(const struct loom_backend *backend, void **workers_out, const parloom_options *options,
                                 int n_jobs, parloom_error *error);
void loom_backend_close(const struct loom_backend *backend, void *workers, bool kill);
parloom_status loom_backend_run(const struct loom_backend *backend, void *workers, const struct loom_run *run,
                                parloom_error *error);

extern const struct loom_backend loom_backend_sequential;
extern const struct loom_backend loom_backend_threads;
extern const struct loom_backend loom_backend_processes;
extern const struct loom_backend loom_backend_fork;

#ifdef __cplusplus
}
#endif
#endif

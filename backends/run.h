/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run.h - what a backend is given: one call, checked, resolved and frozen by core, and the ops table it fills.
 *
 * A backend never sees core/. Everything in a run is read-only to it but tally, which it fills.
 */
#ifndef LOOM_BACKENDS_RUN_H
#define LOOM_BACKENDS_RUN_H

#include "backends/tally.h"

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

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
    uint64_t fp_control;          /* rounding, FTZ/DAZ, traps of the caller (base/fpu.h) */
    bool wants_cpu;               /* tally->cpu_seconds is asked for */
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
    struct loom_tally *tally; /* filled by the backend */
};

/* What a backend is able to do, and does. */
struct loom_backend {
    const char *name;
    enum { LOOM_MEMORY_SAME, LOOM_MEMORY_INHERITED, LOOM_MEMORY_SEPARATE } memory; /* how tasks see the caller's */
    bool can_kill;                            /* task_timeout, retries, isolation */
    bool (*takes_params)(const char *params); /* whether it understands backend_params; NULL: it has none */
    /* What it cannot run below, for a call made in the task that this thread is in; NULL: it can. */
    const char *(*cannot_nest)(const char *params);
    /* Resources that outlive a call (pools). NULL: none. open may be called again after close. */
    parloom_status (*open)(void **workers_out, const parloom_options *options, int n_jobs, parloom_error *error);
    void (*close)(void *workers, bool kill);
    /* Ends the workers that calls without a pool share, when nobody uses them or (kill) at once; the next call starts
     * new ones. NULL: it shares none. */
    void (*shutdown)(bool kill);
    /* Runs it; workers: of open, or NULL (shared workers, or none). A status other than OK means that the call could
     * not be run (the tally then says how far it came); what happened to tasks is in the tally alone. */
    parloom_status (*run)(void *workers, const struct loom_run *run, parloom_error *error);
};

/* By name; NULL: unknown. */
const struct loom_backend *loom_backend_find(const char *name);
const char *loom_backend_names(void);  /* "sequential, threads, processes, fork" for messages */
void loom_backend_shutdown(bool kill); /* of all that share workers */

extern const struct loom_backend loom_backend_sequential;
extern const struct loom_backend loom_backend_threads;
extern const struct loom_backend loom_backend_processes;
extern const struct loom_backend loom_backend_fork;

#ifdef __cplusplus
}
#endif
#endif

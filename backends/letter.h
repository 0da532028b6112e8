/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * letter.h - a call as workers read it: written once by the program, in memory that workers may only read.
 *
 * Addresses are of the window (or, for forked workers, of memory they inherited), so they hold in every worker.
 * Functions travel as references (backends/tasks.h), except where workers are forked from the caller.
 */
#ifndef LOOM_BACKENDS_LETTER_H
#define LOOM_BACKENDS_LETTER_H

#include "backends/run.h"
#include "backends/tasks.h"

/* A piece of work that is done in a later round: what a death left undone, or a retry. */
struct loom_repair {
    uint64_t begin, end;
    uint32_t attempt;
    uint32_t reserved;
};

struct loom_letter_work {
    uint64_t function;  /* address of a struct loom_task_ref, or of the function itself (functions_inherited) */
    uint64_t arguments; /* address of struct loom_argument[n_arguments] */
    uint64_t n_arguments;
};

/* One call of a stream, and what holds for it alone. */
struct loom_letter_parcel {
    struct loom_letter_work work;
    uint64_t state; /* as in a letter */
    uint64_t fp_control;
    uint64_t nbytes; /* of the letter: the program uses it again for another call of its lane */
};

#define LOOM_LETTER_MAGIC UINT64_C(0x72657474656c6f6c)

/* Written by the program before the slot's call number (release), read by workers after they joined (acquire). */
struct loom_letter {
    uint64_t magic;
    uint64_t call;
    uint64_t n;
    uint64_t works;   /* address of struct loom_letter_work[is_list ? n : 1] */
    uint64_t bitmaps; /* of the first seat; those of the next ones bitmap_stride bytes further each */
    uint64_t bitmap_stride;
    uint64_t tickets;
    uint64_t grain;   /* tasks of a ticket in the first round; tickets of a repair round are its repairs */
    uint64_t repairs; /* address of struct loom_repair[tickets], ascending; 0: first round */
    uint64_t skips;   /* address of uint64_t[n_skips], ascending */
    uint64_t n_skips;
    uint64_t batch_size;
    uint64_t fresh_worker_every;
    uint64_t block_size;
    uint64_t fp_control;
    uint64_t task_timeout_ns, deadline_ns; /* of a lane: its workers keep them by themselves */
    uint64_t channels;                     /* address of a struct loom_channels; 0: none */
    uint64_t state;                        /* address of a struct loom_state_shared that is applied first; 0: none */
    uint64_t scope;                        /* address of a parloom_options, its strings behind it; 0: none */
    uint64_t placement;                    /* address of a struct loom_placement; 0: workers are not bound */
    uint32_t is_list, is_range, is_static, is_auto, go_on, functions_inherited;
    uint64_t stop; /* address of the call's parloom_stop where workers can read it; 0: they cannot, or none */
    int32_t n_jobs, level, parallel_level, cores;
    uint32_t most_arguments, wants_cpu, is_stoppable, checks_globals;
    uint64_t first_seat; /* its worker is worker 0 of the call */
    struct loom_inner_threads inner;
    char backend[32];
};

/* What a new worker is given and runs before its first task: worker_environment, worker_init. */
struct loom_init_letter {
    struct loom_task_ref function;
    uint64_t function_address;   /* where workers are forked from the caller, else 0 */
    uint64_t nbytes;             /* of the state that follows */
    uint64_t environment;        /* address of a text behind the state; 0: none */
    uint32_t has_init, reserved; /* worker_init */
};

/* Bytes of a letter with these (environment may be NULL). INVALID: too many. */
parloom_status loom_init_letter_measure(size_t state_nbytes, const char *environment, size_t *nbytes_out,
                                        parloom_error *error);
/* All of it but the function, into that many bytes of zeros. */
void loom_init_letter_put(struct loom_init_letter *letter, const void *state, size_t state_nbytes,
                          const char *environment);

/* Which tasks a ticket stands for, and back. */
uint64_t loom_letter_begin(const struct loom_letter *letter, uint64_t ticket);
uint64_t loom_letter_end(const struct loom_letter *letter, uint64_t ticket);
uint64_t loom_letter_ticket_of(const struct loom_letter *letter, uint64_t task); /* tickets: in none */
/* How many tickets a run has and how many tasks each stands for (first round). */
void loom_letter_cut(const struct loom_run *run, uint64_t *tickets_out, uint64_t *grain_out, bool *is_auto_out);

#endif

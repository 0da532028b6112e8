/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arguments.h - from what the caller says (parloom_arg) to what tasks see (struct loom_argument).
 *
 * check    each argument makes sense by itself and for this kind of call
 * stage    private memory is copied to where workers see it (shm/spill.h); accumulators of reductions are made
 * settle   results are copied back, reductions combined; everything is let go
 */
#ifndef LOOM_CORE_ARGUMENTS_H
#define LOOM_CORE_ARGUMENTS_H

#include "backends/run.h"
#include "shm/spill.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The calls to be made: loops have one, for all n tasks. */
struct loom_request {
    size_t n;
    bool is_list, is_range;
    const parloom_call *calls; /* is_list ? n : 1 */
};

enum {
    LOOM_ARGUMENTS_FEW_BYTES = 384,    /* of a function with four arguments */
    LOOM_ARGUMENTS_ACCOUNT_BYTES = 512 /* of their copies */
};

struct loom_arguments {
    const struct loom_request *request;
    size_t n_works, n_all; /* works, and arguments of all works */
    struct loom_work *works;
    struct loom_argument *all;             /* works point into it */
    parloom_array *arrays;                 /* one for each argument that is an array */
    struct loom_spill_range *ranges;       /* one for each argument with bytes in private or shared memory */
    struct loom_spill *spill;              /* copies and holds; NULL: none were needed */
    void *block;                           /* of the four above, where they are not few; else NULL */
    size_t block_size, n_blocks;           /* of reductions; 0: none */
    char *accumulators;                    /* of all reductions, in shared or private memory */
    struct loom_arena *accumulators_arena; /* NULL: private */
    bool is_read_write;                    /* mmap_mode r+ or w+: in is inout */
    bool is_copy_on_write;                 /* mmap_mode c */
    enum { LOOM_STAGE_NONE, LOOM_STAGE_OUTPUTS, LOOM_STAGE_ALL } stage;
    /* What follows is not cleared, nor moved once it is staged. */
    uint64_t few[LOOM_ARGUMENTS_FEW_BYTES / sizeof(uint64_t)];
    uint64_t account[LOOM_ARGUMENTS_ACCOUNT_BYTES / sizeof(uint64_t)];
    void *letter; /* the owner's, for small inputs (shm/spill.h); or NULL */
    size_t letter_nbytes;
};

parloom_status loom_arguments_check(const struct loom_request *request, parloom_error *error);
/* INVALID: a private range that is written overlaps another argument. ranges are set. */
parloom_status loom_arguments_check_overlaps(const struct loom_arguments *arguments, parloom_error *error);
bool loom_arguments_have_reduction(const struct loom_request *request);
/* memory: how the backend's tasks see the caller's. n_threads: how many copy what is large; more than one
 * where the workers wait for it. */
parloom_status loom_arguments_stage(struct loom_arguments *arguments, const struct loom_request *request,
                                    const parloom_options *options, int memory, int n_threads, size_t block_size,
                                    parloom_error *error);
/* One call that runs while the program goes on, on threads too: all it reads in private memory is copied, and INVALID
 * is what it writes there. taker: "stream", "future". */
parloom_status loom_arguments_stage_call(struct loom_arguments *arguments, const parloom_call *call,
                                         const parloom_options *options, const char *taker, parloom_error *error);
/* Puts staged inout elements of tasks [begin, end) back to the caller's bytes. */
void loom_arguments_restore(const struct loom_arguments *arguments, size_t begin, size_t end);
/* Copies results back and combines reductions; bytes copied. tally is settled. */
size_t loom_arguments_deliver(const struct loom_arguments *arguments, const struct loom_tally *tally);
void loom_arguments_release(struct loom_arguments *arguments);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spill.h - the cloakroom: what private ranges of the caller's a call needs are copied once into shared memory.
 *
 * In the window already: passed as it is (and held alive until the spill ends); files that the user mapped too. Of a
 * file with mode c that holds for what is only read, and only as far as the program has not written to it: what it
 * wrote is its own, and is copied on every backend. Published: the published copy. Private and only read: one copy, in
 * a read-only place; up to max_nbytes it counts as "inline", above as "spilled". Below 1 MiB it lies in the arena of
 * the letters (unless it is spilled and a folder was asked for), else in a segment of its own. Private and written: a
 * staging copy that starts as the caller's bytes. The same range given twice is copied once; ranges that overlap share
 * one copy.
 */
#ifndef LOOM_SHM_SPILL_H
#define LOOM_SHM_SPILL_H

#include "shm/arena.h"

#ifdef __cplusplus
extern "C" {
#endif

struct loom_spill_range {
    const void *data; /* given: the caller's */
    size_t nbytes;    /* given; 0: shared is NULL, no task reads it */
    bool written;     /* given: out or inout */
    void *shared;     /* set: the same bytes where workers see them; data itself when it is shared already */
    bool is_memmap;   /* set: backed by memory shared between processes in its own right: spilled, published, or
                         parloom memory; false for inline bytes */
};

struct loom_spill_limits {
    size_t max_nbytes;       /* PARLOOM_NEVER: all inline */
    const char *temp_folder; /* NULL: the usual order */
    bool inputs_stay;        /* fork: private inputs are inherited, only written ranges are staged */
    bool outputs_stay;       /* and threads: nothing is copied, shared memory is held alive only */
    /* Lent until the end, where it is enough; NULL with 0: it is allocated. */
    void *account; /* for what is noted of the copies */
    size_t account_nbytes;
    void *letter; /* a block of loom_letters_arena, which is read-only for workers: for small inputs */
    size_t letter_nbytes;
    int n_threads; /* that copy what is large; 0: this one (shm/fill.h) */
};

struct loom_spill; /* the copies of one call */

/* Takes all ranges of a call. The caller has seen to it that no private one that is written overlaps one that is only
 * read: what a task would read there depended on the backend. INVALID SPACE LIMIT MEMORY IO. */
parloom_status loom_spill_begin(struct loom_spill **spill_out, struct loom_spill_range *ranges, size_t count,
                                const struct loom_spill_limits *limits, parloom_error *error);
bool loom_spill_has_written(const struct loom_spill *spill); /* a copy, which is to be copied back */
size_t loom_spill_inline_nbytes(const struct loom_spill *spill);
size_t loom_spill_spilled_nbytes(const struct loom_spill *spill); /* published copies made now count once */
size_t loom_spill_largest_nbytes(const struct loom_spill *spill); /* of one spilled copy; 0: there is none */
const char *loom_spill_place(const struct loom_spill *spill);     /* of the largest; "" if none; lives with the spill */
void loom_spill_end(struct loom_spill *spill); /* lets go of all copies (warm segments are kept); NULL is fine */

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hash_content.c - the items of an array: at once, or in pieces that workers share.
 *
 * Pieces  as many whole items as fit in 1 MiB, at least one. Where they lie depends on nothing else, so that the digest
 *         is the same for any number of workers. Items that lie with gaps are gathered piece by piece.
 * Files   what is mapped from a file of the user's is copied by the kernel: where somebody has cut the file short, that
 *         is an EFAULT and not a SIGBUS (shm/array_read.c).
 */
#include "base/memory.h"
#include "base/options.h"
#include "base/status.h"
#include "rest/hash.h"
#include "shm/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_NBYTES ((size_t)1 << 20)
/* Below, one thread has read it about as soon as a second one is awake. */
#define ALONE_NBYTES ((size_t)32 << 20)
#define BLOCK_NBYTES ((size_t)1 << 17) /* what is copied out of a mapped file at once: stays in the cache */

struct work {
    enum loom_hash_algorithm algorithm;
    size_t count;     /* items */
    size_t per_piece; /* of them */
    bool is_contiguous;
    bool is_file; /* mapped, of the user's */
};

/* ------------------------------------------------------------------------ files */

static int add_file(struct loom_hash_state *state, const char *bytes, size_t nbytes, void *block)
{
    int failed = 0;
    if (block == NULL) return 0; /* of an array without items */
    for (size_t done = 0; done < nbytes && failed == 0; done += BLOCK_NBYTES) {
        size_t part = nbytes - done < BLOCK_NBYTES ? nbytes - done : BLOCK_NBYTES;
        failed = loom_array_read_bytes(block, bytes + done, part);
        if (failed == 0) loom_hash_state_add(state, block, part);
    }
    return failed;
}

/* ----------------------------------------------------------------------- pieces */

static size_t buffer_nbytes(const struct work *work, size_t item_nbytes)
{
    size_t items = work->count < work->per_piece ? work->count : work->per_piece;
    if (!work->is_contiguous) return items * item_nbytes;
    if (!work->is_file) return 0;
    return items * item_nbytes < BLOCK_NBYTES ? items * item_nbytes : BLOCK_NBYTES;
}

/* Adds items [first, first + items); buffer: of buffer_nbytes. 0, or an errno. */
static int add_range(struct loom_hash_state *state, const struct work *work, const parloom_array *array, size_t first,
                     size_t items, void *buffer)
{
    size_t nbytes = items * array->item_nbytes;
    const char *bytes = array->data;
    if (work->is_contiguous) {
        bytes += first * array->item_nbytes;
        if (work->is_file) return add_file(state, bytes, nbytes, buffer);
        loom_hash_state_add(state, bytes, nbytes);
        return 0;
    }
    int failed = loom_array_read(array, first, items, buffer);
    if (failed == 0) loom_hash_state_add(state, buffer, nbytes);
    return failed;
}

/* Out of a task: its code is the status. */
static int fail_piece(const parloom_task *task, int failed, size_t piece)
{
    if (failed == EFAULT)
        return parloom_fail(task, -PARLOOM_ERR_IO, "the file that is mapped became shorter (piece %zu)", piece);
    return parloom_fail(task, -PARLOOM_ERR_MEMORY, "memory is short for piece %zu", piece);
}

static int hash_piece(const parloom_task *task, const struct work *work, const parloom_array *array, size_t piece,
                      unsigned char *digest, void *buffer)
{
    struct loom_hash_state state;
    unsigned char whole[LOOM_HASH_MOST_NBYTES];
    size_t first = piece * work->per_piece;
    size_t items = work->count - first < work->per_piece ? work->count - first : work->per_piece;
    int failed = 0;
    if (work->is_contiguous && !work->is_file) {
        const char *bytes = (const char *)array->data + first * array->item_nbytes;
        if (!loom_hash_whole(work->algorithm, bytes, items * array->item_nbytes, whole)) failed = ENOMEM;
    } else if (loom_hash_state_begin(&state, work->algorithm, NULL) == PARLOOM_OK) {
        failed = add_range(&state, work, array, first, items, buffer);
        if (!loom_hash_state_end(&state, whole) && failed == 0) failed = ENOMEM;
    } else {
        failed = ENOMEM;
    }
    if (failed != 0) return fail_piece(task, failed, piece);
    memcpy(digest, whole, loom_hash_nbytes(work->algorithm));
    return 0;
}

static int hash_pieces(const parloom_task *task, void *const *args)
{
    const struct work *work = args[0];
    const parloom_array *array = args[1];
    unsigned char *digest = args[2];
    size_t nbytes = buffer_nbytes(work, array->item_nbytes);
    void *buffer = nbytes > 0 ? parloom_scratch(task, nbytes) : NULL;
    if (nbytes > 0 && buffer == NULL) return fail_piece(task, ENOMEM, task->begin);
    int failed = 0;
    for (size_t piece = task->begin; piece < task->end && failed == 0; piece++) {
        failed = hash_piece(task, work, array, piece, digest, buffer);
        digest += loom_hash_nbytes(work->algorithm);
    }
    return failed;
}

/* ------------------------------------------------------------------------- loop */

/* Private memory need not travel, and a piece needs no protection: what the call does not say is not taken from around
 * it, where it was said for other tasks. */
static parloom_status read_loop(const parloom_options *given, bool is_short, parloom_options *loop_out,
                                parloom_error *error)
{
    parloom_status status = loom_options_read(given, loop_out, error);
    bool is_said = loop_out->backend != NULL || loop_out->pool != NULL || loop_out->prefer != PARLOOM_PREFER_UNSET ||
                   loop_out->require != PARLOOM_REQUIRE_UNSET;
    if (status != PARLOOM_OK || is_said) return status;
    loop_out->require = PARLOOM_REQUIRE_SHAREDMEM;
    if (loop_out->task_timeout == 0) loop_out->task_timeout = -1;
    if (is_short && loop_out->n_jobs == 0) loop_out->n_jobs = 1;
    return PARLOOM_OK;
}

static parloom_status run_pieces(const struct work *work, const parloom_array *array, size_t pieces,
                                 unsigned char *digests, const parloom_options *loop, parloom_error *error)
{
    parloom_error why;
    size_t digest_nbytes = loom_hash_nbytes(work->algorithm);
    const parloom_arg args[] = { parloom_in(work, sizeof *work), parloom_in_array(array),
                                 parloom_each(parloom_out(digests, pieces * digest_nbytes), digest_nbytes) };
    parloom_status status = parloom_for_range(pieces, hash_pieces, args, 3, loop, &why);
    if (status == PARLOOM_OK) return PARLOOM_OK;
    if (status == PARLOOM_ERR_TASK) return loom_status_fail(error, (parloom_status)-why.code, 0, "%s", why.message);
    if (error != NULL) *error = why;
    return status;
}

static parloom_status add_pieces(struct loom_hash *hash, const parloom_array *array, const struct work *work,
                                 parloom_error *error)
{
    size_t pieces = (work->count - 1) / work->per_piece + 1;
    size_t digest_nbytes = loom_hash_nbytes(work->algorithm);
    parloom_options loop = PARLOOM_OPTIONS_INIT;
    bool is_short = work->algorithm == LOOM_HASH_XXH3 && work->count < ALONE_NBYTES / array->item_nbytes;
    parloom_status status = read_loop(hash->options.loop, is_short, &loop, error);
    if (status != PARLOOM_OK) return status;
    unsigned char *digests = loom_memory_zeroed(pieces, digest_nbytes);
    if (digests == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for the digests of %zu pieces", pieces);
    status = run_pieces(work, array, pieces, digests, &loop, error);
    if (status == PARLOOM_OK) loom_hash_state_add(&hash->state, digests, pieces * digest_nbytes);
    free(digests);
    return status;
}

/* ----------------------------------------------------------------------- at once */

static parloom_status add_whole(struct loom_hash *hash, const parloom_array *array, const struct work *work,
                                parloom_error *error)
{
    size_t nbytes = buffer_nbytes(work, array->item_nbytes);
    void *buffer = nbytes > 0 ? loom_memory_aligned(64, nbytes) : NULL;
    if (nbytes > 0 && buffer == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for %zu bytes", nbytes);
    int failed = add_range(&hash->state, work, array, 0, work->count, buffer);
    free(buffer);
    if (failed == 0) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_IO, failed, "the file that is mapped became shorter: %m");
}

parloom_status loom_hash_add_items(struct loom_hash *hash, const parloom_array *array, parloom_error *error)
{
    struct work work = { .algorithm = hash->state.algorithm, .count = loom_array_count(array) };
    work.per_piece = array->item_nbytes < PIECE_NBYTES ? PIECE_NBYTES / array->item_nbytes : 1;
    work.is_contiguous = loom_array_is_contiguous(array, false);
    work.is_file = loom_array_is_file(array);
    if (work.count > work.per_piece) return add_pieces(hash, array, &work, error);
    return add_whole(hash, array, &work, error);
}

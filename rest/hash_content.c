/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hash_content.c - the items of an array: at once, or in pieces that workers share.
 *
 * A piece is as many whole items as fit in 1 MiB, at least one; where the pieces lie depends on nothing else, so that
 * the digest is the same for any number of workers. Items that lie with gaps are gathered piece by piece.
 */
#include "base/memory.h"
#include "base/options.h"
#include "base/status.h"
#include "rest/hash.h"
#include "shm/array.h"

#include <stdlib.h>

#define PIECE_NBYTES ((size_t)1 << 20)

struct work {
    enum loom_hash_algorithm algorithm;
    size_t count;     /* items */
    size_t per_piece; /* of them */
    bool is_contiguous;
};

static int hash_piece(const parloom_task *task, const struct work *work, const parloom_array *array, size_t piece,
                      unsigned char *digest)
{
    size_t first = piece * work->per_piece;
    size_t items = work->count - first < work->per_piece ? work->count - first : work->per_piece;
    size_t nbytes = items * array->item_nbytes;
    unsigned char whole[LOOM_HASH_MOST_NBYTES];
    const char *bytes = (const char *)array->data + (work->is_contiguous ? first * array->item_nbytes : 0);
    if (!work->is_contiguous) {
        char *gathered = parloom_scratch(task, work->per_piece * array->item_nbytes);
        if (gathered == NULL) return parloom_fail(task, 1, "memory is short for a piece of %zu bytes", nbytes);
        loom_array_gather(array, first, items, gathered);
        bytes = gathered;
    }
    if (!loom_hash_whole(work->algorithm, bytes, nbytes, whole))
        return parloom_fail(task, 1, "libcrypto could not digest a piece of %zu bytes", nbytes);
    for (size_t k = 0; k < loom_hash_nbytes(work->algorithm); k++) digest[k] = whole[k];
    return 0;
}

static int hash_pieces(const parloom_task *task, void *const *args)
{
    const struct work *work = args[0];
    unsigned char *digests = args[2];
    int failed = 0;
    for (size_t piece = task->begin; piece < task->end && failed == 0; piece++) {
        failed = hash_piece(task, work, args[1], piece, digests);
        digests += loom_hash_nbytes(work->algorithm);
    }
    return failed;
}

/* Private memory need not travel: threads, where nothing else is said. */
static parloom_status read_loop(const parloom_options *given, parloom_options *loop_out, parloom_error *error)
{
    parloom_status status = loom_options_read(given, loop_out, error);
    if (status == PARLOOM_OK && loop_out->backend == NULL && loop_out->pool == NULL) loop_out->backend = "threads";
    return status;
}

static parloom_status add_pieces(struct loom_hash *hash, const parloom_array *array, const struct work *work,
                                 parloom_error *error)
{
    size_t pieces = (work->count - 1) / work->per_piece + 1;
    size_t digest_nbytes = loom_hash_nbytes(work->algorithm);
    parloom_options loop = PARLOOM_OPTIONS_INIT;
    parloom_status status = read_loop(hash->options.loop, &loop, error);
    if (status != PARLOOM_OK) return status;
    unsigned char *digests = loom_memory_zeroed(pieces, digest_nbytes);
    if (digests == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for the digests of %zu pieces", pieces);
    const parloom_arg args[] = { parloom_in(work, sizeof *work), parloom_in_array(array),
                                 parloom_each(parloom_out(digests, pieces * digest_nbytes), digest_nbytes) };
    status = parloom_for_range(pieces, hash_pieces, args, 3, &loop, error);
    if (status == PARLOOM_OK) loom_hash_state_add(&hash->state, digests, pieces * digest_nbytes);
    free(digests);
    return status;
}

static parloom_status add_gathered(struct loom_hash *hash, const parloom_array *array, size_t count,
                                   parloom_error *error)
{
    size_t nbytes = count * array->item_nbytes;
    char *items = loom_memory_aligned(64, nbytes);
    if (items == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for %zu bytes", nbytes);
    loom_array_gather(array, 0, count, items);
    loom_hash_state_add(&hash->state, items, nbytes);
    free(items);
    return PARLOOM_OK;
}

parloom_status loom_hash_add_items(struct loom_hash *hash, const parloom_array *array, parloom_error *error)
{
    struct work work = { .algorithm = hash->state.algorithm, .count = loom_array_count(array) };
    work.per_piece = array->item_nbytes < PIECE_NBYTES ? PIECE_NBYTES / array->item_nbytes : 1;
    work.is_contiguous = loom_array_is_contiguous(array, false);
    if (work.count > work.per_piece) return add_pieces(hash, array, &work, error);
    if (!work.is_contiguous) return add_gathered(hash, array, work.count, error);
    loom_hash_state_add(&hash->state, array->data, work.count * array->item_nbytes);
    return PARLOOM_OK;
}

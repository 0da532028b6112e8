/* SPDX-License-Identifier: BSD-3-Clause */
/* hash.c - the records of a message. docs/hashing.md says what each holds. */
#include "rest/hash.h"

#include "base/status.h"
#include "core/argument_kinds.h"
#include "shm/array.h"

#include <endian.h>
#include <string.h>

enum record { BYTES = 1, ARRAY = 2, NUMBER = 3, ROOM_FOR_BYTES = 4, ROOM_FOR_ARRAY = 5 };
enum layout { LAYOUT_C = 0, LAYOUT_FORTRAN = 1, LAYOUT_OTHER = 2 };
enum byte_order { ORDER_NONE = 0, ORDER_LITTLE = 1, ORDER_BIG = 2 };

static void add_word(struct loom_hash *hash, uint64_t word)
{
    uint64_t little = htole64(word);
    loom_hash_state_add(&hash->state, &little, sizeof little);
}

/* ------------------------------------------------------------------ begin, end */

static parloom_status check_options(const parloom_hash_options *options, enum loom_hash_algorithm *algorithm_out,
                                    parloom_error *error)
{
    for (size_t k = 0; k < sizeof options->reserved / sizeof options->reserved[0]; k++)
        if (options->reserved[k] != 0)
            return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                    "reserved[%zu] of the hash options is not 0: begin with { 0 }", k);
    if (options->ignored == NULL && options->n_ignored > 0)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "ignored is NULL with n_ignored %zu",
                                options->n_ignored);
    parloom_status status = loom_hash_algorithm_of(options->algorithm, algorithm_out, error);
    if (status == PARLOOM_OK && options->sha256_out != NULL && *algorithm_out != LOOM_HASH_SHA256)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "sha256_out is given: say algorithm \"sha256\" too");
    return status;
}

parloom_status loom_hash_begin(struct loom_hash *hash, const char *purpose, const parloom_hash_options *options,
                               parloom_error *error)
{
    enum loom_hash_algorithm algorithm = LOOM_HASH_XXH3;
    hash->options = options != NULL ? *options : (parloom_hash_options){ .algorithm = NULL };
    hash->failed = check_options(&hash->options, &algorithm, error);
    if (hash->failed == PARLOOM_OK) hash->failed = loom_hash_state_begin(&hash->state, algorithm, error);
    if (hash->failed != PARLOOM_OK) {
        hash->state.sha256 = NULL;
        return hash->failed;
    }
    loom_hash_state_add(&hash->state, "parloom1", 8);
    return loom_hash_text(hash, purpose, error);
}

parloom_status loom_hash_end(struct loom_hash *hash, parloom_digest *digest_out, parloom_error *error)
{
    unsigned char whole[LOOM_HASH_MOST_NBYTES];
    if (hash->failed != PARLOOM_OK) {
        if (hash->state.sha256 != NULL) (void)loom_sha256_end(hash->state.sha256, NULL);
        return hash->failed;
    }
    if (!loom_hash_state_end(&hash->state, whole))
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "libcrypto could not end a SHA-256");
    memcpy(digest_out->bytes, whole, sizeof digest_out->bytes);
    if (hash->options.sha256_out != NULL) memcpy(hash->options.sha256_out, whole, PARLOOM_SHA256_BYTES);
    loom_status_clear(error);
    return PARLOOM_OK;
}

/* --------------------------------------------------------------------- records */

parloom_status loom_hash_number(struct loom_hash *hash, uint64_t number, parloom_error *error)
{
    (void)error;
    if (hash->failed != PARLOOM_OK) return hash->failed;
    add_word(hash, NUMBER);
    add_word(hash, number);
    return PARLOOM_OK;
}

static parloom_status check_bytes(const void *data, size_t nbytes, parloom_error *error)
{
    if (data == NULL && nbytes > 0)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "data is NULL with %zu bytes", nbytes);
    if (nbytes > PTRDIFF_MAX || (uintptr_t)data + nbytes < (uintptr_t)data)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "%zu bytes do not fit the address space", nbytes);
    return PARLOOM_OK;
}

static parloom_status add_bytes(struct loom_hash *hash, const void *data, size_t nbytes, bool is_room,
                                parloom_error *error)
{
    if (hash->failed != PARLOOM_OK) return hash->failed;
    hash->failed = check_bytes(data, nbytes, error);
    if (hash->failed != PARLOOM_OK) return hash->failed;
    add_word(hash, is_room ? ROOM_FOR_BYTES : BYTES);
    add_word(hash, nbytes);
    if (is_room || nbytes == 0) return PARLOOM_OK;
    parloom_array array = parloom_array_wrap((void *)(uintptr_t)data, PARLOOM_U8, 1, &nbytes);
    return hash->failed = loom_hash_add_items(hash, &array, error);
}

parloom_status loom_hash_bytes(struct loom_hash *hash, const void *data, size_t nbytes, parloom_error *error)
{
    return add_bytes(hash, data, nbytes, false, error);
}

parloom_status loom_hash_text(struct loom_hash *hash, const char *text, parloom_error *error)
{
    return add_bytes(hash, text, strlen(text), false, error);
}

/* Where a byte order means something. Of records only this is known: whether it is not this machine's. */
static enum byte_order order_of(const parloom_array *array)
{
    bool is_swapped = (array->flags & LOOM_ARRAY_SWAPPED) != 0;
    if (array->dtype == PARLOOM_ITEM ? !is_swapped : array->item_nbytes == 1) return ORDER_NONE;
    return (BYTE_ORDER == LITTLE_ENDIAN) != is_swapped ? ORDER_LITTLE : ORDER_BIG;
}

static enum layout layout_of(const struct loom_hash *hash, const parloom_array *array)
{
    if (hash->options.any_layout || loom_array_is_contiguous(array, false)) return LAYOUT_C;
    return loom_array_is_contiguous(array, true) ? LAYOUT_FORTRAN : LAYOUT_OTHER;
}

/* What has its axes the other way round is in C order, if it was in Fortran order. */
static parloom_array reverse_axes(const parloom_array *array)
{
    parloom_array reversed = *array;
    for (int axis = 0; axis < array->ndim; axis++) {
        reversed.shape[axis] = array->shape[array->ndim - 1 - axis];
        reversed.strides[axis] = array->strides[array->ndim - 1 - axis];
    }
    return reversed;
}

static parloom_status add_array(struct loom_hash *hash, const parloom_array *array, bool is_room, parloom_error *error)
{
    const char *low = NULL;
    size_t extent = 0;
    if (hash->failed != PARLOOM_OK) return hash->failed;
    hash->failed = loom_array_extent(array, &low, &extent, error);
    if (hash->failed != PARLOOM_OK) return hash->failed;
    enum layout layout = layout_of(hash, array);
    add_word(hash, is_room ? ROOM_FOR_ARRAY : ARRAY);
    add_word(hash, (uint64_t)array->dtype);
    add_word(hash, order_of(array));
    add_word(hash, array->item_nbytes);
    add_word(hash, layout);
    add_word(hash, hash->options.memmap_differs && parloom_array_is_memmap(array));
    add_word(hash, (uint64_t)array->ndim);
    for (int axis = 0; axis < array->ndim; axis++) add_word(hash, array->shape[axis]);
    if (is_room || extent == 0) return PARLOOM_OK;
    parloom_array items = layout == LAYOUT_FORTRAN ? reverse_axes(array) : *array;
    items.flags &= ~(unsigned)LOOM_ARRAY_SWAPPED; /* bytes are bytes: a loop over them may have them */
    return hash->failed = loom_hash_add_items(hash, &items, error);
}

parloom_status loom_hash_array(struct loom_hash *hash, const parloom_array *array, parloom_error *error)
{
    return add_array(hash, array, false, error);
}

/* ------------------------------------------------------------------- arguments */

parloom_status loom_hash_arg(struct loom_hash *hash, const parloom_arg *arg, parloom_error *error)
{
    int direction = loom_kind_direction(arg);
    bool is_room = direction == LOOM_KIND_OUT;
    if (hash->failed != PARLOOM_OK) return hash->failed;
    if (direction < LOOM_KIND_IN || direction > LOOM_KIND_REDUCE)
        return hash->failed = loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                               "it was not made by parloom_in, _out, _inout or _reduce");
    (void)loom_hash_number(hash, (uint64_t)direction, error);
    (void)loom_hash_number(hash, loom_kind_has(arg, LOOM_KIND_EACH) ? arg->stride : 0, error);
    if (loom_kind_has(arg, LOOM_KIND_ARRAY)) return add_array(hash, arg->array, is_room, error);
    return add_bytes(hash, arg->data, arg->nbytes, is_room, error);
}

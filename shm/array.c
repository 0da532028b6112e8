/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * array.c - the array object: make, describe, cut and release it.
 *
 * An array is a plain struct: copies of it share the same memory, and one of them is released. What it was made of is
 * in its owner record; views and wrapped memory have none, so releasing them only clears the struct.
 *
 * Threads    any thread; one thread at a time per struct.
 */
#include "shm/array.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "shm/arena.h"
#include "shm/mapping.h"
#include "shm/window.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How the memory is given back. Private to the process that made the array. */
struct owner {
    struct loom_mapping mapping; /* start NULL: none */
    void *block;                 /* of the public arena; NULL: none */
    int held_fd;                 /* closed with the array; 0: none */
    struct loom_file_identity held;
};

size_t loom_array_item_nbytes(parloom_dtype dtype)
{
    static const unsigned char nbytes[] = {
        [PARLOOM_BOOL] = 1, [PARLOOM_I8] = 1,  [PARLOOM_I16] = 2,  [PARLOOM_I32] = 4, [PARLOOM_I64] = 8,
        [PARLOOM_U8] = 1,   [PARLOOM_U16] = 2, [PARLOOM_U32] = 4,  [PARLOOM_U64] = 8, [PARLOOM_F32] = 4,
        [PARLOOM_F64] = 8,  [PARLOOM_C64] = 8, [PARLOOM_C128] = 16
    };
    size_t index = (size_t)(unsigned)dtype;
    return index < sizeof nbytes ? nbytes[index] : 0;
}

const char *parloom_dtype_name(parloom_dtype dtype)
{
    static const char *const NAMES[] = { "?",   "bool", "i8",  "i16", "i32", "i64",  "u8",  "u16",
                                         "u32", "u64",  "f32", "f64", "c64", "c128", "item" };
    size_t index = (size_t)(unsigned)dtype;
    return index < sizeof NAMES / sizeof NAMES[0] ? NAMES[index] : NAMES[0];
}

/* -------------------------------------------------------------------- describe */

parloom_array parloom_array_wrap(void *data, parloom_dtype dtype, int ndim, const size_t *shape)
{
    return parloom_array_wrap_strided(data, dtype, 0, ndim, shape, NULL);
}

parloom_array parloom_array_wrap_strided(void *data, parloom_dtype dtype, size_t item_nbytes, int ndim,
                                         const size_t *shape, const ptrdiff_t *strides)
{
    parloom_array array = { .data = data, .dtype = dtype, .ndim = ndim };
    array.item_nbytes = item_nbytes > 0 ? item_nbytes : loom_array_item_nbytes(dtype);
    if (loom_window_contains(data)) array.flags |= LOOM_ARRAY_MEMMAP;
    /* There is no status to return: a wrong ndim or a missing shape is refused by whoever is given the array. */
    if (ndim > 0 && shape == NULL) array.ndim = -1;
    if (ndim <= 0 || ndim > PARLOOM_MAX_NDIM || shape == NULL) return array;

    size_t count = (size_t)ndim;
    memcpy(array.shape, shape, count * sizeof shape[0]);
    if (strides != NULL)
        memcpy(array.strides, strides, count * sizeof strides[0]);
    else
        loom_array_set_strides(&array, false);
    return array;
}

static parloom_status refuse_slice(const parloom_array *array, int axis, size_t start, size_t stop, size_t step,
                                   parloom_error *error)
{
    if (axis < 0 || axis >= array->ndim)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "axis %d of an array with %d: give 0 to ndim - 1", axis,
                                array->ndim);
    if (step == 0)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "step 0 of a slice: give 1 for every item of the axis");
    size_t length = array->shape[axis];
    if (start > stop || stop > length)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "slice %zu to %zu of axis %d, which has %zu: start <= stop <= length must hold", start,
                                stop, axis, length);
    return PARLOOM_OK;
}

parloom_status parloom_array_slice(parloom_array *view_out, const parloom_array *array, int axis, size_t start,
                                   size_t stop, size_t step, parloom_error *error)
{
    size_t before = 0;
    size_t from = 0;
    if (view_out == NULL) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no view given for a slice");
    parloom_status status = loom_array_measure(array, &before, &from, error);
    if (status == PARLOOM_OK) status = refuse_slice(array, axis, start, stop, step, error);
    if (status != PARLOOM_OK) return status;

    parloom_array view = *array;
    view.shape[axis] = start == stop ? 0 : 1 + (stop - start - 1) / step;
    /* Of an array without items nothing is moved: its strides may be anything. */
    if (from > 0 && start < stop) {
        view.data = (char *)array->data + (ptrdiff_t)start * array->strides[axis];
        if (view.shape[axis] > 1) view.strides[axis] = (ptrdiff_t)step * array->strides[axis];
    }
    /* An array cut in place stays the owner of its memory; any other view borrows. */
    if (view_out != array) view.owner = NULL;
    *view_out = view;
    loom_status_clear(error);
    return PARLOOM_OK;
}

/* ------------------------------------------------------------- own and release */

/* source NULL: of bytes that are zero, or anything. */
static parloom_status allocate(parloom_array *array, const struct loom_fill_source *source, bool zeroed,
                               parloom_error *error)
{
    parloom_error reason; /* the arena returns no status of its own */
    size_t before = 0;
    size_t nbytes = 0;
    if (error == NULL) error = &reason;
    parloom_status status = loom_array_measure(array, &before, &nbytes, error);
    if (status != PARLOOM_OK) return status;

    struct owner *owner = loom_memory_zeroed(1, sizeof *owner);
    if (owner == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "could not allocate %zu bytes for an array's owner",
                                sizeof *owner);
    struct loom_arena *arena = loom_arena_public(error);
    if (arena != NULL)
        owner->block = source != NULL ? loom_arena_allocate_filled(arena, source, error)
                                      : loom_arena_allocate(arena, nbytes, 0, zeroed, error);
    if (owner->block == NULL) {
        free(owner);
        return error->status;
    }
    array->data = owner->block;
    array->owner = owner;
    array->flags |= LOOM_ARRAY_MEMMAP;
    return PARLOOM_OK;
}

parloom_status loom_array_allocate(parloom_array *array, bool zeroed, parloom_error *error)
{
    return allocate(array, NULL, zeroed, error);
}

parloom_status loom_array_allocate_filled(parloom_array *array, const struct loom_fill_source *source,
                                          parloom_error *error)
{
    return allocate(array, source, false, error);
}

parloom_status loom_array_map_part(parloom_array *array, const char *path, int fd, parloom_mmap_mode mode,
                                   uint64_t offset, size_t nbytes, parloom_error *error)
{
    struct owner *owner = loom_memory_zeroed(1, sizeof *owner);
    if (owner == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "could not allocate %zu bytes for an array's owner",
                                sizeof *owner);
    parloom_status status = loom_mapping_create(&owner->mapping, path, fd, mode, offset, nbytes, error);
    if (status != PARLOOM_OK) {
        free(owner);
        return status;
    }
    array->data = owner->mapping.data;
    array->owner = owner;
    array->flags |= loom_mapping_flags(mode);
    return PARLOOM_OK;
}

void loom_array_hold_descriptor(parloom_array *array, int fd)
{
    struct owner *owner = array->owner;
    owner->held_fd = fd;
    loom_file_identify(fd, &owner->held);
}

static void close_held(const struct owner *owner)
{
    /* A program may have closed all its descriptors: then the number may be another file's. */
    if (owner->held_fd > 0 && loom_file_is_still(owner->held_fd, &owner->held)) close(owner->held_fd);
}

parloom_status parloom_array_create(parloom_array *array_out, parloom_dtype dtype, int ndim, const size_t *shape,
                                    parloom_error *error)
{
    if (array_out == NULL) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no array given to create");
    if (dtype == PARLOOM_ITEM)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "an array of PARLOOM_ITEM cannot be created without the size of its items: use "
                                "parloom_alloc and parloom_array_wrap_strided");
    parloom_array array = parloom_array_wrap(NULL, dtype, ndim, shape);
    parloom_status status = loom_array_allocate(&array, true, error);
    if (status != PARLOOM_OK) return status;
    *array_out = array;
    loom_status_clear(error);
    return PARLOOM_OK;
}

void parloom_array_release(parloom_array *array)
{
    if (array == NULL) return;
    struct owner *owner = array->owner;
    if (owner != NULL) {
        if (owner->block != NULL) loom_arena_free(loom_arena_public(NULL), owner->block);
        loom_mapping_destroy(&owner->mapping);
        close_held(owner);
        free(owner);
    }
    memset(array, 0, sizeof *array);
}

/* ------------------------------------------------------------------------- ask */

size_t parloom_array_nbytes(const parloom_array *array)
{
    size_t before = 0;
    size_t from = 0;
    /* What makes no sense has no size; the same measure bounds count times item_nbytes. */
    if (loom_array_measure(array, &before, &from, NULL) != PARLOOM_OK) return 0;
    return loom_array_count(array) * array->item_nbytes;
}

bool parloom_array_is_memmap(const parloom_array *array)
{
    return array != NULL && (array->flags & LOOM_ARRAY_MEMMAP) != 0;
}

bool parloom_array_is_writable(const parloom_array *array)
{
    return array != NULL && (array->flags & LOOM_ARRAY_READ_ONLY) == 0;
}

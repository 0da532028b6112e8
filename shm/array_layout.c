/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * array_layout.c - where the items of an array lie: checked sizes, extents, orders.
 *
 * Everything here distrusts the struct it is given: a program may have filled it by hand. After a measure that
 * succeeded, count times item_nbytes and all distances between items fit in PTRDIFF_MAX.
 */
#include "base/memory.h"
#include "base/status.h"
#include "shm/array.h"

#include <string.h>

static parloom_status check_fields(const parloom_array *array, parloom_error *error)
{
    if (array == NULL) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no array given");
    if (array->dtype < PARLOOM_BOOL || array->dtype > PARLOOM_ITEM)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "dtype %d of an array is none of PARLOOM_BOOL to PARLOOM_ITEM", (int)array->dtype);
    if (array->ndim < 0 || array->ndim > PARLOOM_MAX_NDIM)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "ndim %d of an array: give 0 to %d, and a shape of as many lengths", array->ndim,
                                (int)PARLOOM_MAX_NDIM);
    size_t item_nbytes = loom_array_item_nbytes(array->dtype);
    if (array->item_nbytes == 0)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "item_nbytes 0 of an array of PARLOOM_ITEM: give the size of one item");
    if (item_nbytes > 0 && array->item_nbytes != item_nbytes)
        return loom_status_fail(
            error, PARLOOM_ERR_INVALID, 0,
            "item_nbytes %zu of an array whose dtype has %zu: use PARLOOM_ITEM for items of your own",
            array->item_nbytes, item_nbytes);
    return PARLOOM_OK;
}

static bool has_no_items(const parloom_array *array)
{
    for (int axis = 0; axis < array->ndim; axis++)
        if (array->shape[axis] == 0) return true;
    return false;
}

/* false where a product or a distance does not fit. */
static bool measure_items(const parloom_array *array, size_t *before_out, size_t *from_out)
{
    size_t nbytes = array->item_nbytes;
    size_t before = 0;
    size_t from = array->item_nbytes;
    for (int axis = 0; axis < array->ndim; axis++) {
        ptrdiff_t stride = array->strides[axis];
        size_t step = stride < 0 ? (size_t)0 - (size_t)stride : (size_t)stride;
        size_t *side = stride < 0 ? &before : &from;
        size_t distance = 0;
        if (!loom_memory_mul(nbytes, array->shape[axis], &nbytes)) return false;
        if (!loom_memory_mul(step, array->shape[axis] - 1, &distance)) return false;
        if (!loom_memory_add(*side, distance, side)) return false;
    }
    size_t extent = 0;
    if (!loom_memory_add(before, from, &extent) || extent > PTRDIFF_MAX || nbytes > PTRDIFF_MAX) return false;
    *before_out = before;
    *from_out = from;
    return true;
}

parloom_status loom_array_measure(const parloom_array *array, size_t *before_out, size_t *from_out,
                                  parloom_error *error)
{
    size_t before = 0;
    size_t from = 0;
    parloom_status status = check_fields(array, error);
    if (status != PARLOOM_OK) return status;
    if (!has_no_items(array) && !measure_items(array, &before, &from))
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "shape and strides of an array with %d axes and items of %zu bytes span more than the "
                                "address space: check them for overflow",
                                array->ndim, array->item_nbytes);
    *before_out = before;
    *from_out = from;
    return PARLOOM_OK;
}

parloom_status loom_array_extent(const parloom_array *array, const char **low_out, size_t *extent_out,
                                 parloom_error *error)
{
    size_t before = 0;
    size_t from = 0;
    parloom_status status = loom_array_measure(array, &before, &from, error);
    if (status != PARLOOM_OK) return status;
    if (from > 0 && array->data == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "data of an array with %zu items is NULL",
                                loom_array_count(array));
    uintptr_t address = (uintptr_t)array->data;
    if (before > address || from > UINTPTR_MAX - address)
        return loom_status_fail(
            error, PARLOOM_ERR_INVALID, 0,
            "strides of an array at %p reach %zu bytes before and %zu bytes from it, outside of the "
            "address space",
            array->data, before, from);
    *low_out = before > 0 ? (const char *)array->data - before : (const char *)array->data;
    *extent_out = before + from;
    return PARLOOM_OK;
}

parloom_status loom_array_check(const parloom_array *array, parloom_error *error)
{
    const char *low = NULL;
    size_t extent = 0;
    parloom_status status = loom_array_extent(array, &low, &extent, error);
    if (status != PARLOOM_OK || (array->flags & LOOM_ARRAY_SWAPPED) == 0) return status;
    return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                            "items of a mapped array are in the other byte order, so a task would see wrong numbers: "
                            "load the file without a mode, which reads it in this machine's order");
}

size_t loom_array_count(const parloom_array *array)
{
    size_t count = 1;
    if (has_no_items(array)) return 0;
    for (int axis = 0; axis < array->ndim; axis++) count *= array->shape[axis];
    return count;
}

bool loom_array_is_contiguous(const parloom_array *array, bool is_fortran)
{
    size_t nbytes = array->item_nbytes;
    if (has_no_items(array)) return true;
    for (int k = 0; k < array->ndim; k++) {
        int axis = is_fortran ? k : array->ndim - 1 - k;
        /* The stride of an axis of one is never used. */
        if (array->shape[axis] == 1) continue;
        if (array->strides[axis] < 0 || (size_t)array->strides[axis] != nbytes) return false;
        nbytes *= array->shape[axis];
    }
    return true;
}

void loom_array_set_strides(parloom_array *array, bool is_fortran)
{
    size_t nbytes = array->item_nbytes;
    for (int k = 0; k < array->ndim; k++) {
        int axis = is_fortran ? k : array->ndim - 1 - k;
        size_t length = array->shape[axis] > 0 ? array->shape[axis] : 1;
        array->strides[axis] = (ptrdiff_t)nbytes;
        if (!loom_memory_mul(nbytes, length, &nbytes) || nbytes > PTRDIFF_MAX) nbytes = PTRDIFF_MAX;
    }
}

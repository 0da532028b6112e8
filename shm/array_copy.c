/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * array_copy.c - move items between arrays of any strides.
 *
 * A copy is a list of runs: axes are put in the order in which *to lies in memory and those that continue each other
 * in both arrays are joined, so that arrays without gaps are one memcpy whatever their shape. Arrays must have been
 * checked, and must not overlap.
 */
#include "shm/array.h"

#include <stdlib.h>
#include <string.h>

struct axis {
    size_t length;
    ptrdiff_t to;
    ptrdiff_t from;
};

/* Always inline, so that the compiler sees a constant size and turns memcpy into one load and store. */
__attribute__((always_inline)) static inline void copy_each(char *to, ptrdiff_t to_stride, const char *from,
                                                            ptrdiff_t from_stride, size_t count, size_t nbytes)
{
    for (size_t k = 0; k < count; k++) {
        memcpy(to, from, nbytes);
        /* No pointer is formed beyond the last item: with large strides it could lie outside of the memory. */
        if (k + 1 == count) break;
        to += to_stride;
        from += from_stride;
    }
}

static void copy_run(char *to, ptrdiff_t to_stride, const char *from, ptrdiff_t from_stride, size_t count,
                     size_t item_nbytes)
{
    ptrdiff_t item = (ptrdiff_t)item_nbytes;
    if (to_stride == item && from_stride == item) {
        memcpy(to, from, count * item_nbytes);
        return;
    }
    switch (item_nbytes) {
    case 1:
        copy_each(to, to_stride, from, from_stride, count, 1);
        break;
    case 2:
        copy_each(to, to_stride, from, from_stride, count, 2);
        break;
    case 4:
        copy_each(to, to_stride, from, from_stride, count, 4);
        break;
    case 8:
        copy_each(to, to_stride, from, from_stride, count, 8);
        break;
    case 16:
        copy_each(to, to_stride, from, from_stride, count, 16);
        break;
    default:
        copy_each(to, to_stride, from, from_stride, count, item_nbytes);
        break;
    }
}

/* Axes longer than one, the widest step in *to first. */
static int list_axes(const parloom_array *to, const parloom_array *from, struct axis axes[PARLOOM_MAX_NDIM])
{
    int count = 0;
    for (int k = 0; k < to->ndim; k++) {
        if (to->shape[k] == 1) continue;
        struct axis axis = { to->shape[k], to->strides[k], from->strides[k] };
        int at = count++;
        while (at > 0 && llabs(axes[at - 1].to) < llabs(axis.to)) {
            axes[at] = axes[at - 1];
            at--;
        }
        axes[at] = axis;
    }
    return count;
}

/* Joins each axis with the one inside it where the inner one ends where the outer one steps to. */
static int join_axes(struct axis axes[PARLOOM_MAX_NDIM], int count)
{
    int last = 0;
    for (int k = 1; k < count; k++) {
        struct axis *outer = &axes[last];
        ptrdiff_t length = (ptrdiff_t)axes[k].length;
        if (outer->to == axes[k].to * length && outer->from == axes[k].from * length) {
            outer->length *= axes[k].length;
            outer->to = axes[k].to;
            outer->from = axes[k].from;
        } else {
            axes[++last] = axes[k];
        }
    }
    return count > 0 ? last + 1 : 0;
}

void loom_array_copy_items(const parloom_array *to, const parloom_array *from)
{
    struct axis axes[PARLOOM_MAX_NDIM];
    size_t index[PARLOOM_MAX_NDIM] = { 0 };
    char *target = to->data;
    const char *source = from->data;
    if (loom_array_count(to) == 0) return;

    int count = join_axes(axes, list_axes(to, from, axes));
    if (count == 0) axes[count++] = (struct axis){ 1, 0, 0 };
    const struct axis *inner = &axes[count - 1];
    for (;;) {
        copy_run(target, inner->to, source, inner->from, inner->length, to->item_nbytes);
        int k = count - 2;
        for (; k >= 0 && ++index[k] == axes[k].length; k--) {
            index[k] = 0;
            target -= axes[k].to * (ptrdiff_t)(axes[k].length - 1);
            source -= axes[k].from * (ptrdiff_t)(axes[k].length - 1);
        }
        if (k < 0) return;
        target += axes[k].to;
        source += axes[k].from;
    }
}

void loom_array_gather(const parloom_array *array, size_t first, size_t count, void *items_out)
{
    size_t index[PARLOOM_MAX_NDIM] = { 0 };
    char *target = items_out;
    int last = array->ndim - 1;
    size_t length = last < 0 ? 1 : array->shape[last];
    ptrdiff_t stride = last < 0 ? 0 : array->strides[last];
    if (loom_array_count(array) == 0) return; /* an axis of length 0 has no index */
    for (int axis = last; axis >= 0; axis--) {
        index[axis] = first % array->shape[axis];
        first /= array->shape[axis];
    }
    while (count > 0) {
        const char *source = array->data;
        for (int axis = 0; axis <= last; axis++) source += (ptrdiff_t)index[axis] * array->strides[axis];
        size_t run = length - (last < 0 ? 0 : index[last]);
        if (run > count) run = count;
        copy_run(target, (ptrdiff_t)array->item_nbytes, source, stride, run, array->item_nbytes);
        target += run * array->item_nbytes;
        count -= run;
        if (last < 0) return;
        index[last] = 0;
        for (int axis = last - 1; axis >= 0 && ++index[axis] == array->shape[axis]; axis--) index[axis] = 0;
    }
}

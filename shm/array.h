/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * array.h - what the library asks of arrays beyond the public functions.
 *
 * Ownership  owner is NULL, or a small record that says how to give the memory back. It means something only in the
 *            process that made the array: whoever sends an array elsewhere sets owner to NULL there.
 * Flags      MEMMAP is set where an array is made (from the address, or because a file is mapped) and copied into
 *            views; whoever moves an array's bytes (the spill) sets or clears it. parloom_array_is_memmap only reads
 * it.
 */
#ifndef LOOM_SHM_ARRAY_H
#define LOOM_SHM_ARRAY_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

enum loom_array_flag {
    LOOM_ARRAY_READ_ONLY = 1u << 0,
    LOOM_ARRAY_MEMMAP = 1u << 1,  /* backed by memory shared between processes, or by a file */
    LOOM_ARRAY_SWAPPED = 1u << 2, /* items are in the other byte order */
    LOOM_ARRAY_COPY_ON_WRITE = 1u << 3
};

struct loom_mapping;
struct loom_fill_source; /* shm/fill.h */

size_t loom_array_item_nbytes(parloom_dtype dtype); /* 0 for PARLOOM_ITEM and values that are no dtype */
/* Can it be an argument? INVALID with the field: dtype, ndim, item_nbytes, strides that overflow, data NULL while items
 * exist; UNSUPPORTED where items are in the other byte order: a task would see wrong numbers. */
parloom_status loom_array_check(const parloom_array *array, parloom_error *error);
/* The bytes the array touches: [*low_out, *low_out + *extent_out); extent 0 when it has no items. INVALID as above; any
 * byte order. */
parloom_status loom_array_extent(const parloom_array *array, const char **low_out, size_t *extent_out,
                                 parloom_error *error);
/* The same without an address: how many bytes it touches before and from the item [0, ..., 0] on. data may be NULL. */
parloom_status loom_array_measure(const parloom_array *array, size_t *before_out, size_t *from_out,
                                  parloom_error *error);
size_t loom_array_count(const parloom_array *array); /* items, of an array that was checked */
/* Items lie one behind the other, in Fortran or C order. */
bool loom_array_is_contiguous(const parloom_array *array, bool is_fortran);
/* Sets strides for items that lie one behind the other; saturates where they overflow, so that a check sees it. */
void loom_array_set_strides(parloom_array *array, bool is_fortran);
/* Copies item by item (same shape and item size; any strides): bytes between items of *to stay. */
void loom_array_copy_items(const parloom_array *to, const parloom_array *from);
/* Copies count items from the first-th on, counted in C order, one behind the other. */
void loom_array_gather(const parloom_array *array, size_t first, size_t count, void *items_out);

/* It lies in a file of the user's that is mapped, and that somebody may cut short. */
bool loom_array_is_file(const parloom_array *array);
/* As loom_array_gather. Of such a file: 0 or EFAULT, where it was cut, or ENOMEM. */
int loom_array_read(const parloom_array *array, size_t first, size_t count, void *items_out);
/* Bytes of such a file: 0 or EFAULT. */
int loom_array_read_bytes(void *into, const void *bytes, size_t nbytes);

/* Of a checked array: where it lies in a mapped file that somebody has cut short since, IO: whoever reads its bytes
 * would die of it. */
parloom_status loom_array_check_whole(const parloom_array *array, parloom_error *error);

/* Gives an array that is described (all but data, contiguous) memory that every worker sees, which it then owns. */
parloom_status loom_array_allocate(parloom_array *array, bool zeroed, parloom_error *error);
/* The same, with the bytes of a source, as many as the array has. */
parloom_status loom_array_allocate_filled(parloom_array *array, const struct loom_fill_source *source,
                                          parloom_error *error);
/* Maps these bytes of a file, in the mode given, and makes the array their owner: releasing it unmaps them. data is
 * their beginning; path is for messages. */
parloom_status loom_array_map_part(parloom_array *array, const char *path, int fd, parloom_mmap_mode mode,
                                   uint64_t offset, size_t nbytes, parloom_error *error);
/* The descriptor (not 0) is closed when the array is released. Of an array that owns something. */
void loom_array_hold_descriptor(parloom_array *array, int fd);

#ifdef __cplusplus
}
#endif
#endif

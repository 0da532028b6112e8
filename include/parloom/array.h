/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * array.h - memory that every worker sees at one address, arrays over it or over the caller's own, and .npy files.
 *
 * No call needs any of this: arguments may be plain malloc memory. It is for data with pointers in it, for results that
 * are written in place, and for inputs that are too large to be copied.
 */
#ifndef PARLOOM_ARRAY_H
#define PARLOOM_ARRAY_H

#include <parloom/options.h>
#include <parloom/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

/* ---- memory */

/*
 * Allocates memory that every worker sees at the same address, so that pointers into it, also pointers stored inside
 * it, mean the same in every process; also in workers that were started before. In a task body: memory for calls nested
 * in that body, freed when its task ends; a body cannot make memory that its caller sees.
 *
 * nbytes   bytes; 0 counts as 1
 * error    NULL is fine
 *
 * Returns: gives zero-filled memory, aligned to 64 bytes: release it with parloom_free. NULL on failure, with in error:
 * Errors:
 *   PARLOOM_ERR_SPACE        no folder has room for it
 *   PARLOOM_ERR_MEMORY       out of memory or of addresses
 *   PARLOOM_ERR_LIMIT        descriptors, mappings or file size are limited
 *   PARLOOM_ERR_IO           a system call failed
 *   PARLOOM_ERR_UNSUPPORTED  no range of addresses is free that program and workers could share
 * Threads: any thread, also in a task body.
 * Blocks:  for as long as reserving the space takes.
 * Since:   0.1
 * Example: examples/02_preallocated.c
 */
void *parloom_alloc(size_t nbytes, parloom_error *error);

/*
 * Frees what parloom_alloc gave. Waits for no one: tasks in flight that have it as an argument keep it alive, those
 * that reach it by a pointer do not.
 *
 * memory   takes; NULL is fine
 *
 * Returns: nothing.
 * Errors:  none.
 * Threads: any thread of the process that allocated it.
 * Blocks:  never for long.
 * Since:   0.1
 * Example: examples/07_control.c
 */
void parloom_free(void *memory);

/*
 * Promises that these bytes will not change until parloom_unpublish: every call and pool that is given them or a part
 * of them as in uses one copy, made when first needed. Without it each call takes its own copy, since the bytes may
 * have changed. Nests.
 *
 * data     borrows until the matching parloom_unpublish; does not own
 * nbytes   bytes; may differ from another promise that begins at the same address
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID  data is NULL, or no such range can exist
 *   PARLOOM_ERR_MEMORY   no memory to remember it
 * Threads: any thread.
 * Blocks:  never; the copy is made by the first call that needs it.
 * Since:   0.1
 * Example: tests/accept/08_reduce.c
 */
parloom_status parloom_publish(const void *data, size_t nbytes, parloom_error *error);

/*
 * Takes the promise of parloom_publish back. From then on the bytes may change; calls that run keep their copy.
 *
 * data     what was published; of several promises that begin there, the newest. Anything else, and NULL: nothing
 *
 * Returns: nothing.
 * Errors:  none.
 * Threads: any thread.
 * Blocks:  never for long.
 * Since:   0.1
 * Example: tests/accept/08_reduce.c
 */
void parloom_unpublish(const void *data);

/*
 * Asks whether a pointer points into memory that workers see: parloom's, or a file that was mapped to be read or
 * written (not mode c: that is the process's own). Also true inside a worker for arguments that were spilled.
 *
 * pointer  any; it is not read through
 *
 * Returns: true or false.
 * Errors:  none.
 * Threads: any thread, also in a task body.
 * Blocks:  never.
 * Since:   0.1
 * Example: tests/accept/03_pointers.c
 */
bool parloom_is_shared(const void *pointer);

/* ---- arrays */

typedef enum parloom_dtype {
    PARLOOM_BOOL = 1,
    PARLOOM_I8,
    PARLOOM_I16,
    PARLOOM_I32,
    PARLOOM_I64,
    PARLOOM_U8,
    PARLOOM_U16,
    PARLOOM_U32,
    PARLOOM_U64,
    PARLOOM_F32,
    PARLOOM_F64,
    PARLOOM_C64,  /* two F32 */
    PARLOOM_C128, /* two F64 */
    PARLOOM_ITEM  /* item_nbytes bytes of the user's own: a struct without pointers, or another type of NumPy's */
} parloom_dtype;

enum { PARLOOM_MAX_NDIM = 8 };

/* A view of n-dimensional data, cheap to copy: copies share data and owner, and only one of them is released. */
typedef struct parloom_array {
    void *data; /* the item whose indices are all 0 */
    parloom_dtype dtype;
    int ndim; /* 0 (one item) to PARLOOM_MAX_NDIM */
    size_t shape[PARLOOM_MAX_NDIM];
    ptrdiff_t strides[PARLOOM_MAX_NDIM]; /* bytes from one item to the next; may be negative */
    size_t item_nbytes;
    unsigned flags; /* read-only, memmap, byte order ...: ask the functions below */
    void *owner;    /* opaque; NULL for borrowed memory */
    uint64_t reserved[2];
} parloom_array;

/*
 * Names a dtype, for messages.
 *
 * dtype    any value, also one that is no dtype
 *
 * Returns: "f64" and so on, "item" for PARLOOM_ITEM, "?" for other values; static, never NULL.
 * Errors:  none.
 * Threads: any thread, also in a task body; async-signal-safe.
 * Blocks:  never.
 * Since:   0.1
 * Example: docs/guide/programs/memmaps_check.c
 */
const char *parloom_dtype_name(parloom_dtype dtype);

/*
 * Creates an array in shared memory: zero-filled, C order.
 *
 * array_out set on success; gives: release it with parloom_array_release
 * dtype     of its items, not PARLOOM_ITEM
 * ndim      0 (one item) to PARLOOM_MAX_NDIM
 * shape     borrows; ndim lengths; a length 0 makes an array without items
 * error     NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID      dtype, ndim or shape make no sense, or the size overflows
 *   PARLOOM_ERR_SPACE, PARLOOM_ERR_MEMORY, PARLOOM_ERR_LIMIT, PARLOOM_ERR_IO, PARLOOM_ERR_UNSUPPORTED  as parloom_alloc
 * Threads: any thread.
 * Blocks:  for as long as reserving the space takes.
 * Since:   0.1
 * Example: examples/places/main.c
 */
parloom_status parloom_array_create(parloom_array *array_out, parloom_dtype dtype, int ndim, const size_t *shape,
                                    parloom_error *error);

/*
 * Describes memory of the caller's as an array in C order.
 *
 * data     borrows for as long as the array is used
 * dtype    of its items, not PARLOOM_ITEM
 * ndim     0 to PARLOOM_MAX_NDIM
 * shape    borrows; ndim lengths
 *
 * Returns: the array; it needs no release.
 * Errors:  none here: what makes no sense is PARLOOM_ERR_INVALID where the array is used.
 * Threads: any thread, also in a task body.
 * Blocks:  never.
 * Since:   0.1
 * Example: tests/accept/02_spill.c
 */
parloom_array parloom_array_wrap(void *data, parloom_dtype dtype, int ndim, const size_t *shape);

/*
 * Describes memory of the caller's with strides of its own (Fortran order, views) and items of any size. Bytes between
 * items stay as they are in whatever is done with the array.
 *
 * data        borrows for as long as the array is used; the item whose indices are all 0
 * dtype       of its items
 * item_nbytes bytes of one item; 0: the dtype's
 * ndim        0 to PARLOOM_MAX_NDIM
 * shape       borrows; ndim lengths
 * strides     borrows; ndim steps in bytes, which may be negative; NULL: C order
 *
 * Returns: the array; it needs no release.
 * Errors:  none here: what makes no sense is PARLOOM_ERR_INVALID where the array is used.
 * Threads: any thread, also in a task body.
 * Blocks:  never.
 * Since:   0.1
 * Example: tests/shm/test_array.cc
 */
parloom_array parloom_array_wrap_strided(void *data, parloom_dtype dtype, size_t item_nbytes, int ndim,
                                         const size_t *shape, const ptrdiff_t *strides);

/*
 * Cuts one axis to start, start + step, ... below stop. The result is a view: it borrows the owner's memory until the
 * owner is released.
 *
 * view_out set on success; needs no release. May be array itself, which then stays the owner of what it owned
 * array    borrows
 * axis     0 to ndim - 1
 * start    first index
 * stop     end, not above the length of the axis
 * step     1 and up
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID  array makes no sense, no such axis, start above stop, stop beyond the axis, or step 0
 * Threads: any thread, also in a task body.
 * Blocks:  never.
 * Since:   0.1
 * Example: tests/shm/test_array.cc
 */
parloom_status parloom_array_slice(parloom_array *view_out, const parloom_array *array, int axis, size_t start,
                                   size_t stop, size_t step, parloom_error *error);

/*
 * Releases the memory or the mapping that an array owns, and clears the array. Views and wrapped memory own nothing:
 * then it is only cleared.
 *
 * array    takes what it owns; NULL and a cleared array are fine
 *
 * Returns: nothing.
 * Errors:  none.
 * Threads: any thread of the process that made it.
 * Blocks:  never for long.
 * Since:   0.1
 * Example: examples/places/main.c
 */
void parloom_array_release(parloom_array *array);

/*
 * Counts the bytes of all items: without those between items.
 *
 * array    borrows
 *
 * Returns: items times item_nbytes; 0 for an array that makes no sense.
 * Errors:  none.
 * Threads: any thread, also in a task body.
 * Blocks:  never.
 * Since:   0.1
 * Example: tests/shm/test_array.cc
 */
size_t parloom_array_nbytes(const parloom_array *array);

/*
 * Asks whether an array is backed by memory shared between processes, or by a file. In a body: also whether an argument
 * travelled as a memmap.
 *
 * array    borrows
 *
 * Returns: true or false.
 * Errors:  none.
 * Threads: any thread, also in a task body.
 * Blocks:  never.
 * Since:   0.1
 * Example: tests/accept/02_spill.c
 */
bool parloom_array_is_memmap(const parloom_array *array);

/*
 * Asks whether items may be written. An in argument, and a file mapped with mode r, may not.
 *
 * array    borrows
 *
 * Returns: true or false.
 * Errors:  none.
 * Threads: any thread, also in a task body.
 * Blocks:  never.
 * Since:   0.1
 * Example: tests/shm/test_array.cc
 */
bool parloom_array_is_writable(const parloom_array *array);

/* ---- files */

/*
 * Stores an array as a .npy file, readable by NumPy, or by Python's gzip, bz2, lzma and so on where it is compressed
 * (codec.h). The file appears whole under its name, or not at all.
 *
 * array    borrows; C and Fortran order are kept, any other strides are stored in C order
 * path     of the file; replaced where it exists
 * codec    "NAME" or "NAME:LEVEL", "none": not compressed; NULL: by the ending of path, which may say none
 * level    of the codec, 1 to 9; 0: that of codec, else its default. A level where neither codec nor path says with
 *          what to compress means zlib
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID      the array makes no sense, path is NULL, there is no such codec, or level is none
 *   PARLOOM_ERR_UNSUPPORTED  this build is without the codec, or its library is not there
 *   PARLOOM_ERR_SPACE        the file system is full
 *   PARLOOM_ERR_LIMIT        descriptors or file size are limited
 *   PARLOOM_ERR_IO           the file cannot be made or written: sys_errno
 *   PARLOOM_ERR_MEMORY       out of memory
 * Threads: any thread, also in a task body; one at a time for one path.
 * Blocks:  until it is written.
 * Since:   0.1
 * Example: examples/places/main.c
 */
parloom_status parloom_array_dump(const parloom_array *array, const char *path, const char *codec, int level,
                                  parloom_error *error);

/*
 * Loads an array from a .npy file: into shared memory, or as a mapping of the file, which tasks share like one made by
 * parloom_array_map. Compressed files are known by what they begin with, whatever their name (codec.h); they are read
 * into memory whatever mode says, with a warning in the log, and may then be written to, also where mode is R.
 *
 * What was loaded is what the file says: dtype, ndim, shape, strides (C or Fortran order) and byte order are looked at
 * before data is. Items in the other byte order are turned while they are read into memory; mapped, they stay as they
 * are, with the same dtype: parloom_array_is_native (npy.h) tells.
 *
 * array_out set on success; gives: release it with parloom_array_release
 * path      of the file
 * mode      UNSET: read into memory; R: mapped, read-only; RW and W: mapped, writes reach the file; C: mapped, writes
 *           stay with the process that made them
 * error     NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID      path is NULL or no regular file, or mode is none
 *   PARLOOM_ERR_IO           the file cannot be opened or read: sys_errno
 *   PARLOOM_ERR_FORMAT       it is no .npy file, is cut short, or its header contradicts itself
 *   PARLOOM_ERR_UNSUPPORTED  items or dimensions that a parloom_array cannot describe, items that are not aligned where
 *                            they are to be mapped, or a codec whose library is not there
 *   PARLOOM_ERR_SPACE, PARLOOM_ERR_MEMORY, PARLOOM_ERR_LIMIT  no room for it
 * Threads: any thread, also in a task body.
 * Blocks:  UNSET: until it is read; else until its header is.
 * Since:   0.1
 * Example: tests/rest/test_dump.cc
 */
parloom_status parloom_array_load(parloom_array *array_out, const char *path, parloom_mmap_mode mode,
                                  parloom_error *error);

/*
 * Maps the raw bytes of a file from offset on, as numpy.memmap does. Worker processes map the same file at the same
 * address, so the array, and any part of it, is passed as it is: RW and W are written in place, R is read-only in tasks
 * too, and with C each task as in has the file's bytes and its writes for itself. One descriptor stays open until the
 * array is released; beyond half of what the process may have open, files are mapped without, and copied in each call.
 * So is with C what the program itself has written to.
 *
 * array_out   set on success; gives: release it with parloom_array_release
 * path        of the file
 * mode        R (also UNSET), RW and C: the file exists and is long enough; W: makes the file, or overwrites it, and
 *             reserves its space; who has the old file mapped keeps the old bytes
 * offset      of the item whose indices are all 0, in bytes; any number
 * dtype       of the items
 * item_nbytes bytes of one item; 0: the dtype's
 * ndim, shape as parloom_array_wrap
 * strides     steps in bytes; NULL: C order
 * error       NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID  dtype, shape or strides make no sense or reach before byte 0; path is no regular file
 *   PARLOOM_ERR_FORMAT   the file is shorter than what was described
 *   PARLOOM_ERR_IO       the file cannot be opened, made or mapped: sys_errno
 *   PARLOOM_ERR_SPACE    no room for the file that W makes
 *   PARLOOM_ERR_MEMORY, PARLOOM_ERR_LIMIT  no addresses, mappings or descriptors
 * Threads: any thread, also in a task body.
 * Blocks:  W: for as long as reserving the space takes.
 * Since:   0.1
 * Example: tests/shm/test_mapping.cc
 */
parloom_status parloom_array_map(parloom_array *array_out, const char *path, parloom_mmap_mode mode, uint64_t offset,
                                 parloom_dtype dtype, size_t item_nbytes, int ndim, const size_t *shape,
                                 const ptrdiff_t *strides, parloom_error *error);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* npy.h - what array.h leaves open of .npy files: forced to the disk, loaded in a byte order. */
#ifndef PARLOOM_NPY_H
#define PARLOOM_NPY_H

#include <parloom/array.h>

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

/* ---- one array */

/*
 * As parloom_array_dump, and in addition the file is on the disk when this returns: a power cut leaves the old file or
 * the new one, whole. Takes as long as the disk does.
 *
 * array    borrows; as parloom_array_dump
 * path     of the file; replaced where it exists
 * codec    as parloom_array_dump
 * level    as parloom_array_dump
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_IO  as parloom_array_dump, and where the disk fails: what had the name before is then still there, or
 *                   (if only the folder could not be forced to the disk) the new file is
 *   PARLOOM_ERR_INVALID, PARLOOM_ERR_UNSUPPORTED, PARLOOM_ERR_SPACE, PARLOOM_ERR_LIMIT, PARLOOM_ERR_MEMORY  as
 *   parloom_array_dump
 * Threads: any thread, also in a task body; one at a time for one path.
 * Blocks:  until it is on the disk.
 * Since:   0.1
 * Example: tests/rest/test_dump_steps.cc
 */
parloom_status parloom_array_dump_durable(const parloom_array *array, const char *path, const char *codec, int level,
                                          parloom_error *error);

typedef enum parloom_byte_order {
    PARLOOM_BYTE_ORDER_UNSET = 0, /* read into memory: native; mapped: as in the file */
    PARLOOM_BYTE_ORDER_NATIVE,    /* this machine's */
    PARLOOM_BYTE_ORDER_KEPT       /* as in the file, also in memory */
} parloom_byte_order;

/*
 * As parloom_array_load, with a word on the byte order of the items. Arrays in the other byte order can be looked at
 * and dumped, but are no argument of a task, which would take their bytes for numbers: wrap them as PARLOOM_ITEM where
 * the body turns them itself.
 *
 * array_out set on success; gives: release it with parloom_array_release
 * path      of the file
 * mode      as parloom_array_load
 * order     of the items in the array; records are turned field by field
 * error     NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID  as parloom_array_load; order is none, or NATIVE with a mode: nothing turns the bytes of a file
 *                        that is mapped. Said before the file is looked at
 *   PARLOOM_ERR_IO, PARLOOM_ERR_FORMAT, PARLOOM_ERR_UNSUPPORTED, PARLOOM_ERR_SPACE, PARLOOM_ERR_MEMORY,
 *   PARLOOM_ERR_LIMIT  as parloom_array_load
 * Threads: any thread, also in a task body.
 * Blocks:  as parloom_array_load.
 * Since:   0.1
 * Example: tests/rest/test_byte_order.cc
 */
parloom_status parloom_array_load_ordered(parloom_array *array_out, const char *path, parloom_mmap_mode mode,
                                          parloom_byte_order order, parloom_error *error);

/*
 * Asks whether the items are in this machine's byte order.
 *
 * array    borrows
 *
 * Returns: false for arrays of a file in the other byte order, loaded or mapped as they are; true for all others.
 * Errors:  none.
 * Threads: any thread, also in a task body.
 * Blocks:  never.
 * Since:   0.1
 * Example: tests/rest/test_byte_order.cc
 */
bool parloom_array_is_native(const parloom_array *array);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif

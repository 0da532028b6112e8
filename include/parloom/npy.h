/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * npy.h - what array.h leaves open of .npy files: forced to the disk, loaded in a byte order, told of while it goes on;
 * and .npz archives, several arrays and plain values in one file.
 *
 * An archive is what numpy.savez writes and numpy.load reads: a zip file whose members are .npy files. A plain value is
 * an array of no dimensions: parloom_array_wrap(&value, PARLOOM_F64, 0, NULL).
 */
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

/* All zero is the default. */
typedef struct parloom_dump_options {
    const char *codec; /* as parloom_array_dump */
    int level;         /* as parloom_array_dump */
    bool is_durable;   /* true: as parloom_array_dump_durable */
    /* On how many threads a codec that cuts large arrays compresses (codec.h), and an array of more than 32 MiB is
     * copied to a file system in memory (by one where progress is told). 0: as many as a loop would use; negative: all
     * usable cores and so on, as in the options of a call. */
    int n_jobs;
    /* Told how many bytes of the items are done, of how many (parloom_array_nbytes, however small they become). Called
     * in the thread that called: when the first piece is done (1 to 8 MiB), then at most 10 times a second and not more
     * often than pieces are done, and at last with done_nbytes == nbytes, before the file has its name; not after a
     * failure. What is not 0 gives up, also then. NULL: nobody is told. */
    int (*progress)(uint64_t done_nbytes, uint64_t nbytes, void *state);
    void *progress_state;
    uint64_t reserved[4]; /* 0 */
} parloom_dump_options;

/*
 * As parloom_array_dump, with a word on all the rest: threads, the disk, progress, giving up.
 *
 * array    borrows; as parloom_array_dump
 * path     of the file; replaced where it exists
 * options  borrows; NULL: the default
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or, and then what had the name before is still there and nothing else is left,
 * Errors:
 *   PARLOOM_ERR_CANCELLED  progress gave up
 *   PARLOOM_ERR_INVALID    as parloom_array_dump; reserved is not 0
 *   PARLOOM_ERR_IO, PARLOOM_ERR_UNSUPPORTED, PARLOOM_ERR_SPACE, PARLOOM_ERR_LIMIT, PARLOOM_ERR_MEMORY  as
 *   parloom_array_dump_durable
 * Threads: any thread, also in a task body; one at a time for one path.
 * Blocks:  as parloom_array_dump, or as parloom_array_dump_durable.
 * Since:   0.1
 * Example: docs/guide/programs/compression_progress.c
 */
parloom_status parloom_array_dump_with(const parloom_array *array, const char *path,
                                       const parloom_dump_options *options, parloom_error *error);

/* All zero is the default. */
typedef struct parloom_load_options {
    parloom_mmap_mode mode;   /* as parloom_array_load */
    parloom_byte_order order; /* as parloom_array_load_ordered */
    /* On how many threads a file is decompressed whose codec allows that (codec.h), and more than 32 MiB are read (by
     * one where progress is told). 0, negative: as for dumps. */
    int n_jobs;
    /* As parloom_dump_options; not called where the file is mapped. Other than 0: gives up, and there is no array. */
    int (*progress)(uint64_t done_nbytes, uint64_t nbytes, void *state);
    void *progress_state;
    uint64_t reserved[4]; /* 0 */
} parloom_load_options;

/*
 * As parloom_array_load, with a word on all the rest: byte order, threads, progress, giving up.
 *
 * array_out set on success; gives: release it with parloom_array_release
 * path      of the file
 * options   borrows; NULL: the default
 * error     NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_CANCELLED  progress gave up
 *   PARLOOM_ERR_INVALID    as parloom_array_load_ordered; reserved is not 0
 *   PARLOOM_ERR_IO, PARLOOM_ERR_FORMAT, PARLOOM_ERR_UNSUPPORTED, PARLOOM_ERR_SPACE, PARLOOM_ERR_MEMORY,
 *   PARLOOM_ERR_LIMIT  as parloom_array_load
 * Threads: any thread, also in a task body.
 * Blocks:  as parloom_array_load.
 * Since:   0.1
 * Example: docs/guide/programs/compression_progress.c
 */
parloom_status parloom_array_load_with(parloom_array *array_out, const char *path, const parloom_load_options *options,
                                       parloom_error *error);

/* ---- several arrays: .npz */

typedef struct parloom_npz parloom_npz; /* an archive that was opened to be read */

/*
 * Stores arrays as one .npz archive, readable by NumPy. The file appears whole under its name, or not at all. The items
 * of members that are stored (not deflated) lie at multiples of 64 bytes in the file, so that they can be mapped.
 *
 * path     of the file; replaced where it exists
 * names    borrows; n names, all different: what numpy.load calls them. UTF-8
 * arrays   borrows; n arrays; as parloom_array_dump
 * n        how many; 0 makes an empty archive
 * codec    NULL or "none": stored as they are; "zlib" or "zlib:LEVEL": deflated, which needs zlib
 * level    1 (fast) to 9 (small); 0: that of codec, else 6. Where codec is NULL it is not looked at
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID      an array makes no sense, a name is empty, too long or given twice, a level that is none,
 *                            or path is NULL
 *   PARLOOM_ERR_UNSUPPORTED  any other codec, or there is no zlib
 *   PARLOOM_ERR_SPACE        the file system is full
 *   PARLOOM_ERR_LIMIT        descriptors or file size are limited
 *   PARLOOM_ERR_IO           the file cannot be made or written: sys_errno; or an array lies in a mapped file that was
 *                            cut short since
 *   PARLOOM_ERR_MEMORY       out of memory
 * Threads: any thread, also in a task body; one at a time for one path.
 * Blocks:  until it is written.
 * Since:   0.1
 * Example: docs/guide/programs/memmaps_archive.c
 */
parloom_status parloom_npz_dump(const char *path, const char *const *names, const parloom_array *arrays, size_t n,
                                const char *codec, int level, parloom_error *error);

/*
 * As parloom_npz_dump, and in addition the archive is on the disk when this returns, as parloom_array_dump_durable.
 *
 * path     of the file; replaced where it exists
 * names    as parloom_npz_dump
 * arrays   as parloom_npz_dump
 * n        as parloom_npz_dump
 * codec    as parloom_npz_dump
 * level    as parloom_npz_dump
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_IO  as parloom_npz_dump, and where the disk fails: what had the name before is then still there, or
 *                   (if only the folder could not be forced to the disk) the new archive is
 *   PARLOOM_ERR_INVALID, PARLOOM_ERR_UNSUPPORTED, PARLOOM_ERR_SPACE, PARLOOM_ERR_LIMIT, PARLOOM_ERR_MEMORY  as
 *   parloom_npz_dump
 * Threads: any thread, also in a task body; one at a time for one path.
 * Blocks:  until it is on the disk.
 * Since:   0.1
 * Example: tests/rest/test_cache_durable.cc
 */
parloom_status parloom_npz_dump_durable(const char *path, const char *const *names, const parloom_array *arrays,
                                        size_t n, const char *codec, int level, parloom_error *error);

/*
 * Opens a .npz archive and reads what is in it, not the arrays.
 *
 * npz_out  set on success; gives: end it with parloom_npz_close
 * path     of the file
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID      path is NULL or no regular file
 *   PARLOOM_ERR_IO           the file cannot be opened or read: sys_errno
 *   PARLOOM_ERR_FORMAT       it is no zip archive (but a .npy file, say), is cut short, or contradicts itself
 *   PARLOOM_ERR_UNSUPPORTED  an archive in several files
 *   PARLOOM_ERR_MEMORY, PARLOOM_ERR_LIMIT  no room for it
 * Threads: any thread, also in a task body.
 * Blocks:  until its list of members is read.
 * Since:   0.1
 * Example: docs/guide/programs/memmaps_archive.c
 */
parloom_status parloom_npz_open(parloom_npz **npz_out, const char *path, parloom_error *error);

/*
 * Counts the arrays of an archive. Members that are no .npy files do not count.
 *
 * npz      borrows; NULL has none
 *
 * Returns: how many.
 * Errors:  none.
 * Threads: any thread.
 * Blocks:  never.
 * Since:   0.1
 * Example: docs/guide/programs/memmaps_archive.c
 */
size_t parloom_npz_count(const parloom_npz *npz);

/*
 * Names an array of an archive.
 *
 * npz      borrows; NULL is fine
 * index    0 to parloom_npz_count - 1, in the order of the file
 *
 * Returns: the name, borrowed until parloom_npz_close; NULL: there is none with that index.
 * Errors:  none.
 * Threads: any thread.
 * Blocks:  never.
 * Since:   0.1
 * Example: docs/guide/programs/memmaps_archive.c
 */
const char *parloom_npz_name(const parloom_npz *npz, size_t index);

/*
 * Loads one array of an archive: into shared memory, in this machine's byte order and with its checksum compared, or as
 * a mapping of the file, which tasks share like one made by parloom_array_map. Arrays outlive the archive.
 *
 * array_out set on success; gives: release it with parloom_array_release
 * npz       borrows
 * name      of the array; of two with one name, the last
 * mode      UNSET: read into memory; R: mapped, read-only; C: mapped, writes stay with the process that made them. A
 *           deflated array cannot be mapped: it is read into memory, with a warning
 * error     NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID      npz or name is NULL, no array has that name, or mode is none, RW or W: what was written
 *                            would contradict the checksum
 *   PARLOOM_ERR_IO           the file cannot be read: sys_errno
 *   PARLOOM_ERR_FORMAT       the member is no .npy file, is cut short, does not unpack to what it declares, or its
 *                            checksum is another one
 *   PARLOOM_ERR_UNSUPPORTED  it is packed or encrypted in a way that is not known here, there is no zlib, items or
 *                            dimensions that a parloom_array cannot describe, or items that are not aligned where they
 *                            are to be mapped
 *   PARLOOM_ERR_SPACE, PARLOOM_ERR_MEMORY, PARLOOM_ERR_LIMIT  no room for it
 * Threads: any thread of the process that opened it, several at once.
 * Blocks:  UNSET: until it is read; else until its header is.
 * Since:   0.1
 * Example: docs/guide/programs/memmaps_archive.c
 */
parloom_status parloom_npz_load(parloom_array *array_out, const parloom_npz *npz, const char *name,
                                parloom_mmap_mode mode, parloom_error *error);

/*
 * Closes an archive.
 *
 * npz      takes; NULL is fine
 *
 * Returns: nothing.
 * Errors:  none.
 * Threads: any thread, when no other uses it.
 * Blocks:  never.
 * Since:   0.1
 * Example: docs/guide/programs/memmaps_archive.c
 */
void parloom_npz_close(parloom_npz *npz);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * npy.h - read and write the header of .npy files, versions 1 to 3.
 *
 *   \x93NUMPY  major minor  length (2 or 4 bytes, little-endian)  { 'descr': ..., 'fortran_order': ..., 'shape': ... }
 *   └──────────────── prefix ───────────────┘└──── length bytes of text, padded so that the payload is 64-aligned ────┘
 *
 * Files are untrusted: nothing is evaluated, no size overflows, nothing is read past the bytes that are given.
 * Structured, text, time and wide types are PARLOOM_ITEM with their size; Python objects are refused.
 */
#ifndef LOOM_REST_NPY_H
#define LOOM_REST_NPY_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    LOOM_NPY_PREFIX_NBYTES = 12,          /* enough to know the length of the header */
    LOOM_NPY_HEADER_MAX_NBYTES = 1 << 20, /* a record of 50 000 fields fits; NumPy itself reads 10 000 bytes */
    LOOM_NPY_FORMAT_NBYTES = 512          /* room for every header that is written here */
};

struct loom_npy_header {
    parloom_dtype dtype;
    size_t item_nbytes;
    bool is_swapped;    /* items, or fields of them, are in the other byte order */
    size_t swap_nbytes; /* then: each run of so many bytes is to be reversed; 0: fields of several widths */
    bool is_fortran;
    int ndim;
    size_t shape[PARLOOM_MAX_NDIM];
    size_t payload_nbytes; /* does not overflow */
    size_t payload_offset; /* length of prefix and header */
    size_t type_offset;    /* where in them the value of descr begins */
};

/* From the first bytes of a file (at least the prefix, or the whole file): how long prefix and header are. name: of
 * the file, for messages. FORMAT; UNSUPPORTED: compressed, an archive, or of a version that is not known. */
parloom_status loom_npy_measure(const void *bytes, size_t nbytes, const char *name, size_t *header_nbytes_out,
                                parloom_error *error);
/* bytes: prefix and header. FORMAT; UNSUPPORTED: objects, too many dimensions. */
parloom_status loom_npy_parse(const void *bytes, size_t nbytes, const char *name, struct loom_npy_header *header_out,
                              parloom_error *error);
/* Writes prefix and header for a checked array, byte by byte as NumPy does (with its room for the first axis to grow);
 * returns how long they are, a multiple of 64. */
size_t loom_npy_format(const parloom_array *array, bool is_fortran, char text[LOOM_NPY_FORMAT_NBYTES]);

#ifdef __cplusplus
}
#endif
#endif

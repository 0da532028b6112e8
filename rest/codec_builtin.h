/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * codec_builtin.h - the operations of each built-in codec. What differs between two that share them is their state.
 * Where a build is without a library, open, step and close are NULL; what it wrote is still recognised.
 */
#ifndef LOOM_REST_CODEC_BUILTIN_H
#define LOOM_REST_CODEC_BUILTIN_H

#include "rest/codec.h"

/* A part is bare deflate, and ends where a byte does; the last one ends the stream. */
enum loom_codec_zlib_form { LOOM_CODEC_ZLIB, LOOM_CODEC_GZIP, LOOM_CODEC_PART, LOOM_CODEC_LAST_PART };
enum loom_codec_lzma_form { LOOM_CODEC_XZ, LOOM_CODEC_LZMA };
enum loom_codec_blosc_form { LOOM_CODEC_BLOSC_LZ4, LOOM_CODEC_BLOSC_ZSTD };

/* state: a const int * with one of the above. */
extern const parloom_codec_ops loom_codec_zlib_ops, loom_codec_gzip_ops, loom_codec_bz2_ops, loom_codec_xz_ops,
    loom_codec_lzma_ops, loom_codec_lz4_ops, loom_codec_zstd_ops, loom_codec_blosc_ops, loom_codec_blosc_zstd_ops;

extern const struct loom_codec_joint loom_codec_zlib_joint; /* open NULL: this build is without zlib */

/* As loom_codec.measure. */
bool loom_codec_lz4_measure(int fd, uint64_t at, struct loom_codec_extent *extent_out);
bool loom_codec_zstd_measure(int fd, uint64_t at, struct loom_codec_extent *extent_out);
bool loom_codec_blosc_measure(int fd, uint64_t at, struct loom_codec_extent *extent_out);

/* isa-l's way to the forms of zlib, for compressing fast. UNSUPPORTED where it is not there. */
parloom_status loom_codec_isal_open(enum loom_codec_zlib_form form, void **stream_out, parloom_error *error);
parloom_status loom_codec_isal_step(void *opaque, parloom_codec_step *step, parloom_error *error);
void loom_codec_isal_close(void *stream);
/* Of what a stream was given, if it is a part. */
uint32_t loom_codec_isal_check(const void *stream);

#endif

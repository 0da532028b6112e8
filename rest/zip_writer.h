/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zip_writer.h - a zip archive, member by member.
 *
 *   begin ── (begin_member ── add, add, ... ── end_member) for each ── finish ── end
 *
 * The first byte of each member lies at a multiple of 64. Heads are written when their members are complete, so sizes
 * and checksums stand in front of them, and no reader has to look for them behind.
 */
#ifndef LOOM_REST_ZIP_WRITER_H
#define LOOM_REST_ZIP_WRITER_H

#include "rest/crc32.h"
#include "rest/deflate.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { LOOM_ZIP_NAME_MAX = 4000 };

struct loom_zip_written {
    char *name;
    bool is_packed, is_wide;
    uint32_t sum;
    size_t head_nbytes;
    uint64_t head_offset, packed_nbytes, nbytes;
};

struct loom_zip_writer {
    const char *path; /* for messages; the caller's */
    int fd;           /* the caller's */
    uint64_t at;
    uint64_t wide_from; /* numbers from here on are written with 64 bits */
    struct loom_zip_written *members;
    size_t n_members, capacity;
    struct loom_deflate *deflate; /* of the member that is being written; NULL: stored */
    unsigned char *buffer;        /* packed bytes */
    struct loom_crc32_table sums;
};

/* NULL: memory is short. */
struct loom_zip_writer *loom_zip_writer_begin(const char *path, int fd);
/* nbytes: that will be added. is_packed, level: as loom_deflate_begin_packing. MEMORY UNSUPPORTED. */
parloom_status loom_zip_begin_member(struct loom_zip_writer *writer, const char *name, uint64_t nbytes, bool is_packed,
                                     int level, parloom_error *error);
/* SPACE LIMIT IO. */
parloom_status loom_zip_add(struct loom_zip_writer *writer, const void *bytes, size_t nbytes, parloom_error *error);
parloom_status loom_zip_end_member(struct loom_zip_writer *writer, parloom_error *error);
parloom_status loom_zip_finish(struct loom_zip_writer *writer, parloom_error *error);
void loom_zip_writer_end(struct loom_zip_writer *writer); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif

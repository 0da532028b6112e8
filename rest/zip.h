/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zip.h - the list of what is in a zip archive, and one member of it as a stream of bytes.
 *
 *   member, member, ...                     each: head, name, extra, bytes (as they are, or deflated)
 *   directory                               one entry a member: sizes, checksum, where its head is
 *   [end of directory, 64 bit; its finder]  where a number does not fit into 32 bits
 *   end of directory, comment               how long the directory is, and where
 *
 * Archives are untrusted: numbers are compared with the file before they are used, and a member is unpacked into no
 * more than what it declares.
 */
#ifndef LOOM_REST_ZIP_H
#define LOOM_REST_ZIP_H

#include "rest/crc32.h"
#include "rest/deflate.h"

#ifdef __cplusplus
extern "C" {
#endif

enum loom_zip_method { LOOM_ZIP_STORED = 0, LOOM_ZIP_DEFLATED = 8 };

struct loom_zip_member {
    const char *name; /* without zeros in it */
    unsigned flags, method;
    uint32_t sum;
    uint64_t packed_nbytes, nbytes, head_offset;
};

struct loom_zip {
    const char *path; /* for messages; the caller's */
    int fd;           /* the caller's */
    uint64_t file_nbytes;
    struct loom_zip_member *members;
    size_t n_members;
    char *names;
    struct loom_crc32_table sums;
};

/* Of a file that is open. FORMAT UNSUPPORTED MEMORY IO. */
parloom_status loom_zip_read(struct loom_zip *zip_out, const char *path, int fd, uint64_t file_nbytes,
                             parloom_error *error);
void loom_zip_forget(struct loom_zip *zip);
/* Where the bytes of a member begin; they all lie in the file. FORMAT UNSUPPORTED IO. */
parloom_status loom_zip_locate(const struct loom_zip *zip, const struct loom_zip_member *member, uint64_t *offset_out,
                               parloom_error *error);

/* A member that is being read, from its first byte to its last. */
struct loom_zip_reader {
    const struct loom_zip *zip;
    const struct loom_zip_member *member;
    uint64_t at, packed_left, left; /* next byte of the file; bytes of the member: packed and not */
    uint32_t sum;                   /* of what was read */
    struct loom_deflate *deflate;   /* NULL: stored */
    unsigned char *buffer;          /* packed bytes */
    const void *unread;
    size_t unread_nbytes;
};

/* FORMAT UNSUPPORTED MEMORY IO. */
parloom_status loom_zip_reader_begin(struct loom_zip_reader *reader_out, const struct loom_zip *zip,
                                     const struct loom_zip_member *member, parloom_error *error);
/* Exactly so many bytes. FORMAT IO. */
parloom_status loom_zip_reader_read(struct loom_zip_reader *reader, void *bytes_out, size_t nbytes,
                                    parloom_error *error);
/* After the last byte: compares end and checksum. FORMAT. */
parloom_status loom_zip_reader_check(struct loom_zip_reader *reader, parloom_error *error);
void loom_zip_reader_end(struct loom_zip_reader *reader);

#ifdef __cplusplus
}
#endif
#endif

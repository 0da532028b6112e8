/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zip_reader.c - one member of a zip archive as a stream of bytes.
 *
 * Deflate makes at most 1032 bytes out of one: a member that declares more is refused before memory is asked for it,
 * and no member is unpacked beyond what it declares.
 */
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "rest/zip.h"

#include <errno.h>
#include <stdlib.h>

enum { BUFFER_NBYTES = 1 << 18, DEFLATE_MOST = 1032 };

static parloom_status refuse(const struct loom_zip_reader *reader, const char *what, parloom_error *error)
{
    return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "%.200s in %.400s %s", reader->member->name,
                            reader->zip->path, what);
}

static parloom_status check_sizes(const struct loom_zip_reader *reader, parloom_error *error)
{
    const struct loom_zip_member *member = reader->member;
    if (member->method != LOOM_ZIP_STORED && member->method != LOOM_ZIP_DEFLATED)
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                                "%.200s in %.400s is packed by method %u: stored (0) and deflated (8) are known",
                                member->name, reader->zip->path, member->method);
    bool is_stored = member->method == LOOM_ZIP_STORED;
    if (is_stored && member->packed_nbytes != member->nbytes)
        return refuse(reader, "is stored, but with two different sizes", error);
    if (!is_stored && member->nbytes / DEFLATE_MOST > member->packed_nbytes)
        return refuse(reader, "declares more than its bytes can unpack to", error);
    return PARLOOM_OK;
}

static parloom_status begin_unpacking(struct loom_zip_reader *reader, parloom_error *error)
{
    if (reader->member->method == LOOM_ZIP_STORED) return PARLOOM_OK;
    reader->buffer = loom_memory_aligned(64, BUFFER_NBYTES);
    if (reader->buffer == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short while %.400s is read",
                                reader->zip->path);
    return loom_deflate_begin_unpacking(&reader->deflate, error);
}

parloom_status loom_zip_reader_begin(struct loom_zip_reader *reader_out, const struct loom_zip *zip,
                                     const struct loom_zip_member *member, parloom_error *error)
{
    *reader_out = (struct loom_zip_reader){
        .zip = zip, .member = member, .packed_left = member->packed_nbytes, .left = member->nbytes
    };
    parloom_status status = check_sizes(reader_out, error);
    if (status == PARLOOM_OK) status = loom_zip_locate(zip, member, &reader_out->at, error);
    if (status == PARLOOM_OK) status = begin_unpacking(reader_out, error);
    if (status != PARLOOM_OK) loom_zip_reader_end(reader_out);
    return status;
}

/* ---------------------------------------------------------------------------- read */

static parloom_status read_file(struct loom_zip_reader *reader, void *bytes, size_t nbytes, parloom_error *error)
{
    int failed = loom_file_read_all(reader->zip->fd, bytes, nbytes, reader->at);
    reader->at += nbytes;
    reader->packed_left -= nbytes;
    if (failed == 0) return PARLOOM_OK;
    if (failed == ENODATA) return refuse(reader, "became shorter while it was read", error);
    return loom_status_fail(error, loom_status_of_errno(failed), failed, "could not read %.400s: %m",
                            reader->zip->path);
}

static parloom_status refill(struct loom_zip_reader *reader, parloom_error *error)
{
    size_t nbytes = reader->packed_left < BUFFER_NBYTES ? (size_t)reader->packed_left : BUFFER_NBYTES;
    reader->unread = reader->buffer;
    reader->unread_nbytes = nbytes;
    return read_file(reader, reader->buffer, nbytes, error);
}

static parloom_status unpack(struct loom_zip_reader *reader, void *bytes, size_t nbytes, parloom_error *error)
{
    struct loom_deflate_buffers buffers = { reader->unread, reader->unread_nbytes, bytes, nbytes };
    while (buffers.out_nbytes > 0) {
        if (buffers.in_nbytes == 0 && reader->packed_left > 0) {
            parloom_status status = refill(reader, error);
            if (status != PARLOOM_OK) return status;
            buffers.in = reader->unread;
            buffers.in_nbytes = reader->unread_nbytes;
        }
        size_t before = buffers.in_nbytes + buffers.out_nbytes;
        enum loom_deflate_state state = loom_deflate_unpack(reader->deflate, &buffers);
        bool is_stuck = before == buffers.in_nbytes + buffers.out_nbytes;
        if (state == LOOM_DEFLATE_DAMAGED || (buffers.out_nbytes > 0 && (state == LOOM_DEFLATE_END || is_stuck)))
            return refuse(reader, "does not unpack to what it declares", error);
    }
    reader->unread = buffers.in;
    reader->unread_nbytes = buffers.in_nbytes;
    return PARLOOM_OK;
}

parloom_status loom_zip_reader_read(struct loom_zip_reader *reader, void *bytes_out, size_t nbytes,
                                    parloom_error *error)
{
    if (nbytes > reader->left) return refuse(reader, "ends before its array does", error);
    parloom_status status = reader->deflate == NULL ? read_file(reader, bytes_out, nbytes, error)
                                                    : unpack(reader, bytes_out, nbytes, error);
    if (status != PARLOOM_OK) return status;
    reader->left -= nbytes;
    reader->sum = loom_crc32_add(&reader->zip->sums, reader->sum, bytes_out, nbytes);
    return PARLOOM_OK;
}

/* The stream has to end where its member does; the last of it may not be read yet. */
static bool ends_here(struct loom_zip_reader *reader)
{
    unsigned char more = 0;
    if (reader->deflate == NULL) return true;
    for (;;) {
        if (reader->unread_nbytes == 0 && reader->packed_left > 0 && refill(reader, NULL) != PARLOOM_OK) return false;
        struct loom_deflate_buffers buffers = { reader->unread, reader->unread_nbytes, &more, 1 };
        enum loom_deflate_state state = loom_deflate_unpack(reader->deflate, &buffers);
        bool has_moved = buffers.in_nbytes < reader->unread_nbytes;
        reader->unread = buffers.in;
        reader->unread_nbytes = buffers.in_nbytes;
        if (buffers.out_nbytes == 0) return false;
        if (state == LOOM_DEFLATE_END) return true;
        if (state == LOOM_DEFLATE_DAMAGED || !has_moved) return false;
    }
}

parloom_status loom_zip_reader_check(struct loom_zip_reader *reader, parloom_error *error)
{
    if (reader->left > 0 || !ends_here(reader)) return refuse(reader, "does not end where its array does", error);
    if (reader->sum != reader->member->sum) return refuse(reader, "has another checksum than it declares", error);
    return PARLOOM_OK;
}

void loom_zip_reader_end(struct loom_zip_reader *reader)
{
    loom_deflate_end(reader->deflate);
    free(reader->buffer);
    reader->deflate = NULL;
    reader->buffer = NULL;
}

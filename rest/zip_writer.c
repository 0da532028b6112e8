/* SPDX-License-Identifier: BSD-3-Clause */
/* zip_writer.c - a zip archive, member by member. */
#include "rest/zip_writer.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "rest/zip.h"
#include "rest/zip_format.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, BUFFER_NBYTES = 1 << 18, WIDE_NBYTES = 20, MARK_NBYTES = 6, MEMBERS_WIDE_FROM = 0xffff };

/* Below 4 GiB: what is deflated may become a little longer than it was. */
#define WIDE_FROM UINT64_C(0xf0000000)

struct loom_zip_writer *loom_zip_writer_begin(const char *path, int fd)
{
    struct loom_zip_writer *w = loom_memory_zeroed(1, sizeof *w);
    if (w == NULL) return NULL;
    w->path = path;
    w->fd = fd;
    w->wide_from = WIDE_FROM;
    loom_crc32_make(&w->sums);
    return w;
}

static parloom_status put(struct loom_zip_writer *w, const void *bytes, size_t nbytes, uint64_t offset,
                          parloom_error *error)
{
    int failed = loom_file_write_all(w->fd, bytes, nbytes, offset);
    if (failed == 0) return PARLOOM_OK;
    return loom_status_fail(error, loom_status_of_errno(failed), failed,
                            "could not write to %.400s: %m (what had that name before is still there)", w->path);
}

static parloom_status fail_memory(const struct loom_zip_writer *w, parloom_error *error)
{
    return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short while %.400s is written", w->path);
}

/* ------------------------------------------------------------------------ members */

static bool make_room(struct loom_zip_writer *w)
{
    if (w->n_members < w->capacity) return true;
    size_t capacity = w->capacity == 0 ? 16 : 2 * w->capacity;
    struct loom_zip_written *grown = loom_memory_grow(w->members, capacity, sizeof *grown);
    if (grown == NULL) return false;
    w->members = grown;
    w->capacity = capacity;
    return true;
}

/* With a field behind name and numbers that is as long as alignment wants it. */
static size_t measure_head(const struct loom_zip_writer *w, const struct loom_zip_written *member)
{
    size_t least =
        LOOM_ZIP_HEAD_NBYTES + strlen(member->name) + (member->is_wide ? (size_t)WIDE_NBYTES : 0) + MARK_NBYTES;
    return loom_memory_round_up((size_t)(w->at % ALIGNMENT) + least, ALIGNMENT) - (size_t)(w->at % ALIGNMENT);
}

parloom_status loom_zip_begin_member(struct loom_zip_writer *w, const char *name, uint64_t nbytes, bool is_packed,
                                     int level, parloom_error *error)
{
    struct loom_zip_written member = { .name = loom_memory_text(name),
                                       .is_packed = is_packed,
                                       .is_wide = nbytes >= w->wide_from,
                                       .head_offset = w->at,
                                       .nbytes = nbytes };
    if (is_packed && w->buffer == NULL) w->buffer = loom_memory_aligned(64, BUFFER_NBYTES);
    bool is_short = member.name == NULL || (is_packed && w->buffer == NULL) || !make_room(w);
    parloom_status status = is_short ? fail_memory(w, error) : PARLOOM_OK;
    if (status == PARLOOM_OK && is_packed) status = loom_deflate_begin_packing(&w->deflate, level, error);
    if (status != PARLOOM_OK) {
        free(member.name);
        return status;
    }
    member.head_nbytes = measure_head(w, &member);
    w->members[w->n_members++] = member;
    w->at += member.head_nbytes;
    return PARLOOM_OK;
}

static parloom_status add_packed(struct loom_zip_writer *w, const void *bytes, size_t nbytes, bool is_last,
                                 parloom_error *error)
{
    struct loom_zip_written *member = &w->members[w->n_members - 1];
    struct loom_deflate_buffers buffers = { bytes, nbytes, NULL, 0 };
    for (;;) {
        buffers.out = w->buffer;
        buffers.out_nbytes = BUFFER_NBYTES;
        enum loom_deflate_state state = loom_deflate_pack(w->deflate, &buffers, is_last);
        size_t made = BUFFER_NBYTES - buffers.out_nbytes;
        parloom_status status =
            state == LOOM_DEFLATE_DAMAGED ? fail_memory(w, error) : put(w, w->buffer, made, w->at, error);
        if (status != PARLOOM_OK) return status;
        w->at += made;
        member->packed_nbytes += made;
        if (is_last ? state == LOOM_DEFLATE_END : buffers.in_nbytes == 0 && buffers.out_nbytes > 0) return status;
    }
}

parloom_status loom_zip_add(struct loom_zip_writer *w, const void *bytes, size_t nbytes, parloom_error *error)
{
    struct loom_zip_written *member = &w->members[w->n_members - 1];
    member->sum = loom_crc32_add(&w->sums, member->sum, bytes, nbytes);
    if (member->is_packed) return add_packed(w, bytes, nbytes, false, error);
    parloom_status status = put(w, bytes, nbytes, w->at, error);
    if (status != PARLOOM_OK) return status;
    w->at += nbytes;
    member->packed_nbytes += nbytes;
    return PARLOOM_OK;
}

static bool is_utf8(const char *name)
{
    for (; *name != '\0'; name++)
        if ((unsigned char)*name >= 0x80) return true;
    return false;
}

/* What head and entry have in common, from the version on. */
static void describe(const struct loom_zip_written *member, unsigned char *bytes, bool hides_sizes)
{
    loom_zip_put(bytes, 0, 2, member->is_wide || hides_sizes ? LOOM_ZIP_VERSION_64 : LOOM_ZIP_VERSION);
    loom_zip_put(bytes, 2, 2, is_utf8(member->name) ? LOOM_ZIP_IS_UTF8 : 0);
    loom_zip_put(bytes, 4, 2, member->is_packed ? LOOM_ZIP_DEFLATED : LOOM_ZIP_STORED);
    loom_zip_put(bytes, 6, 2, 0);
    loom_zip_put(bytes, 8, 2, LOOM_ZIP_FIRST_DAY);
    loom_zip_put(bytes, 10, 4, member->sum);
    loom_zip_put(bytes, 14, 4, hides_sizes ? UINT32_MAX : member->packed_nbytes);
    loom_zip_put(bytes, 18, 4, hides_sizes ? UINT32_MAX : member->nbytes);
    loom_zip_put(bytes, 22, 2, strlen(member->name));
}

/* bytes are zero; what is not written here fills the space up to the member's first byte. */
static void format_head(const struct loom_zip_written *member, unsigned char *bytes)
{
    size_t name_nbytes = strlen(member->name), at = LOOM_ZIP_HEAD_NBYTES + name_nbytes;
    loom_zip_put(bytes, 0, 4, LOOM_ZIP_HEAD_MARK);
    describe(member, bytes + 4, member->is_wide);
    loom_zip_put(bytes, 28, 2, member->head_nbytes - at);
    memcpy(bytes + LOOM_ZIP_HEAD_NBYTES, member->name, name_nbytes);
    if (member->is_wide) {
        loom_zip_put(bytes, at, 2, LOOM_ZIP_EXTRA_64);
        loom_zip_put(bytes, at + 2, 2, 16);
        loom_zip_put(bytes, at + 4, 8, member->nbytes);
        loom_zip_put(bytes, at + 12, 8, member->packed_nbytes);
        at += WIDE_NBYTES;
    }
    loom_zip_put(bytes, at, 2, LOOM_ZIP_EXTRA_ALIGNMENT);
    loom_zip_put(bytes, at + 2, 2, member->head_nbytes - at - 4);
    loom_zip_put(bytes, at + 4, 2, ALIGNMENT);
}

parloom_status loom_zip_end_member(struct loom_zip_writer *w, parloom_error *error)
{
    struct loom_zip_written *member = &w->members[w->n_members - 1];
    parloom_status status = member->is_packed ? add_packed(w, NULL, 0, true, error) : PARLOOM_OK;
    loom_deflate_end(w->deflate);
    w->deflate = NULL;
    if (status != PARLOOM_OK) return status;
    unsigned char *head = loom_memory_zeroed(member->head_nbytes, 1);
    if (head == NULL) return fail_memory(w, error);
    format_head(member, head);
    status = put(w, head, member->head_nbytes, member->head_offset, error);
    free(head);
    return status;
}

/* ---------------------------------------------------------------------- directory */

static size_t format_entry(const struct loom_zip_writer *w, const struct loom_zip_written *member, unsigned char *bytes)
{
    bool is_far = member->head_offset >= w->wide_from;
    size_t name_nbytes = strlen(member->name), at = LOOM_ZIP_ENTRY_NBYTES + name_nbytes;
    size_t extra = (member->is_wide ? 16U : 0U) + (is_far ? 8U : 0U);
    memset(bytes, 0, at);
    loom_zip_put(bytes, 0, 4, LOOM_ZIP_ENTRY_MARK);
    loom_zip_put(bytes, 4, 2, LOOM_ZIP_VERSION_64);
    describe(member, bytes + 6, member->is_wide);
    loom_zip_put(bytes, 30, 2, extra > 0 ? extra + 4 : 0);
    loom_zip_put(bytes, 42, 4, is_far ? UINT32_MAX : member->head_offset);
    memcpy(bytes + LOOM_ZIP_ENTRY_NBYTES, member->name, name_nbytes);
    if (extra == 0) return at;
    loom_zip_put(bytes, at, 2, LOOM_ZIP_EXTRA_64);
    loom_zip_put(bytes, at + 2, 2, extra);
    at += 4;
    if (member->is_wide) {
        loom_zip_put(bytes, at, 8, member->nbytes);
        loom_zip_put(bytes, at + 8, 8, member->packed_nbytes);
        at += 16;
    }
    if (is_far) loom_zip_put(bytes, at, 8, member->head_offset);
    return at + (is_far ? 8 : 0);
}

static size_t format_wide_end(uint64_t end, uint64_t begin, size_t n, unsigned char *bytes)
{
    memset(bytes, 0, LOOM_ZIP_END64_NBYTES + LOOM_ZIP_FINDER_NBYTES);
    loom_zip_put(bytes, 0, 4, LOOM_ZIP_END64_MARK);
    loom_zip_put(bytes, 4, 8, LOOM_ZIP_END64_NBYTES - 12);
    loom_zip_put(bytes, 12, 2, LOOM_ZIP_VERSION_64);
    loom_zip_put(bytes, 14, 2, LOOM_ZIP_VERSION_64);
    loom_zip_put(bytes, 24, 8, n);
    loom_zip_put(bytes, 32, 8, n);
    loom_zip_put(bytes, 40, 8, end - begin);
    loom_zip_put(bytes, 48, 8, begin);
    unsigned char *finder = bytes + LOOM_ZIP_END64_NBYTES;
    loom_zip_put(finder, 0, 4, LOOM_ZIP_FINDER_MARK);
    loom_zip_put(finder, 8, 8, end);
    loom_zip_put(finder, 16, 4, 1);
    return LOOM_ZIP_END64_NBYTES + LOOM_ZIP_FINDER_NBYTES;
}

static size_t format_end(const struct loom_zip_writer *w, uint64_t begin, unsigned char *bytes)
{
    bool is_wide = w->at >= w->wide_from || w->n_members >= MEMBERS_WIDE_FROM;
    size_t at = is_wide ? format_wide_end(w->at, begin, w->n_members, bytes) : 0;
    uint64_t n = is_wide ? UINT16_MAX : w->n_members;
    memset(bytes + at, 0, LOOM_ZIP_END_NBYTES);
    loom_zip_put(bytes, at, 4, LOOM_ZIP_END_MARK);
    loom_zip_put(bytes, at + 8, 2, n);
    loom_zip_put(bytes, at + 10, 2, n);
    loom_zip_put(bytes, at + 12, 4, is_wide ? UINT32_MAX : w->at - begin);
    loom_zip_put(bytes, at + 16, 4, is_wide ? UINT32_MAX : begin);
    return at + LOOM_ZIP_END_NBYTES;
}

parloom_status loom_zip_finish(struct loom_zip_writer *w, parloom_error *error)
{
    const size_t most = LOOM_ZIP_ENTRY_NBYTES + LOOM_ZIP_NAME_MAX + 28 + LOOM_ZIP_END64_NBYTES +
                        LOOM_ZIP_FINDER_NBYTES + LOOM_ZIP_END_NBYTES;
    uint64_t begin = w->at;
    unsigned char *bytes = loom_memory_zeroed(most, 1);
    parloom_status status = bytes == NULL ? fail_memory(w, error) : PARLOOM_OK;
    for (size_t k = 0; k < w->n_members && status == PARLOOM_OK; k++) {
        size_t nbytes = format_entry(w, &w->members[k], bytes);
        status = put(w, bytes, nbytes, w->at, error);
        w->at += nbytes;
    }
    if (status == PARLOOM_OK) status = put(w, bytes, format_end(w, begin, bytes), w->at, error);
    free(bytes);
    return status;
}

void loom_zip_writer_end(struct loom_zip_writer *w)
{
    if (w == NULL) return;
    loom_deflate_end(w->deflate);
    for (size_t k = 0; k < w->n_members; k++) free(w->members[k].name);
    free(w->members);
    free(w->buffer);
    free(w);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zip.c - the list of what is in a zip archive.
 *
 * The end of the directory is looked for from the end of the file on; only one whose comment ends where the file ends
 * counts. Everything else is found from there, so bytes before, between and behind members mean nothing.
 */
#include "rest/zip.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "rest/zip_format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct directory {
    uint64_t offset, nbytes, n_members;
};

static parloom_status refuse(const struct loom_zip *zip, const char *what, parloom_error *error)
{
    return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "the archive %.400s is damaged: %s", zip->path, what);
}

static parloom_status read_bytes(const struct loom_zip *zip, void *bytes, size_t nbytes, uint64_t offset,
                                 parloom_error *error)
{
    int failed = loom_file_read_all(zip->fd, bytes, nbytes, offset);
    if (failed == 0) return PARLOOM_OK;
    if (failed == ENODATA) return refuse(zip, "it became shorter while it was read", error);
    return loom_status_fail(error, loom_status_of_errno(failed), failed, "could not read %.400s: %m", zip->path);
}

/* --------------------------------------------------------------- end of directory */

static parloom_status find_end(const struct loom_zip *zip, uint64_t *offset_out, parloom_error *error)
{
    const uint64_t most = LOOM_ZIP_END_NBYTES + LOOM_ZIP_COMMENT_MAX;
    size_t nbytes = (size_t)(zip->file_nbytes < most ? zip->file_nbytes : most);
    if (nbytes < LOOM_ZIP_END_NBYTES) return refuse(zip, "it is too short to be a zip archive", error);
    unsigned char *tail = loom_memory_zeroed(nbytes, 1);
    if (tail == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short while %.400s is read", zip->path);
    parloom_status status = read_bytes(zip, tail, nbytes, zip->file_nbytes - nbytes, error);
    bool is_found = false;
    for (size_t at = nbytes - LOOM_ZIP_END_NBYTES + 1; status == PARLOOM_OK && at-- > 0 && !is_found;) {
        is_found = loom_zip_get(tail, at, 4) == LOOM_ZIP_END_MARK &&
                   at + LOOM_ZIP_END_NBYTES + loom_zip_get(tail, at + 20, 2) == nbytes;
        if (is_found) *offset_out = zip->file_nbytes - nbytes + at;
    }
    free(tail);
    if (status != PARLOOM_OK || is_found) return status;
    return refuse(zip, "it does not end as zip archives do, or was cut short", error);
}

/* The 64-bit numbers, where they are: in front of the end. */
static parloom_status read_end64(const struct loom_zip *zip, uint64_t end, struct directory *directory,
                                 parloom_error *error)
{
    unsigned char finder[LOOM_ZIP_FINDER_NBYTES], wide[LOOM_ZIP_END64_NBYTES];
    if (end < sizeof finder) return PARLOOM_OK;
    parloom_status status = read_bytes(zip, finder, sizeof finder, end - sizeof finder, error);
    if (status != PARLOOM_OK || loom_zip_get(finder, 0, 4) != LOOM_ZIP_FINDER_MARK) return status;
    uint64_t offset = loom_zip_get(finder, 8, 8);
    if (end - sizeof finder < sizeof wide || offset > end - sizeof finder - sizeof wide)
        return refuse(zip, "the 64-bit end of its directory is not where it should be", error);
    status = read_bytes(zip, wide, sizeof wide, offset, error);
    if (status == PARLOOM_OK && loom_zip_get(wide, 0, 4) != LOOM_ZIP_END64_MARK)
        return refuse(zip, "the 64-bit end of its directory is not where it should be", error);
    *directory = (struct directory){ loom_zip_get(wide, 48, 8), loom_zip_get(wide, 40, 8), loom_zip_get(wide, 32, 8) };
    return status;
}

static parloom_status find_directory(const struct loom_zip *zip, struct directory *directory, parloom_error *error)
{
    unsigned char bytes[LOOM_ZIP_END_NBYTES];
    uint64_t end = 0;
    parloom_status status = find_end(zip, &end, error);
    if (status == PARLOOM_OK) status = read_bytes(zip, bytes, sizeof bytes, end, error);
    if (status != PARLOOM_OK) return status;
    uint64_t disks = loom_zip_get(bytes, 4, 2) | loom_zip_get(bytes, 6, 2);
    if (disks != 0 && disks != 0xffff)
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0, "the archive %.400s is one of several files",
                                zip->path);
    *directory =
        (struct directory){ loom_zip_get(bytes, 16, 4), loom_zip_get(bytes, 12, 4), loom_zip_get(bytes, 10, 2) };
    status = read_end64(zip, end, directory, error);
    if (status != PARLOOM_OK) return status;
    if (directory->nbytes > end || directory->offset > end - directory->nbytes)
        return refuse(zip, "its directory is not where it should be", error);
    if (directory->n_members > directory->nbytes / LOOM_ZIP_ENTRY_NBYTES)
        return refuse(zip, "its directory is too short for its members", error);
    return PARLOOM_OK;
}

/* ----------------------------------------------------------------------- entries */

/* Numbers that do not fit into 32 bits are in an extra field, in this order. false: they are not there. */
static bool read_wide(struct loom_zip_member *member, const unsigned char *extra, size_t nbytes)
{
    uint64_t *wide[3] = { &member->nbytes, &member->packed_nbytes, &member->head_offset };
    bool is_needed = false;
    for (size_t k = 0; k < 3; k++) is_needed |= *wide[k] == UINT32_MAX;
    for (size_t at = 0, length = 0; is_needed && at + 4 <= nbytes; at += 4 + length) {
        length = loom_zip_get(extra, at + 2, 2);
        if (length > nbytes - at - 4) return false;
        if (loom_zip_get(extra, at, 2) != LOOM_ZIP_EXTRA_64) continue;
        size_t used = 0;
        for (size_t k = 0; k < 3; k++) {
            if (*wide[k] != UINT32_MAX) continue;
            if (used + 8 > length) return false;
            *wide[k] = loom_zip_get(extra, at + 4 + used, 8);
            used += 8;
        }
        return true;
    }
    return !is_needed;
}

/* One entry at *at of the directory; its name is copied to names. false: it does not fit. */
static bool read_entry(struct loom_zip_member *member, const unsigned char *bytes, size_t nbytes, size_t *at,
                       char *names)
{
    const unsigned char *entry = bytes + *at;
    if (nbytes - *at < LOOM_ZIP_ENTRY_NBYTES || loom_zip_get(entry, 0, 4) != LOOM_ZIP_ENTRY_MARK) return false;
    size_t name = loom_zip_get(entry, 28, 2), extra = loom_zip_get(entry, 30, 2), note = loom_zip_get(entry, 32, 2);
    if (name + extra + note > nbytes - *at - LOOM_ZIP_ENTRY_NBYTES) return false;
    *member = (struct loom_zip_member){ .name = names,
                                        .flags = (unsigned)loom_zip_get(entry, 8, 2),
                                        .method = (unsigned)loom_zip_get(entry, 10, 2),
                                        .sum = (uint32_t)loom_zip_get(entry, 16, 4),
                                        .packed_nbytes = loom_zip_get(entry, 20, 4),
                                        .nbytes = loom_zip_get(entry, 24, 4),
                                        .head_offset = loom_zip_get(entry, 42, 4) };
    memcpy(names, entry + LOOM_ZIP_ENTRY_NBYTES, name);
    names[name] = '\0';
    if (memchr(names, '\0', name) != NULL) names[0] = '\0'; /* a name that C cannot say is none */
    *at += LOOM_ZIP_ENTRY_NBYTES + name + extra + note;
    return read_wide(member, entry + LOOM_ZIP_ENTRY_NBYTES + name, extra);
}

static parloom_status read_entries(struct loom_zip *zip, const unsigned char *bytes, const struct directory *directory,
                                   parloom_error *error)
{
    size_t at = 0, used = 0;
    for (size_t k = 0; k < directory->n_members; k++) {
        if (!read_entry(&zip->members[k], bytes, (size_t)directory->nbytes, &at, zip->names + used))
            return refuse(zip, "its directory makes no sense", error);
        used += strlen(zip->names + used) + 1; /* entries are longer than their names: it fits */
    }
    zip->n_members = (size_t)directory->n_members;
    return PARLOOM_OK;
}

static parloom_status read_directory(struct loom_zip *zip, const struct directory *directory, parloom_error *error)
{
    size_t nbytes = (size_t)directory->nbytes;
    unsigned char *bytes = loom_memory_zeroed(nbytes + 1, 1);
    zip->names = loom_memory_zeroed(nbytes + 1, 1);
    zip->members = loom_memory_zeroed((size_t)directory->n_members, sizeof *zip->members);
    parloom_status status = PARLOOM_OK;
    if (bytes == NULL || zip->names == NULL || zip->members == NULL)
        status = loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for %zu bytes of directory of %.400s",
                                  nbytes, zip->path);
    if (status == PARLOOM_OK) status = read_bytes(zip, bytes, nbytes, directory->offset, error);
    if (status == PARLOOM_OK) status = read_entries(zip, bytes, directory, error);
    free(bytes);
    return status;
}

parloom_status loom_zip_read(struct loom_zip *zip_out, const char *path, int fd, uint64_t file_nbytes,
                             parloom_error *error)
{
    struct directory directory = { 0, 0, 0 };
    *zip_out = (struct loom_zip){ .path = path, .fd = fd, .file_nbytes = file_nbytes };
    loom_crc32_make(&zip_out->sums);
    parloom_status status = find_directory(zip_out, &directory, error);
    if (status == PARLOOM_OK) status = read_directory(zip_out, &directory, error);
    if (status != PARLOOM_OK) loom_zip_forget(zip_out);
    return status;
}

void loom_zip_forget(struct loom_zip *zip)
{
    free(zip->members);
    free(zip->names);
    zip->members = NULL;
    zip->names = NULL;
    zip->n_members = 0;
}

/* ----------------------------------------------------------------------- members */

parloom_status loom_zip_locate(const struct loom_zip *zip, const struct loom_zip_member *member, uint64_t *offset_out,
                               parloom_error *error)
{
    unsigned char head[LOOM_ZIP_HEAD_NBYTES];
    if ((member->flags & LOOM_ZIP_IS_ENCRYPTED) != 0)
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0, "%.200s of %.400s is encrypted", member->name,
                                zip->path);
    if (member->head_offset > zip->file_nbytes || zip->file_nbytes - member->head_offset < sizeof head)
        return refuse(zip, "a member is not where it should be", error);
    parloom_status status = read_bytes(zip, head, sizeof head, member->head_offset, error);
    if (status != PARLOOM_OK) return status;
    if (loom_zip_get(head, 0, 4) != LOOM_ZIP_HEAD_MARK) return refuse(zip, "a member is not where it should be", error);
    uint64_t offset = member->head_offset + sizeof head + loom_zip_get(head, 26, 2) + loom_zip_get(head, 28, 2);
    if (offset > zip->file_nbytes || member->packed_nbytes > zip->file_nbytes - offset)
        return refuse(zip, "a member is longer than the file", error);
    *offset_out = offset;
    return PARLOOM_OK;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * npz_dump.c - several arrays into one .npz archive.
 *
 * Promise  as that of a dump: the archive is whole or not there. Arrays are read once and never copied as a whole.
 * Threads  any. Blocks on the file system, and on zlib.
 */
#include "base/memory.h"
#include "base/replacement.h"
#include "base/status.h"
#include "rest/codec.h"
#include "rest/npy.h"
#include "rest/zip_writer.h"
#include "shm/array.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_NBYTES ((size_t)1 << 20) /* what is summed, and then written while it is near */

struct request {
    const char *path;
    const char *const *names;
    const parloom_array *arrays;
    size_t n;
    bool is_packed, is_durable;
    int level;
};

/* -------------------------------------------------------------------------- check */

static parloom_status check_codec(struct request *request, const char *codec, int level, parloom_error *error)
{
    struct loom_codec_choice choice = { NULL, level };
    if (codec == NULL) return PARLOOM_OK;
    size_t length = strcspn(codec, ":");
    if (length != 4 || (memcmp(codec, "zlib", 4) != 0 && memcmp(codec, "none", 4) != 0))
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                                "codec \"%.64s\" for %.400s: members of .npz archives are stored (NULL, "
                                "\"none\") or deflated (\"zlib\", \"zlib:9\")",
                                codec, request->path);
    parloom_status status = loom_codec_choose(codec, NULL, level, &choice, error);
    if (status != PARLOOM_OK) return status;
    request->is_packed = choice.codec != NULL;
    request->level = choice.level;
    loom_codec_release(choice.codec);
    return PARLOOM_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The name that is there twice; NULL: none. is_short: of memory. */
static const char *find_twin(const struct request *request, bool *is_short)
{
    const char *twin = NULL;
    const char **sorted = loom_memory_zeroed(request->n, sizeof *sorted);
    *is_short = sorted == NULL;
    if (sorted == NULL) return NULL;
    for (size_t k = 0; k < request->n; k++) sorted[k] = request->names[k];
    qsort(sorted, request->n, sizeof *sorted, compare_names);
    for (size_t k = 1; k < request->n && twin == NULL; k++)
        if (strcmp(sorted[k - 1], sorted[k]) == 0) twin = sorted[k];
    free(sorted);
    return twin;
}

static parloom_status check_names(const struct request *request, parloom_error *error)
{
    for (size_t k = 0; k < request->n; k++) {
        const char *name = request->names[k];
        if (name == NULL || name[0] == '\0' || strlen(name) + 4 > LOOM_ZIP_NAME_MAX)
            return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                    "array %zu for %.400s has a name that is empty or longer than %d bytes", k,
                                    request->path, (int)LOOM_ZIP_NAME_MAX - 4);
    }
    bool is_short = false;
    const char *twin = find_twin(request, &is_short);
    if (is_short)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short while %.400s is written", request->path);
    if (twin == NULL) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "two arrays for %.400s are named \"%.200s\"", request->path,
                            twin);
}

static parloom_status check_arrays(const struct request *request, uint64_t *nbytes_out, parloom_error *error)
{
    for (size_t k = 0; k < request->n; k++) {
        const char *low = NULL;
        size_t extent = 0;
        parloom_status status = loom_array_extent(&request->arrays[k], &low, &extent, error);
        if (status == PARLOOM_OK) status = loom_array_check_whole(&request->arrays[k], error);
        if (status != PARLOOM_OK) return status;
        *nbytes_out += parloom_array_nbytes(&request->arrays[k]);
    }
    return PARLOOM_OK;
}

/* -------------------------------------------------------------------------- write */

static parloom_status fail_read(const struct loom_zip_writer *writer, int failed, parloom_error *error)
{
    if (failed == EFAULT)
        return loom_status_fail(error, PARLOOM_ERR_IO, failed,
                                "an array for %.400s lies in a mapped file that was cut short since", writer->path);
    return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short while %.400s is written", writer->path);
}

/* From the array itself, or by way of a piece from a file that is mapped. */
static parloom_status add_whole(struct loom_zip_writer *writer, const parloom_array *array, char *piece,
                                parloom_error *error)
{
    const char *bytes = array->data;
    size_t nbytes = parloom_array_nbytes(array);
    parloom_status status = PARLOOM_OK;
    for (size_t at = 0; at < nbytes && status == PARLOOM_OK; at += PIECE_NBYTES) {
        size_t part = nbytes - at < PIECE_NBYTES ? nbytes - at : PIECE_NBYTES;
        int failed = piece != NULL ? loom_array_read_bytes(piece, bytes + at, part) : 0;
        status = failed == 0 ? loom_zip_add(writer, piece != NULL ? piece : bytes + at, part, error)
                             : fail_read(writer, failed, error);
    }
    return status;
}

static parloom_status add_mapped(struct loom_zip_writer *writer, const parloom_array *array, parloom_error *error)
{
    char *piece = loom_memory_aligned(64, PIECE_NBYTES);
    if (piece == NULL) return fail_read(writer, ENOMEM, error);
    parloom_status status = add_whole(writer, array, piece, error);
    free(piece);
    return status;
}

static parloom_status add_gathered(struct loom_zip_writer *writer, const parloom_array *array, parloom_error *error)
{
    size_t count = loom_array_count(array);
    size_t step = array->item_nbytes < PIECE_NBYTES ? PIECE_NBYTES / array->item_nbytes : 1;
    char *piece = loom_memory_aligned(64, step * array->item_nbytes);
    if (piece == NULL) return fail_read(writer, ENOMEM, error);
    parloom_status status = PARLOOM_OK;
    for (size_t first = 0; first < count && status == PARLOOM_OK; first += step) {
        size_t items = count - first < step ? count - first : step;
        int failed = loom_array_read(array, first, items, piece);
        status = failed == 0 ? loom_zip_add(writer, piece, items * array->item_nbytes, error)
                             : fail_read(writer, failed, error);
    }
    free(piece);
    return status;
}

static parloom_status add_array(struct loom_zip_writer *writer, const struct request *request, size_t k,
                                parloom_error *error)
{
    const parloom_array *array = &request->arrays[k];
    char header[LOOM_NPY_FORMAT_NBYTES];
    char name[LOOM_ZIP_NAME_MAX + 1];
    bool is_c = loom_array_is_contiguous(array, false);
    bool is_fortran = !is_c && loom_array_is_contiguous(array, true);
    size_t header_nbytes = loom_npy_format(array, is_fortran, header);
    snprintf(name, sizeof name, "%s.npy", request->names[k]);
    uint64_t nbytes = (uint64_t)header_nbytes + parloom_array_nbytes(array);
    parloom_status status = loom_zip_begin_member(writer, name, nbytes, request->is_packed, request->level, error);
    if (status == PARLOOM_OK) status = loom_zip_add(writer, header, header_nbytes, error);
    if (status == PARLOOM_OK && (is_c || is_fortran))
        status = loom_array_is_file(array) ? add_mapped(writer, array, error) : add_whole(writer, array, NULL, error);
    else if (status == PARLOOM_OK)
        status = add_gathered(writer, array, error);
    return status == PARLOOM_OK ? loom_zip_end_member(writer, error) : status;
}

static parloom_status write_archive(const struct request *request, int fd, parloom_error *error)
{
    struct loom_zip_writer *writer = loom_zip_writer_begin(request->path, fd);
    parloom_status status = PARLOOM_OK;
    if (writer == NULL)
        status =
            loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short while %.400s is written", request->path);
    for (size_t k = 0; k < request->n && status == PARLOOM_OK; k++) status = add_array(writer, request, k, error);
    if (status == PARLOOM_OK) status = loom_zip_finish(writer, error);
    loom_zip_writer_end(writer);
    return status;
}

static parloom_status replace(const struct request *request, uint64_t nbytes, parloom_error *error)
{
    struct loom_replacement *replacement = NULL;
    parloom_status status = loom_replacement_begin(&replacement, request->path, request->is_packed ? 0 : nbytes, error);
    if (status != PARLOOM_OK) return status;
    if (request->is_durable) loom_replacement_make_durable(replacement);
    status = write_archive(request, loom_replacement_fd(replacement), error);
    if (status == PARLOOM_OK) return loom_replacement_commit(replacement, error);
    loom_replacement_abort(replacement);
    return status;
}

static parloom_status dump(struct request *request, const char *codec, int level, parloom_error *error)
{
    uint64_t nbytes = 0;
    if (request->path == NULL || (request->n > 0 && (request->names == NULL || request->arrays == NULL)))
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no %s given to dump an archive",
                                request->path == NULL ? "path" : "names or arrays");
    parloom_status status = check_codec(request, codec, level, error);
    if (status == PARLOOM_OK) status = check_names(request, error);
    if (status == PARLOOM_OK) status = check_arrays(request, &nbytes, error);
    if (status == PARLOOM_OK) status = replace(request, nbytes, error);
    if (status == PARLOOM_OK) loom_status_clear(error);
    return status;
}

parloom_status parloom_npz_dump(const char *path, const char *const *names, const parloom_array *arrays, size_t n,
                                const char *codec, int level, parloom_error *error)
{
    struct request request = { .path = path, .names = names, .arrays = arrays, .n = n };
    return dump(&request, codec, level, error);
}

parloom_status parloom_npz_dump_durable(const char *path, const char *const *names, const parloom_array *arrays,
                                        size_t n, const char *codec, int level, parloom_error *error)
{
    struct request request = { .path = path, .names = names, .arrays = arrays, .n = n, .is_durable = true };
    return dump(&request, codec, level, error);
}

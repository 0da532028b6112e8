/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * array_map.c - raw bytes of a file as an array, as numpy.memmap does.
 *
 * offset is that of the item [0, ..., 0] and need not be a multiple of anything; with negative strides the array also
 * reaches before it. Mode W makes a new file, whole and of reserved space, and then puts it in the place of what had
 * the name: who has the old file mapped keeps it, where truncating it would have killed him by SIGBUS.
 */
#include "base/file.h"
#include "base/replacement.h"
#include "base/status.h"
#include "shm/array.h"
#include "shm/mapping.h"

#include <unistd.h>

/* What of the file is mapped. */
struct part {
    uint64_t offset;
    size_t nbytes;
    size_t before; /* of them lie before the item [0, ..., 0] */
};

static parloom_status find_part(struct part *part, const parloom_array *array, const char *path, uint64_t offset,
                                parloom_error *error)
{
    size_t before = 0;
    size_t from = 0;
    parloom_status status = loom_array_measure(array, &before, &from, error);
    if (status != PARLOOM_OK) return status;
    if (before > offset)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "negative strides reach %zu bytes before byte %llu of %.400s: start at a larger offset",
                                before, (unsigned long long)offset, path);
    if (offset > (uint64_t)INT64_MAX - from)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "%zu bytes of %.400s from byte %llu on end where no file can", from, path,
                                (unsigned long long)offset);
    *part = (struct part){ offset - before, before + from, before };
    return PARLOOM_OK;
}

/* The array owns the mapping; data is where its item [0, ..., 0] is. */
static parloom_status map_part(parloom_array *array, const char *path, int fd, parloom_mmap_mode mode,
                               const struct part *part, parloom_error *error)
{
    parloom_status status = loom_array_map_part(array, path, fd, mode, part->offset, part->nbytes, error);
    if (status == PARLOOM_OK && array->data != NULL) array->data = (char *)array->data + part->before;
    return status;
}

static parloom_status map_old(parloom_array *array, const char *path, parloom_mmap_mode mode, const struct part *part,
                              parloom_error *error)
{
    int fd = -1;
    uint64_t file_nbytes = 0;
    uint64_t end = part->offset + part->nbytes;
    parloom_status status = loom_mapping_open_file(path, mode, &fd, &file_nbytes, error);
    if (status != PARLOOM_OK) return status;
    if (end > file_nbytes)
        status =
            loom_status_fail(error, PARLOOM_ERR_FORMAT, 0,
                             "%.400s has %llu bytes, the array needs %llu: check shape and offset, or make the file "
                             "with mode w+ (PARLOOM_MMAP_W)",
                             path, (unsigned long long)file_nbytes, (unsigned long long)end);
    if (status == PARLOOM_OK) status = map_part(array, path, fd, mode, part, error);
    close(fd);
    return status;
}

static parloom_status reserve_all(int fd, const char *path, uint64_t nbytes, parloom_error *error)
{
    int failed = loom_file_reserve(fd, 0, nbytes);
    if (failed == 0) return PARLOOM_OK;
    return loom_status_fail(error, loom_status_of_errno(failed), failed, "could not reserve %llu bytes for %.400s: %m",
                            (unsigned long long)nbytes, path);
}

static parloom_status map_new(parloom_array *array, const char *path, const struct part *part, parloom_error *error)
{
    struct loom_replacement *replacement = NULL;
    uint64_t end = part->offset + part->nbytes;
    parloom_status status = loom_replacement_begin(&replacement, path, end, error);
    if (status != PARLOOM_OK) return status;
    int fd = loom_replacement_fd(replacement);
    status = reserve_all(fd, path, end, error);
    if (status == PARLOOM_OK) status = map_part(array, path, fd, PARLOOM_MMAP_W, part, error);
    if (status != PARLOOM_OK) {
        loom_replacement_abort(replacement);
        return status;
    }
    status = loom_replacement_commit(replacement, error);
    if (status != PARLOOM_OK) parloom_array_release(array);
    return status;
}

parloom_status parloom_array_map(parloom_array *array_out, const char *path, parloom_mmap_mode mode, uint64_t offset,
                                 parloom_dtype dtype, size_t item_nbytes, int ndim, const size_t *shape,
                                 const ptrdiff_t *strides, parloom_error *error)
{
    struct part part = { 0, 0, 0 };
    if (array_out == NULL || path == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no %s given to map a file",
                                path == NULL ? "path" : "array");
    parloom_array array = parloom_array_wrap_strided(NULL, dtype, item_nbytes, ndim, shape, strides);
    parloom_status status = loom_mapping_check_mode(mode, error);
    if (status == PARLOOM_OK) status = find_part(&part, &array, path, offset, error);
    if (status != PARLOOM_OK) return status;

    status = mode == PARLOOM_MMAP_W ? map_new(&array, path, &part, error) : map_old(&array, path, mode, &part, error);
    if (status != PARLOOM_OK) return status;
    *array_out = array;
    loom_status_clear(error);
    return PARLOOM_OK;
}

parloom_status loom_array_check_whole(const parloom_array *array, parloom_error *error)
{
    const struct loom_segment *segment = loom_segment_of(array->data);
    if (segment == NULL || !loom_segment_is_mapped_file(segment->access) || loom_segment_is_whole(segment))
        return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_IO, 0,
                            "an array lies in a mapped file that was cut short since: bytes behind its end cannot be "
                            "read");
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * named.c - create and open arrays that have a name in /dev/shm.
 *
 * Mapped     as files of the user's are (shm/mapping.h): in the window, so that workers have them at one address and
 *            calls pass them by reference. The header is not part of what is mapped where pages have 4096 bytes.
 * Owner      the descriptor that holds the lock belongs to the array (loom_array_hold_descriptor).
 * Threads    any; nothing is remembered between calls.
 */
#include "shm/named.h"
#include "base/status.h"
#include "shm/array.h"
#include "shm/mapping.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { PATH_NBYTES = 272 }; /* the folder, and a name of NAME_MAX */

static parloom_status map_part(parloom_array *array, const char *name, int fd, parloom_mmap_mode mode,
                               const struct loom_named_part *part, parloom_error *error)
{
    char path[PATH_NBYTES];
    (void)snprintf(path, sizeof path, LOOM_NAMED_FOLDER "/%s", name); /* for messages */
    parloom_status status = loom_array_map_part(array, path, fd, mode, part->offset, part->nbytes, error);
    if (status == PARLOOM_OK && array->data != NULL) array->data = (char *)array->data + part->before;
    return status;
}

/* ------------------------------------------------------------------------- create */

static parloom_status create(parloom_array *array, const char *name, parloom_error *error)
{
    struct loom_named_shared header;
    struct loom_named_part part;
    struct loom_named_making making;
    parloom_status status = loom_named_describe(&header, &part, array, error);
    if (status == PARLOOM_OK) status = loom_named_begin(&making, name, &header, error);
    if (status != PARLOOM_OK) return status;
    /* All that can fail comes before the name. */
    status = map_part(array, name, making.map_fd, PARLOOM_MMAP_RW, &part, error);
    if (status == PARLOOM_OK) {
        status = loom_named_publish(&making, error);
        if (status == PARLOOM_OK) {
            loom_array_hold_descriptor(array, making.owner_fd);
            making.owner_fd = -1;
        } else {
            parloom_array_release(array);
        }
    }
    loom_named_end(&making);
    return status;
}

parloom_status parloom_array_create_named(parloom_array *array_out, const char *name, parloom_dtype dtype,
                                          size_t item_nbytes, int ndim, const size_t *shape, const ptrdiff_t *strides,
                                          parloom_error *error)
{
    if (array_out == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no array given to create with a name");
    parloom_array array = parloom_array_wrap_strided(NULL, dtype, item_nbytes, ndim, shape, strides);
    parloom_status status = loom_named_check_name(name, error);
    if (status == PARLOOM_OK) status = create(&array, name, error);
    if (status != PARLOOM_OK) return status;
    *array_out = array;
    loom_status_clear(error);
    return PARLOOM_OK;
}

/* --------------------------------------------------------------------------- open */

static parloom_status open_from(int folder_fd, parloom_array *array, const char *name, parloom_mmap_mode mode,
                                parloom_error *error)
{
    struct loom_named_shared header; /* a copy: what others write there meanwhile is not looked at */
    struct loom_named_part part;
    uint64_t nbytes = 0;
    int fd = -1;
    parloom_status status =
        loom_named_open(folder_fd, name, mode == PARLOOM_MMAP_RW ? O_RDWR : O_RDONLY, &fd, &nbytes, error);
    if (status != PARLOOM_OK) return status;
    status = loom_named_read(fd, nbytes, name, &header, error);
    if (status == PARLOOM_OK) status = loom_named_check(&header, nbytes, name, array, &part, error);
    if (status == PARLOOM_OK) status = map_part(array, name, fd, mode, &part, error);
    close(fd);
    return status;
}

parloom_status parloom_array_open_named(parloom_array *array_out, const char *name, parloom_mmap_mode mode,
                                        parloom_error *error)
{
    parloom_array array;
    int folder_fd = -1;
    if (array_out == NULL) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no array given to open by its name");
    parloom_status status = loom_named_check_name(name, error);
    if (status == PARLOOM_OK) status = loom_mapping_check_mode(mode, error);
    if (status == PARLOOM_OK && mode == PARLOOM_MMAP_W)
        status = loom_status_fail(
            error, PARLOOM_ERR_INVALID, 0,
            "mode w+ (PARLOOM_MMAP_W) for the named array \"%.255s\": parloom_array_create_named makes a "
            "new one",
            name);
    if (status == PARLOOM_OK) status = loom_named_open_folder(&folder_fd, error);
    if (status != PARLOOM_OK) return status;
    status = open_from(folder_fd, &array, name, mode, error);
    close(folder_fd);
    if (status != PARLOOM_OK) return status;
    *array_out = array;
    loom_status_clear(error);
    return PARLOOM_OK;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* dump_fd.c - arrays to descriptors and from them. */
#include "base/file.h"
#include "base/status.h"
#include "rest/descriptor.h"
#include "rest/npy.h"
#include "rest/pack.h"
#include "rest/unpack.h"
#include "shm/array.h"
#include "shm/mapping.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { NAME_NBYTES = 32 };

parloom_status parloom_array_dump_fd(const parloom_array *array, int fd, const char *codec, int level,
                                     parloom_error *error)
{
    const char *low = NULL;
    size_t extent = 0;
    char name[NAME_NBYTES];
    struct loom_codec_choice choice = { NULL, 0 };
    (void)snprintf(name, sizeof name, "descriptor %d", fd);
    parloom_status status = loom_array_extent(array, &low, &extent, error);
    if (status == PARLOOM_OK) status = loom_array_check_whole(array, error);
    if (status == PARLOOM_OK) status = loom_codec_choose(codec, NULL, level, &choice, error);
    if (status != PARLOOM_OK) return status;
    struct loom_effort effort;
    loom_effort_begin(&effort, 0, NULL, NULL);
    status = loom_pack(array, fd, name, &choice, &effort, error);
    loom_codec_release(choice.codec);
    if (status == PARLOOM_OK) loom_status_clear(error);
    return status;
}

/* NULL: it can be mapped. */
static const char *why_not_mapped(int fd)
{
    if (loom_descriptor_left(fd) == UINT64_MAX) return "not a regular file";
    if (lseek(fd, 0, SEEK_CUR) != 0) return "not at its beginning";
    return loom_unpack_is_packed(fd, 0) ? "compressed" : NULL;
}

/* Puts the position behind what was mapped, where reading would have left it. */
static parloom_status pass_over(int fd, parloom_array *array, const char *name, parloom_error *error)
{
    char prefix[LOOM_NPY_PREFIX_NBYTES];
    size_t header_nbytes = 0;
    int failed = loom_file_read_all(fd, prefix, sizeof prefix, 0);
    parloom_status status =
        failed == 0 ? loom_npy_measure(prefix, sizeof prefix, name, &header_nbytes, error) : PARLOOM_ERR_IO;
    if (status == PARLOOM_OK && lseek(fd, (off_t)(header_nbytes + parloom_array_nbytes(array)), SEEK_SET) < 0)
        failed = errno;
    if (failed != 0)
        status = loom_status_fail(error, PARLOOM_ERR_IO, failed, "could not go on behind the array in %s: %m", name);
    if (status != PARLOOM_OK) parloom_array_release(array);
    return status;
}

parloom_status parloom_array_load_fd(parloom_array *array_out, int fd, parloom_mmap_mode mode, parloom_error *error)
{
    char name[NAME_NBYTES], path[NAME_NBYTES];
    if (array_out == NULL) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no array given to load an array");
    parloom_status status = loom_mapping_check_mode(mode, error);
    if (status != PARLOOM_OK) return status;
    (void)snprintf(name, sizeof name, "descriptor %d", fd);
    const char *why = mode == PARLOOM_MMAP_UNSET ? "not asked for" : why_not_mapped(fd);
    if (why == NULL) {
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        parloom_array array;
        status = parloom_array_load(&array, path, mode, error);
        if (status == PARLOOM_OK) status = pass_over(fd, &array, name, error);
        if (status == PARLOOM_OK) *array_out = array;
        return status;
    }
    loom_unpack_warn(mode, name, why);
    struct loom_effort effort;
    loom_effort_begin(&effort, 0, NULL, NULL);
    status = loom_unpack(array_out, fd, name, false, PARLOOM_BYTE_ORDER_UNSET, &effort, error);
    if (status == PARLOOM_OK) loom_status_clear(error);
    return status;
}

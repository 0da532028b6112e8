/* SPDX-License-Identifier: BSD-3-Clause */
/* unpack.c - an array from a descriptor. */
#include "rest/unpack.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "rest/npy.h"
#include "rest/npy_items.h"
#include "rest/unpack_frames.h"
#include "rest/unpack_source.h"
#include "shm/array.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool loom_unpack_is_packed(int fd, uint64_t offset)
{
    unsigned char probe[LOOM_CODEC_PROBE_NBYTES];
    ssize_t got = pread(fd, probe, sizeof probe, (off_t)offset);
    struct loom_codec *codec = got > 0 && probe[0] != 0x93 ? loom_codec_recognise(probe, (size_t)got) : NULL;
    loom_codec_release(codec);
    return codec != NULL;
}

void loom_unpack_warn(parloom_mmap_mode mode, const char *name, const char *why)
{
    if (mode == PARLOOM_MMAP_UNSET) return;
    loom_log(LOOM_LOG_WARNING, "%.400s is %s: it is read into memory, not mapped", name, why);
}

/* Reads all of it, or FORMAT. */
static parloom_status read_whole(struct loom_unpack_source *source, void *data, size_t nbytes, parloom_error *error)
{
    size_t got = 0;
    parloom_status status = loom_unpack_source_read(source, data, nbytes, &got, error);
    if (status != PARLOOM_OK || got == nbytes) return status;
    return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "%.400s is cut short: %zu bytes are missing", source->name,
                            nbytes - got);
}

/* What can be read at once is; the rest one stream after the other. */
static parloom_status read_all(struct loom_unpack_source *source, char *data, size_t nbytes, parloom_error *error)
{
    size_t done = 0;
    parloom_status status = loom_unpack_frames(source, data, nbytes, &done, error);
    return status == PARLOOM_OK ? read_whole(source, data + done, nbytes - done, error) : status;
}

/* text: prefix and header, free() it. */
static parloom_status read_header(struct loom_unpack_source *source, struct loom_npy_header *header, char **text_out,
                                  parloom_error *error)
{
    char prefix[LOOM_NPY_PREFIX_NBYTES];
    size_t nbytes = 0;
    parloom_status status = read_whole(source, prefix, sizeof prefix, error);
    if (status == PARLOOM_OK) status = loom_npy_measure(prefix, sizeof prefix, source->name, &nbytes, error);
    if (status != PARLOOM_OK) return status;
    if (nbytes < sizeof prefix)
        return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "%.400s has no room for a header", source->name);
    char *text = loom_memory_zeroed(nbytes, 1);
    if (text == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for %.400s", source->name);
    memcpy(text, prefix, sizeof prefix);
    status = read_whole(source, text + sizeof prefix, nbytes - sizeof prefix, error);
    if (status == PARLOOM_OK) status = loom_npy_parse(text, nbytes, source->name, header, error);
    if (status == PARLOOM_OK)
        *text_out = text;
    else
        free(text);
    return status;
}

/* Memory is taken for what the file can hold, not for what it claims. */
static parloom_status check_claim(const struct loom_unpack_source *source, const struct loom_npy_header *header,
                                  parloom_error *error)
{
    size_t expansion = source->codec == NULL ? 1 : source->codec->ops.most_expansion;
    uint64_t claim = (uint64_t)header->payload_offset + header->payload_nbytes;
    if (source->left == UINT64_MAX || expansion == 0 || claim / expansion <= source->left) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0,
                            "%.400s is cut short or lies: its header promises %zu bytes, which its %llu cannot hold",
                            source->name, header->payload_nbytes, (unsigned long long)source->left);
}

static parloom_status read_items(struct loom_unpack_source *source, const struct loom_npy_header *header,
                                 const char *text, bool is_all, parloom_byte_order order, parloom_array *array,
                                 struct loom_effort *effort, parloom_error *error)
{
    parloom_status status = check_claim(source, header, error);
    *array = loom_npy_describe(header);
    if (status == PARLOOM_OK) status = loom_array_allocate(array, false, error);
    if (status != PARLOOM_OK) return status;
    source->effort = effort;
    loom_effort_expect(effort, header->payload_nbytes, 0);
    status = read_all(source, array->data, header->payload_nbytes, error);
    if (status == PARLOOM_OK) status = loom_unpack_source_finish(source, is_all, error);
    if (status == PARLOOM_OK && order == PARLOOM_BYTE_ORDER_KEPT)
        array->flags |= header->is_swapped ? LOOM_ARRAY_SWAPPED : 0U;
    else if (status == PARLOOM_OK)
        status = loom_npy_make_native(header, text, array->data, source->name, error);
    if (status == PARLOOM_OK) status = loom_effort_end(effort, error);
    if (status != PARLOOM_OK) parloom_array_release(array);
    return status;
}

parloom_status loom_unpack(parloom_array *array_out, int fd, const char *name, bool is_all, parloom_byte_order order,
                           struct loom_effort *effort, parloom_error *error)
{
    struct loom_unpack_source source;
    struct loom_npy_header header;
    parloom_array array;
    char *text = NULL;
    parloom_status status = loom_unpack_source_open(&source, fd, name, error);
    if (status != PARLOOM_OK) return status;
    status = read_header(&source, &header, &text, error);
    if (status == PARLOOM_OK) status = read_items(&source, &header, text, is_all, order, &array, effort, error);
    free(text);
    loom_unpack_source_close(&source);
    if (status == PARLOOM_OK) *array_out = array;
    return status;
}

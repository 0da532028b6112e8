/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * named_header.c - the header of named arrays: written for one, and believed in nothing when one is opened.
 *
 * Threads    any; everything works on copies.
 */
#include "base/fnv.h"
#include "base/memory.h"
#include "base/status.h"
#include "shm/array.h"
#include "shm/named.h"

#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BYTE_ORDER_MARK UINT32_C(0x01020304)

static const char MAGIC[8] = { '\223', 'P', 'A', 'R', 'L', 'O', 'O', 'M' };

_Static_assert(sizeof(struct loom_named_shared) == 256, "the layout of named arrays is a promise to other programs");
_Static_assert(offsetof(struct loom_named_shared, first_offset) == 32, "docs/named-arrays.md");
_Static_assert(offsetof(struct loom_named_shared, shape) == 64, "docs/named-arrays.md");
_Static_assert(offsetof(struct loom_named_shared, strides) == 128, "docs/named-arrays.md");
_Static_assert(offsetof(struct loom_named_shared, checksum) == 248, "docs/named-arrays.md");
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "lengths of a file are lengths in memory");

static uint64_t checksum_of(const struct loom_named_shared *header)
{
    return loom_fnv(header, offsetof(struct loom_named_shared, checksum));
}

bool loom_named_has_magic(const struct loom_named_shared *header)
{
    return memcmp(header->magic, MAGIC, sizeof MAGIC) == 0;
}

/* ----------------------------------------------------------------------- describe */

static uint64_t now_ns(void)
{
    struct timespec now = { 0, 0 };
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

parloom_status loom_named_describe(struct loom_named_shared *header_out, struct loom_named_part *part_out,
                                   const parloom_array *array, parloom_error *error)
{
    struct loom_named_shared header = { .byte_order = BYTE_ORDER_MARK, .version = LOOM_NAMED_VERSION };
    size_t before = 0;
    size_t from = 0;
    parloom_status status = loom_array_measure(array, &before, &from, error);
    if (status != PARLOOM_OK) return status;
    if (before + from > (size_t)PTRDIFF_MAX - LOOM_NAMED_DATA_OFFSET - LOOM_NAMED_ALIGNMENT)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "%zu bytes of a named array end where no file can",
                                before + from);
    memcpy(header.magic, MAGIC, sizeof MAGIC);
    header.data_offset = LOOM_NAMED_DATA_OFFSET;
    header.first_offset = LOOM_NAMED_DATA_OFFSET + loom_memory_round_up(before, LOOM_NAMED_ALIGNMENT);
    header.file_nbytes = header.first_offset + from;
    header.dtype = (uint32_t)array->dtype;
    header.ndim = (uint32_t)array->ndim;
    header.item_nbytes = array->item_nbytes;
    for (int axis = 0; axis < array->ndim; axis++) {
        header.shape[axis] = array->shape[axis];
        header.strides[axis] = array->strides[axis];
    }
    header.made_ns = now_ns();
    header.maker_pid = (uint32_t)getpid();
    header.checksum = checksum_of(&header);
    *header_out = header;
    *part_out = (struct loom_named_part){ header.first_offset - before, before + from, before };
    return PARLOOM_OK;
}

/* -------------------------------------------------------------------------- check */

static parloom_status refuse(const char *name, const char *what, parloom_error *error)
{
    return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "the header of the named array \"%.255s\" %s", name, what);
}

/* Is it a header of ours, and of this layout? */
static parloom_status check_kind(const struct loom_named_shared *header, const char *name, parloom_error *error)
{
    if (!loom_named_has_magic(header))
        return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "\"%.255s\" in " LOOM_NAMED_FOLDER " is no named array",
                                name);
    if (header->byte_order != BYTE_ORDER_MARK || header->version != LOOM_NAMED_VERSION)
        return loom_status_fail(error, PARLOOM_ERR_VERSION, 0,
                                "the named array \"%.255s\" has layout %u of byte order %#x, this library knows layout "
                                "%d of byte order %#x: use one release in all programs that share it",
                                name, header->version, header->byte_order, (int)LOOM_NAMED_VERSION, BYTE_ORDER_MARK);
    if (header->checksum != checksum_of(header)) return refuse(name, "was written over", error);
    return PARLOOM_OK;
}

/* All but data; false: there can be no such array. */
static bool read_array(const struct loom_named_shared *header, parloom_array *array)
{
    if (header->dtype < PARLOOM_BOOL || header->dtype > PARLOOM_ITEM || header->ndim > PARLOOM_MAX_NDIM) return false;
    *array = (parloom_array){ .dtype = (parloom_dtype)header->dtype, .ndim = (int)header->ndim };
    array->item_nbytes = (size_t)header->item_nbytes;
    for (int axis = 0; axis < array->ndim; axis++) {
        array->shape[axis] = (size_t)header->shape[axis];
        array->strides[axis] = (ptrdiff_t)header->strides[axis];
    }
    return true;
}

parloom_status loom_named_check(const struct loom_named_shared *header, uint64_t file_nbytes, const char *name,
                                parloom_array *array_out, struct loom_named_part *part_out, parloom_error *error)
{
    parloom_array array;
    size_t before = 0;
    size_t from = 0;
    uint64_t first = header->first_offset;
    parloom_status status = check_kind(header, name, error);
    if (status != PARLOOM_OK) return status;
    if (!read_array(header, &array) || loom_array_measure(&array, &before, &from, NULL) != PARLOOM_OK)
        return refuse(name, "describes an array that cannot be", error);
    if (header->data_offset != LOOM_NAMED_DATA_OFFSET || first < LOOM_NAMED_DATA_OFFSET ||
        first % LOOM_NAMED_ALIGNMENT != 0 || before > first - LOOM_NAMED_DATA_OFFSET)
        return refuse(name, "places items where none can be", error);
    if (header->file_nbytes != file_nbytes)
        return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0,
                                "the named array \"%.255s\" was made with %llu bytes and has %llu: another program "
                                "has cut or extended it",
                                name, (unsigned long long)header->file_nbytes, (unsigned long long)file_nbytes);
    if (first > file_nbytes || from > file_nbytes - first)
        return refuse(name, "describes an array that is longer than the file", error);
    *array_out = array;
    *part_out = (struct loom_named_part){ first - before, before + from, before };
    return PARLOOM_OK;
}

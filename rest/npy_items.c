/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * npy_items.c - what a header makes of the bytes behind it.
 *
 * A record is turned run by run: a run is a number of equally wide fields that lie one behind the other. Records inside
 * records, and fields that are arrays of them, are unrolled. Runs are few in what people write; how many there may be
 * is limited, since a header of 100 bytes can claim 2^60.
 */
#include "rest/npy_items.h"

#include "base/memory.h"
#include "base/status.h"
#include "rest/npy_type.h"
#include "shm/array.h"

#include <stdlib.h>

enum { RUNS_MAX = 1 << 16 };

parloom_array loom_npy_describe(const struct loom_npy_header *header)
{
    parloom_array array =
        parloom_array_wrap_strided(NULL, header->dtype, header->item_nbytes, header->ndim, header->shape, NULL);
    if (header->is_fortran) loom_array_set_strides(&array, true);
    return array;
}

/* Types of our own are as aligned as their size allows, up to 16 bytes: no more can be known of them. */
size_t loom_npy_alignment(const struct loom_npy_header *header)
{
    size_t unit = header->item_nbytes;
    if (header->dtype == PARLOOM_C64 || header->dtype == PARLOOM_C128) unit /= 2;
    size_t lowest_bit = unit & (~unit + 1);
    return lowest_bit < 16 ? lowest_bit : 16;
}

parloom_status loom_npy_check_alignment(const struct loom_npy_header *header, uint64_t payload_offset, const char *name,
                                        parloom_error *error)
{
    size_t alignment = loom_npy_alignment(header);
    if (payload_offset % alignment == 0) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                            "the items of %.400s start at byte %llu, which is not aligned to %zu: load it without a "
                            "mode, which copies them",
                            name, (unsigned long long)payload_offset, alignment);
}

/* ---------------------------------------------------------------------- byte order */

/* Always inline: for the usual widths the compiler then sees a byte swap, and vectorises it. */
__attribute__((always_inline)) static inline void reverse_each(unsigned char *bytes, size_t nbytes, size_t width)
{
    for (size_t k = 0; k + width <= nbytes; k += width)
        for (size_t low = 0, high = width - 1; low < high; low++, high--) {
            unsigned char byte = bytes[k + low];
            bytes[k + low] = bytes[k + high];
            bytes[k + high] = byte;
        }
}

static void swap_items(unsigned char *bytes, size_t nbytes, size_t width)
{
    switch (width) {
    case 2:
        reverse_each(bytes, nbytes, 2);
        break;
    case 4:
        reverse_each(bytes, nbytes, 4);
        break;
    case 8:
        reverse_each(bytes, nbytes, 8);
        break;
    default:
        reverse_each(bytes, nbytes, width);
        break;
    }
}

/* ------------------------------------------------------------------------- records */

struct runs {
    struct loom_npy_run *runs;
    size_t count, capacity;
    bool is_short; /* of memory */
};

static bool add_run(struct loom_npy_run run, void *state)
{
    struct runs *all = state;
    if (all->count == RUNS_MAX) return false;
    if (all->count == all->capacity) {
        size_t capacity = all->capacity == 0 ? 16 : 2 * all->capacity;
        struct loom_npy_run *grown = loom_memory_grow(all->runs, capacity, sizeof *grown);
        all->is_short = grown == NULL;
        if (grown == NULL) return false;
        all->runs = grown;
        all->capacity = capacity;
    }
    all->runs[all->count++] = run;
    return true;
}

/* A record that is repeated: so are the runs from the first-th on, at distances of nbytes. */
static bool repeat_runs(size_t first, size_t times, size_t nbytes, void *state)
{
    struct runs *all = state;
    size_t end = all->count;
    if (times == 0 || first == end) {
        all->count = times == 0 ? first : end;
        return true;
    }
    for (size_t k = 1; k < times; k++)
        for (size_t r = first; r < end; r++) {
            struct loom_npy_run run = all->runs[r];
            run.offset += k * nbytes;
            if (!add_run(run, all)) return false;
        }
    return true;
}

static size_t count_runs(void *state)
{
    const struct runs *all = state;
    return all->count;
}

static void turn_records(const struct runs *all, unsigned char *bytes, size_t nbytes, size_t record_nbytes)
{
    for (size_t at = 0; at + record_nbytes <= nbytes; at += record_nbytes)
        for (size_t r = 0; r < all->count; r++) {
            const struct loom_npy_run *run = &all->runs[r];
            swap_items(bytes + at + run->offset, run->count * run->width, run->width);
        }
}

bool loom_npy_is_turned_by_parts(const struct loom_npy_header *header, size_t part_nbytes)
{
    return header->is_swapped && header->swap_nbytes > 0 && part_nbytes % header->swap_nbytes == 0;
}

void loom_npy_turn_part(const struct loom_npy_header *header, void *part, size_t nbytes)
{
    swap_items(part, nbytes, header->swap_nbytes);
}

parloom_status loom_npy_make_native(const struct loom_npy_header *header, const char *text, void *payload,
                                    const char *name, parloom_error *error)
{
    if (!header->is_swapped || header->payload_nbytes == 0) return PARLOOM_OK;
    if (header->swap_nbytes > 0) {
        swap_items(payload, header->payload_nbytes, header->swap_nbytes);
        return PARLOOM_OK;
    }
    struct runs all = { NULL, 0, 0, false };
    const struct loom_npy_run_sink sink = { add_run, repeat_runs, count_runs, &all };
    struct loom_npy_cursor cursor = { text + header->type_offset, text + header->payload_offset, text, name, NULL };
    bool is_whole = loom_npy_list_runs(&cursor, &sink);
    if (is_whole) turn_records(&all, payload, header->payload_nbytes, header->item_nbytes);
    free(all.runs);
    if (is_whole) return PARLOOM_OK;
    if (all.is_short)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for the fields of %.400s", name);
    return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                            "%.400s holds records with more than %d fields in the other byte order: convert it with "
                            "NumPy's astype(dtype.newbyteorder('=')), or load it in the order it has",
                            name, (int)RUNS_MAX);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * npy_items.h - what a header makes of the bytes behind it: an array over them, its alignment, its byte order.
 */
#ifndef LOOM_REST_NPY_ITEMS_H
#define LOOM_REST_NPY_ITEMS_H

#include "rest/npy.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An array with everything but data. */
parloom_array loom_npy_describe(const struct loom_npy_header *header);
/* What the address of the first item has to be a multiple of. */
size_t loom_npy_alignment(const struct loom_npy_header *header);
/* Whether items at this byte of a file can be mapped. UNSUPPORTED. */
parloom_status loom_npy_check_alignment(const struct loom_npy_header *header, uint64_t payload_offset, const char *name,
                                        parloom_error *error);
/* Turns the items of a file in the other byte order, records field by field. text: prefix and header, as parsed.
 * UNSUPPORTED: a record with too many fields to turn; MEMORY. */
parloom_status loom_npy_make_native(const struct loom_npy_header *header, const char *text, void *payload,
                                    const char *name, parloom_error *error);
/* Whether they can be turned part by part, parts being divided at multiples of part_nbytes; and that. */
bool loom_npy_is_turned_by_parts(const struct loom_npy_header *header, size_t part_nbytes);
void loom_npy_turn_part(const struct loom_npy_header *header, void *part, size_t nbytes);

#ifdef __cplusplus
}
#endif
#endif

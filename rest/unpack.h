/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unpack.h - an array from a descriptor, compressed or not, read in sequence.
 *
 * Nothing is believed: not more is written than the header of the .npy declares, and it may declare no more than what
 * is left of a file can hold, compressed as it is. From a pipe, where nothing is left to be measured, the header is
 * believed as far as there is memory.
 */
#ifndef LOOM_REST_UNPACK_H
#define LOOM_REST_UNPACK_H

#include "rest/effort.h"

/* Is what lies at this byte of the file compressed? Also where this build cannot read it. The position stays. */
bool loom_unpack_is_packed(int fd, uint64_t offset);
/* From the position of fd on, into memory. name: of what it is, for messages. is_all: anything after the array is
 * refused; else the position is behind it, where fd can seek. effort: begun. Statuses as parloom_array_load_with. */
parloom_status loom_unpack(parloom_array *array_out, int fd, const char *name, bool is_all, parloom_byte_order order,
                           struct loom_effort *effort, parloom_error *error);
/* Says in the log that this is not mapped as mode asks. UNSET: nothing. */
void loom_unpack_warn(parloom_mmap_mode mode, const char *name, const char *why);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment_table.h - the table of segments in the window's header: what the program writes and workers read.
 *
 * An entry is read while the program may be changing it, so it is a small seqlock: generation is 0 while the other
 * fields change, and a reader that finds the same generation before and after has seen fields that belong together.
 */
#ifndef LOOM_SHM_SEGMENT_TABLE_H
#define LOOM_SHM_SEGMENT_TABLE_H

#include "shm/segment.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One entry as it was read, not checked yet. */
struct loom_segment_table_entry {
    uint32_t generation; /* 0: no segment */
    uint32_t access;
    uint64_t offset; /* from the window's base */
    uint64_t nbytes;
    uint64_t file_offset; /* where the file is mapped from */
};

uint64_t loom_segment_table_epoch(void); /* acquire: entries written before it was raised are visible */
uint32_t loom_segment_table_used(void);  /* entries [0, used) may say something; at most LOOM_SEGMENT_SLOTS */
struct loom_segment_table_entry loom_segment_table_read(uint32_t id);

#ifdef __cplusplus
}
#endif
#endif

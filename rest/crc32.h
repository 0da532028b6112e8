/* SPDX-License-Identifier: BSD-3-Clause */
/* crc32.h - the checksum of zip archives. */
#ifndef LOOM_REST_CRC32_H
#define LOOM_REST_CRC32_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LOOM_CRC32_LANES = 8 };

/* What the sum of a byte is, in each of the eight places of a word. Read-only once it is made. */
struct loom_crc32_table {
    uint32_t of[LOOM_CRC32_LANES][256];
};

void loom_crc32_make(struct loom_crc32_table *table_out);
/* sum: 0 for the first bytes, later what the last call returned. */
uint32_t loom_crc32_add(const struct loom_crc32_table *table, uint32_t sum, const void *bytes, size_t nbytes);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crc32.c - the checksum of zip archives, eight bytes at a time.
 *
 * Of our own, because archives without compression need it where there is no zlib. The table is made where it is used:
 * that takes microseconds, and leaves no variable behind that workers would have to have.
 */
#include "rest/crc32.h"

#include <endian.h>
#include <string.h>

void loom_crc32_make(struct loom_crc32_table *table_out)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t sum = byte;
        for (int bit = 0; bit < 8; bit++) sum = (sum >> 1) ^ ((sum & 1) != 0 ? UINT32_C(0xedb88320) : 0);
        table_out->of[0][byte] = sum;
    }
    for (int lane = 1; lane < LOOM_CRC32_LANES; lane++)
        for (int byte = 0; byte < 256; byte++) {
            uint32_t before = table_out->of[lane - 1][byte];
            table_out->of[lane][byte] = (before >> 8) ^ table_out->of[0][before & 0xff];
        }
}

uint32_t loom_crc32_add(const struct loom_crc32_table *table, uint32_t sum, const void *bytes, size_t nbytes)
{
    const unsigned char *at = bytes;
    const uint32_t(*of)[256] = table->of;
    sum = ~sum;
    for (; nbytes >= 8; at += 8, nbytes -= 8) {
        uint64_t word = 0;
        memcpy(&word, at, 8);
        word = le64toh(word) ^ sum;
        sum = of[7][word & 0xff] ^ of[6][word >> 8 & 0xff] ^ of[5][word >> 16 & 0xff] ^ of[4][word >> 24 & 0xff] ^
              of[3][word >> 32 & 0xff] ^ of[2][word >> 40 & 0xff] ^ of[1][word >> 48 & 0xff] ^ of[0][word >> 56];
    }
    for (; nbytes > 0; at++, nbytes--) sum = (sum >> 8) ^ of[0][(sum ^ *at) & 0xff];
    return ~sum;
}

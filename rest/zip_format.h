/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zip_format.h - numbers of the zip format, and how they lie in a file: little-endian, at any address.
 */
#ifndef LOOM_REST_ZIP_FORMAT_H
#define LOOM_REST_ZIP_FORMAT_H

#include <stddef.h>
#include <stdint.h>

enum {
    LOOM_ZIP_HEAD_NBYTES = 30,
    LOOM_ZIP_ENTRY_NBYTES = 46,
    LOOM_ZIP_END_NBYTES = 22,
    LOOM_ZIP_END64_NBYTES = 56,
    LOOM_ZIP_FINDER_NBYTES = 20,
    LOOM_ZIP_COMMENT_MAX = 65535,
    LOOM_ZIP_EXTRA_64 = 1,
    LOOM_ZIP_EXTRA_ALIGNMENT = 0xd935, /* as Android's zipalign marks it */
    LOOM_ZIP_IS_ENCRYPTED = 1,
    LOOM_ZIP_IS_UTF8 = 1 << 11,
    LOOM_ZIP_FIRST_DAY = 0x21, /* 1980-01-01: archives of the same arrays are the same bytes */
    LOOM_ZIP_VERSION = 20,
    LOOM_ZIP_VERSION_64 = 45
};

#define LOOM_ZIP_HEAD_MARK   UINT32_C(0x04034b50)
#define LOOM_ZIP_ENTRY_MARK  UINT32_C(0x02014b50)
#define LOOM_ZIP_END_MARK    UINT32_C(0x06054b50)
#define LOOM_ZIP_END64_MARK  UINT32_C(0x06064b50)
#define LOOM_ZIP_FINDER_MARK UINT32_C(0x07064b50)

static inline uint64_t loom_zip_get(const unsigned char *bytes, size_t at, size_t width)
{
    uint64_t number = 0;
    for (size_t k = width; k > 0; k--) number = number << 8 | bytes[at + k - 1];
    return number;
}

static inline void loom_zip_put(unsigned char *bytes, size_t at, size_t width, uint64_t number)
{
    for (size_t k = 0; k < width; k++, number >>= 8) bytes[at + k] = (unsigned char)(number & 0xff);
}

#endif

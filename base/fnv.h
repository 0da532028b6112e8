/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fnv.h - FNV-1a, 64 bits: short and the same everywhere, for names and small headers. Nothing that somebody could want
 * to collide rests on it alone.
 *
 * Source  G. Fowler, L. C. Noll, K.-P. Vo: The FNV Non-Cryptographic Hash Algorithm (IETF draft).
 */
#ifndef LOOM_BASE_FNV_H
#define LOOM_BASE_FNV_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t loom_fnv(const void *bytes, size_t nbytes)
{
    const unsigned char *byte = (const unsigned char *)bytes;
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t k = 0; k < nbytes; k++) hash = (hash ^ byte[k]) * UINT64_C(1099511628211);
    return hash;
}

#endif

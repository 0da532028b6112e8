/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hash_xxh3.h - XXH3-128, compiled once for each width of vector that this processor family has.
 *
 * The library is built for the oldest processor of its architecture, and xxhash.h chooses its loops when it is
 * compiled: with 16 bytes at once one core digests half of what it can read. So there are several, and the widest that
 * the processor has is taken. Results are the same bit for bit, and so is the state.
 */
#ifndef LOOM_REST_HASH_XXH3_H
#define LOOM_REST_HASH_XXH3_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    LOOM_XXH3_NBYTES = 16, /* of a digest, in canonical order */
    LOOM_XXH3_STATE_NBYTES = 640
};

/* state: LOOM_XXH3_STATE_NBYTES, aligned to 64. */
struct loom_xxh3 {
    void (*begin)(void *state);
    void (*add)(void *state, const void *data, size_t nbytes);
    void (*end)(const void *state, unsigned char *digest_out);
    void (*whole)(const void *data, size_t nbytes, unsigned char *digest_out);
};

extern const struct loom_xxh3 loom_xxh3_plain;
#ifdef __x86_64__
extern const struct loom_xxh3 loom_xxh3_avx2, loom_xxh3_avx512;
#endif

/* The n-th that this processor can run, the best one first; NULL: there are not so many. */
const struct loom_xxh3 *loom_xxh3_choose(unsigned n);

#ifdef __cplusplus
}
#endif
#endif

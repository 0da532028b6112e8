/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hash_state.h - the two functions that digest bytes: XXH3-128, and SHA-256 where OpenSSL is.
 *
 * XXH3    out of xxhash.h as a whole, so that neither the library nor a program that links its archive needs another
 *         library. Its result is frozen; the state is kept in the struct, so that nothing is allocated.
 * SHA-256 out of libcrypto, opened when it is first asked for, as hwloc and libdw are.
 */
#ifndef LOOM_REST_HASH_STATE_H
#define LOOM_REST_HASH_STATE_H

#include "rest/hash_xxh3.h"

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

enum loom_hash_algorithm { LOOM_HASH_XXH3 = 0, LOOM_HASH_SHA256 };

enum { LOOM_HASH_MOST_NBYTES = 32 }; /* of a digest of either */

struct loom_hash_state {
    unsigned char xxh3[LOOM_XXH3_STATE_NBYTES] __attribute__((aligned(64)));
    const struct loom_xxh3 *code;
    void *sha256;
    enum loom_hash_algorithm algorithm;
    bool is_broken; /* libcrypto refused bytes */
};

/* NULL: "xxh3". INVALID lists the names; UNSUPPORTED: no OpenSSL in the build or on the system. */
parloom_status loom_hash_algorithm_of(const char *name, enum loom_hash_algorithm *algorithm_out, parloom_error *error);
size_t loom_hash_nbytes(enum loom_hash_algorithm algorithm); /* of its digests: 16 or 32 */

/* MEMORY. Each begin is ended once. */
parloom_status loom_hash_state_begin(struct loom_hash_state *state, enum loom_hash_algorithm algorithm,
                                     parloom_error *error);
void loom_hash_state_add(struct loom_hash_state *state, const void *data, size_t nbytes);
/* Sets loom_hash_nbytes bytes; false, and nothing set, where libcrypto has failed. */
bool loom_hash_state_end(struct loom_hash_state *state, unsigned char digest_out[LOOM_HASH_MOST_NBYTES]);
/* All of it at once. */
bool loom_hash_whole(enum loom_hash_algorithm algorithm, const void *data, size_t nbytes,
                     unsigned char digest_out[LOOM_HASH_MOST_NBYTES]);

/* ---- hash_sha256.c */

bool loom_sha256_is_there(void);
void *loom_sha256_begin(void); /* NULL: no memory */
bool loom_sha256_add(void *sha256, const void *data, size_t nbytes);
/* Frees it; digest_out NULL: only that. */
bool loom_sha256_end(void *sha256, unsigned char digest_out[LOOM_HASH_MOST_NBYTES]);

#ifdef __cplusplus
}
#endif
#endif

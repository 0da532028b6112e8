/* SPDX-License-Identifier: BSD-3-Clause */
/* hash_state.c - the choice between XXH3-128 and SHA-256. */
#include "rest/hash_state.h"

#include "base/status.h"

#include <string.h>

#ifdef PARLOOM_HAVE_OPENSSL
#define NO_SHA256 "sha256 needs libcrypto, which could not be opened; on Debian: apt-get install libssl3"
#else
#define NO_SHA256 \
    "sha256 is not in this build: configure it with PARLOOM_WITH_OPENSSL=ON (on Debian: apt-get install libssl-dev)"
#endif

parloom_status loom_hash_algorithm_of(const char *name, enum loom_hash_algorithm *algorithm_out, parloom_error *error)
{
    *algorithm_out = LOOM_HASH_XXH3;
    if (name == NULL || strcmp(name, "xxh3") == 0) return PARLOOM_OK;
    if (strcmp(name, "sha256") != 0)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "algorithm \"%.64s\" is not known: give \"xxh3\" or \"sha256\"", name);
    *algorithm_out = LOOM_HASH_SHA256;
    if (loom_sha256_is_there()) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0, "%s", NO_SHA256);
}

size_t loom_hash_nbytes(enum loom_hash_algorithm algorithm)
{
    return algorithm == LOOM_HASH_XXH3 ? LOOM_XXH3_NBYTES : PARLOOM_SHA256_BYTES;
}

parloom_status loom_hash_state_begin(struct loom_hash_state *state, enum loom_hash_algorithm algorithm,
                                     parloom_error *error)
{
    state->algorithm = algorithm;
    state->is_broken = false;
    state->sha256 = algorithm == LOOM_HASH_SHA256 ? loom_sha256_begin() : NULL;
    if (algorithm == LOOM_HASH_SHA256 && state->sha256 == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "libcrypto could not begin a SHA-256");
    state->code = loom_xxh3_choose(0);
    if (algorithm == LOOM_HASH_XXH3) state->code->begin(state->xxh3);
    return PARLOOM_OK;
}

void loom_hash_state_add(struct loom_hash_state *state, const void *data, size_t nbytes)
{
    if (nbytes == 0) return;
    if (state->algorithm == LOOM_HASH_SHA256)
        state->is_broken = !loom_sha256_add(state->sha256, data, nbytes) || state->is_broken;
    else
        state->code->add(state->xxh3, data, nbytes);
}

bool loom_hash_state_end(struct loom_hash_state *state, unsigned char digest_out[LOOM_HASH_MOST_NBYTES])
{
    if (state->algorithm == LOOM_HASH_SHA256)
        return loom_sha256_end(state->sha256, state->is_broken ? NULL : digest_out);
    state->code->end(state->xxh3, digest_out);
    return true;
}

bool loom_hash_whole(enum loom_hash_algorithm algorithm, const void *data, size_t nbytes,
                     unsigned char digest_out[LOOM_HASH_MOST_NBYTES])
{
    if (algorithm == LOOM_HASH_XXH3) {
        loom_xxh3_choose(0)->whole(data, nbytes, digest_out);
        return true;
    }
    void *sha256 = loom_sha256_begin();
    if (sha256 == NULL) return false;
    bool is_added = loom_sha256_add(sha256, data, nbytes);
    return loom_sha256_end(sha256, is_added ? digest_out : NULL);
}

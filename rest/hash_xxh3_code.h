/* SPDX-License-Identifier: BSD-3-Clause */
/* hash_xxh3_code.h - the code of one struct loom_xxh3: what includes it is compiled for that width. */
#ifndef LOOM_REST_HASH_XXH3_CODE_H
#define LOOM_REST_HASH_XXH3_CODE_H

#include "rest/hash_xxh3.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(sizeof(XXH3_state_t) <= LOOM_XXH3_STATE_NBYTES, "room for the state of XXH3");

static void write_digest(XXH128_hash_t hash, unsigned char *digest_out)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    memcpy(digest_out, canonical.digest, LOOM_XXH3_NBYTES);
}

static void begin(void *state)
{
    (void)XXH3_128bits_reset(state);
}

static void add(void *state, const void *data, size_t nbytes)
{
    (void)XXH3_128bits_update(state, data, nbytes);
}

static void end(const void *state, unsigned char *digest_out)
{
    write_digest(XXH3_128bits_digest(state), digest_out);
}

static void whole(const void *data, size_t nbytes, unsigned char *digest_out)
{
    write_digest(XXH3_128bits(data, nbytes), digest_out);
}

#define LOOM_XXH3_CODE         \
    {                          \
        begin, add, end, whole \
    }

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache_verify.c - the digests of results: noted when they are kept, compared when they are found (docs/cache.md).
 *
 * They are those of parloom_hash_array, of the array as it is in memory: they hold whatever the codec is, and anybody
 * can compute them.
 */
#include "base/status.h"
#include "rest/cache.h"

#include <string.h>

static parloom_status digest_result(const parloom_cache *cache, const parloom_array *array,
                                    char digits[PARLOOM_DIGEST_TEXT_BYTES], parloom_error *error)
{
    parloom_options loop = PARLOOM_OPTIONS_INIT;
    parloom_hash_options options = { .loop = &loop };
    parloom_digest digest;
    loop.n_jobs = cache->options.n_jobs;
    parloom_status status = parloom_hash_array(array, &options, &digest, error);
    if (status == PARLOOM_OK) parloom_digest_text(&digest, digits);
    return status;
}

parloom_status loom_cache_digest_results(const parloom_cached *function, const parloom_array *results,
                                         struct loom_cache_digests *digests_out, parloom_error *error)
{
    parloom_status status = PARLOOM_OK;
    for (size_t k = 0; k < function->definition.n_results && status == PARLOOM_OK; k++)
        status = digest_result(function->cache, &results[k], digests_out->text[k], error);
    return status;
}

bool loom_cache_is_verified(const parloom_cache *cache, parloom_mmap_mode mode)
{
    parloom_cache_verify verify = cache->options.verify;
    if (verify == PARLOOM_CACHE_VERIFY_NEVER) return false;
    return verify == PARLOOM_CACHE_VERIFY_ALWAYS || mode == PARLOOM_MMAP_UNSET;
}

parloom_status loom_cache_verify_result(const parloom_cached *function, const parloom_array *array, size_t k,
                                        const struct loom_cache_digests *digests, parloom_error *error)
{
    char found[PARLOOM_DIGEST_TEXT_BYTES];
    parloom_status status = digest_result(function->cache, array, found, error);
    if (status != PARLOOM_OK || strcmp(found, digests->text[k]) == 0) return status;
    return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "the items of \"%s\" have the digest %s, and were kept as %s",
                            function->definition.results[k].name, found, digests->text[k]);
}

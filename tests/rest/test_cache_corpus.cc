/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cache_corpus.cc - replays the corpus of the fuzzer, whole and cut at every 16th byte. */
#include "tests/fuzz/fuzz_cache.cc"

#include "support/corpus.h"

TEST(CacheCorpus, IsReadOrRefusedButNeverBelieved)
{
    loom::replay("cache", 10, 16, [](const uint8_t *bytes, size_t nbytes) {
        return fuzz_cache::try_input(bytes, nbytes) == PARLOOM_OK;
    });
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* test_hash_corpus.cc - replays the corpus of the fuzzer, whole, cut at every byte, and with every bit turned. */
#include "tests/fuzz/fuzz_hash.cc"

#include "support/corpus.h"

TEST(HashCorpus, IsDigestedOrRefused)
{
    loom::replay("hash", 10, 1,
                 [](const uint8_t *bytes, size_t nbytes) { return fuzz_hash::try_input(bytes, nbytes) == PARLOOM_OK; });
    for (loom::Kept kept : loom::corpus("hash"))
        for (size_t bit = 0; bit < 8 * kept.bytes.size(); bit++) {
            const auto mask = static_cast<uint8_t>(1U << bit % 8);
            kept.bytes[bit / 8] ^= mask;
            (void)fuzz_hash::try_input(kept.bytes.data(), kept.bytes.size()); /* aborts where a promise is broken */
            kept.bytes[bit / 8] ^= mask;
        }
}

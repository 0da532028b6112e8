/* SPDX-License-Identifier: BSD-3-Clause */
/* test_named_corpus.cc - replays the corpus of the fuzzer, whole and cut at every byte. */
#include "tests/fuzz/fuzz_named.cc"

#include "support/corpus.h"

TEST(NamedCorpus, IsMappedOrRefusedButNeverBelieved)
{
    loom::replay("named", 5, 1, [](const uint8_t *bytes, size_t nbytes) {
        return fuzz_named::try_input(bytes, nbytes) == PARLOOM_OK;
    });
}

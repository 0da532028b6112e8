/* SPDX-License-Identifier: BSD-3-Clause */
/* test_npy_corpus.cc - replays the corpus of the fuzzer, whole and cut at every byte. */
#include "tests/fuzz/fuzz_npy.cc"

#include "support/corpus.h"

TEST(NpyCorpus, IsReadOrRefusedButNeverBelieved)
{
    loom::replay("npy", 8, 1,
                 [](const uint8_t *bytes, size_t nbytes) { return fuzz_npy::try_input(bytes, nbytes) == PARLOOM_OK; });
}

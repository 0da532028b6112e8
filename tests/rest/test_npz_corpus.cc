/* SPDX-License-Identifier: BSD-3-Clause */
/* test_npz_corpus.cc - replays the corpus of the fuzzer, whole and cut at every byte. */
#include "tests/fuzz/fuzz_npz.cc"

#include "support/corpus.h"

TEST(NpzCorpus, IsReadOrRefusedButNeverBelieved)
{
    loom::replay("npz", 3, 1,
                 [](const uint8_t *bytes, size_t nbytes) { return fuzz_npz::try_input(bytes, nbytes) == PARLOOM_OK; });
}

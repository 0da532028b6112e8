/* SPDX-License-Identifier: BSD-3-Clause */
/* test_load_corpus.cc - replays the corpus of the fuzzer, whole and cut at every eighth byte. */
#include "tests/fuzz/fuzz_load.cc"

#include "support/corpus.h"

TEST(LoadCorpus, IsReadMappedOrRefusedButNeverBelieved)
{
    loom::replay("load", 20, 8,
                 [](const uint8_t *bytes, size_t nbytes) { return fuzz_load::try_input(bytes, nbytes) == PARLOOM_OK; });
}

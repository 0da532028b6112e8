/* SPDX-License-Identifier: BSD-3-Clause */
/* test_codec_corpus.cc - replays the corpora of the fuzzers, one for each codec, whole and cut at every 32nd byte. */
#include "tests/fuzz/fuzz_codec.cc"

#include "support/corpus.h"

#include <algorithm>

TEST(CodecCorpus, IsReadOrRefusedButNeverBelieved)
{
    const char *names[64];
    size_t count = std::min<size_t>(parloom_codec_list(names, 64), 64);
    if (count == 0) GTEST_SKIP() << "this build has no codec";
    for (size_t k = 0; k < count; k++) {
        const char *name = names[k];
        loom::replay(std::string("codec/") + name, 3, 32, [name](const uint8_t *bytes, size_t nbytes) {
            return fuzz_codec::try_input(name, bytes, nbytes) == PARLOOM_OK;
        });
    }
}

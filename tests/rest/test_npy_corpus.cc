/* SPDX-License-Identifier: BSD-3-Clause */
/* test_npy_corpus.cc - replays the corpus of the fuzzer, whole and cut at every byte. */
#include "tests/fuzz/fuzz_npy.cc"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

TEST(NpyCorpus, IsReadOrRefusedButNeverBelieved)
{
    std::filesystem::path folder = std::filesystem::path(__FILE__).parent_path().parent_path() / "fuzz" / "npy";
    size_t accepted = 0;
    size_t refused = 0;
    for (const auto &entry : std::filesystem::directory_iterator(folder)) {
        std::ifstream stream(entry.path(), std::ios::binary);
        std::vector<char> whole{ std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>() };
        /* Aborts where a promise is broken; each length is a block of its own, so that a sanitizer sees its end. */
        for (size_t length = 0; length <= whole.size(); length++) {
            std::vector<uint8_t> part(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(length));
            LLVMFuzzerTestOneInput(part.data(), part.size());
        }
        loom_npy_header header;
        parloom_status status = loom_npy_parse(whole.data(), whole.size(), entry.path().c_str(), &header, nullptr);
        bool is_bad = entry.path().filename().string().rfind("bad-", 0) == 0;
        EXPECT_EQ(status != PARLOOM_OK, is_bad) << entry.path();
        (status == PARLOOM_OK ? accepted : refused)++;
    }
    EXPECT_GE(accepted, 20U);
    EXPECT_GE(refused, 8U);
}

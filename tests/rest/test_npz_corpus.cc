/* SPDX-License-Identifier: BSD-3-Clause */
/* test_npz_corpus.cc - replays the corpus of the fuzzer. */
#include "tests/fuzz/fuzz_npz.cc"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

TEST(NpzCorpus, IsReadOrRefusedButNeverBelieved)
{
    std::filesystem::path folder = std::filesystem::path(__FILE__).parent_path().parent_path() / "fuzz" / "npz";
    size_t opened = 0, refused = 0;
    for (const auto &entry : std::filesystem::directory_iterator(folder)) {
        std::ifstream stream(entry.path(), std::ios::binary);
        std::vector<char> whole{ std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>() };
        std::vector<uint8_t> bytes(whole.begin(), whole.end());
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size()); /* aborts where a promise is broken */
        parloom_npz *npz = nullptr;
        parloom_status status = parloom_npz_open(&npz, entry.path().c_str(), nullptr);
        bool is_bad = entry.path().filename().string().rfind("bad-", 0) == 0;
        EXPECT_EQ(status != PARLOOM_OK, is_bad) << entry.path();
        (status == PARLOOM_OK ? opened : refused)++;
        parloom_npz_close(npz);
    }
    EXPECT_GE(opened, 6U);
    EXPECT_GE(refused, 3U);
}

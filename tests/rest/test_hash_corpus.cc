/* SPDX-License-Identifier: BSD-3-Clause */
/* test_hash_corpus.cc - replays the corpus of the fuzzer, whole, cut at every byte, and with every bit turned. */
#include "tests/fuzz/fuzz_hash.cc"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

namespace
{

std::vector<uint8_t> read(const std::filesystem::path &path)
{
    std::ifstream stream(path, std::ios::binary);
    return { std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>() };
}

} // namespace

TEST(HashCorpus, IsDigestedOrRefused)
{
    std::filesystem::path folder = std::filesystem::path(__FILE__).parent_path().parent_path() / "fuzz" / "hash";
    size_t accepted = 0;
    size_t refused = 0;
    for (const auto &entry : std::filesystem::directory_iterator(folder)) {
        std::vector<uint8_t> whole = read(entry.path());
        bool is_bad = entry.path().filename().string().rfind("bad-", 0) == 0;
        /* Aborts where a promise is broken. */
        parloom_status status = fuzz_hash::try_input(whole.data(), whole.size());
        EXPECT_EQ(status != PARLOOM_OK, is_bad) << entry.path();
        (status == PARLOOM_OK ? accepted : refused)++;
        for (size_t length = 0; length < whole.size(); length++) (void)fuzz_hash::try_input(whole.data(), length);
        for (size_t bit = 0; bit < 8 * whole.size(); bit++) {
            std::vector<uint8_t> turned = whole;
            turned[bit / 8] = static_cast<uint8_t>(turned[bit / 8] ^ (1U << bit % 8));
            (void)fuzz_hash::try_input(turned.data(), turned.size());
        }
    }
    EXPECT_GE(accepted, 15U);
    EXPECT_GE(refused, 10U);
}

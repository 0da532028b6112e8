/* SPDX-License-Identifier: BSD-3-Clause */
/* corpus.h - the inputs that are kept for a fuzz target. Those that are refused have names that begin with "bad-". */
#ifndef LOOM_TESTS_SUPPORT_CORPUS_H
#define LOOM_TESTS_SUPPORT_CORPUS_H

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <vector>

namespace loom
{

struct Kept {
    std::filesystem::path path;
    std::vector<uint8_t> bytes;
    bool is_bad;
};

/* folder: below tests/fuzz. */
inline std::vector<Kept> corpus(const std::string &folder)
{
    std::vector<Kept> all;
    std::filesystem::path tests = std::filesystem::path(__FILE__).parent_path().parent_path();
    for (const auto &entry : std::filesystem::directory_iterator(tests / "fuzz" / folder)) {
        std::ifstream stream(entry.path(), std::ios::binary);
        std::vector<char> bytes{ std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>() };
        bool is_bad = entry.path().filename().string().rfind("bad-", 0) == 0;
        all.push_back({ entry.path(), { bytes.begin(), bytes.end() }, is_bad });
    }
    return all;
}

/*
 * Replays a corpus: try_input aborts where a promise is broken, and says whether the input was accepted. Each input is
 * also tried cut short, every step bytes, in a block of its own, so that a sanitizer sees its end.
 */
template <typename Try> void replay(const std::string &folder, size_t least, size_t step, Try try_input)
{
    size_t accepted = 0, refused = 0;
    for (const Kept &kept : corpus(folder)) {
        for (size_t nbytes = 0; nbytes < kept.bytes.size(); nbytes += step) {
            std::vector<uint8_t> part(kept.bytes.begin(), kept.bytes.begin() + static_cast<ptrdiff_t>(nbytes));
            (void)try_input(part.data(), part.size());
        }
        bool is_accepted = try_input(kept.bytes.data(), kept.bytes.size());
        EXPECT_EQ(is_accepted, !kept.is_bad) << kept.path;
        (is_accepted ? accepted : refused)++;
    }
    EXPECT_GE(accepted, least) << folder;
    EXPECT_GE(refused, least) << folder;
}

} // namespace loom

#endif

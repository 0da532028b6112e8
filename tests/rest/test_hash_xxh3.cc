/* SPDX-License-Identifier: BSD-3-Clause */
/* test_hash_xxh3.cc - XXH3-128 is the same for every width of vector, at once and in parts. */
#include "rest/hash_xxh3.h"
#include "support/clean.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace
{

using Digest = std::array<unsigned char, LOOM_XXH3_NBYTES>;

struct alignas(64) State {
    unsigned char bytes[LOOM_XXH3_STATE_NBYTES];
};

class HashWidths : public loom::Clean
{
  protected:
    void SetUp() override
    {
        Clean::SetUp();
        for (unsigned n = 0; loom_xxh3_choose(n) != nullptr; n++) codes.push_back(loom_xxh3_choose(n));
        for (size_t k = 0; k < bytes.size(); k++) bytes[k] = static_cast<unsigned char>(k * k >> 3);
    }
    Digest whole(const loom_xxh3 *code, size_t from, size_t nbytes) const
    {
        Digest digest{};
        code->whole(bytes.data() + from, nbytes, digest.data());
        return digest;
    }
    Digest in_parts(const loom_xxh3 *code, size_t nbytes, size_t part) const
    {
        State state;
        Digest digest{};
        code->begin(state.bytes);
        for (size_t done = 0; done < nbytes; done += part)
            code->add(state.bytes, bytes.data() + done, std::min(part, nbytes - done));
        code->end(state.bytes, digest.data());
        return digest;
    }
    std::vector<const loom_xxh3 *> codes;
    std::vector<unsigned char> bytes = std::vector<unsigned char>((1 << 20) + 77);
};

} // namespace

TEST_F(HashWidths, EndWithTheOneForEveryProcessor)
{
    ASSERT_FALSE(codes.empty());
    EXPECT_EQ(codes.back(), &loom_xxh3_plain);
}

TEST_F(HashWidths, AgreeForEveryLength)
{
    for (const loom_xxh3 *code : codes)
        for (size_t nbytes = 0; nbytes < 3000; nbytes++)
            for (size_t from : { 0, 1, 8 })
                ASSERT_EQ(whole(code, from, nbytes), whole(&loom_xxh3_plain, from, nbytes)) << nbytes;
}

TEST_F(HashWidths, AgreeInParts)
{
    for (const loom_xxh3 *code : codes)
        for (size_t nbytes : { size_t{ 1000 }, size_t{ 4097 }, bytes.size() })
            for (size_t part : { 61, 256, 1024, 131072 })
                ASSERT_EQ(in_parts(code, nbytes, part), whole(&loom_xxh3_plain, 0, nbytes)) << nbytes << " " << part;
}

/* A state that one began another one can go on with. */
TEST_F(HashWidths, HaveOneStateInCommon)
{
    const Digest want = whole(&loom_xxh3_plain, 0, 5000);
    for (const loom_xxh3 *code : codes) {
        State state;
        Digest digest{};
        loom_xxh3_plain.begin(state.bytes);
        loom_xxh3_plain.add(state.bytes, bytes.data(), 777);
        code->add(state.bytes, bytes.data() + 777, 5000 - 777);
        loom_xxh3_plain.end(state.bytes, digest.data());
        EXPECT_EQ(digest, want);
    }
}

#ifdef __x86_64__
TEST_F(HashWidths, AreTheWidestThatThisProcessorHas)
{
    const loom_xxh3 *best = loom_xxh3_choose(0);
    EXPECT_EQ(best == &loom_xxh3_avx512, __builtin_cpu_supports("avx512f") != 0);
    EXPECT_EQ(best == &loom_xxh3_plain, !__builtin_cpu_supports("avx512f") && !__builtin_cpu_supports("avx2"));
}
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cache_verify.cc - results whose bytes changed on the disk: seen where the cache's options want it. */
#include "support/cache_kit.h"
#include "support/clean.h"

using namespace loom;

namespace
{

class CacheVerify : public Clean
{
  protected:
    void TearDown() override
    {
        kit.close();
        Clean::TearDown();
    }
    parloom_cached *open(parloom_cache_verify verify, parloom_mmap_mode mode, int n_jobs = 0)
    {
        parloom_cache_options options = cache_options();
        options.verify = verify;
        options.mmap_mode = mode;
        options.n_jobs = n_jobs;
        return kit.ramp_in(&options);
    }
    /* One bit of one item, in what the last call kept. */
    void flip_item() const
    {
        std::fstream stream(kit.root() / "ramp" / kit.info.key / "result.npy",
                            std::ios::in | std::ios::out | std::ios::binary);
        stream.seekg(-3, std::ios::end);
        char byte = static_cast<char>(stream.get() ^ 1);
        stream.seekp(-3, std::ios::end);
        stream.put(byte);
        ASSERT_TRUE(stream.good());
    }
    /* How often the body runs for a hit whose result has another bit; what it gives is right if it ran. */
    size_t runs_for_damaged(parloom_cached *function)
    {
        kit.call(function, 100, 0.5, true);
        flip_item();
        size_t before = kit.runs(), warned = warnings().size();
        std::vector<double> got = kit.call(function, 100, 0.5);
        size_t ran = kit.runs() - before;
        EXPECT_EQ(got == CacheKit::want(100, 0.5), ran > 0);
        EXPECT_EQ(warnings().size() - warned, ran) << "one warning for each";
        kit.call(function, 100, 0.5);
        EXPECT_TRUE(kit.info.is_hit);
        return ran;
    }
    CacheKit kit;
};

} // namespace

TEST_F(CacheVerify, ComputesAgainWhatChangedAsOptionsSay)
{
    const struct {
        parloom_cache_verify verify;
        size_t when_read, when_mapped;
    } expected[] = { { PARLOOM_CACHE_VERIFY_UNSET, 1, 0 },
                     { PARLOOM_CACHE_VERIFY_READ, 1, 0 },
                     { PARLOOM_CACHE_VERIFY_ALWAYS, 1, 1 },
                     { PARLOOM_CACHE_VERIFY_NEVER, 0, 0 } };
    announce("have the digest");
    for (const auto &one : expected) {
        EXPECT_EQ(runs_for_damaged(open(one.verify, PARLOOM_MMAP_UNSET)), one.when_read) << one.verify;
        EXPECT_EQ(runs_for_damaged(open(one.verify, PARLOOM_MMAP_R)), one.when_mapped) << one.verify;
        EXPECT_EQ(runs_for_damaged(open(one.verify, PARLOOM_MMAP_C)), one.when_mapped) << one.verify;
    }
    EXPECT_EQ(kit.entries().size(), 1u);
    EXPECT_EQ(kit.orphans(), 0u);
}

TEST_F(CacheVerify, SaysSoOfAReference)
{
    parloom_cached *function = open(PARLOOM_CACHE_VERIFY_UNSET, PARLOOM_MMAP_UNSET);
    auto args = kit.values(100, 0.5);
    parloom_shelved *shelved = nullptr;
    ASSERT_EQ(parloom_cache_shelve(&shelved, function, args.data(), args.size(), &kit.info, &kit.error), PARLOOM_OK);
    parloom_array result = {};
    ASSERT_EQ(parloom_shelved_get(shelved, &result, &kit.error), PARLOOM_OK) << kit.error.message;
    parloom_array_release(&result);
    flip_item();
    EXPECT_EQ(parloom_shelved_get(shelved, &result, &kit.error), PARLOOM_ERR_FORMAT);
    EXPECT_NE(std::string(kit.error.message).find("is corrupted"), std::string::npos) << kit.error.message;
    parloom_shelved_release(shelved);
}

TEST_F(CacheVerify, TravelsWithTheFunction)
{
    parloom_cached *function = open(PARLOOM_CACHE_VERIFY_ALWAYS, PARLOOM_MMAP_R, 2);
    std::vector<char> bytes(parloom_cache_pack(function, nullptr, 0));
    parloom_cache_pack(function, bytes.data(), bytes.size());
    parloom_cached *travelled = nullptr;
    ASSERT_EQ(parloom_cache_unpack(&travelled, bytes.data(), bytes.size(), &kit.error), PARLOOM_OK);
    announce("have the digest");
    EXPECT_EQ(runs_for_damaged(travelled), 1u);
    parloom_cache_unbind(travelled);
}

/* Anybody can compare: it is the digest of the array that the file holds. */
TEST_F(CacheVerify, NotesDigestsThatAnybodyCanCompute)
{
    for (const char *codec : { static_cast<const char *>(nullptr), "gzip" }) {
        parloom_cache_options options = cache_options();
        options.codec = codec;
        kit.call(kit.ramp_in(&options), 1000, 0.5, true);
        std::filesystem::path entry = kit.entries().at(0);
        parloom_array array = {};
        parloom_digest digest = {};
        char digits[PARLOOM_DIGEST_TEXT_BYTES];
        ASSERT_EQ(parloom_array_load(&array, (entry / (codec == nullptr ? "result.npy" : "result.npy.gz")).c_str(),
                                     PARLOOM_MMAP_UNSET, &kit.error),
                  PARLOOM_OK)
            << kit.error.message;
        ASSERT_EQ(parloom_hash_array(&array, nullptr, &digest, &kit.error), PARLOOM_OK);
        parloom_array_release(&array);
        parloom_digest_text(&digest, digits);
        std::ifstream stream(entry / "metadata.json");
        std::string text{ std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>() };
        EXPECT_NE(text.find("  \"digests\": {\n    \"result\": \"" + std::string(digits) + "\"\n  }\n}\n"),
                  std::string::npos)
            << text;
    }
}

TEST_F(CacheVerify, TakesADigestThatIsNoneForDamage)
{
    parloom_cached *function = open(PARLOOM_CACHE_VERIFY_NEVER, PARLOOM_MMAP_R);
    kit.call(function, 100, 0.5);
    std::filesystem::path about = kit.entries().at(0) / "metadata.json";
    for (std::streamoff back : { 7, 20, 45, 48 }) {
        announce("metadata.json is not of this call");
        std::fstream stream(about, std::ios::in | std::ios::out | std::ios::binary);
        stream.seekp(-back, std::ios::end);
        stream.put('~');
        stream.close();
        size_t before = kit.runs();
        kit.call(function, 100, 0.5);
        EXPECT_EQ(kit.runs(), before + 1) << back;
    }
}

TEST_F(CacheVerify, RefusesWhatIsNone)
{
    parloom_cache_options options = cache_options();
    parloom_cache *cache = nullptr;
    options.verify = static_cast<parloom_cache_verify>(PARLOOM_CACHE_VERIFY_NEVER + 1);
    EXPECT_EQ(parloom_cache_open(&cache, kit.location.c_str(), &options, &kit.error), PARLOOM_ERR_INVALID);
    options.verify = PARLOOM_CACHE_VERIFY_UNSET;
    options.reserved[1] = 1;
    EXPECT_EQ(parloom_cache_open(&cache, kit.location.c_str(), &options, &kit.error), PARLOOM_ERR_INVALID);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cache_shelf.cc - references to results, and functions that travel. */
#include "support/cache_kit.h"
#include "support/clean.h"

#include <cerrno>
#include <sys/stat.h>

using namespace loom;

namespace
{

class CacheShelf : public Clean
{
  protected:
    void TearDown() override
    {
        for (auto *one : shelves) parloom_shelved_release(one);
        kit.close();
        Clean::TearDown();
    }
    parloom_shelved *shelve(parloom_cached *function, int64_t n, double x)
    {
        auto args = kit.values(n, x);
        parloom_shelved *made = nullptr;
        EXPECT_EQ(parloom_cache_shelve(&made, function, args.data(), args.size(), &kit.info, &kit.error), PARLOOM_OK)
            << kit.error.message;
        shelves.push_back(made);
        return made;
    }
    parloom_shelved *open(parloom_cached *function, const std::string &key)
    {
        parloom_shelved *made = nullptr;
        EXPECT_EQ(parloom_shelved_open(&made, function, key.c_str(), &kit.error), PARLOOM_OK) << kit.error.message;
        shelves.push_back(made);
        return made;
    }
    std::vector<double> get(parloom_shelved *shelved)
    {
        parloom_array result = {};
        kit.status = parloom_shelved_get(shelved, &result, &kit.error);
        if (kit.status != PARLOOM_OK) return {};
        auto *items = static_cast<const double *>(result.data);
        std::vector<double> got(items, items + result.shape[0]);
        parloom_array_release(&result);
        return got;
    }
    CacheKit kit;
    std::vector<parloom_shelved *> shelves;
};

} // namespace

TEST_F(CacheShelf, GivesTheResultWhenItIsAskedFor)
{
    parloom_cached *function = kit.ramp_in();
    parloom_shelved *shelved = shelve(function, 4, 0.25);
    EXPECT_FALSE(kit.info.is_hit);
    EXPECT_EQ(get(shelved), CacheKit::want(4, 0.25));
    EXPECT_EQ(get(open(function, parloom_shelved_key(shelved))), CacheKit::want(4, 0.25));
    EXPECT_EQ(parloom_shelved_clear(shelved, &kit.error), PARLOOM_OK);
    EXPECT_EQ(parloom_shelved_clear(shelved, &kit.error), PARLOOM_OK);
    get(shelved);
    EXPECT_EQ(kit.status, PARLOOM_ERR_IO);
    EXPECT_EQ(kit.error.sys_errno, ENOENT);
    EXPECT_EQ(kit.runs(), 1u);
}

TEST_F(CacheShelf, HoldsTheResultItselfWithoutALocation)
{
    parloom_cached *function = kit.ramp_in(nullptr, false);
    parloom_shelved *shelved = shelve(function, 4, 0.25);
    EXPECT_STREQ(parloom_shelved_key(shelved), "");
    EXPECT_EQ(get(shelved), CacheKit::want(4, 0.25));
    EXPECT_EQ(get(shelved), CacheKit::want(4, 0.25));
    EXPECT_EQ(parloom_shelved_clear(shelved, &kit.error), PARLOOM_OK);
    EXPECT_EQ(parloom_shelved_clear(shelved, &kit.error), PARLOOM_OK);
    get(shelved);
    EXPECT_EQ(kit.status, PARLOOM_ERR_IO);
}

TEST_F(CacheShelf, ReadsNothingOfAResultThatIsThere)
{
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 4, 0.25);
    std::filesystem::path file = kit.entries().at(0) / "result.npy";
    ASSERT_EQ(truncate(file.c_str(), 0), 0); /* whoever reads it sees that it is damaged */
    parloom_shelved *shelved = shelve(function, 4, 0.25);
    EXPECT_TRUE(kit.info.is_hit);
    EXPECT_EQ(kit.runs(), 1u);
    get(shelved);
    EXPECT_EQ(kit.status, PARLOOM_ERR_FORMAT);
    EXPECT_NE(std::string(kit.error.message).find("is corrupted"), std::string::npos) << kit.error.message;
}

TEST_F(CacheShelf, TellsAKeyOfAnotherVersionFromDamage)
{
    parloom_cache *cache = kit.open();
    parloom_cache_function definition = define_ramp();
    definition.version = "1";
    announce("two functions have the name \"ramp\"");
    std::string key = parloom_shelved_key(shelve(kit.bind(cache, definition), 4, 0.25));
    EXPECT_EQ(get(open(kit.bind(kit.open(), definition), key)), CacheKit::want(4, 0.25));
    definition.version = "2";
    get(open(kit.bind(kit.open(), definition), key));
    EXPECT_EQ(kit.status, PARLOOM_ERR_VERSION);
    EXPECT_NE(std::string(kit.error.message).find("another build or version of ramp"), std::string::npos)
        << kit.error.message;
    EXPECT_EQ(std::string(kit.error.message).find("corrupted"), std::string::npos) << kit.error.message;
    get(open(kit.ramp_in(), key));
    EXPECT_EQ(kit.status, PARLOOM_ERR_VERSION) << "another build";
    std::ofstream(kit.entries().at(0) / "metadata.json") << "{}";
    get(open(kit.bind(kit.open(), definition), key));
    EXPECT_EQ(kit.status, PARLOOM_ERR_FORMAT);
}

TEST_F(CacheShelf, TellsWhatMayNotBeReadFromDamage)
{
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
    parloom_cached *function = kit.ramp_in();
    std::string key = parloom_shelved_key(shelve(function, 4, 0.25));
    std::filesystem::permissions(kit.folder, std::filesystem::perms(0755));
    for (const auto &closed :
         { kit.entries().at(0), kit.entries().at(0) / "metadata.json", kit.entries().at(0) / "result.npy" }) {
        auto before = std::filesystem::status(closed).permissions();
        std::filesystem::permissions(closed, std::filesystem::perms(0700));
        parloom_shelved *shelved = open(function, key);
        ASSERT_EQ(seteuid(65534), 0);
        get(shelved);
        ASSERT_EQ(seteuid(0), 0);
        std::filesystem::permissions(closed, before);
        EXPECT_EQ(kit.status, PARLOOM_ERR_IO) << closed;
        EXPECT_EQ(kit.error.sys_errno, EACCES) << closed;
        EXPECT_NE(std::string(kit.error.message).find(closed), std::string::npos) << kit.error.message;
        EXPECT_EQ(std::string(kit.error.message).find("corrupted"), std::string::npos) << kit.error.message;
    }
}

TEST_F(CacheShelf, NamesTheRealPathOfADamagedFile)
{
    parloom_cached *function = kit.ramp_in();
    parloom_shelved *shelved = shelve(function, 4, 0.25);
    std::filesystem::path file = kit.entries().at(0) / "result.npy";
    ASSERT_EQ(truncate(file.c_str(), 130), 0);
    get(shelved);
    EXPECT_EQ(kit.status, PARLOOM_ERR_FORMAT);
    EXPECT_NE(std::string(kit.error.message).find(file.string() + " is cut short"), std::string::npos)
        << kit.error.message;
}

TEST_F(CacheShelf, RefusesKeysThatAreNone)
{
    parloom_cached *function = kit.ramp_in();
    parloom_shelved *made = nullptr;
    for (const char *key :
         { "", "../../etc/passwd", "0123456789abcdef0123456789abcdeX", "0123456789abcdef0123456789abcdef0" })
        EXPECT_EQ(parloom_shelved_open(&made, function, key, &kit.error), PARLOOM_ERR_INVALID) << key;
    EXPECT_EQ(made, nullptr);
    get(open(function, "0123456789abcdef0123456789abcdef"));
    EXPECT_EQ(kit.status, PARLOOM_ERR_IO);
}

TEST_F(CacheShelf, PacksFunctionsWithAllTheirSettings)
{
    parloom_cache_options options = cache_options();
    options.mmap_mode = PARLOOM_MMAP_R;
    parloom_cached *function = kit.ramp_in(&options);
    kit.call(function, 4, 0.25);
    std::vector<char> bytes(parloom_cache_pack(function, nullptr, 0));
    ASSERT_GT(bytes.size(), 0u);
    ASSERT_EQ(parloom_cache_pack(function, bytes.data(), bytes.size()), bytes.size());
    parloom_cached *copy = nullptr;
    ASSERT_EQ(parloom_cache_unpack(&copy, bytes.data(), bytes.size(), &kit.error), PARLOOM_OK) << kit.error.message;
    EXPECT_EQ(kit.call(copy, 4, 0.25), CacheKit::want(4, 0.25));
    EXPECT_TRUE(kit.info.is_hit);
    EXPECT_EQ(kit.mapped_file, "result.npy");
    EXPECT_FALSE(kit.is_writable);
    std::vector<char> again(parloom_cache_pack(copy, nullptr, 0));
    parloom_cache_pack(copy, again.data(), again.size());
    EXPECT_EQ(again, bytes);
    parloom_cache_unbind(copy);
}

TEST_F(CacheShelf, SurvivesAnyPrefixOfAPackedFunction)
{
    parloom_cached *function = kit.ramp_in();
    std::vector<char> bytes(parloom_cache_pack(function, nullptr, 0));
    parloom_cache_pack(function, bytes.data(), bytes.size());
    parloom_cached *copy = nullptr;
    for (size_t length = 0; length < bytes.size(); length++) {
        std::vector<char> prefix(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(length));
        prefix.reserve(1);
        EXPECT_NE(parloom_cache_unpack(&copy, prefix.data(), length, &kit.error), PARLOOM_OK) << length;
    }
    EXPECT_EQ(copy, nullptr);
}

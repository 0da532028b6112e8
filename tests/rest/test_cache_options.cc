/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cache_options.cc - which options a cache takes, which it refuses when it is opened, and what verbose shows. */
#include "support/cache_kit.h"
#include "support/clean.h"

using namespace loom;

namespace
{

class CacheOptions : public Clean
{
  protected:
    void TearDown() override
    {
        kit.close();
        Clean::TearDown();
    }
    CacheKit kit;
};

} // namespace

TEST_F(CacheOptions, RefusesOptionsWhoseSizeWasNotSet)
{
    parloom_cache *cache = nullptr;
    auto opened = [&](const parloom_cache_options &options) {
        parloom_status status = parloom_cache_open(&cache, kit.location.c_str(), &options, &kit.error);
        parloom_cache_close(cache);
        cache = nullptr;
        return status;
    };
    parloom_cache_options unset;
    memset(&unset, 0, sizeof unset);
    EXPECT_EQ(opened(unset), PARLOOM_OK) << "nothing was set";
    auto with = [&](auto set) {
        parloom_cache_options options = unset;
        set(options);
        return opened(options);
    };
    EXPECT_EQ(with([](auto &one) { one.struct_size = sizeof one - 8; }), PARLOOM_ERR_VERSION);
    EXPECT_EQ(with([](auto &one) { one.store = "local"; }), PARLOOM_ERR_VERSION);
    EXPECT_NE(std::string(kit.error.message).find("sizeof(parloom_cache_options)"), std::string::npos);
    EXPECT_EQ(with([](auto &one) { one.mmap_mode = PARLOOM_MMAP_R; }), PARLOOM_ERR_VERSION);
    EXPECT_EQ(with([](auto &one) { one.is_durable = true; }), PARLOOM_ERR_VERSION);
    EXPECT_EQ(with([](auto &one) { one.n_items = 1; }), PARLOOM_ERR_VERSION);
    EXPECT_EQ(with([](auto &one) { one.reserved[0] = 1; }), PARLOOM_ERR_VERSION);
}

TEST_F(CacheOptions, RefusesACodecThatIsNoneWhenItIsOpened)
{
    parloom_cache *cache = nullptr;
    parloom_cache_options options = cache_options();
    for (const char *codec : { "foo", "zlib:99", "zlib:x", "" }) {
        options.codec = codec;
        EXPECT_EQ(parloom_cache_open(&cache, "x", &options, &kit.error), PARLOOM_ERR_INVALID) << codec;
    }
    options.level = 5;
    options.codec = "zlib:3";
    EXPECT_EQ(parloom_cache_open(&cache, "x", &options, &kit.error), PARLOOM_ERR_INVALID) << "two levels";
    EXPECT_EQ(cache, nullptr);
}

TEST_F(CacheOptions, TakesALevelWithTheCodecAndNoneForNoCodec)
{
    parloom_cache_options options = cache_options();
    options.mmap_mode = PARLOOM_MMAP_R;
    options.codec = "none";
    kit.call(kit.ramp_in(&options), 100, 0.5);
    EXPECT_TRUE(kit.is_memmap);
    EXPECT_TRUE(std::filesystem::exists(kit.entries().at(0) / "result.npy"));
    options.mmap_mode = PARLOOM_MMAP_UNSET;
    for (const char *codec : { "zlib:9", static_cast<const char *>(nullptr) }) {
        options.codec = codec;
        options.level = codec != nullptr ? 0 : 9; /* alone it is zlib's, as of a dump */
        parloom_cached *function = kit.ramp_in(&options);
        parloom_cache_forget(function, nullptr);
        for (int round = 0; round < 2; round++) EXPECT_EQ(kit.call(function, 100, 0.5), CacheKit::want(100, 0.5));
        EXPECT_TRUE(kit.info.is_hit);
        EXPECT_TRUE(std::filesystem::exists(kit.entries().at(0) / "result.npy.z"));
    }
}

TEST_F(CacheOptions, ShowsTextsInQuotesAndArraysWithout)
{
    static std::string said;
    const parloom_cache_param params[] = { { "src", PARLOOM_CACHE_ARRAY, 0, nullptr },
                                           { "raw", PARLOOM_CACHE_BYTES, 0, nullptr },
                                           { "name", PARLOOM_CACHE_TEXT, 0, nullptr } };
    double items[] = { 1 };
    const size_t one[] = { 1 };
    parloom_array array = parloom_array_wrap(items, PARLOOM_F64, 1, one), result = {};
    parloom_cache_function definition = define_ramp();
    definition.params = params;
    definition.n_ignore = 0;
    definition.body = [](parloom_cache_run *, void *const *, parloom_array *) { return 1; };
    definition.verbose = 1;
    parloom_cached *function = kit.bind(kit.open(), definition);
    parloom_cache_value args[] = { parloom_cache_array(nullptr, &array), parloom_cache_bytes(nullptr, "xy", 2),
                                   parloom_cache_text(nullptr, "z") };
    parloom_set_log([](int, const char *line, void *) { said += line; }, nullptr);
    EXPECT_EQ(parloom_cache_call(function, args, 3, &result, nullptr, &kit.error), PARLOOM_ERR_TASK);
    parloom_set_log(nullptr, nullptr);
    EXPECT_NE(said.find("calling ramp(src=f64 array (1), raw=2 bytes, name=\"z\")"), std::string::npos) << said;
}

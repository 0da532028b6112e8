/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cache_foreign.cc - what lies beside a cache's entries and is none: a folder named parloom may be a checkout. */
#include "support/cache_kit.h"
#include "support/clean.h"

#include <parloom/parloom.h>

namespace fs = std::filesystem;

class CacheForeign : public loom::Clean
{
  protected:
    void SetUp() override
    {
        loom::Clean::SetUp();
        for (const char *one : { "src/deep/main.c", "src/deeper/still/main.c", "docs/page", "ramp/notes", "plain" }) {
            fs::path file = kit.root() / one;
            fs::create_directories(file.parent_path());
            std::ofstream(file) << "precious";
            theirs.push_back(file);
        }
    }
    void TearDown() override
    {
        kit.close();
        loom::Clean::TearDown();
    }
    void expect_all_there() const
    {
        for (const auto &file : theirs) EXPECT_TRUE(fs::exists(file)) << file;
    }
    size_t count_entries() const
    {
        size_t count = 0;
        for (const auto &one : kit.entries()) count += fs::is_directory(one);
        return count;
    }

    loom::CacheKit kit;
    std::vector<fs::path> theirs;
};

TEST_F(CacheForeign, StaysWhenLimitsRemoveEntries)
{
    parloom_cache_options options = loom::cache_options();
    options.n_items = 1;
    parloom_cached *ramp = kit.ramp_in(&options);
    for (int64_t n = 1; n < 5; n++) kit.call(ramp, n, 1);
    EXPECT_EQ(count_entries(), 1u);
    expect_all_there();
}

TEST_F(CacheForeign, IsNotListed)
{
    parloom_cache *cache = kit.open();
    kit.call(kit.bind(cache, loom::define_ramp()), 3, 1);
    size_t count = 0;
    auto each = [](const parloom_cache_item *, void *state) { ++*static_cast<size_t *>(state); };
    ASSERT_EQ(parloom_cache_list(cache, each, &count, &kit.error), PARLOOM_OK) << kit.error.message;
    EXPECT_EQ(count, 1u);
}

TEST_F(CacheForeign, StaysWhenAllIsCleared)
{
    parloom_cache *cache = kit.open();
    kit.call(kit.bind(cache, loom::define_ramp()), 3, 1);
    ASSERT_EQ(parloom_cache_clear(cache, &kit.error), PARLOOM_OK) << kit.error.message;
    EXPECT_EQ(count_entries(), 0u);
    expect_all_there();
}

TEST_F(CacheForeign, StaysWhenAFunctionIsForgotten)
{
    parloom_cached *ramp = kit.ramp_in();
    kit.call(ramp, 3, 1);
    ASSERT_EQ(parloom_cache_forget(ramp, &kit.error), PARLOOM_OK) << kit.error.message;
    EXPECT_EQ(count_entries(), 0u);
    expect_all_there();
}

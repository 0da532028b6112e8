/* SPDX-License-Identifier: BSD-3-Clause */
/* P11: how much a folder holds, making and emptying folders: as a cache does it. */
#include "conformance/conformance.h"
#include "support/cache_kit.h"

using namespace conformance;
using loom::CacheKit;

namespace
{

void add_up(const parloom_cache_item *item, void *state)
{
    *static_cast<uint64_t *>(state) += item->nbytes;
}

} // namespace

/* Tests are named after rows of behaviours.tsv. */
// NOLINTBEGIN(readability-identifier-naming)

TEST_F(Conformance, P11_07_DiskUsageOfAnEntryOfOneMebibyte)
{
    CacheKit kit;
    parloom_cache *cache = kit.open();
    parloom_cached *function = kit.bind(cache, loom::define_ramp());
    kit.call(function, (1 << 20) / 8, 1);
    uint64_t nbytes = 0;
    ASSERT_EQ(parloom_cache_list(cache, add_up, &nbytes, &kit.error), PARLOOM_OK) << kit.error.message;
    EXPECT_GE(nbytes, 1024U * 1024);
    EXPECT_LT(nbytes, 1036U * 1024);
}

TEST_F(Conformance, P11_08_FoldersAreMadeOnDemandAndTwiceIsFine)
{
    CacheKit kit;
    kit.location = (kit.folder / "a" / "b" / "c").string();
    parloom_cached *first = kit.ramp_in(), *second = kit.ramp_in();
    kit.call(first, 3, 1);
    EXPECT_FALSE(kit.info.is_hit);
    kit.call(second, 4, 1);
    EXPECT_FALSE(kit.info.is_hit);
    kit.call(second, 3, 1);
    EXPECT_TRUE(kit.info.is_hit) << "it was kept, so the folders were made";
    parloom_cache *none = nullptr;
    EXPECT_EQ(parloom_cache_open(&none, "", nullptr, &kit.error), PARLOOM_ERR_INVALID);
}

TEST_F(Conformance, P11_09_ClearingKeepsTheFolderAndWhatElseIsInIt)
{
    CacheKit kit;
    parloom_cache *cache = kit.open();
    parloom_cached *function = kit.bind(cache, loom::define_ramp());
    kit.call(function, 3, 1);
    kit.call(function, 4, 1);
    std::ofstream(kit.location + "/note") << "the user's own";
    ASSERT_EQ(kit.entries().size(), 2U);
    ASSERT_EQ(parloom_cache_clear(cache, &kit.error), PARLOOM_OK) << kit.error.message;
    EXPECT_TRUE(kit.entries().empty());
    EXPECT_TRUE(std::filesystem::is_directory(kit.location));
    EXPECT_TRUE(std::filesystem::exists(kit.location + "/note"));
    kit.call(function, 3, 1);
    EXPECT_EQ(kit.entries().size(), 1U);
}

// NOLINTEND(readability-identifier-naming)

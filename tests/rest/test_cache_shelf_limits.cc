/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cache_shelf_limits.cc - references to results that are larger than all the cache may keep. */
#include "support/cache_kit.h"
#include "support/clean.h"

class CacheShelfLimits : public loom::Clean
{
  protected:
    void TearDown() override
    {
        kit.close();
        loom::Clean::TearDown();
    }
    loom::CacheKit kit;
};

TEST_F(CacheShelfLimits, AReferenceHoldsWhatWasNotKept)
{
    parloom_cache_options options = loom::cache_options();
    options.nbytes = 10;
    parloom_cached *ramp = kit.ramp_in(&options);
    auto args = kit.values(100, 0.5);
    parloom_shelved *shelved = nullptr;
    ASSERT_EQ(parloom_cache_shelve(&shelved, ramp, args.data(), args.size(), nullptr, &kit.error), PARLOOM_OK);
    parloom_array result = {};
    ASSERT_EQ(parloom_shelved_get(shelved, &result, &kit.error), PARLOOM_OK) << kit.error.message;
    EXPECT_EQ(memcmp(result.data, loom::CacheKit::want(100, 0.5).data(), 100 * sizeof(double)), 0);
    EXPECT_EQ(kit.runs(), 1u);
    parloom_array_release(&result);
    parloom_shelved_release(shelved);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cache_validity.cc - what a function that judges entries is told, and how often. */
#include "support/cache_kit.h"
#include "support/clean.h"

using namespace loom;

namespace
{

struct verdicts {
    bool verdict;
    int asked;
    std::string key;
};

class CacheValidity : public Clean
{
  protected:
    void TearDown() override
    {
        kit.close();
        Clean::TearDown();
    }
    parloom_cached *judged()
    {
        parloom_cache_function definition = define_ramp();
        definition.is_valid_state = &judge;
        definition.is_valid = [](const parloom_cache_info *info, void *state) {
            auto *by = static_cast<verdicts *>(state);
            by->asked++;
            by->key = info->key;
            return by->verdict;
        };
        return kit.bind(kit.open(), definition);
    }
    CacheKit kit;
    verdicts judge = { true, 0, "" };
};

} // namespace

TEST_F(CacheValidity, IsToldTheKeyByACheckAsByACall)
{
    parloom_cached *function = judged();
    kit.call(function, 3, 1);
    EXPECT_EQ(judge.asked, 0) << "nothing was there";
    EXPECT_TRUE(kit.check(function, 3, 1));
    EXPECT_EQ(judge.key, kit.info.key);
    judge.key.clear();
    kit.call(function, 3, 1);
    EXPECT_EQ(judge.key, kit.info.key);
    EXPECT_EQ(judge.key.size(), 32u);
}

TEST_F(CacheValidity, IsAskedOnceOfAnEntryThatItRefuses)
{
    parloom_cached *function = judged();
    kit.call(function, 3, 1);
    judge.verdict = false;
    kit.call(function, 3, 1);
    EXPECT_EQ(judge.asked, 1);
    kit.call(function, 3, 1);
    EXPECT_EQ(judge.asked, 2);
    EXPECT_EQ(kit.runs(), 3u);
}

TEST_F(CacheValidity, DoesNotCountForAReference)
{
    parloom_cached *function = judged();
    kit.call(function, 3, 1);
    judge.verdict = false;
    parloom_shelved *shelved = nullptr;
    ASSERT_EQ(parloom_shelved_open(&shelved, function, kit.info.key, &kit.error), PARLOOM_OK);
    parloom_array result = {};
    EXPECT_EQ(parloom_shelved_get(shelved, &result, &kit.error), PARLOOM_OK) << kit.error.message;
    parloom_array_release(&result);
    parloom_shelved_release(shelved);
    EXPECT_EQ(judge.asked, 0);
}

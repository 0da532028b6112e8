/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cache_order.cc - entries that a machine of the other byte order has left in a folder that both see. */
#include "support/cache_kit.h"
#include "support/clean.h"

#include <algorithm>

class CacheOrder : public loom::Clean
{
  protected:
    void TearDown() override
    {
        kit.close();
        loom::Clean::TearDown();
    }
    /* The file as the other machine would have written it. */
    void turn(const std::filesystem::path &file)
    {
        std::ifstream stream(file, std::ios::binary);
        std::string bytes{ std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>() };
        size_t descr = bytes.find("<f8"), items = bytes.find('\n') + 1;
        ASSERT_NE(descr, std::string::npos);
        bytes[descr] = '>';
        for (size_t at = items; at + 8 <= bytes.size(); at += 8)
            std::reverse(bytes.begin() + static_cast<ptrdiff_t>(at), bytes.begin() + static_cast<ptrdiff_t>(at) + 8);
        std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
    }
    loom::CacheKit kit;
};

TEST_F(CacheOrder, IsComputedAnewWhereItIsMapped)
{
    parloom_cache_options options = loom::cache_options();
    options.mmap_mode = PARLOOM_MMAP_R;
    parloom_cached *ramp = kit.ramp_in(&options);
    kit.call(ramp, 5, 0.5);
    turn(kit.entries().at(0) / "result.npy");
    announce("is corrupted and is computed again");
    EXPECT_EQ(kit.call(ramp, 5, 0.5), kit.want(5, 0.5));
    EXPECT_EQ(kit.runs(), 2u);
}

// SPDX-License-Identifier: BSD-3-Clause
// Control group limits, read from recorded trees in tests/base/data.
#include "base/cgroup.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace
{

std::string tree(const std::string &name)
{
    std::string here = __FILE__;
    return here.substr(0, here.rfind('/') + 1) + "data/" + name;
}

int quota(const std::string &name)
{
    return loom_cgroup_cpu_quota(tree(name).c_str());
}

uint64_t headroom(const std::string &name)
{
    return loom_cgroup_memory_headroom(tree(name).c_str());
}

constexpr uint64_t MIB = 1024 * 1024;

TEST(Cgroup, ParentQuotaLimitsChildAndIsRoundedUp)
{
    EXPECT_EQ(quota("v2-nested"), 2);
}

TEST(Cgroup, ParentMemoryLimitsChildAndDroppableCacheIsRoom)
{
    EXPECT_EQ(headroom("v2-nested"), (1024 - 600 + 100) * MIB);
}

TEST(Cgroup, MaxIsNoLimit)
{
    EXPECT_EQ(quota("v2-max"), 0);
    EXPECT_EQ(headroom("v2-max"), UINT64_MAX);
}

TEST(Cgroup, EmptyFileIsNoLimit)
{
    EXPECT_EQ(quota("v2-empty"), 0);
    EXPECT_EQ(headroom("v2-empty"), UINT64_MAX);
}

TEST(Cgroup, MountThatShowsOwnGroupIsReadAtItsRoot)
{
    EXPECT_EQ(quota("v1-container"), 3);
    EXPECT_EQ(headroom("v1-container"), (512 - 128) * MIB);
}

TEST(Cgroup, VersionOneUnlimitedIsNoLimit)
{
    EXPECT_EQ(quota("hybrid-unlimited"), 0);
    EXPECT_EQ(headroom("hybrid-unlimited"), UINT64_MAX);
}

TEST(Cgroup, GroupOutsideOfNamespaceFallsBackToMountPoint)
{
    EXPECT_EQ(quota("v2-outside"), 1);
}

TEST(Cgroup, MachineWithoutProcHasNoLimit)
{
    EXPECT_EQ(quota("no-such-tree"), 0);
    EXPECT_EQ(headroom("no-such-tree"), UINT64_MAX);
}

TEST(Cgroup, RealMachineAnswers)
{
    EXPECT_GE(loom_cgroup_cpu_quota(""), 0);
    EXPECT_GT(loom_cgroup_memory_headroom(""), 0u);
}

} // namespace

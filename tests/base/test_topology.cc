// SPDX-License-Identifier: BSD-3-Clause
// Affinity and environment are changed in children only.
#include "base/topology.h"

#include "base/log.h"

#include <parloom/parloom.h>

#include <gtest/gtest.h>

#include <climits>
#include <cstdlib>
#include <sched.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

template <typename Work> int in_child(Work work)
{
    pid_t child = fork();
    if (child == 0) _exit(work());
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

void bind_to_one_cpu()
{
    cpu_set_t mask, one;
    sched_getaffinity(0, sizeof mask, &mask);
    CPU_ZERO(&one);
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--)
        if (CPU_ISSET(cpu, &mask)) {
            CPU_SET(cpu, &one);
            break;
        }
    sched_setaffinity(0, sizeof one, &one);
}

TEST(Topology, AtLeastOneCoreAndNoMorePhysicalThanLogical)
{
    int logical = loom_topology_cpu_count(false);
    int physical = loom_topology_cpu_count(true);
    EXPECT_GE(physical, 1);
    EXPECT_LE(physical, logical);
    EXPECT_LE(logical, static_cast<int>(sysconf(_SC_NPROCESSORS_CONF)));
    EXPECT_EQ(parloom_cpu_count(false), logical);
    EXPECT_EQ(parloom_cpu_count(true), physical);
}

TEST(Topology, AffinityLimits)
{
    int result = in_child([] {
        if (loom_topology_cpu_count(false) < 1) return 1;
        bind_to_one_cpu();
        if (loom_topology_cpu_count(false) != 1) return 2;
        return loom_topology_cpu_count(true) == 1 ? 0 : 3;
    });
    EXPECT_EQ(result, 0);
}

TEST(Topology, UserCapLimits)
{
    EXPECT_EQ(in_child([] {
                  setenv("PARLOOM_MAX_CPU_COUNT", "1", 1);
                  return loom_topology_cpu_count(false);
              }),
              1);
}

TEST(Topology, UserCapDoesNotRaise)
{
    int count = loom_topology_cpu_count(false);
    EXPECT_EQ(in_child([] {
                  setenv("PARLOOM_MAX_CPU_COUNT", "100000", 1);
                  return loom_topology_cpu_count(false);
              }),
              count);
}

TEST(Topology, BadUserCapIsToldOnceAndIgnored)
{
    int count = loom_topology_cpu_count(false);
    for (const char *value : { "0", "-3", "1.5", "abc", "2x", " 2" }) {
        int result = in_child([=] {
            static std::string told;
            setenv("PARLOOM_MAX_CPU_COUNT", value, 1);
            parloom_set_log([](int, const char *line, void *) { told += line; }, nullptr);
            bool same = loom_topology_cpu_count(false) == count && loom_topology_cpu_count(false) == count;
            if (!same) return 1;
            size_t at = told.find("PARLOOM_MAX_CPU_COUNT=\"" + std::string(value) + "\"");
            if (at == std::string::npos) return 2;
            return told.find("PARLOOM_MAX_CPU_COUNT", at + 1) == std::string::npos ? 0 : 3;
        });
        EXPECT_EQ(result, 0) << value;
    }
}

TEST(Topology, JobsCountFromTheTopWhenNegative)
{
    int count = loom_topology_cpu_count(false);
    EXPECT_EQ(loom_topology_effective_jobs(7), 7);
    EXPECT_EQ(loom_topology_effective_jobs(0), 1);
    EXPECT_EQ(loom_topology_effective_jobs(-1), count);
    EXPECT_EQ(loom_topology_effective_jobs(-2), count > 1 ? count - 1 : 1);
    EXPECT_EQ(loom_topology_effective_jobs(-count - 5), 1);
    EXPECT_EQ(loom_topology_effective_jobs(INT_MIN), 1);
    EXPECT_EQ(loom_topology_effective_jobs(INT_MAX), INT_MAX);
}

} // namespace

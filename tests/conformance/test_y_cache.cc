/* SPDX-License-Identifier: BSD-3-Clause */
/* Y: the cache, beyond what joblib tries. */
#include "conformance/conformance.h"
#include "support/cache_kit.h"

#include <sys/ptrace.h>

using namespace conformance;
using loom::CacheKit;

namespace
{

/* A child that writes to a cache is killed as it enters its nth system call; false: it ended before. */
bool is_killed_at(int nth, CacheKit &kit, parloom_cached *function)
{
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        raise(SIGSTOP);
        kit.call(function, 20, 0.5, true);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    for (int stop = 0; stop < 2 * nth && WIFSTOPPED(status); stop++) {
        ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
        waitpid(child, &status, 0);
    }
    if (!WIFSTOPPED(status)) return false;
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return true;
}

} // namespace

TEST_F(Conformance, Y_13_AWriteThatIsInterruptedLeavesNoOrphanAndNoFalseHit)
{
    CacheKit kit;
    parloom_cache *cache = kit.open();
    parloom_cached *function = kit.bind(cache, loom::define_ramp());
    bool is_killed = true;
    for (int nth = 1; is_killed && !HasFailure(); nth++) {
        ASSERT_EQ(parloom_cache_clear(cache, &error), PARLOOM_OK);
        is_killed = is_killed_at(nth, kit, function);
        bool is_there = kit.check(function, 20, 0.5);
        EXPECT_EQ(kit.call(function, 20, 0.5), CacheKit::want(20, 0.5)) << nth;
        EXPECT_EQ(kit.info.is_hit, is_there) << nth;
        kit.call(function, 1, 1); /* whoever writes next clears up */
        EXPECT_EQ(kit.orphans(), 0u) << nth;
        EXPECT_EQ(kit.entries().size(), 2u) << nth;
    }
}

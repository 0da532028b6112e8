/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_cache_elsewhere.cc - a cache where the file system lacks what a local disk has: NFS cannot exchange two names,
 * nor lock folders, nor always files. A filter of system calls refuses what such a file system refuses.
 */
#include "support/cache_kit.h"
#include "support/clean.h"

#include <cerrno>
#include <cstddef>
#include <functional>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

using namespace loom;

namespace
{

/* From now on this process cannot do that: the call fails with that errno. argument < 0: whatever the arguments are;
 * else only where the lower half of this one is value (is_equal), or is not. */
struct refusal {
    unsigned call, sys_errno;
    int argument;
    unsigned value;
    bool is_equal;
};

bool refuse(const refusal &what)
{
    const auto offset = static_cast<unsigned>(offsetof(struct seccomp_data, args)) +
                        8 * static_cast<unsigned>(what.argument < 0 ? 0 : what.argument);
    const unsigned char to_allow = what.is_equal ? 1 : 0;
    struct sock_filter any[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, what.call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | what.sys_errno),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_filter some[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, what.call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, what.value, static_cast<unsigned char>(1 - to_allow), to_allow),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | what.sys_errno),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { static_cast<unsigned short>(what.argument < 0 ? std::size(any) : std::size(some)),
                                  what.argument < 0 ? any : some };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

const refusal NO_EXCHANGE = { SYS_renameat2, EINVAL, 4, 0, false }; /* flags */
const refusal NO_FOLDER_LOCK = { SYS_flock, EBADF, -1, 0, false };
const refusal NO_FILE_LOCK = { SYS_fcntl, ENOLCK, 1, F_OFD_SETLKW, true };

class CacheElsewhere : public Clean
{
  protected:
    void TearDown() override
    {
        kit.close();
        Clean::TearDown();
    }
    /* Works in count processes at once to which that is refused; each ends with 0, and warned of nothing. */
    void expect_good(int count, const refusal &what, const std::function<bool()> &work)
    {
        std::vector<pid_t> children;
        for (int k = 0; k < count; k++) {
            children.push_back(fork());
            if (children.back() != 0) continue;
            static bool has_warned = false;
            parloom_set_log([](int level, const char *, void *) { has_warned = has_warned || level <= 2; }, nullptr);
            _exit(!refuse(what) ? 3 : !work() ? 1 : has_warned ? 2 : 0);
        }
        for (pid_t child : children) {
            int status = 0;
            waitpid(child, &status, 0);
            EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
        }
    }
    std::filesystem::path folder_of_a_dead_writer(int age_s)
    {
        std::string digits = std::to_string(age_s); /* names are 32 digits: nothing else is swept */
        std::filesystem::path made = kit.root() / ".work" / digits.insert(0, 32 - digits.size(), '0');
        std::filesystem::create_directories(made);
        std::ofstream(made / "result.npy") << "half";
        struct timespec times[2];
        clock_gettime(CLOCK_REALTIME, &times[0]);
        times[0].tv_sec -= age_s;
        times[1] = times[0];
        EXPECT_EQ(utimensat(AT_FDCWD, made.c_str(), times, 0), 0);
        return made;
    }
    CacheKit kit;
};

} // namespace

TEST_F(CacheElsewhere, EntriesAreReplacedWhereNamesCannotBeExchanged)
{
    parloom_cached *function = kit.ramp_in();
    expect_good(4, NO_EXCHANGE, [&] {
        for (int round = 0; round < 100; round++) {
            bool is_forced = round % 4 != 3;
            if (kit.call(function, 100, 0.5, is_forced) != CacheKit::want(100, 0.5)) return false;
            if (kit.info.is_hit == is_forced && is_forced) return false;
        }
        return true;
    });
    EXPECT_EQ(kit.entries().size(), 1u);
    EXPECT_TRUE(kit.check(function, 100, 0.5));
    kit.call(function, 1, 1); /* who writes next sweeps */
    EXPECT_EQ(kit.orphans(), 0u);
}

TEST_F(CacheElsewhere, OnlyOldFoldersAreSweptWhereFoldersCannotBeLocked)
{
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 1, 1);
    std::filesystem::path young = folder_of_a_dead_writer(3600), old = folder_of_a_dead_writer(30 * 24 * 3600);
    expect_good(1, NO_FOLDER_LOCK, [&] { return kit.call(function, 100, 0.5, true) == CacheKit::want(100, 0.5); });
    EXPECT_TRUE(std::filesystem::exists(young)) << "it may be somebody's";
    EXPECT_FALSE(std::filesystem::exists(old));
    EXPECT_TRUE(kit.check(function, 100, 0.5));
    kit.call(function, 2, 1);
    EXPECT_FALSE(std::filesystem::exists(young)) << "where locks tell, age does not matter";
}

TEST_F(CacheElsewhere, ResultsAreKeptWhereFilesCannotBeLocked)
{
    parloom_cached *function = kit.ramp_in();
    expect_good(3, NO_FILE_LOCK, [&] { return kit.call(function, 100, 0.5) == CacheKit::want(100, 0.5); });
    EXPECT_TRUE(kit.check(function, 100, 0.5));
    EXPECT_GE(kit.runs(), 1u) << "more than once at most";
    EXPECT_EQ(kit.entries().size(), 1u);
}

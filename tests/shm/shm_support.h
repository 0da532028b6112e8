// SPDX-License-Identifier: BSD-3-Clause
// shm_support.h - what tests of shared memory need: child processes, small file systems, a worker without a supervisor.
#ifndef LOOM_TESTS_SHM_SUPPORT_H
#define LOOM_TESTS_SHM_SUPPORT_H

#include "base/fault.h"
#include "shm/segment.h"
#include "shm/window.h"

#include <gtest/gtest.h>

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <string>

#include "tests/support/sanitizers.h"

// How a child ended: its exit code, or 1000 + the signal. The child runs body and exits with what it returns.
inline int InChild(const std::function<int()> &body)
{
    pid_t pid = fork();
    if (pid == 0) _exit(body());
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

// The same in a mount namespace of its own where /dev/shm is a tmpfs of that size ("4m"; "": left as it is). 77: not
// allowed here.
inline int InChildWithShm(const std::string &size, const std::function<int()> &body)
{
    return InChild([&] {
        if (unshare(CLONE_NEWNS) != 0) return 77;
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
        if (!size.empty() && mount("tmpfs", "/dev/shm", "tmpfs", 0, ("size=" + size).c_str()) != 0) return 77;
        return body();
    });
}

#define SKIP_WITHOUT_NAMESPACES(code) \
    if ((code) == 77) GTEST_SKIP() << "needs the right to make mount namespaces (root)"

// Sanitizers occupy addresses the tests would, and need address space without limit.
#ifdef LOOM_TEST_SANITIZED
#define SKIP_UNDER_SANITIZERS() GTEST_SKIP() << "a sanitizer's runtime takes the address space this test is about"
#else
#define SKIP_UNDER_SANITIZERS() (void)0
#endif

// A folder of its own, removed with what is in it; may be a small tmpfs.
class Folder
{
  public:
    Folder()
    {
        char name[] = "/tmp/parloom-test-XXXXXX";
        path_ = mkdtemp(name);
    }
    ~Folder()
    {
        if (is_mounted_) umount2(path_.c_str(), MNT_DETACH); // a mount point cannot be removed
        rmdir(path_.c_str());
    }
    bool MountTmpfs(const std::string &options)
    {
        is_mounted_ = mount("tmpfs", path_.c_str(), "tmpfs", 0, options.c_str()) == 0;
        return is_mounted_;
    }
    const char *path() const { return path_.c_str(); }
    int EntryCount() const
    {
        int count = 0;
        DIR *folder = opendir(path_.c_str());
        while (dirent *entry = folder ? readdir(folder) : nullptr)
            count += entry->d_name[0] != '.' || entry->d_name[1] == 'p';
        if (folder) closedir(folder);
        return count;
    }

  private:
    std::string path_;
    bool is_mounted_ = false;
};

inline int DescriptorCount()
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder)) count++;
    closedir(folder);
    return count;
}

// Lines of /proc/self/maps inside the window.
inline int MappingCount()
{
    std::ifstream maps("/proc/self/maps");
    std::string line;
    int count = 0;
    while (std::getline(maps, line)) {
        unsigned long long begin = std::stoull(line, nullptr, 16);
        count += begin - loom_window_base() < loom_window_nbytes();
    }
    return count;
}

// Plays the program's part towards a worker: collects descriptors as a supervisor would.
struct Clerk {
    std::map<uint32_t, int> fds;
    std::map<uint32_t, uint32_t> generations;
    int added = 0, removed = 0;

    static void Added(const loom_segment *segment, void *state)
    {
        auto *clerk = static_cast<Clerk *>(state);
        clerk->added++;
        clerk->fds[segment->id] = fcntl(segment->worker_fd, F_DUPFD_CLOEXEC, 3);
        clerk->generations[segment->id] = segment->generation;
    }
    static void Removed(uint32_t id, uint32_t, void *state)
    {
        auto *clerk = static_cast<Clerk *>(state);
        clerk->removed++;
        close(clerk->fds[id]);
        clerk->fds.erase(id);
    }
    static int Fetch(const uint32_t *ids, const uint32_t *generations, size_t count, int *fds_out, void *state)
    {
        auto *clerk = static_cast<Clerk *>(state);
        for (size_t i = 0; i < count; i++) {
            bool has = clerk->fds.count(ids[i]) && clerk->generations[ids[i]] == generations[i];
            fds_out[i] = has ? fcntl(clerk->fds[ids[i]], F_DUPFD_CLOEXEC, 3) : -1;
        }
        return 0;
    }
    Clerk()
    {
        loom_segment_listener listener = { Added, Removed, this };
        loom_segment_set_listener(&listener);
    }
    ~Clerk()
    {
        loom_segment_set_listener(nullptr);
        for (auto &entry : fds) close(entry.second);
    }
    Clerk(const Clerk &) = delete;
    Clerk &operator=(const Clerk &) = delete;
};

#endif

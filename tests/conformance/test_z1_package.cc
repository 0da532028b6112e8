/* SPDX-License-Identifier: BSD-3-Clause */
/* Z1: what it costs a program to load the library, and what works where processes cannot be started. */
#include "conformance/conformance.h"

#include <clocale>
#include <cstddef>
#include <dirent.h>
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

using namespace conformance;

namespace
{

/* Those whose name has the part; "": all. */
size_t entries_of(const char *folder, const char *part = "")
{
    size_t count = 0;
    DIR *listing = opendir(folder);
    if (listing == nullptr) return 0;
    while (const dirent *entry = readdir(listing)) count += strstr(entry->d_name, part) != nullptr;
    closedir(listing);
    return count;
}

std::string children()
{
    std::stringstream text;
    text << std::ifstream("/proc/self/task/" + std::to_string(getpid()) + "/children").rdbuf();
    return text.str();
}

/* All that is set once for a process, as text. */
std::string settings()
{
    std::ostringstream text;
    sigset_t mask;
    sigprocmask(SIG_BLOCK, nullptr, &mask);
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action = {};
        if (sigaction(number, nullptr, &action) != 0) continue;
        text << number << ":" << reinterpret_cast<void *>(action.sa_handler) << sigismember(&mask, number) << " ";
    }
    for (int limit = 0; limit < RLIMIT_NLIMITS; limit++) {
        struct rlimit value = {};
        getrlimit(static_cast<__rlimit_resource_t>(limit), &value);
        text << value.rlim_cur << "/" << value.rlim_max << " ";
    }
    mode_t mode = umask(0);
    umask(mode);
    for (char **entry = environ; *entry != nullptr; entry++) text << *entry << "\n";
    text << mode << setlocale(LC_ALL, nullptr) << prctl(PR_GET_DUMPABLE) << prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    return text.str();
}

/* Opens the shared library in a program of its own; 0 where `look` sees the same before and after. */
template <typename Look> Ended look_around_loading(Look look)
{
    return run_program([&] {
        void *needed = dlopen("libgomp.so.1", RTLD_NOW); /* what it brings along is not ours */
        auto before = look();
        void *library = dlopen(PARLOOM_SHARED_LIBRARY, RTLD_NOW | RTLD_LOCAL);
        if (library == nullptr || dlsym(library, "parloom_for") == nullptr) return 2;
        return look() == before && needed != library ? 0 : 1;
    });
}

/* From now on this process can start threads but no processes. */
bool forbid_processes()
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x00010000 /* CLONE_THREAD */, 4, 3),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fork, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_vfork, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 2, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS), /* glibc goes on with clone */
    };
    struct sock_fprog program = { sizeof code / sizeof *code, code };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

} // namespace

TEST_F(Conformance, Z1_02_LoadingFixesNoSettings)
{
    Ended ended = look_around_loading(settings);
    EXPECT_TRUE(ended.is_ok()) << ended.code() << ended.err;
    EXPECT_EQ(ended.out, "");
}

TEST_F(Conformance, Z1_03_LoadingStartsNoHelper)
{
    Ended ended = look_around_loading([] { return children() + std::to_string(entries_of("/proc/self/task")); });
    EXPECT_TRUE(ended.is_ok()) << ended.code() << ended.err;
}

TEST_F(Conformance, Z1_04_LoadingTracksNothing)
{
    Ended ended =
        look_around_loading([] { return entries_of("/proc/self/fd") * 1000 + entries_of("/dev/shm", "parloom"); });
    EXPECT_TRUE(ended.is_ok()) << ended.code() << ended.err;
}

TEST_F(Conformance, Z1_12_OneWorkerWithoutProcesses)
{
    Ended ended = run_program([]() -> int {
        if (!forbid_processes()) return 9;
        parloom_error error;
        if (squares_by(on("processes", 1), 20, &error) != squares(20)) return 1;
        if (squares_by(on(nullptr, 0), 20, &error) != squares(20)) return 2;
        if (squares_by(on("threads", 2), 20, &error) != squares(20)) return 3;
        bool is_refused = squares_by(on("processes", 2), 20, &error).empty();
        _exit(is_refused && strlen(error.message) > 20 ? 0 : 4); /* a sanitizer's last check needs a process */
    });
    EXPECT_TRUE(ended.is_ok()) << ended.code() << ended.err;
    EXPECT_EQ(ended.err, "");
}

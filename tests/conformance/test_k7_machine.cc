/* SPDX-License-Identifier: BSD-3-Clause */
/* K6: what a worker process is like; K7: how many cores there are; K8: who looks after workers. */
#include "conformance/conformance.h"
#include "conformance/product.h"

#include "base/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>

using namespace conformance;

namespace
{

/* args[0]: text, the value that LOOM_TEST_VALUE should have. */
int check_value(const parloom_task *task, void *const *args)
{
    const char *found = getenv("LOOM_TEST_VALUE"), *wanted = static_cast<const char *>(args[0]);
    bool is_same = strcmp(found != nullptr ? found : "", wanted) == 0;
    return is_same ? 0 : parloom_fail(task, 1, "\"%s\"", found != nullptr ? found : "(none)");
}

/* args[0]: a path; fails where this process has it open, or holds a pipe above the standard streams. */
int look_at_descriptors(const parloom_task *task, void *const *args)
{
    const char *forbidden = static_cast<const char *>(args[0]);
    int result = 0;
    DIR *listing = opendir("/proc/self/fd");
    while (const dirent *entry = readdir(listing)) {
        char target[1024] = "";
        int fd = atoi(entry->d_name);
        if (fd <= 2 || readlinkat(dirfd(listing), entry->d_name, target, sizeof target - 1) <= 0) continue;
        if (strcmp(target, forbidden) == 0 || strncmp(target, "pipe:", 5) == 0)
            result = parloom_fail(task, 1, "%d is %s", fd, target);
    }
    closedir(listing);
    return result;
}

int multiply(const parloom_task *task, void *const *args)
{
    static_cast<double *>(args[0])[task->index] = product_by_openmp();
    return 0;
}

int note_supervisor(const parloom_task *, void *const *args)
{
    *static_cast<int *>(args[0]) = static_cast<int>(getppid());
    return 0;
}

/* Processes that have told of themselves; in shared memory. */
struct tree {
    std::atomic<int> count;
    std::atomic<int> pids[64];
};

int grow(const parloom_task *task, void *const *args)
{
    auto *tree = static_cast<struct tree *>(args[0]);
    tree->pids[tree->count++ % 64] = static_cast<int>(getpid());
    if (task->level == 3) return sleep_long(task, nullptr);
    parloom_options given = on("processes", 1);
    given.require = PARLOOM_REQUIRE_ISOLATION;
    parloom_arg inner[] = { parloom_inout(tree, sizeof *tree) };
    return parloom_for(1, grow, inner, 1, &given, nullptr) == PARLOOM_OK ? 0 : 1;
}

bool bind_to_one_core()
{
    cpu_set_t all, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof all, &all) != 0) return false;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all)) {
            CPU_SET(cpu, &one);
            break;
        }
    return sched_setaffinity(0, sizeof one, &one) == 0;
}

/* The quota of a machine on which the group of this process has this cpu.max. */
int quota_with(const std::string &cpu_max)
{
    Folder folder;
    std::string make = "cd '" + folder.path + "' && mkdir -p proc/self sys/fs/cgroup/job";
    if (std::system(make.c_str()) != 0) return -1;
    std::ofstream(folder.path + "/proc/self/cgroup") << "0::/job\n";
    std::ofstream(folder.path + "/proc/self/mountinfo")
        << "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
    std::ofstream(folder.path + "/sys/fs/cgroup/job/cpu.max") << cpu_max;
    return loom_cgroup_cpu_quota(folder.path.c_str());
}

void expect_survives(int signal)
{
    int before = 0, after = 0;
    parloom_error error;
    parloom_arg args[] = { parloom_out(&before, sizeof before) };
    parloom_options given = on("processes");
    ASSERT_OK(parloom_for(1, note_supervisor, args, 1, &given, &error));
    std::set<int> workers = workers_of(given);
    ASSERT_NE(before, static_cast<int>(getpid()));
    ASSERT_EQ(kill(before, signal), 0);
    args[0] = parloom_out(&after, sizeof after);
    EXPECT_OK(parloom_for(1, note_supervisor, args, 1, &given, &error));
    parloom_options more = on("processes", 3); /* needs the supervisor: one more worker */
    EXPECT_EQ(workers_of(more).size(), 3u);
    EXPECT_EQ(after, before);
    EXPECT_FALSE(is_gone(before));
    for (int pid : workers) EXPECT_EQ(workers_of(more).count(pid), 1u);
}

} // namespace

TEST_F(Conformance, K6_08_EnvironmentOfWorkers)
{
    for (const char *backend : process_backends) {
        Ended ended = run_program([backend] {
            char parents[] = "of the parent", overridden[] = "for the next call";
            setenv("LOOM_TEST_VALUE", parents, 1);
            parloom_arg of_parent[] = { parloom_in(parents, sizeof parents) };
            parloom_arg of_worker[] = { parloom_in(overridden, sizeof overridden) };
            parloom_options given = on(backend);
            if (parloom_for(4, check_value, of_parent, 1, &given, nullptr) != PARLOOM_OK) return 1;
            setenv("LOOM_TEST_VALUE", overridden, 1); /* workers that are there already see it */
            if (parloom_for(4, check_value, of_worker, 1, &given, nullptr) != PARLOOM_OK) return 2;
            given.worker_environment = "LOOM_TEST_VALUE=of the parent"; /* which has another one by now */
            return parloom_for(4, check_value, of_parent, 1, &given, nullptr) == PARLOOM_OK ? 0 : 3;
        });
        EXPECT_TRUE(ended.is_ok()) << backend << ended.code();
    }
}

TEST_F(Conformance, K6_14_WorkersHoldNoDescriptorOfTheProgram)
{
    Folder folder;
    std::string path = folder.path + "/of the program";
    int ends[2], file = open(path.c_str(), O_RDWR | O_CREAT, 0600); /* without close-on-exec: as most programs do */
    ASSERT_GE(file, 0);
    ASSERT_EQ(pipe(ends), 0);
    parloom_arg args[] = { parloom_in(path.c_str(), path.size() + 1) };
    parloom_options given = on("processes");
    EXPECT_OK(parloom_for(4, look_at_descriptors, args, 1, &given, &error));
    for (int fd : { file, ends[0], ends[1] }) close(fd);
}

TEST_F(Conformance, K6_15_OpenMPInTheProgramAndThenInWorkers)
{
    double expected = product_by_openmp();
    for (const char *backend : { "processes" }) {
        std::vector<double> found(8);
        parloom_arg args[] = { contract::out(found) };
        parloom_options given = on(backend);
        ASSERT_OK(parloom_for(8, multiply, args, 1, &given, &error));
        EXPECT_EQ(found, std::vector<double>(8, expected)) << backend;
    }
}

TEST_F(Conformance, K6_20_TreeOfProcessesGoesAsAWhole)
{
    Shared<tree> tree;
    parloom_arg args[] = { parloom_inout(tree.get(), sizeof *tree.get()) };
    parloom_options given = on("processes");
    std::thread caller(
        [&] { EXPECT_EQ(parloom_for(2, grow, args, 1, &given, &error), PARLOOM_ERR_CANCELLED) << error.message; });
    EXPECT_TRUE(comes_true([&] { return tree[0].count == 8; })) << "four deep, twice";
    parloom_shutdown(true);
    caller.join();
    for (int k = 0; k < 8; k++) EXPECT_TRUE(comes_true([&] { return is_gone(tree[0].pids[k]); })) << k;
}

TEST_F(Conformance, K7_02_LogicalAndPhysicalCores)
{
    Ended ended = run_program(
        [] { /* where there is no hwloc, it says so */
             int logical = parloom_cpu_count(false), physical = parloom_cpu_count(true);
             bool is_right = physical >= 1 && physical <= logical;
             return is_right && parloom_cpu_count(false) == logical && parloom_cpu_count(true) == physical ? 0 : 1;
        });
    EXPECT_TRUE(ended.is_ok()) << ended.code();
}

TEST_F(Conformance, K7_04_BoundProgramHasOneCore)
{
    Ended ended = run_program([] {
        if (!bind_to_one_core()) return 9;
        return parloom_cpu_count(false) == 1 && parloom_cpu_count(true) == 1 ? 0 : 1;
    });
    EXPECT_TRUE(ended.is_ok()) << ended.code();
}

TEST_F(Conformance, K7_05_AffinityMayShrinkWhileItRuns)
{
    Ended ended = run_program([] {
        int before = parloom_cpu_count(false);
        if (!bind_to_one_core()) return 9;
        return before >= 1 && parloom_cpu_count(false) == 1 && parloom_effective_n_jobs(-1) == 1 ? 0 : 1;
    });
    EXPECT_TRUE(ended.is_ok()) << ended.code();
}

TEST_F(Conformance, K7_06_QuotaOfTheControlGroup)
{
    EXPECT_EQ(quota_with("50000 100000\n"), 1);
    EXPECT_EQ(quota_with("150000 100000\n"), 2);
    EXPECT_EQ(quota_with("200000 100000\n"), 2);
    EXPECT_EQ(quota_with("max 100000\n"), 0) << "no limit";
}

TEST_F(Conformance, K7_07_PhysicalCoresThatCannotBeFound)
{
    Ended ended = run_program([] {
        int logical = parloom_cpu_count(false);
        struct rlimit before, none;
        if (getrlimit(RLIMIT_NOFILE, &before) != 0) return 9;
        none = { 0, before.rlim_max };
        if (setrlimit(RLIMIT_NOFILE, &none) != 0) return 9; /* no library can be opened now */
        int found[] = { parloom_cpu_count(true), parloom_cpu_count(true), parloom_cpu_count(true) };
        setrlimit(RLIMIT_NOFILE, &before);
        return found[0] == logical && found[1] == logical && found[2] == logical ? 0 : 1;
    });
    EXPECT_TRUE(ended.is_ok()) << ended.code() << ended.err;
    size_t first = ended.err.find("hwloc cannot say");
    EXPECT_NE(first, std::string::npos) << ended.err;
    EXPECT_EQ(ended.err.find("hwloc cannot say", first + 1), std::string::npos) << "said once: " << ended.err;
}

TEST_F(Conformance, K7_08_LimitOfTheUserCountsForPhysicalCoresToo)
{
    Ended ended = run_program([] {
        setenv("PARLOOM_MAX_CPU_COUNT", "1", 1);
        return parloom_cpu_count(false) == 1 && parloom_cpu_count(true) == 1 ? 0 : 1;
    });
    EXPECT_TRUE(ended.is_ok()) << ended.code();
}

TEST_F(Conformance, K7_09_QuotaThatIsNone)
{
    for (const char *text : { "", "max", "\n", "max max", "-1 100000", "x y", "100000 0" })
        EXPECT_EQ(quota_with(text), 0) << "\"" << text << "\"";
}

TEST_F(Conformance, K8_05_SupervisorIgnoresSigint)
{
    expect_survives(SIGINT);
}

TEST_F(Conformance, K8_06_SupervisorIgnoresSigterm)
{
    expect_survives(SIGTERM);
}

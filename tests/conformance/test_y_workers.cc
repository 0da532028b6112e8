/* SPDX-License-Identifier: BSD-3-Clause */
/* Y: workers that die, programs that die, and places that lack something, beyond what joblib tries. */
#include "conformance/conformance.h"
#include "support/module.h"

#include "base/cgroup.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>

using namespace conformance;

namespace
{

const size_t THOUSAND = 1000;

/* args[0]: one long a task; args[1]: how many times task 500 was begun. */
int square_or_die(const parloom_task *task, void *const *args)
{
    auto *begun = static_cast<std::atomic<int> *>(args[1]);
    if (task->index == 500 && begun[0]++ == 0) raise(SIGKILL);
    return square(task, args);
}

int fail_some(const parloom_task *task, void *const *)
{
    return task->index % 7 == 3 ? parloom_fail(task, 4, "as asked") : 0;
}

/* What library and C library lock: done until the time is up, which kills the victim in the midst of it. */
int die_at_some_moment(const parloom_task *task, void *const *args)
{
    struct itimerval delay = {};
    if (task->index == 1) {
        delay.it_value.tv_usec = *static_cast<const int *>(args[0]);
        setitimer(ITIMER_REAL, &delay, nullptr);
    }
    parloom_options inner = on("sequential", 1);
    for (int k = 0; task->index == 1 || k < 3; k++) {
        void *memory = parloom_alloc(1000, nullptr);
        parloom_for(2, do_nothing, nullptr, 0, &inner, nullptr);
        parloom_scratch(task, 100 + static_cast<size_t>(k % 1000));
        free(malloc(10000));
        parloom_free(memory);
    }
    return 0;
}

/* args[0]: the path of a file, to which each task adds the process it runs in; then it sleeps, or not (args[1]). */
int tell_pid(const parloom_task *task, void *const *args)
{
    int fd = open(static_cast<const char *>(args[0]), O_WRONLY | O_APPEND | O_CLOEXEC),
        pid = static_cast<int>(getpid());
    if (fd < 0 || write(fd, &pid, sizeof pid) != sizeof pid) return 1;
    close(fd);
    return *static_cast<const int *>(args[1]) != 0 ? sleep_long(task, nullptr) : 0;
}

std::vector<int> told_pids(const std::string &path)
{
    std::ifstream file(path, std::ios::binary);
    std::vector<int> pids;
    for (int pid; file.read(reinterpret_cast<char *>(&pid), sizeof pid);) pids.push_back(pid);
    return pids;
}

std::string listing(const char *folder)
{
    std::string said;
    FILE *pipe = popen((std::string("ls -A ") + folder).c_str(), "re");
    char block[512];
    for (size_t got; (got = fread(block, 1, sizeof block, pipe)) > 0;) said.append(block, got);
    pclose(pipe);
    return said;
}

/* A program whose workers have told who they are, and run or are idle; it waits to be killed. */
pid_t start_program(const std::string &folder, const std::string &told, int runs)
{
    pid_t child = fork();
    if (child != 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::vector<double> data(1000, 1.0);
    parloom_arg args[] = { parloom_in(told.c_str(), told.size() + 1), parloom_in(&runs, sizeof runs),
                           contract::in(data) };
    parloom_options given = on("processes");
    given.batch_size = 1;
    given.schedule = PARLOOM_SCHEDULE_STATIC; /* both of them */
    given.temp_folder = folder.c_str();
    given.max_nbytes = 100;
    parloom_for(2, tell_pid, args, 3, &given, nullptr);
    for (;;) pause();
}

/* A generator of its own for each index: splitmix. */
double random_of(size_t index, int draws)
{
    uint64_t state = index * 0x9E3779B97F4A7C15u, z = 0;
    double sum = 0;
    for (int k = 0; k < draws; k++) {
        z = state += 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        sum += static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
    }
    return sum;
}

/* args[0]: one double a task, args[1]: the accumulator. */
int draw(const parloom_task *task, void *const *args)
{
    double value = random_of(task->index, 10);
    static_cast<double *>(args[0])[task->index] = value;
    *static_cast<double *>(args[1]) += value * 0.1;
    return 0;
}

void add(void *into, const void *from)
{
    *static_cast<double *>(into) += *static_cast<const double *>(from);
}

/* 0: right results; 1: refused with a reason; anything else is neither. */
int works_or_says_why(const char *backend)
{
    std::vector<long> found(20, -1);
    std::vector<double> large(300000, 1.0);
    parloom_arg args[] = { contract::out(found), contract::in(large) };
    parloom_options given = on(backend);
    parloom_error error;
    parloom_status status = parloom_for(20, square, args, 2, &given, &error);
    if (status == PARLOOM_OK) return found == squares(20) ? 0 : 7;
    fprintf(stdout, "%s\n", error.message);
    return strlen(error.message) > 20 && error.status == status ? 1 : 8;
}

/* In a mount namespace of its own, changed by `change`; 77: not allowed here. */
Ended run_elsewhere(const std::function<bool()> &change)
{
    return run_program([&] {
        if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
        return change() ? works_or_says_why("processes") : 77;
    });
}

void expect_answer(const Ended &ended)
{
    EXPECT_TRUE(WIFEXITED(ended.status)) << "signal " << WTERMSIG(ended.status);
    EXPECT_LE(ended.code(), 1) << ended.out << ended.err;
}

} // namespace

TEST_F(Conformance, Y_14_KilledProgramLeavesNothing)
{
    Folder folder;
    std::string told = folder.path + "/pids";
    for (int runs : { 0, 1 }) {
        std::ofstream(told, std::ios::trunc).flush();
        pid_t program = start_program(folder.path, told, runs);
        ASSERT_TRUE(comes_true([&] { return told_pids(told).size() == 2; }));
        kill(program, SIGKILL);
        waitpid(program, nullptr, 0);
        for (int pid : told_pids(told)) EXPECT_TRUE(comes_true([&] { return is_gone(pid); })) << pid;
        EXPECT_EQ(listing(folder.path.c_str()), "pids\n");
        /* Others use it meanwhile, other tests by names of their own. */
        std::istringstream names(listing("/dev/shm"));
        for (std::string name; std::getline(names, name);)
            EXPECT_TRUE(name.find("parloom") == std::string::npos || name.rfind("parloom-test-", 0) == 0) << name;
    }
}

TEST_F(Conformance, Y_16_OrdinaryErrorKeepsTheWorkers)
{
    parloom_options opening = on("processes", 3), given = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
    std::set<int> before = workers_of(given);
    for (parloom_on_error on_error : { PARLOOM_ON_ERROR_STOP, PARLOOM_ON_ERROR_GO_ON }) {
        given.on_error = on_error;
        EXPECT_EQ(parloom_for(100, fail_some, nullptr, 0, &given, &error), PARLOOM_ERR_TASK);
    }
    EXPECT_EQ(workers_of(given), before);
    EXPECT_EQ(before.size(), 3u);
    parloom_pool_close(given.pool);
}

TEST_F(Conformance, Y_18_OptionsThatMakeNoSense)
{
    parloom_options given = PARLOOM_OPTIONS_INIT;
    EXPECT_EQ(parloom_options_set(&given, "n_job", "2", &error), PARLOOM_ERR_INVALID);
    EXPECT_TRUE(says(error, "n_jobs")) << "a similar one is named: " << error.message;
    auto expect_refused = [&](parloom_status expected) {
        EXPECT_EQ(parloom_for(2, do_nothing, nullptr, 0, &given, &error), expected) << error.message;
        EXPECT_GT(strlen(error.message), 10u);
        given = on("fork");
    };
    given = on("fork");
    given.backend_params = "power=1";
    expect_refused(PARLOOM_ERR_INVALID);
    given.backend_params = "force=1;force=1";
    expect_refused(PARLOOM_ERR_INVALID);
    given.require = PARLOOM_REQUIRE_SHAREDMEM;
    expect_refused(PARLOOM_ERR_INVALID);
    given.backend = nullptr;
    given.prefer = PARLOOM_PREFER_THREADS;
    given.require = PARLOOM_REQUIRE_ISOLATION;
    expect_refused(PARLOOM_ERR_INVALID);
    given = on("threads");
    given.task_timeout = 1;
    expect_refused(PARLOOM_ERR_UNSUPPORTED);
}

TEST_F(Conformance, Y_21_OneDeathAmongAThousandTasks)
{
    for (const char *backend : process_backends)
        for (int retries : { 0, 1 }) {
            std::vector<long> found(THOUSAND, -1), expected = squares(THOUSAND);
            Shared<std::atomic<int>> begun(1);
            parloom_arg args[] = { contract::out(found), parloom_inout(begun.get(), sizeof(int)) };
            parloom_report report = empty_report();
            parloom_options given = on(backend);
            given.on_error = PARLOOM_ON_ERROR_GO_ON;
            given.retries = retries;
            given.report = &report;
            parloom_status status = parloom_for(THOUSAND, square_or_die, args, 2, &given, &error);
            EXPECT_EQ(status, retries > 0 ? PARLOOM_OK : PARLOOM_ERR_CRASHED) << error.message;
            EXPECT_EQ(report.ok, retries > 0 ? THOUSAND : THOUSAND - 1);
            if (retries == 0) {
                EXPECT_EQ(error.task, 500u);
                EXPECT_EQ(error.signal, SIGKILL);
                expected[500] = -1;
            }
            EXPECT_EQ(found, expected) << backend;
        }
}

/* That no state is out of reach, locks included, is tried instruction by instruction in backends/test_crash_states.cc;
 * here the clock finds moments inside the library. */
TEST_F(Conformance, Y_22_DeathInsideTheLibrary)
{
    for (int moment = 0; moment < 60; moment++) {
        int delay = 20 + 17 * moment;
        parloom_status statuses[8];
        parloom_arg args[] = { parloom_in(&delay, sizeof delay) };
        parloom_options given = on("processes");
        given.on_error = PARLOOM_ON_ERROR_GO_ON;
        given.batch_size = 1;
        given.statuses = statuses;
        EXPECT_EQ(parloom_for(8, die_at_some_moment, args, 1, &given, &error), PARLOOM_ERR_CRASHED) << moment;
        EXPECT_EQ(error.signal, SIGALRM) << error.message;
        for (int i = 0; i < 8; i++) EXPECT_EQ(statuses[i], i == 1 ? PARLOOM_ERR_CRASHED : PARLOOM_OK) << moment;
    }
}

TEST_F(Conformance, Y_24_NestedControlGroupRoundsUp)
{
    Folder folder;
    auto put = [&](const std::string &path, const std::string &text) {
        std::string command = "mkdir -p '" + folder.path + path.substr(0, path.rfind('/')) + "'";
        ASSERT_EQ(std::system(command.c_str()), 0);
        std::ofstream(folder.path + path) << text << "\n";
    };
    put("/proc/self/cgroup", "0::/outer/inner");
    put("/proc/self/mountinfo", "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw");
    put("/sys/fs/cgroup/outer/cpu.max", "150000 100000");
    put("/sys/fs/cgroup/outer/inner/cpu.max", "max 100000");
    EXPECT_EQ(loom_cgroup_cpu_quota(folder.path.c_str()), 2);
}

TEST_F(Conformance, Y_25_ChildrenThreadsAndModulesThatComeAndGo)
{
    auto all_work = [] {
        for (const char *backend : { "processes", "sequential", "threads" })
            if (works_or_says_why(backend) != 0) return 1;
        return 0;
    };
    EXPECT_EQ(squares_by(on("processes"), 20, &error), squares(20)); /* before the fork */
    Ended child = run_program(all_work);
    EXPECT_TRUE(child.is_ok()) << child.out << child.err;
    Ended daemon = run_program([&] {
        if (setsid() < 0 || chdir("/") != 0) return 9;
        for (int fd : { 0, 1, 2 }) close(fd);
        return all_work();
    });
    EXPECT_TRUE(daemon.is_ok());
    std::thread([&] { EXPECT_EQ(all_work(), 0); }).join();
    for (int round = 0; round < 3; round++) {
        loom::Module module("int body(const void *task, void *const *args) { return args[0] == 0; }");
        ASSERT_TRUE(module.is_built());
        int value = round;
        parloom_arg args[] = { parloom_in(&value, sizeof value) };
        parloom_options given = on("processes");
        auto body = reinterpret_cast<parloom_body>(module.symbol("body"));
        EXPECT_OK(parloom_for(4, body, args, 1, &given, &error)) << round;
    }
}

TEST_F(Conformance, Y_26_PlacesThatLackSomething)
{
    expect_answer(run_program([] {
        struct rlimit few = { 64, 64 };
        return setrlimit(RLIMIT_NOFILE, &few) == 0 ? works_or_says_why("processes") : 9;
    }));
    expect_answer(run_program([] {
        struct rlimit few = { 10, 10 };
        if (setrlimit(RLIMIT_NPROC, &few) != 0) return 9;
        if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) return 9; /* root is not limited */
        return works_or_says_why("processes");
    }));
    Ended no_shm = run_elsewhere([] { return mount("none", "/dev/shm", "tmpfs", MS_RDONLY, nullptr) == 0; });
    if (no_shm.code() == 77) GTEST_SKIP() << "mount namespaces need root";
    expect_answer(no_shm); /* libgomp works; libomp aborts in each worker, which is said */
    expect_answer(run_elsewhere([] {
        return mount("none", "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) == 0 &&
               mount("none", "/dev/shm", "tmpfs", MS_RDONLY, nullptr) == 0;
    }));
}

TEST_F(Conformance, Y_29_SameBitsForAnyNumberOfWorkers)
{
    std::vector<double> drawn(200), reference;
    double total = 0, expected = 0;
    for (const char *backend : { "sequential", "fork", "processes", "threads" })
        for (int n_jobs : { 1, 2, 7 }) {
            total = 0;
            drawn.assign(200, 0);
            parloom_arg args[] = { contract::out(drawn), parloom_reduce(&total, sizeof total, add) };
            parloom_options given = on(backend, n_jobs);
            ASSERT_OK(parloom_for(drawn.size(), draw, args, 2, &given, &error)) << backend;
            if (reference.empty()) {
                reference = drawn;
                expected = total;
            }
            EXPECT_EQ(drawn, reference) << backend << n_jobs;
            EXPECT_EQ(memcmp(&total, &expected, sizeof total), 0) << backend << n_jobs;
        }
}

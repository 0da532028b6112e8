/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conformance.h - what the tests of the conformance suite share: backends to loop over, small bodies, programs of
 * their own.
 *
 * A test is named after the behaviour it tries: P1_04_SimpleParallel tries P1.04 of behaviours.tsv, on all backends
 * that the behaviour speaks of, and asserts what is wanted.
 */
#ifndef LOOM_TESTS_CONFORMANCE_CONFORMANCE_H
#define LOOM_TESTS_CONFORMANCE_CONFORMANCE_H

#include "contract/places.h"
#include "support/waiting.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

class Conformance : public loom::Clean
{
  protected:
    parloom_error error = {};
};

namespace conformance
{

using contract::Shared;

/* Fork comes first and threads last: where a team of OpenMP has run, regions in a forked child hang. */
inline const std::vector<const char *> every_backend = { "fork", "processes", "sequential", "threads" };
inline const std::vector<const char *> parallel_backends = { "fork", "processes", "threads" };
/* Whose workers are processes. */
inline const std::vector<const char *> process_backends = { "processes", "fork" };

inline bool is(const char *backend, const char *name)
{
    return strcmp(backend, name) == 0;
}

/* A test that has run on threads has their team still: fork is told that it may all the same. */
inline parloom_options on(const char *backend, int n_jobs = 2)
{
    parloom_options made = PARLOOM_OPTIONS_INIT;
    made.backend = backend;
    made.n_jobs = n_jobs;
    if (backend != nullptr && is(backend, "fork")) made.backend_params = "force=1";
    return made;
}

inline parloom_report empty_report()
{
    parloom_report made = {};
    made.struct_size = sizeof made;
    return made;
}

inline bool says(const parloom_error &error, const char *text)
{
    return strstr(error.message, text) != nullptr;
}

/* args[0]: one long a task. */
inline int square(const parloom_task *task, void *const *args)
{
    static_cast<long *>(args[0])[task->index] = static_cast<long>(task->index * task->index);
    return 0;
}

inline std::vector<long> squares(size_t n)
{
    std::vector<long> made(n);
    for (size_t i = 0; i < n; i++) made[i] = static_cast<long>(i * i);
    return made;
}

/* The squares of 0 .. n-1, computed in a call with these options; empty where the call fails. */
inline std::vector<long> squares_by(const parloom_options &options, size_t n, parloom_error *error)
{
    std::vector<long> found(n, -1);
    parloom_arg args[] = { contract::out(found) };
    if (parloom_for(n, square, args, 1, &options, error) != PARLOOM_OK) found.clear();
    return found;
}

inline int do_nothing(const parloom_task *, void *const *)
{
    return 0;
}

/* args[0]: one int a task: the process that ran it. */
inline int note_pid(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[0])[task->index] = static_cast<int>(getpid());
    return 0;
}

/* Minutes, unless it is cancelled: longer than a test may take, so that one that nobody ends fails. */
inline int sleep_long(const parloom_task *task, void *const *)
{
    for (int k = 0; k < 300000 && !parloom_cancelled(task); k++) usleep(1000);
    return 0;
}

/* The distinct processes that ran n tasks, each of which waits for a moment so that all workers get some. */
inline std::set<int> workers_of(const parloom_options &options, size_t n = 40)
{
    Shared<int> pids(n);
    parloom_arg args[] = { parloom_inout(pids.get(), n * sizeof(int)) };
    parloom_options given = options;
    given.batch_size = 1;
    given.schedule = PARLOOM_SCHEDULE_STATIC;
    if (parloom_for(n, note_pid, args, 1, &given, nullptr) != PARLOOM_OK) return {};
    return std::set<int>(pids.get(), pids.get() + n);
}

using loom::is_gone;

inline bool comes_true(const std::function<bool()> &condition, double seconds = 10.0)
{
    return loom::comes_true(condition, seconds);
}

/* A folder that is gone with the test. */
class Folder
{
  public:
    explicit Folder(const std::string &parent = "/tmp")
    {
        std::string name = parent + "/parloom-test-XXXXXX";
        if (mkdtemp(&name[0]) != nullptr) path = name;
    }
    ~Folder()
    {
        std::string command = "rm -rf '" + path + "'";
        if (!path.empty() && std::system(command.c_str()) != 0) ADD_FAILURE() << path << " stays";
    }
    Folder(const Folder &) = delete;
    Folder &operator=(const Folder &) = delete;

    std::string path;
};

/* How a program of its own ended, and what it wrote. */
struct Ended {
    int status = -1; /* as waitpid gives it */
    std::string out, err;
    bool is_ok() const { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }
    int code() const { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }
};

/* Runs main in a child that ends with what it returns, as a program does: exit handlers run. */
inline Ended run_program(const std::function<int()> &main_of_child)
{
    Ended ended;
    int out[2], err[2];
    if (pipe(out) != 0 || pipe(err) != 0) return ended;
    fflush(nullptr);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        parloom_set_log(nullptr, nullptr);
        dup2(out[1], 1);
        dup2(err[1], 2);
        for (int fd : { out[0], out[1], err[0], err[1] }) close(fd);
        std::exit(main_of_child());
    }
    close(out[1]);
    close(err[1]);
    auto read_all = [](int fd, std::string *into) {
        char buffer[4096];
        for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) into->append(buffer, static_cast<size_t>(n));
        close(fd);
    };
    std::thread reader(read_all, err[0], &ended.err);
    read_all(out[0], &ended.out);
    reader.join();
    waitpid(child, &ended.status, 0);
    return ended;
}

} // namespace conformance

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* P7 and Y: how many threads tasks may start. */
#include "conformance/conformance.h"
#include "conformance/product.h"
#include "support/module.h"

#include <algorithm>
#include <dlfcn.h>

using namespace conformance;

namespace
{

enum { VARIABLES = 7, TASKS = 8, OWN = 64 /* what the stand-in for a BLAS has at first */ };

const char *const variables[VARIABLES] = { "OMP_NUM_THREADS",       "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
                                           "BLIS_NUM_THREADS",      "NUMBA_NUM_THREADS",    "NUMEXPR_NUM_THREADS",
                                           "VECLIB_MAXIMUM_THREADS" };

/* What a task finds. */
struct found {
    int team, blas, ipc;
    int variable[VARIABLES]; /* -1: not there */
};

int number_of(const char *name)
{
    const char *value = getenv(name);
    return value != nullptr ? atoi(value) : -1;
}

int note_all(const parloom_task *task, void *const *args)
{
    auto *found = static_cast<struct found *>(args[0]) + task->index;
    auto *get = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "openblas_get_num_threads"));
    found->team = team_of_openmp();
    found->blas = get != nullptr ? get() : -1;
    found->ipc = number_of("ENABLE_IPC");
    for (int k = 0; k < VARIABLES; k++) found->variable[k] = number_of(variables[k]);
    return 0;
}

const char *const blas_source = "static int threads = 64;\n"
                                "void openblas_set_num_threads(int n) { threads = n; }\n"
                                "int openblas_get_num_threads(void) { return threads; }\n";

int open_blas(void *path)
{
    return dlopen(static_cast<const char *>(path), RTLD_NOW | RTLD_GLOBAL) != nullptr ? 0 : 1;
}

/* A call whose workers have the stand-in. */
class Blas
{
  public:
    Blas() : module_(blas_source), path_(module_.path())
    {
        for (const char *name : variables) unsetenv(name);
        unsetenv("ENABLE_IPC");
    }
    bool is_built() const { return module_.is_built(); }
    parloom_options on_processes(int n_jobs) const
    {
        parloom_options made = on("processes", n_jobs);
        made.worker_init = open_blas;
        made.worker_init_state = path_.c_str();
        made.worker_init_state_nbytes = path_.size() + 1;
        return made;
    }

  private:
    loom::Module module_;
    std::string path_;
};

std::vector<found> find_all(const parloom_options &given, parloom_error *error)
{
    std::vector<found> all(TASKS);
    parloom_arg args[] = { contract::out(all) };
    EXPECT_EQ(parloom_for(TASKS, note_all, args, 1, &given, error), PARLOOM_OK) << error->message;
    return all;
}

int share(int n_jobs)
{
    return std::max(parloom_cpu_count(false) / n_jobs, 1);
}

/* args[0]: one int for each worker that runs at the same time: its team. */
int note_team(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[0])[task->index] = team_of_openmp();
    return 0;
}

/* args[0]: one int a task: the threads of all that it runs at the same time; args[1]: text, on which backend. */
int sum_teams_inside(const parloom_task *task, void *const *args)
{
    Shared<int> teams(2);
    parloom_arg inner[] = { parloom_inout(teams.get(), 2 * sizeof(int)) };
    parloom_options given = on(static_cast<const char *>(args[1]));
    parloom_error error;
    parloom_status status = parloom_for(2, note_team, inner, 1, &given, &error);
    if (status != PARLOOM_OK) return parloom_fail(task, status, "%s", error.message);
    static_cast<int *>(args[0])[task->index] = teams[0] + teams[1];
    return 0;
}

} // namespace

TEST_F(Conformance, P7_09_VariablesOfLibrariesInWorkers)
{
    Blas blas;
    for (const found &seen : find_all(on("processes", 2), &error)) {
        EXPECT_EQ(seen.team, share(2));
        for (int k = 0; k < VARIABLES; k++) EXPECT_EQ(seen.variable[k], share(2)) << variables[k];
        EXPECT_EQ(seen.ipc, 1);
    }
    for (const char *name : variables) EXPECT_EQ(getenv(name), nullptr) << name << " of the program";
}

TEST_F(Conformance, P7_10_BlasInWorkersHasItsShare)
{
    Blas blas;
    ASSERT_TRUE(blas.is_built()) << "cc is missing";
    for (int n_jobs : { 2, 4, -2, -1 }) {
        parloom_options given = blas.on_processes(n_jobs);
        int jobs = parloom_effective_n_jobs(n_jobs);
        given.require = PARLOOM_REQUIRE_ISOLATION; /* in workers, also where all cores are one */
        for (const found &seen : find_all(given, &error)) EXPECT_EQ(seen.blas, share(jobs)) << n_jobs;
    }
    parloom_options given = blas.on_processes(1); /* in the caller */
    for (const found &seen : find_all(given, &error)) EXPECT_EQ(seen.blas, OWN) << "as it was";
}

TEST_F(Conformance, P7_12_WhatTheUserSetWins)
{
    Blas blas;
    ASSERT_TRUE(blas.is_built()) << "cc is missing";
    for (const char *name : { "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS" }) setenv(name, "4", 1);
    parloom_options given = blas.on_processes(2);
    for (const found &seen : find_all(given, &error)) {
        EXPECT_EQ(seen.team, 4);
        EXPECT_EQ(seen.blas, 4);
        for (int k = 0; k < VARIABLES; k++) EXPECT_EQ(seen.variable[k], k < 3 ? 4 : share(2)) << variables[k];
    }
    given.inner_max_num_threads = 1;
    for (const found &seen : find_all(given, &error)) {
        EXPECT_EQ(seen.team, 1);
        EXPECT_EQ(seen.blas, 1);
        for (int k = 0; k < VARIABLES; k++) EXPECT_EQ(seen.variable[k], 1) << variables[k];
    }
}

/* As many tasks as workers: these may all run at the same time, each with its team. At least one thread a task. */
TEST_F(Conformance, Y_30_TeamsFillTheCoresOnce)
{
    int cores = parloom_cpu_count(false);
    for (const char *name : variables) unsetenv(name);
    for (const char *outer : { "processes", "threads" })
        for (int n_jobs : { 2, 3 }) {
            std::vector<int> threads(static_cast<size_t>(n_jobs));
            parloom_arg args[] = { contract::out(threads) };
            parloom_options given = on(outer, n_jobs);
            ASSERT_OK(parloom_for(threads.size(), note_team, args, 1, &given, &error)) << outer;
            int sum = 0;
            for (int team : threads) sum += team;
            EXPECT_LE(sum, std::max(cores, n_jobs)) << outer;
            for (const char *inner : { "threads", "processes" }) {
                parloom_arg nested[] = { contract::out(threads), parloom_in(inner, strlen(inner) + 1) };
                ASSERT_OK(parloom_for(threads.size(), sum_teams_inside, nested, 2, &given, &error)) << outer << inner;
                sum = 0;
                for (int team : threads) sum += team;
                EXPECT_LE(sum, std::max(cores, 2 * n_jobs)) << outer << " > " << inner;
            }
        }
}

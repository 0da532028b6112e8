/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many threads OpenMP and BLAS may start in a task, that the caller has its own again afterwards, and that calls
 * inside tasks share what is left of the cores.
 */
#include "contract/test_inner_threads_contract.h"
#include "contract/places.h"

#include "support/module.h"

#include <algorithm>
#include <dlfcn.h>
#include <omp.h>

using namespace contract;

namespace
{

enum { TASKS = 8, OWN = 64 /* what the stand-ins for libraries have at first */ };

const char *const variables[] = { "OMP_NUM_THREADS",        "OPENBLAS_NUM_THREADS",
                                  "MKL_NUM_THREADS",        "BLIS_NUM_THREADS",
                                  "NUMBA_NUM_THREADS",      "NUMEXPR_NUM_THREADS",
                                  "VECLIB_MAXIMUM_THREADS", "ENABLE_IPC" };
enum { VARIABLES = 8, IPC = 7 };

int note_most_threads(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[0])[task->index] = omp_get_max_threads();
    return 0;
}

/* ---- what a task finds */

struct found {
    int openmp, openblas, blis, mkl;
    int variable[VARIABLES]; /* -1: not there */
};

int ask(const char *name)
{
    auto *get = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, name));
    return get != nullptr ? get() : 0;
}

found find_all()
{
    found found = { omp_get_max_threads(),
                    ask("openblas_get_num_threads"),
                    ask("bli_thread_get_num_threads"),
                    ask("MKL_Get_Max_Threads"),
                    {} };
    for (int k = 0; k < VARIABLES; k++) {
        const char *value = getenv(variables[k]);
        found.variable[k] = value != nullptr ? atoi(value) : -1;
    }
    return found;
}

int note_all(const parloom_task *task, void *const *args)
{
    static_cast<found *>(args[0])[task->index] = find_all();
    return 0;
}

/* Libraries with the interfaces of OpenBLAS, BLIS (1.0: counts of the thread) and MKL. */
const char *const blas_source = "static int openblas = 64, mkl = 64;\n"
                                "static _Thread_local long blis = 64;\n"
                                "static _Thread_local int mkl_local;\n"
                                "void openblas_set_num_threads(int n) { openblas = n; }\n"
                                "int openblas_get_num_threads(void) { return openblas; }\n"
                                "void bli_thread_set_num_threads(long n) { blis = n; }\n"
                                "long bli_thread_get_num_threads(void) { return blis; }\n"
                                "void MKL_Set_Num_Threads(int n) { mkl = n; }\n"
                                "int MKL_Get_Max_Threads(void) { return mkl_local > 0 ? mkl_local : mkl; }\n"
                                "int MKL_Set_Num_Threads_Local(int n)\n"
                                "{ int before = mkl_local; mkl_local = n; return before; }\n";

/* In a worker that did not inherit it. */
int open_blas(void *path)
{
    return dlopen(static_cast<const char *>(path), RTLD_NOW | RTLD_GLOBAL) != nullptr ? 0 : 1;
}

} // namespace

class InnerThreads : public Placed
{
  protected:
    void SetUp() override
    {
        for (const char *variable : variables) unsetenv(variable);
        Placed::SetUp();
    }
    static int share() { return std::max(parloom_cpu_count(false) / GetParam().n_jobs, 1); }
    /* One job runs in the caller: all is as it was. */
    static bool is_alone() { return GetParam().n_jobs == 1; }
    std::vector<int> found = std::vector<int>(TASKS);
    parloom_arg args[1] = { out(found) };
};
INSTANTIATE_TEST_SUITE_P(On, InnerThreads, ::testing::ValuesIn(every_place), name_of);

TEST_P(InnerThreads, AreAsManyAsTheCallSays)
{
    int before = omp_get_max_threads();
    for (int count : { 3, 1, 5 }) {
        parloom_options given = options();
        given.inner_max_num_threads = count;
        ASSERT_OK(parloom_for(TASKS, note_most_threads, args, 1, &given, &error));
        EXPECT_EQ(found, std::vector<int>(TASKS, count));
        EXPECT_EQ(omp_get_max_threads(), before) << "the caller's own are as they were";
    }
}

TEST_P(InnerThreads, AreAsManyAsTheScopeOrThePoolSays)
{
    int before = omp_get_max_threads();
    parloom_pool *pool = nullptr;
    parloom_options given = options(), on_pool = PARLOOM_OPTIONS_INIT, scope = PARLOOM_OPTIONS_INIT;
    scope.inner_max_num_threads = 4;
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_OK(parloom_for(TASKS, note_most_threads, args, 1, &given, &error));
    EXPECT_EQ(found, std::vector<int>(TASKS, 4));
    given.inner_max_num_threads = 3;
    EXPECT_OK(parloom_pool_open(&pool, &given, &error));
    on_pool.pool = pool;
    EXPECT_OK(parloom_for(TASKS, note_most_threads, args, 1, &on_pool, &error));
    EXPECT_EQ(found, std::vector<int>(TASKS, 3));
    parloom_scope_end();
    parloom_pool_close(pool);
    EXPECT_EQ(omp_get_max_threads(), before);
}

TEST_P(InnerThreads, AreReallyStarted)
{
    int before = omp_get_max_active_levels();
    for (int count : { 3, 1, 2 }) {
        parloom_options given = options();
        given.inner_max_num_threads = count;
        ASSERT_OK(parloom_for(TASKS, contract_count_team, args, 1, &given, &error));
        EXPECT_EQ(found, std::vector<int>(TASKS, count));
    }
    EXPECT_EQ(omp_get_max_active_levels(), before);
}

TEST_P(InnerThreads, AreAShareOfTheCoresWhereNobodySays)
{
    int before = omp_get_max_threads();
    parloom_options given = options();
    ASSERT_OK(parloom_for(TASKS, note_most_threads, args, 1, &given, &error));
    EXPECT_EQ(found, std::vector<int>(TASKS, is_alone() ? before : share()));
    given.inner_max_num_threads = -1; /* the same, below a scope that sets it */
    parloom_options scope = PARLOOM_OPTIONS_INIT;
    scope.inner_max_num_threads = 7;
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_OK(parloom_for(TASKS, note_most_threads, args, 1, &given, &error));
    parloom_scope_end();
    EXPECT_EQ(found, std::vector<int>(TASKS, is_alone() ? before : share()));
}

/* -------------------------------------------------- BLAS and the environment */

class InnerBlas : public InnerThreads
{
  protected:
    InnerBlas() : blas(blas_source) {}
    void SetUp() override
    {
        InnerThreads::SetUp();
        ASSERT_TRUE(blas.is_built()) << "cc is missing";
        path = blas.path();
        ASSERT_EQ(open_blas(&path[0]), 0);
        dlclose(blas.handle); /* opened twice */
    }
    parloom_options with_blas()
    {
        parloom_options given = options();
        if (!is_separate() || is("fork")) return given; /* it is there, or inherited */
        given.worker_init = open_blas;
        given.worker_init_state = path.c_str();
        given.worker_init_state_nbytes = path.size() + 1;
        return given;
    }
    void expect_counts(const struct found &seen, int openmp, int openblas, int blis, int mkl)
    {
        EXPECT_EQ(seen.openmp, openmp);
        EXPECT_EQ(seen.openblas, openblas);
        EXPECT_EQ(seen.blis, blis);
        EXPECT_EQ(seen.mkl, mkl);
    }
    /* That it is as it was, after each call. */
    void expect_own()
    {
        struct found now = find_all();
        expect_counts(now, openmp_before, OWN, OWN, OWN);
    }
    loom::Module blas;
    std::string path;
    int openmp_before = omp_get_max_threads();
    std::vector<struct found> all = std::vector<struct found>(TASKS);
    parloom_arg into[1] = { out(all) };
};
INSTANTIATE_TEST_SUITE_P(On, InnerBlas, ::testing::ValuesIn(every_place), name_of);

TEST_P(InnerBlas, HasAsManyThreadsAsTheCallSays)
{
    for (int count : { 3, 1, 5 }) {
        parloom_options given = with_blas();
        given.inner_max_num_threads = count;
        ASSERT_OK(parloom_for(TASKS, note_all, into, 1, &given, &error));
        for (const struct found &seen : all) expect_counts(seen, count, count, count, count);
        expect_own();
    }
}

TEST_P(InnerBlas, HasAShareOfTheCoresWhereNobodySays)
{
    parloom_options given = with_blas();
    int blas_share = is_alone() ? OWN : share(), openmp = is_alone() ? openmp_before : share();
    ASSERT_OK(parloom_for(TASKS, note_all, into, 1, &given, &error));
    for (const struct found &seen : all) expect_counts(seen, openmp, blas_share, blas_share, blas_share);
    expect_own();
}

TEST_P(InnerBlas, HasWhatTheUsersEnvironmentSaysAndTheCallOutweighsIt)
{
    if (is_alone()) return;
    for (const char *variable : { "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS" })
        setenv(variable, "4", 1);
    parloom_options given = with_blas();
    ASSERT_OK(parloom_for(TASKS, note_all, into, 1, &given, &error));
    for (const struct found &seen : all) expect_counts(seen, 4, 4, share(), 4);
    given.inner_max_num_threads = 1;
    ASSERT_OK(parloom_for(TASKS, note_all, into, 1, &given, &error));
    for (const struct found &seen : all) expect_counts(seen, 1, 1, 1, 1);
    expect_own();
}

TEST_P(InnerBlas, IsToldByVariablesInWorkerProcessesOnly)
{
    for (int count : { 0, 3 }) {
        parloom_options given = options();
        given.inner_max_num_threads = count;
        ASSERT_OK(parloom_for(TASKS, note_all, into, 1, &given, &error));
        int expected = !is_separate() ? -1 : count > 0 ? count : share();
        for (const struct found &seen : all) {
            for (int k = 0; k < IPC; k++) EXPECT_EQ(seen.variable[k], expected) << variables[k];
            EXPECT_EQ(seen.variable[IPC], is_separate() ? 1 : -1);
        }
        for (const char *variable : variables) EXPECT_EQ(getenv(variable), nullptr) << "the program's are its own";
    }
}

TEST_P(InnerBlas, IsToldByVariablesWhatTheUserSaid)
{
    if (!is_separate()) return;
    setenv("OMP_NUM_THREADS", "6,2", 1);
    setenv("MKL_NUM_THREADS", "4", 1);
    setenv("ENABLE_IPC", "0", 1);
    parloom_options given = options();
    ASSERT_OK(parloom_for(TASKS, note_all, into, 1, &given, &error));
    for (const struct found &seen : all) {
        EXPECT_EQ(seen.openmp, 6);
        EXPECT_EQ(seen.variable[0], 6);
        EXPECT_EQ(seen.variable[1], share());
        EXPECT_EQ(seen.variable[2], 4);
        EXPECT_EQ(seen.variable[IPC], 0);
    }
}

int fail_unless_told(void *)
{
    return getenv("OPENBLAS_NUM_THREADS") != nullptr && omp_get_max_threads() == 3 ? 0 : 1;
}

TEST_P(InnerBlas, IsToldBeforeWorkerInitOfForkedWorkers)
{
    if (!is("fork")) return;
    parloom_options given = options();
    given.inner_max_num_threads = 3;
    given.worker_init = fail_unless_told;
    EXPECT_OK(parloom_for(TASKS, note_all, into, 1, &given, &error));
}

/* The real ones, opened for themselves as interpreters do. */
int note_real(const parloom_task *task, void *const *args)
{
    const char *const get[] = { "openblas_get_num_threads", "bli_thread_get_num_threads" };
    const char *library = static_cast<const char *>(args[1]);
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL); /* in a worker it reads the variables now */
    if (handle == nullptr) return parloom_fail(task, 1, "%s", dlerror());
    for (const char *name : get) {
        auto *ask = reinterpret_cast<int (*)()>(dlsym(handle, name));
        if (ask != nullptr) static_cast<int *>(args[0])[task->index] = ask();
    }
    return 0;
}

TEST_P(InnerThreads, AreThoseOfRealBlasLibraries)
{
    for (const char *library : { "libopenblas.so.0", "libblis.so.4" }) {
        /* Not in a program that forks: OpenBLAS starts threads at once. */
        if (!is("fork") && dlopen(library, RTLD_NOW | RTLD_LOCAL) == nullptr)
            GTEST_SKIP() << library << " is not installed";
        for (int count : { std::min(2, parloom_cpu_count(false)), 1 }) { /* OpenBLAS starts with no more than cores */
            parloom_options given = options();
            given.inner_max_num_threads = count;
            parloom_arg both[] = { out(found), parloom_in(library, strlen(library) + 1) };
            parloom_status status = parloom_for(TASKS, note_real, both, 2, &given, &error);
            if (strstr(error.message, "No such file") != nullptr) GTEST_SKIP() << error.message;
            ASSERT_OK(status);
            EXPECT_EQ(found, std::vector<int>(TASKS, count)) << library;
        }
    }
}

/* A product of matrices of ones, large enough for BLAS threads. */
int multiply(const parloom_task *task, void *const *args)
{
    enum { N = 200, ROW_MAJOR = 101, NO_TRANSPOSE = 111 };
    void *handle = dlopen(static_cast<const char *>(args[1]), RTLD_NOW | RTLD_LOCAL);
    auto *dgemm =
        reinterpret_cast<void (*)(int, int, int, int, int, int, double, const double *, int, const double *, int,
                                  double, double *, int)>(handle != nullptr ? dlsym(handle, "cblas_dgemm") : nullptr);
    if (dgemm == nullptr) return parloom_fail(task, 1, "%s", dlerror());
    std::vector<double> a(N * N, 1), b(N * N, 2), c(N * N);
    dgemm(ROW_MAJOR, NO_TRANSPOSE, NO_TRANSPOSE, N, N, N, 1, a.data(), N, b.data(), N, 0, c.data(), N);
    static_cast<int *>(args[0])[task->index] = std::count(c.begin(), c.end(), 2.0 * N) == N * N;
    return 0;
}

TEST_P(InnerThreads, MultiplyInTasksAfterTheProgramHasMultiplied)
{
    for (const char *library : { "libopenblas.so.0", "libblis.so.4" }) {
        parloom_options given = options(), here = PARLOOM_OPTIONS_INIT;
        parloom_arg both[] = { out(found), parloom_in(library, strlen(library) + 1) };
        here.backend = "sequential";
        parloom_status status = parloom_for(1, multiply, both, 2, &here, &error);
        if (strstr(error.message, "No such file") != nullptr) GTEST_SKIP() << error.message;
        ASSERT_OK(status);
        if (is("fork")) given.backend_params = "force=1"; /* BLAS has threads now, and ends them in a fork itself */
        ASSERT_OK(parloom_for(TASKS, multiply, both, 2, &given, &error)) << library;
        EXPECT_EQ(found, std::vector<int>(TASKS, 1)) << library;
    }
}

/* -------------------------------------------------------------- calls in tasks */

namespace
{

struct inside {
    int all_cores, in_two;
};

int note_one(const parloom_task *, void *const *args)
{
    *static_cast<int *>(args[0]) = omp_get_max_threads();
    return 0;
}

int share_inside(const parloom_task *task, void *const *args)
{
    auto *seen = static_cast<inside *>(args[0]) + task->index;
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.backend = "threads";
    given.n_jobs = 2;
    seen->all_cores = parloom_effective_n_jobs(-1);
    int *counts = static_cast<int *>(parloom_alloc(2 * sizeof(int), nullptr));
    parloom_arg inner[] = { parloom_each(parloom_out(counts, 2 * sizeof(int)), sizeof(int)) };
    if (parloom_for(2, note_one, inner, 1, &given, nullptr) != PARLOOM_OK) return 1;
    seen->in_two = counts[0] == counts[1] ? counts[0] : -1;
    return 0;
}

} // namespace

TEST_P(InnerThreads, AreSharedByTheCallsOfATask)
{
    std::vector<inside> seen(TASKS);
    parloom_options given = options();
    parloom_arg into[] = { out(seen) };
    given.inner_max_num_threads = 6;
    ASSERT_OK(parloom_for(TASKS, share_inside, into, 1, &given, &error));
    for (const inside &one : seen) {
        EXPECT_EQ(one.all_cores, 6);
        EXPECT_EQ(one.in_two, 3);
    }
    given.inner_max_num_threads = 0;
    ASSERT_OK(parloom_for(TASKS, share_inside, into, 1, &given, &error));
    for (const inside &one : seen) {
        EXPECT_EQ(one.all_cores, is_alone() ? parloom_cpu_count(false) : share());
        EXPECT_EQ(one.in_two, std::max((is_alone() ? parloom_cpu_count(false) : share()) / 2, 1));
    }
}

TEST_P(InnerThreads, OfTheUsersEnvironmentHoldInCallsOfTasks)
{
    if (is_alone()) return;
    setenv("OMP_NUM_THREADS", "4", 1);
    std::vector<inside> seen(TASKS);
    parloom_options given = options();
    parloom_arg into[] = { out(seen) };
    ASSERT_OK(parloom_for(TASKS, share_inside, into, 1, &given, &error));
    for (const inside &one : seen) EXPECT_EQ(one.in_two, 4);
}

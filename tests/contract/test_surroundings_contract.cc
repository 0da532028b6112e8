/* SPDX-License-Identifier: BSD-3-Clause */
/* Environment, working directory, locale and umask of the program are those of its workers, call by call. */
#include "contract/places.h"

#include <clocale>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

extern "C" void loom_supervisor_end(void);

namespace
{

enum { TASKS = 24, TEXT = 512 };

struct Seen {
    char one[TEXT], two[TEXT], locale[TEXT], path[TEXT];
    unsigned long long inode;
    unsigned umask;
    int n_variables;
};

/* Workers have these of their own, where the program has not: how many threads a task may start. */
bool is_of_worker(const char *variable)
{
    for (const char *name : { "OMP_NUM_THREADS=", "OPENBLAS_NUM_THREADS=", "MKL_NUM_THREADS=", "BLIS_NUM_THREADS=",
                              "VECLIB_MAXIMUM_THREADS=", "NUMBA_NUM_THREADS=", "NUMEXPR_NUM_THREADS=", "ENABLE_IPC=" })
        if (strncmp(variable, name, strlen(name)) == 0) return true;
    return false;
}

int look(const parloom_task *task, void *const *args)
{
    Seen *seen = static_cast<Seen *>(args[0]) + task->index;
    const char *one = getenv("STATE_ONE"), *two = getenv("STATE_TWO");
    snprintf(seen->one, TEXT, "%s", one != nullptr ? one : "unset");
    snprintf(seen->two, TEXT, "%s", two != nullptr ? two : "unset");
    snprintf(seen->locale, TEXT, "%s", setlocale(LC_ALL, nullptr));
    if (getcwd(seen->path, TEXT) == nullptr) snprintf(seen->path, TEXT, "%s", "none");
    struct stat here = {};
    (void)stat(".", &here);
    seen->inode = here.st_ino;
    if (task->n_jobs > 1 &&
        strcmp(task->backend, "threads") != 0) { /* of the whole process: not beside other threads */
        mode_t mask = umask(0);
        umask(mask);
        seen->umask = static_cast<unsigned>(mask);
    }
    seen->n_variables = 0;
    for (char **at = environ; *at != nullptr; at++) seen->n_variables += !is_of_worker(*at);
    return 0;
}

class Surroundings : public contract::Placed
{
  protected:
    void SetUp() override
    {
        Placed::SetUp();
        ASSERT_NE(getcwd(home, sizeof home), nullptr);
        char name[] = "/tmp/surroundings_XXXXXX";
        folder = mkdtemp(name);
        parloom_options made = options();
        ASSERT_OK(parloom_pool_open(&pool, &made, &error));
    }
    void TearDown() override
    {
        parloom_pool_close(pool);
        unsetenv("STATE_ONE");
        unsetenv("STATE_TWO");
        (void)setlocale(LC_ALL, "C");
        if (chdir(home) != 0) ADD_FAILURE() << "cannot go back to " << home;
        (void)rmdir(folder.c_str());
        Placed::TearDown();
    }
    void call()
    {
        parloom_options given = PARLOOM_OPTIONS_INIT;
        given.pool = pool;
        parloom_arg args[] = { parloom_out(seen.get(), TASKS * sizeof(Seen)) };
        ASSERT_OK(parloom_for(TASKS, look, args, 1, &given, &error));
    }
    template <typename Member> void expect_all(Member member, const std::string &text)
    {
        for (int k = 0; k < TASKS; k++) EXPECT_EQ(std::string(seen[k].*member), text) << "task " << k;
    }
    unsigned long long inode_here()
    {
        struct stat here = {};
        EXPECT_EQ(stat(".", &here), 0);
        return here.st_ino;
    }
    int count_variables()
    {
        int count = 0;
        for (char **at = environ; *at != nullptr; at++) count += !is_of_worker(*at);
        return count;
    }

    contract::Shared<Seen> seen{ TASKS };
    parloom_pool *pool = nullptr;
    std::string folder;
    char home[4096];
};

} // namespace

TEST_P(Surroundings, EnvironmentIsTheProgramsInEachCall)
{
    call();
    expect_all(&Seen::one, "unset");
    setenv("STATE_ONE", "first", 1);
    setenv("STATE_TWO", "", 1);
    call();
    expect_all(&Seen::one, "first");
    expect_all(&Seen::two, "");
    setenv("STATE_ONE", "second and longer than the first", 1);
    unsetenv("STATE_TWO");
    call();
    expect_all(&Seen::one, "second and longer than the first");
    expect_all(&Seen::two, "unset");
    for (int k = 0; k < TASKS; k++) EXPECT_EQ(seen[k].n_variables, count_variables());
}

TEST_P(Surroundings, EnvironmentThatIsChangedInItsPlaceIsTheProgramsToo)
{
    char variable[] = "STATE_ONE=abc";
    putenv(variable);
    call();
    expect_all(&Seen::one, "abc");
    variable[sizeof "STATE_ONE"] = 'x';
    call();
    expect_all(&Seen::one, "xbc");
    unsetenv("STATE_ONE"); /* it points to this frame */
}

TEST_P(Surroundings, WorkingDirectoryIsTheProgramsInEachCall)
{
    call();
    expect_all(&Seen::path, home);
    ASSERT_EQ(chdir(folder.c_str()), 0);
    call();
    expect_all(&Seen::path, folder);
    ASSERT_EQ(chdir("/"), 0);
    call();
    expect_all(&Seen::path, "/");
    ASSERT_EQ(chdir(home), 0);
    call();
    expect_all(&Seen::path, home);
}

TEST_P(Surroundings, WorkingDirectoryNeedsNoPath)
{
    call(); /* workers run */
    std::string moved = folder + "_moved";
    ASSERT_EQ(chdir(folder.c_str()), 0);
    call();
    ASSERT_EQ(rename(folder.c_str(), moved.c_str()), 0);
    call();
    expect_all(&Seen::path, moved);
    ASSERT_EQ(rmdir(moved.c_str()), 0);
    unsetenv("STATE_ONE");
    setenv("STATE_ONE", "gone", 1); /* something changed: workers look again */
    call();
    for (int k = 0; k < TASKS; k++) EXPECT_EQ(seen[k].inode, inode_here());
    expect_all(&Seen::path, "none");
    expect_all(&Seen::one, "gone");
}

TEST_P(Surroundings, WorkingDirectoryThatWasRemovedIsReachedByWorkersThatStartLater)
{
    call();
    ASSERT_EQ(chdir(folder.c_str()), 0);
    ASSERT_EQ(rmdir(folder.c_str()), 0);
    call(); /* workers that were elsewhere */
    for (int k = 0; k < TASKS; k++) EXPECT_EQ(seen[k].inode, inode_here());
    parloom_pool_close(pool);
    parloom_options made = options();
    ASSERT_OK(parloom_pool_open(&pool, &made, &error));
    call(); /* new ones, of the same supervisor */
    for (int k = 0; k < TASKS; k++) EXPECT_EQ(seen[k].inode, inode_here());
}

TEST_P(Surroundings, WorkingDirectoryIsKnownToANewSupervisor)
{
    call();
    ASSERT_EQ(chdir(folder.c_str()), 0);
    call();
    loom_supervisor_end();
    call();
    expect_all(&Seen::path, folder);
    ASSERT_EQ(chdir(home), 0);
    call();
    expect_all(&Seen::path, home);
    ASSERT_EQ(chdir(folder.c_str()), 0);
    call();
    expect_all(&Seen::path, folder);
}

TEST_P(Surroundings, WorkingDirectoryThatWasMadeAnewIsAnotherOne)
{
    call();
    ASSERT_EQ(chdir(folder.c_str()), 0);
    call();
    ASSERT_EQ(rmdir(folder.c_str()), 0);
    ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
    ASSERT_EQ(chdir(folder.c_str()), 0);
    call();
    expect_all(&Seen::path, folder);
}

TEST_P(Surroundings, LocaleIsTheProgramsInEachCall)
{
    call();
    expect_all(&Seen::locale, setlocale(LC_ALL, nullptr));
    ASSERT_NE(setlocale(LC_ALL, "C.UTF-8"), nullptr);
    call();
    expect_all(&Seen::locale, "C.UTF-8");
    ASSERT_NE(setlocale(LC_NUMERIC, "C"), nullptr);
    call();
    expect_all(&Seen::locale, setlocale(LC_ALL, nullptr));
}

TEST_P(Surroundings, UmaskFollowsWithAnotherChange)
{
    if (!is_separate()) return; /* the process's own */
    call();
    mode_t before = umask(0027);
    setenv("STATE_ONE", "changed", 1);
    call();
    for (int k = 0; k < TASKS; k++) EXPECT_EQ(seen[k].umask, 0027u);
    umask(before);
}

namespace
{

int leave_changed(const parloom_task *, void *const *)
{
    if (setenv("STATE_ONE", "left by a task", 1) != 0 || unsetenv("HOME") != 0) return 1;
    return chdir("/") != 0 || setlocale(LC_ALL, "C.UTF-8") == nullptr;
}

} // namespace

TEST_P(Surroundings, ThatATaskLeftChangedAreTheProgramsInTheNextCall)
{
    if (!is_separate()) return; /* the program's own */
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.pool = pool;
    setenv("HOME", "/somewhere", 1);
    for (int k = 0; k < 3; k++) {
        ASSERT_OK(parloom_for(TASKS, leave_changed, nullptr, 0, &given, &error));
        call();
        expect_all(&Seen::one, "unset");
        expect_all(&Seen::path, home);
        expect_all(&Seen::locale, setlocale(LC_ALL, nullptr));
        for (int i = 0; i < TASKS; i++) EXPECT_EQ(seen[i].n_variables, count_variables());
    }
}

namespace
{

int leave_umask(const parloom_task *, void *const *)
{
    (void)umask(0031);
    return 0;
}

} // namespace

/* The umask alone is no change that a call looks for: it tells whether anything was taken on again. */
TEST_P(Surroundings, AreNotTakenOnAgainWhereNothingHasChanged)
{
    if (strcmp(GetParam().backend, "processes") != 0) return; /* workers of fork begin with each call */
    call();
    parloom_options given = PARLOOM_OPTIONS_INIT;
    given.pool = pool;
    given.schedule = PARLOOM_SCHEDULE_STATIC; /* every worker has a task */
    ASSERT_OK(parloom_for(TASKS, leave_umask, nullptr, 0, &given, &error));
    call();
    for (int k = 0; k < TASKS; k++) EXPECT_EQ(seen[k].umask, 0031u);
}

INSTANTIATE_TEST_SUITE_P(Everywhere, Surroundings, ::testing::ValuesIn(contract::every_backend), contract::name_of);

/* SPDX-License-Identifier: BSD-3-Clause */
/* Variables that worker processes have and the program has not. */
#include "contract/shared_workers.h"
#include "support/module.h"

#include <cstdlib>
#include <omp.h>

using namespace contract;

namespace
{

enum { TASKS = 12, ROOM = 64 };

/* args[0]: ROOM characters a task, for the value; args[1]: the name. */
int note_variable(const parloom_task *task, void *const *args)
{
    const char *value = getenv(static_cast<const char *>(args[1]));
    strncpy(static_cast<char *>(args[0]) + task->index * ROOM, value != nullptr ? value : "(none)", ROOM - 1);
    return 0;
}

int note_threads(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[0])[task->index] = omp_get_max_threads();
    return 0;
}

int fail_unless_there(void *)
{
    const char *value = getenv("LOOM_TEST_OWN");
    return value != nullptr && strcmp(value, "1") == 0 ? 0 : 7;
}

/* As a library does that reads its settings when it is opened. */
const char *const reading_source =
    "#include <stdlib.h>\n"
    "static int found;\n"
    "__attribute__((constructor)) static void read_it(void)\n"
    "{ const char *value = getenv(\"LOOM_TEST_OWN\"); found = value ? atoi(value) : -1; }\n"
    "int check(const void *task, void *const *args)\n"
    "{ (void)task; return found == *(int *)args[0] ? 0 : 1; }\n";

/* Changes it for who comes after. */
int spoil(const parloom_task *, void *const *)
{
    return setenv("LOOM_TEST_OWN", "spoilt", 1);
}

} // namespace

class WorkerEnvironment : public Placed
{
  protected:
    void SetUp() override
    {
        Placed::SetUp();
        unsetenv("LOOM_TEST_OWN");
        unsetenv("LOOM_TEST_BOTH");
    }
    static parloom_options with(const char *variables)
    {
        parloom_options given = options();
        given.worker_environment = variables;
        return given;
    }
    /* What all tasks found; "(differ)", or the message where the call failed. */
    std::string found(const char *name, const parloom_options &given)
    {
        std::vector<char> values(TASKS * ROOM);
        parloom_arg args[] = { out(values), parloom_in(name, strlen(name) + 1) };
        if (parloom_for(TASKS, note_variable, args, 2, &given, &error) != PARLOOM_OK) return error.message;
        for (size_t k = 1; k < TASKS; k++)
            if (strcmp(&values[0], &values[k * ROOM]) != 0) return "(differ)";
        return &values[0];
    }
};

class WorkerEnvironmentOfThreads : public WorkerEnvironment
{
};

INSTANTIATE_TEST_SUITE_P(On, WorkerEnvironment, ::testing::ValuesIn(every_kill), name_of);
INSTANTIATE_TEST_SUITE_P(On, WorkerEnvironmentOfThreads,
                         ::testing::Values(Place{ "sequential", 1 }, Place{ "threads", 2 }, Place{ "pthreads", 2 }),
                         name_of);

TEST_P(WorkerEnvironment, IsThatOfWorkersAlone)
{
    parloom_options given = with("LOOM_TEST_OWN=1;LOOM_TEST_BOTH=a=b c");
    setenv("LOOM_TEST_BOTH", "the program's", 1);
    EXPECT_EQ(found("LOOM_TEST_OWN", given), "1");
    EXPECT_EQ(found("LOOM_TEST_BOTH", given), "a=b c") << "it wins over the program's";
    EXPECT_EQ(getenv("LOOM_TEST_OWN"), nullptr);
    EXPECT_STREQ(getenv("LOOM_TEST_BOTH"), "the program's");
    EXPECT_EQ(found("LOOM_TEST_OWN", with("LOOM_TEST_OWN=")), "");
    EXPECT_EQ(found("LOOM_TEST_OWN", options()), "(none)");
}

TEST_P(WorkerEnvironment, StaysWhenTheProgramsChanges)
{
    parloom_options given = with("LOOM_TEST_OWN=1");
    EXPECT_EQ(found("LOOM_TEST_OWN", given), "1");
    setenv("LOOM_TEST_OWN", "the program's", 1);
    setenv("LOOM_TEST_BOTH", "2", 1);
    EXPECT_EQ(found("LOOM_TEST_OWN", given), "1");
    EXPECT_EQ(found("LOOM_TEST_BOTH", given), "2") << "which follows as ever";
    unsetenv("LOOM_TEST_OWN");
    unsetenv("LOOM_TEST_BOTH");
    EXPECT_EQ(found("LOOM_TEST_OWN", given), "1");
    EXPECT_EQ(found("LOOM_TEST_BOTH", given), "(none)");
    ASSERT_OK(parloom_for(TASKS, spoil, nullptr, 0, &given, &error));
    EXPECT_EQ(found("LOOM_TEST_OWN", given), "1") << "what a task does to it is put right";
}

TEST_P(WorkerEnvironment, IsThereBeforeWorkerInitAndTheLibrariesOfTasks)
{
    loom::Module library(reading_source);
    ASSERT_TRUE(library.is_built()) << "cc is missing";
    parloom_body check = reinterpret_cast<parloom_body>(library.symbol("check"));
    int own = is("fork") ? -1 : 1; /* a forked worker has it as the program opened it */
    parloom_arg args[] = { parloom_in(&own, sizeof own) };
    parloom_options given = with("LOOM_TEST_OWN=1");
    given.worker_init = fail_unless_there;
    EXPECT_OK(parloom_for(TASKS, check, args, 1, &given, &error));
    given.worker_environment = nullptr;
    EXPECT_EQ(parloom_for(TASKS, check, args, 1, &given, &error), PARLOOM_ERR_CALLBACK);
}

TEST_P(WorkerEnvironment, NeedsAWorkerForOneJobToo)
{
    parloom_options given = with("LOOM_TEST_OWN=1");
    given.n_jobs = 1;
    EXPECT_EQ(found("LOOM_TEST_OWN", given), "1");
}

TEST_P(WorkerEnvironment, SaysHowManyThreadsUnlessTheCallDoes)
{
    std::vector<int> threads(TASKS);
    parloom_arg args[] = { out(threads) };
    parloom_options given = with("OMP_NUM_THREADS=5");
    setenv("OMP_NUM_THREADS", "3", 1);
    ASSERT_OK(parloom_for(TASKS, note_threads, args, 1, &given, &error));
    EXPECT_EQ(threads, std::vector<int>(TASKS, 5));
    EXPECT_EQ(found("OMP_NUM_THREADS", given), "5");
    given.inner_max_num_threads = 2;
    ASSERT_OK(parloom_for(TASKS, note_threads, args, 1, &given, &error));
    EXPECT_EQ(threads, std::vector<int>(TASKS, 2));
    given = options();
    ASSERT_OK(parloom_for(TASKS, note_threads, args, 1, &given, &error));
    EXPECT_EQ(threads, std::vector<int>(TASKS, 3));
    unsetenv("OMP_NUM_THREADS");
}

TEST_P(WorkerEnvironment, OfAPoolIsOfAllItsCalls)
{
    parloom_options given = with("LOOM_TEST_OWN=1"), on_pool = PARLOOM_OPTIONS_INIT, scope = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_pool_open(&on_pool.pool, &given, &error));
    EXPECT_EQ(found("LOOM_TEST_OWN", on_pool), "1");
    on_pool.worker_environment = "LOOM_TEST_OWN=1";
    EXPECT_EQ(found("LOOM_TEST_OWN", on_pool), "1");
    on_pool.worker_environment = "LOOM_TEST_OWN=2";
    EXPECT_EQ(parloom_for(TASKS, spoil, nullptr, 0, &on_pool, &error), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("worker_environment differs from that of the pool");
    on_pool.worker_environment = nullptr;
    scope.worker_environment = "LOOM_TEST_OWN=2";
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_EQ(found("LOOM_TEST_OWN", on_pool), "1");
    EXPECT_EQ(found("LOOM_TEST_OWN", options()), "2");
    parloom_scope_end();
    parloom_pool_close(on_pool.pool);
}

/* A scope may be meant for other calls; a call is not. */
TEST_P(WorkerEnvironmentOfThreads, IsRefusedWhereTheCallSaysItAndElseOfNoMeaning)
{
    parloom_options scope = PARLOOM_OPTIONS_INIT, named = with("LOOM_TEST_OWN=1");
    EXPECT_EQ(parloom_for(TASKS, spoil, nullptr, 0, &named, &error), PARLOOM_ERR_UNSUPPORTED);
    EXPECT_SAYS("LOOM_TEST_OWN=1");
    scope.worker_environment = "LOOM_TEST_OWN=1";
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_EQ(found("LOOM_TEST_OWN", options()), "(none)");
    parloom_scope_end();
}

TEST_F(SharedWorkers, OfAnotherEnvironmentAreOthers)
{
    given.worker_environment = "LOOM_TEST_OWN=1";
    Pids first = meet_all(2);
    EXPECT_EQ(report.workers_started, 2);
    std::string same = "LOOM_TEST_OWN=1"; /* another text that says it */
    given.worker_environment = same.c_str();
    EXPECT_EQ(meet_all(2), first);
    EXPECT_EQ(report.workers_started, 0);
    for (const char *other : { "LOOM_TEST_OWN=2", static_cast<const char *>(nullptr) }) {
        given.worker_environment = other;
        EXPECT_FALSE(holds(meet_all(2), first));
        EXPECT_EQ(report.workers_started, 2);
    }
}

static int return_variable(const parloom_task *task, void *const *)
{
    const char *value = getenv("LOOM_TEST_OWN");
    return value != nullptr ? parloom_return(task, value, strlen(value)) : 1;
}

/* state: how many calls are left. */
static int next_call(void *state, parloom_call *call_out)
{
    *call_out = { return_variable, nullptr, 0 };
    return (*static_cast<int *>(state))-- > 0;
}

TEST_F(SharedWorkers, HaveTheEnvironmentOfAStream)
{
    int left = 4;
    parloom_stream *stream = nullptr;
    parloom_options streaming = PARLOOM_OPTIONS_INIT;
    streaming.n_jobs = 2;
    streaming.worker_environment = "LOOM_TEST_OWN=1";
    ASSERT_OK(parloom_stream_open(&stream, next_call, &left, true, &streaming, &error));
    parloom_result result;
    for (bool is_done = false; parloom_stream_next(stream, &result, &is_done, &error) == PARLOOM_OK && !is_done;)
        EXPECT_EQ(std::string(static_cast<const char *>(result.data), result.nbytes), "1");
    parloom_stream_close(stream);
    EXPECT_EQ(error.status, PARLOOM_OK) << error.message;
}

TEST(WorkerEnvironmentText, HasANameInEachPart)
{
    parloom_error error;
    parloom_options given = PARLOOM_OPTIONS_INIT;
    for (const char *text : { "", "NAME", "=1", "A=1;", ";A=1", "A=1;;B=2", "A=1;B" }) {
        EXPECT_EQ(parloom_options_set(&given, "worker_environment", text, &error), PARLOOM_ERR_INVALID) << text;
        given.worker_environment = text;
        EXPECT_EQ(parloom_scope_begin(&given, &error), PARLOOM_ERR_INVALID) << text;
        EXPECT_SAYS("NAME=value;NAME2=value2");
        given.worker_environment = nullptr;
    }
    EXPECT_OK(parloom_options_set(&given, "worker_environment", "A=1;B=", &error));
    EXPECT_STREQ(given.worker_environment, "A=1;B=");
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* A registered backend whose workers are processes that it forks: chunks and results travel through pipes. */
#include "contract/places.h"

#include <parloom/backend.h>

#include <csignal>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace contract;

namespace
{

/* A child for each worker; the program tells it a chunk, and is told the result. One worker at a time: simple. */
struct Child {
    pid_t pid = 0;
    int to = -1, from = -1;

    void start(parloom_backend_run *run, int worker)
    {
        int down[2], up[2];
        ASSERT_EQ(pipe(down) | pipe(up), 0);
        pid = fork();
        if (pid == 0) {
            close(down[1]);
            close(up[0]);
            serve(run, worker, down[0], up[1]);
        }
        close(down[0]);
        close(up[1]);
        to = down[1];
        from = up[0];
    }
    [[noreturn]] static void serve(parloom_backend_run *run, int worker, int in, int out)
    {
        parloom_backend_chunk chunk;
        parloom_backend_result result;
        while (read(in, &chunk, sizeof chunk) == sizeof chunk)
            while (parloom_backend_execute(run, worker, &chunk, &result))
                if (write(out, &result, sizeof result) != sizeof result) _exit(9);
        _exit(0);
    }
    int end()
    {
        int status = 0;
        close(to);
        close(from);
        (void)waitpid(pid, &status, 0);
        pid = 0;
        return status;
    }
};

/* Batches of one task: who died was in it. */
parloom_backend_result blame(const parloom_backend_chunk &chunk, pid_t pid, int status)
{
    parloom_backend_result result = {};
    result.begin = result.failed = chunk.begin;
    result.end = chunk.begin + 1;
    result.status = WIFSIGNALED(status) ? PARLOOM_ERR_CRASHED : PARLOOM_ERR_EXITED;
    result.error.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    result.error.code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    result.error.pid = pid;
    strcpy(result.error.message, "a child died");
    return result;
}

parloom_status run_forked(void *, void *, parloom_backend_run *run, parloom_error *)
{
    for (int worker = 0; worker < parloom_backend_workers(run); worker++) {
        Child child;
        parloom_backend_chunk chunk;
        parloom_backend_result result;
        while (parloom_backend_next(run, worker, &chunk)) {
            while (chunk.begin < chunk.end) {
                if (child.pid == 0) child.start(run, worker);
                EXPECT_EQ(write(child.to, &chunk, sizeof chunk), static_cast<ssize_t>(sizeof chunk));
                if (read(child.from, &result, sizeof result) != sizeof result) {
                    pid_t pid = child.pid;
                    result = blame(chunk, pid, child.end());
                }
                chunk.begin = result.end;
                EXPECT_EQ(parloom_backend_report(run, worker, &result), PARLOOM_OK);
                if (chunk.begin < chunk.end && child.pid != 0) child.end(); /* it goes on by itself: another one does */
            }
        }
        if (child.pid != 0) child.end();
    }
    return PARLOOM_OK;
}

int die_or_square(const parloom_task *task, void *const *args)
{
    if (task->index == 3) raise(SIGKILL);
    if (task->index == 5) _exit(7);
    if (task->index == 8) return parloom_fail(task, 2, "eight is too many");
    static_cast<long *>(args[0])[task->index] = static_cast<long>(task->index * task->index);
    return 0;
}

int add_one(const parloom_task *, void *const *args)
{
    *static_cast<long *>(args[0]) += 1;
    return 0;
}

/* args[0]: the CPUs that each task may use. */
int note_cpus(const parloom_task *task, void *const *args)
{
    return sched_getaffinity(0, sizeof(cpu_set_t), static_cast<cpu_set_t *>(args[0]) + task->index);
}

void add_up(void *total, const void *part)
{
    *static_cast<long *>(total) += *static_cast<const long *>(part);
}

} // namespace

class Forked : public loom::Clean
{
  protected:
    void SetUp() override
    {
        loom::Clean::SetUp();
        parloom_backend_ops ops = {};
        ops.struct_size = sizeof ops;
        ops.abi = PARLOOM_BACKEND_ABI;
        ops.run = run_forked;
        ASSERT_OK(parloom_backend_register("forked", &ops, nullptr, false, &error));
        given.backend = "forked";
        given.n_jobs = 2;
        given.batch_size = 1;
    }
    void TearDown() override
    {
        EXPECT_OK(parloom_backend_unregister("forked", &error));
        loom::Clean::TearDown();
    }
    parloom_options given = PARLOOM_OPTIONS_INIT;
    parloom_error error = {};
};

TEST_F(Forked, LosesOneTaskForEachChildThatDies)
{
    long squares[12];
    std::fill(squares, squares + 12, -1);
    parloom_error errors[4];
    parloom_status statuses[12];
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    given.errors = errors;
    given.n_errors = 4;
    given.statuses = statuses;
    parloom_arg args[] = { parloom_out(squares, sizeof squares) };
    EXPECT_EQ(parloom_for(12, die_or_square, args, 1, &given, &error), PARLOOM_ERR_CRASHED);
    EXPECT_EQ(error.task, 3u);
    EXPECT_EQ(error.signal, SIGKILL);
    EXPECT_EQ(errors[1].task, 5u);
    EXPECT_EQ(errors[1].status, PARLOOM_ERR_EXITED);
    EXPECT_EQ(errors[1].code, 7);
    EXPECT_EQ(errors[2].code, 2);
    EXPECT_STREQ(errors[2].message, "eight is too many");
    for (long k = 0; k < 12; k++)
        EXPECT_TRUE(k == 3 || k == 5 || k == 8 || (statuses[k] == PARLOOM_OK && squares[k] == k * k)) << k;
}

TEST_F(Forked, HasNoReductions)
{
    long total = 0;
    parloom_arg args[] = { parloom_reduce(&total, sizeof total, add_up) };
    EXPECT_EQ(parloom_for(12, add_one, args, 1, &given, &error), PARLOOM_ERR_UNSUPPORTED);
    EXPECT_SAYS("reductions");
}

TEST_F(Forked, BindsTheTasksOfItsChildren)
{
    enum { TASKS = 6 };
    cpu_set_t ours, cpus[TASKS], after, one;
    ASSERT_EQ(sched_getaffinity(0, sizeof ours, &ours), 0);
    int last = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &ours)) last = cpu;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(last), &one);
    std::string bind = std::to_string(last);
    given.bind = bind.c_str();
    parloom_arg args[] = { parloom_out(cpus, sizeof cpus) };
    ASSERT_OK(parloom_for(TASKS, note_cpus, args, 1, &given, &error));
    for (const cpu_set_t &set : cpus) EXPECT_TRUE(CPU_EQUAL(&set, &one));
    ASSERT_EQ(sched_getaffinity(0, sizeof after, &after), 0);
    EXPECT_TRUE(CPU_EQUAL(&after, &ours));
}

// SPDX-License-Identifier: BSD-3-Clause
/*
 * test_crashes.cc - how a task may end its worker, one row each: the status, what the error says, that the others
 * deliver and that the next call works. In processes and in forked children alike.
 */
#include "support/harm.h"

#include <cstring>
#include <dlfcn.h>
#include <string>
#include <tuple>
#include <vector>

namespace
{

using namespace loom;

struct Row {
    const char *name;
    How how;
    parloom_status status;
    int number;       /* signal or exit code */
    const char *says; /* in the message */
};

void PrintTo(const Row &row, std::ostream *stream)
{
    *stream << row.name;
}

class CrashMatrix : public Crashes, public ::testing::WithParamInterface<std::tuple<const char *, Row>>
{
};

TEST_P(CrashMatrix, CostsOneTaskAndNamesIt)
{
    const Row &row = std::get<1>(GetParam());
    options.backend = std::get<0>(GetParam());
    if (row.how == THREAD_EXIT && dlsym(RTLD_DEFAULT, "__kmpc_global_thread_num") != nullptr)
        GTEST_SKIP() << "LLVM's OpenMP crashes itself when the first thread of a forked child exits";
    shared->how = row.how;
    for (size_t victim : { size_t{ 0 }, TASKS / 2, TASKS - 1 }) {
        shared->victim = victim;
        EXPECT_EQ(call(do_harm), row.status) << error.message;
        EXPECT_EQ(statuses[victim], row.status);
        EXPECT_EQ(error.task, victim);
        EXPECT_EQ(row.status == PARLOOM_ERR_CRASHED ? error.signal : error.code, row.number) << error.message;
        EXPECT_GT(error.pid, 0);
        EXPECT_GE(error.worker, 0);
        EXPECT_NE(std::strstr(error.message, row.says), nullptr) << error.message;
        EXPECT_NE(std::strstr(error.message, "do_harm"), nullptr) << error.message;
        expect_others_delivered(victim);
    }
    shared->victim = TASKS;
    EXPECT_EQ(call(do_harm), PARLOOM_OK) << error.message;
}

const Row ROWS[] = {
    { "NullWrite", NULL_WRITE, PARLOOM_ERR_CRASHED, SIGSEGV, "SIGSEGV at 0x8" },
    { "WildWrite", WILD_WRITE, PARLOOM_ERR_CRASHED, SIGSEGV, "SIGSEGV at 0x123456789000" },
    { "Jump", JUMP, PARLOOM_ERR_CRASHED, SIGSEGV, "SIGSEGV" },
    { "Abort", ABORT, PARLOOM_ERR_CRASHED, SIGABRT, "SIGABRT" },
    { "Divide", DIVIDE, PARLOOM_ERR_CRASHED, SIGFPE, "SIGFPE" },
    { "Illegal", ILLEGAL, PARLOOM_ERR_CRASHED, SIGILL, "SIGILL" },
    { "Bus", BUS, PARLOOM_ERR_CRASHED, SIGBUS, "SIGBUS" },
    { "Trap", TRAP, PARLOOM_ERR_CRASHED, SIGTRAP, "SIGTRAP" },
    { "BadSystemCall", BADSYS, PARLOOM_ERR_CRASHED, SIGSYS, "SIGSYS" },
    { "CpuLimit", CPU_LIMIT, PARLOOM_ERR_CRASHED, SIGXCPU, "SIGXCPU" },
    { "Terminated", TERMINATED, PARLOOM_ERR_CRASHED, SIGTERM, "SIGTERM" },
    { "Hangup", HANGUP, PARLOOM_ERR_CRASHED, SIGHUP, "SIGHUP" },
    { "Overflow", OVERFLOWS, PARLOOM_ERR_CRASHED, SIGSEGV, "stack overflow" },
    { "Throw", THROWS, PARLOOM_ERR_CRASHED, SIGABRT, "SIGABRT" },
    { "Exit3", EXIT_3, PARLOOM_ERR_EXITED, 3, "exit code 3" },
    { "Exit0", EXIT_0, PARLOOM_ERR_EXITED, 0, "exit code 0" },
    { "QuickExit", QUICK_EXIT_5, PARLOOM_ERR_EXITED, 5, "exit code 5" },
    { "UnderscoreExit", UNDERSCORE_EXIT_4, PARLOOM_ERR_EXITED, 4, "exit code 4" },
    { "ThreadExit", THREAD_EXIT, PARLOOM_ERR_EXITED, 0, "exit code 0" },
    { "Exec", EXEC, PARLOOM_ERR_EXITED, 6, "exit code 6" },
};

INSTANTIATE_TEST_SUITE_P(, CrashMatrix,
                         ::testing::Combine(::testing::Values("processes", "fork"), ::testing::ValuesIn(ROWS)),
                         [](const ::testing::TestParamInfo<std::tuple<const char *, Row>> &info) {
                             return std::string(std::get<0>(info.param)) + std::get<1>(info.param).name;
                         });

int write_to_input(const parloom_task *task, void *const *args)
{
    if (task->index == 2) const_cast<char *>(static_cast<const char *>(args[0]))[5] = 1;
    return 0;
}

TEST_F(Crashes, ByAWriteToAnInputAreNamedAsThat)
{
    std::vector<char> small(64), large(3 << 20);
    for (auto *data : { &small, &large }) {
        options.backend = "processes";
        parloom_arg in = parloom_in(data->data(), data->size());
        EXPECT_EQ(parloom_for(4, write_to_input, &in, 1, &options, &error), PARLOOM_ERR_CRASHED);
        EXPECT_EQ(error.task, 2u);
        EXPECT_NE(std::strstr(error.message, "writing to an in argument"), nullptr) << error.message;
    }
}

} // namespace

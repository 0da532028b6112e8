/* SPDX-License-Identifier: BSD-3-Clause */
/* Y and P1: how a call tells how far it is, and how it is cancelled. */
#include "conformance/conformance.h"

#include <algorithm>

using namespace conformance;

namespace
{

enum { TASKS = 100 };

int take_two_milliseconds(const parloom_task *, void *const *)
{
    usleep(2000);
    return 0;
}

/* What progress was told. */
struct Told {
    std::vector<size_t> ended;
    size_t tasks = 0;
    static void take(const parloom_report *so_far, void *state)
    {
        auto *told = static_cast<Told *>(state);
        told->tasks = so_far->tasks;
        told->ended.push_back(so_far->ok + so_far->failed + so_far->crashed + so_far->exited + so_far->timed_out +
                              so_far->cancelled);
    }
};

/* args[0]: how many tasks have begun, args[1]: how many were told to end. */
int run_until_told(const parloom_task *task, void *const *args)
{
    static_cast<std::atomic<int> *>(args[0])[0]++;
    if (!comes_true([&] { return parloom_cancelled(task); }, 60)) return 0;
    static_cast<std::atomic<int> *>(args[1])[0]++;
    return 1;
}

} // namespace

TEST_F(Conformance, P1_05_LinesAreOfOneWidth)
{
    for (const char *backend : every_backend) {
        parloom_options given = on(backend);
        given.verbose = 10000; /* to stdout */
        given.batch_size = 1;
        testing::internal::CaptureStdout();
        parloom_status status = parloom_for(TASKS, take_two_milliseconds, nullptr, 0, &given, &error);
        std::istringstream lines(testing::internal::GetCapturedStdout());
        ASSERT_OK(status);
        std::set<size_t> widths;
        for (std::string line; std::getline(lines, line);) {
            size_t done = line.find("Done "), bar = line.find(" |");
            if (done != std::string::npos && line.find(" out of ") != std::string::npos) widths.insert(bar - done);
        }
        EXPECT_EQ(widths.size(), 1u) << backend;
    }
}

TEST_F(Conformance, Y_27_ProgressGoesForwardToTheEnd)
{
    for (const char *backend : every_backend) {
        Told told;
        parloom_report report = empty_report();
        parloom_options given = on(backend);
        given.progress = Told::take;
        given.progress_state = &told;
        given.report = &report;
        given.batch_size = 1;
        ASSERT_OK(parloom_for(TASKS, take_two_milliseconds, nullptr, 0, &given, &error)) << backend;
        ASSERT_GE(told.ended.size(), 1u) << backend;
        EXPECT_TRUE(std::is_sorted(told.ended.begin(), told.ended.end())) << backend;
        EXPECT_EQ(told.ended.back(), size_t{ TASKS }) << backend;
        EXPECT_EQ(told.tasks, size_t{ TASKS });
        /* At most one in a tenth of a second, and one at the end; however long it took. */
        EXPECT_LE(static_cast<double>(told.ended.size()), report.seconds * 10 + 2) << backend;
    }
}

TEST_F(Conformance, Y_28_CancelledTasksEndAndOthersDoNotBegin)
{
    for (const char *backend : every_backend) {
        Shared<std::atomic<int>> begun(1), told(1);
        parloom_stop stop = {};
        parloom_report report = empty_report();
        parloom_options given = on(backend);
        given.stop = &stop;
        given.report = &report;
        given.batch_size = 1;
        int running = is(backend, "sequential") ? 1 : 2;
        parloom_arg args[] = { parloom_inout(begun.get(), sizeof(int)), parloom_inout(told.get(), sizeof(int)) };
        std::thread other([&] {
            comes_true([&] { return begun[0] == running; }, 60);
            parloom_cancel(&stop);
        });
        EXPECT_EQ(parloom_for(TASKS, run_until_told, args, 2, &given, &error), PARLOOM_ERR_CANCELLED) << backend;
        other.join();
        EXPECT_EQ(begun[0], running) << backend << ": what was queued is not started";
        EXPECT_EQ(told[0], running) << backend << ": what ran was told";
        EXPECT_EQ(report.cancelled, size_t{ TASKS }) << backend;
        EXPECT_EQ(report.workers_lost, 0) << backend;
    }
}

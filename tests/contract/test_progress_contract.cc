/* SPDX-License-Identifier: BSD-3-Clause */
/* What verbose shows of calls, on every backend; the callback is tried beside what else controls a call. */
#include "contract/places.h"

#include <set>
#include <sstream>
#include <string>
#include <time.h>
#include <vector>

using namespace contract;

namespace
{

int take_two_milliseconds(const parloom_task *, void *const *)
{
    timespec pause = { 0, 2000000 };
    nanosleep(&pause, nullptr);
    return 0;
}

int do_nothing(const parloom_task *, void *const *)
{
    return 0;
}

/* args[0]: what the calls made in the task return. */
int call_quietly_and_aloud(const parloom_task *, void *const *args)
{
    parloom_options quiet = PARLOOM_OPTIONS_INIT, aloud = PARLOOM_OPTIONS_INIT;
    quiet.progress_style = PARLOOM_PROGRESS_STYLE_LINES;
    aloud.verbose = 1;
    auto *statuses = static_cast<int *>(args[0]);
    statuses[0] = parloom_for(2, do_nothing, nullptr, 0, &quiet, nullptr);
    statuses[1] = parloom_for(3, do_nothing, nullptr, 0, &aloud, nullptr);
    return 0;
}

struct Lines {
    std::vector<std::string> all;
    Lines() { parloom_set_log(take, this); }
    ~Lines() { parloom_set_log(nullptr, nullptr); }
    static void take(int, const char *line, void *state) { static_cast<Lines *>(state)->all.push_back(line); }
};

class Verbose : public Placed
{
};
INSTANTIATE_TEST_SUITE_P(On, Verbose, ::testing::ValuesIn(every_place), name_of);

TEST_P(Verbose, LinesAreAsWideForEveryCount)
{
    parloom_options given = options();
    given.verbose = 10000; /* to stdout */
    given.batch_size = 1;
    testing::internal::CaptureStdout();
    parloom_status status = parloom_for(100, take_two_milliseconds, nullptr, 0, &given, &error);
    std::istringstream lines(testing::internal::GetCapturedStdout());
    ASSERT_OK(status);
    std::set<size_t> widths;
    std::string line, last;
    for (; std::getline(lines, line); last = line)
        if (line.find(" out of ") != std::string::npos) widths.insert(line.find(" |"));
    EXPECT_EQ(widths.size(), 1u);
    EXPECT_NE(last.find("]: Done 100 out of 100 | elapsed: "), std::string::npos) << last;
    EXPECT_NE(last.find("s finished"), std::string::npos) << last;
}

TEST_P(Verbose, LinesNameTheWorkersAndTheEnd)
{
    Lines lines;
    parloom_options given = options();
    given.verbose = 1;
    ASSERT_OK(parloom_for(7, do_nothing, nullptr, 0, &given, &error));
    std::string jobs = std::to_string(GetParam().n_jobs), front = "[Parallel(n_jobs=" + jobs + ")]: ";
    ASSERT_EQ(lines.all.size(), 2u);
    EXPECT_EQ(lines.all[0].find(front + "Using backend "), 0u) << lines.all[0];
    EXPECT_NE(lines.all[0].find(" with " + jobs + " concurrent workers."), std::string::npos) << lines.all[0];
    EXPECT_EQ(lines.all[1].find(front + "Done 7 out of 7 | elapsed: "), 0u) << lines.all[1];
}

TEST(VerboseInATask, IsIndentedAndNotImpliedByAStyle)
{
    Lines lines;
    int statuses[2] = { -1, -1 };
    parloom_arg args[] = { parloom_out(statuses, sizeof statuses) };
    ASSERT_EQ(parloom_for(1, call_quietly_and_aloud, args, 1, nullptr, nullptr), PARLOOM_OK);
    EXPECT_EQ(statuses[0], PARLOOM_OK);
    EXPECT_EQ(statuses[1], PARLOOM_OK);
    ASSERT_EQ(lines.all.size(), 2u) << "of the call that only names a style nothing is shown there";
    EXPECT_EQ(lines.all[0], "  [Parallel(n_jobs=1)]: Using backend sequential with 1 concurrent workers.");
    EXPECT_EQ(lines.all[1].find("  [Parallel(n_jobs=1)]: Done 3 out of 3 | elapsed: "), 0u) << lines.all[1];
}

} // namespace

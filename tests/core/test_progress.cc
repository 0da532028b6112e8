// SPDX-License-Identifier: BSD-3-Clause
// When something is told of a call, and where it goes; the clock is the test's own.
#include "core/progress.h"

#include "backends/tally.h"
#include "base/log.h"
#include "support/clean.h"
#include "support/terminal.h"

#include <gtest/gtest.h>

#include <set>
#include <sstream>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <vector>

namespace
{

constexpr uint64_t started = 1234567890123;

// One call of n tasks, as its caller would tell it.
class Call
{
  public:
    Call(size_t n, const parloom_options &options) : n_(n)
    {
        loom_progress_begin(&progress, &options, "processes", 2, n, started);
    }
    void tell(double seconds, size_t done, size_t failed = 0)
    {
        loom_tally_counts counts = {};
        counts.failed = failed;
        loom_progress_tell(&progress, started + static_cast<uint64_t>(seconds * 1e9), done, &counts);
    }
    void end(double seconds, size_t cancelled = 0)
    {
        loom_tally tally;
        ASSERT_EQ(loom_tally_init(&tally, n_, 1, nullptr), PARLOOM_OK);
        if (cancelled > 0) loom_tally_note(&tally, n_ - cancelled, n_, PARLOOM_ERR_CANCELLED);
        ASSERT_EQ(loom_tally_settle(&tally, nullptr), PARLOOM_OK);
        loom_report_facts facts = {};
        facts.tally = &tally;
        facts.place = "";
        facts.backend = "processes";
        facts.seconds = seconds;
        facts.n_jobs = 2;
        loom_progress_end(&progress, &facts);
        loom_tally_fini(&tally);
    }
    loom_progress progress;

  private:
    size_t n_;
};

parloom_options options_of(int verbose, parloom_progress_style style = PARLOOM_PROGRESS_STYLE_UNSET)
{
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.verbose = verbose;
    options.progress_style = style;
    return options;
}

struct Lines {
    std::vector<std::string> all;
    Lines() { parloom_set_log(take, this); }
    ~Lines() { parloom_set_log(nullptr, nullptr); }
    static void take(int level, const char *line, void *state)
    {
        EXPECT_EQ(level, LOOM_LOG_INFO);
        static_cast<Lines *>(state)->all.push_back(line);
    }
    /* The tasks that the lines between the first and the last one say are done. */
    std::vector<size_t> steps() const
    {
        std::vector<size_t> steps;
        for (size_t k = 1; k + 1 < all.size(); k++) steps.push_back(std::stoul(all[k].substr(all[k].find("Done") + 4)));
        return steps;
    }
};

std::vector<size_t> steps_of(size_t n, int verbose)
{
    Lines lines;
    Call call(n, options_of(verbose));
    size_t tasks = n == LOOM_PROGRESS_UNKNOWN ? 50 : n;
    for (size_t done = 0; done <= tasks; done++) call.tell(0.1 * static_cast<double>(done), done);
    if (n == LOOM_PROGRESS_UNKNOWN) lines.all.push_back("end");
    if (n != LOOM_PROGRESS_UNKNOWN) call.end(10);
    return lines.steps();
}

using Progress = loom::Clean;

TEST_F(Progress, BeginsAndEndsWithALine)
{
    Lines lines;
    Call call(100, options_of(1));
    ASSERT_EQ(lines.all.size(), 1u);
    EXPECT_EQ(lines.all[0], "[Parallel(n_jobs=2)]: Using backend processes with 2 concurrent workers.");
    for (size_t done = 0; done <= 100; done++) call.tell(0.02 * static_cast<double>(done), done);
    call.end(2.5);
    ASSERT_EQ(lines.all.size(), 2u);
    EXPECT_EQ(lines.all[1], "[Parallel(n_jobs=2)]: Done 100 out of 100 | elapsed:    2.5s finished");
}

TEST_F(Progress, HasAboutAsManyLinesAsVerboseSays)
{
    EXPECT_EQ(steps_of(100, 5), (std::vector<size_t>{ 21, 42, 63, 84 }));
    EXPECT_EQ(steps_of(100, 10).size(), 9u);
    EXPECT_EQ(steps_of(3, 10), (std::vector<size_t>{ 1, 2 })) << "the last one is said to have finished";
}

TEST_F(Progress, IsFurtherAndFurtherApartWhereTheNumberOfTasksIsNotKnown)
{
    EXPECT_EQ(steps_of(LOOM_PROGRESS_UNKNOWN, 10), (std::vector<size_t>{ 1, 2, 5, 8, 13, 18, 25, 32, 41, 50 }));
    EXPECT_EQ(steps_of(LOOM_PROGRESS_UNKNOWN, 1), (std::vector<size_t>{ 1, 50 }));
}

TEST_F(Progress, AboveTenIsToldWheneverTasksHaveEnded)
{
    Lines lines;
    Call call(100, options_of(11));
    for (size_t done : { 0, 1, 1, 1, 2, 50, 50, 99, 100 }) call.tell(1, done);
    call.end(1);
    EXPECT_EQ(lines.steps(), (std::vector<size_t>{ 1, 2, 50, 99 }));
}

TEST_F(Progress, IsSilentWhereVerboseIsNegativeOrUnset)
{
    Lines lines;
    for (const parloom_options &options : { options_of(0), options_of(-1), options_of(-1, PARLOOM_PROGRESS_STYLE_JSON),
                                            options_of(-1, PARLOOM_PROGRESS_STYLE_LINES) }) {
        EXPECT_FALSE(loom_progress_is_shown(&options));
        Call call(10, options);
        EXPECT_FALSE(loom_progress_is_wanted(&call.progress));
        call.end(1);
    }
    EXPECT_TRUE(lines.all.empty());
}

TEST_F(Progress, IsShownWhereOnlyItsStyleIsNamed)
{
    Lines lines;
    Call call(100, options_of(0, PARLOOM_PROGRESS_STYLE_LINES));
    for (size_t done = 0; done <= 100; done++) call.tell(1, done);
    call.end(1);
    EXPECT_EQ(lines.steps().size(), 9u) << "as at verbose 10";
}

TEST_F(Progress, NeverGoesBackNorBeyondTheEnd)
{
    std::vector<size_t> seen;
    parloom_options options = options_of(0);
    options.progress = [](const parloom_report *so_far, void *state) {
        static_cast<std::vector<size_t> *>(state)->push_back(so_far->ok);
    };
    options.progress_state = &seen;
    Call call(10, options);
    for (size_t done : { 0, 4, 3, 6, 12 }) call.tell(1, done);
    call.end(1);
    EXPECT_EQ(seen, (std::vector<size_t>{ 0, 4, 4, 6, 10, 10 }));
}

TEST_F(Progress, InJsonIsAnObjectASecond)
{
    Lines lines;
    Call call(100, options_of(1, PARLOOM_PROGRESS_STYLE_JSON));
    for (size_t k = 1; k <= 30; k++) call.tell(0.1 * static_cast<double>(k), k);
    call.tell(9, 30);
    call.end(10, 70);
    ASSERT_EQ(lines.all.size(), 5u);
    EXPECT_EQ(lines.all[0].find("{\"event\":\"begin\","), 0u) << lines.all[0];
    EXPECT_NE(lines.all[1].find("\"done\":10,"), std::string::npos) << lines.all[1];
    EXPECT_NE(lines.all[3].find("\"done\":30,\"failed\":0,\"elapsed\":3.000,\"rate\":10.00,\"remaining\":7.000}"),
              std::string::npos)
        << lines.all[3];
    EXPECT_NE(lines.all[4].find("{\"event\":\"end\","), std::string::npos) << lines.all[4];
    EXPECT_NE(lines.all[4].find("\"done\":30,"), std::string::npos) << "what was not run is not done: " << lines.all[4];
}

TEST_F(Progress, TakesItsRateFromIntervalsInWhichTasksEnded)
{
    Lines lines;
    Call call(100, options_of(0, PARLOOM_PROGRESS_STYLE_LINES));
    call.tell(4, 2);
    for (int k = 1; k < 20; k++) call.tell(4 + 0.1 * k, 2);
    EXPECT_DOUBLE_EQ(call.progress.facts.rate, 0.5);
    call.tell(8, 10); /* 2 a second: a weight of 0.3 beside what is left of 0.5 a second */
    EXPECT_DOUBLE_EQ(call.progress.facts.rate, (0.3 * 8 + 0.7 * 0.3 * 2) / (0.3 * 4 + 0.7 * 0.3 * 4));
    call.end(9);
}

TEST_F(Progress, OfVerboseFiftyGoesToStdoutWithoutOvertakingTheProgram)
{
    Lines lines;
    testing::internal::CaptureStdout();
    std::printf("before, ");
    Call call(5, options_of(50));
    std::printf("within, ");
    call.end(0);
    EXPECT_EQ(testing::internal::GetCapturedStdout(),
              "before, [Parallel(n_jobs=2)]: Using backend processes with 2 concurrent workers.\n"
              "within, [Parallel(n_jobs=2)]: Done 5 out of 5 | elapsed:    0.0s finished\n");
    EXPECT_TRUE(lines.all.empty());
}

TEST_F(Progress, IsWrittenLineByLine)
{
    parloom_set_log(nullptr, nullptr);
    loom::Writes writes;
    Call call(100, options_of(11, PARLOOM_PROGRESS_STYLE_BAR)); /* no terminal: lines */
    call.tell(1, 50);
    call.end(2);
    EXPECT_EQ(writes.all(), (std::vector<std::string>{
                                "[Parallel(n_jobs=2)]: Using backend processes with 2 concurrent workers.\n",
                                "[Parallel(n_jobs=2)]: Done  50 out of 100 | elapsed:    1.0s remaining:    1.0s\n",
                                "[Parallel(n_jobs=2)]: Done 100 out of 100 | elapsed:    2.0s finished\n" }));
}

/* -------------------------------------------------------------------------------- bars */

const std::string clear = "\r\033[K";

class ProgressBar : public loom::Clean
{
  protected:
    void SetUp() override
    {
        loom::Clean::SetUp();
        parloom_set_log(nullptr, nullptr);
    }
    /* A bar and nothing else was drawn, and it says this. */
    void expect_bar(const std::string &text, const std::string &said)
    {
        EXPECT_EQ(text.find(clear), 0u) << text;
        EXPECT_EQ(text.rfind(clear), 0u) << text;
        EXPECT_NE(text.find(said), std::string::npos) << text;
    }
};

TEST_F(ProgressBar, IsDrawnOnATerminalAfterHalfASecond)
{
    loom::Terminal terminal;
    Call call(100, options_of(1));
    call.tell(0.4, 4);
    EXPECT_EQ(terminal.text(), "");
    call.tell(0.5, 5);
    std::string text = terminal.text();
    expect_bar(text, "  5%|##");
    EXPECT_NE(text.find("| 5/100 [00:00<00:09, 10.00it/s]"), std::string::npos) << text;
    EXPECT_EQ(text.size(), clear.size() + 79);
    call.tell(1.0, 10, 2);
    expect_bar(terminal.text(), " 10.00it/s, 2 failed]");
    call.end(10);
    text = terminal.text();
    expect_bar(text, "100%|##");
    EXPECT_NE(text.find("| 100/100 [00:10<00:00, 10.00it/s]\n"), std::string::npos) << text;
}

TEST_F(ProgressBar, StaysBelowTheLines)
{
    loom::Terminal terminal;
    Call call(100, options_of(1));
    call.tell(1, 50);
    std::string drawn = terminal.text().substr(clear.size());
    loom_log(LOOM_LOG_WARNING, "a worker died");
    EXPECT_EQ(terminal.text(), clear + "parloom: a worker died\n" + drawn);
    call.end(2);
    (void)terminal.text();
    loom_log(LOOM_LOG_WARNING, "later");
    EXPECT_EQ(terminal.text(), "parloom: later\n");
}

TEST_F(ProgressBar, IsOneAtATime)
{
    loom::Terminal terminal;
    Call first(100, options_of(1)), second(7, options_of(1));
    EXPECT_EQ(terminal.text(), "[Parallel(n_jobs=2)]: Using backend processes with 2 concurrent workers.\n");
    first.tell(1, 50);
    std::string drawn = terminal.text().substr(clear.size());
    second.end(1);
    EXPECT_EQ(terminal.text(), clear + "[Parallel(n_jobs=2)]: Done 7 out of 7 | elapsed:    1.0s finished\n" + drawn);
    first.end(2);
    Call third(100, options_of(1));
    (void)terminal.text();
    third.tell(1, 50);
    expect_bar(terminal.text(), " 50%|");
    third.end(2);
}

TEST_F(ProgressBar, IsNotLeftWhereAShortCallWasToHaveOneByStyleAlone)
{
    loom::Terminal terminal;
    Call silent(100, options_of(0, PARLOOM_PROGRESS_STYLE_BAR));
    silent.tell(0.1, 50);
    silent.end(0.2);
    EXPECT_EQ(terminal.text(), "");
    Call asked(100, options_of(1));
    asked.end(0.2);
    expect_bar(terminal.text(), "| 100/100 [");
}

TEST_F(ProgressBar, GivesWayToLinesWhereItCannotBeDrawn)
{
    const std::string begin = "[Parallel(n_jobs=2)]: Using backend processes with 2 concurrent workers.\n";
    {
        loom::Terminal terminal("dumb");
        Call(1, options_of(1, PARLOOM_PROGRESS_STYLE_BAR)).end(0);
        EXPECT_EQ(terminal.text().find(begin), 0u);
    }
    loom::Terminal terminal;
    Call(1, options_of(1, PARLOOM_PROGRESS_STYLE_LINES)).end(0);
    EXPECT_EQ(terminal.text().find(begin), 0u);
    Lines lines;
    Call(1, options_of(1, PARLOOM_PROGRESS_STYLE_BAR)).end(0);
    EXPECT_EQ(terminal.text(), "");
    EXPECT_EQ(lines.all.size(), 2u);
}

TEST_F(ProgressBar, FollowsTheWidthOfItsWindow)
{
    loom::Terminal terminal("xterm", 60);
    Call call(100, options_of(1));
    call.tell(1, 50);
    EXPECT_EQ(terminal.text().size(), clear.size() + 59);
    terminal.resize(70);
    call.tell(1.1, 51);
    EXPECT_EQ(terminal.text().size(), clear.size() + 69);
    call.end(2);
}

TEST_F(ProgressBar, IsTheParentsOwn)
{
    loom::Terminal terminal;
    Call call(100, options_of(1));
    call.tell(1, 50);
    (void)terminal.text();
    pid_t child = fork();
    if (child == 0) {
        loom_log(LOOM_LOG_WARNING, "from a child");
        call.tell(2, 60);
        _exit(0);
    }
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    EXPECT_EQ(terminal.text(), clear + "parloom: from a child\n");
    call.end(2);
}

int do_nothing(const parloom_task *, void *const *)
{
    return 0;
}

TEST_F(ProgressBar, IsDrawnForCallsOfEveryBackend)
{
    for (const char *backend : { "sequential", "threads", "processes" }) {
        loom::Terminal terminal;
        parloom_options options = options_of(1);
        options.backend = backend;
        options.n_jobs = 2;
        ASSERT_EQ(parloom_for(5, do_nothing, nullptr, 0, &options, nullptr), PARLOOM_OK);
        std::string text = terminal.text();
        expect_bar(text, "| 5/5 [00:00<00:00, ");
        EXPECT_EQ(text.back(), '\n') << text;
    }
}

int call_once_more(const parloom_task *, void *const *)
{
    parloom_options options = options_of(1);
    return parloom_for(3, do_nothing, nullptr, 0, &options, nullptr);
}

TEST_F(ProgressBar, IsClearedByTheLinesOfWorkers)
{
    loom::Terminal terminal;
    parloom_options options = options_of(1);
    options.backend = "processes";
    options.n_jobs = 2;
    ASSERT_EQ(parloom_for(1, call_once_more, nullptr, 0, &options, nullptr), PARLOOM_OK);
    std::string text = terminal.text();
    EXPECT_NE(text.find(clear + "  [Parallel(n_jobs=1)]: Using backend sequential with 1 concurrent workers.\n" +
                        clear + "  [Parallel(n_jobs=1)]: Done 3 out of 3 | elapsed: "),
              std::string::npos)
        << text;
}

/* ------------------------------------------------------- what tasks print */

enum { PRINTED = 60 };

std::string line_of(size_t task)
{
    return "<task " + std::to_string(task) + " says: " + std::string(40, 'x') + ">";
}

/* In one write, as fprintf to stderr does it. */
int print_line(const parloom_task *task, void *const *)
{
    std::string line = line_of(task->index) + "\n";
    return write(STDERR_FILENO, line.data(), line.size()) == static_cast<ssize_t>(line.size()) ? 0 : 1;
}

TEST_F(ProgressBar, LeavesWhatIsPrintedBesideItWhole)
{
    loom::Terminal terminal;
    Call call(PRINTED, options_of(1));
    std::vector<std::thread> printers;
    for (size_t first = 0; first < 2; first++)
        printers.emplace_back([first] {
            parloom_task task = {};
            for (task.index = first; task.index < PRINTED; task.index += 2) EXPECT_EQ(print_line(&task, nullptr), 0);
        });
    for (size_t k = 0; k < PRINTED; k++) {
        call.tell(1 + static_cast<double>(k), k);
        loom_log(LOOM_LOG_WARNING, "note %zu.", k);
    }
    for (std::thread &printer : printers) printer.join();
    std::string text = terminal.text();
    for (size_t k = 0; k < PRINTED; k++) {
        EXPECT_NE(text.find(line_of(k) + "\n"), std::string::npos) << k << text;
        EXPECT_NE(text.find(clear + "parloom: note " + std::to_string(k) + ".\n"), std::string::npos) << k << text;
    }
    call.end(100);
}

TEST_F(Progress, LinesStayWholeWhileTasksPrint)
{
    parloom_set_log(nullptr, nullptr);
    for (const char *backend : { "sequential", "threads", "processes" }) {
        loom::Terminal terminal;
        parloom_options options = options_of(11, PARLOOM_PROGRESS_STYLE_LINES);
        options.backend = backend;
        options.n_jobs = 2;
        options.batch_size = 1;
        ASSERT_EQ(parloom_for(PRINTED, print_line, nullptr, 0, &options, nullptr), PARLOOM_OK);
        std::istringstream text(terminal.text());
        std::set<std::string> printed;
        size_t n_printed = 0, n_told = 0;
        for (std::string line; std::getline(text, line);) {
            bool is_told = line.find("[Parallel(n_jobs=") == 0;
            n_told += is_told;
            if (is_told) {
                EXPECT_EQ(line.find('<'), std::string::npos) << backend << ": " << line;
                continue;
            }
            n_printed++;
            printed.insert(line);
        }
        EXPECT_GE(n_told, 2U) << backend;
        EXPECT_EQ(n_printed, static_cast<size_t>(PRINTED)) << backend;
        for (size_t k = 0; k < PRINTED; k++) EXPECT_EQ(printed.count(line_of(k)), 1U) << backend << ", task " << k;
    }
}

} // namespace

// SPDX-License-Identifier: BSD-3-Clause
// How far a call is, as text: letter by letter what users of joblib and tqdm know.
#include "core/progress_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace
{

constexpr uint64_t second = 1000000000;

loom_progress_facts facts_of(size_t done, size_t n, double seconds, loom_progress_phase phase = LOOM_PROGRESS_GOING)
{
    loom_progress_facts facts = {};
    facts.phase = phase;
    facts.backend = "processes";
    facts.n_jobs = 2;
    facts.n = n;
    facts.done = done;
    facts.elapsed_ns = static_cast<uint64_t>(seconds * second);
    return facts;
}

std::string line(const loom_progress_facts &facts)
{
    char text[256];
    loom_progress_line(&facts, text, sizeof text);
    return text;
}

std::string bar(const loom_progress_facts &facts, int columns = 80, bool is_utf8 = false)
{
    char text[2048];
    loom_progress_bar(&facts, columns, is_utf8, text, sizeof text);
    return text;
}

std::string json(const loom_progress_facts &facts)
{
    char text[512];
    loom_progress_json(&facts, text, sizeof text);
    return text;
}

TEST(ProgressLine, SaysWhoWorksWhenItBegins)
{
    EXPECT_EQ(line(facts_of(0, 100, 0, LOOM_PROGRESS_BEGIN)),
              "[Parallel(n_jobs=2)]: Using backend processes with 2 concurrent workers.");
}

TEST(ProgressLine, IsJoblibsWhereTheNumberOfTasksIsNotKnown)
{
    EXPECT_EQ(line(facts_of(14, LOOM_PROGRESS_UNKNOWN, 1.9)),
              "[Parallel(n_jobs=2)]: Done  14 tasks      | elapsed:    1.9s");
    EXPECT_EQ(line(facts_of(5, LOOM_PROGRESS_UNKNOWN, 0.02, LOOM_PROGRESS_END)),
              "[Parallel(n_jobs=2)]: Done   5 out of   5 | elapsed:    0.0s finished");
}

TEST(ProgressLine, IsJoblibsWhereTheNumberOfTasksIsKnown)
{
    EXPECT_EQ(line(facts_of(25, 100, 2)),
              "[Parallel(n_jobs=2)]: Done  25 out of 100 | elapsed:    2.0s remaining:    6.0s");
    EXPECT_EQ(line(facts_of(60, 60, 2.34, LOOM_PROGRESS_END)),
              "[Parallel(n_jobs=2)]: Done 60 out of 60 | elapsed:    2.3s finished");
    EXPECT_EQ(line(facts_of(0, 4, 1)), "[Parallel(n_jobs=2)]: Done 0 out of 4 | elapsed:    1.0s remaining:    4.0s");
}

TEST(ProgressLine, CountsMinutesBeyondOne)
{
    EXPECT_EQ(line(facts_of(1, 11, 60)),
              "[Parallel(n_jobs=2)]: Done  1 out of 11 | elapsed:   60.0s remaining: 10.0min");
    EXPECT_EQ(line(facts_of(10, 11, 90)),
              "[Parallel(n_jobs=2)]: Done 10 out of 11 | elapsed:  1.5min remaining:    9.0s");
    EXPECT_EQ(line(facts_of(10, 10, 59.96, LOOM_PROGRESS_END)),
              "[Parallel(n_jobs=2)]: Done 10 out of 10 | elapsed:   60.0s finished");
}

TEST(ProgressLine, IsAsWideForEveryCount)
{
    std::set<size_t> widths;
    for (size_t done = 0; done <= 100; done++) {
        widths.insert(line(facts_of(done, 100, 0.01)).find('|'));
        widths.insert(line(facts_of(done, 100, 0.01, LOOM_PROGRESS_END)).find('|'));
    }
    EXPECT_EQ(widths.size(), 1u);
    EXPECT_EQ(widths.count(std::string::npos), 0u);
}

TEST(ProgressLine, SaysWhatDidNotEndWell)
{
    loom_progress_facts facts = facts_of(3, 100, 0.1, LOOM_PROGRESS_END);
    EXPECT_EQ(line(facts), "[Parallel(n_jobs=2)]: Done   3 out of 100 | elapsed:    0.1s stopped");
    facts.failed = 1;
    EXPECT_EQ(line(facts), "[Parallel(n_jobs=2)]: Done   3 out of 100 | elapsed:    0.1s stopped, 1 failed");
    facts.done = 100;
    EXPECT_EQ(line(facts), "[Parallel(n_jobs=2)]: Done 100 out of 100 | elapsed:    0.1s finished, 1 failed");
}

TEST(ProgressLine, OfANestedCallIsIndented)
{
    loom_progress_facts facts = facts_of(4, 4, 0.1, LOOM_PROGRESS_END);
    facts.level = 2;
    EXPECT_EQ(line(facts), "    [Parallel(n_jobs=2)]: Done 4 out of 4 | elapsed:    0.1s finished");
}

TEST(ProgressLine, IsCutWhereThereIsNoRoom)
{
    char text[16] = "xxxxxxxxxxxxxxx";
    loom_progress_facts facts = facts_of(1, 2, 0);
    loom_progress_line(&facts, text, 8);
    EXPECT_STREQ(text, "[Parall");
    EXPECT_EQ(text[8], 'x');
}

TEST(ProgressBar, IsTqdms)
{
    loom_progress_facts facts = facts_of(7641, 10000, 34);
    facts.rate = 222.22;
    EXPECT_EQ(bar(facts), " 76%|###########################5        | 7641/10000 [00:34<00:10, 222.22it/s]");
    EXPECT_EQ(bar(facts).size(), 79u) << "the last column stays empty";
    facts.failed = 3;
    EXPECT_NE(bar(facts).find("[00:34<00:10, 222.22it/s, 3 failed]"), std::string::npos) << bar(facts);
}

TEST(ProgressBar, IsFullWhenAllIsDoneAndNotBefore)
{
    EXPECT_EQ(bar(facts_of(999999, 1000000, 1)).substr(0, 5), " 99%|");
    std::string all = bar(facts_of(10, 10, 1));
    EXPECT_EQ(all.substr(0, 6), "100%|#");
    EXPECT_EQ(all.find(' '), all.find("| 10/10") + 1) << all;
    EXPECT_EQ(bar(facts_of(0, 0, 0)).substr(0, 6), "100%|#");
    EXPECT_EQ(bar(facts_of(0, 10, 1)).substr(0, 6), "  0%| ");
}

TEST(ProgressBar, SaysHowLongOneTakesWhereThatIsMoreThanASecond)
{
    loom_progress_facts facts = facts_of(2, 4, 8);
    facts.rate = 0.25;
    EXPECT_NE(bar(facts).find("2/4 [00:08<00:08,  4.00s/it]"), std::string::npos) << bar(facts);
    facts.rate = 0;
    EXPECT_NE(bar(facts).find("2/4 [00:08<?, ?it/s]"), std::string::npos) << bar(facts);
    facts.elapsed_ns = 3723 * second;
    facts.rate = 9.994;
    EXPECT_NE(bar(facts).find("[1:02:03<00:00,  9.99it/s]"), std::string::npos) << bar(facts);
}

TEST(ProgressBar, CountsWhereTheNumberOfTasksIsNotKnown)
{
    loom_progress_facts facts = facts_of(7641, LOOM_PROGRESS_UNKNOWN, 34);
    facts.rate = 222.22;
    EXPECT_EQ(bar(facts), "7641it [00:34, 222.22it/s]");
    EXPECT_EQ(bar(facts, 11), "7641it [00");
}

TEST(ProgressBar, FitsIntoEveryTerminal)
{
    loom_progress_facts facts = facts_of(7641, 10000, 34);
    facts.rate = 222.22;
    for (int columns = 2; columns <= 300; columns++)
        EXPECT_EQ(bar(facts, columns).size(),
                  static_cast<size_t>(columns > 48 ? columns - 1 : std::min(columns - 1, 48)))
            << columns;
    EXPECT_EQ(bar(facts, 100000).size(), 299u);
    EXPECT_EQ(bar(facts, 0).size(), 1u);
    EXPECT_EQ(bar(facts, 30), " 76%|| 7641/10000 [00:34<00:1");
}

TEST(ProgressBar, IsDrawnInEighthsWhereTextIsUtf8)
{
    loom_progress_facts facts = facts_of(1, 2, 1);
    std::string text = bar(facts, 5 + 5 + 22 + 1, true), drawn = text.substr(5, text.find("| 1/2") - 5);
    EXPECT_EQ(drawn, "\u2588\u2588\u258c  ") << text;
}

TEST(ProgressJson, IsAnObjectOfAllThatIsKnown)
{
    loom_progress_facts facts = facts_of(25, 100, 2.0015);
    facts.rate = 12.5;
    facts.failed = 1;
    facts.level = 1;
    EXPECT_EQ(json(facts), "{\"event\":\"progress\",\"level\":1,\"backend\":\"processes\",\"n_jobs\":2,\"tasks\":100,"
                           "\"done\":25,\"failed\":1,\"elapsed\":2.001,\"rate\":12.50,\"remaining\":6.000}");
}

TEST(ProgressJson, SaysNullForWhatIsNotKnown)
{
    EXPECT_EQ(json(facts_of(0, LOOM_PROGRESS_UNKNOWN, 0, LOOM_PROGRESS_BEGIN)),
              "{\"event\":\"begin\",\"level\":0,\"backend\":\"processes\",\"n_jobs\":2,\"tasks\":null,\"done\":0,"
              "\"failed\":0,\"elapsed\":0.000,\"rate\":0.00,\"remaining\":null}");
}

TEST(ProgressJson, EscapesTheNameOfABackend)
{
    loom_progress_facts facts = facts_of(0, 1, 0, LOOM_PROGRESS_END);
    facts.backend = "a\"b\\c\n";
    EXPECT_NE(json(facts).find("{\"event\":\"end\",\"level\":0,\"backend\":\"a\\\"b\\\\c \","), std::string::npos)
        << json(facts);
}

} // namespace

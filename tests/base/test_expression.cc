// SPDX-License-Identifier: BSD-3-Clause
// The arithmetic of pre_dispatch: Python's values, and no way to have more than a number computed.
#include "base/expression.h"

#include <gtest/gtest.h>

#include <clocale>
#include <cmath>
#include <cstring>
#include <string>

namespace
{

parloom_error error;

double value_of(const std::string &text, int n_jobs = 2)
{
    double value = NAN;
    EXPECT_EQ(loom_expression_evaluate(text.c_str(), n_jobs, &value, &error), PARLOOM_OK) << text << error.message;
    return value;
}

void refuses(const std::string &text, const char *why)
{
    double value = 42;
    error = {};
    EXPECT_EQ(loom_expression_evaluate(text.c_str(), 2, &value, &error), PARLOOM_ERR_INVALID) << text;
    EXPECT_NE(std::strstr(error.message, why), nullptr) << text << ": " << error.message;
    EXPECT_EQ(value, 42) << text;
}

size_t tasks_of(const char *text, int n_jobs)
{
    size_t tasks = 0;
    EXPECT_EQ(loom_expression_tasks(text, n_jobs, &tasks, &error), PARLOOM_OK) << error.message;
    return tasks;
}

void gives_no_task(const char *text, int n_jobs, const char *why)
{
    size_t tasks = 42;
    EXPECT_EQ(loom_expression_tasks(text, n_jobs, &tasks, &error), PARLOOM_ERR_INVALID) << text << " gives " << tasks;
    EXPECT_NE(std::strstr(error.message, why), nullptr) << error.message;
    EXPECT_NE(std::strstr(error.message, "pre_dispatch"), nullptr) << error.message;
    EXPECT_EQ(tasks, 42u) << text;
}

TEST(Expression, HasTheValuesOfPython)
{
    EXPECT_EQ(value_of("2*6"), 12);
    EXPECT_EQ(value_of("2**6"), 64);
    EXPECT_EQ(value_of("1+2*3**(4)/(6+-7)"), -161.0);
    EXPECT_EQ(value_of("(20//3)%5"), 1);
    EXPECT_EQ(value_of("-2**2"), -4);
    EXPECT_EQ(value_of("(-2)**2"), 4);
    EXPECT_EQ(value_of("2**3**2"), 512);
    EXPECT_EQ(value_of("2**-1"), 0.5);
    EXPECT_EQ(value_of("7-2-1"), 4);
    EXPECT_EQ(value_of("8/4/2"), 1);
    EXPECT_EQ(value_of("-7//2"), -4);
    EXPECT_EQ(value_of("-7%3"), 2);
    EXPECT_EQ(value_of("7%-3"), -2);
    EXPECT_EQ(value_of("-6%3"), 0);
    EXPECT_EQ(value_of("12//.1"), 119) << "0.1 is a little more than a tenth";
    EXPECT_EQ(value_of("--3"), 3);
    EXPECT_EQ(value_of("2-(-3-4)"), 9);
}

TEST(Expression, KnowsTheNumberOfJobs)
{
    EXPECT_EQ(value_of("2 * n_jobs", 3), 6);
    EXPECT_EQ(value_of("n_jobs**n_jobs", 3), 27);
    EXPECT_EQ(value_of("-n_jobs", 3), -3);
    EXPECT_EQ(value_of(" ( n_jobs // 2 ) * 1.5 ", 5), 3);
}

TEST(Expression, ReadsNumbersInEveryLocale)
{
    for (const char *locale : { "C", "de_DE.UTF-8", "fr_FR.UTF-8" }) {
        if (!std::setlocale(LC_NUMERIC, locale)) continue; /* "C" is everywhere, and the test with it */
        EXPECT_EQ(value_of("1.5"), 1.5);
        EXPECT_EQ(value_of(".25"), 0.25);
        EXPECT_EQ(value_of("3."), 3);
        EXPECT_EQ(value_of("1e3"), 1000);
        EXPECT_EQ(value_of("2.5E+2"), 250);
        EXPECT_EQ(value_of("5e-1"), 0.5);
        EXPECT_EQ(value_of("0e999"), 0);
        EXPECT_EQ(value_of("1e-99999999999"), 1e-300);
    }
    std::setlocale(LC_NUMERIC, "C");
}

TEST(Expression, RefusesAllButArithmetic)
{
    for (const char *bad : { "",
                             " ",
                             "exec('import os')",
                             "print(1)",
                             "import os",
                             "1+1; import os",
                             "1^1",
                             "1,2",
                             "[1]",
                             "n_jobs.real",
                             "n_jobs()",
                             "n_job",
                             "n_jobs2",
                             "2n_jobs",
                             "2 n_jobs",
                             "x",
                             "all",
                             "1 if 1",
                             "0x10",
                             "1e",
                             "1.2.3",
                             ".",
                             "+1",
                             "1+",
                             "*2",
                             "2***3",
                             "2/ /2",
                             "(2",
                             "2)",
                             "()",
                             "1\n",
                             "nan",
                             "inf",
                             "1_0",
                             "~1",
                             "1<2" })
        refuses(bad, "expected");
}

TEST(Expression, RefusesDivisionByZero)
{
    for (const char *bad : { "1/0", "1//0", "1%0", "1/(n_jobs-2)", "1%0.0", "0**-1", "1/(1-1)" })
        refuses(bad, "divides by zero");
    refuses("(-8)**0.5", "no real number");
}

TEST(Expression, RefusesLongTexts)
{
    std::string longest = "1";
    while (longest.size() < 29) longest += "+1";
    EXPECT_EQ(value_of(longest + " "), 15);
    refuses(longest + "+1", "30 characters");
    refuses(longest + "  ", "30 characters");
    refuses(std::string(100000, '('), "30 characters");
    refuses(std::string(30, '('), "expected");
    refuses(std::string(30, '-'), "expected");
}

TEST(Expression, RefusesLargeNumbersAtEachStep)
{
    for (const char *bad : { "1e7", "10**7", "9**9**9", "9. ** 10000.0", "1000001", "1e6+1", "1000*1001", "-1e6-1",
                             "1/1e-9", "1e7-1e7", "99999999999999999999999999999", "1e999", "0*10**7", "1//1e-9" })
        refuses(bad, "beyond 1000000");
    EXPECT_EQ(value_of("10**6"), 1e6);
    EXPECT_EQ(value_of("-1e6"), -1e6);
}

TEST(Expression, IsCutOffToTasks)
{
    EXPECT_EQ(tasks_of("all", 2), SIZE_MAX);
    EXPECT_EQ(tasks_of("16", 2), 16u);
    EXPECT_EQ(tasks_of("2*n_jobs", 3), 6u);
    EXPECT_EQ(tasks_of("n_jobs*1.9", 1), 1u);
    EXPECT_EQ(tasks_of("1e6", 1), 1000000u);
    EXPECT_EQ(tasks_of("n_jobs//4", 4), 1u);
}

TEST(Expression, OfLessThanOneTaskIsRefused)
{
    gives_no_task("n_jobs//4", 2, "with n_jobs 2 it is 0");
    gives_no_task("0.9*n_jobs", 1, "with n_jobs 1 it is 0.9");
    gives_no_task("0", 2, "less than one task");
    gives_no_task("-1", 2, "less than one task");
    gives_no_task("n_jobs/0", 2, "divides by zero");
    gives_no_task("ALL", 2, "expected");
}

TEST(Expression, IsCheckedAsFarAsTheNumberOfJobsDoesNotMatter)
{
    for (const char *good :
         { "all", "1", "n_jobs", "n_jobs//4", "1/(n_jobs-1)", "10**n_jobs", "0*n_jobs", "(n_jobs-9)**0.5" })
        EXPECT_EQ(loom_expression_check("PARLOOM_PRE_DISPATCH", good, &error), PARLOOM_OK) << good << error.message;
    for (const char *bad : { "", "0", "1/2", "-n_jobs()", "n_jobs/0", "n_jobs%(1-1)", "n_jobs*10**7", "n_jobs+" }) {
        EXPECT_EQ(loom_expression_check("PARLOOM_PRE_DISPATCH", bad, &error), PARLOOM_ERR_INVALID) << bad;
        EXPECT_NE(std::strstr(error.message, "PARLOOM_PRE_DISPATCH=\""), nullptr) << error.message;
    }
    EXPECT_EQ(loom_expression_check("pre_dispatch", "0", nullptr), PARLOOM_ERR_INVALID);
}

} // namespace

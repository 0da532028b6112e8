// SPDX-License-Identifier: BSD-3-Clause
// Options from text: the table, and each of its kinds.
#include "base/options_parse.h"

#include "base/options.h"
#include "support/comma_locale.h"

#include <gtest/gtest.h>

#include <clocale>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>

namespace
{

parloom_error error;

parloom_status set(parloom_options *options, const char *name, const std::string &value)
{
    return parloom_options_set(options, name, value.c_str(), &error);
}

void refuses(const char *name, const std::string &value, const char *said)
{
    parloom_options options = PARLOOM_OPTIONS_INIT, before = PARLOOM_OPTIONS_INIT;
    EXPECT_EQ(set(&options, name, value), PARLOOM_ERR_INVALID) << name << "=" << value;
    EXPECT_NE(std::strstr(error.message, said), nullptr) << error.message;
    EXPECT_NE(std::strstr(error.message, name), nullptr) << error.message;
    EXPECT_EQ(std::memcmp(&options, &before, sizeof options), 0) << name << "=" << value;
}

TEST(OptionsTable, NamesAreUniqueAndRowsComplete)
{
    std::set<std::string> names;
    const loom_option *option;
    size_t count = 0;
    for (; (option = loom_options_table(count)); count++) {
        names.insert(option->name);
        EXPECT_STRNE(option->type, "");
        EXPECT_STRNE(option->default_text, "");
        EXPECT_STRNE(option->range, "");
        EXPECT_STRNE(option->sentence, "");
    }
    EXPECT_EQ(count, 26u);
    EXPECT_EQ(names.size(), count);
    EXPECT_EQ(loom_options_table(SIZE_MAX), nullptr);
}

TEST(OptionsSet, IntegersAreWholeNumbers)
{
    parloom_options options = PARLOOM_OPTIONS_INIT;
    EXPECT_EQ(set(&options, "n_jobs", "2"), PARLOOM_OK);
    EXPECT_EQ(options.n_jobs, 2);
    EXPECT_EQ(set(&options, "n_jobs", "-1"), PARLOOM_OK);
    EXPECT_EQ(options.n_jobs, -1);
    for (const char *bad : { "2.3", "", " 2", "2 ", "2x", "0x10", "+2", "--2", "-", "1e3", "99999999999", "two" })
        refuses("n_jobs", bad, "could not convert");
    refuses("n_jobs", "0", "n_jobs == 0 has no meaning");
}

TEST(OptionsSet, ZeroThatIsSaidIsNotUnset)
{
    parloom_options options = PARLOOM_OPTIONS_INIT;
    EXPECT_EQ(set(&options, "retries", "0"), PARLOOM_OK);
    EXPECT_EQ(options.retries, -1);
    EXPECT_EQ(set(&options, "verbose", "0"), PARLOOM_OK);
    EXPECT_EQ(options.verbose, -1);
}

TEST(OptionsSet, BatchSizeIsPositive)
{
    parloom_options options = PARLOOM_OPTIONS_INIT;
    EXPECT_EQ(set(&options, "batch_size", "16"), PARLOOM_OK);
    EXPECT_EQ(options.batch_size, 16u);
    for (const char *bad : { "0", "-1", "1.42", "", "18446744073709551616" })
        refuses("batch_size", bad, "could not convert");
}

TEST(OptionsSet, SizesHaveBinaryUnits)
{
    const std::pair<const char *, size_t> SIZES[] = {
        { "1048576", 1048576 },   { "64K", 65536 },    { "1M", 1 << 20 },     { "1.5G", 3ull << 29 },
        { "2T", 2ull << 40 },     { "1KiB", 1024 },    { "1KB", 1024 },       { "3MB", 3 << 20 },
        { "0.5GiB", 1ull << 29 }, { "7B", 7 },         { "0.1M", 104857 },    { "never", SIZE_MAX },
        { "80G", 80ull << 30 },   { "1.4M", 1468006 }, { "120M", 120 << 20 }, { "53K", 53 << 10 }
    };
    for (const auto &size : SIZES) {
        parloom_options options = PARLOOM_OPTIONS_INIT;
        EXPECT_EQ(set(&options, "max_nbytes", size.first), PARLOOM_OK) << size.first << ": " << error.message;
        EXPECT_EQ(options.max_nbytes, size.second) << size.first;
    }
    for (const char *bad : { "", "M", "1.5", "1m", "1 M", "-1", "1.M", ".5M", "1MM", "1Ki", "1MiBs", "1e6", "1.5.5M",
                             "99999999999T", "18446744073709551616", "Never", "inf" })
        refuses("max_nbytes", bad, "could not convert");
    for (const char *bad : { "fooG", "1.4N", "-1M", "1e3K" }) refuses("max_nbytes", bad, "Invalid literal for size");
    for (const char *zero : { "0", "0K", "0.0M", "0.0001K" }) refuses("max_nbytes", zero, "0 has no meaning");
}

TEST(OptionsSet, SecondsAreDecimal)
{
    const std::pair<const char *, double> SECONDS[] = { { "10", 10 },      { "0.25", 0.25 }, { "0.1", 0.1 },
                                                        { "never", -1.0 }, { "-1", -1.0 },   { "-0.5", -1.0 } };
    for (const auto &seconds : SECONDS) {
        parloom_options options = PARLOOM_OPTIONS_INIT;
        EXPECT_EQ(set(&options, "timeout", seconds.first), PARLOOM_OK) << seconds.first;
        EXPECT_EQ(options.timeout, seconds.second) << seconds.first;
    }
    for (const char *bad : { "", "1s", "inf", "nan", "0x1", "1,5", " 1", "1.", ".5", "-" })
        refuses("task_timeout", bad, "could not convert");
    refuses("timeout", "0", "0 seconds has no meaning");
    refuses("timeout", "0.0", "0 seconds has no meaning");
}

TEST(OptionsSet, LocaleDoesNotChangeNumbers)
{
    if (!loom::set_comma_locale()) GTEST_SKIP() << "needs the Debian package locales";
    ASSERT_STREQ(localeconv()->decimal_point, ",");
    parloom_options options = PARLOOM_OPTIONS_INIT;
    EXPECT_EQ(set(&options, "timeout", "1.5"), PARLOOM_OK);
    EXPECT_EQ(options.timeout, 1.5);
    EXPECT_EQ(set(&options, "timeout", "1,5"), PARLOOM_ERR_INVALID);
    setlocale(LC_NUMERIC, "C");
}

TEST(OptionsSet, ChoicesAreWords)
{
    parloom_options options = PARLOOM_OPTIONS_INIT;
    EXPECT_EQ(set(&options, "mmap_mode", "r+"), PARLOOM_OK);
    EXPECT_EQ(options.mmap_mode, PARLOOM_MMAP_RW);
    EXPECT_EQ(set(&options, "mmap_mode", "w+"), PARLOOM_OK);
    EXPECT_EQ(options.mmap_mode, PARLOOM_MMAP_W);
    EXPECT_EQ(set(&options, "prefer", "processes"), PARLOOM_OK);
    EXPECT_EQ(options.prefer, PARLOOM_PREFER_PROCESSES);
    EXPECT_EQ(set(&options, "require", "isolation"), PARLOOM_OK);
    EXPECT_EQ(options.require, PARLOOM_REQUIRE_ISOLATION);
    EXPECT_EQ(set(&options, "schedule", "static"), PARLOOM_OK);
    EXPECT_EQ(options.schedule, PARLOOM_SCHEDULE_STATIC);
    EXPECT_EQ(set(&options, "on_error", "stop"), PARLOOM_OK);
    EXPECT_EQ(options.on_error, PARLOOM_ON_ERROR_STOP);
    refuses("mmap_mode", "rw", "\"r\", \"r+\", \"w+\", \"c\"");
    refuses("prefer", "Threads", "\"threads\"");
    refuses("require", "", "\"sharedmem\"");
}

TEST(OptionsSet, TextsAreBorrowedAndNotEmpty)
{
    const char *value = "threads";
    parloom_options options = PARLOOM_OPTIONS_INIT;
    EXPECT_EQ(parloom_options_set(&options, "backend", value, &error), PARLOOM_OK);
    EXPECT_EQ(options.backend, value);
    refuses("backend", "", "empty");
    refuses("temp_folder", "", "empty");
}

TEST(OptionsSet, PreDispatchIsAnExpressionOfJobs)
{
    for (const char *good : { "all", "16", "2*n_jobs", "2 * n_jobs", "-n_jobs + 3", "(n_jobs//2)*1.5", "2**n_jobs",
                              "n_jobs%3", "((1))" }) {
        parloom_options options = PARLOOM_OPTIONS_INIT;
        EXPECT_EQ(set(&options, "pre_dispatch", good), PARLOOM_OK) << good << ": " << error.message;
    }
    for (const char *bad : { "",
                             " ",
                             "*",
                             "2**",
                             "2 n_jobs",
                             "(2",
                             "2)",
                             "()",
                             "n_job",
                             "n_jobs()",
                             "import os",
                             "2***3",
                             "__import__('os')",
                             "1,2",
                             "all*2",
                             "2n_jobs",
                             "0",
                             "1/2",
                             "-1",
                             "n_jobs/0",
                             "1e7",
                             "9**9**9" })
        refuses("pre_dispatch", bad, "could not convert");
    refuses("pre_dispatch", "1" + std::string(30, ' '), "30 characters");
}

TEST(OptionsSet, UnknownNameHasASuggestion)
{
    parloom_options options = PARLOOM_OPTIONS_INIT;
    EXPECT_EQ(set(&options, "n_job", "2"), PARLOOM_ERR_INVALID);
    EXPECT_NE(std::strstr(error.message, "did you mean \"n_jobs\"?"), nullptr) << error.message;
    EXPECT_EQ(set(&options, "max_bytes", "2"), PARLOOM_ERR_INVALID);
    EXPECT_NE(std::strstr(error.message, "did you mean \"max_nbytes\"?"), nullptr) << error.message;
    EXPECT_EQ(set(&options, "frobnicate", "2"), PARLOOM_ERR_INVALID);
    EXPECT_EQ(std::strstr(error.message, "did you mean"), nullptr) << error.message;
    EXPECT_EQ(set(&options, std::string(5000, 'x').c_str(), "2"), PARLOOM_ERR_INVALID);
}

TEST(OptionsSet, MissingPiecesAreRefused)
{
    parloom_options options = PARLOOM_OPTIONS_INIT;
    EXPECT_EQ(parloom_options_set(nullptr, "n_jobs", "2", &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_options_set(&options, nullptr, "2", &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_options_set(&options, "n_jobs", nullptr, nullptr), PARLOOM_ERR_INVALID);
    options.struct_size = 0;
    EXPECT_EQ(set(&options, "n_jobs", "2"), PARLOOM_ERR_INVALID);
    EXPECT_EQ(options.n_jobs, 0);
}

TEST(OptionsSet, SuccessClearsTheError)
{
    parloom_options options = PARLOOM_OPTIONS_INIT;
    std::memset(&error, 0x5a, sizeof error);
    EXPECT_EQ(set(&options, "n_jobs", "2"), PARLOOM_OK);
    EXPECT_EQ(error.status, PARLOOM_OK);
    EXPECT_STREQ(error.message, "");
}

TEST(OptionsDistance, CountsEdits)
{
    EXPECT_EQ(loom_options_parse_distance("", ""), 0);
    EXPECT_EQ(loom_options_parse_distance("abc", "abc"), 0);
    EXPECT_EQ(loom_options_parse_distance("kitten", "sitting"), 3);
    EXPECT_EQ(loom_options_parse_distance("", "abc"), 3);
    EXPECT_EQ(loom_options_parse_distance("n_jobs", "njobs"), 1);
}

} // namespace

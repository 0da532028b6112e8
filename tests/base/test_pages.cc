/* SPDX-License-Identifier: BSD-3-Clause */
/* test_pages.cc - docs/options.md, docs/errors.md and README.md say what the code says. */
#include "base/options.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

/* The root of the sources, two folders above this file's. */
static std::string page(const std::string &path)
{
    std::string here = __FILE__;
    for (int k = 0; k < 3; k++) here.erase(here.find_last_of('/'));
    std::ifstream file(here + "/" + path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

static std::string variable_of(const std::string &name)
{
    std::string variable = "PARLOOM_";
    for (char letter : name) variable += static_cast<char>(toupper(letter));
    return variable;
}

TEST(OptionsPage, HasTheRowsOfTheTable)
{
    std::string text = page("docs/options.md");
    ASSERT_FALSE(text.empty());
    for (size_t k = 0; loom_options_table(k) != nullptr; k++) {
        const loom_option *option = loom_options_table(k);
        std::string row = std::string("| `") + option->name + "` | `" + variable_of(option->name) + "` | " +
                          option->type + " | " + option->default_text + " | " + option->range + " | " +
                          option->sentence + " |\n";
        EXPECT_NE(text.find(row), std::string::npos) << "docs/options.md has no row\n" << row;
    }
}

static void expect_row(const std::string &text, const std::string &name, int value)
{
    std::string row = "| `" + name + "` | " + std::to_string(value) + " | ";
    EXPECT_NE(text.find(row), std::string::npos) << "docs/errors.md has no row that starts with " << row;
}

TEST(ErrorsPage, HasARowForEachError)
{
    std::string text = page("docs/errors.md");
#define EXPECT_ROW(name, value, sentence)     \
    if (std::string(#name) != "PARLOOM_OK") { \
        expect_row(text, #name, value);       \
    }
    PARLOOM_STATUS_MAP(EXPECT_ROW)
#undef EXPECT_ROW
}

TEST(Readme, ShowsTheFirstExampleAsItIs)
{
    std::string text = page("README.md"), example = page("examples/00_hello.c");
    size_t begin = text.find("```c\n");
    ASSERT_NE(begin, std::string::npos);
    begin += 5;
    std::string shown = text.substr(begin, text.find("```\n", begin) - begin);
    ASSERT_NE(example.find("#include"), std::string::npos) << "examples/00_hello.c is not there";
    EXPECT_EQ(shown, example.substr(example.find("#include")));
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* P11: the arithmetic of pre_dispatch. */
#include "conformance/conformance.h"

#include "base/expression.h"

using namespace conformance;

namespace
{

bool refuses(const char *text, parloom_error *error)
{
    parloom_options options = PARLOOM_OPTIONS_INIT;
    double value = 42;
    return parloom_options_set(&options, "pre_dispatch", text, error) == PARLOOM_ERR_INVALID &&
           loom_expression_evaluate(text, 2, &value, error) == PARLOOM_ERR_INVALID && value == 42;
}

double value_of(const char *text)
{
    double value = -1;
    parloom_error error;
    EXPECT_EQ(loom_expression_evaluate(text, 2, &value, &error), PARLOOM_OK) << error.message;
    return value;
}

} // namespace

TEST_F(Conformance, P11_01_NothingButArithmetic)
{
    for (const char *text : { "exec('import os')", "print(1)", "import os", "1+1; import os", "1^1", "' ' * 10", "x",
                              "a.b", "1/0", "1//0", "1%0", "" })
        EXPECT_TRUE(refuses(text, &error)) << text << ": " << error.message;
}

TEST_F(Conformance, P11_02_LongExpressions)
{
    std::string text = "2";
    while (text.size() <= 30) text += "+2";
    EXPECT_TRUE(refuses(text.c_str(), &error)) << error.message;
    EXPECT_TRUE(says(error, "30")) << error.message;
}

TEST_F(Conformance, P11_03_LargeNumbers)
{
    for (const char *text : { "1e7", "10**7", "9**9**9**9**9**9**9**9" })
        EXPECT_TRUE(refuses(text, &error)) << text << ": " << error.message;
}

TEST_F(Conformance, P11_04_Values)
{
    EXPECT_EQ(value_of("2*6"), 12);
    EXPECT_EQ(value_of("2**6"), 64);
    EXPECT_EQ(value_of("1+2*3**(4)/(6+-7)"), -161.0);
    EXPECT_EQ(value_of("(20//3)%5"), 1);
}

TEST_F(Conformance, Y_03_LimitThatRoundsToNothing)
{
    size_t tasks = 42;
    for (const char *text : { "0.25*n_jobs", "0", "n_jobs-2", "1//3" }) {
        EXPECT_EQ(loom_expression_tasks(text, 2, &tasks, &error), PARLOOM_ERR_INVALID) << text;
        EXPECT_TRUE(says(error, "pre_dispatch")) << error.message;
    }
    EXPECT_EQ(tasks, 42u);
}

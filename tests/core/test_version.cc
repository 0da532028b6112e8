/* SPDX-License-Identifier: BSD-3-Clause */
/* test_version.cc - the version says the same in all its forms. */
#include <parloom/parloom.h>

#include <gtest/gtest.h>

#include <string>

TEST(Version, OfTheLibraryIsThatOfTheHeaders)
{
    EXPECT_STREQ(parloom_version(), PARLOOM_VERSION_STRING);
}

TEST(Version, TextSaysTheNumbers)
{
    EXPECT_EQ(std::string(PARLOOM_VERSION_STRING), std::to_string(PARLOOM_VERSION_MAJOR) + "." +
                                                       std::to_string(PARLOOM_VERSION_MINOR) + "." +
                                                       std::to_string(PARLOOM_VERSION_PATCH));
}

TEST(Version, ComparesInThePreprocessor)
{
#if PARLOOM_VERSION_GE(PARLOOM_VERSION_MAJOR, PARLOOM_VERSION_MINOR, PARLOOM_VERSION_PATCH)
    SUCCEED();
#else
    FAIL() << "a version is at least itself";
#endif
    EXPECT_TRUE(PARLOOM_VERSION_GE(0, 1, 0));
    EXPECT_FALSE(PARLOOM_VERSION_GE(PARLOOM_VERSION_MAJOR + 1, 0, 0));
    EXPECT_FALSE(PARLOOM_VERSION_GE(PARLOOM_VERSION_MAJOR, PARLOOM_VERSION_MINOR, PARLOOM_VERSION_PATCH + 1));
}

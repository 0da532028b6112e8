/* SPDX-License-Identifier: BSD-3-Clause */
/* test_hidden_name.cc - whose leftovers are removed, and whose are not. */
#include "support/scratch.h"

#include "base/hidden_name.h"

#include <parloom/parloom.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace
{

class HiddenName : public Scratch
{
  protected:
    void SetUp() override
    {
        Scratch::SetUp();
        descriptor = open(path(".").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
        ASSERT_GE(descriptor, 0);
    }
    void TearDown() override
    {
        close(descriptor);
        Scratch::TearDown();
    }
    static std::string hidden(unsigned k)
    {
        char name[LOOM_HIDDEN_NAME_NBYTES];
        EXPECT_TRUE(loom_hidden_name_make(name, "a.npy", k));
        return name;
    }
    bool is_there(unsigned k) const
    {
        struct stat about;
        return fstatat(descriptor, hidden(k).c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0;
    }
    int descriptor = -1;
};

} // namespace

TEST_F(HiddenName, FollowsFromTheNameAndIsRandomOnlyAfterManyInUse)
{
    EXPECT_EQ(hidden(0), hidden(0));
    EXPECT_NE(hidden(0), hidden(1));
    EXPECT_NE(hidden(LOOM_HIDDEN_NAME_TRIES - 1), hidden(LOOM_HIDDEN_NAME_TRIES - 1));
    char other[LOOM_HIDDEN_NAME_NBYTES];
    EXPECT_TRUE(loom_hidden_name_make(other, "b.npy", 0));
    EXPECT_NE(hidden(0), other);
}

TEST_F(HiddenName, OfDeadWritersAreRemovedAndThatOfALivingOneStays)
{
    for (unsigned k = 0; k < 3; k++) write(path(hidden(k)), "left");
    int living = open(path(hidden(1)).c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_TRUE(loom_hidden_name_hold(living));
    loom_hidden_name_sweep(descriptor, "b.npy");
    EXPECT_TRUE(is_there(0));
    loom_hidden_name_sweep(descriptor, "a.npy");
    EXPECT_FALSE(is_there(0));
    EXPECT_TRUE(is_there(1));
    EXPECT_FALSE(is_there(2));
    close(living);
    write(path(hidden(0)), "left");
    loom_hidden_name_sweep(descriptor, "a.npy");
    EXPECT_EQ(names(), std::vector<std::string>{});
}

TEST_F(HiddenName, OfLinksFoldersAndPipesStay)
{
    write(path("precious"), "x");
    std::filesystem::create_symlink("precious", path(hidden(0)));
    std::filesystem::create_directory(path(hidden(1)));
    ASSERT_EQ(mkfifo(path(hidden(2)).c_str(), 0600), 0);
    loom_hidden_name_sweep(descriptor, "a.npy");
    EXPECT_TRUE(is_there(0) && is_there(1) && is_there(2));
    EXPECT_EQ(read(path("precious")), "x");
}

TEST_F(HiddenName, OfOtherUsersStay)
{
    if (geteuid() != 0) GTEST_SKIP() << "only root can make files of others";
    write(path(hidden(0)), "theirs");
    ASSERT_EQ(chown(path(hidden(0)).c_str(), 65534, 65534), 0);
    loom_hidden_name_sweep(descriptor, "a.npy");
    EXPECT_TRUE(is_there(0));
}

TEST_F(HiddenName, OfAFileThatASweepHoldsIsNotUsed)
{
    write(path(hidden(0)), "");
    int sweeper = open(path(hidden(0)).c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_EQ(flock(sweeper, LOCK_EX | LOCK_NB), 0);
    int writer = open(path(hidden(0)).c_str(), O_RDWR | O_CLOEXEC);
    EXPECT_FALSE(loom_hidden_name_hold(writer));
    std::filesystem::remove(path(hidden(0)));
    close(sweeper);
    EXPECT_FALSE(loom_hidden_name_hold(writer)) << "it has no name any more";
    close(writer);
}

/* Names in use by files of others do not keep a dump from its place. */
TEST_F(HiddenName, ThatIsTakenIsPassedOver)
{
    double value = 2;
    parloom_array array = parloom_array_wrap(&value, PARLOOM_F64, 0, nullptr);
    write(path("a.npy"), "old");
    for (unsigned k = 0; k < 20; k++) std::filesystem::create_directory(path(hidden(k)));
    parloom_error error;
    EXPECT_EQ(parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(read(path("a.npy")).size(), 136U);
    EXPECT_EQ(names().size(), 21U);
}

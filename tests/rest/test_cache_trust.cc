/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cache_trust.cc - folders that others planted, swapped or own: nothing of theirs is removed, used or written. */
#include "support/cache_kit.h"
#include "support/clean.h"
#include "support/sanitizers.h"

#include <atomic>
#include <cerrno>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>

using namespace loom;

namespace
{

namespace fs = std::filesystem;

const std::string DIGITS = "0123456789abcdef0123456789abcdef";

#ifdef LOOM_TEST_SANITIZED
const int SWAPS = 1000;
#else
const int SWAPS = 10000;
#endif

void count_item(const parloom_cache_item *, void *state)
{
    ++*static_cast<size_t *>(state);
}

class CacheTrust : public Clean
{
  protected:
    void SetUp() override
    {
        Clean::SetUp();
        /* Somebody's: it looks like entries and leftovers in each place where the cache has some. */
        victim = kit.folder / "victim";
        for (const fs::path &one : { victim, victim / "ramp", victim / ".work", victim / "ramp" / DIGITS })
            plant(one / DIGITS);
        old_mask = umask(0);
        umask(old_mask);
    }
    void TearDown() override
    {
        umask(old_mask);
        EXPECT_EQ(planted(victim), 4u) << "something of somebody's was removed or written";
        kit.close();
        Clean::TearDown();
    }
    static void plant(const fs::path &folder)
    {
        fs::create_directories(folder);
        std::ofstream(folder / "metadata.json") << "theirs";
    }
    /* How many files are there, all as they were planted. */
    static size_t planted(const fs::path &folder)
    {
        size_t count = 0;
        for (const auto &one : fs::recursive_directory_iterator(folder)) {
            if (!one.is_regular_file()) continue;
            std::ifstream stream(one.path());
            std::string text;
            stream >> text;
            if (text != "theirs") return 0;
            count++;
        }
        return count;
    }
    size_t listed(parloom_cache *cache)
    {
        size_t count = 0;
        EXPECT_EQ(parloom_cache_list(cache, count_item, &count, &kit.error), PARLOOM_OK) << kit.error.message;
        return count;
    }
    /* All that removes. */
    void remove_everything(parloom_cache *cache, parloom_cached *function)
    {
        (void)parloom_cache_reduce(cache, 1, 0, 0, nullptr);
        (void)parloom_cache_forget(function, nullptr);
        (void)parloom_cache_clear(cache, nullptr);
        kit.call(function, 100, 0.5, true);
        EXPECT_EQ(kit.status, PARLOOM_OK) << kit.error.message;
    }
    parloom_status open_status(const parloom_cache_options *options = nullptr)
    {
        parloom_cache *cache = nullptr;
        parloom_status status = parloom_cache_open(&cache, kit.location.c_str(), options, &kit.error);
        parloom_cache_close(cache);
        return status;
    }
    static unsigned mode_of(const fs::path &path)
    {
        return static_cast<unsigned>(fs::status(path).permissions()) & 07777u;
    }
    CacheKit kit;
    fs::path victim;
    mode_t old_mask = 0;
};

} // namespace

TEST_F(CacheTrust, SweepsNothingThroughALinkForLeftovers)
{
    fs::create_directories(kit.root());
    fs::create_directory_symlink(victim, kit.root() / ".work");
    parloom_cache *cache = kit.open();
    parloom_cached *function = kit.bind(cache, define_ramp());
    announce("could not be kept in the cache");
    EXPECT_EQ(kit.call(function, 100, 0.5), CacheKit::want(100, 0.5));
    remove_everything(cache, function);
}

TEST_F(CacheTrust, ListsAndRemovesNothingThroughALinkForAFunction)
{
    parloom_cache *cache = kit.open();
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 100, 0.5);
    fs::rename(kit.root() / "ramp", kit.folder / "moved");
    fs::create_directory_symlink(victim / "ramp", kit.root() / "ramp");
    fs::create_directory_symlink(victim, kit.root() / "other");
    EXPECT_EQ(listed(cache), 0u);
    announce("could not be kept in the cache");
    EXPECT_EQ(kit.call(function, 100, 0.5), CacheKit::want(100, 0.5));
    remove_everything(cache, function);
    EXPECT_TRUE(fs::is_symlink(kit.root() / "other"));
}

TEST_F(CacheTrust, ReplacesAndRemovesALinkForAnEntryAndNotWhatItLeadsTo)
{
    parloom_cache *cache = kit.open();
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 100, 0.5);
    fs::path entry = kit.entries().at(0);
    fs::remove_all(entry);
    fs::create_directory_symlink(victim / "ramp" / DIGITS, entry);
    EXPECT_EQ(listed(cache), 0u);
    EXPECT_EQ(kit.call(function, 100, 0.5), CacheKit::want(100, 0.5));
    EXPECT_FALSE(fs::is_symlink(entry));
    fs::create_directory_symlink(victim / "ramp" / DIGITS, kit.root() / "ramp" / DIGITS);
    fs::create_directory_symlink(victim, entry / "link");
    EXPECT_EQ(parloom_cache_clear(cache, &kit.error), PARLOOM_OK);
    EXPECT_FALSE(fs::exists(kit.root() / "ramp"));
}

TEST_F(CacheTrust, LeavesFoldersThatAreNoEntries)
{
    parloom_cache *cache = kit.open();
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 100, 0.5);
    for (const char *name : { "ramp/mynotes", "src/lib", "src/lib/0123456789abcdef", ".work/mine" })
        plant(kit.root() / name);
    fs::create_directory(kit.root() / "ramp" / DIGITS); /* of an entry's name, and without what an entry has */
    EXPECT_EQ(listed(cache), 1u);
    EXPECT_EQ(parloom_cache_reduce(cache, 1, 0, 0, &kit.error), PARLOOM_OK);
    EXPECT_EQ(listed(cache), 0u);
    kit.call(function, 100, 0.5);
    EXPECT_EQ(parloom_cache_forget(function, &kit.error), PARLOOM_OK);
    kit.call(function, 100, 0.5);
    EXPECT_EQ(parloom_cache_clear(cache, &kit.error), PARLOOM_OK);
    EXPECT_EQ(listed(cache), 0u);
    for (const char *name : { "ramp/mynotes", "src/lib", ".work/mine" })
        EXPECT_GE(planted(kit.root() / name), 1u) << name;
}

TEST_F(CacheTrust, RefusesALinkForTheFolderItself)
{
    fs::create_directories(kit.location);
    fs::create_directory_symlink(victim, kit.root());
    EXPECT_EQ(open_status(), PARLOOM_ERR_IO);
    EXPECT_EQ(kit.error.sys_errno, ELOOP);
    EXPECT_NE(std::string(kit.error.message).find(kit.root().string() + " is a link"), std::string::npos);
}

TEST_F(CacheTrust, RefusesFoldersThatOthersMayWriteUnlessTheyAreShared)
{
    parloom_cache_options shared = cache_options();
    shared.is_shared = true;
    fs::create_directories(kit.root());
    for (unsigned mode : { 0777u, 0770u, 0702u, 01777u }) {
        fs::permissions(kit.root(), fs::perms(mode));
        EXPECT_EQ(open_status(), PARLOOM_ERR_IO) << mode;
        EXPECT_EQ(kit.error.sys_errno, EPERM);
        EXPECT_NE(std::string(kit.error.message).find("is_shared"), std::string::npos) << kit.error.message;
        EXPECT_EQ(open_status(&shared), PARLOOM_OK) << mode;
    }
    fs::permissions(kit.root(), fs::perms(0755));
    EXPECT_EQ(open_status(), PARLOOM_OK);
}

TEST_F(CacheTrust, RefusesFoldersOfOtherUsersUnlessTheyAreShared)
{
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to give a folder away";
    parloom_cache_options shared = cache_options();
    shared.is_shared = true;
    fs::create_directories(kit.root());
    ASSERT_EQ(chown(kit.root().c_str(), 65534, 65534), 0);
    EXPECT_EQ(open_status(), PARLOOM_ERR_IO);
    EXPECT_EQ(kit.error.sys_errno, EPERM);
    EXPECT_NE(std::string(kit.error.message).find("belongs to user 65534"), std::string::npos) << kit.error.message;
    parloom_cached *function = kit.ramp_in(&shared);
    kit.call(function, 100, 0.5);
    EXPECT_EQ(kit.call(function, 100, 0.5), CacheKit::want(100, 0.5));
    EXPECT_TRUE(kit.info.is_hit);
}

TEST_F(CacheTrust, UsesNothingOfAFolderThatChangedHandsAfterItWasOpened)
{
    parloom_cache *cache = kit.open();
    parloom_cached *function = kit.bind(cache, define_ramp());
    kit.call(function, 100, 0.5);
    for (const fs::path &one : { kit.root(), kit.root() / "ramp", kit.entries().at(0) }) {
        fs::permissions(one, fs::perms(0777));
        EXPECT_FALSE(kit.check(function, 100, 0.5)) << one;
        fs::permissions(one, fs::perms(0755));
        EXPECT_TRUE(kit.check(function, 100, 0.5)) << one;
    }
    fs::permissions(kit.root(), fs::perms(0777));
    announce("could not be read, and is done without");
    announce("could not be kept in the cache");
    EXPECT_EQ(kit.call(function, 7, 0.5), CacheKit::want(7, 0.5));
    EXPECT_EQ(kit.call(function, 7, 0.5), CacheKit::want(7, 0.5));
    EXPECT_EQ(warnings().size(), 2u);
    EXPECT_EQ(parloom_cache_clear(cache, &kit.error), PARLOOM_ERR_IO);
    EXPECT_NE(std::string(kit.error.message).find("is_shared"), std::string::npos) << kit.error.message;
    EXPECT_EQ(kit.entries().size(), 1u);
}

TEST_F(CacheTrust, MakesWhatOthersMayNotWriteUnlessItIsShared)
{
    umask(0);
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 100, 0.5);
    size_t seen = 0;
    for (const auto &one : fs::recursive_directory_iterator(kit.root(), fs::directory_options::none)) {
        EXPECT_EQ(mode_of(one.path()) & 022u, 0u) << one.path();
        EXPECT_EQ(mode_of(one.path()) & 044u, 044u) << one.path(); /* they may read */
        seen++;
    }
    EXPECT_GE(seen, 7u); /* .gitignore, .lock, .work, ramp, the entry, and its two files */
    EXPECT_EQ(mode_of(kit.root()), 0755u);
    fs::remove_all(kit.location);
    parloom_cache_options shared = cache_options();
    shared.is_shared = true;
    kit.call(kit.ramp_in(&shared), 100, 0.5);
    EXPECT_EQ(mode_of(kit.root()), 0777u);
    EXPECT_EQ(mode_of(kit.root() / "ramp"), 0777u);
    EXPECT_EQ(mode_of(kit.entries().at(0)), 0777u);
}

/* Somebody who may write above the folder swaps it, and what is in it, for links all the while. */
TEST_F(CacheTrust, IsNotMisledByFoldersThatAreSwappedForLinks)
{
    parloom_cache *cache = kit.open();
    parloom_cached *function = kit.bind(cache, define_ramp());
    std::atomic<bool> is_over{ false };
    kit.call(function, 100, 0.5);
    std::thread swapper([&] {
        const std::string aside = (kit.folder / "aside").string();
        const std::string places[] = { kit.root().string(), (kit.root() / "ramp").string(),
                                       (kit.root() / ".work").string() };
        const std::string theirs[] = { victim.string(), (victim / "ramp").string(), (victim / ".work").string() };
        for (int round = 0; round < SWAPS; round++) {
            const char *place = places[round % 3].c_str();
            if (::rename(place, aside.c_str()) != 0) continue;
            if (::symlink(theirs[round % 3].c_str(), place) == 0) ::unlink(place);
            /* What was made there meanwhile is theirs to remove. */
            std::error_code ignored;
            if (::rename(aside.c_str(), place) != 0) fs::remove_all(aside, ignored);
        }
        is_over = true;
    });
    int rounds = 0;
    for (; !is_over || rounds < 10; rounds++) {
        EXPECT_EQ(kit.call(function, 100, rounds % 5, rounds % 2 == 0), CacheKit::want(100, rounds % 5));
        if (rounds % 4 == 0) remove_everything(cache, function);
    }
    swapper.join();
    for (const auto &line : warnings()) announce(line.substr(0, 40));
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cache_warn.cc - what is warned of once, however many handles, tasks and forked processes run into it. */
#include "support/cache_kit.h"
#include "support/clean.h"

#include <sys/wait.h>

using namespace loom;

namespace
{

class CacheWarn : public Clean
{
  protected:
    void TearDown() override
    {
        kit.close();
        Clean::TearDown();
    }
    void block(const std::string &location) { std::ofstream(location) << "a file where the folder should be"; }
    void call_once_in_a_handle_of_its_own()
    {
        EXPECT_EQ(kit.call(kit.ramp_in(), 10, 0.5), CacheKit::want(10, 0.5));
        kit.close();
    }
    CacheKit kit;
};

/* Unpacks its function, as the guide does. args: packed, log */
int ask(const parloom_task *task, void *const *args)
{
    const auto *packed = static_cast<const parloom_array *>(args[0]);
    parloom_cached *function = nullptr;
    parloom_array result = {};
    if (parloom_cache_unpack(&function, packed->data, packed->shape[0], nullptr) != PARLOOM_OK) return 1;
    parloom_cache_value values[] = { parloom_cache_i64(nullptr, 10),
                                     parloom_cache_f64(nullptr, static_cast<double>(task->index)),
                                     parloom_cache_text(nullptr, static_cast<const char *>(args[1])) };
    parloom_status status = parloom_cache_call(function, values, 3, &result, nullptr, nullptr);
    parloom_array_release(&result);
    parloom_cache_unbind(function);
    return status == PARLOOM_OK ? 0 : 2;
}

} // namespace

TEST_F(CacheWarn, SaysOnceForAllTasksOfALoopThatAStoreCannotBeWritten)
{
    block(kit.location);
    parloom_cached *function = kit.ramp_in();
    std::vector<unsigned char> bytes(parloom_cache_pack(function, nullptr, 0));
    size_t nbytes = parloom_cache_pack(function, bytes.data(), bytes.size());
    parloom_array packed = parloom_array_wrap(bytes.data(), PARLOOM_U8, 1, &nbytes);
    parloom_arg args[] = { parloom_in_array(&packed), parloom_in(kit.log.c_str(), kit.log.size() + 1) };
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.backend = "threads";
    options.n_jobs = 4;
    announce("could not be kept in the cache");
    for (int round = 0; round < 2; round++)
        ASSERT_EQ(parloom_for(24, ask, args, 2, &options, &kit.error), PARLOOM_OK) << kit.error.message;
    EXPECT_EQ(kit.runs(), 48u);
    EXPECT_EQ(warnings().size(), 1u);
}

TEST_F(CacheWarn, KnowsWhatAProcessThatItForkedHasSaid)
{
    block(kit.location);
    parloom_cached *function = kit.ramp_in();
    pid_t child = fork();
    if (child == 0) {
        kit.call(function, 10, 0.5);
        _exit(static_cast<int>(warnings().size()));
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 1);
    call_once_in_a_handle_of_its_own();
    EXPECT_EQ(warnings().size(), 0u);
}

TEST_F(CacheWarn, SaysAnotherReasonAnotherPlaceAndTheSameAfterAClear)
{
    block(kit.location);
    announce(kit.location);
    for (int round = 0; round < 2; round++) call_once_in_a_handle_of_its_own();
    EXPECT_EQ(warnings().size(), 1u);
    std::filesystem::remove(kit.location);
    std::filesystem::create_symlink(kit.location, kit.location); /* cannot be read either */
    announce(kit.location);
    for (int round = 0; round < 2; round++) call_once_in_a_handle_of_its_own();
    EXPECT_EQ(warnings().size(), 3u) << "other reasons";
    parloom_cache_clear(kit.open(), nullptr);
    announce(kit.location);
    for (int round = 0; round < 2; round++) call_once_in_a_handle_of_its_own();
    EXPECT_EQ(warnings().size(), 5u) << "cleared";
    kit.location = (kit.folder / "other").string();
    block(kit.location);
    announce(kit.location);
    for (int round = 0; round < 2; round++) call_once_in_a_handle_of_its_own();
    EXPECT_EQ(warnings().size(), 6u) << "another location";
}

TEST_F(CacheWarn, NamesTheFolderThatCouldNotBeMadeAndWhy)
{
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
    std::filesystem::permissions(kit.folder, std::filesystem::perms(0755));
    kit.location += "/deep/er";
    std::ofstream(kit.log).close();
    std::filesystem::permissions(kit.log, std::filesystem::perms(0666));
    parloom_cached *function = kit.ramp_in();
    announce("could not make the folder " + (kit.folder / "cache").string() + ": Permission denied");
    ASSERT_EQ(seteuid(65534), 0);
    kit.call(function, 10, 0.5);
    ASSERT_EQ(seteuid(0), 0);
    EXPECT_EQ(kit.status, PARLOOM_OK);
}

TEST_F(CacheWarn, DoesNotCallCorruptedWhatMayNotBeRead)
{
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 10, 0.5);
    for (const auto &open : { kit.folder, kit.root(), kit.root() / "ramp" })
        std::filesystem::permissions(open, std::filesystem::perms(0755));
    std::filesystem::permissions(kit.log, std::filesystem::perms(0666));
    std::filesystem::permissions(kit.entries().at(0), std::filesystem::perms(0700));
    announce("could not be read, and is done without");
    announce("could not be kept");
    ASSERT_EQ(seteuid(65534), 0);
    for (int round = 0; round < 2; round++) kit.call(function, 10, 0.5);
    ASSERT_EQ(seteuid(0), 0);
    EXPECT_EQ(warnings().size(), 2u);
}

TEST_F(CacheWarn, SaysOnceThatAnEntryIsDamagedWhileItCannotBeReplaced)
{
    call_once_in_a_handle_of_its_own();
    std::ofstream(kit.entries().at(0) / "metadata.json") << "{}";
    std::filesystem::remove_all(kit.root() / ".work");
    block(kit.root() / ".work");
    announce("is corrupted");
    announce("could not be kept in the cache");
    for (int round = 0; round < 3; round++) call_once_in_a_handle_of_its_own();
    EXPECT_EQ(warnings().size(), 2u);
    std::filesystem::remove(kit.root() / ".work");
    call_once_in_a_handle_of_its_own();
    std::ofstream(kit.entries().at(0) / "metadata.json") << "{}";
    announce("is corrupted");
    call_once_in_a_handle_of_its_own();
    EXPECT_EQ(warnings().size(), 3u) << "it was whole in between";
}

TEST_F(CacheWarn, SaysOnceThatOptionsAndLocationAreOdd)
{
    parloom_cache_options options = cache_options();
    options.codec = "zlib";
    options.mmap_mode = PARLOOM_MMAP_R;
    kit.location = "s3://" + kit.location;
    announce("compressed and mapped");
    announce("looks like no folder");
    for (int round = 0; round < 3; round++) kit.open(&options);
    EXPECT_EQ(warnings().size(), 2u);
}

TEST_F(CacheWarn, SaysOnceThatTwoFunctionsHaveOneName)
{
    parloom_cache_function first = define_ramp(), other = define_ramp();
    first.version = "1";
    other.version = "2";
    announce("two functions have the name");
    for (int round = 0; round < 3; round++) {
        parloom_cache *cache = kit.open();
        kit.bind(cache, first);
        kit.bind(cache, other);
        kit.bind(cache, other);
    }
    EXPECT_EQ(warnings().size(), 1u);
}

TEST_F(CacheWarn, RemembersAsMuchAsItHasRoomFor)
{
    std::string file = kit.folder / "file";
    block(file);
    announce("could not be kept in the cache");
    for (int k = 0; k < 1500; k++) {
        kit.location = file + "/" + std::to_string(k);
        call_once_in_a_handle_of_its_own();
    }
    EXPECT_EQ(warnings().size(), 1500u);
}

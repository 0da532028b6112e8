/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_cache_faults.cc - entries of others under our key, of other releases, disks that are full, names that are long,
 * folders that vanish all the time, and bodies that do not come back.
 */
#include "contract/places.h"
#include "support/cache_kit.h"
#include "support/sanitizers.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <sys/mount.h>
#include <thread>
#include <unistd.h>

using namespace loom;

namespace
{

namespace fs = std::filesystem;

#ifdef LOOM_TEST_SANITIZED
const int ROUNDS = 40;
#else
const int ROUNDS = 300;
#endif

std::string read_all(const fs::path &file)
{
    std::ifstream stream(file, std::ios::binary);
    return { std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>() };
}

bool replace_in(const fs::path &file, const std::string &old_text, const std::string &new_text)
{
    std::string text = read_all(file);
    size_t at = text.find(old_text);
    if (at == std::string::npos) return false;
    std::ofstream(file, std::ios::binary) << text.replace(at, old_text.size(), new_text);
    return true;
}

/* length(text): how long it is, and its character in the middle. */
int measure(parloom_cache_run *, void *const *args, parloom_array *results)
{
    const char *text = static_cast<const char *>(args[0]);
    auto *items = static_cast<int64_t *>(results[0].data);
    items[0] = static_cast<int64_t>(std::strlen(text));
    items[1] = text[items[0] / 2];
    return 0;
}

const parloom_cache_param TEXT_PARAMS[] = { { "text", PARLOOM_CACHE_TEXT, 0, nullptr } };
const size_t TWO[] = { 2 };
const parloom_cache_result TWO_RESULTS[] = { { nullptr, PARLOOM_I64, 1, TWO, 0 } };

/* stay(mode): 0 returns, 1 does not come back, 2 dies. */
int stay(parloom_cache_run *, void *const *args, parloom_array *)
{
    int64_t mode = *static_cast<const int64_t *>(args[0]);
    while (mode == 1) pause();
    if (mode == 2) raise(SIGKILL);
    return 0;
}

const parloom_cache_param STAY_PARAMS[] = { { "mode", PARLOOM_CACHE_I64, 0, nullptr },
                                            { "key", PARLOOM_CACHE_I64, 0, nullptr } };
const char *const STAY_IGNORED[] = { "mode" };

parloom_cache_function define(const char *name, parloom_cache_body body, const parloom_cache_param *params, size_t n)
{
    parloom_cache_function made = define_ramp();
    made.name = name;
    made.body = body;
    made.params = params;
    made.n_params = n;
    made.n_ignore = 0;
    made.results = TWO_RESULTS;
    return made;
}

int stay_in_task(const parloom_task *task, void *const *args)
{
    const auto *packed = static_cast<const parloom_array *>(args[0]);
    parloom_cached *function = nullptr;
    parloom_error error;
    if (parloom_cache_unpack(&function, packed->data, packed->shape[0], &error) != PARLOOM_OK)
        return parloom_fail_text(task, 1, error.message);
    parloom_cache_value values[] = { parloom_cache_i64(nullptr, *static_cast<const int64_t *>(args[1])),
                                     parloom_cache_i64(nullptr, 1) };
    parloom_array result = {};
    parloom_status status = parloom_cache_call(function, values, 2, &result, nullptr, &error);
    parloom_array_release(&result);
    parloom_cache_unbind(function);
    return status == PARLOOM_OK ? 0 : parloom_fail_text(task, 2, error.message);
}

class CacheFaults : public Clean
{
  protected:
    void TearDown() override
    {
        kit.close();
        Clean::TearDown();
    }
    /* Puts the entry of one key where that of another is, and says that it were of it: what a collision looks like. */
    void collide(const char *function, const std::string &from, const std::string &to) const
    {
        fs::path entry = kit.root() / function / to;
        fs::remove_all(entry);
        fs::copy(kit.root() / function / from, entry, fs::copy_options::recursive);
        EXPECT_TRUE(replace_in(entry / "metadata.json", from, to));
    }
    std::vector<int64_t> call_text(parloom_cached *function, const std::string &text)
    {
        parloom_cache_value arg = parloom_cache_text(nullptr, text.c_str());
        parloom_array result = {};
        EXPECT_EQ(parloom_cache_call(function, &arg, 1, &result, &kit.info, &kit.error), PARLOOM_OK);
        auto *items = static_cast<const int64_t *>(result.data);
        std::vector<int64_t> got(items, items + 2);
        parloom_array_release(&result);
        return got;
    }
    CacheKit kit;
};

class CacheEnds : public contract::Placed
{
  protected:
    void TearDown() override
    {
        kit.close();
        Placed::TearDown();
    }
    CacheKit kit;
};

} // namespace

TEST_F(CacheFaults, AnEntryOfOtherArgumentsUnderOurKeyIsNotOurs)
{
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 100, 0.5);
    std::string other = kit.info.key;
    kit.call(function, 100, 2);
    collide("ramp", other, kit.info.key);
    announce("is not of this call");
    EXPECT_EQ(kit.call(function, 100, 2), CacheKit::want(100, 2));
    EXPECT_FALSE(kit.info.is_hit);
}

TEST_F(CacheFaults, NorIsOneOfALongTextThatDiffersInItsMiddle)
{
    parloom_cached *function = kit.bind(kit.open(), define("length", measure, TEXT_PARAMS, 1));
    std::string a(5000, 'a'), b = a;
    b[2500] = 'b';
    call_text(function, a);
    std::string other = kit.info.key;
    call_text(function, b);
    collide("length", other, kit.info.key);
    announce("is not of this call");
    EXPECT_EQ(call_text(function, b), (std::vector<int64_t>{ 5000, 'b' }));
    EXPECT_EQ(call_text(function, b), (std::vector<int64_t>{ 5000, 'b' }));
    EXPECT_TRUE(kit.info.is_hit);
}

TEST_F(CacheFaults, EntriesOfOtherReleasesAndMachinesAreComputedAgain)
{
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 100, 0.5);
    fs::path about = kit.entries().at(0) / "metadata.json";
    const std::pair<const char *, const char *> changes[] = { { "parloom cache ", "parloom cache 9" },
                                                              { "build-id ", "build-id 00" },
                                                              { "\"format\"", "\"Format\"" } };
    for (const auto &change : changes) {
        ASSERT_TRUE(replace_in(about, change.first, change.second)) << read_all(about);
        size_t runs = kit.runs();
        EXPECT_EQ(kit.call(function, 100, 0.5), CacheKit::want(100, 0.5));
        EXPECT_EQ(kit.runs(), runs + 1) << change.second;
        kit.call(function, 100, 0.5);
        EXPECT_TRUE(kit.info.is_hit) << change.second;
    }
    announce("is not of this call");
    announce("another build or version");
}

/* Data of a machine of the other byte order is no damage: its header says so. */
TEST_F(CacheFaults, DataInTheOtherByteOrderIsTurned)
{
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 100, 0.5);
    fs::path data = kit.entries().at(0) / "result.npy";
    std::string bytes = read_all(data);
    ASSERT_NE(bytes.find("'<f8'"), std::string::npos);
    bytes[bytes.find("'<f8'") + 1] = '>';
    for (size_t at = bytes.size() - 800; at < bytes.size(); at += 8)
        std::reverse(bytes.begin() + static_cast<ptrdiff_t>(at), bytes.begin() + static_cast<ptrdiff_t>(at) + 8);
    std::ofstream(data, std::ios::binary) << bytes;
    EXPECT_EQ(kit.call(function, 100, 0.5), CacheKit::want(100, 0.5));
    EXPECT_TRUE(kit.info.is_hit);
}

TEST_F(CacheFaults, AFullDiskCostsOneWarningAndNoResult)
{
    fs::create_directories(kit.location);
    if (mount("none", kit.location.c_str(), "tmpfs", 0, "size=1m") != 0)
        GTEST_SKIP() << "needs a file system of its own: " << strerror(errno);
    parloom_cached *function = kit.ramp_in();
    announce("could not be kept in the cache");
    for (double x : { 1.0, 2.0, 3.0 }) {
        EXPECT_EQ(kit.call(function, 300000, x), CacheKit::want(300000, x));
        EXPECT_FALSE(kit.info.is_hit);
    }
    EXPECT_EQ(warnings().size(), 1u);
    EXPECT_EQ(kit.entries().size(), 0u);
    EXPECT_EQ(kit.orphans(), 0u);
    kit.call(function, 100, 1); /* what fits is kept */
    kit.call(function, 100, 1);
    EXPECT_TRUE(kit.info.is_hit);
    kit.close();
    EXPECT_EQ(umount2(kit.location.c_str(), MNT_DETACH), 0);
}

TEST_F(CacheFaults, LongNamesOfFunctionsAreKeptApart)
{
    parloom_cache *cache = kit.open();
    std::string names[] = { std::string(95, '/'), std::string(94, '/') + "a", std::string(94, '/') + "b",
                            std::string(95, 'a'), std::string(45, '/') };
    for (const std::string &name : names) {
        parloom_cache_function definition = define_ramp();
        definition.name = name.c_str();
        parloom_cached *function = kit.bind(cache, definition);
        kit.call(function, 100, 0.5);
        EXPECT_FALSE(kit.info.is_hit) << name;
        kit.call(function, 100, 0.5);
        EXPECT_TRUE(kit.info.is_hit) << name;
    }
    size_t folders = 0;
    for (const auto &one : fs::directory_iterator(kit.root())) {
        if (one.path().filename().string()[0] == '.') continue;
        EXPECT_LE(one.path().filename().string().size(), 255u);
        folders++;
    }
    EXPECT_EQ(folders, std::size(names));
    EXPECT_EQ(parloom_cache_clear(cache, &kit.error), PARLOOM_OK);
}

TEST_F(CacheFaults, LongLocationsAreUsedOrRefused)
{
    const std::string part = "/" + std::string(200, 'd');
    for (int k = 0; k < 6; k++) kit.location += part;
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 100, 0.5);
    kit.call(function, 100, 0.5);
    EXPECT_TRUE(kit.info.is_hit);
    for (int k = 0; k < 2; k++) kit.location += part;
    parloom_cache *cache = nullptr;
    EXPECT_EQ(parloom_cache_open(&cache, kit.location.c_str(), nullptr, &kit.error), PARLOOM_ERR_INVALID);
    EXPECT_NE(std::string(kit.error.message).find("too long"), std::string::npos);
}

/* Somebody removes all of it again and again, while it is written, read and listed. */
TEST_F(CacheFaults, AFolderThatIsRemovedAllTheWhileCostsNoResult)
{
    parloom_cache *cache = kit.open();
    parloom_cached *function = kit.bind(cache, define_ramp());
    std::atomic<int> working{ 3 }, wrong{ 0 };
    std::vector<std::thread> threads;
    for (int who = 0; who < 3; who++)
        threads.emplace_back([&, who] {
            for (int round = 0; round < ROUNDS; round++) {
                double x = round % 3;
                int64_t n = 50;
                parloom_cache_value args[] = { parloom_cache_i64(nullptr, n), parloom_cache_f64(nullptr, x),
                                               parloom_cache_text(nullptr, kit.log.c_str()) };
                parloom_array result = {};
                auto how = who == 0 ? parloom_cache_force : parloom_cache_call;
                if (how(function, args, 3, &result, nullptr, nullptr) != PARLOOM_OK || result.shape[0] != 50)
                    wrong++;
                else
                    wrong += static_cast<const double *>(result.data)[49] == 49 * x ? 0 : 1;
                parloom_array_release(&result);
                if (who == 2) (void)parloom_cache_reduce(cache, 0, 1, 0, nullptr);
            }
            working--;
        });
    while (working > 0) {
        std::error_code ignored;
        fs::remove_all(kit.location, ignored);
    }
    for (auto &thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
    for (const auto &line : warnings()) announce(line.substr(0, 40)); /* "could not be kept", where it hit that often */
    kit.call(function, 50, 7);
    EXPECT_EQ(kit.call(function, 50, 7), CacheKit::want(50, 7));
    EXPECT_TRUE(kit.info.is_hit);
}

TEST_P(CacheEnds, ABodyThatIsEndedLeavesNothing)
{
    parloom_cache_function definition = define("stay", stay, STAY_PARAMS, 2);
    definition.ignore = STAY_IGNORED;
    definition.n_ignore = 1;
    parloom_cached *function = kit.bind(kit.open(), definition);
    std::vector<char> bytes(parloom_cache_pack(function, nullptr, 0));
    parloom_cache_pack(function, bytes.data(), bytes.size());
    const size_t nbytes = bytes.size();
    parloom_array packed = parloom_array_wrap(bytes.data(), PARLOOM_U8, 1, &nbytes);
    const std::pair<int64_t, parloom_status> ends[] = { { 1, PARLOOM_ERR_TIMEOUT },
                                                        { 2, PARLOOM_ERR_CRASHED },
                                                        { 0, PARLOOM_OK } };
    for (const auto &end : ends) {
        parloom_arg args[] = { parloom_in_array(&packed), parloom_in(&end.first, sizeof end.first) };
        parloom_options how = options();
        how.task_timeout = end.first == 1 ? 0.3 : 0;
        EXPECT_EQ(parloom_for(1, stay_in_task, args, 2, &how, &error), end.second) << error.message;
        EXPECT_EQ(kit.entries("stay").size(), end.first == 0 ? 1u : 0u);
    }
    EXPECT_EQ(kit.orphans(), 0u);
}

INSTANTIATE_TEST_SUITE_P(All, CacheEnds, ::testing::ValuesIn(contract::every_kill), contract::name_of);

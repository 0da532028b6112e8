/* SPDX-License-Identifier: BSD-3-Clause */
/* C2: what lies in a cache: sizes, stores, concurrency, validity. */
#include "conformance/conformance.h"
#include "support/cache_kit.h"

#include <cmath>
#include <sys/stat.h>

using namespace conformance;
using loom::CacheKit;

namespace
{

struct listed {
    std::string name, path;
    uint64_t nbytes;
    double used_s;
};

std::vector<listed> list_of(parloom_cache *cache)
{
    std::vector<listed> all;
    auto note = [](const parloom_cache_item *item, void *state) {
        static_cast<std::vector<listed> *>(state)->push_back({ item->name, item->path, item->nbytes, item->used_s });
    };
    EXPECT_EQ(parloom_cache_list(cache, note, &all, nullptr), PARLOOM_OK);
    return all;
}

/* Says that an entry was last used so many seconds ago. */
void age(const std::filesystem::path &entry, int seconds)
{
    struct timespec times[2];
    clock_gettime(CLOCK_REALTIME, &times[1]);
    times[1].tv_sec -= seconds;
    times[0] = times[1];
    ASSERT_EQ(utimensat(AT_FDCWD, entry.c_str(), times, 0), 0);
}

/* Ten entries of equal size, 0 the one not used for longest; the bytes of one. */
uint64_t fill_ten(CacheKit &kit, parloom_cached *function, parloom_cache *cache)
{
    for (int k = 0; k < 10; k++) {
        kit.call(function, 50, 0.125 * (k + 1));
        age(kit.root() / "ramp" / kit.info.key, 1000 - k);
    }
    return list_of(cache).at(0).nbytes + 8; /* numbers differ in length by a few bytes */
}

parloom_cached *bind_valid(CacheKit &kit, bool (*is_valid)(const parloom_cache_info *, void *), void *state)
{
    parloom_cache_function definition = loom::define_ramp();
    definition.is_valid = is_valid;
    definition.is_valid_state = state;
    return kit.bind(kit.open(), definition);
}

/* Waits a while if x is above 0: until the clock has moved on by so much. */
int slow_ramp(parloom_cache_run *run, void *const *args, parloom_array *results)
{
    auto until =
        std::chrono::steady_clock::now() + std::chrono::duration<double>(*static_cast<const double *>(args[1]));
    while (std::chrono::steady_clock::now() < until) std::this_thread::yield();
    return loom::ramp(run, args, results);
}

/* As if it had been computed so many seconds before. */
void backdate(const std::filesystem::path &entry, double seconds)
{
    std::ifstream from(entry / "metadata.json");
    std::string line, text;
    while (std::getline(from, line)) {
        double created = 0;
        if (sscanf(line.c_str(), "  \"created_s\": %lf", &created) == 1)
            line = "  \"created_s\": " + std::to_string(created - seconds) + ",";
        text += line + "\n";
    }
    std::ofstream(entry / "metadata.json") << text;
}

/* Reads and writes one entry of 1.5e5 items, each in a segment of its own, with the others; true: each result was
 * whole. */
bool share(parloom_cached *function, CacheKit &kit, bool is_writer)
{
    for (int round = 0; round < 5; round++) {
        auto args = kit.values(150000, 0.5);
        parloom_array result = {};
        auto how = is_writer ? parloom_cache_force : parloom_cache_call;
        if (how(function, args.data(), args.size(), &result, nullptr, nullptr) != PARLOOM_OK) return false;
        auto *items = static_cast<const double *>(result.data);
        bool is_whole = result.shape[0] == 150000;
        for (size_t k = 0; k < 150000 && is_whole; k++) is_whole = items[k] == 0.5 * static_cast<double>(k);
        parloom_array_release(&result);
        if (!is_whole) return false;
    }
    return true;
}

} // namespace

TEST_F(Conformance, C2_01_EntriesAreListedWithPathBytesAndLastUse)
{
    CacheKit kit;
    parloom_cache *cache = kit.open();
    kit.call(kit.bind(cache, loom::define_ramp()), 50, 1);
    age(kit.entries().at(0), 500);
    auto all = list_of(cache);
    ASSERT_EQ(all.size(), 1u);
    uint64_t nbytes = 0;
    for (const auto &file : std::filesystem::directory_iterator(all[0].path)) nbytes += file.file_size();
    EXPECT_EQ(all[0].nbytes, nbytes);
    EXPECT_EQ(all[0].path, kit.entries()[0]);
    struct stat about;
    ASSERT_EQ(stat(all[0].path.c_str(), &about), 0);
    EXPECT_NEAR(all[0].used_s, static_cast<double>(about.st_mtim.tv_sec), 1);
}

TEST_F(Conformance, C2_02_ThoseNotUsedForLongestGoFirst)
{
    CacheKit kit;
    parloom_cache *cache = kit.open();
    EXPECT_EQ(parloom_cache_reduce(cache, 1, 1, 1, &error), PARLOOM_OK) << "an empty cache";
    parloom_cached *function = kit.bind(cache, loom::define_ramp());
    uint64_t one = fill_ten(kit, function, cache);
    EXPECT_EQ(parloom_cache_reduce(cache, 1 << 20, 0, 0, &error), PARLOOM_OK);
    EXPECT_EQ(kit.entries().size(), 10u);
    EXPECT_EQ(parloom_cache_reduce(cache, 6 * one, 0, 0, &error), PARLOOM_OK);
    EXPECT_EQ(kit.entries().size(), 6u);
    for (int k = 0; k < 10; k++) EXPECT_EQ(kit.check(function, 50, 0.125 * (k + 1)), k >= 4) << k;
    EXPECT_EQ(parloom_cache_reduce(cache, one + one / 2, 0, 0, &error), PARLOOM_OK);
    EXPECT_EQ(kit.entries().size(), 1u);
    EXPECT_EQ(parloom_cache_reduce(cache, 500, 0, 0, &error), PARLOOM_OK);
    EXPECT_EQ(kit.entries().size(), 0u);
}

TEST_F(Conformance, C2_03_ALimitOfBytesKeepsWhatFits)
{
    CacheKit kit;
    parloom_cache *cache = kit.open();
    uint64_t one = fill_ten(kit, kit.bind(cache, loom::define_ramp()), cache);
    const struct {
        uint64_t nbytes;
        size_t kept;
    } limits[] = { { 0, 10 }, { 1 << 20, 10 }, { 2 * one + one / 2, 2 }, { 500, 0 } };
    for (const auto &limit : limits) {
        EXPECT_EQ(parloom_cache_reduce(cache, limit.nbytes, 0, 0, &error), PARLOOM_OK);
        EXPECT_EQ(kit.entries().size(), limit.kept);
    }
}

TEST_F(Conformance, C2_05_ALimitOfAgeKeepsWhatWasUsedLately)
{
    CacheKit kit;
    parloom_cache *cache = kit.open();
    parloom_cached *function = kit.bind(cache, loom::define_ramp());
    fill_ten(kit, function, cache); /* not used for 991 to 1000 seconds */
    kit.call(function, 50, 0.125);
    kit.call(function, 50, 0.25);
    EXPECT_EQ(parloom_cache_reduce(cache, 0, 0, 24 * 3600, &error), PARLOOM_OK);
    EXPECT_EQ(kit.entries().size(), 10u);
    EXPECT_EQ(parloom_cache_reduce(cache, 0, 0, 900, &error), PARLOOM_OK);
    EXPECT_EQ(kit.entries().size(), 2u);
    EXPECT_TRUE(kit.check(function, 50, 0.125));
    EXPECT_EQ(parloom_cache_reduce(cache, 0, 0, -1, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_cache_reduce(cache, 0, 0, 1e-9, &error), PARLOOM_OK); /* 0 is no limit here */
    EXPECT_EQ(kit.entries().size(), 0u);
}

TEST_F(Conformance, C2_06_ClearEmptiesTheLocation)
{
    CacheKit kit;
    parloom_cache *cache = kit.open();
    parloom_cached *function = kit.bind(cache, loom::define_ramp());
    kit.call(function, 50, 1);
    EXPECT_EQ(parloom_cache_clear(cache, &error), PARLOOM_OK);
    for (const auto &left : std::filesystem::directory_iterator(kit.root()))
        EXPECT_EQ(left.path().filename().string()[0], '.') << left.path();
    EXPECT_FALSE(kit.check(function, 50, 1));
    kit.call(function, 50, 1);
    EXPECT_EQ(kit.runs(), 2u);
}

TEST_F(Conformance, C2_08_AFolderWithoutItsDataIsNoHit)
{
    CacheKit kit;
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 50, 1);
    std::filesystem::path entry = kit.entries().at(0);
    announce("is corrupted and is computed again");
    for (const char *missing : { "result.npy", "metadata.json" }) {
        std::filesystem::remove(entry / missing);
        EXPECT_EQ(kit.call(function, 50, 1), CacheKit::want(50, 1));
        EXPECT_FALSE(kit.info.is_hit);
    }
    /* What is being written has no name that is looked at. */
    std::filesystem::rename(entry, kit.root() / ".work" / entry.filename());
    kit.call(function, 50, 1);
    EXPECT_FALSE(kit.info.is_hit);
}

TEST_F(Conformance, C2_09_ACorruptEntryIsComputedAgainWithOneWarning)
{
    CacheKit kit;
    parloom_cached *function = kit.ramp_in();
    auto args = kit.values(50, 1);
    parloom_shelved *shelved = nullptr;
    parloom_array result = {};
    ASSERT_EQ(parloom_cache_shelve(&shelved, function, args.data(), 3, nullptr, &error), PARLOOM_OK) << error.message;
    std::ofstream(kit.entries().at(0) / "result.npy") << "garbage";
    EXPECT_EQ(parloom_shelved_get(shelved, &result, &error), PARLOOM_ERR_FORMAT);
    EXPECT_NE(std::string(error.message).find("is corrupted"), std::string::npos) << error.message;
    announce("is corrupted and is computed again");
    EXPECT_EQ(kit.call(function, 50, 1), CacheKit::want(50, 1));
    EXPECT_EQ(warnings().size(), 1u);
    EXPECT_EQ(kit.runs(), 2u);
    kit.call(function, 50, 1);
    EXPECT_TRUE(kit.info.is_hit);
    parloom_shelved_release(shelved);
}

TEST_F(Conformance, C2_19_AReferenceOfALocalFunctionSurvivesByLocationAndKey)
{
    CacheKit kit;
    auto args = kit.values(9, 3);
    parloom_shelved *shelved = nullptr, *again = nullptr;
    parloom_array result = {};
    ASSERT_EQ(parloom_cache_shelve(&shelved, kit.ramp_in(), args.data(), 3, nullptr, &error), PARLOOM_OK);
    std::string key = parloom_shelved_key(shelved);
    parloom_shelved_release(shelved);
    kit.close();
    ASSERT_EQ(parloom_shelved_open(&again, kit.ramp_in(), key.c_str(), &error), PARLOOM_OK);
    ASSERT_EQ(parloom_shelved_get(again, &result, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(static_cast<double *>(result.data)[8], 24);
    EXPECT_EQ(parloom_shelved_key(again), key);
    parloom_array_release(&result);
    parloom_shelved_release(again);
}

TEST_F(Conformance, C2_20_AllSettingsTravel)
{
    CacheKit kit;
    parloom_cache_options options = loom::cache_options();
    options.mmap_mode = PARLOOM_MMAP_C;
    options.n_items = 7;
    options.nbytes = 12345;
    options.age_s = 4.5;
    options.is_durable = true;
    parloom_cache_function definition = loom::define_ramp();
    definition.version = "3";
    definition.expires_after_s = 1000;
    parloom_cached *function = kit.bind(kit.open(&options), definition), *copy = nullptr;
    std::vector<char> bytes(parloom_cache_pack(function, nullptr, 0)), again;
    parloom_cache_pack(function, bytes.data(), bytes.size());
    ASSERT_EQ(parloom_cache_unpack(&copy, bytes.data(), bytes.size(), &error), PARLOOM_OK) << error.message;
    again.resize(parloom_cache_pack(copy, nullptr, 0));
    parloom_cache_pack(copy, again.data(), again.size());
    EXPECT_EQ(again, bytes);
    kit.call(copy, 4, 1);
    EXPECT_EQ(kit.mapped_file, "result.npy");
    EXPECT_TRUE(kit.is_writable);
    for (int n = 5; n < 20; n++) kit.call(copy, n, 1);
    EXPECT_LT(kit.entries().size(), 16u) << "its limit travelled";
    parloom_cache_unbind(copy);
    announce("is compressed");
    /* No setting is left behind: each one changes what is packed. */
    const std::vector<std::function<void()>> changes = { [&] { options.mmap_mode = PARLOOM_MMAP_R; },
                                                         [&] { options.n_items = 8; },
                                                         [&] { options.nbytes = 12346; },
                                                         [&] { options.age_s = 5; },
                                                         [&] { options.is_durable = false; },
                                                         [&] { options.verbose = 1; },
                                                         [&] { options.codec = "gzip"; },
                                                         [&] { options.level = 2; },
                                                         [&] { definition.version = "4"; },
                                                         [&] { definition.expires_after_s = 999; },
                                                         [&] { definition.verbose = 2; },
                                                         [&] { definition.mmap_mode = PARLOOM_MMAP_RW; } };
    for (size_t k = 0; k < changes.size(); k++) {
        changes[k]();
        kit.close(); /* two versions of one function in an open cache are warned of */
        function = kit.bind(kit.open(&options), definition);
        again.resize(parloom_cache_pack(function, nullptr, 0));
        parloom_cache_pack(function, again.data(), again.size());
        EXPECT_NE(again, bytes) << k;
        bytes = again;
    }
}

TEST_F(Conformance, C2_21_OnlyAVerboseCacheTellsItsQuestions)
{
    CacheKit kit;
    static int questions;
    parloom_set_log([](int, const char *line, void *) { questions += strstr(line, "querying") != nullptr; }, nullptr);
    parloom_cache_options options = loom::cache_options();
    for (int verbose : { 0, 20 }) {
        questions = 0;
        options.verbose = verbose;
        kit.call(kit.ramp_in(&options), 2, 3);
        EXPECT_EQ(questions > 0, verbose == 20);
    }
    parloom_set_log(nullptr, nullptr);
}

TEST_F(Conformance, C2_22_WhatCannotBeAVerdictIsRefused)
{
    /* A function pointer is callable by its type: what is left to refuse is an age that is none. */
    CacheKit kit;
    parloom_cached *function = nullptr;
    parloom_cache_function definition = loom::define_ramp();
    parloom_cache *cache = kit.open();
    for (double age_s : { -1.0, static_cast<double>(NAN) }) {
        definition.expires_after_s = age_s;
        EXPECT_EQ(parloom_cache_bind(&function, cache, &definition, &error), PARLOOM_ERR_INVALID);
    }
    EXPECT_EQ(function, nullptr);
}

TEST_F(Conformance, C2_23_TheVerdictDecides)
{
    for (bool verdict : { true, false }) {
        CacheKit kit;
        parloom_cached *function = bind_valid(
            kit, [](const parloom_cache_info *, void *state) { return *static_cast<bool *>(state); }, &verdict);
        for (int round = 0; round < 4; round++) kit.call(function, 3, 1);
        EXPECT_EQ(kit.runs(), verdict ? 1u : 4u);
    }
}

TEST_F(Conformance, C2_24_LongRunsAreReusedAndShortOnesAreNot)
{
    CacheKit kit;
    parloom_cache_function definition = loom::define_ramp();
    definition.body = slow_ramp;
    definition.is_valid = [](const parloom_cache_info *info, void *) { return info->duration_s > 0.1; };
    parloom_cached *function = kit.bind(kit.open(), definition);
    kit.call(function, 3, 0.15);
    kit.call(function, 3, 0.15);
    EXPECT_EQ(kit.runs(), 1u);
    EXPECT_GE(kit.info.duration_s, 0.15);
    definition.is_valid = [](const parloom_cache_info *info, void *) { return info->duration_s > 3600; };
    function = kit.bind(kit.open(), definition);
    kit.call(function, 3, 0);
    kit.call(function, 3, 0);
    EXPECT_EQ(kit.runs(), 3u);
}

TEST_F(Conformance, C2_25_EntriesExpire)
{
    CacheKit kit;
    parloom_cache_function definition = loom::define_ramp();
    definition.expires_after_s = 3600;
    parloom_cached *function = kit.bind(kit.open(), definition);
    kit.call(function, 3, 1);
    kit.call(function, 3, 1);
    EXPECT_EQ(kit.runs(), 1u);
    backdate(kit.entries().at(0), 3500);
    kit.call(function, 3, 1);
    EXPECT_EQ(kit.runs(), 1u);
    backdate(kit.entries().at(0), 200);
    EXPECT_FALSE(kit.check(function, 3, 1));
    kit.call(function, 3, 1);
    EXPECT_EQ(kit.runs(), 2u);
    kit.call(function, 3, 1);
    EXPECT_EQ(kit.runs(), 2u);
}

TEST_F(Conformance, C2_26_AForcedCallRunsTheFunctionAndTellsAboutIt)
{
    CacheKit kit;
    parloom_cached *function = kit.ramp_in();
    for (size_t round = 1; round <= 3; round++) {
        EXPECT_EQ(kit.call(function, 3, 1, true), CacheKit::want(3, 1));
        EXPECT_EQ(kit.runs(), round);
        EXPECT_FALSE(kit.info.is_hit);
        EXPECT_EQ(kit.entries().at(0).filename(), kit.info.key);
        EXPECT_GT(kit.info.created_s, 1e9);
    }
}

TEST_F(Conformance, C2_27_AForcedCallNeedsNoStore)
{
    CacheKit kit;
    parloom_cached *function = kit.ramp_in(nullptr, false);
    EXPECT_EQ(kit.call(function, 3, 1, true), CacheKit::want(3, 1));
    EXPECT_EQ(kit.call(function, 3, 1, true), CacheKit::want(3, 1));
    EXPECT_EQ(kit.runs(), 2u);
    EXPECT_GE(kit.info.duration_s, 0);
}

TEST_F(Conformance, C2_29_AGitignoreIsKept)
{
    CacheKit kit;
    std::filesystem::create_directories(kit.root());
    std::ofstream(kit.root() / ".gitignore") << "mine";
    kit.call(kit.ramp_in(), 3, 1);
    EXPECT_EQ(std::filesystem::file_size(kit.root() / ".gitignore"), 4u);
}

TEST_F(Conformance, C2_35_WritersAndReadersOfOneEntrySeeItWhole)
{
    CacheKit kit;
    parloom_cached *function = kit.ramp_in();
    std::atomic<int> good{ 0 };
    std::vector<std::thread> threads;
    for (int who = 0; who < 12; who++)
        threads.emplace_back([&, who] { good += share(function, kit, who % 2 == 0) ? 1 : 0; });
    for (auto &thread : threads) thread.join();
    EXPECT_EQ(good, 12);
    std::vector<pid_t> children;
    for (int who = 0; who < 12; who++) {
        pid_t child = fork();
        if (child == 0) _exit(share(function, kit, who % 2 == 0) ? 0 : 1);
        children.push_back(child);
    }
    for (pid_t child : children) {
        int status = 0;
        waitpid(child, &status, 0);
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    EXPECT_EQ(kit.orphans(), 0u);
}

TEST_F(Conformance, C2_37_AResultThatCannotBeStoredIsReturnedWithItsOwnWarning)
{
    CacheKit kit;
    parloom_codec_ops ops = {};
    ops.struct_size = sizeof ops;
    ops.abi = PARLOOM_CODEC_ABI;
    ops.recognise = [](void *, const void *, size_t) { return false; };
    ops.open = [](void *, int, size_t, void **, parloom_error *) { return PARLOOM_ERR_UNSUPPORTED; };
    ops.step = [](void *, parloom_codec_step *, parloom_error *) { return PARLOOM_ERR_UNSUPPORTED; };
    ops.close = [](void *) {};
    ASSERT_EQ(parloom_codec_register("refuses", &ops, nullptr, &kit.error), PARLOOM_OK) << kit.error.message;
    parloom_cache_options options = loom::cache_options();
    options.codec = "refuses";
    parloom_cached *function = kit.ramp_in(&options);
    announce("could not be kept in the cache");
    for (int round = 0; round < 2; round++) EXPECT_EQ(kit.call(function, 3, 1), CacheKit::want(3, 1));
    EXPECT_EQ(kit.runs(), 2u);
    EXPECT_EQ(warnings().size(), 1u);
    EXPECT_TRUE(kit.entries().empty());
    kit.close();
    EXPECT_EQ(parloom_codec_unregister("refuses", &kit.error), PARLOOM_OK) << kit.error.message;
}

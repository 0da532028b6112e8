/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cache_registry.cc - stores of the program's own, and limits. */
#include "support/cache_kit.h"
#include "support/clean.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <sys/stat.h>

using namespace loom;

namespace
{

/* Keeps items as files in memory: what is begun and fetched are folders of its own, gone with end and release. */
struct in_memory {
    std::map<std::string, std::map<std::string, std::string>> items;
    std::mutex mutex;
    std::string folder;
    int made = 0, open_places = 0;
};

std::string bytes_of(const std::filesystem::path &file)
{
    std::ifstream stream(file, std::ios::binary);
    return { std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>() };
}

void make_place(in_memory *store, parloom_cache_place *place)
{
    std::string path = store->folder + "/" + std::to_string(store->made++);
    std::filesystem::create_directories(path);
    store->open_places++;
    snprintf(place->path, sizeof place->path, "%s", path.c_str());
}

void drop_place(in_memory *store, parloom_cache_place *place)
{
    std::filesystem::remove_all(place->path);
    store->open_places--;
}

parloom_status open_store(void *state, const char *location, void **store_out, parloom_error *)
{
    static_cast<in_memory *>(state)->folder = location;
    *store_out = state;
    return PARLOOM_OK;
}

void close_store(void *) {}

parloom_status fetch(void *opaque, const char *item, parloom_cache_place *place, bool *is_there_out, parloom_error *)
{
    auto *store = static_cast<in_memory *>(opaque);
    std::lock_guard<std::mutex> guard(store->mutex);
    auto found = store->items.find(item);
    *is_there_out = found != store->items.end();
    if (!*is_there_out) return PARLOOM_OK;
    make_place(store, place);
    for (const auto &file : found->second)
        std::ofstream(std::string(place->path) + "/" + file.first, std::ios::binary) << file.second;
    return PARLOOM_OK;
}

void release(void *store, parloom_cache_place *place)
{
    std::lock_guard<std::mutex> guard(static_cast<in_memory *>(store)->mutex);
    drop_place(static_cast<in_memory *>(store), place);
}

parloom_status begin(void *opaque, const char *, parloom_cache_place *place, parloom_error *)
{
    std::lock_guard<std::mutex> guard(static_cast<in_memory *>(opaque)->mutex);
    make_place(static_cast<in_memory *>(opaque), place);
    return PARLOOM_OK;
}

parloom_status end(void *opaque, const char *item, parloom_cache_place *place, bool keep, parloom_error *)
{
    auto *store = static_cast<in_memory *>(opaque);
    std::lock_guard<std::mutex> guard(store->mutex);
    std::map<std::string, std::string> files;
    for (const auto &file : std::filesystem::directory_iterator(place->path))
        files[file.path().filename()] = bytes_of(file.path());
    if (keep) store->items[item] = files;
    drop_place(store, place);
    return PARLOOM_OK;
}

parloom_status remove_items(void *opaque, const char *item, parloom_error *)
{
    auto *store = static_cast<in_memory *>(opaque);
    std::lock_guard<std::mutex> guard(store->mutex);
    std::string prefix = item;
    for (auto at = store->items.begin(); at != store->items.end();)
        at = prefix.empty() || at->first == prefix || at->first.rfind(prefix + "/", 0) == 0 ? store->items.erase(at)
                                                                                            : std::next(at);
    return PARLOOM_OK;
}

parloom_status list(void *opaque, void (*each)(const parloom_cache_item *, void *), void *state, parloom_error *)
{
    auto *store = static_cast<in_memory *>(opaque);
    double used = 0;
    for (const auto &one : store->items) {
        parloom_cache_item item = { one.first.c_str(), "", 0, used++ };
        for (const auto &file : one.second) item.nbytes += file.second.size();
        each(&item, state);
    }
    return PARLOOM_OK;
}

parloom_cache_store_ops all_ops()
{
    parloom_cache_store_ops made;
    memset(&made, 0, sizeof made);
    made.struct_size = sizeof made;
    made.abi = PARLOOM_CACHE_STORE_ABI;
    made.open = open_store;
    made.close = close_store;
    made.fetch = fetch;
    made.release = release;
    made.begin = begin;
    made.end = end;
    made.remove = remove_items;
    made.list = list;
    return made;
}

struct listed {
    std::string name, path;
    uint64_t nbytes;
    double used_s;
};

std::vector<listed> list_of(parloom_cache *cache)
{
    std::vector<listed> all;
    parloom_error error;
    auto note = [](const parloom_cache_item *item, void *state) {
        static_cast<std::vector<listed> *>(state)->push_back({ item->name, item->path, item->nbytes, item->used_s });
    };
    EXPECT_EQ(parloom_cache_list(cache, note, &all, &error), PARLOOM_OK) << error.message;
    return all;
}

class CacheStore : public Clean
{
  protected:
    void TearDown() override
    {
        kit.close();
        Clean::TearDown();
    }
    /* Sets when an entry was last used: so many seconds ago. */
    static void age(const std::filesystem::path &entry, int seconds)
    {
        struct timespec now, times[2];
        clock_gettime(CLOCK_REALTIME, &now);
        times[0] = times[1] = now;
        times[1].tv_sec -= seconds;
        ASSERT_EQ(utimensat(AT_FDCWD, entry.c_str(), times, 0), 0);
    }
    CacheKit kit;
};

} // namespace

TEST_F(CacheStore, OfTheProgramsOwnKeepsAndGivesBack)
{
    in_memory state;
    parloom_cache_store_ops ops = all_ops();
    ASSERT_EQ(parloom_cache_register("in_memory", &ops, &state, &kit.error), PARLOOM_OK) << kit.error.message;
    EXPECT_EQ(parloom_cache_register("in_memory", &ops, &state, &kit.error), PARLOOM_ERR_INVALID);
    parloom_cache_options options = cache_options();
    options.store = "in_memory";
    parloom_cache *cache = kit.open(&options);
    parloom_cached *function = kit.bind(cache, define_ramp());
    for (int round = 0; round < 2; round++)
        for (int64_t n : { 1, 2, 3 }) EXPECT_EQ(kit.call(function, n, 0.5), CacheKit::want(n, 0.5));
    EXPECT_EQ(kit.runs(), 3u);
    EXPECT_EQ(state.items.size(), 3u);
    EXPECT_EQ(state.open_places, 0);
    EXPECT_EQ(parloom_cache_unregister("in_memory", &kit.error), PARLOOM_ERR_BUSY);
    EXPECT_EQ(parloom_cache_reduce(cache, 0, 1, 0, &kit.error), PARLOOM_OK);
    EXPECT_EQ(state.items.size(), 1u);
    EXPECT_EQ(parloom_cache_clear(cache, &kit.error), PARLOOM_OK);
    EXPECT_TRUE(state.items.empty());
    kit.close();
    EXPECT_EQ(parloom_cache_unregister("in_memory", &kit.error), PARLOOM_OK);
    EXPECT_EQ(parloom_cache_unregister("in_memory", &kit.error), PARLOOM_ERR_INVALID);
}

TEST_F(CacheStore, ThatIsIncompleteIsRefusedByName)
{
    auto refused = [&](const parloom_cache_store_ops &ops) {
        return parloom_cache_register("broken", &ops, nullptr, &kit.error);
    };
    parloom_cache_store_ops ops = all_ops();
    ops.fetch = nullptr;
    EXPECT_EQ(refused(ops), PARLOOM_ERR_INVALID);
    EXPECT_NE(std::string(kit.error.message).find("no operation fetch"), std::string::npos) << kit.error.message;
    ops = all_ops();
    ops.abi++;
    EXPECT_EQ(refused(ops), PARLOOM_ERR_VERSION);
    ops = all_ops();
    ops.struct_size--;
    EXPECT_EQ(refused(ops), PARLOOM_ERR_VERSION);
    ops = all_ops();
    ops.flags = 1;
    EXPECT_EQ(refused(ops), PARLOOM_ERR_UNSUPPORTED);
    ops = all_ops();
    for (const char *name : { "local", "", "a b", "a/b" })
        EXPECT_EQ(parloom_cache_register(name, &ops, nullptr, &kit.error), PARLOOM_ERR_INVALID) << name;
    EXPECT_EQ(parloom_cache_register(nullptr, &ops, nullptr, &kit.error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_cache_register("broken", nullptr, nullptr, &kit.error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_cache_unregister("broken", &kit.error), PARLOOM_ERR_INVALID);
}

TEST_F(CacheStore, ListsEachEntryWithItsBytesAndItsLastUse)
{
    parloom_cache *cache = kit.open();
    EXPECT_TRUE(list_of(cache).empty());
    parloom_cached *function = kit.bind(cache, define_ramp());
    kit.call(function, 10, 1);
    kit.call(function, 1000, 1);
    for (const auto &entry : kit.entries()) age(entry, 1000);
    kit.call(function, 1000, 1);
    auto all = list_of(cache);
    ASSERT_EQ(all.size(), 2u);
    for (const auto &one : all) {
        uint64_t nbytes = 0;
        for (const auto &file : std::filesystem::directory_iterator(one.path)) nbytes += file.file_size();
        EXPECT_EQ(one.nbytes, nbytes);
        EXPECT_EQ(kit.root() / one.name, one.path);
    }
    auto is_used = [](const listed &one) { return one.nbytes > 8000; };
    EXPECT_TRUE(is_used(all[0]) != is_used(all[1]));
    double between = is_used(all[0]) ? all[0].used_s - all[1].used_s : all[1].used_s - all[0].used_s;
    EXPECT_GT(between, 900);
}

TEST_F(CacheStore, IsReducedFromTheLeastRecentlyUsedOn)
{
    parloom_cache *cache = kit.open();
    parloom_cached *function = kit.bind(cache, define_ramp());
    for (int64_t n = 0; n < 6; n++) {
        kit.call(function, n, 1);
        age(kit.root() / "ramp" / kit.info.key, 1000 - static_cast<int>(n));
    }
    kit.call(function, 0, 1); /* used now */
    ASSERT_EQ(parloom_cache_reduce(cache, 0, 0, 0, &kit.error), PARLOOM_OK);
    EXPECT_EQ(kit.entries().size(), 6u);
    ASSERT_EQ(parloom_cache_reduce(cache, 1 << 20, 6, 5000, &kit.error), PARLOOM_OK);
    EXPECT_EQ(kit.entries().size(), 6u);
    ASSERT_EQ(parloom_cache_reduce(cache, 0, 3, 0, &kit.error), PARLOOM_OK);
    for (int64_t n : { 0, 4, 5 }) EXPECT_TRUE(kit.check(function, n, 1)) << n;
    for (int64_t n : { 1, 2, 3 }) EXPECT_FALSE(kit.check(function, n, 1)) << n;
    ASSERT_EQ(parloom_cache_reduce(cache, 0, 0, 500, &kit.error), PARLOOM_OK);
    EXPECT_EQ(kit.entries().size(), 1u);
    ASSERT_EQ(parloom_cache_reduce(cache, 1, 0, 0, &kit.error), PARLOOM_OK);
    EXPECT_TRUE(kit.entries().empty());
    EXPECT_EQ(parloom_cache_reduce(cache, 0, 0, -1, &kit.error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_cache_reduce(cache, 0, 0, NAN, &kit.error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(kit.orphans(), 0u);
}

/* A tick of the kernel's clock is some milliseconds: many uses. */
TEST_F(CacheStore, KnowsTheOrderOfUsesWithinATick)
{
    parloom_cache *cache = kit.open();
    parloom_cached *function = kit.bind(cache, define_ramp());
    std::vector<int64_t> order = { 0, 1, 2, 3, 4, 5 };
    for (int64_t n : order) kit.call(function, n, 1);
    for (int round = 0; round < 30; round++) {
        std::vector<std::string> keys;
        std::map<std::string, double> used;
        std::rotate(order.begin(), order.begin() + 1 + round % 5, order.end());
        for (int64_t n : order) {
            kit.call(function, n, 1);
            keys.push_back(std::string("ramp/") + kit.info.key);
        }
        for (const auto &one : list_of(cache)) used[one.name] = one.used_s;
        for (size_t k = 1; k < keys.size(); k++) ASSERT_LT(used[keys[k - 1]], used[keys[k]]) << round << " " << k;
    }
}

TEST_F(CacheStore, TakesANewEntryForTheOneUsedLast)
{
    parloom_cache *cache = kit.open();
    parloom_cached *function = kit.bind(cache, define_ramp());
    kit.call(function, 0, 1);
    for (int64_t n = 1; n < 30; n++) {
        kit.call(function, n - 1, 1);
        ASSERT_TRUE(kit.info.is_hit);
        kit.call(function, n, 1);
        ASSERT_EQ(parloom_cache_reduce(cache, 0, 1, 0, &kit.error), PARLOOM_OK);
        ASSERT_TRUE(kit.check(function, n, 1)) << n;
    }
}

static std::string stuck; /* is not removed */

TEST_F(CacheStore, IsReducedAlsoWhereOneEntryCannotBeRemoved)
{
    in_memory state;
    parloom_cache_store_ops ops = all_ops();
    ops.remove = [](void *store, const char *item, parloom_error *error) {
        if (item == stuck) return error->status = PARLOOM_ERR_IO;
        return remove_items(store, item, error);
    };
    ASSERT_EQ(parloom_cache_register("sticky", &ops, &state, &kit.error), PARLOOM_OK) << kit.error.message;
    parloom_cache_options options = cache_options();
    options.store = "sticky";
    parloom_cache *cache = kit.open(&options);
    parloom_cached *function = kit.bind(cache, define_ramp());
    for (int64_t n = 0; n < 5; n++) kit.call(function, n, 1);
    stuck = list_of(cache).at(0).name; /* the one used least recently */
    EXPECT_EQ(parloom_cache_reduce(cache, 0, 2, 0, &kit.error), PARLOOM_ERR_IO);
    auto left = list_of(cache);
    ASSERT_EQ(left.size(), 2u);
    EXPECT_TRUE(left[0].name == stuck || left[1].name == stuck);
    kit.close();
    EXPECT_EQ(parloom_cache_unregister("sticky", &kit.error), PARLOOM_OK);
}

TEST_F(CacheStore, TakesEntriesOfTheFutureForNew)
{
    parloom_cache *cache = kit.open();
    parloom_cached *function = kit.bind(cache, define_ramp());
    kit.call(function, 1, 1);
    age(kit.entries()[0], -100000);
    ASSERT_EQ(parloom_cache_reduce(cache, 0, 0, 10, &kit.error), PARLOOM_OK);
    EXPECT_EQ(kit.entries().size(), 1u);
    kit.call(function, 1, 1);
    EXPECT_TRUE(kit.info.is_hit);
    EXPECT_GE(kit.info.age_s, 0);
}

TEST_F(CacheStore, KeepsItsLimitsByItself)
{
    parloom_cache_options options = cache_options();
    options.n_items = 4;
    parloom_cached *function = kit.ramp_in(&options);
    for (int64_t n = 0; n < 20; n++) {
        kit.call(function, n, 1);
        EXPECT_LE(kit.entries().size(), 4u);
    }
    EXPECT_TRUE(kit.check(function, 19, 1));
    EXPECT_FALSE(kit.check(function, 0, 1));
    options = cache_options();
    options.nbytes = 100000;
    function = kit.ramp_in(&options);
    for (int64_t n = 2000; n < 2020; n++) kit.call(function, n, 1);
    uint64_t nbytes = 0;
    parloom_cache *cache = kit.open();
    for (const auto &one : list_of(cache)) nbytes += one.nbytes;
    EXPECT_LE(nbytes, 100000u);
    EXPECT_GT(nbytes, 50000u);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cache_once.cc - of all that ask for one result at once, one computes; nobody sees half a result. */
#include "contract/places.h"
#include "support/cache_kit.h"
#include "support/waiting.h"

#include <atomic>
#include <csignal>
#include <functional>
#include <sys/wait.h>
#include <thread>

using namespace loom;
using contract::Place;
using contract::Shared;

namespace
{

/* In shared memory: who has come, and how often the body ran. */
struct meeting {
    std::atomic<int> arrived, runs;
    int expected; /* the body ends when so many have asked */
    int deaths;   /* so many runs kill their process */
};

meeting *meeting_of(void *const *args, int k)
{
    return reinterpret_cast<meeting *>(static_cast<uintptr_t>(*static_cast<const int64_t *>(args[k])));
}

/* meet(key, meeting): { 2 key, 2 key + 1 } */
int meet(parloom_cache_run *, void *const *args, parloom_array *results)
{
    meeting *about = meeting_of(args, 1);
    int nth = about->runs++;
    comes_true([&] { return about->arrived >= about->expected; });
    if (nth < about->deaths) raise(SIGKILL);
    auto *items = static_cast<int64_t *>(results[0].data);
    items[0] = 2 * *static_cast<const int64_t *>(args[0]);
    items[1] = items[0] + 1;
    return 0;
}

parloom_cached *innermost;

/* Asks for its own result once. */
int ask_itself(parloom_cache_run *, void *const *args, parloom_array *results)
{
    parloom_cached *function = innermost;
    parloom_cache_value values[] = { parloom_cache_i64(nullptr, *static_cast<const int64_t *>(args[0])),
                                     parloom_cache_i64(nullptr, *static_cast<const int64_t *>(args[1])) };
    innermost = nullptr;
    if (function == nullptr) {
        static_cast<int64_t *>(results[0].data)[0] = 5;
        return 0;
    }
    parloom_array inner = {};
    if (parloom_cache_call(function, values, 2, &inner, nullptr, nullptr) != PARLOOM_OK) return 1;
    memcpy(results[0].data, inner.data, 2 * sizeof(int64_t));
    parloom_array_release(&inner);
    return 0;
}

/* fill(key, value, n): two arrays of n values; value is ignored. */
int fill(parloom_cache_run *run, void *const *args, parloom_array *)
{
    auto n = static_cast<size_t>(*static_cast<const int64_t *>(args[2]));
    for (size_t k = 0; k < 2; k++) {
        auto *items = static_cast<int64_t *>(parloom_cache_make(run, k, 1, &n));
        if (items == nullptr) return 1;
        for (size_t i = 0; i < n; i++) items[i] = *static_cast<const int64_t *>(args[1]);
    }
    return 0;
}

const parloom_cache_param MEET_PARAMS[] = { { "key", PARLOOM_CACHE_I64, 0, nullptr },
                                            { "meeting", PARLOOM_CACHE_I64, 0, nullptr },
                                            { "n", PARLOOM_CACHE_I64, 0, nullptr } };
const char *const MEET_IGNORED[] = { "meeting" };
const size_t TWO[] = { 2 };
const parloom_cache_result MEET_RESULTS[] = { { "a", PARLOOM_I64, 1, TWO, 0 } };
const parloom_cache_result FILL_RESULTS[] = { { "a", PARLOOM_I64, PARLOOM_CACHE_TOLD, nullptr, 0 },
                                              { "b", PARLOOM_I64, PARLOOM_CACHE_TOLD, nullptr, 0 } };

parloom_cache_function define(const char *name, parloom_cache_body body)
{
    parloom_cache_function made = define_ramp();
    made.name = name;
    made.body = body;
    made.params = MEET_PARAMS;
    made.n_params = 2;
    made.ignore = MEET_IGNORED;
    made.results = MEET_RESULTS;
    return made;
}

/* True: asked, and got the right answer. */
bool ask(parloom_cached *function, int64_t key, meeting *about)
{
    parloom_cache_value args[] = { parloom_cache_i64(nullptr, key),
                                   parloom_cache_i64(nullptr,
                                                     static_cast<int64_t>(reinterpret_cast<uintptr_t>(about))) };
    parloom_array result = {};
    about->arrived++;
    if (parloom_cache_call(function, args, 2, &result, nullptr, nullptr) != PARLOOM_OK) return false;
    auto *items = static_cast<const int64_t *>(result.data);
    bool is_right = items[0] == 2 * key && items[1] == 2 * key + 1;
    parloom_array_release(&result);
    return is_right;
}

int ask_in_task(const parloom_task *task, void *const *args)
{
    const auto *packed = static_cast<const parloom_array *>(args[0]);
    auto *about = *static_cast<meeting *const *>(args[1]);
    parloom_cached *function = nullptr;
    parloom_error error;
    if (parloom_cache_unpack(&function, packed->data, packed->shape[0], &error) != PARLOOM_OK)
        return parloom_fail_text(task, 1, error.message);
    bool is_right = ask(function, 21, about);
    parloom_cache_unbind(function);
    return is_right ? 0 : 2;
}

/* Results of fill: all of one value. */
bool is_whole(const parloom_array *results, size_t n)
{
    auto *a = static_cast<const int64_t *>(results[0].data), *b = static_cast<const int64_t *>(results[1].data);
    bool is_one = results[0].shape[0] == n && results[1].shape[0] == n;
    for (size_t i = 0; i < n && is_one; i++) is_one = a[i] == a[0] && b[i] == a[0];
    return is_one;
}

/* One of those who write, read and clear at once; false: something was not whole, or failed. */
bool storm(parloom_cache *cache, parloom_cached *function, int who, int rounds)
{
    const size_t n = 5000;
    bool is_good = true;
    for (int round = 0; round < rounds && is_good; round++) {
        parloom_cache_value args[] = { parloom_cache_i64(nullptr, round % 3),
                                       parloom_cache_i64(nullptr, who * 1000 + round), parloom_cache_i64(nullptr, n) };
        parloom_array results[2] = {};
        auto how = who % 2 == 0 ? parloom_cache_force : parloom_cache_call;
        is_good = how(function, args, 3, results, nullptr, nullptr) == PARLOOM_OK && is_whole(results, n);
        parloom_array_release(&results[0]);
        parloom_array_release(&results[1]);
        if (who == 1 && round % 4 == 0) is_good = is_good && parloom_cache_clear(cache, nullptr) == PARLOOM_OK;
        if (who == 3 && round % 4 == 2)
            is_good = is_good && parloom_cache_reduce(cache, 0, 1, 0, nullptr) == PARLOOM_OK;
        if (who == 3 && round % 4 == 0) is_good = is_good && parloom_cache_forget(function, nullptr) == PARLOOM_OK;
    }
    return is_good;
}

class CacheOnce : public contract::Placed
{
  protected:
    void TearDown() override
    {
        kit.close();
        Placed::TearDown();
    }
    parloom_cached *bind(const char *name, parloom_cache_body body)
    {
        cache = kit.open();
        return kit.bind(cache, define(name, body));
    }
    std::vector<char> pack(parloom_cached *function)
    {
        std::vector<char> bytes(parloom_cache_pack(function, nullptr, 0));
        EXPECT_EQ(parloom_cache_pack(function, bytes.data(), bytes.size()), bytes.size());
        return bytes;
    }
    CacheKit kit;
    parloom_cache *cache = nullptr;
    Shared<meeting> about;
};

class CacheProcesses : public CacheOnce
{
};
class CacheThreads : public CacheOnce
{
};
class CacheLosses : public CacheOnce
{
};

/* All children ended so; fork comes before threads. */
std::vector<int> in_children(int count, const std::function<int(int)> &work)
{
    std::vector<pid_t> children;
    std::vector<int> statuses;
    for (int who = 0; who < count; who++) {
        pid_t child = fork();
        if (child == 0) _exit(work(who));
        children.push_back(child);
    }
    for (pid_t child : children) {
        int status = 0;
        waitpid(child, &status, 0);
        statuses.push_back(status);
    }
    return statuses;
}

} // namespace

TEST_P(CacheOnce, IsOneResultComputedByAllTasks)
{
    std::vector<char> bytes = pack(bind("meet", meet));
    const size_t nbytes = bytes.size(), n_tasks = 2 * static_cast<size_t>(GetParam().n_jobs);
    parloom_array packed = parloom_array_wrap(bytes.data(), PARLOOM_U8, 1, &nbytes);
    meeting *at = about.get();
    at->expected = GetParam().n_jobs;
    parloom_arg args[] = { parloom_in_array(&packed), parloom_in(&at, sizeof at) };
    parloom_options how = options();
    how.batch_size = 1;
    EXPECT_OK(parloom_for(n_tasks, ask_in_task, args, 2, &how, &error));
    EXPECT_EQ(at->runs, 1);
    EXPECT_EQ(at->arrived, static_cast<int>(n_tasks));
    EXPECT_EQ(kit.entries("meet").size(), 1u);
    EXPECT_EQ(kit.orphans(), 0u);
}

TEST_P(CacheLosses, TheDeathOfTheOneThatComputesLetsAnotherCompute)
{
    std::vector<char> bytes = pack(bind("meet", meet));
    const size_t nbytes = bytes.size();
    parloom_array packed = parloom_array_wrap(bytes.data(), PARLOOM_U8, 1, &nbytes);
    meeting *at = about.get();
    at->expected = GetParam().n_jobs;
    at->deaths = 1;
    parloom_arg args[] = { parloom_in_array(&packed), parloom_in(&at, sizeof at) };
    parloom_options how = options();
    parloom_status statuses[6];
    how.batch_size = 1;
    how.on_error = PARLOOM_ON_ERROR_GO_ON;
    how.statuses = statuses;
    EXPECT_EQ(parloom_for(6, ask_in_task, args, 2, &how, &error), PARLOOM_ERR_CRASHED);
    int crashed = 0, ok = 0;
    for (parloom_status status : statuses) {
        crashed += status == PARLOOM_ERR_CRASHED;
        ok += status == PARLOOM_OK;
    }
    EXPECT_EQ(crashed, 1);
    EXPECT_EQ(ok, 5);
    EXPECT_EQ(at->runs, 2);
    EXPECT_EQ(kit.orphans(), 0u);
}

TEST_P(CacheProcesses, ComputeOnceAmongThemAlsoWhenTheFirstDies)
{
    parloom_cached *function = bind("meet", meet);
    meeting *at = about.get();
    at->expected = 5;
    at->deaths = 1;
    int killed = 0, good = 0;
    for (int status : in_children(5, [&](int) { return ask(function, 7, at) ? 0 : 1; })) {
        killed += WIFSIGNALED(status);
        good += WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    EXPECT_EQ(killed, 1);
    EXPECT_EQ(good, 4);
    EXPECT_EQ(at->runs, 2);
    EXPECT_TRUE(ask(function, 7, at));
    EXPECT_EQ(at->runs, 2);
}

TEST_P(CacheThreads, ComputeOnceAmongThem)
{
    parloom_cached *function = bind("meet", meet);
    meeting *at = about.get();
    at->expected = 8;
    std::atomic<int> good{ 0 };
    std::vector<std::thread> threads;
    for (int who = 0; who < 8; who++) threads.emplace_back([&] { good += ask(function, 7, at); });
    for (auto &thread : threads) thread.join();
    EXPECT_EQ(good, 8);
    EXPECT_EQ(at->runs, 1);
}

TEST_P(CacheThreads, ThatAskForTheResultTheyComputeDoNotWaitForThemselves)
{
    innermost = bind("itself", ask_itself);
    parloom_cached *function = innermost;
    parloom_cache_value args[] = { parloom_cache_i64(nullptr, 1), parloom_cache_i64(nullptr, 0) };
    parloom_array result = {};
    ASSERT_OK(parloom_cache_call(function, args, 2, &result, nullptr, &error));
    EXPECT_EQ(static_cast<int64_t *>(result.data)[0], 5);
    parloom_array_release(&result);
}

/* One that was packed has a cache of its own. */
TEST_P(CacheThreads, ThatAskForItThroughAnotherHandleDoNotWaitEither)
{
    parloom_cached *function = bind("itself", ask_itself);
    std::vector<char> bytes = pack(function);
    ASSERT_OK(parloom_cache_unpack(&innermost, bytes.data(), bytes.size(), &error));
    parloom_cached *other = innermost;
    parloom_cache_value args[] = { parloom_cache_i64(nullptr, 1), parloom_cache_i64(nullptr, 0) };
    parloom_array result = {};
    ASSERT_OK(parloom_cache_call(function, args, 2, &result, nullptr, &error));
    EXPECT_EQ(static_cast<int64_t *>(result.data)[0], 5);
    parloom_array_release(&result);
    parloom_cache_unbind(other);
}

TEST_P(CacheThreads, NeverSeeHalfAResultOfOthersThatWriteAndClear)
{
    parloom_cache_function definition = define("fill", fill);
    definition.n_params = 3;
    definition.results = FILL_RESULTS;
    definition.n_results = 2;
    cache = kit.open();
    parloom_cached *function = kit.bind(cache, definition);
    std::atomic<int> good{ 0 };
    std::vector<std::thread> threads;
    for (int who = 0; who < 6; who++) threads.emplace_back([&, who] { good += storm(cache, function, who, 60); });
    for (auto &thread : threads) thread.join();
    EXPECT_EQ(good, 6);
    EXPECT_EQ(parloom_cache_clear(cache, &error), PARLOOM_OK);
    EXPECT_EQ(kit.orphans(), 0u);
}

TEST_P(CacheProcesses, NeverSeeHalfAResultOfOthersThatWriteAndClear)
{
    parloom_cache_function definition = define("fill", fill);
    definition.n_params = 3;
    definition.results = FILL_RESULTS;
    definition.n_results = 2;
    definition.mmap_mode = PARLOOM_MMAP_R;
    cache = kit.open();
    parloom_cached *function = kit.bind(cache, definition);
    static bool has_warned = false;
    for (int status : in_children(6, [&](int who) {
             parloom_set_log(
                 [](int level, const char *line, void *) {
                     has_warned = has_warned || level <= 2;
                     if (level <= 2) fprintf(stderr, "%s\n", line);
                 },
                 nullptr);
             return storm(cache, function, who, 60) && !has_warned ? 0 : 1;
         }))
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    EXPECT_EQ(parloom_cache_clear(cache, &error), PARLOOM_OK);
    EXPECT_EQ(kit.orphans(), 0u);
}

INSTANTIATE_TEST_SUITE_P(All, CacheOnce, ::testing::ValuesIn(contract::every_place), contract::name_of);
INSTANTIATE_TEST_SUITE_P(All, CacheLosses, ::testing::ValuesIn(contract::every_kill), contract::name_of);
INSTANTIATE_TEST_SUITE_P(All, CacheThreads, ::testing::Values(Place{ "threads", 1 }), contract::name_of);
INSTANTIATE_TEST_SUITE_P(All, CacheProcesses, ::testing::Values(Place{ "fork", 1 }), contract::name_of);

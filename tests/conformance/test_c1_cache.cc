/* SPDX-License-Identifier: BSD-3-Clause */
/* C1: hits, misses and keys of cached functions. */
#include "conformance/conformance.h"
#include "support/cache_kit.h"

#include <sys/inotify.h>
#include <sys/stat.h>

using namespace conformance;
using loom::CacheKit;

namespace
{

/* Codec and mode with which a cache is opened. A codec that this build lacks is left out. */
struct setting {
    const char *codec;
    parloom_mmap_mode mode;
};

std::vector<setting> all_settings()
{
    CacheKit kit;
    double one = 1;
    parloom_array array = parloom_array_wrap(&one, PARLOOM_F64, 0, nullptr);
    std::vector<setting> made = { { nullptr, PARLOOM_MMAP_UNSET }, { nullptr, PARLOOM_MMAP_R } };
    if (parloom_array_dump(&array, (kit.folder / "x").c_str(), "gzip", 3, nullptr) == PARLOOM_OK)
        made.insert(made.end(), { { "gzip", PARLOOM_MMAP_UNSET }, { "gzip", PARLOOM_MMAP_R } });
    return made;
}

parloom_cache_options options_of(const setting &how)
{
    parloom_cache_options made = loom::cache_options();
    made.codec = how.codec;
    made.mmap_mode = how.mode;
    return made;
}

/* sums(array, log): the sum of an array, which is doubled in place after that. */
int sums(parloom_cache_run *, void *const *args, parloom_array *results)
{
    auto *array = static_cast<const parloom_array *>(args[0]);
    auto *items = static_cast<double *>(array->data);
    loom::count_in(static_cast<const char *>(args[1]));
    for (size_t k = 0; k < array->shape[0]; k++) {
        *static_cast<double *>(results[0].data) += items[k];
        items[k] *= 2;
    }
    return 0;
}

const parloom_cache_param SUM_PARAMS[] = { { "items", PARLOOM_CACHE_ARRAY, 0, nullptr },
                                           { "log", PARLOOM_CACHE_TEXT, 0, nullptr } };
const parloom_cache_result SUM_RESULTS[] = { { nullptr, PARLOOM_F64, 0, nullptr, 0 } };

parloom_cache_function define_sums()
{
    parloom_cache_function made = loom::define_ramp();
    made.name = "sums";
    made.body = sums;
    made.params = SUM_PARAMS;
    made.n_params = 2;
    made.results = SUM_RESULTS;
    return made;
}

double sum_of(CacheKit &kit, parloom_cached *function, std::vector<double> items)
{
    const size_t shape[] = { items.size() };
    parloom_array array = parloom_array_wrap(items.data(), PARLOOM_F64, 1, shape), result = {};
    parloom_cache_value args[] = { parloom_cache_array(nullptr, &array), parloom_cache_text(nullptr, kit.log.c_str()) };
    EXPECT_EQ(parloom_cache_call(function, args, 2, &result, &kit.info, &kit.error), PARLOOM_OK) << kit.error.message;
    double sum = *static_cast<double *>(result.data);
    kit.is_memmap = parloom_array_is_memmap(&result);
    parloom_array_release(&result);
    return sum;
}

/* weigh(a, b = 10, c = 0.5, ignored log) */
int weigh(parloom_cache_run *, void *const *args, parloom_array *results)
{
    loom::count_in(static_cast<const char *>(args[3]));
    *static_cast<double *>(results[0].data) =
        static_cast<double>(*static_cast<const int64_t *>(args[0])) +
        static_cast<double>(*static_cast<const int64_t *>(args[1])) * *static_cast<const double *>(args[2]);
    return 0;
}

const parloom_cache_value TEN = { nullptr, PARLOOM_CACHE_I64, 0, 10, 0, nullptr, 0 };
const parloom_cache_value HALF = { nullptr, PARLOOM_CACHE_F64, 0, 0, 0.5, nullptr, 0 };
const parloom_cache_param WEIGH_PARAMS[] = { { "a", PARLOOM_CACHE_I64, 0, nullptr },
                                             { "b", PARLOOM_CACHE_I64, 0, &TEN },
                                             { "c", PARLOOM_CACHE_F64, 0, &HALF },
                                             { "log", PARLOOM_CACHE_TEXT, 0, nullptr } };

double weight(CacheKit &kit, parloom_cached *function, std::vector<parloom_cache_value> args)
{
    parloom_array result = {};
    args.push_back(parloom_cache_text("log", kit.log.c_str()));
    EXPECT_EQ(parloom_cache_call(function, args.data(), args.size(), &result, &kit.info, &kit.error), PARLOOM_OK)
        << kit.error.message;
    double got = *static_cast<double *>(result.data);
    parloom_array_release(&result);
    return got;
}

parloom_cache_function define_weigh()
{
    parloom_cache_function made = define_sums();
    made.name = "weigh";
    made.body = weigh;
    made.params = WEIGH_PARAMS;
    made.n_params = 4;
    return made;
}

int other(parloom_cache_run *run, void *const *args, parloom_array *results)
{
    return loom::ramp(run, args, results);
}

std::vector<char> packed(const parloom_cached *function)
{
    std::vector<char> bytes(parloom_cache_pack(function, nullptr, 0));
    EXPECT_EQ(parloom_cache_pack(function, bytes.data(), bytes.size()), bytes.size());
    return bytes;
}

parloom_shelved *shelve(CacheKit &kit, parloom_cached *function, int64_t n, double x)
{
    auto args = kit.values(n, x);
    parloom_shelved *made = nullptr;
    EXPECT_EQ(parloom_cache_shelve(&made, function, args.data(), args.size(), &kit.info, &kit.error), PARLOOM_OK);
    return made;
}

std::vector<double> get(CacheKit &kit, parloom_shelved *shelved)
{
    parloom_array result = {};
    kit.status = parloom_shelved_get(shelved, &result, &kit.error);
    if (kit.status != PARLOOM_OK) return {};
    auto *items = static_cast<const double *>(result.data);
    std::vector<double> got(items, items + result.shape[0]);
    parloom_array_release(&result);
    return got;
}

/* How many events there are for a watched file. */
size_t events(int fd)
{
    char buffer[4096];
    ssize_t got = ::read(fd, buffer, sizeof buffer);
    return got > 0 ? static_cast<size_t>(got) : 0;
}

} // namespace

TEST_F(Conformance, C1_01_RunsOnceForEachArgument)
{
    announce("is compressed");
    for (const auto &how : all_settings()) {
        CacheKit kit;
        parloom_cache_options options = options_of(how);
        parloom_cache *cache = kit.open(&options);
        parloom_cached *function = kit.bind(cache, loom::define_ramp());
        auto run_all = [&] {
            for (int round = 0; round < 2; round++)
                for (int64_t n : { 1, 2, 3 }) EXPECT_EQ(kit.call(function, n, 0.5), CacheKit::want(n, 0.5));
        };
        run_all();
        EXPECT_EQ(kit.runs(), 3u);
        EXPECT_EQ(kit.call(kit.ramp_in(&options), 2, 0.5), CacheKit::want(2, 0.5));
        EXPECT_EQ(kit.runs(), 3u) << "bound anew, as eval() does";
        std::filesystem::remove_all(kit.location);
        run_all();
        EXPECT_EQ(kit.runs(), 6u);
        EXPECT_EQ(parloom_cache_clear(cache, &error), PARLOOM_OK);
        run_all();
        EXPECT_EQ(kit.runs(), 9u);
    }
}

TEST_F(Conformance, C1_04_NamedAndDefaultArgumentsArePartOfTheKey)
{
    CacheKit kit;
    parloom_cached *function = kit.bind(kit.open(), define_weigh());
    EXPECT_EQ(weight(kit, function, { parloom_cache_i64("a", 1) }), 6);
    EXPECT_EQ(weight(kit, function, { parloom_cache_i64("a", 1), parloom_cache_i64("b", 10) }), 6);
    EXPECT_EQ(kit.runs(), 1u) << "the default, said or not, is one call";
    EXPECT_EQ(weight(kit, function, { parloom_cache_i64("a", 1), parloom_cache_i64("b", 20) }), 11);
    EXPECT_EQ(weight(kit, function, { parloom_cache_f64("c", 1), parloom_cache_i64("a", 1) }), 11);
    EXPECT_EQ(kit.runs(), 3u);
}

TEST_F(Conformance, C1_06_TwoFunctionsOfOneNameAreTold)
{
    CacheKit kit;
    parloom_cache *cache = kit.open();
    parloom_cache_function definition = loom::define_ramp();
    kit.bind(cache, definition);
    kit.bind(cache, definition);
    EXPECT_TRUE(warnings().empty());
    announce("two functions have the name \"ramp\"");
    definition.body = other;
    kit.bind(cache, definition);
    EXPECT_EQ(warnings().size(), 1u);
    definition.version = "2";
    kit.bind(cache, definition);
    EXPECT_EQ(warnings().size(), 2u);
}

TEST_F(Conformance, C1_06_AlsoThoseOfTwoHandlesOfOnePlace)
{
    CacheKit kit, elsewhere;
    parloom_cache_function definition = loom::define_ramp();
    kit.bind(kit.open(), definition);
    kit.bind(kit.open(), definition);
    definition.body = other;
    elsewhere.bind(elsewhere.open(), definition);
    kit.bind(kit.open(nullptr, false), definition);
    EXPECT_TRUE(warnings().empty()) << "other places have their own names";
    announce("two functions have the name \"ramp\"");
    kit.bind(kit.open(), definition);
    EXPECT_EQ(warnings().size(), 1u);
    kit.close();
    kit.bind(kit.open(), definition);
    EXPECT_EQ(warnings().size(), 1u) << "what is closed has no names";
}

TEST_F(Conformance, C1_11_TheKeyIsOfArgumentsAsTheyWereGiven)
{
    CacheKit kit;
    parloom_cached *function = kit.bind(kit.open(), define_sums()); /* its body changes the array */
    EXPECT_EQ(sum_of(kit, function, { 1, 2, 3 }), 6);
    EXPECT_EQ(sum_of(kit, function, { 1, 2, 3 }), 6);
    EXPECT_EQ(kit.runs(), 1u);
    EXPECT_EQ(sum_of(kit, function, { 2, 4, 6 }), 12);
    EXPECT_EQ(kit.runs(), 2u);
}

TEST_F(Conformance, C1_12_ArraysAreArguments)
{
    announce("is compressed");
    for (const auto &how : all_settings()) {
        CacheKit kit;
        parloom_cache_options options = options_of(how);
        parloom_cached *function = kit.bind(kit.open(&options), define_sums());
        for (int round = 0; round < 3; round++)
            for (size_t count : { 10, 1000, 200000 })
                EXPECT_EQ(sum_of(kit, function, std::vector<double>(count, 0.5)), static_cast<double>(count) / 2);
        EXPECT_EQ(kit.runs(), 3u);
    }
}

TEST_F(Conformance, C1_13_FirstAndLaterCallsGiveAReadOnlyMapping)
{
    CacheKit kit;
    parloom_cache_options options = options_of({ nullptr, PARLOOM_MMAP_R });
    parloom_cached *function = kit.ramp_in(&options);
    for (int round = 0; round < 3; round++) {
        EXPECT_EQ(kit.call(function, 10, 1), CacheKit::want(10, 1));
        EXPECT_TRUE(kit.is_memmap);
        EXPECT_EQ(kit.mapped_file, "result.npy");
        EXPECT_FALSE(kit.is_writable);
    }
    EXPECT_EQ(kit.runs(), 1u);
}

TEST_F(Conformance, C1_16_AFailingCallFailsEachTime)
{
    CacheKit kit;
    parloom_cached *function = kit.ramp_in();
    for (size_t round = 1; round <= 3; round++) {
        kit.call(function, -1, 1);
        EXPECT_EQ(kit.status, PARLOOM_ERR_TASK);
        EXPECT_EQ(kit.runs(), round);
    }
    EXPECT_TRUE(kit.entries().empty());
}

TEST_F(Conformance, C1_17_IgnoredArgumentsDoNotCount)
{
    CacheKit kit;
    parloom_cached *function = kit.ramp_in();
    std::string first = kit.log;
    kit.call(function, 3, 1);
    kit.log = (kit.folder / "another").string();
    kit.call(function, 3, 1);
    EXPECT_EQ(kit.runs(), 0u);
    kit.log = first;
    EXPECT_EQ(kit.runs(), 1u);
}

TEST_F(Conformance, C1_19_PositionAndNameHitOneEntry)
{
    CacheKit kit;
    parloom_cached *function = kit.bind(kit.open(), define_weigh());
    auto i64 = parloom_cache_i64;
    weight(kit, function, { i64(nullptr, 1), i64(nullptr, 2) });
    weight(kit, function, { i64(nullptr, 1), i64("b", 2) });
    weight(kit, function, { i64("a", 1), i64("b", 2) });
    weight(kit, function, { i64("b", 2), i64("a", 1) });
    EXPECT_EQ(kit.runs(), 1u);
}

TEST_F(Conformance, C1_20_SettingsAreGivenWhenBinding)
{
    CacheKit kit;
    static std::vector<std::string> lines;
    parloom_cache *cache = kit.open();
    parloom_cache_function definition = loom::define_ramp();
    definition.mmap_mode = PARLOOM_MMAP_R;
    definition.verbose = 1;
    static const char *const ignored[] = { "x", "log" };
    definition.ignore = ignored;
    definition.n_ignore = 2;
    parloom_cached *function = kit.bind(cache, definition);
    parloom_set_log([](int, const char *line, void *) { lines.emplace_back(line); }, nullptr);
    kit.call(function, 3, 1);
    EXPECT_EQ(kit.mapped_file, "result.npy");
    EXPECT_EQ(kit.call(function, 3, 2), CacheKit::want(3, 1)) << "x is ignored";
    parloom_set_log(nullptr, nullptr);
    EXPECT_EQ(lines.size(), 1u);
    EXPECT_EQ(kit.runs(), 1u);
}

TEST_F(Conformance, C1_21_TheFolderIsMadeOnDemandAndWhatIsDeletedIsComputed)
{
    CacheKit kit;
    parloom_cached *function = kit.ramp_in();
    EXPECT_FALSE(std::filesystem::exists(kit.location));
    kit.call(function, 3, 1);
    ASSERT_EQ(kit.entries().size(), 1u);
    EXPECT_EQ(kit.entries()[0], std::filesystem::path(kit.location) / "parloom" / "ramp" / kit.info.key);
    EXPECT_EQ(std::string(kit.info.key).find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_EQ(strlen(kit.info.key), 32u);
    std::filesystem::remove_all(kit.entries()[0]);
    EXPECT_EQ(kit.call(function, 3, 1), CacheKit::want(3, 1));
    EXPECT_EQ(kit.runs(), 2u);
    parloom_cache_function rebuilt = loom::define_ramp();
    rebuilt.version = "changed";
    kit.close(); /* it is the next run of the program */
    kit.call(kit.bind(kit.open(), rebuilt), 3, 1);
    EXPECT_EQ(kit.runs(), 3u) << "other code is recognised";
}

TEST_F(Conformance, C1_22_AFunctionThatTravelledFindsItsEntries)
{
    for (bool has_location : { true, false }) {
        CacheKit kit;
        parloom_cached *function = kit.ramp_in(nullptr, has_location), *copy = nullptr;
        kit.call(function, 3, 1);
        std::vector<char> bytes = packed(function);
        ASSERT_EQ(parloom_cache_unpack(&copy, bytes.data(), bytes.size(), &error), PARLOOM_OK) << error.message;
        EXPECT_EQ(kit.call(copy, 3, 1), CacheKit::want(3, 1));
        EXPECT_EQ(kit.info.is_hit, has_location);
        parloom_cache_unbind(copy);
    }
}

TEST_F(Conformance, C1_23_CheckIsTrueAfterTheCallIfTheVerdictIs)
{
    CacheKit kit;
    bool verdict = true;
    parloom_cache *cache = kit.open();
    parloom_cache_function definition = loom::define_ramp();
    definition.is_valid = [](const parloom_cache_info *, void *state) { return *static_cast<bool *>(state); };
    definition.is_valid_state = &verdict;
    parloom_cached *function = kit.bind(cache, definition), *off = kit.ramp_in(nullptr, false);
    EXPECT_FALSE(kit.check(function, 3, 1));
    kit.call(function, 3, 1);
    EXPECT_TRUE(kit.check(function, 3, 1));
    verdict = false;
    EXPECT_FALSE(kit.check(function, 3, 1));
    kit.call(off, 3, 1);
    EXPECT_FALSE(kit.check(off, 3, 1));
}

TEST_F(Conformance, C1_24_AReferenceGivesTheValueUntilItIsCleared)
{
    for (bool has_location : { true, false }) {
        CacheKit kit;
        parloom_shelved *shelved = shelve(kit, kit.ramp_in(nullptr, has_location), 4, 2);
        EXPECT_EQ(get(kit, shelved), CacheKit::want(4, 2));
        EXPECT_EQ(parloom_shelved_clear(shelved, &error), PARLOOM_OK);
        get(kit, shelved);
        EXPECT_EQ(kit.status, PARLOOM_ERR_IO);
        EXPECT_EQ(parloom_shelved_clear(shelved, &error), PARLOOM_OK);
        parloom_shelved_release(shelved);
    }
}

TEST_F(Conformance, C1_25_AReferenceReadsNothingUntilItIsAsked)
{
    CacheKit kit;
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 4, 2);
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    ASSERT_GE(inotify_add_watch(fd, (kit.entries().at(0) / "result.npy").c_str(), IN_OPEN | IN_ACCESS), 0);
    parloom_shelved *shelved = shelve(kit, function, 4, 2);
    EXPECT_TRUE(kit.info.is_hit);
    EXPECT_EQ(events(fd), 0u);
    EXPECT_EQ(get(kit, shelved), CacheKit::want(4, 2));
    EXPECT_GT(events(fd), 0u);
    ::close(fd);
    parloom_shelved_release(shelved);
}

TEST_F(Conformance, C1_26_AReferenceIsValidInAnotherProcess)
{
    CacheKit kit;
    parloom_cached *function = kit.ramp_in();
    parloom_shelved *shelved = shelve(kit, function, 4, 2);
    std::string key = parloom_shelved_key(shelved);
    std::vector<char> bytes = packed(function);
    parloom_shelved_release(shelved);
    pid_t child = fork();
    if (child == 0) {
        parloom_cached *there = nullptr;
        parloom_shelved *again = nullptr;
        if (parloom_cache_unpack(&there, bytes.data(), bytes.size(), nullptr) != PARLOOM_OK) _exit(1);
        if (parloom_shelved_open(&again, there, key.c_str(), nullptr) != PARLOOM_OK) _exit(2);
        _exit(get(kit, again) == CacheKit::want(4, 2) ? 0 : 3);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    EXPECT_EQ(kit.runs(), 1u);
}

TEST_F(Conformance, C1_27_TwoHandlesOnOneFunctionAreShownAlike)
{
    CacheKit kit;
    static std::vector<std::string> lines;
    parloom_set_log([](int, const char *line, void *) { lines.emplace_back(line); }, nullptr);
    for (int verbose : { 1, 5, 10, 20, 1000 }) {
        lines.clear();
        for (int handle = 0; handle < 2; handle++) {
            parloom_cache_options options = loom::cache_options();
            options.verbose = verbose;
            parloom_cached *function = kit.ramp_in(&options);
            kit.call(function, 2, 3, true);
            EXPECT_EQ(packed(function), packed(kit.ramp_in(&options)));
        }
        std::vector<std::string> calls;
        for (const auto &line : lines)
            if (line.find("calling") != std::string::npos) calls.push_back(line);
        ASSERT_EQ(calls.size(), 2u);
        EXPECT_EQ(calls[0], calls[1]);
    }
    parloom_set_log(nullptr, nullptr);
}

TEST_F(Conformance, C1_30_ClearingWithoutALocationDoesNothing)
{
    CacheKit kit;
    parloom_cache *cache = kit.open(nullptr, false);
    EXPECT_EQ(parloom_cache_clear(cache, &error), PARLOOM_OK);
    EXPECT_EQ(parloom_cache_reduce(cache, 1, 1, 1, &error), PARLOOM_OK);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* C3: how what a call says becomes arguments, keys, names and lines. */
#include "conformance/conformance.h"
#include "support/cache_kit.h"

using namespace conformance;
using loom::CacheKit;

namespace
{

/* f(a, b, c = 1, d = 2): the four as they arrive. */
int four(parloom_cache_run *, void *const *args, parloom_array *results)
{
    for (int k = 0; k < 4; k++) static_cast<int64_t *>(results[0].data)[k] = *static_cast<const int64_t *>(args[k]);
    return 0;
}

const size_t FOUR[] = { 4 };
const parloom_cache_value ONE = { nullptr, PARLOOM_CACHE_I64, 0, 1, 0, nullptr, 0 };
const parloom_cache_value TWO = { nullptr, PARLOOM_CACHE_I64, 0, 2, 0, nullptr, 0 };
const parloom_cache_param PARAMS[] = { { "a", PARLOOM_CACHE_I64, 0, nullptr },
                                       { "b", PARLOOM_CACHE_I64, 0, nullptr },
                                       { "c", PARLOOM_CACHE_I64, 0, &ONE },
                                       { "d", PARLOOM_CACHE_I64, 0, &TWO } };
const parloom_cache_result RESULTS[] = { { nullptr, PARLOOM_I64, 1, FOUR, 0 } };

parloom_cache_function define_four(const char *const *ignore = nullptr, size_t n_ignore = 0)
{
    parloom_cache_function made = loom::define_ramp();
    made.name = "four";
    made.body = four;
    made.params = PARAMS;
    made.n_params = 4;
    made.results = RESULTS;
    made.ignore = ignore;
    made.n_ignore = n_ignore;
    return made;
}

typedef std::vector<parloom_cache_value> values;
typedef std::vector<int64_t> items;

parloom_cache_value at(int64_t value)
{
    return parloom_cache_i64(nullptr, value);
}

/* The arguments as the body had them; empty: refused. */
items arrived(CacheKit &kit, parloom_cached *function, const values &args)
{
    parloom_array result = {};
    kit.status = parloom_cache_force(function, args.data(), args.size(), &result, &kit.info, &kit.error);
    if (kit.status != PARLOOM_OK) return {};
    auto *got = static_cast<int64_t *>(result.data);
    items made(got, got + 4);
    parloom_array_release(&result);
    return made;
}

void expect_refused(CacheKit &kit, parloom_cached *function, const values &args, const char *text)
{
    EXPECT_TRUE(arrived(kit, function, args).empty());
    EXPECT_EQ(kit.status, PARLOOM_ERR_INVALID);
    EXPECT_NE(std::string(kit.error.message).find(text), std::string::npos) << kit.error.message;
}

} // namespace

TEST_F(Conformance, C3_01_CallsAreMatchedToDeclaredArguments)
{
    CacheKit kit;
    auto named = parloom_cache_i64;
    const struct {
        values args;
        items want;
    } shapes[] = { { { at(5), at(6) }, { 5, 6, 1, 2 } },
                   { { at(5), at(6), at(7) }, { 5, 6, 7, 2 } },
                   { { at(5), at(6), at(7), at(8) }, { 5, 6, 7, 8 } },
                   { { at(5), named("b", 6) }, { 5, 6, 1, 2 } },
                   { { named("b", 6), named("a", 5) }, { 5, 6, 1, 2 } },
                   { { at(5), at(6), named("d", 8) }, { 5, 6, 1, 8 } },
                   { { named("d", 8), named("c", 7), named("b", 6), named("a", 5) }, { 5, 6, 7, 8 } },
                   { { at(5), named("d", 2), named("b", 6) }, { 5, 6, 1, 2 } },
                   { { at(5), at(6), named("c", 1) }, { 5, 6, 1, 2 } } };
    parloom_cached *function = kit.bind(kit.open(), define_four());
    std::map<items, std::string> keys;
    for (const auto &shape : shapes) {
        EXPECT_EQ(arrived(kit, function, shape.args), shape.want);
        auto known = keys.emplace(shape.want, kit.info.key).first;
        EXPECT_EQ(known->second, kit.info.key) << "one key for one set of values";
    }
    EXPECT_EQ(kit.entries("four").size(), keys.size());
    const char *const ignore[] = { "a", "d" };
    parloom_cached *ignoring = kit.bind(kit.open(), define_four(ignore, 2));
    arrived(kit, ignoring, { at(5), at(6) });
    std::string key = kit.info.key;
    arrived(kit, ignoring, { at(50), at(6), at(1), at(80) });
    EXPECT_EQ(kit.info.key, key);
    arrived(kit, ignoring, { at(5), at(7) });
    EXPECT_NE(kit.info.key, key);
}

TEST_F(Conformance, C3_03_AnArgumentGivenTwiceIsAnError)
{
    CacheKit kit;
    parloom_cached *function = kit.bind(kit.open(), define_four());
    expect_refused(kit, function, { at(5), at(6), parloom_cache_i64("a", 5) }, "\"a\" of four is given twice");
    expect_refused(kit, function, { at(5), parloom_cache_i64("b", 5), parloom_cache_i64("b", 5) }, "given twice");
}

TEST_F(Conformance, C3_12_TooManyArgumentsAreAnError)
{
    CacheKit kit;
    parloom_cached *function = kit.bind(kit.open(), define_four());
    expect_refused(kit, function, { at(1), at(2), at(3), at(4), at(5) }, "takes 4 argument(s), and 5 were given");
    const char *const ignore[] = { "a", "c" };
    parloom_cached *ignoring = kit.bind(kit.open(), define_four(ignore, 2));
    arrived(kit, ignoring, { at(1), at(2), at(3) });
    std::string key = kit.info.key;
    arrived(kit, ignoring, { parloom_cache_i64("c", 9), parloom_cache_i64("b", 2), parloom_cache_i64("a", 9) });
    EXPECT_EQ(kit.info.key, key) << "ignored by position and by name";
}

TEST_F(Conformance, C3_14_WhatIsWrongIsSaidClearly)
{
    CacheKit kit;
    parloom_cache *cache = kit.open();
    parloom_cached *made = nullptr;
    const char *const unknown[] = { "q" };
    parloom_cache_function definition = define_four(unknown, 1);
    EXPECT_EQ(parloom_cache_bind(&made, cache, &definition, &error), PARLOOM_ERR_INVALID);
    EXPECT_NE(std::string(error.message).find("ignore names \"q\", which is no parameter"), std::string::npos);
    definition = define_four(nullptr, 2);
    EXPECT_EQ(parloom_cache_bind(&made, cache, &definition, &error), PARLOOM_ERR_INVALID);
    EXPECT_NE(std::string(error.message).find("ignore is NULL"), std::string::npos);
    parloom_cached *function = kit.bind(cache, define_four());
    expect_refused(kit, function, { at(1) }, "1 argument(s) of 4: \"b\" is missing");
    expect_refused(kit, function, { at(1), parloom_cache_i64("q", 2) }, "four has no argument \"q\"");
    expect_refused(kit, function, { at(1), parloom_cache_f64(nullptr, 2) }, "declared as i64, not as f64");
    expect_refused(kit, function, { parloom_cache_i64("a", 2), at(1) }, "comes after one that has");
}

TEST_F(Conformance, C3_15_TheCallersArgumentsAreNotChanged)
{
    CacheKit kit;
    parloom_cached *function = kit.bind(kit.open(), define_four());
    values args = { at(5), parloom_cache_i64("d", 8), parloom_cache_i64("b", 6) };
    std::vector<char> before(args.size() * sizeof args[0]), after(before.size());
    memcpy(before.data(), args.data(), before.size());
    EXPECT_EQ(arrived(kit, function, args), (items{ 5, 6, 1, 8 }));
    memcpy(after.data(), args.data(), after.size());
    EXPECT_EQ(after, before);
}

TEST_F(Conformance, C3_16_NamesOfFoldersHoldNothingSpecial)
{
    CacheKit kit;
    parloom_cache_function definition = loom::define_ramp();
    definition.name = "<a>:\\b!/c";
    kit.call(kit.bind(kit.open(), definition), 3, 1);
    size_t functions = 0;
    for (const auto &one : std::filesystem::directory_iterator(kit.root())) {
        std::string name = one.path().filename();
        EXPECT_EQ(name.find_first_of("\\:<>!"), std::string::npos) << name;
        functions += name[0] != '.';
    }
    EXPECT_EQ(functions, 1u);
}

TEST_F(Conformance, C3_17_ACallIsShownWithItsArguments)
{
    CacheKit kit;
    static std::string shown;
    parloom_cache_function definition = define_four();
    definition.verbose = 1;
    parloom_cached *function = kit.bind(kit.open(), definition);
    parloom_set_log([](int, const char *line, void *) { shown = line; }, nullptr);
    arrived(kit, function, { at(5), at(-6) });
    parloom_set_log(nullptr, nullptr);
    EXPECT_NE(shown.find("calling four(a=5, b=-6, c=1, d=2)"), std::string::npos) << shown;
}

TEST_F(Conformance, C3_18_LongArgumentsAreShortened)
{
    CacheKit kit;
    static std::string shown;
    parloom_cache_function definition = loom::define_ramp();
    definition.verbose = 1;
    definition.n_ignore = 0;
    parloom_cached *function = kit.bind(kit.open(), definition);
    parloom_set_log([](int, const char *line, void *) { shown = line; }, nullptr);
    std::string long_path = kit.folder.string() + std::string(1300, '/') + "log";
    kit.log = long_path;
    kit.call(function, 3, 1);
    parloom_set_log(nullptr, nullptr);
    EXPECT_NE(shown.find("log=\"/"), std::string::npos) << shown;
    EXPECT_NE(shown.find("/...///"), std::string::npos) << shown;
    EXPECT_LT(shown.size(), 850u);
    EXPECT_GT(shown.size(), 650u);
}

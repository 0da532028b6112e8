/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cache.cc - calls of cached functions: what is found again, what is not, what is refused. */
#include "support/cache_kit.h"
#include "support/clean.h"
#include "support/scratch.h"

#include <cmath>
#include <limits>

using namespace loom;

namespace
{

class Cache : public Clean
{
  protected:
    void TearDown() override
    {
        kit.close();
        Clean::TearDown();
    }
    CacheKit kit;
};

std::string first_of(const std::filesystem::path &file)
{
    std::ifstream stream(file, std::ios::binary);
    return { std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>() };
}

/* Two results, one of known shape; all kinds of arguments. */
int everything(parloom_cache_run *run, void *const *args, parloom_array *results)
{
    const auto *matrix = static_cast<const parloom_array *>(args[2]);
    const auto *bytes = static_cast<const char *>(args[3]);
    static_cast<int32_t *>(results[1].data)[1] = bytes[0];
    *static_cast<int32_t *>(results[1].data) = static_cast<int32_t>(strlen(static_cast<const char *>(args[0])));
    auto *sum = static_cast<double *>(parloom_cache_make(run, 0, 0, nullptr));
    if (sum == nullptr) return 1;
    for (size_t k = 0; k < matrix->shape[0]; k++) *sum += static_cast<const double *>(matrix->data)[k];
    *sum *= *static_cast<const double *>(args[1]);
    return 0;
}

int makes_wrongly(parloom_cache_run *run, void *const *args, parloom_array *)
{
    size_t shape[] = { 2 };
    int64_t way = *static_cast<const int64_t *>(args[0]);
    if (way == 0) return 0;
    parloom_cache_make(run, 0, 1, shape);
    return parloom_cache_make(run, way == 1 ? 0 : 5, 1, shape) == nullptr ? 3 : 0;
}

int other_ramp(parloom_cache_run *run, void *const *args, parloom_array *results)
{
    return ramp(run, args, results);
}

} // namespace

TEST_F(Cache, FindsAgainWhatWasComputedByWhomever)
{
    parloom_cached *function = kit.ramp_in();
    EXPECT_EQ(kit.call(function, 5, 0.5), CacheKit::want(5, 0.5));
    EXPECT_FALSE(kit.info.is_hit);
    EXPECT_EQ(kit.call(function, 5, 0.5), CacheKit::want(5, 0.5));
    EXPECT_TRUE(kit.info.is_hit);
    EXPECT_EQ(kit.runs(), 1u);
    parloom_cached *other = kit.ramp_in();
    EXPECT_EQ(kit.call(other, 5, 0.5), CacheKit::want(5, 0.5));
    EXPECT_EQ(kit.runs(), 1u);
    EXPECT_EQ(kit.entries().size(), 1u);
    EXPECT_EQ(kit.entries()[0].filename(), kit.info.key);
}

TEST_F(Cache, TellsArgumentsApartByEveryBit)
{
    parloom_cached *function = kit.ramp_in();
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (int round = 0; round < 2; round++)
        for (double x : { 0.0, -0.0, 1.0, std::nextafter(1.0, 2.0), nan })
            for (int64_t n : { 0, 1, 3 }) kit.call(function, n, x);
    EXPECT_EQ(kit.runs(), 15u);
    EXPECT_EQ(kit.entries().size(), 15u);
}

TEST_F(Cache, TakesVersionOrCodeAsTheFunctionsIdentity)
{
    parloom_cache *cache = kit.open();
    parloom_cache_function definition = define_ramp();
    kit.call(kit.bind(cache, definition), 3, 1);
    announce("two functions have the name \"ramp\"");
    definition.body = other_ramp;
    kit.call(kit.bind(cache, definition), 3, 1);
    EXPECT_EQ(kit.runs(), 2u) << "another function of the same name";
    definition.version = "1";
    kit.call(kit.bind(cache, definition), 3, 1);
    EXPECT_EQ(kit.runs(), 3u);
    definition.body = ramp;
    kit.call(kit.bind(cache, definition), 3, 1);
    EXPECT_EQ(kit.runs(), 3u) << "a version stands for the code alone";
    definition.version = "2";
    kit.call(kit.bind(cache, definition), 3, 1);
    EXPECT_EQ(kit.runs(), 4u);
}

TEST_F(Cache, KeepsResultsThatNumPyOpensAndMetadataThatIsJson)
{
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    static const char *const TEXT = "a \"quoted\\ \xc3\xa9 \xff text\n";
    double items[] = { 1, 2, 3.5 };
    const size_t three[] = { 3 }, two[] = { 2 };
    parloom_array array = parloom_array_wrap(items, PARLOOM_F64, 1, three);
    const parloom_cache_param params[] = { { "name", PARLOOM_CACHE_TEXT, 0, nullptr },
                                           { "factor", PARLOOM_CACHE_F64, 0, nullptr },
                                           { "matrix", PARLOOM_CACHE_ARRAY, 0, nullptr },
                                           { "raw", PARLOOM_CACHE_BYTES, 0, nullptr } };
    const parloom_cache_result results[] = { { "sum", PARLOOM_F64, PARLOOM_CACHE_TOLD, nullptr, 0 },
                                             { "counts", PARLOOM_I32, 1, two, 0 } };
    parloom_cache_function definition = define_ramp();
    definition.name = "lib/every thing";
    definition.body = everything;
    definition.params = params;
    definition.n_params = 4;
    definition.results = results;
    definition.n_results = 2;
    definition.n_ignore = 0;
    parloom_cached *function = kit.bind(kit.open(), definition);
    parloom_cache_value args[] = { parloom_cache_text(nullptr, TEXT), parloom_cache_f64(nullptr, INFINITY),
                                   parloom_cache_array("matrix", &array), parloom_cache_bytes("raw", "*", 1) };
    for (int round = 0; round < 2; round++) {
        parloom_array got[2] = {};
        ASSERT_EQ(parloom_cache_call(function, args, 4, got, &kit.info, &kit.error), PARLOOM_OK) << kit.error.message;
        EXPECT_EQ(kit.info.is_hit, round == 1);
        EXPECT_EQ(got[0].ndim, 0);
        EXPECT_EQ(*static_cast<double *>(got[0].data), INFINITY);
        EXPECT_EQ(static_cast<int32_t *>(got[1].data)[0], static_cast<int32_t>(strlen(TEXT)));
        EXPECT_EQ(static_cast<int32_t *>(got[1].data)[1], '*');
        parloom_array_release(&got[0]);
        parloom_array_release(&got[1]);
    }
    std::string program = R"(
import json, glob, numpy as np
folder, = glob.glob('cache/parloom/lib%2fevery%20thing/*')
about = json.load(open(folder + '/metadata.json'))
assert about['function'] == 'lib/every thing', about
assert folder.endswith(about['key'])
assert about['identity'].startswith('build-id '), about
arguments = about['arguments']
assert arguments['name'] == 'a "quoted\\ \u00e9 \u00ff text\n', repr(arguments['name'])
assert arguments['factor'] == 'inf' and arguments['matrix'].startswith('f64 array (3), '), arguments
assert arguments['raw'].startswith('1 bytes, ') and about['duration_s'] >= 0 and about['created_s'] > 1e9, about
assert np.load(folder + '/sum.npy') == np.inf
assert np.load(folder + '/counts.npy', mmap_mode='r').tolist() == [21, 42]
assert open('cache/parloom/.gitignore').read() == '*\n'
)";
    EXPECT_EQ(run_python(kit.folder, program), "");
}

/* More threads are there afterwards: they wait for the next loop. */
TEST_F(Cache, DigestsArgumentsByAsManyThreadsAsItsOptionsSay)
{
    auto threads = [] {
        return std::distance(std::filesystem::directory_iterator("/proc/self/task"),
                             std::filesystem::directory_iterator());
    };
    std::vector<unsigned char> bytes(8 << 20, 'x');
    const size_t shape[] = { bytes.size() };
    const parloom_array array = parloom_array_wrap(bytes.data(), PARLOOM_U8, 1, shape);
    const parloom_cache_param params[] = { { "array", PARLOOM_CACHE_ARRAY, 0, nullptr } };
    const parloom_cache_result results[] = { { nullptr, PARLOOM_F64, 0, nullptr, 0 } };
    parloom_cache_function definition = define_ramp();
    definition.params = params;
    definition.n_params = 1;
    definition.n_ignore = 0;
    definition.results = results;
    definition.body = [](parloom_cache_run *, void *const *, parloom_array *) { return 0; };
    const auto before = threads();
    for (int n_jobs : { 0, 1, 3 }) {
        parloom_cache_options options = cache_options();
        options.n_jobs = n_jobs;
        parloom_cached *function = kit.bind(kit.open(&options), definition);
        parloom_cache_value args[] = { parloom_cache_array(nullptr, &array) };
        parloom_array got = {};
        ASSERT_EQ(parloom_cache_call(function, args, 1, &got, &kit.info, &kit.error), PARLOOM_OK) << kit.error.message;
        parloom_array_release(&got);
        EXPECT_EQ(kit.info.is_hit, n_jobs > 0) << "the key is the same";
        if (n_jobs == 3)
            EXPECT_GE(threads() - before, 2); /* a sanitizer may have one more */
        else
            EXPECT_EQ(threads() - before, 0) << n_jobs;
    }
}

TEST_F(Cache, IsOffWithoutALocation)
{
    parloom_cached *function = kit.ramp_in(nullptr, false);
    for (size_t round = 1; round <= 3; round++) {
        EXPECT_EQ(kit.call(function, 4, 2), CacheKit::want(4, 2));
        EXPECT_EQ(kit.runs(), round);
    }
    EXPECT_FALSE(kit.check(function, 4, 2));
    EXPECT_EQ(parloom_cache_forget(function, &kit.error), PARLOOM_OK);
    EXPECT_FALSE(std::filesystem::exists(kit.location));
}

TEST_F(Cache, NeverKeepsACallThatFailed)
{
    parloom_cached *function = kit.ramp_in();
    for (size_t round = 1; round <= 3; round++) {
        kit.call(function, -1, 1);
        EXPECT_EQ(kit.status, PARLOOM_ERR_TASK);
        EXPECT_EQ(kit.error.code, 7);
        EXPECT_STREQ(kit.error.message, "ramp returned 7: n is negative");
        EXPECT_EQ(kit.runs(), round);
    }
    EXPECT_TRUE(kit.entries().empty());
    EXPECT_EQ(kit.orphans(), 0u);
}

TEST_F(Cache, SaysWhatABodyMadeWrongly)
{
    parloom_cache_function definition = define_ramp();
    definition.body = makes_wrongly;
    parloom_cached *function = kit.bind(kit.open(), definition);
    const char *const said[] = { "did not make its result", "it is there already", "no result of that number" };
    for (int64_t way : { 0, 1, 2 }) {
        kit.call(function, way, 0);
        EXPECT_EQ(kit.status, PARLOOM_ERR_CALLBACK);
        EXPECT_NE(std::string(kit.error.message).find(said[way]), std::string::npos) << kit.error.message;
    }
}

TEST_F(Cache, MapsResultsFromTheFirstCallOn)
{
    parloom_cache_options options = cache_options();
    for (parloom_mmap_mode mode : { PARLOOM_MMAP_R, PARLOOM_MMAP_C, PARLOOM_MMAP_RW }) {
        options.mmap_mode = mode;
        parloom_cached *function = kit.ramp_in(&options);
        for (int round = 0; round < 2; round++) {
            EXPECT_EQ(kit.call(function, 1000 + mode, 3), CacheKit::want(1000 + mode, 3));
            EXPECT_EQ(kit.info.is_hit, round == 1);
            EXPECT_EQ(kit.mapped_file, "result.npy");
            EXPECT_EQ(kit.is_writable, mode != PARLOOM_MMAP_R);
        }
    }
}

TEST_F(Cache, RunsTheBodyWhenForcedAndKeepsTheNewResult)
{
    parloom_cached *function = kit.ramp_in();
    kit.call(function, 3, 1);
    EXPECT_EQ(kit.call(function, 3, 1, true), CacheKit::want(3, 1));
    EXPECT_FALSE(kit.info.is_hit);
    EXPECT_EQ(kit.runs(), 2u);
    kit.call(function, 3, 1);
    EXPECT_TRUE(kit.info.is_hit);
    EXPECT_EQ(kit.entries().size(), 1u);
    EXPECT_EQ(kit.orphans(), 0u);
}

/* Each byte that is no letter becomes three, and a file's name has at most 255. */
TEST_F(Cache, KeepsResultsOfFunctionsWithAnyName)
{
    parloom_cache *cache = kit.open();
    parloom_cache_function definition = define_ramp();
    const std::string names[] = { std::string(95, '/'),
                                  std::string(94, '/') + ".",
                                  std::string(79, '/'),
                                  std::string(80, '/'),
                                  "..",
                                  ".",
                                  ".work",
                                  "a\nb",
                                  "%2f",
                                  "/",
                                  "+" };
    size_t runs = 0;
    for (const std::string &name : names) {
        definition.name = name.c_str();
        parloom_cached *function = kit.bind(cache, definition);
        kit.call(function, 3, 1);
        EXPECT_EQ(kit.runs(), ++runs) << name;
        kit.call(function, 3, 1);
        EXPECT_TRUE(kit.info.is_hit) << name;
        ASSERT_EQ(parloom_cache_forget(function, &kit.error), PARLOOM_OK);
        EXPECT_FALSE(kit.check(function, 3, 1)) << name;
        kit.call(function, 3, 1);
        runs++;
    }
    size_t folders = 0;
    for (const auto &one : std::filesystem::directory_iterator(kit.root()))
        folders += one.path().filename().string()[0] != '.' ? 1 : 0;
    EXPECT_EQ(folders, std::size(names));
    EXPECT_TRUE(warnings().empty());
}

TEST_F(Cache, ClearsOneFunctionOrAll)
{
    parloom_cache *cache = kit.open();
    parloom_cache_function definition = define_ramp();
    parloom_cached *one = kit.bind(cache, definition);
    definition.name = "other";
    parloom_cached *other = kit.bind(cache, definition);
    kit.call(one, 3, 1);
    kit.call(other, 3, 1);
    ASSERT_EQ(parloom_cache_forget(one, &kit.error), PARLOOM_OK);
    EXPECT_FALSE(kit.check(one, 3, 1));
    EXPECT_TRUE(kit.check(other, 3, 1));
    kit.call(one, 3, 1);
    ASSERT_EQ(parloom_cache_clear(cache, &kit.error), PARLOOM_OK);
    EXPECT_FALSE(kit.check(one, 3, 1));
    EXPECT_FALSE(kit.check(other, 3, 1));
    EXPECT_EQ(kit.orphans(), 0u);
}

TEST_F(Cache, ExpiresByAgeAndByVerdict)
{
    parloom_cache *cache = kit.open();
    parloom_cache_function definition = define_ramp();
    definition.expires_after_s = 3600;
    parloom_cached *function = kit.bind(cache, definition);
    kit.call(function, 3, 1);
    kit.call(function, 3, 1);
    EXPECT_EQ(kit.runs(), 1u);
    definition.expires_after_s = 1e-9;
    kit.call(kit.bind(cache, definition), 3, 1);
    EXPECT_EQ(kit.runs(), 2u);
    definition.expires_after_s = 0;
    bool verdict = false;
    definition.is_valid_state = &verdict;
    definition.is_valid = [](const parloom_cache_info *info, void *state) {
        EXPECT_EQ(std::string(info->arguments), "{\n    \"n\": 3,\n    \"x\": 1\n  }");
        EXPECT_GE(info->duration_s, 0);
        return *static_cast<bool *>(state);
    };
    function = kit.bind(cache, definition);
    EXPECT_FALSE(kit.check(function, 3, 1));
    kit.call(function, 3, 1);
    EXPECT_EQ(kit.runs(), 3u);
    verdict = true;
    EXPECT_TRUE(kit.check(function, 3, 1));
    kit.call(function, 3, 1);
    EXPECT_EQ(kit.runs(), 3u);
}

TEST_F(Cache, SaysAsMuchAsVerboseAsksFor)
{
    static std::vector<std::string> lines;
    parloom_set_log([](int, const char *line, void *) { lines.emplace_back(line); }, nullptr);
    const struct {
        int verbose;
        std::vector<std::string> said;
    } levels[] = { { 0, {} },
                   { 1, { "calling ramp(n=2, x=0.5, log=" } },
                   { 5, { "calling", "took", "loaded ramp" } },
                   { 10, { "calling", "took", "kept in", "loaded", "from /" } },
                   { 20, { "querying ramp/", "querying", "calling", "took", "kept", "querying", "loaded", "from" } } };
    parloom_cache_options options = cache_options();
    for (const auto &level : levels) {
        options.verbose = level.verbose;
        parloom_cached *function = kit.ramp_in(&options);
        lines.clear();
        kit.call(function, 2, 0.5);
        kit.call(function, 2, 0.5);
        parloom_cache_forget(function, nullptr);
        ASSERT_EQ(lines.size(), level.said.size()) << level.verbose;
        for (size_t k = 0; k < lines.size(); k++)
            EXPECT_NE(lines[k].find(level.said[k]), std::string::npos) << lines[k];
    }
    parloom_set_log(nullptr, nullptr);
}

TEST_F(Cache, RefusesWhatMakesNoSense)
{
    parloom_cache *cache = kit.open();
    auto refused = [&](const parloom_cache_function &definition) {
        parloom_cached *made = nullptr;
        parloom_status status = parloom_cache_bind(&made, cache, &definition, &kit.error);
        EXPECT_EQ(made, nullptr);
        return status;
    };
    parloom_cache_function bad = define_ramp();
    bad.name = nullptr;
    EXPECT_EQ(refused(bad), PARLOOM_ERR_INVALID);
    std::string longest(PARLOOM_CACHE_NAME_BYTES, 'a');
    bad.name = longest.c_str();
    EXPECT_EQ(refused(bad), PARLOOM_ERR_INVALID);
    bad = define_ramp();
    bad.body = nullptr;
    EXPECT_EQ(refused(bad), PARLOOM_ERR_INVALID);
    bad = define_ramp();
    bad.struct_size = 8;
    EXPECT_EQ(refused(bad), PARLOOM_ERR_VERSION);
    bad = define_ramp();
    bad.version = "";
    EXPECT_EQ(refused(bad), PARLOOM_ERR_INVALID);
    bad = define_ramp();
    bad.mmap_mode = PARLOOM_MMAP_W;
    EXPECT_EQ(refused(bad), PARLOOM_ERR_INVALID);
    bad = define_ramp();
    const parloom_cache_param twice[] = { { "n", PARLOOM_CACHE_I64, 0, nullptr },
                                          { "n", PARLOOM_CACHE_I64, 0, nullptr } };
    bad.params = twice;
    bad.n_params = 2;
    bad.n_ignore = 0;
    EXPECT_EQ(refused(bad), PARLOOM_ERR_INVALID);
    bad = define_ramp();
    const parloom_cache_result outside[] = { { "../x", PARLOOM_F64, 0, nullptr, 0 } };
    bad.results = outside;
    EXPECT_EQ(refused(bad), PARLOOM_ERR_INVALID);
    parloom_cache *none = nullptr;
    parloom_cache_options options = cache_options();
    options.store = "no such";
    EXPECT_EQ(parloom_cache_open(&none, "x", &options, &kit.error), PARLOOM_ERR_INVALID);
    options = cache_options();
    options.age_s = -1;
    EXPECT_EQ(parloom_cache_open(&none, "x", &options, &kit.error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_cache_open(&none, "", nullptr, &kit.error), PARLOOM_ERR_INVALID);
    std::string deepest = "/" + std::string(PARLOOM_CACHE_PATH_BYTES, 'a');
    EXPECT_EQ(parloom_cache_open(&none, deepest.c_str(), nullptr, &kit.error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(none, nullptr);
}

TEST_F(Cache, WritesNamesThatMeanNothingToAFileSystem)
{
    parloom_cache *cache = kit.open();
    parloom_cache_function definition = define_ramp();
    definition.name = "../a\\b:<c>!\n";
    kit.call(kit.bind(cache, definition), 1, 1);
    EXPECT_EQ(kit.entries("%2e.%2fa%5cb%3a%3cc%3e%21%0a").size(), 1u);
    EXPECT_NE(first_of(kit.entries("%2e.%2fa%5cb%3a%3cc%3e%21%0a")[0] / "metadata.json").find("\\u000a"),
              std::string::npos);
}

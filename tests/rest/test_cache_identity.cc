/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cache_identity.cc - which code a result is of: any rebuild of its module is a miss, a version stands for itself.
 */
#include "support/cache_kit.h"
#include "support/clean.h"
#include "support/module.h"

using loom::CacheKit;

namespace
{

/* A body that adds a constant, and one that asks another function of the module for it: the bytes of neither say all.
 */
std::string source(int constant)
{
    return "typedef struct parloom_array { void *data; } parloom_array;\n"
           "static volatile const long CONSTANT = " +
           std::to_string(constant) +
           ";\n"
           "__attribute__((noinline)) long ask(void) { return CONSTANT; }\n"
           "int body(void *run, void *const *args, parloom_array *results)\n"
           "{ (void)run; *(long *)results[0].data = *(const long *)args[0] + ask(); return 0; }\n";
}

class CacheIdentity : public loom::Clean
{
  protected:
    /* What the body of that module gives for one, from the cache or not. */
    int64_t ask(const loom::Module &module, const char *version = nullptr)
    {
        static const parloom_cache_param params[] = { { "n", PARLOOM_CACHE_I64, 0, nullptr } };
        static const parloom_cache_result results[] = { { nullptr, PARLOOM_I64, 0, nullptr, 0 } };
        parloom_cache_function definition;
        memset(&definition, 0, sizeof definition);
        definition.struct_size = sizeof definition;
        definition.name = "body";
        definition.body = reinterpret_cast<parloom_cache_body>(module.symbol("body"));
        definition.params = params;
        definition.n_params = 1;
        definition.results = results;
        definition.n_results = 1;
        definition.version = version;
        parloom_cached *function = kit.bind(kit.open(), definition);
        parloom_cache_value one = parloom_cache_i64(nullptr, 1);
        parloom_array result = {};
        EXPECT_EQ(parloom_cache_call(function, &one, 1, &result, &kit.info, &kit.error), PARLOOM_OK)
            << kit.error.message;
        int64_t got = *static_cast<int64_t *>(result.data);
        parloom_array_release(&result);
        kit.close();
        return got;
    }
    CacheKit kit;
};

} // namespace

TEST_F(CacheIdentity, IsAnotherWhereAConstantOfTheModuleIs)
{
    loom::Module first(source(10)), second(source(20));
    if (!first.is_built() || !second.is_built()) GTEST_SKIP() << "there is no C compiler to make modules with";
    auto offset = [](const loom::Module &module) {
        Dl_info info;
        EXPECT_NE(dladdr(module.symbol("body"), &info), 0);
        return static_cast<char *>(module.symbol("body")) - static_cast<char *>(info.dli_fbase);
    };
    ASSERT_EQ(offset(first), offset(second));
    EXPECT_EQ(ask(first), 11);
    EXPECT_FALSE(kit.info.is_hit);
    EXPECT_EQ(ask(second), 21) << "nothing of its own code has changed";
    EXPECT_FALSE(kit.info.is_hit);
    EXPECT_EQ(ask(first), 11);
    EXPECT_TRUE(kit.info.is_hit) << "what was kept of the first build is found by the first build";
}

TEST_F(CacheIdentity, IsTheSameForACopyOfTheSameBuild)
{
    const std::string no_debug = "-g0"; /* which would name the folder it was compiled in */
    loom::Module first(source(10), no_debug), second(source(10), no_debug);
    if (!first.is_built() || !second.is_built()) GTEST_SKIP() << "there is no C compiler to make modules with";
    EXPECT_EQ(ask(first), 11);
    EXPECT_EQ(ask(second), 11);
    EXPECT_TRUE(kit.info.is_hit) << "the same build in another place";
}

TEST_F(CacheIdentity, IsTheVersionAloneWhereThereIsOne)
{
    loom::Module first(source(10)), second(source(20));
    if (!first.is_built() || !second.is_built()) GTEST_SKIP() << "there is no C compiler to make modules with";
    EXPECT_EQ(ask(first, "1"), 11);
    EXPECT_EQ(ask(second, "1"), 11) << "the version says that nothing has changed";
    EXPECT_TRUE(kit.info.is_hit);
    EXPECT_EQ(ask(second, "2"), 21);
    EXPECT_FALSE(kit.info.is_hit);
}

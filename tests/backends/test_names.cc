/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of functions and lines for messages. */
#include "backends/names.h"

#include "backends/modules.h"
#include "support/module.h"

#include <gtest/gtest.h>

using loom::Module;

namespace
{

extern "C" __attribute__((noinline)) int loom_test_a_function(int n)
{
    return n + 1;
}

std::string name_in(const Module &module, const char *symbol, uint64_t into, bool with_offset, bool with_line)
{
    loom_module found;
    uint64_t address = reinterpret_cast<uint64_t>(module.symbol(symbol));
    if (!loom_modules_find(address, &found)) return "?";
    char text[512];
    loom_name_of_code(found.path, address - found.base + into, with_offset, with_line, text, sizeof text);
    return text;
}

const char *const source = "\n"
                           "static __attribute__((noinline)) int inner(volatile int *p) { return *p; }\n"
                           "int outer(volatile int *p) { return inner(p) + 1; }\n"
                           "void *address_of_inner(void) { return (void *)inner; }\n";

} // namespace

TEST(Names, SayTheFunctionOfThisProgram)
{
    char text[256];
    loom_name_of_function(reinterpret_cast<void *>(loom_test_a_function), text, sizeof text);
    EXPECT_STREQ(text, "loom_test_a_function");
}

TEST(Names, SayOffsetAndLine)
{
    Module module(source);
    if (!module.is_built()) GTEST_SKIP() << "no C compiler to build a module with";
#ifndef PARLOOM_HAVE_LIBDW
    GTEST_SKIP() << "built without libdw";
#endif
    EXPECT_EQ(name_in(module, "outer", 0, true, true), "outer+0x0 (module.c:3)");
    EXPECT_EQ(name_in(module, "outer", 1, true, false), "outer+0x1");
    EXPECT_EQ(name_in(module, "outer", 0, false, false), "outer");
}

TEST(Names, SayStaticFunctions)
{
    Module module(source);
    if (!module.is_built()) GTEST_SKIP() << "no C compiler to build a module with";
#ifndef PARLOOM_HAVE_LIBDW
    GTEST_SKIP() << "built without libdw";
#endif
    auto get = reinterpret_cast<void *(*)()>(module.symbol("address_of_inner"));
    char text[256];
    loom_name_of_function(get(), text, sizeof text);
    EXPECT_STREQ(text, "inner");
}

TEST(Names, SayModuleAndBuildIdWhereThereAreNoNames)
{
    Module module("static __attribute__((noinline,used)) int f(void) { return 3; } void *g = (void *)f;",
                  "-s -Wl,--build-id=0x0123456789abcdef");
    if (!module.is_built()) GTEST_SKIP() << "no C compiler to build a module with";
    char text[256];
    loom_name_of_function(*static_cast<void **>(module.symbol("g")), text, sizeof text);
    EXPECT_EQ(std::string(text).rfind("module.so+0x", 0), 0u) << text;
    EXPECT_NE(std::string(text).find("(build-id 0123456789abcdef)"), std::string::npos) << text;
}

TEST(Names, SayAnAddressThatLiesNowhere)
{
    char text[256];
    loom_name_of_function(reinterpret_cast<void *>(0x1234), text, sizeof text);
    EXPECT_STREQ(text, "0x1234");
}

TEST(Names, AlwaysSaySomethingOfRubbish)
{
    for (const char *path : { "", "/nowhere/at/all", "/etc/passwd", "[vdso]", "relative" }) {
        char text[64] = "";
        loom_name_of_code(path, 0x1170, 1, 1, text, sizeof text);
        EXPECT_NE(std::string(text).find("0x1170"), std::string::npos) << path << ": " << text;
    }
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Libraries that a program opens while it runs: by reference a file that changed is refused, by value it runs as it
 * was.
 */
#include "support/clean.h"
#include "support/module.h"

#include <parloom/parloom.h>

#include <cstring>
#include <dlfcn.h>
#include <fstream>
#include <memory>
#include <string>

namespace
{

enum { TASKS = 16 };

/* f stores its number, in a static function, since those travel too. */
std::string source_of(int number)
{
    return "typedef unsigned long u;\n"
           "static int store(const u *t, void *const *a) { ((long *)a[0])[*t] = " +
           std::to_string(number) +
           "; return 0; }\n"
           "int (*get(void))(const u *, void *const *) { return store; }\n"
           "__attribute__((noinline)) static int crasher(const u *t) { *(volatile u *)(*t & 0) = 1; return 0; }\n"
           "int crash(const u *t, void *const *a) { return crasher(t) + (a == 0); }\n";
}

class Modules : public loom::Clean
{
  protected:
    using Plugin = std::unique_ptr<loom::Module>;
    void SetUp() override
    {
        loom::Clean::SetUp();
        options.n_jobs = 2;
        options.modules = PARLOOM_MODULES_BY_VALUE;
    }
    void TearDown() override
    {
        parloom_shutdown(true);
        loom::Clean::TearDown();
    }
    static Plugin build(int number, const std::string &flags = "-g")
    {
        return std::make_unique<loom::Module>(source_of(number), flags);
    }
    static parloom_body body_of(const Plugin &plugin)
    {
        auto get = reinterpret_cast<parloom_body (*)()>(plugin->symbol("get"));
        return get();
    }
    /* The number that all tasks stored; -1: not all the same, or the call failed (error). */
    long call(parloom_body body)
    {
        long found[TASKS] = {};
        parloom_arg args[] = { parloom_out(found, sizeof found) };
        status = parloom_for(TASKS, body, args, 1, &options, &error);
        for (long number : found)
            if (status != PARLOOM_OK || number != found[0]) return -1;
        return found[0];
    }
    parloom_options options = PARLOOM_OPTIONS_INIT;
    parloom_error error = {};
    parloom_status status = PARLOOM_OK;
};

#define BUILD_OR_SKIP(plugin) \
    if (!(plugin)->is_built()) GTEST_SKIP() << "no C compiler to build a module with"

TEST_F(Modules, ByValueRunAsTheyWereAfterTheirFileWasReplaced)
{
    Plugin plugin = build(1), other = build(2);
    BUILD_OR_SKIP(plugin);
    EXPECT_EQ(call(body_of(plugin)), 1) << error.message;
    ASSERT_EQ(rename(other->path().c_str(), plugin->path().c_str()), 0);
    EXPECT_EQ(call(body_of(plugin)), 1) << error.message;
    parloom_shutdown(true); /* workers that have not seen it */
    EXPECT_EQ(call(body_of(plugin)), 1) << error.message;
}

TEST_F(Modules, ByValueRunAfterTheirFileWasDeleted)
{
    Plugin plugin = build(3);
    BUILD_OR_SKIP(plugin);
    EXPECT_EQ(call(body_of(plugin)), 3) << error.message;
    unlink(plugin->path().c_str());
    parloom_shutdown(true);
    EXPECT_EQ(call(body_of(plugin)), 3) << error.message;
}

TEST_F(Modules, ByReferenceAreRefusedWithTheRemedyOnceTheirFileChanged)
{
    options.modules = PARLOOM_MODULES_BY_REFERENCE;
    Plugin plugin = build(4), other = build(5);
    BUILD_OR_SKIP(plugin);
    ASSERT_EQ(rename(other->path().c_str(), plugin->path().c_str()), 0);
    EXPECT_EQ(call(body_of(plugin)), -1);
    EXPECT_EQ(status, PARLOOM_ERR_FUNCTION) << error.message;
    EXPECT_NE(strstr(error.message, "PARLOOM_MODULES_BY_VALUE"), nullptr) << error.message;

    /* After a call that was well, only workers that have not opened it yet can notice. */
    Plugin known = build(1), newer = build(2);
    EXPECT_EQ(call(body_of(known)), 1) << error.message;
    ASSERT_EQ(rename(newer->path().c_str(), known->path().c_str()), 0);
    parloom_shutdown(true);
    EXPECT_EQ(call(body_of(known)), -1);
    EXPECT_EQ(status, PARLOOM_ERR_VERSION) << error.message;
    EXPECT_NE(strstr(error.message, "PARLOOM_MODULES_BY_VALUE"), nullptr) << error.message;

    Plugin gone = build(6);
    unlink(gone->path().c_str());
    EXPECT_EQ(call(body_of(gone)), -1);
    EXPECT_EQ(status, PARLOOM_ERR_FUNCTION) << error.message;
    EXPECT_NE(strstr(error.message, "PARLOOM_MODULES_BY_VALUE"), nullptr) << error.message;
    options.backend = "threads";
    EXPECT_EQ(call(body_of(gone)), 6) << error.message;
}

/* A file that was gone before anybody took its bytes: the kernel still has them, and may or may not let us. */
bool reaches_deleted_files(const void *address)
{
    std::ifstream maps("/proc/self/maps");
    std::string line;
    while (std::getline(maps, line)) {
        unsigned long begin, end;
        if (sscanf(line.c_str(), "%lx-%lx", &begin, &end) != 2) continue;
        auto at = reinterpret_cast<unsigned long>(address);
        if (at < begin || at >= end) continue;
        std::ifstream file("/proc/self/map_files/" + line.substr(0, line.find(' ')));
        return file.good();
    }
    return false;
}

TEST_F(Modules, ByValueOfAFileThatIsGoneAlreadyRunOrAreRefusedWithTheRemedy)
{
    Plugin plugin = build(7), other = build(8);
    BUILD_OR_SKIP(plugin);
    ASSERT_EQ(rename(other->path().c_str(), plugin->path().c_str()), 0);
    if (reaches_deleted_files(plugin->symbol("get"))) {
        EXPECT_EQ(call(body_of(plugin)), 7) << error.message;
        return;
    }
    EXPECT_EQ(call(body_of(plugin)), -1);
    EXPECT_EQ(status, PARLOOM_ERR_FUNCTION);
    EXPECT_NE(strstr(error.message, "before its bytes were taken"), nullptr) << error.message;
}

TEST_F(Modules, ByValueThatAreRebuiltAndOpenedAgainRunAsTheyAreNow)
{
    for (const char *flags : { "-g", "-Wl,--build-id=none", "-Wl,--build-id=0x1234" }) {
        Plugin plugin = build(10, flags), other = build(11, flags);
        BUILD_OR_SKIP(plugin);
        EXPECT_EQ(call(body_of(plugin)), 10) << flags << ": " << error.message;
        dlclose(plugin->handle);
        ASSERT_EQ(rename(other->path().c_str(), plugin->path().c_str()), 0);
        plugin->handle = dlopen(plugin->path().c_str(), RTLD_NOW | RTLD_LOCAL);
        ASSERT_NE(plugin->handle, nullptr) << dlerror();
        EXPECT_EQ(call(body_of(plugin)), 11) << flags << ": " << error.message; /* by workers that know the old one */
    }
}

TEST_F(Modules, OldAndNewBuildsRunSideBySide)
{
    Plugin first = build(20, "-Wl,--build-id=0x77"), second = build(21, "-Wl,--build-id=0x77");
    BUILD_OR_SKIP(first);
    for (int round = 0; round < 3; round++) {
        EXPECT_EQ(call(body_of(first)), 20) << error.message;
        EXPECT_EQ(call(body_of(second)), 21) << error.message;
    }
}

TEST_F(Modules, ByReferenceAndByValueMayAlternate)
{
    Plugin plugin = build(30);
    BUILD_OR_SKIP(plugin);
    for (auto how :
         { PARLOOM_MODULES_BY_REFERENCE, PARLOOM_MODULES_BY_VALUE, PARLOOM_MODULES_UNSET, PARLOOM_MODULES_BY_VALUE }) {
        options.modules = how;
        EXPECT_EQ(call(body_of(plugin)), 30) << error.message;
    }
}

int of_the_program(const parloom_task *task, void *const *args)
{
    static_cast<long *>(args[0])[task->index] = 40;
    return 0;
}

TEST_F(Modules, FunctionsOfTheProgramTravelAsEver)
{
    EXPECT_EQ(call(of_the_program), 40) << error.message;
}

class ModulesOn : public Modules, public testing::WithParamInterface<const char *>
{
};

TEST_P(ModulesOn, AnyBackendWorkByValue)
{
    Plugin plugin = build(50);
    BUILD_OR_SKIP(plugin);
    options.backend = GetParam();
    EXPECT_EQ(call(body_of(plugin)), 50) << error.message;
}

INSTANTIATE_TEST_SUITE_P(Every, ModulesOn, testing::Values("sequential", "threads", "processes", "fork"),
                         [](const auto &tested) { return std::string(tested.param); });

TEST_F(Modules, ACrashInAModuleByValueIsNamedThoughItsFileIsGone)
{
    Plugin plugin = build(60);
    BUILD_OR_SKIP(plugin);
    EXPECT_EQ(call(body_of(plugin)), 60) << error.message;
    unlink(plugin->path().c_str());
    parloom_shutdown(true);
    EXPECT_EQ(call(reinterpret_cast<parloom_body>(plugin->symbol("crash"))), -1);
    EXPECT_EQ(status, PARLOOM_ERR_CRASHED);
    EXPECT_NE(strstr(error.message, "crasher"), nullptr) << error.message;
    EXPECT_NE(strstr(error.message, "module.c:"), nullptr) << error.message;
}

TEST_F(Modules, ByValueCarryTheWorkerInitOfAPool)
{
    std::string text = source_of(70) + "int init(void *state) { (void)state; return 0; }\n";
    loom::Module plugin(text);
    if (!plugin.is_built()) GTEST_SKIP() << "no C compiler to build a module with";
    options.worker_init = reinterpret_cast<int (*)(void *)>(plugin.symbol("init"));
    auto get = reinterpret_cast<parloom_body (*)()>(plugin.symbol("get"));
    EXPECT_EQ(call(get()), 70) << error.message;
    unlink(plugin.path().c_str());
    parloom_shutdown(true);
    EXPECT_EQ(call(get()), 70) << error.message;
    options.worker_init = nullptr;
    options.modules = PARLOOM_MODULES_BY_REFERENCE;
}

TEST_F(Modules, AreChosenByText)
{
    parloom_options text = PARLOOM_OPTIONS_INIT;
    ASSERT_EQ(parloom_options_set(&text, "modules", "by_value", &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(text.modules, PARLOOM_MODULES_BY_VALUE);
    EXPECT_EQ(parloom_options_set(&text, "modules", "by_mail", &error), PARLOOM_ERR_INVALID);
}

} // namespace

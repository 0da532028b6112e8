/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions travel as module, identity and offset; what cannot travel is refused with a reason. */
#include "backends/tasks.h"

#include "support/crew.h"
#include "support/module.h"

#include <cstdlib>
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/wait.h>

using loom::Crew;
using loom::Module;

namespace
{

int hidden_square(const parloom_task *, void *const *)
{
    return 49;
}

class Task : public ::testing::Test
{
  protected:
    void TearDown() override { loom_supervisor_end(); }

    /* What the function returns in a worker; -1: it could not be found there (the message is in the script). */
    static int run_in_worker(Crew &crew, const loom_task_ref &ref, uint32_t seat = 0)
    {
        static_assert(sizeof ref <= sizeof crew.script->text, "a reference fits the script");
        memcpy(crew.script->text, &ref, sizeof ref);
        if (!crew.start(1, 0, seat) || !crew.wait_bell()) return -2;
        return static_cast<int>(crew.script->found[seat]);
    }
};

} // namespace

void loom::run_script(const loom_worker_post *post, Script *script)
{
    loom_task_ref ref;
    memcpy(&ref, script->text, sizeof ref);
    parloom_body body = nullptr;
    parloom_error error = {};
    int found = -1;
    if (loom_task_resolve(&ref, &body, &error) == PARLOOM_OK) found = body(nullptr, nullptr);
    script->argument[post->seat] = error.status;
    snprintf(script->text, sizeof script->text, "%s", error.message);
    script->found[post->seat] = found;
    ring(post);
}

TEST_F(Task, FindsAStaticFunctionOfTheProgramInAWorker)
{
    loom_task_ref ref;
    parloom_error error;
    ASSERT_EQ(loom_task_refer(hidden_square, &ref, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(ref.is_program, 1u);
    EXPECT_EQ(ref.path[0], '/');
    Crew crew;
    EXPECT_EQ(run_in_worker(crew, ref), 49) << crew.script->text;
}

TEST_F(Task, FindsAFunctionOfAModuleThatTheWorkerHasNotOpened)
{
    Module module("static int f(const void *t, void *const *a) { (void)t; (void)a; return 64; }"
                  "int (*hidden(void))(const void *, void *const *) { return f; }");
    if (!module.is_built()) GTEST_SKIP() << "no C compiler to build a module with";
    auto hidden = reinterpret_cast<parloom_body (*)()>(module.symbol("hidden"));
    ASSERT_NE(hidden, nullptr);
    loom_task_ref ref;
    parloom_error error;
    ASSERT_EQ(loom_task_refer(hidden(), &ref, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(ref.is_program, 0u);
    EXPECT_EQ(module.path(), ref.path);
    Crew crew;
    EXPECT_EQ(run_in_worker(crew, ref), 64) << crew.script->text;
}

TEST_F(Task, RefusesInTheWorkerAModuleThatWasReplacedByAnotherBuild)
{
    Module module("int f(const void *t, void *const *a) { (void)t; (void)a; return 1; }");
    Module other("int f(const void *t, void *const *a) { (void)t; (void)a; return 2; } int g(void) { return 3; }");
    if (!module.is_built() || !other.is_built()) GTEST_SKIP() << "no C compiler to build a module with";
    loom_task_ref ref;
    ASSERT_EQ(loom_task_refer(reinterpret_cast<parloom_body>(module.symbol("f")), &ref, nullptr), PARLOOM_OK);
    ASSERT_EQ(rename(other.path().c_str(), module.path().c_str()), 0);
    Crew crew;
    EXPECT_EQ(run_in_worker(crew, ref), -1);
    EXPECT_EQ(crew.script->argument[0], PARLOOM_ERR_VERSION) << crew.script->text;
    EXPECT_NE(strstr(crew.script->text, "another build"), nullptr) << crew.script->text;
}

TEST_F(Task, RefusesAFunctionOfADeletedModule)
{
    Module module("int f(const void *t, void *const *a) { (void)t; (void)a; return 1; }");
    if (!module.is_built()) GTEST_SKIP() << "no C compiler to build a module with";
    auto function = reinterpret_cast<parloom_body>(module.symbol("f"));
    unlink(module.path().c_str());
    loom_task_ref ref;
    parloom_error error;
    EXPECT_EQ(loom_task_refer(function, &ref, &error), PARLOOM_ERR_FUNCTION);
    EXPECT_NE(strstr(error.message, "deleted"), nullptr) << error.message;
}

TEST_F(Task, NoticesThatAnAddressMeansAnotherFunctionAfterAnUnload)
{
    loom_task_ref first, second;
    {
        Module module("int f(const void *t, void *const *a) { (void)t; (void)a; return 1; }");
        if (!module.is_built()) GTEST_SKIP() << "no C compiler to build a module with";
        auto function = reinterpret_cast<parloom_body>(module.symbol("f"));
        ASSERT_EQ(loom_task_refer(function, &first, nullptr), PARLOOM_OK);
        dlclose(module.handle);
        module.handle = nullptr;
        EXPECT_EQ(loom_task_refer(function, &second, nullptr), PARLOOM_ERR_FUNCTION);
    }
}

TEST_F(Task, RefusesCodeThatLiesInNoFile)
{
    /* What a nested function's trampoline is, and what a just-in-time compiler makes. */
    void *code = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(code, MAP_FAILED);
    parloom_body body;
    memcpy(&body, &code, sizeof body);
    loom_task_ref ref;
    parloom_error error;
    EXPECT_EQ(loom_task_refer(body, &ref, &error), PARLOOM_ERR_FUNCTION);
    EXPECT_NE(strstr(error.message, "nested"), nullptr) << error.message;
    munmap(code, 4096);
}

TEST_F(Task, RefusesAnAddressOfData)
{
    static int data = 5;
    void *address = &data;
    parloom_body body;
    memcpy(&body, &address, sizeof body);
    loom_task_ref ref;
    parloom_error error;
    EXPECT_EQ(loom_task_refer(body, &ref, &error), PARLOOM_ERR_FUNCTION);
    EXPECT_NE(strstr(error.message, "outside the code"), nullptr) << error.message;
}

TEST_F(Task, RefusesNull)
{
    loom_task_ref ref;
    EXPECT_EQ(loom_task_refer(nullptr, &ref, nullptr), PARLOOM_ERR_INVALID);
}

TEST_F(Task, RefusesAnOffsetOutsideTheCodeOfItsModule)
{
    loom_task_ref ref;
    ASSERT_EQ(loom_task_refer(hidden_square, &ref, nullptr), PARLOOM_OK);
    ref.offset = 0x7ffffffff000;
    parloom_body body = nullptr;
    EXPECT_EQ(loom_task_resolve(&ref, &body, nullptr), PARLOOM_ERR_FUNCTION);
    EXPECT_EQ(body, nullptr);
}

TEST_F(Task, RefusesAReferenceThatIsRubbish)
{
    loom_task_ref ref;
    memset(&ref, 0xff, sizeof ref);
    parloom_body body = nullptr;
    EXPECT_NE(loom_task_resolve(&ref, &body, nullptr), PARLOOM_OK);
    EXPECT_EQ(body, nullptr);
}

TEST_F(Task, ResolvesWhatItRefersToManyTimes)
{
    loom_task_ref ref;
    parloom_body body = nullptr;
    for (int i = 0; i < 1000; i++) {
        ASSERT_EQ(loom_task_refer(hidden_square, &ref, nullptr), PARLOOM_OK);
        ASSERT_EQ(loom_task_resolve(&ref, &body, nullptr), PARLOOM_OK);
        ASSERT_EQ(body, &hidden_square);
    }
}

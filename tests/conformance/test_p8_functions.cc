/* SPDX-License-Identifier: BSD-3-Clause */
/* P8: functions of any place reach the workers. */
#include "conformance/conformance.h"
#include "support/module.h"

using namespace conformance;

namespace
{

/* A static function of the program. */
int twice(const parloom_task *task, void *const *args)
{
    static_cast<long *>(args[0])[task->index] = 2 * static_cast<long>(task->index);
    return 0;
}

const char MODULE[] = R"(
#include <stddef.h>
struct task { size_t index; };
static int hidden(const struct task *task, void *const *args)
{
    ((long *)args[0])[task->index] = 3 * (long)task->index;
    return 0;
}
int (*body)(const struct task *, void *const *) = hidden;
int exported(const struct task *task, void *const *args)
{
    ((long *)args[0])[task->index] = 4 * (long)task->index;
    return 0;
}
)";

std::vector<long> multiples(long factor)
{
    std::vector<long> made(20);
    for (size_t i = 0; i < made.size(); i++) made[i] = factor * static_cast<long>(i);
    return made;
}

std::vector<long> run(const char *backend, parloom_body body, parloom_error *error)
{
    std::vector<long> found(20, -1);
    parloom_arg args[] = { contract::out(found) };
    parloom_options given = on(backend);
    return parloom_for(found.size(), body, args, 1, &given, error) == PARLOOM_OK ? found : std::vector<long>();
}

} // namespace

TEST_F(Conformance, P8_02_FunctionsOfProgramAndModules)
{
    loom::Module module(MODULE);
    ASSERT_TRUE(module.is_built());
    auto exported = reinterpret_cast<parloom_body>(module.symbol("exported"));
    auto hidden = *static_cast<parloom_body *>(module.symbol("body"));
    parloom_body closure = [](const parloom_task *task, void *const *args) {
        static_cast<long *>(args[0])[task->index] = 5 * static_cast<long>(task->index);
        return 0;
    };
    for (const char *backend : every_backend) {
        EXPECT_EQ(run(backend, twice, &error), multiples(2)) << backend << error.message;
        EXPECT_EQ(run(backend, hidden, &error), multiples(3)) << backend << error.message;
        EXPECT_EQ(run(backend, exported, &error), multiples(4)) << backend << error.message;
        EXPECT_EQ(run(backend, closure, &error), multiples(5)) << backend << error.message;
    }
    parloom_shutdown(true);
}

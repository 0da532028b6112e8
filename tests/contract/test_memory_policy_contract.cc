/* SPDX-License-Identifier: BSD-3-Clause */
/* On which nodes the memory lies that a call spills and that parloom_alloc gives. */
#include "support/clean.h"

#include <parloom/parloom.h>

#include <linux/mempolicy.h>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace
{

/* The policy of the page, or -1. */
int policy_of(const void *address)
{
    int mode = -1;
    if (syscall(SYS_get_mempolicy, &mode, nullptr, 0UL, address, static_cast<unsigned long>(MPOL_F_ADDR)) != 0)
        return -1;
    return mode;
}

class MemoryPolicy : public loom::Clean
{
  protected:
    enum { NBYTES = 4 << 20 };
    void SetUp() override
    {
        loom::Clean::SetUp();
        void *probe = parloom_alloc(NBYTES, nullptr);
        bool is_there = policy_of(probe) >= 0;
        parloom_free(probe);
        if (!is_there) GTEST_SKIP() << "the system forbids to ask for memory policies";
    }
    void TearDown() override
    {
        parloom_shutdown(true);
        loom::Clean::TearDown();
    }
    /* Of the bytes that a task finds: spilled, where they are private. */
    int policy_in_task(parloom_memory_policy policy)
    {
        int found = -2;
        std::vector<char> bytes(NBYTES, 'x');
        parloom_arg args[] = { parloom_in(bytes.data(), bytes.size()), parloom_out(&found, sizeof found) };
        parloom_options options = PARLOOM_OPTIONS_INIT;
        parloom_error error;
        options.require = PARLOOM_REQUIRE_ISOLATION;
        options.memory_policy = policy;
        auto body = [](const parloom_task *, void *const *task_args) {
            *static_cast<int *>(task_args[1]) = policy_of(task_args[0]);
            return static_cast<const char *>(task_args[0])[NBYTES - 1] == 'x' ? 0 : 1;
        };
        EXPECT_EQ(parloom_for(1, body, args, 2, &options, &error), PARLOOM_OK) << error.message;
        return found;
    }
};

TEST_F(MemoryPolicy, OfACallIsThatOfWhatItSpills)
{
    EXPECT_EQ(policy_in_task(PARLOOM_MEMORY_UNSET), MPOL_DEFAULT);
    EXPECT_EQ(policy_in_task(PARLOOM_MEMORY_INTERLEAVE), MPOL_INTERLEAVE);
    EXPECT_EQ(policy_in_task(PARLOOM_MEMORY_LOCAL), MPOL_LOCAL);
    EXPECT_EQ(policy_in_task(PARLOOM_MEMORY_FIRST_TOUCH), MPOL_DEFAULT) << "segments of another policy are kept warm";
}

TEST_F(MemoryPolicy, OfAScopeIsThatOfNamedArrays)
{
    parloom_options scope = PARLOOM_OPTIONS_INIT;
    parloom_error error;
    const std::string name = "parloom-test-policy-" + std::to_string(getpid());
    for (size_t nbytes : { size_t{ 4096 }, size_t{ NBYTES } })
        for (parloom_memory_policy policy : { PARLOOM_MEMORY_FIRST_TOUCH, PARLOOM_MEMORY_INTERLEAVE }) {
            parloom_array array;
            scope.memory_policy = policy;
            ASSERT_EQ(parloom_scope_begin(&scope, nullptr), PARLOOM_OK);
            ASSERT_EQ(parloom_array_create_named(&array, name.c_str(), PARLOOM_U8, 0, 1, &nbytes, nullptr, &error),
                      PARLOOM_OK)
                << error.message;
            parloom_scope_end();
            EXPECT_EQ(policy_of(static_cast<char *>(array.data) + nbytes - 1),
                      policy == PARLOOM_MEMORY_INTERLEAVE ? MPOL_INTERLEAVE : MPOL_DEFAULT)
                << nbytes;
            EXPECT_EQ(parloom_array_unlink_named(name.c_str(), &error), PARLOOM_OK) << error.message;
            parloom_array_release(&array);
        }
}

TEST_F(MemoryPolicy, OfAScopeIsThatOfLargeBlocks)
{
    parloom_options scope = PARLOOM_OPTIONS_INIT;
    scope.memory_policy = PARLOOM_MEMORY_INTERLEAVE;
    ASSERT_EQ(parloom_scope_begin(&scope, nullptr), PARLOOM_OK);
    void *inside = parloom_alloc(NBYTES, nullptr);
    parloom_scope_end();
    void *outside = parloom_alloc(NBYTES, nullptr);
    EXPECT_EQ(policy_of(inside), MPOL_INTERLEAVE);
    EXPECT_EQ(policy_of(outside), MPOL_DEFAULT);
    parloom_free(inside);
    parloom_free(outside);
}

TEST_F(MemoryPolicy, OfTheProcessDefaultIsThatOfLargeBlocks)
{
    parloom_options defaults = PARLOOM_OPTIONS_INIT;
    defaults.memory_policy = PARLOOM_MEMORY_LOCAL;
    ASSERT_EQ(parloom_set_defaults(&defaults, nullptr), PARLOOM_OK);
    void *block = parloom_alloc(NBYTES, nullptr);
    ASSERT_EQ(parloom_set_defaults(nullptr, nullptr), PARLOOM_OK);
    EXPECT_EQ(policy_of(block), MPOL_LOCAL);
    parloom_free(block);
}

} // namespace

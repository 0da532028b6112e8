/* SPDX-License-Identifier: BSD-3-Clause */
/* Code that lies in no file: refused, unless it was published; then it is a body like any other, on every backend. */
#include "support/clean.h"
#include "support/machine_code.h"

#include <parloom/parloom.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <vector>

namespace
{

enum { TASKS = 64 };

template <size_t N, typename Unit> parloom_body publish(const Unit (&code)[N])
{
    parloom_body body = nullptr;
    parloom_error error;
    EXPECT_EQ(parloom_code_publish(code, sizeof code, &body, &error), PARLOOM_OK) << error.message;
    return body;
}

/* "r-xs" of the mapping that holds the address. */
std::string protection_of(const void *address)
{
    std::ifstream maps("/proc/self/maps");
    std::string line;
    while (std::getline(maps, line)) {
        unsigned long begin, end;
        char protection[8];
        if (sscanf(line.c_str(), "%lx-%lx %7s", &begin, &end, protection) != 3) continue;
        auto at = reinterpret_cast<unsigned long>(address);
        if (at >= begin && at < end) return protection;
    }
    return "none";
}

const void *address_of(parloom_body body)
{
    const void *address;
    memcpy(&address, &body, sizeof address);
    return address;
}

class Code : public loom::Clean, public ::testing::WithParamInterface<const char *>
{
  protected:
    void SetUp() override
    {
        loom::Clean::SetUp();
        options.n_jobs = 2;
        options.backend = GetParam();
    }
    void TearDown() override
    {
        parloom_shutdown(true);
        loom::Clean::TearDown();
    }
    parloom_status call(parloom_body body)
    {
        parloom_arg args[] = { parloom_out(found, sizeof found) };
        memset(found, 0xff, sizeof found);
        return parloom_for(TASKS, body, args, 1, &options, &error);
    }
    bool is_square() const
    {
        for (int64_t i = 0; i < TASKS; i++)
            if (found[i] != i * i) return false;
        return true;
    }
    bool is_double() const
    {
        for (int64_t i = 0; i < TASKS; i++)
            if (found[i] != i + i) return false;
        return true;
    }
    int64_t found[TASKS];
    parloom_options options = PARLOOM_OPTIONS_INIT;
    parloom_error error = {};
};

TEST_P(Code, ThatWasPublishedIsABody)
{
    parloom_body square = publish(loom::SQUARE_CODE);
    ASSERT_EQ(call(square), PARLOOM_OK) << error.message;
    EXPECT_TRUE(is_square());
    parloom_code_release(square);
}

TEST_P(Code, IsCalledByWorkersThatWereThereBefore)
{
    parloom_body square = publish(loom::SQUARE_CODE);
    ASSERT_EQ(call(square), PARLOOM_OK) << error.message;
    parloom_body twice = publish(loom::DOUBLE_CODE);
    ASSERT_EQ(call(twice), PARLOOM_OK) << error.message;
    EXPECT_TRUE(is_double());
    parloom_code_release(square);
    ASSERT_EQ(call(twice), PARLOOM_OK) << error.message;
    EXPECT_TRUE(is_double());
    parloom_code_release(twice);
}

TEST_P(Code, ThatTakesThePlaceOfWhatWasReleasedRuns)
{
    for (int round = 0; round < 4; round++) {
        parloom_body body = round % 2 == 0 ? publish(loom::SQUARE_CODE) : publish(loom::DOUBLE_CODE);
        ASSERT_EQ(call(body), PARLOOM_OK) << error.message;
        EXPECT_TRUE(round % 2 == 0 ? is_square() : is_double()) << "round " << round;
        parloom_code_release(body);
    }
}

TEST_P(Code, FurtherInABlockIsReachedByItsAddress)
{
    std::vector<unsigned char> block(256, 0xcc);
    memcpy(block.data(), loom::SQUARE_CODE, sizeof loom::SQUARE_CODE);
    memcpy(block.data() + 128, loom::DOUBLE_CODE, sizeof loom::DOUBLE_CODE);
    parloom_body square = nullptr, twice;
    ASSERT_EQ(parloom_code_publish(block.data(), block.size(), &square, &error), PARLOOM_OK) << error.message;
    const char *second = static_cast<const char *>(address_of(square)) + 128;
    memcpy(&twice, &second, sizeof twice);
    ASSERT_EQ(call(twice), PARLOOM_OK) << error.message;
    EXPECT_TRUE(is_double());
    parloom_code_release(square);
}

TEST_P(Code, IsNowhereWritable)
{
    auto look = [](const parloom_task *, void *const *args) {
        auto *text = static_cast<char *>(args[1]);
        snprintf(text, 8, "%s", protection_of(*static_cast<void **>(args[0])).c_str());
        return 0;
    };
    parloom_body square = publish(loom::SQUARE_CODE);
    const void *address = address_of(square);
    char text[8] = "";
    parloom_arg args[] = { parloom_in(&address, sizeof address), parloom_out(text, sizeof text) };
    ASSERT_EQ(parloom_for(1, look, args, 2, &options, &error), PARLOOM_OK) << error.message;
    EXPECT_STREQ(text, "r-xs");
    EXPECT_EQ(protection_of(address), "r-xs");
    EXPECT_NE(mprotect(const_cast<void *>(address), 4096, PROT_READ | PROT_WRITE), 0) << "it can be made writable";
    parloom_code_release(square);
    EXPECT_EQ(protection_of(address), "none");
}

TEST_P(Code, MayBeAListAndInAScopeOfTasks)
{
    parloom_body square = publish(loom::SQUARE_CODE), twice = publish(loom::DOUBLE_CODE);
    parloom_arg args[] = { parloom_inout(found, sizeof found) };
    parloom_call calls[] = { { square, args, 1 }, { twice, args, 1 }, { square, args, 1 } };
    memset(found, 0, sizeof found);
    ASSERT_EQ(parloom_run(calls, 3, &options, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(found[1], 2);
    EXPECT_EQ(found[2], 4);
    parloom_code_release(square);
    parloom_code_release(twice);
}

INSTANTIATE_TEST_SUITE_P(Backends, Code, ::testing::Values("sequential", "threads", "processes", "fork"),
                         [](const auto &info) { return std::string(info.param); });

/* ------------------------------------------------------ of worker processes */

class CodeInProcesses : public loom::Clean
{
  protected:
    void SetUp() override
    {
        loom::Clean::SetUp();
        options.n_jobs = 2;
    }
    void TearDown() override
    {
        parloom_shutdown(true);
        loom::Clean::TearDown();
    }
    parloom_status call(parloom_body body)
    {
        parloom_arg args[] = { parloom_out(found, sizeof found) };
        return parloom_for(TASKS, body, args, 1, &options, &error);
    }
    int64_t found[TASKS] = {};
    parloom_options options = PARLOOM_OPTIONS_INIT;
    parloom_error error = {};
};

TEST_F(CodeInProcesses, ThatWasNotPublishedIsRefusedWithTheRemedy)
{
    void *page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(page, MAP_FAILED);
    memcpy(page, loom::SQUARE_CODE, sizeof loom::SQUARE_CODE);
    ASSERT_EQ(mprotect(page, 4096, PROT_READ | PROT_EXEC), 0);
    parloom_body body;
    memcpy(&body, &page, sizeof body);
    EXPECT_EQ(call(body), PARLOOM_ERR_FUNCTION);
    EXPECT_NE(strstr(error.message, "parloom_code_publish"), nullptr) << error.message;
    options.backend = "threads";
    EXPECT_EQ(call(body), PARLOOM_OK) << "as the message says";
    options.backend = nullptr;
    parloom_body published = nullptr;
    ASSERT_EQ(parloom_code_publish(page, sizeof loom::SQUARE_CODE, &published, &error), PARLOOM_OK);
    munmap(page, 4096);
    EXPECT_EQ(call(published), PARLOOM_OK) << error.message;
    EXPECT_EQ(found[9], 81);
    parloom_code_release(published);
}

TEST_F(CodeInProcesses, ThatWasReleasedIsRefused)
{
    parloom_body square = publish(loom::SQUARE_CODE);
    ASSERT_EQ(call(square), PARLOOM_OK) << error.message;
    parloom_code_release(square);
    EXPECT_EQ(call(square), PARLOOM_ERR_FUNCTION);
    EXPECT_NE(strstr(error.message, "released"), nullptr) << error.message;
    parloom_code_release(nullptr);
    announce("parloom_code_release");
    parloom_code_release(square);
}

TEST_F(CodeInProcesses, ThatCrashesIsNamed)
{
    parloom_body crash = publish(loom::CRASH_CODE);
    EXPECT_EQ(call(crash), PARLOOM_ERR_CRASHED);
    EXPECT_NE(strstr(error.message, "in published code+0x"), nullptr) << error.message;
    EXPECT_NE(strstr(error.message, "null pointer"), nullptr) << error.message;
    EXPECT_NE(strstr(error.message, "running published code at 0x"), nullptr) << error.message;
    parloom_code_release(crash);
    parloom_body square = publish(loom::SQUARE_CODE);
    EXPECT_EQ(call(square), PARLOOM_OK) << error.message;
    parloom_code_release(square);
}

TEST_F(CodeInProcesses, ThatWritesToItselfCrashes)
{
    parloom_body vandal = publish(loom::VANDAL_CODE);
    EXPECT_EQ(call(vandal), PARLOOM_ERR_CRASHED);
#if defined(__x86_64__)
    EXPECT_NE(strstr(error.message, "writing to published code"), nullptr) << error.message;
#endif
    parloom_code_release(vandal);
}

TEST_F(CodeInProcesses, MayInitialiseWorkers)
{
    parloom_body nothing = publish(loom::NOTHING_CODE), square = publish(loom::SQUARE_CODE);
    const void *address = address_of(nothing);
    memcpy(&options.worker_init, &address, sizeof address);
    EXPECT_EQ(call(square), PARLOOM_OK) << error.message;
    EXPECT_EQ(found[5], 25);
    parloom_shutdown(true);
    parloom_code_release(nothing);
    parloom_code_release(square);
}

TEST_F(CodeInProcesses, MayBePublishedInATaskForCallsBelowIt)
{
    auto outer = [](const parloom_task *, void *const *args) {
        parloom_body square = nullptr;
        parloom_arg inner_args[] = { parloom_out(args[0], TASKS * sizeof(int64_t)) };
        parloom_options inner = PARLOOM_OPTIONS_INIT;
        inner.n_jobs = 2;
        inner.backend = "processes";
        if (parloom_code_publish(loom::SQUARE_CODE, sizeof loom::SQUARE_CODE, &square, nullptr) != PARLOOM_OK) return 1;
        int status = parloom_for(TASKS, square, inner_args, 1, &inner, nullptr);
        parloom_code_release(square);
        return status;
    };
    parloom_arg args[] = { parloom_inout(found, sizeof found) };
    options.require = PARLOOM_REQUIRE_ISOLATION;
    ASSERT_EQ(parloom_for(1, outer, args, 1, &options, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(found[7], 49);
}

TEST_F(CodeInProcesses, OfNothingIsRefused)
{
    parloom_body body = nullptr;
    EXPECT_EQ(parloom_code_publish(nullptr, 4, &body, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_code_publish(loom::SQUARE_CODE, 0, &body, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_code_publish(loom::SQUARE_CODE, 4, nullptr, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(body, nullptr);
}

TEST_F(CodeInProcesses, ThatIsReleasedInItsMidstIsTold)
{
    parloom_body square = publish(loom::SQUARE_CODE), inside;
    const char *address = static_cast<const char *>(address_of(square)) + 4;
    memcpy(&inside, &address, sizeof inside);
    announce("parloom_code_release");
    parloom_code_release(inside);
    EXPECT_EQ(call(square), PARLOOM_OK) << error.message;
    parloom_code_release(square);
}

/* As hardened systems do: mmap for execution is refused. */
bool forbid_execution()
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof filter / sizeof filter[0], filter };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST_F(CodeInProcesses, IsRefusedWhereTheSystemForbidsExecutableMappings)
{
    if (!forbid_execution()) GTEST_SKIP() << "the system allows no filter of system calls";
    parloom_body body = nullptr;
    EXPECT_EQ(parloom_code_publish(loom::SQUARE_CODE, sizeof loom::SQUARE_CODE, &body, &error),
              PARLOOM_ERR_UNSUPPORTED);
    EXPECT_NE(strstr(error.message, "forbids to map shared memory for execution"), nullptr) << error.message;
    EXPECT_NE(strstr(error.message, "run on threads"), nullptr) << error.message;
    EXPECT_EQ(body, nullptr);
}

} // namespace

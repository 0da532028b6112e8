/* SPDX-License-Identifier: BSD-3-Clause */
/* test_codec_fork.cc - a child that is forked while another thread opens a library for its codec. */
#include "support/clean.h"
#include "support/module.h"
#include "support/sanitizers.h"

#include "rest/codec_library.h"

#include <sys/wait.h>
#include <thread>
#include <unistd.h>

/* Says that it is being opened, and stays so until somebody answers, or for a moment. */
static const char *const SLOW = R"(
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
int answer(void) { return 1; }
__attribute__((constructor)) static void open_slowly(void)
{
    const char *gate = getenv("LOOM_TEST_GATE");
    if (gate == NULL) return;
    int to = atoi(gate), from = to + 1;
    struct pollfd answered = { from, POLLIN, 0 };
    if (write(to, "x", 1) == 1) (void)poll(&answered, 1, 500);
})";

struct Calls {
    void *answer;
};

class CodecFork : public loom::Clean
{
};

TEST_F(CodecFork, AChildOpensLibrariesThatWereBeingOpened)
{
#ifdef LOOM_TEST_SANITIZED
    GTEST_SKIP() << "a sanitizer takes the parent's threads for leaks of the child";
#endif
    loom::Module module(SLOW);
    if (!module.is_built()) GTEST_SKIP() << "no compiler here";
    dlclose(module.handle);
    module.handle = nullptr;
    int opened[2], answered[2];
    ASSERT_EQ(pipe(opened), 0);
    ASSERT_EQ(pipe(answered), 0);
    const int gate = 200;
    ASSERT_EQ(dup2(opened[1], gate), gate);
    ASSERT_EQ(dup2(answered[0], gate + 1), gate + 1);
    setenv("LOOM_TEST_GATE", std::to_string(gate).c_str(), 1);
    std::string file = module.path();
    static const char *const names[] = { "answer", nullptr };
    static Calls calls;
    loom_codec_library library = { file.c_str(), "none", names, &calls, false };
    std::thread opener([&] { EXPECT_EQ(loom_codec_library_open(&library, nullptr), PARLOOM_OK); });
    char byte = 0;
    ASSERT_EQ(read(opened[0], &byte, 1), 1);
    pid_t child = fork();
    if (child == 0) {
        alarm(10); /* ends a child that waits for a thread it does not have */
        unsetenv("LOOM_TEST_GATE");
        _exit(loom_codec_library_open(&library, nullptr) == PARLOOM_OK ? 0 : 1);
    }
    opener.join();
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    for (int fd : { opened[0], opened[1], answered[0], answered[1], gate, gate + 1 }) close(fd);
    unsetenv("LOOM_TEST_GATE");
}

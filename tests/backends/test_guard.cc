/* SPDX-License-Identifier: BSD-3-Clause */
/* The second start of the program: its main never runs, its constructors do no harm, and what goes wrong has a name. */
#include "backends/startup.h"
#include "support/crew.h"

#include <cerrno>
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

using loom::Crew;

namespace
{

/* A library of the program that does in its constructor what a test asks for, in the second start only. */
__attribute__((constructor)) void misbehave()
{
    const char *how = getenv("LOOM_TEST_CONSTRUCTOR");
    if (how == nullptr) return;
    if (strcmp(how, "exit") == 0) _exit(42);
    if (strcmp(how, "crash") == 0) raise(SIGTERM);
    if (strcmp(how, "print") == 0) printf("said by a constructor"); /* stays in the buffer */
    if (strcmp(how, "read") == 0 && getchar() != EOF) _exit(43);
}

class Start : public ::testing::Test
{
  protected:
    void TearDown() override
    {
        loom_supervisor_end();
        unsetenv("LOOM_TEST_CONSTRUCTOR");
    }
};

int spawn_self(const char *variable, const char *preload)
{
    std::string entry = std::string(LOOM_STARTUP_VARIABLE "=") + variable;
    std::string loaded = std::string("LD_PRELOAD=") + preload;
    char *environment[] = { entry.data(), loaded.data(), nullptr };
    std::string name = "guarded", list = "--gtest_list_tests";
    char *arguments[] = { name.data(), list.data(), nullptr };
    pid_t pid = 0;
    int wait_status = -1;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, arguments, environment) == 0)
        waitpid(pid, &wait_status, 0);
    posix_spawn_file_actions_destroy(&actions);
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
}

} // namespace

void loom::run_script(const loom_worker_post *post, Script *)
{
    printf("said by a worker\n");
    ring(post);
}

TEST(Guard, LeavesBeforeMainWhenThePreloadIsNotThere)
{
    char program[LOOM_STARTUP_IDENTITY_BYTES];
    loom_startup_identify_program(program);
    std::string entry = std::string(program) + " " + program + " 0 0 1 /nowhere";
    EXPECT_EQ(spawn_self(entry.c_str(), ""), LOOM_STARTUP_EXIT_GUARD);
    EXPECT_EQ(spawn_self("rubbish", ""), LOOM_STARTUP_EXIT_GUARD);
    /* Linked in although the test names nothing of it. */
    EXPECT_EQ(loom_supervisor_ensure(nullptr), PARLOOM_OK);
    loom_supervisor_end();
}

TEST(Guard, LetsAnotherProgramRunThatInheritedTheVariableByMistake)
{
    EXPECT_EQ(spawn_self("b00 b00 0 0 1 /nowhere", ""), 0);
}

TEST_F(Start, ThatExitsInAConstructorIsNamed)
{
    setenv("LOOM_TEST_CONSTRUCTOR", "exit", 1);
    parloom_error error;
    EXPECT_EQ(loom_supervisor_ensure(&error), PARLOOM_ERR_POOL);
    EXPECT_EQ(error.code, 42);
    EXPECT_NE(strstr(error.message, "exit code 42"), nullptr) << error.message;
    unsetenv("LOOM_TEST_CONSTRUCTOR");
    EXPECT_EQ(loom_supervisor_ensure(&error), PARLOOM_OK) << "the next try may succeed: " << error.message;
}

TEST_F(Start, ThatIsKilledInAConstructorIsNamed)
{
    setenv("LOOM_TEST_CONSTRUCTOR", "crash", 1);
    parloom_error error;
    EXPECT_EQ(loom_supervisor_ensure(&error), PARLOOM_ERR_POOL);
    EXPECT_EQ(error.signal, SIGTERM) << error.message;
}

TEST_F(Start, LeavesNoChildAndNoDescriptorWhenItFails)
{
    setenv("LOOM_TEST_CONSTRUCTOR", "exit", 1);
    ASSERT_NE(loom_supervisor_ensure(nullptr), PARLOOM_OK);
    int before = dup(0);
    close(before);
    for (int i = 0; i < 5; i++) ASSERT_NE(loom_supervisor_ensure(nullptr), PARLOOM_OK);
    int after = dup(0);
    close(after);
    EXPECT_EQ(before, after);
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
}

TEST_F(Start, DoesNotRepeatWhatConstructorsPrint)
{
    int file = memfd_create("output", MFD_CLOEXEC);
    int saved = dup(STDOUT_FILENO);
    fflush(stdout);
    dup2(file, STDOUT_FILENO);
    setenv("LOOM_TEST_CONSTRUCTOR", "print", 1);
    {
        Crew crew;
        if (crew.start(1)) crew.next(LOOM_WORKER_DIED);
    }
    dup2(saved, STDOUT_FILENO);
    char text[64] = "";
    EXPECT_GT(pread(file, text, sizeof text - 1, 0), 0);
    EXPECT_STREQ(text, "said by a worker\n");
    close(saved);
    close(file);
}

TEST_F(Start, DoesNotReadTheInputOfTheProgram)
{
    int pipes[2];
    ASSERT_EQ(pipe2(pipes, O_CLOEXEC), 0);
    ASSERT_EQ(write(pipes[1], "input", 5), 5);
    int saved = dup(STDIN_FILENO);
    dup2(pipes[0], STDIN_FILENO);
    setenv("LOOM_TEST_CONSTRUCTOR", "read", 1);
    parloom_error error;
    EXPECT_EQ(loom_supervisor_ensure(&error), PARLOOM_OK) << error.message;
    char text[8] = "";
    EXPECT_EQ(read(pipes[0], text, sizeof text), 5);
    dup2(saved, STDIN_FILENO);
    for (int fd : { saved, pipes[0], pipes[1] }) close(fd);
}

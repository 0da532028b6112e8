/* SPDX-License-Identifier: BSD-3-Clause */
/* test_dump_private.cc - who may read a dump that replaces a private file, while it is written and afterwards. */
#include "rest/packed.h"

#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A codec that writes what it gets, and looks at the modes of hidden files meanwhile. */
struct Spy {
    std::string folder;
    int seen;    /* hidden files */
    mode_t bits; /* of all of them */
};

static parloom_status spy_open(void *state, int, size_t, void **stream, parloom_error *)
{
    *stream = state;
    return PARLOOM_OK;
}

static parloom_status spy_step(void *stream, parloom_codec_step *step, parloom_error *)
{
    auto *spy = static_cast<Spy *>(stream);
    for (const auto &one : std::filesystem::directory_iterator(spy->folder)) {
        struct stat about;
        if (one.path().filename().string()[0] != '.' || stat(one.path().c_str(), &about) != 0) continue;
        spy->seen++;
        spy->bits |= about.st_mode & 0777U;
    }
    size_t nbytes = std::min(step->in_nbytes, step->out_nbytes);
    memcpy(step->out, step->in, nbytes);
    step->in = static_cast<const char *>(step->in) + nbytes;
    step->out = static_cast<char *>(step->out) + nbytes;
    step->in_nbytes -= nbytes;
    step->out_nbytes -= nbytes;
    step->is_done = step->is_last && step->in_nbytes == 0;
    return PARLOOM_OK;
}

class DumpPrivate : public Packed
{
  protected:
    void SetUp() override
    {
        Packed::SetUp();
        write(path("a.npy"), "old");
    }
    /* In a process of its own, which may change what it is. 77: it could not. */
    template <typename Work> static int run(Work work)
    {
        pid_t child = fork();
        if (child == 0) _exit(work());
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
        return WEXITSTATUS(status);
    }
    double value = 1;
    parloom_array array = parloom_array_wrap(&value, PARLOOM_F64, 0, nullptr);
};

TEST_F(DumpPrivate, NobodyElseReadsTheHiddenFileWhileItIsWritten)
{
    ASSERT_EQ(chmod(path("a.npy").c_str(), 0600), 0);
    int code = run([&] {
        Spy spy = { folder.string(), 0, 0 };
        parloom_codec_ops ops = {};
        ops.struct_size = sizeof ops;
        ops.abi = PARLOOM_CODEC_ABI;
        ops.recognise = [](void *, const void *, size_t) { return false; };
        ops.open = spy_open;
        ops.step = spy_step;
        ops.close = [](void *) {};
        umask(0);
        if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            mount("none", "/proc", "tmpfs", 0, nullptr) != 0)
            return 77;
        if (parloom_codec_register("spy", &ops, &spy, nullptr) != PARLOOM_OK) return 2;
        if (parloom_array_dump(&array, path("a.npy").c_str(), "spy", 0, nullptr) != PARLOOM_OK) return 3;
        return spy.seen > 0 && spy.bits == 0600 ? 0 : 4;
    });
    if (code == 77) GTEST_SKIP() << "a mount namespace needs root";
    EXPECT_EQ(code, 0);
}

TEST_F(DumpPrivate, AnotherGroupGetsNoMoreThanAll)
{
    const uid_t user = 12345;
    if (geteuid() != 0) GTEST_SKIP() << "a file of a group that is not one's own needs root";
    ASSERT_EQ(chown(folder.c_str(), user, user), 0);
    ASSERT_EQ(chown(path("a.npy").c_str(), user, 54321), 0);
    ASSERT_EQ(chmod(path("a.npy").c_str(), 0664), 0);
    EXPECT_EQ(run([&] {
                  if (setgroups(0, nullptr) != 0 || setgid(user) != 0 || setuid(user) != 0) return 2;
                  return parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, nullptr) == PARLOOM_OK ? 0 : 3;
              }),
              0);
    struct stat about;
    ASSERT_EQ(stat(path("a.npy").c_str(), &about), 0);
    EXPECT_EQ(about.st_gid, user);
    EXPECT_EQ(about.st_mode & 0777U, 0644U);
}

TEST_F(DumpPrivate, TheGroupStaysWhereOneIsInIt)
{
    const uid_t user = 12345;
    const gid_t group = 54321;
    if (geteuid() != 0) GTEST_SKIP() << "a file of another owner needs root";
    ASSERT_EQ(chown(folder.c_str(), user, user), 0);
    ASSERT_EQ(chown(path("a.npy").c_str(), 12346, group), 0);
    ASSERT_EQ(chmod(path("a.npy").c_str(), 0660), 0);
    EXPECT_EQ(run([&] {
                  if (setgroups(1, &group) != 0 || setgid(user) != 0 || setuid(user) != 0) return 2;
                  return parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, nullptr) == PARLOOM_OK ? 0 : 3;
              }),
              0);
    struct stat about;
    ASSERT_EQ(stat(path("a.npy").c_str(), &about), 0);
    EXPECT_EQ(about.st_uid, user);
    EXPECT_EQ(about.st_gid, group);
    EXPECT_EQ(about.st_mode & 0777U, 0660U);
}

// SPDX-License-Identifier: BSD-3-Clause
// Some tests mount a small tmpfs in a mount namespace of a child: they need root and are skipped without it.
#include "base/file.h"

#include "base/fault.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

constexpr int SKIPPED = 77;

// The exit code of a child that runs work(): 0 fine, SKIPPED, else a line of this file; -signal when it died.
template <typename Work> int in_child(Work work)
{
    pid_t child = fork();
    if (child == 0) _exit(work());
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

struct File : ::testing::Test {
    int fd = -1;
    void SetUp() override { ASSERT_EQ(loom_file_open_nameless("/tmp", &fd, nullptr), PARLOOM_OK); }
    void TearDown() override { close(fd); }
};

TEST_F(File, HasNoNameAndOnlyItsOwnerMayUseIt)
{
    struct stat info;
    ASSERT_EQ(fstat(fd, &info), 0);
    EXPECT_EQ(info.st_nlink, 0u);
    EXPECT_EQ(info.st_mode & 07777u, 0600u);
    EXPECT_TRUE(S_ISREG(info.st_mode));
}

TEST_F(File, DescriptorIsCloseOnExecAndAboveStandardStreams)
{
    EXPECT_GE(fd, 3);
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

TEST_F(File, WrittenBytesAreRead)
{
    char text[6] = "";
    ASSERT_EQ(loom_file_write_all(fd, "hello", 6, 1000), 0);
    ASSERT_EQ(loom_file_read_all(fd, text, 6, 1000), 0);
    EXPECT_STREQ(text, "hello");
    EXPECT_EQ(loom_file_read_all(fd, text, 6, 1003), ENODATA);
}

TEST_F(File, ReservationExtendsTheFileAndTakesBlocks)
{
    struct stat info;
    ASSERT_EQ(loom_file_reserve(fd, 4096, 1 << 20), 0);
    ASSERT_EQ(fstat(fd, &info), 0);
    EXPECT_EQ(info.st_size, 4096 + (1 << 20));
    EXPECT_GE(info.st_blocks * 512, 1 << 20);
}

TEST_F(File, ReservationKeepsWhatIsThere)
{
    char text[5] = "";
    ASSERT_EQ(loom_file_write_all(fd, "kept", 5, 10), 0);
    ASSERT_EQ(loom_file_reserve(fd, 0, 1 << 20), 0);
    ASSERT_EQ(loom_file_read_all(fd, text, 5, 10), 0);
    EXPECT_STREQ(text, "kept");
}

TEST_F(File, EmptyReservationSucceeds)
{
    EXPECT_EQ(loom_file_reserve(fd, 0, 0), 0);
}

TEST_F(File, ReservationBeyondAllNumbersIsTooBig)
{
    EXPECT_EQ(loom_file_reserve(fd, 1, UINT64_MAX), EFBIG);
    EXPECT_EQ(loom_file_reserve(fd, UINT64_MAX, 1), EFBIG);
    EXPECT_EQ(loom_file_reserve(fd, INT64_MAX, 1), EFBIG);
}

TEST_F(File, SizeLimitIsAnErrorAndNoSignal)
{
    int result = in_child([this] {
        rlimit limit = { 1 << 20, 1 << 20 };
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return __LINE__;
        if (loom_file_reserve(fd, 0, 4 << 20) != EFBIG) return __LINE__;
        if (loom_file_write_all(fd, "x", 1, 1 << 20) != EFBIG) return __LINE__;
        if (loom_file_reserve(fd, 0, 1 << 20) != 0) return __LINE__;
        sigset_t mask;
        sigprocmask(SIG_BLOCK, nullptr, &mask);
        return sigismember(&mask, SIGXFSZ) ? __LINE__ : 0;
    });
    EXPECT_EQ(result, 0);
}

TEST_F(File, SizeSignalThatWaitedBeforeStillWaits)
{
    int result = in_child([this] {
        rlimit limit = { 4096, 4096 };
        sigset_t xfsz, pending;
        sigemptyset(&xfsz);
        sigaddset(&xfsz, SIGXFSZ);
        sigprocmask(SIG_BLOCK, &xfsz, nullptr);
        raise(SIGXFSZ);
        setrlimit(RLIMIT_FSIZE, &limit);
        if (loom_file_reserve(fd, 0, 1 << 20) != EFBIG) return __LINE__;
        sigpending(&pending);
        return sigismember(&pending, SIGXFSZ) ? 0 : __LINE__;
    });
    EXPECT_EQ(result, 0);
}

TEST_F(File, ReadOnlyDescriptionCannotBeMappedForWriting)
{
    ASSERT_EQ(loom_file_reserve(fd, 0, 4096), 0);
    int read_only = loom_file_reopen_read_only(fd);
    ASSERT_GE(read_only, 3);
    EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, read_only, 0), MAP_FAILED);
    EXPECT_EQ(errno, EACCES);
    void *map = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, read_only, 0);
    ASSERT_NE(map, MAP_FAILED);
    EXPECT_NE(mprotect(map, 4096, PROT_READ | PROT_WRITE), 0);
    munmap(map, 4096);
    EXPECT_EQ(fcntl(read_only, F_GETFD), FD_CLOEXEC);
    close(read_only);
}

TEST_F(File, ReadOnlyFileIsNotReopenedForWritingByAnotherUser)
{
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
    int read_only = loom_file_reopen_read_only(fd);
    ASSERT_GE(read_only, 0);
    fchown(fd, 65534, 65534);
    int result = in_child([read_only] {
        if (setgid(65534) != 0 || setuid(65534) != 0) return __LINE__;
        std::string path = "/proc/self/fd/" + std::to_string(read_only);
        return open(path.c_str(), O_RDWR) < 0 && errno == EACCES ? 0 : __LINE__;
    });
    EXPECT_EQ(result, 0);
    close(read_only);
}

TEST(FileErrors, MissingFolderIsNamedWithReasonAndAdvice)
{
    int fd = -7;
    parloom_error error;
    EXPECT_EQ(loom_file_open_nameless("/no/such/folder", &fd, &error), PARLOOM_ERR_IO);
    EXPECT_EQ(fd, -7);
    EXPECT_EQ(error.sys_errno, ENOENT);
    EXPECT_NE(std::strstr(error.message, "\"/no/such/folder\""), nullptr) << error.message;
    EXPECT_NE(std::strstr(error.message, "No such file or directory"), nullptr) << error.message;
    EXPECT_NE(std::strstr(error.message, "temp_folder"), nullptr) << error.message;
}

TEST(FileErrors, FileInPlaceOfAFolderIsRefused)
{
    int fd = -7;
    parloom_error error;
    EXPECT_EQ(loom_file_open_nameless("/etc/passwd", &fd, &error), PARLOOM_ERR_IO);
    EXPECT_EQ(error.sys_errno, ENOTDIR);
}

TEST(FileErrors, FileSystemWithoutNamelessFilesLeavesNoNameEither)
{
    int fd = -1;
    parloom_error error;
    // procfs and sysfs know no O_TMPFILE and let nobody create files: the second way is taken, and its error told.
    EXPECT_EQ(loom_file_open_nameless("/proc", &fd, &error), PARLOOM_ERR_IO);
    EXPECT_NE(std::strstr(error.message, "\"/proc\""), nullptr) << error.message;
}

TEST(FileErrors, FullFileSystemIsAnErrorAndNoSignal)
{
    int result = in_child([] {
        if (unshare(CLONE_NEWNS) != 0) return SKIPPED;
        if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return SKIPPED;
        if (mount("tmpfs", "/mnt", "tmpfs", 0, "size=1m") != 0) return SKIPPED;
        int fd;
        if (loom_file_open_nameless("/mnt", &fd, nullptr) != PARLOOM_OK) return __LINE__ % 70 + 1;
        if (!loom_file_is_tmpfs(fd)) return 2;
        if (loom_file_free_bytes(fd) != 1 << 20) return 3;
        if (loom_file_reserve(fd, 0, 2 << 20) != ENOSPC) return 4;
        std::string block(2 << 20, 'x');
        if (loom_file_write_all(fd, block.data(), block.size(), 0) != ENOSPC) return 5;
        if (ftruncate(fd, 0) != 0) return 6;
        return loom_file_reserve(fd, 0, 1 << 20) == 0 ? 0 : 7;
    });
    if (result == SKIPPED) GTEST_SKIP() << "needs root and mount namespaces";
    EXPECT_EQ(result, 0);
}

TEST(FileErrors, DescriptorsOutIsALimit)
{
    int result = in_child([] {
        rlimit limit = { 3, 3 };
        int fd;
        parloom_error error;
        setrlimit(RLIMIT_NOFILE, &limit);
        if (loom_file_open_nameless("/tmp", &fd, &error) != PARLOOM_ERR_LIMIT) return 1;
        return error.sys_errno == EMFILE ? 0 : 2;
    });
    EXPECT_EQ(result, 0);
}

TEST(FileDescriptors, MoveAboveStandardStreams)
{
    int result = in_child([] {
        close(STDIN_FILENO);
        int fd;
        if (loom_file_open_nameless("/tmp", &fd, nullptr) != PARLOOM_OK) return 1;
        if (fd < 3 || fcntl(fd, F_GETFD) != FD_CLOEXEC) return 2;
        return fcntl(STDIN_FILENO, F_GETFD) == -1 ? 0 : 3;
    });
    EXPECT_EQ(result, 0);
}

TEST(FileDescriptors, FailedOpenPassesThroughMoveUp)
{
    errno = ENOENT;
    EXPECT_EQ(loom_file_move_up(-1), -1);
    EXPECT_EQ(errno, ENOENT);
}

TEST(FileSystem, MemfdIsTmpfsAndDevNullIsNot)
{
    int fd = memfd_create("parloom-test", MFD_CLOEXEC);
    ASSERT_GE(fd, 0);
    EXPECT_TRUE(loom_file_is_tmpfs(fd));
    EXPECT_EQ(loom_file_free_bytes(fd), UINT64_MAX);
    close(fd);
    EXPECT_FALSE(loom_file_is_tmpfs(-1));
}

TEST(FileSystem, TemporaryFolderIsTheFirstThatExists)
{
    int result = in_child([] {
        for (const char *name : { "TMPDIR", "TMP", "TEMP" }) unsetenv(name);
        if (strcmp(loom_file_system_folder(), "/tmp") != 0) return 1;
        setenv("TEMP", "/var/tmp", 1);
        if (strcmp(loom_file_system_folder(), "/var/tmp") != 0) return 2;
        setenv("TMPDIR", "/no/such/folder", 1);
        if (strcmp(loom_file_system_folder(), "/var/tmp") != 0) return 3;
        setenv("TMPDIR", "", 1);
        setenv("TMP", "/dev", 1);
        return strcmp(loom_file_system_folder(), "/dev") == 0 ? 0 : 4;
    });
    EXPECT_EQ(result, 0);
}

TEST(FileSystem, SmallFilesAreReadAsTextAndCut)
{
    char text[64], cut[4];
    EXPECT_GT(loom_file_read_text("/proc/self/comm", text, sizeof text), 0);
    EXPECT_EQ(text[strlen(text) - 1], '\n');
    EXPECT_EQ(loom_file_read_text("/proc/self/status", cut, sizeof cut), 3);
    EXPECT_STREQ(cut, "Nam");
    EXPECT_EQ(loom_file_read_text("/no/such/file", text, sizeof text), -1);
    EXPECT_EQ(errno, ENOENT);
}

TEST_F(File, IsTheSameUntilAnotherTakesItsNumber)
{
    loom_file_identity identity, of_nothing;
    loom_file_identify(fd, &identity);
    EXPECT_TRUE(loom_file_is_still(fd, &identity));
    int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ASSERT_GE(dup2(other, fd), 0);
    EXPECT_FALSE(loom_file_is_still(fd, &identity));
    close(other);
    loom_file_identify(other, &of_nothing);
    EXPECT_FALSE(loom_file_is_still(other, &of_nothing)) << "what is not open is nobody's";
    EXPECT_FALSE(loom_file_is_still(fd, &of_nothing));
}

} // namespace

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * file.c - whole reads and writes, files without a name, reserved space.
 *
 * Promise   a full file system, a quota or RLIMIT_FSIZE is an error number here, never a signal there: space is
 *           reserved before memory maps it, and SIGXFSZ is held back while we ask.
 * Threads   any; the signal mask that is changed and restored is the calling thread's.
 */
#include "base/file.h"

#include "base/fault.h"
#include "base/memory.h"
#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define STEP_NBYTES       (UINT64_C(64) << 20) /* undone whole by a signal, so not the whole file at once */
#define STEP_NBYTES_LEAST (UINT64_C(1) << 20)
#define REWRITE_NBYTES    ((size_t)256 << 10)
enum { LOWEST_FD = 3, NAME_TRIES = 100 };

/* -------------------------------------------------------------- SIGXFSZ held back */

struct held_signal {
    sigset_t mask_before;
    bool was_pending;
};

static void hold_xfsz(struct held_signal *held)
{
    sigset_t xfsz, pending;
    sigemptyset(&xfsz);
    sigaddset(&xfsz, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &xfsz, &held->mask_before);
    sigpending(&pending);
    held->was_pending = sigismember(&pending, SIGXFSZ) == 1;
}

/* Takes back the signal our own call raised, but not one that waited before. */
static void release_xfsz(const struct held_signal *held, int result)
{
    if (result == EFBIG && !held->was_pending) {
        static const struct timespec AT_ONCE = { 0, 0 };
        sigset_t xfsz;
        sigemptyset(&xfsz);
        sigaddset(&xfsz, SIGXFSZ);
        while (sigtimedwait(&xfsz, NULL, &AT_ONCE) < 0 && errno == EINTR) {}
    }
    pthread_sigmask(SIG_SETMASK, &held->mask_before, NULL);
}

/* ---------------------------------------------------------------- read and write */

static int write_whole(int fd, const void *data, size_t nbytes, uint64_t offset)
{
    const char *from = data;
    while (nbytes > 0) {
        if (loom_fault_hit(LOOM_FAULT_WRITE)) return errno;
        ssize_t done = pwrite(fd, from, nbytes, (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return errno;
        if (done == 0) return EIO;
        from += done;
        nbytes -= (size_t)done;
        offset += (uint64_t)done;
    }
    return 0;
}

int loom_file_write_all(int fd, const void *data, size_t nbytes, uint64_t offset)
{
    struct held_signal held;
    hold_xfsz(&held);
    int result = write_whole(fd, data, nbytes, offset);
    release_xfsz(&held, result);
    return result;
}

int loom_file_read_all(int fd, void *data, size_t nbytes, uint64_t offset)
{
    char *into = data;
    while (nbytes > 0) {
        ssize_t done = pread(fd, into, nbytes, (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return errno;
        if (done == 0) return ENODATA;
        into += done;
        nbytes -= (size_t)done;
        offset += (uint64_t)done;
    }
    return 0;
}

ssize_t loom_file_read_text(const char *path, char *text, size_t size)
{
    int fd = loom_file_move_up(open(path, O_RDONLY | O_CLOEXEC));
    if (fd < 0) return -1;
    size_t length = 0;
    ssize_t done = 1;
    while (length + 1 < size && done != 0) {
        done = read(fd, text + length, size - 1 - length);
        if (done < 0 && errno != EINTR) break;
        if (done > 0) length += (size_t)done;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    if (done < 0) return -1;
    text[length] = '\0';
    return (ssize_t)length;
}

/* -------------------------------------------------------------------- descriptors */

int loom_file_move_up(int fd)
{
    if (fd >= LOWEST_FD) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        return fd;
    }
    if (fd < 0) return fd;
    /* A program may run with stdin, stdout or stderr closed: at their numbers our file would be written by printf. */
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_FD);
    int saved = errno;
    close(fd);
    errno = saved;
    return moved;
}

int loom_file_reopen_read_only(int fd)
{
    char path[32];
    if (loom_fault_hit(LOOM_FAULT_OPEN) || fchmod(fd, S_IRUSR) != 0) return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return loom_file_move_up(open(path, O_RDONLY | O_CLOEXEC));
}

/* ------------------------------------------------------------ files without a name */

/* For file systems without O_TMPFILE: a name nobody can guess, gone before the first byte is written. */
static int open_and_unlink(const char *folder)
{
    int fd = -1;
    int folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0) return -1;
    for (int i = 0; i < NAME_TRIES && fd < 0; i++) {
        uint64_t number;
        char name[40];
        if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) break;
        snprintf(name, sizeof name, ".parloom-%016llx", (unsigned long long)number);
        fd = openat(folder_fd, name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
        if (fd >= 0) unlinkat(folder_fd, name, 0);
        if (fd < 0 && errno != EEXIST && errno != EINTR) break;
    }
    int saved = errno;
    close(folder_fd);
    errno = saved;
    return fd;
}

static int open_unnamed(const char *folder)
{
    if (loom_fault_hit(LOOM_FAULT_OPEN)) return -1;
    /* O_EXCL: the file cannot be given a name later either. */
    int fd = open(folder, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) fd = open_and_unlink(folder);
    return loom_file_move_up(fd);
}

parloom_status loom_file_open_nameless(const char *folder, int *fd_out, parloom_error *error)
{
    int fd = open_unnamed(folder);
    if (fd < 0)
        return loom_status_fail(error, loom_status_of_errno(errno), errno,
                                "could not make a temporary file in \"%.400s\": %m (set temp_folder or "
                                "PARLOOM_TEMP_FOLDER to a folder that exists, is writable and has room)",
                                folder);
    fchmod(fd, S_IRUSR | S_IWUSR); /* a strict umask would take the owner's own bits */
    *fd_out = fd;
    return PARLOOM_OK;
}

const char *loom_file_system_folder(void)
{
    static const char *const NAMES[] = { "TMPDIR", "TMP", "TEMP" };
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        const char *folder = secure_getenv(NAMES[i]);
        struct stat info;
        if (folder && stat(folder, &info) == 0 && S_ISDIR(info.st_mode)) return folder;
    }
    return "/tmp";
}

/* ---------------------------------------------------------------------------- space */

/* Where the file system cannot reserve: what is there is written again, zeros where nothing is. */
static int rewrite(int fd, uint64_t offset, uint64_t nbytes)
{
    char *block = loom_memory_zeroed(1, REWRITE_NBYTES);
    int result = block ? 0 : ENOMEM;
    while (result == 0 && nbytes > 0) {
        size_t part = nbytes < REWRITE_NBYTES ? (size_t)nbytes : REWRITE_NBYTES;
        memset(block, 0, part);
        result = loom_file_read_all(fd, block, part, offset);
        if (result == ENODATA) result = 0; /* beyond the end: the zeros stay */
        if (result == 0) result = write_whole(fd, block, part, offset);
        offset += part;
        nbytes -= part;
    }
    free(block);
    return result;
}

static int reserve_in_steps(int fd, uint64_t offset, uint64_t nbytes)
{
    uint64_t step = STEP_NBYTES;
    while (nbytes > 0) {
        uint64_t part = nbytes < step ? nbytes : step;
        int failed = loom_fault_hit(LOOM_FAULT_FALLOCATE) ? -1 : fallocate(fd, 0, (off_t)offset, (off_t)part);
        if (failed && errno == EOPNOTSUPP) return rewrite(fd, offset, nbytes);
        if (failed && errno != EINTR) return errno;
        if (failed) {
            /* tmpfs gives back what it took: under a profiling timer only smaller steps ever get through. */
            step = step / 2 < STEP_NBYTES_LEAST ? STEP_NBYTES_LEAST : step / 2;
            continue;
        }
        offset += part;
        nbytes -= part;
    }
    return 0;
}

int loom_file_reserve(int fd, uint64_t offset, uint64_t nbytes)
{
    if (offset > INT64_MAX || nbytes > INT64_MAX - offset) return EFBIG;
    struct held_signal held;
    hold_xfsz(&held);
    int result = reserve_in_steps(fd, offset, nbytes);
    release_xfsz(&held, result);
    return result;
}

bool loom_file_is_tmpfs(int fd)
{
    struct statfs info;
    return fstatfs(fd, &info) == 0 && (unsigned long)info.f_type == TMPFS_MAGIC;
}

uint64_t loom_file_free_bytes(int fd)
{
    struct statvfs info;
    uint64_t nbytes;
    if (fstatvfs(fd, &info) != 0 || info.f_blocks == 0) return UINT64_MAX; /* tmpfs without a size says 0 blocks */
    return __builtin_mul_overflow((uint64_t)info.f_bavail, (uint64_t)info.f_frsize, &nbytes) ? UINT64_MAX : nbytes;
}

void loom_file_identify(int fd, struct loom_file_identity *identity_out)
{
    struct stat file;
    *identity_out = (struct loom_file_identity){ 0, 0, 0 };
    if (fstat(fd, &file) == 0) *identity_out = (struct loom_file_identity){ file.st_dev, file.st_ino, file.st_mode };
}

bool loom_file_is_still(int fd, const struct loom_file_identity *identity)
{
    struct stat file;
    return fstat(fd, &file) == 0 && file.st_dev == identity->device && file.st_ino == identity->inode &&
           file.st_mode == identity->mode;
}

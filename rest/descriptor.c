/* SPDX-License-Identifier: BSD-3-Clause */
/* descriptor.c - read and write a descriptor from its position on. */
#include "rest/descriptor.h"

#include "base/fault.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PIECE_NBYTES = 64 << 20 /* one call's: a large one cannot be interrupted */ };

static void take_back(int raised)
{
    const struct timespec now = { 0, 0 };
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, raised);
    while (sigtimedwait(&ours, NULL, &now) < 0 && errno == EINTR) continue;
}

/* A SIGPIPE or SIGXFSZ (beyond the limit of file sizes) that this write raises is taken back, unless one was waiting
 * before. */
static ssize_t write_quietly(int fd, const void *data, size_t nbytes)
{
    sigset_t held, before, pending;
    sigemptyset(&held);
    sigaddset(&held, SIGPIPE);
    sigaddset(&held, SIGXFSZ);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &held, &before);
    ssize_t written = write(fd, data, nbytes);
    int failed = errno;
    int raised = written >= 0 ? 0 : failed == EPIPE ? SIGPIPE : failed == EFBIG ? SIGXFSZ : 0;
    if (raised != 0 && !sigismember(&pending, raised)) take_back(raised);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = failed;
    return written;
}

static ssize_t write_some(int fd, const void *data, size_t nbytes)
{
    if (loom_fault_hit(LOOM_FAULT_WRITE)) return -1;
    ssize_t written = send(fd, data, nbytes, MSG_NOSIGNAL);
    return written < 0 && errno == ENOTSOCK ? write_quietly(fd, data, nbytes) : written;
}

/* 0: try again; else the errno. */
static int wait_for(int fd, short events, int failed)
{
    struct pollfd wanted = { .fd = fd, .events = events };
    if (failed == EAGAIN) (void)poll(&wanted, 1, -1);
    return failed == EINTR || failed == EAGAIN ? 0 : failed;
}

int loom_descriptor_write(int fd, const void *data, size_t nbytes)
{
    const char *at = data;
    while (nbytes > 0) {
        ssize_t written = write_some(fd, at, nbytes < PIECE_NBYTES ? nbytes : PIECE_NBYTES);
        int failed = written < 0 ? wait_for(fd, POLLOUT, errno) : 0;
        if (failed != 0) return failed;
        at += written > 0 ? written : 0;
        nbytes -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

int loom_descriptor_read_some(int fd, void *data, size_t nbytes, size_t *got_out)
{
    for (;;) {
        ssize_t got = read(fd, data, nbytes < PIECE_NBYTES ? nbytes : PIECE_NBYTES);
        if (got >= 0) {
            *got_out = (size_t)got;
            return 0;
        }
        int failed = wait_for(fd, POLLIN, errno);
        if (failed != 0) return failed;
    }
}

uint64_t loom_descriptor_left(int fd)
{
    struct stat file;
    off_t position = lseek(fd, 0, SEEK_CUR);
    if (position < 0 || fstat(fd, &file) != 0 || !S_ISREG(file.st_mode)) return UINT64_MAX;
    return file.st_size > position ? (uint64_t)(file.st_size - position) : 0;
}

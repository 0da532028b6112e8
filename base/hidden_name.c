/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hidden_name.c - the name that a new file has on its way to its own, and what a dead writer left under it.
 *
 * Why it is safe   Only who holds the lock of a file removes its name, and looks first whether the name still is that
 *                  file's. A writer that finds its own file locked was taken for dead in the instant between making
 *                  the file and locking it: it takes another name.
 */
#include "base/hidden_name.h"

#include "base/fnv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KNOWN_NAMES = 8 }; /* more writers than that between linking and renaming one name are not expected */

bool loom_hidden_name_make(char hidden_out[LOOM_HIDDEN_NAME_NBYTES], const char *name, unsigned k)
{
    uint64_t number = loom_fnv(name, strlen(name)); /* two names with one digest only share the k */
    if (k >= KNOWN_NAMES && getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) return false;
    snprintf(hidden_out, LOOM_HIDDEN_NAME_NBYTES, ".parloom-%016llx-%u.tmp", (unsigned long long)number, k);
    return true;
}

bool loom_hidden_name_hold(int fd)
{
    struct stat about;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) return errno != EWOULDBLOCK;
    return fstat(fd, &about) != 0 || about.st_nlink > 0;
}

/* A regular file of this user whose writer is dead, which has that name still. */
static bool is_left(int folder_fd, const char *hidden, int fd)
{
    struct stat about, named;
    return fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_uid == geteuid() &&
           flock(fd, LOCK_EX | LOCK_NB) == 0 && fstatat(folder_fd, hidden, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           named.st_dev == about.st_dev && named.st_ino == about.st_ino;
}

void loom_hidden_name_sweep(int folder_fd, const char *name)
{
    char hidden[LOOM_HIDDEN_NAME_NBYTES];
    int saved = errno;
    for (unsigned k = 0; k < KNOWN_NAMES; k++) {
        loom_hidden_name_make(hidden, name, k);
        int fd = openat(folder_fd, hidden, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT) break;
        if (fd < 0) continue;
        if (is_left(folder_fd, hidden, fd)) unlinkat(folder_fd, hidden, 0);
        close(fd);
    }
    errno = saved;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * named_make.c - a file of /dev/shm that gets its name when it is whole, and locked.
 *
 * Why this way  shm_open would show an empty file first, then one that grows: who opens it then sees half an array, and
 *               who dies then leaves it. A file of O_TMPFILE is seen by nobody and goes with its maker; linkat gives it
 *               a name that is free in one step, and refuses one that is taken. The lock of the owner is held before
 *               that, so there is no moment at which an array is there and looks as if it had no owner.
 * Elsewhere     file systems without O_TMPFILE, and systems without /proc, over which such a file gets its name: the
 *               file is made under a hidden random name, which parloom_clean_named knows, and linked in the same way.
 *               A cleaner may take the hidden name before it is locked: then another one is tried.
 *
 * Threads    any; one at a time for one making.
 */
#include "base/fault.h"
#include "base/file.h"
#include "base/memory_policy.h"
#include "base/room.h"
#include "base/status.h"
#include "shm/fill.h"
#include "shm/named.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define HIDDEN_PREFIX ".parloom-"
#define HIDDEN_ENDING ".named"
enum { HIDDEN_DIGITS = 16, NAME_TRIES = 100 };

static parloom_status fail_errno(const struct loom_named_making *making, int sys_errno, const char *what,
                                 parloom_error *error)
{
    return loom_status_fail(error, loom_status_of_errno(sys_errno), sys_errno,
                            "could not %s the named array \"%.255s\": %m", what, making->name);
}

/* ------------------------------------------------------------------ hidden names */

bool loom_named_is_hidden(const char *name)
{
    const size_t prefix = sizeof HIDDEN_PREFIX - 1;
    return strncmp(name, HIDDEN_PREFIX, prefix) == 0 && strspn(name + prefix, "0123456789abcdef") == HIDDEN_DIGITS &&
           strcmp(name + prefix + HIDDEN_DIGITS, HIDDEN_ENDING) == 0;
}

/* false, and errno: no random number. */
static bool choose_hidden(char hidden[LOOM_NAMED_HIDDEN_NBYTES])
{
    uint64_t number = 0;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) return false;
    (void)snprintf(hidden, LOOM_NAMED_HIDDEN_NBYTES, HIDDEN_PREFIX "%016llx" HIDDEN_ENDING, (unsigned long long)number);
    return true;
}

static void drop_hidden(struct loom_named_making *making)
{
    int saved = errno;
    if (making->hidden[0] != '\0') (void)unlinkat(making->folder_fd, making->hidden, 0);
    making->hidden[0] = '\0';
    errno = saved;
}

/* ------------------------------------------------------------------- open and lock */

/* -1 and errno. EAGAIN: a cleaner has taken the file, or was about to. */
static int open_hidden(struct loom_named_making *making)
{
    struct stat about;
    if (!choose_hidden(making->hidden)) return -1;
    int fd = loom_file_move_up(openat(making->folder_fd, making->hidden,
                                      O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
    if (fd < 0) {
        if (errno != EEXIST) making->hidden[0] = '\0';
        return -1;
    }
    int failed = loom_named_lock(fd, LOOM_NAMED_OWNER);
    if (failed == 0 && (fstat(fd, &about) != 0 || about.st_nlink == 0)) failed = EAGAIN;
    if (failed == 0) return fd;
    drop_hidden(making);
    close(fd);
    errno = failed;
    return -1;
}

static int open_under_hidden_name(struct loom_named_making *making)
{
    int fd = -1;
    for (int k = 0; k < NAME_TRIES && fd < 0; k++) {
        fd = open_hidden(making);
        if (fd < 0 && errno != EEXIST && errno != EAGAIN && errno != EINTR) break;
    }
    if (fd < 0) making->hidden[0] = '\0'; /* of EEXIST: somebody else's */
    return fd;
}

static int open_without_name(const struct loom_named_making *making)
{
    if (loom_fault_hit(LOOM_FAULT_OPEN)) return -1;
    if (access("/proc/self/fd", X_OK) != 0) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return loom_file_move_up(openat(making->folder_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR));
}

static parloom_status open_file(struct loom_named_making *making, parloom_error *error)
{
    int failed = 0;
    making->owner_fd = open_without_name(making);
    if (making->owner_fd >= 0)
        failed = loom_named_lock(making->owner_fd, LOOM_NAMED_OWNER);
    else if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)
        making->owner_fd = open_under_hidden_name(making);
    if (failed != 0) return loom_named_refuse_lock(making->name, failed, error);
    if (making->owner_fd < 0) return fail_errno(making, errno, "make a file for", error);
    /* A strict umask would take the owner's own bits. */
    return fchmod(making->owner_fd, S_IRUSR | S_IWUSR) == 0 ? PARLOOM_OK : fail_errno(making, errno, "protect", error);
}

static parloom_status open_again(struct loom_named_making *making, parloom_error *error)
{
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", making->owner_fd);
    int fd = making->hidden[0] == '\0' ? open(path, O_RDWR | O_CLOEXEC)
                                       : openat(making->folder_fd, making->hidden, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    making->map_fd = loom_file_move_up(fd);
    return making->map_fd >= 0 ? PARLOOM_OK : fail_errno(making, errno, "open", error);
}

/* --------------------------------------------------------------------------- fill */

static parloom_status refuse_room(const struct loom_named_making *making, uint64_t nbytes, const char *reason,
                                  parloom_error *error)
{
    return loom_status_fail(error, PARLOOM_ERR_SPACE, ENOSPC,
                            "no room for %llu bytes of the named array \"%.255s\" in " LOOM_NAMED_FOLDER
                            ": %s (parloom_clean_named removes leftovers; in containers see --shm-size)",
                            (unsigned long long)nbytes, making->name, reason);
}

static parloom_status fill(const struct loom_named_making *making, const struct loom_named_shared *header,
                           parloom_error *error)
{
    char reason[LOOM_ROOM_REASON_NBYTES] = "";
    struct rlimit limit;
    uint64_t nbytes = header->file_nbytes;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && nbytes > limit.rlim_cur)
        return loom_status_fail(error, PARLOOM_ERR_LIMIT, EFBIG,
                                "the named array \"%.255s\" would have %llu bytes, but files may have %llu only "
                                "(ulimit -f)",
                                making->name, (unsigned long long)nbytes, (unsigned long long)limit.rlim_cur);
    if (!loom_room_fits(making->owner_fd, nbytes, reason)) return refuse_room(making, nbytes, reason, error);
    const struct loom_fill zeros = { .fd = making->owner_fd, .nbytes = nbytes, .is_in_memory = true };
    int failed = loom_fill_file(&zeros, loom_memory_policy_around());
    if (failed == ENOSPC) return refuse_room(making, nbytes, "it is full", error);
    if (failed == EBUSY) return refuse_room(making, nbytes, "the memory limit of the control group is reached", error);
    if (failed == 0) failed = loom_file_write_all(making->owner_fd, header, sizeof *header, 0);
    return failed == 0 ? PARLOOM_OK : fail_errno(making, failed, "reserve the space of", error);
}

/* ---------------------------------------------------------------- begin, publish */

/* Who has the name: for people, and for who decides whether to clean. */
static parloom_status refuse_taken(const struct loom_named_making *making, parloom_error *error)
{
    struct loom_named_shared header;
    uint64_t nbytes = 0;
    int fd = -1;
    const char *by = "by something that is no named array of this user's: choose another name";
    if (loom_named_open(making->folder_fd, making->name, O_RDONLY, &fd, &nbytes, NULL) == PARLOOM_OK) {
        if (loom_named_read(fd, nbytes, making->name, &header, NULL) == PARLOOM_OK)
            by =
                loom_named_is_locked(fd, LOOM_NAMED_OWNER)
                    ? "by a named array whose owner lives: parloom_array_open_named opens it"
                    : "by a named array without an owner: parloom_clean_named or parloom_array_unlink_named removes it";
        close(fd);
    }
    return loom_status_fail(error, PARLOOM_ERR_IO, EEXIST, "the name \"%.255s\" is taken in " LOOM_NAMED_FOLDER " %s",
                            making->name, by);
}

parloom_status loom_named_begin(struct loom_named_making *making, const char *name,
                                const struct loom_named_shared *header, parloom_error *error)
{
    struct stat about;
    *making = (struct loom_named_making){ .folder_fd = -1, .owner_fd = -1, .map_fd = -1, .name = name };
    parloom_status status = loom_named_open_folder(&making->folder_fd, error);
    if (status != PARLOOM_OK) return status;
    /* The link tells in the end; looking first spares who comes too late the memory. */
    if (fstatat(making->folder_fd, name, &about, AT_SYMLINK_NOFOLLOW) == 0) status = refuse_taken(making, error);
    if (status == PARLOOM_OK) status = open_file(making, error);
    if (status == PARLOOM_OK) status = open_again(making, error);
    if (status == PARLOOM_OK) status = fill(making, header, error);
    if (status != PARLOOM_OK) loom_named_end(making);
    return status;
}

static int link_file(const struct loom_named_making *making)
{
    char path[32];
    if (making->hidden[0] != '\0') return linkat(making->folder_fd, making->hidden, making->folder_fd, making->name, 0);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", making->owner_fd);
    return linkat(AT_FDCWD, path, making->folder_fd, making->name, AT_SYMLINK_FOLLOW);
}

parloom_status loom_named_publish(struct loom_named_making *making, parloom_error *error)
{
    if (link_file(making) != 0)
        return errno == EEXIST ? refuse_taken(making, error) : fail_errno(making, errno, "give its name to", error);
    drop_hidden(making);
    return PARLOOM_OK;
}

void loom_named_end(struct loom_named_making *making)
{
    drop_hidden(making);
    if (making->map_fd >= 0) close(making->map_fd);
    if (making->owner_fd >= 0) close(making->owner_fd);
    if (making->folder_fd >= 0) close(making->folder_fd);
    making->map_fd = making->owner_fd = making->folder_fd = -1;
}

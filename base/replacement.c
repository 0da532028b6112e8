/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * replacement.c - write a file that appears whole or not at all.
 *
 * Why this way  O_TMPFILE and linkat leave nothing behind when the program dies, but linkat cannot take a name that is
 *               in use: then the file gets a random hidden name for the instant until rename moves it over the old one.
 *               All names are looked up in one folder descriptor, so a folder that is moved meanwhile changes nothing.
 */
#include "base/replacement.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/hidden_name.h"
#include "base/memory.h"
#include "base/room.h"
#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct loom_replacement {
    char *path;       /* as given, for messages */
    char *folder;     /* of the target, links followed */
    const char *name; /* of the target in that folder */
    int folder_fd;
    int fd;
    bool is_durable;
    bool has_old; /* a regular file has the name now */
    struct stat old;
    char hidden[LOOM_HIDDEN_NAME_NBYTES]; /* name the new file has now; "": none */
};

static parloom_status fail_errno(const struct loom_replacement *r, int sys_errno, const char *what,
                                 parloom_error *error)
{
    return loom_status_fail(error, loom_status_of_errno(sys_errno), sys_errno, "could not %s %.400s: %m", what,
                            r->path);
}

/* ------------------------------------------------------------------------- names */

/* Where the file will be: a link is followed, so that what it points to is replaced and not the link. */
static char *follow_link(const char *path)
{
    struct stat about;
    if (lstat(path, &about) == 0 && S_ISLNK(about.st_mode)) return realpath(path, NULL);
    return loom_memory_text(path);
}

static parloom_status split_path(struct loom_replacement *r, parloom_error *error)
{
    char *target = follow_link(r->path);
    if (target == NULL) return fail_errno(r, errno, "follow", error);
    char *slash = strrchr(target, '/');
    const char *name = slash != NULL ? slash + 1 : target;
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        free(target);
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "\"%.400s\" is no name for a file", r->path);
    }
    r->folder = target;
    r->name = name;
    r->folder_fd = AT_FDCWD;
    if (slash != NULL) *slash = '\0';
    const char *folder = slash == NULL ? "." : slash == target ? "/" : target;
    r->folder_fd = loom_file_move_up(open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC));
    return r->folder_fd >= 0 ? PARLOOM_OK : fail_errno(r, errno, "open the folder of", error);
}

/* ------------------------------------------------------------------------- begin */

static parloom_status look_at_old(struct loom_replacement *r, parloom_error *error)
{
    if (fstatat(r->folder_fd, r->name, &r->old, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? PARLOOM_OK : fail_errno(r, errno, "look at", error);
    if (!S_ISREG(r->old.st_mode))
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "%.400s is a folder, device, pipe or socket: give the path of a file", r->path);
    /* Replacing asks for permission on the folder only: a file made read-only is meant to stay as it is. */
    if (faccessat(r->folder_fd, r->name, W_OK, AT_EACCESS) != 0) return fail_errno(r, errno, "write", error);
    r->has_old = true;
    return PARLOOM_OK;
}

/* Until it has the mode of the old file, it is its writer's alone: what was private is not to be read under another
 * name while it is written. */
static mode_t first_mode(const struct loom_replacement *r)
{
    return r->has_old ? S_IRUSR | S_IWUSR : 0666;
}

static int open_hidden(struct loom_replacement *r)
{
    for (unsigned k = 0; k < LOOM_HIDDEN_NAME_TRIES && loom_hidden_name_make(r->hidden, r->name, k); k++) {
        int fd = openat(r->folder_fd, r->hidden, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, first_mode(r));
        if (fd >= 0 && loom_hidden_name_hold(fd)) return fd;
        if (fd >= 0)
            close(fd);
        else if (errno != EEXIST && errno != EINTR)
            break;
    }
    r->hidden[0] = '\0';
    return -1;
}

/* A file that has no name yet: its writer is known to live before anybody can see it. */
static int open_nameless(const struct loom_replacement *r)
{
    int fd = openat(r->folder_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, first_mode(r));
    if (fd >= 0) flock(fd, LOCK_EX | LOCK_NB);
    return fd;
}

static parloom_status open_new(struct loom_replacement *r, parloom_error *error)
{
    int fd = -1;
    if (loom_fault_hit(LOOM_FAULT_OPEN)) return fail_errno(r, errno, "make a file for", error);
    /* A file without a name gets one through /proc. */
    bool has_proc = access("/proc/self/fd", X_OK) == 0;
    if (has_proc) fd = open_nameless(r);
    bool is_unknown = !has_proc || errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL;
    if (fd < 0 && is_unknown) fd = open_hidden(r);
    r->fd = loom_file_move_up(fd);
    if (r->fd >= 0) return PARLOOM_OK;
    return loom_status_fail(error, loom_status_of_errno(errno), errno,
                            "could not make a file for %.400s: %m (its folder must be writable: the file is written "
                            "aside and then put in its place)",
                            r->path);
}

/* Says that a file is too long before its first byte is written. On file systems that keep data in memory, reserving
 * would clear every page that is then written once more: looking at what is left has to do. */
static parloom_status check_room(const struct loom_replacement *r, uint64_t nbytes, parloom_error *error)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && nbytes > limit.rlim_cur)
        return loom_status_fail(error, PARLOOM_ERR_LIMIT, EFBIG,
                                "%.400s would have %llu bytes, but files may have %llu only (ulimit -f)", r->path,
                                (unsigned long long)nbytes, (unsigned long long)limit.rlim_cur);
    char reason[LOOM_ROOM_REASON_NBYTES];
    if (!loom_room_fits(r->fd, nbytes, reason))
        return loom_status_fail(error, PARLOOM_ERR_SPACE, ENOSPC, "no room for %llu bytes of %.400s: %s%s",
                                (unsigned long long)nbytes, r->path, reason,
                                r->has_old ? " (what has that name now stays until the new file is whole)" : "");
    if (loom_file_is_tmpfs(r->fd) || nbytes == 0) return PARLOOM_OK;
    if (nbytes > INT64_MAX) return fail_errno(r, EFBIG, "make room for", error);
    bool is_made =
        !loom_fault_hit(LOOM_FAULT_FALLOCATE) && fallocate(r->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)nbytes) == 0;
    int failed = is_made ? 0 : errno;
    /* Anything else only means that it cannot be known beforehand: writing will tell. */
    bool is_full = failed == ENOSPC || failed == EDQUOT || failed == EFBIG;
    return is_full ? fail_errno(r, failed, "make room for", error) : PARLOOM_OK;
}

parloom_status loom_replacement_begin(struct loom_replacement **replacement_out, const char *path, uint64_t nbytes,
                                      parloom_error *error)
{
    struct loom_replacement *r = loom_memory_zeroed(1, sizeof *r);
    if (r != NULL) {
        r->fd = -1;
        r->folder_fd = -1;
        r->path = loom_memory_text(path);
    }
    if (r == NULL || r->path == NULL) {
        loom_replacement_abort(r);
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short while writing %.400s", path);
    }
    parloom_status status = split_path(r, error);
    if (status == PARLOOM_OK) status = look_at_old(r, error);
    if (status == PARLOOM_OK) loom_hidden_name_sweep(r->folder_fd, r->name);
    if (status == PARLOOM_OK) status = open_new(r, error);
    if (status == PARLOOM_OK) status = check_room(r, nbytes, error);
    if (status != PARLOOM_OK)
        loom_replacement_abort(r);
    else
        *replacement_out = r;
    return status;
}

int loom_replacement_fd(const struct loom_replacement *replacement)
{
    return replacement->fd;
}

void loom_replacement_make_durable(struct loom_replacement *replacement)
{
    replacement->is_durable = true;
}

/* ------------------------------------------------------------------------ commit */

static int link_as(const struct loom_replacement *r, const char *name)
{
    char source[32];
    snprintf(source, sizeof source, "/proc/self/fd/%d", r->fd);
    return linkat(AT_FDCWD, source, r->folder_fd, name, AT_SYMLINK_FOLLOW);
}

static int link_hidden(struct loom_replacement *r)
{
    for (unsigned k = 0; k < LOOM_HIDDEN_NAME_TRIES && loom_hidden_name_make(r->hidden, r->name, k); k++) {
        if (link_as(r, r->hidden) == 0) return 0;
        if (errno != EEXIST) break;
    }
    r->hidden[0] = '\0';
    return -1;
}

/* One step from the old file, or none, to the new one. */
static int put_in_place(struct loom_replacement *r)
{
    if (r->hidden[0] == '\0') {
        if (!r->has_old && link_as(r, r->name) == 0) return 0;
        if (!r->has_old && errno != EEXIST) return -1;
        if (link_hidden(r) != 0) return -1;
    }
    if (renameat(r->folder_fd, r->hidden, r->folder_fd, r->name) != 0) return -1;
    r->hidden[0] = '\0';
    return 0;
}

static parloom_status take_mode_of_old(const struct loom_replacement *r, parloom_error *error)
{
    if (!r->has_old) return PARLOOM_OK;
    /* Only root may give a file away; for all others it is their own already, or stays so. The owner goes first:
     * changing it takes away set-id bits. Where the group cannot be kept, another one gets what all have. */
    bool is_foreign = fchown(r->fd, r->old.st_uid, r->old.st_gid) != 0;
    bool has_group = !is_foreign || fchown(r->fd, (uid_t)-1, r->old.st_gid) == 0;
    mode_t mode = r->old.st_mode & (is_foreign ? 0777U : 07777U);
    if (!has_group) mode &= 0707U | (mode & S_IRWXO) << 3;
    return fchmod(r->fd, mode) == 0 ? PARLOOM_OK : fail_errno(r, errno, "set the mode of", error);
}

static bool force_to_disk(int fd)
{
    int result = -1;
    if (loom_fault_hit(LOOM_FAULT_SYNC)) return false;
    do result = fsync(fd);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

/* folder_fd cannot be forced: it is open for looking up names only. */
static parloom_status force_name_to_disk(const struct loom_replacement *r, parloom_error *error)
{
    int fd = loom_file_move_up(openat(r->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    bool is_forced = fd >= 0 && force_to_disk(fd);
    int failed = errno;
    if (fd >= 0) close(fd);
    /* Some file systems of other machines have no such thing for folders. */
    if (is_forced || failed == EINVAL || failed == EBADF) return PARLOOM_OK;
    return fail_errno(r, failed, "force to the disk the folder of", error);
}

parloom_status loom_replacement_commit(struct loom_replacement *replacement, parloom_error *error)
{
    struct loom_replacement *r = replacement;
    parloom_status status = take_mode_of_old(r, error);
    if (status == PARLOOM_OK && r->is_durable && !force_to_disk(r->fd))
        status = fail_errno(r, errno, "force to the disk", error);
    if (status == PARLOOM_OK && put_in_place(r) != 0) status = fail_errno(r, errno, "put in place", error);
    if (status == PARLOOM_OK && r->is_durable) status = force_name_to_disk(r, error);
    loom_replacement_abort(r);
    return status;
}

void loom_replacement_abort(struct loom_replacement *replacement)
{
    struct loom_replacement *r = replacement;
    if (r == NULL) return;
    int saved = errno;
    if (r->hidden[0] != '\0') unlinkat(r->folder_fd, r->hidden, 0);
    if (r->fd >= 0) close(r->fd);
    if (r->folder_fd >= 0) close(r->folder_fd);
    free(r->folder);
    free(r->path);
    free(r);
    errno = saved;
}

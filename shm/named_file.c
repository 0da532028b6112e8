/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * named_file.c - the folder of named arrays, their names, opening what has one, and locks.
 *
 * Anybody may put files into this folder: what has a name is opened without following links and without waiting for
 * pipes, and has to be a regular file of this user's, so that nobody else decides what a program computes with.
 *
 * Threads    any.
 */
#include "base/fault.h"
#include "base/file.h"
#include "base/status.h"
#include "shm/named.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* -------------------------------------------------------------------------- names */

parloom_status loom_named_check_name(const char *name, parloom_error *error)
{
    if (name == NULL || name[0] == '\0')
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no name given for a named array: give 1 to %d bytes",
                                NAME_MAX);
    if (strchr(name, '/') != NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "the name \"%.255s\" of an array holds a \"/\": it is one file in " LOOM_NAMED_FOLDER
                                ", give it without folders",
                                name);
    if (name[0] == '.')
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "the name \"%.255s\" of an array begins with \".\": such names are kept for files that "
                                "are being made",
                                name);
    if (strlen(name) > NAME_MAX)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "the name \"%.32s...\" of an array has %zu bytes: %d fit", name, strlen(name),
                                NAME_MAX);
    return PARLOOM_OK;
}

/* --------------------------------------------------------------------------- open */

parloom_status loom_named_open_folder(int *folder_fd_out, parloom_error *error)
{
    int fd = loom_file_move_up(open(LOOM_NAMED_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, errno,
                                "there is no folder " LOOM_NAMED_FOLDER ", where named arrays lie: %m (mount a tmpfs "
                                "there, or use parloom_array_map with a file)");
    if (fd < 0)
        return loom_status_fail(error, loom_status_of_errno(errno), errno,
                                "could not open " LOOM_NAMED_FOLDER ", where named arrays lie: %m");
    *folder_fd_out = fd;
    return PARLOOM_OK;
}

static parloom_status refuse_kind(const char *name, parloom_error *error)
{
    return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0,
                            "\"%.255s\" in " LOOM_NAMED_FOLDER " is no named array, but a folder, link, pipe or device",
                            name);
}

static parloom_status refuse_open(const char *name, int failed, parloom_error *error)
{
    if (failed == ENOENT)
        return loom_status_fail(error, PARLOOM_ERR_IO, failed,
                                "there is no named array \"%.255s\" in " LOOM_NAMED_FOLDER
                                ": it was not created yet, or its name was taken away",
                                name);
    if (failed == ELOOP || failed == EISDIR || failed == ENXIO || failed == ENODEV) return refuse_kind(name, error);
    return loom_status_fail(error, loom_status_of_errno(failed), failed,
                            "could not open the named array \"%.255s\": %m", name);
}

static parloom_status check_file(const struct stat *about, const char *name, parloom_error *error)
{
    if (!S_ISREG(about->st_mode)) return refuse_kind(name, error);
    if (about->st_uid != geteuid())
        return loom_status_fail(error, PARLOOM_ERR_IO, EPERM,
                                "\"%.255s\" in " LOOM_NAMED_FOLDER " belongs to user %u: named arrays are shared among "
                                "programs of one user",
                                name, (unsigned)about->st_uid);
    return PARLOOM_OK;
}

parloom_status loom_named_open(int folder_fd, const char *name, int access, int *fd_out, uint64_t *nbytes_out,
                               parloom_error *error)
{
    struct stat about;
    const int careful = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    /* Looked at before it is opened: opening a device of somebody's might do something. */
    if (fstatat(folder_fd, name, &about, AT_SYMLINK_NOFOLLOW) != 0) return refuse_open(name, errno, error);
    parloom_status status = check_file(&about, name, error);
    if (status != PARLOOM_OK) return status;
    int fd = loom_fault_hit(LOOM_FAULT_OPEN) ? -1 : loom_file_move_up(openat(folder_fd, name, access | careful));
    if (fd < 0) return refuse_open(name, errno, error);
    if (fstat(fd, &about) != 0)
        status = refuse_open(name, errno, error);
    else
        status = check_file(&about, name, error);
    if (status != PARLOOM_OK) {
        close(fd);
        return status;
    }
    *fd_out = fd;
    *nbytes_out = (uint64_t)about.st_size;
    return PARLOOM_OK;
}

parloom_status loom_named_read(int fd, uint64_t nbytes, const char *name, struct loom_named_shared *header_out,
                               parloom_error *error)
{
    struct loom_named_shared header;
    int failed = nbytes < LOOM_NAMED_DATA_OFFSET ? ENODATA : loom_file_read_all(fd, &header, sizeof header, 0);
    if (failed != 0 && failed != ENODATA)
        return loom_status_fail(error, loom_status_of_errno(failed), failed,
                                "could not read the header of the named array \"%.255s\": %m", name);
    if (failed == ENODATA || !loom_named_has_magic(&header))
        return loom_status_fail(
            error, PARLOOM_ERR_FORMAT, 0,
            "\"%.255s\" in " LOOM_NAMED_FOLDER " is no named array%s (bytes without a header, such as "
            "Python's SharedMemory, are mapped by parloom_array_map from " LOOM_NAMED_FOLDER "/%.255s)",
            name, failed == ENODATA ? ", or was cut short: it has no room for a header" : "", name);
    *header_out = header;
    return PARLOOM_OK;
}

/* -------------------------------------------------------------------------- locks */

static struct flock byte_of(enum loom_named_lock lock)
{
    return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)lock, .l_len = 1 };
}

int loom_named_lock(int fd, enum loom_named_lock lock)
{
    struct flock byte = byte_of(lock);
    while (fcntl(fd, F_OFD_SETLK, &byte) != 0)
        if (errno != EINTR) return errno == EACCES ? EAGAIN : errno;
    return 0;
}

bool loom_named_is_locked(int fd, enum loom_named_lock lock)
{
    struct flock byte = byte_of(lock);
    return fcntl(fd, F_OFD_GETLK, &byte) == 0 && byte.l_type != F_UNLCK;
}

parloom_status loom_named_refuse_lock(const char *name, int failed, parloom_error *error)
{
    if (failed == EINVAL || failed == ENOSYS || failed == EOPNOTSUPP)
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, failed,
                                "this system has no locks of open files, by which owners of named arrays are known: "
                                "%m");
    return loom_status_fail(error, loom_status_of_errno(failed), failed,
                            "could not lock the named array \"%.255s\": %m", name);
}

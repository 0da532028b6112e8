/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * named_clean.c - take the names of arrays away: one that is asked for, or all whose owner has ended.
 *
 * A name is taken away only under the removal lock of the file it stood for when that was looked at. All that remove
 * names take this lock, and a name changes hands only by being removed first: between the look and the removal it can
 * not have been given to another array. (Who removes files of this folder by other means, as rm does, can.)
 *
 * A kill between any two steps leaves the array with its name or without, and no lock.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/status.h"
#include "shm/named.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Another program removes a name within microseconds, if it is not stopped in the middle. */
#define PATIENCE_NS UINT64_C(1000000000)
enum { CHANGE_TRIES = 100 };

/* What became of a name. */
enum outcome { REMOVED, SKIPPED, CHANGED, FAILED };

/* ------------------------------------------------------------------------- remove */

/* Whether the name stands for that file; under the removal lock it stays so. */
static bool is_still(int folder_fd, const char *name, int fd)
{
    struct stat by_name, file;
    return fstatat(folder_fd, name, &by_name, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &file) == 0 &&
           by_name.st_dev == file.st_dev && by_name.st_ino == file.st_ino;
}

/* Under the removal lock. */
static enum outcome remove_name(int folder_fd, const char *name, int fd, parloom_error *error)
{
    if (!is_still(folder_fd, name, fd)) return CHANGED;
    if (unlinkat(folder_fd, name, 0) == 0) return REMOVED;
    if (errno == ENOENT) return CHANGED;
    (void)loom_status_fail(error, loom_status_of_errno(errno), errno, "could not remove the named array \"%.255s\": %m",
                           name);
    return FAILED;
}

static int lock_patiently(int fd)
{
    const struct timespec moment = { 0, 1000000 };
    uint64_t deadline = loom_clock_ns() + PATIENCE_NS;
    int failed = loom_named_lock(fd, LOOM_NAMED_REMOVAL);
    while (failed == EAGAIN && loom_clock_ns() < deadline) {
        (void)nanosleep(&moment, NULL);
        failed = loom_named_lock(fd, LOOM_NAMED_REMOVAL);
    }
    return failed;
}

static parloom_status refuse_busy(const char *name, parloom_error *error)
{
    return loom_status_fail(error, PARLOOM_ERR_BUSY, EAGAIN,
                            "the named array \"%.255s\" has been about to be removed by another program for a second: "
                            "is that stopped?",
                            name);
}

/* ------------------------------------------------------------------------- unlink */

static parloom_status unlink_once(int folder_fd, const char *name, enum outcome *outcome_out, parloom_error *error)
{
    struct loom_named_shared header;
    uint64_t nbytes = 0;
    int fd = -1;
    parloom_status status = loom_named_open(folder_fd, name, O_RDWR, &fd, &nbytes, error);
    if (status != PARLOOM_OK) return status;
    status = loom_named_read(fd, nbytes, name, &header, error);
    int failed = status == PARLOOM_OK ? lock_patiently(fd) : 0;
    if (failed == EAGAIN)
        status = refuse_busy(name, error);
    else if (failed != 0)
        status = loom_named_refuse_lock(name, failed, error);
    if (status == PARLOOM_OK) {
        parloom_error reason;
        *outcome_out = remove_name(folder_fd, name, fd, error != NULL ? error : &reason);
        if (*outcome_out == FAILED) status = error != NULL ? error->status : reason.status;
    }
    close(fd);
    return status;
}

parloom_status parloom_array_unlink_named(const char *name, parloom_error *error)
{
    enum outcome outcome = CHANGED;
    int folder_fd = -1;
    parloom_status status = loom_named_check_name(name, error);
    if (status == PARLOOM_OK) status = loom_named_open_folder(&folder_fd, error);
    if (status != PARLOOM_OK) return status;
    for (int k = 0; k < CHANGE_TRIES && status == PARLOOM_OK && outcome == CHANGED; k++)
        status = unlink_once(folder_fd, name, &outcome, error);
    close(folder_fd);
    if (status == PARLOOM_OK && outcome == CHANGED) return refuse_busy(name, error);
    if (status == PARLOOM_OK) loom_status_clear(error);
    return status;
}

/* -------------------------------------------------------------------------- clean */

/* Whether it is an array of this layout, or one that was being made: only of these it is known what the locks mean.
 * What cannot be looked at is not. */
static bool is_candidate(int folder_fd, const char *name, parloom_status *status_out, parloom_error *error)
{
    struct loom_named_shared header;
    parloom_error reason;
    uint64_t nbytes = 0;
    int fd = -1;
    parloom_status status = loom_named_open(folder_fd, name, O_RDONLY, &fd, &nbytes, &reason);
    if (status == PARLOOM_ERR_LIMIT || status == PARLOOM_ERR_MEMORY) {
        if (error != NULL) *error = reason;
        *status_out = status;
    }
    if (status != PARLOOM_OK) return false;
    bool is_ours = loom_named_is_hidden(name);
    if (!is_ours && loom_named_read(fd, nbytes, name, &header, NULL) == PARLOOM_OK)
        is_ours = header.version == LOOM_NAMED_VERSION;
    close(fd);
    return is_ours;
}

/* Takes both locks: a file that is being made cannot become somebody's while it is removed. Waits for who is about to
 * remove it, so that who returns from cleaning finds the name free. */
static enum outcome clean_locked(int folder_fd, const char *name, int fd, parloom_error *error)
{
    int failed = lock_patiently(fd);
    if (failed == 0) failed = loom_named_lock(fd, LOOM_NAMED_OWNER);
    if (failed == 0) return remove_name(folder_fd, name, fd, error);
    if (failed == EAGAIN) return SKIPPED; /* its owner lives, or somebody else was stopped while he removed it */
    (void)loom_named_refuse_lock(name, failed, error);
    return FAILED;
}

static enum outcome clean_one(int folder_fd, const char *name, parloom_error *error)
{
    parloom_status status = PARLOOM_OK;
    uint64_t nbytes = 0;
    int fd = -1;
    if (!is_candidate(folder_fd, name, &status, error)) return status == PARLOOM_OK ? SKIPPED : FAILED;
    status = loom_named_open(folder_fd, name, O_RDWR, &fd, &nbytes, error);
    if (status != PARLOOM_OK) return error->sys_errno == ENOENT || status == PARLOOM_ERR_FORMAT ? SKIPPED : FAILED;
    enum outcome outcome = clean_locked(folder_fd, name, fd, error);
    close(fd);
    return outcome;
}

static bool is_asked_for(const char *name, const char *prefix)
{
    if (name[0] == '.') return prefix[0] == '\0' && loom_named_is_hidden(name);
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* NULL: there are no more, or errno. */
static const struct dirent *next_entry(DIR *folder)
{
    errno = 0;
    return readdir(folder);
}

static parloom_status clean_folder(DIR *folder, const char *prefix, size_t *removed, parloom_error *first_error)
{
    parloom_error error;
    parloom_status status = PARLOOM_OK;
    const struct dirent *entry;
    while ((entry = next_entry(folder)) != NULL) {
        if (!is_asked_for(entry->d_name, prefix)) continue;
        enum outcome outcome = clean_one(dirfd(folder), entry->d_name, &error);
        *removed += outcome == REMOVED;
        if (outcome != FAILED || status != PARLOOM_OK) continue;
        status = error.status;
        if (first_error != NULL) *first_error = error;
    }
    if (errno != 0 && status == PARLOOM_OK)
        return loom_status_fail(first_error, loom_status_of_errno(errno), errno,
                                "could not read " LOOM_NAMED_FOLDER ", where named arrays lie: %m");
    return status;
}

parloom_status parloom_clean_named(const char *prefix, size_t *removed_out, parloom_error *error)
{
    size_t removed = 0;
    int folder_fd = -1;
    if (removed_out != NULL) *removed_out = 0;
    parloom_status status = loom_named_open_folder(&folder_fd, error);
    if (status != PARLOOM_OK) return status;
    DIR *folder = fdopendir(folder_fd);
    if (folder == NULL) {
        status = loom_status_fail(error, loom_status_of_errno(errno), errno,
                                  "could not read " LOOM_NAMED_FOLDER ", where named arrays lie: %m");
        close(folder_fd);
        return status;
    }
    status = clean_folder(folder, prefix != NULL ? prefix : "", &removed, error);
    closedir(folder);
    if (removed_out != NULL) *removed_out = removed;
    if (status == PARLOOM_OK) loom_status_clear(error);
    return status;
}

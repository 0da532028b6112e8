/* SPDX-License-Identifier: BSD-3-Clause */
/* cache_folder.c - the folders of the local store: opened if they can be trusted, and made (see cache_folder.h). */
#include "rest/cache_folder.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_TRIES = 100 };

static void close_keeping_errno(int fd)
{
    int failed = errno;
    close(fd);
    errno = failed;
}

/* -------------------------------------------------------------------------- open */

/* What others may write, others may have filled: with links, and with results. */
static bool is_trusted(const struct loom_cache_root *root, int fd)
{
    struct stat about;
    if (root->is_shared) return true;
    if (fstat(fd, &about) != 0) return false;
    bool is_ours = about.st_uid == geteuid() || about.st_uid == 0;
    if (is_ours && (about.st_mode & (S_IWGRP | S_IWOTH)) == 0) return true;
    errno = EPERM;
    return false;
}

int loom_cache_folder_open(const struct loom_cache_root *root, int parent, const char *name)
{
    int fd = loom_file_move_up(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd < 0 || is_trusted(root, fd)) return fd;
    close_keeping_errno(fd);
    return -1;
}

int loom_cache_folder_open_root(const struct loom_cache_root *root)
{
    return loom_cache_folder_open(root, AT_FDCWD, root->path);
}

int loom_cache_folder_open_in_root(const struct loom_cache_root *root, const char *name)
{
    int parent = loom_cache_folder_open_root(root);
    if (parent < 0) return -1;
    int fd = loom_cache_folder_open(root, parent, name);
    close_keeping_errno(parent);
    return fd;
}

parloom_status loom_cache_folder_check(const struct loom_cache_root *root, parloom_error *error)
{
    struct stat about;
    if (lstat(root->path, &about) != 0) return PARLOOM_OK; /* each use asks again */
    if (S_ISLNK(about.st_mode))
        return loom_status_fail(error, PARLOOM_ERR_IO, ELOOP,
                                "%.400s is a link, which a cache does not follow: give the folder it leads to as the "
                                "location, or let the location be the link",
                                root->path);
    int fd = loom_cache_folder_open_root(root);
    int failed = fd < 0 ? errno : 0;
    if (fd >= 0) close(fd);
    if (failed != EPERM) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_IO, EPERM,
                            "%.400s belongs to user %u and has mode %04o: a cache takes results only from a folder of "
                            "its own user or of root that nobody else may write (chown, chmod go-w, or is_shared to "
                            "trust all who may write there)",
                            root->path, (unsigned)about.st_uid, (unsigned)(about.st_mode & 07777));
}

DIR *loom_cache_folder_list_of(int fd)
{
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    if (list == NULL && fd >= 0) close_keeping_errno(fd);
    return list;
}

/* -------------------------------------------------------------------------- make */

unsigned loom_cache_folder_mode(const struct loom_cache_root *root)
{
    return root->is_shared ? 0777 : 0755;
}

bool loom_cache_folder_sync(int fd)
{
    return !loom_fault_hit(LOOM_FAULT_SYNC) && fsync(fd) == 0;
}

static bool sync_folder(int parent, const char *name)
{
    int fd = loom_file_move_up(openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0) return false;
    bool is_synced = loom_cache_folder_sync(fd);
    close_keeping_errno(fd);
    return is_synced;
}

/* The name of what was made is on the disk only when the folder it stands in is. */
static bool sync_above(const char *path)
{
    char above[PARLOOM_CACHE_PATH_BYTES];
    snprintf(above, sizeof above, "%s", path);
    char *slash = strrchr(above, '/');
    slash[slash == above ? 1 : 0] = '\0';
    return sync_folder(AT_FDCWD, above);
}

bool loom_cache_folder_sync_above(const struct loom_cache_root *root)
{
    return sync_above(root->path);
}

static bool make_folder(const struct loom_cache_root *root, const char *path, unsigned mode)
{
    if (mkdir(path, mode) != 0) return errno == EEXIST;
    if (!root->is_durable || sync_above(path)) return true;
    int failed = errno;
    (void)rmdir(path); /* so that whoever makes it next asks the disk again */
    errno = failed;
    return false;
}

/* What is there already may forbid even to try; what is not tells why it could not be made. */
static bool make_or_have_folder(const struct loom_cache_root *root, const char *path)
{
    if (make_folder(root, path, 0777)) return true;
    int failed = errno;
    if (access(path, F_OK) == 0) return true;
    errno = failed;
    return false;
}

/* Like mkdir -p. part: the folder that could not be made. */
static bool make_folders(const struct loom_cache_root *root, char part[PARLOOM_CACHE_PATH_BYTES])
{
    unsigned mode = loom_cache_folder_mode(root);
    snprintf(part, PARLOOM_CACHE_PATH_BYTES, "%s", root->path);
    if (make_folder(root, root->path, mode)) return true;
    if (errno != ENOENT) return false;
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (!make_or_have_folder(root, part)) return false;
        *slash = '/';
    }
    return make_folder(root, root->path, mode);
}

/* So that results are not taken into a repository by accident. */
static void write_gitignore(int parent)
{
    int fd = openat(parent, ".gitignore", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) return;
    (void)loom_file_write_all(fd, "*\n", 2, 0);
    close(fd);
}

/* failed_out: the folder that could not be made, or "". */
static int make_root(const struct loom_cache_root *root, char failed_out[PARLOOM_CACHE_PATH_BYTES])
{
    for (int k = 0; k < MOST_TRIES; k++) {
        int fd = loom_cache_folder_open_root(root);
        if (fd >= 0 || errno != ENOENT) return fd;
        if (!make_folders(root, failed_out) && errno != ENOENT) return -1;
        failed_out[0] = '\0';
        fd = loom_cache_folder_open_root(root);
        if (fd >= 0) write_gitignore(fd);
        if (fd >= 0 || errno != ENOENT) return fd; /* else somebody removes what we make */
    }
    return -1;
}

int loom_cache_folder_make_root(const struct loom_cache_root *root)
{
    char failed[PARLOOM_CACHE_PATH_BYTES];
    return make_root(root, failed);
}

int loom_cache_folder_make_in_root_or_say(const struct loom_cache_root *root, const char *name,
                                          char failed_out[PARLOOM_CACHE_PATH_BYTES])
{
    failed_out[0] = '\0';
    for (int k = 0; k < MOST_TRIES; k++) {
        int parent = make_root(root, failed_out);
        if (parent < 0) return -1;
        int fd = loom_cache_folder_open(root, parent, name);
        bool is_made = fd < 0 && errno == ENOENT && mkdirat(parent, name, loom_cache_folder_mode(root)) == 0 &&
                       (!root->is_durable || loom_cache_folder_sync(parent));
        if (is_made) fd = loom_cache_folder_open(root, parent, name);
        close_keeping_errno(parent);
        if (fd >= 0 || (errno != ENOENT && errno != EEXIST)) return fd;
    }
    return -1;
}

int loom_cache_folder_make_in_root(const struct loom_cache_root *root, const char *name)
{
    char failed[PARLOOM_CACHE_PATH_BYTES];
    return loom_cache_folder_make_in_root_or_say(root, name, failed);
}

/* ------------------------------------------------------------------------- names */

const char *loom_cache_folder_split(const char *item, char function[LOOM_CACHE_FOLDER_BYTES])
{
    const char *key = strchr(item, '/') + 1;
    snprintf(function, LOOM_CACHE_FOLDER_BYTES, "%.*s", (int)(key - item - 1), item);
    return key;
}

bool loom_cache_folder_is_digits(const char *name)
{
    size_t length = strspn(name, "0123456789abcdef");
    return length == LOOM_CACHE_DIGITS_BYTES - 1 && name[length] == '\0';
}

/* 128 random bits: two machines that share a folder may have the same process ids. */
bool loom_cache_folder_choose(char name[LOOM_CACHE_DIGITS_BYTES])
{
    uint64_t number[2];
    if (getrandom(number, sizeof number, 0) != (ssize_t)sizeof number) return false;
    snprintf(name, LOOM_CACHE_DIGITS_BYTES, "%016llx%016llx", (unsigned long long)number[0],
             (unsigned long long)number[1]);
    return true;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache_removal.c - entries and leftovers are thrown away (see cache_folder.h).
 *
 * Only what bears a name of ours goes, from folders that were opened and not from paths: a link, or a folder that was
 * put there by somebody for something else, stays as it is.
 */
#include "base/file.h"
#include "rest/cache.h"
#include "rest/cache_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST_TRIES = 100, DEEPEST = 16, ORPHAN_S = 7 * 24 * 3600 };

/* One descriptor for each level; entries have one. */
static void remove_tree(int parent, const char *name, int levels)
{
    if (unlinkat(parent, name, 0) == 0 || (errno != EISDIR && errno != EPERM) || levels == 0) return;
    int fd = loom_file_move_up(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    DIR *list = loom_cache_folder_list_of(fd);
    if (list == NULL) return;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            remove_tree(dirfd(list), entry->d_name, levels - 1);
    closedir(list);
    (void)unlinkat(parent, name, AT_REMOVEDIR);
}

void loom_cache_folder_remove(int parent, const char *name)
{
    remove_tree(parent, name, DEEPEST);
}

/* 0, or an errno: ENOENT, EEXIST and ENOTEMPTY may be others' doing. */
static int move_aside(const struct loom_cache_root *root, int parent, const char *name)
{
    char aside[LOOM_CACHE_DIGITS_BYTES];
    int work = loom_cache_folder_choose(aside) ? loom_cache_folder_make_in_root(root, ".work") : -1;
    if (work < 0) return errno;
    int failed = renameat(parent, name, work, aside) == 0 ? 0 : errno;
    if (failed == 0) loom_cache_folder_remove(work, aside);
    close(work);
    return failed;
}

bool loom_cache_folder_discard(const struct loom_cache_root *root, int parent, const char *name)
{
    struct stat about;
    for (int k = 0; k < MOST_TRIES; k++) {
        if (fstatat(parent, name, &about, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) return true;
        errno = move_aside(root, parent, name);
        if (errno == 0) return true;
        if (errno != ENOENT && errno != EEXIST && errno != ENOTEMPTY) return false;
    }
    return false;
}

/* -------------------------------------------------------------------- by function */

/* What is not there, is a link or is no folder holds no entries. */
static bool is_nothing(int failed)
{
    return failed == ENOENT || failed == ENOTDIR || failed == ELOOP;
}

bool loom_cache_folder_discard_item(const struct loom_cache_root *root, const char *item)
{
    char function[LOOM_CACHE_FOLDER_BYTES];
    const char *key = loom_cache_folder_split(item, function);
    int folder = loom_cache_folder_open_in_root(root, function);
    if (folder < 0) return is_nothing(errno);
    bool is_done = loom_cache_folder_discard(root, folder, key);
    int failed = errno;
    close(folder);
    errno = failed;
    return is_done;
}

/* Takes the descriptor. 0, or why not all of it could be removed. */
static int discard_entries(const struct loom_cache_root *root, int folder)
{
    int failed = 0;
    DIR *list = loom_cache_folder_list_of(folder);
    if (list == NULL) return errno;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (loom_cache_folder_is_digits(entry->d_name) && !loom_cache_folder_discard(root, folder, entry->d_name))
            failed = errno;
    closedir(list);
    return failed;
}

/* parent: root's descriptor. */
static int discard_function(const struct loom_cache_root *root, int parent, const char *name)
{
    int folder = loom_cache_folder_open(root, parent, name);
    if (folder < 0) return is_nothing(errno) ? 0 : errno;
    int failed = discard_entries(root, folder);
    (void)unlinkat(parent, name, AT_REMOVEDIR); /* unless something else lies there */
    return failed;
}

bool loom_cache_folder_discard_function(const struct loom_cache_root *root, const char *name)
{
    int parent = loom_cache_folder_open_root(root);
    if (parent < 0) return is_nothing(errno);
    int failed = discard_function(root, parent, name);
    close(parent);
    errno = failed;
    return failed == 0;
}

bool loom_cache_folder_discard_all(const struct loom_cache_root *root)
{
    int failed = 0, parent = loom_cache_folder_open_root(root);
    if (parent < 0) return errno == ENOENT;
    DIR *list = loom_cache_folder_list_of(parent);
    if (list == NULL) return false;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        int why = entry->d_name[0] != '.' ? discard_function(root, parent, entry->d_name) : 0;
        if (why != 0) failed = why;
    }
    int work = loom_cache_folder_open(root, parent, ".work");
    if (work >= 0) loom_cache_folder_sweep(root, work);
    if (work >= 0) close(work);
    closedir(list);
    errno = failed;
    return failed == 0;
}

/* ------------------------------------------------------------------------- sweep */

static bool is_old(int fd)
{
    struct stat about;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return fstat(fd, &about) == 0 && now.tv_sec - about.st_mtim.tv_sec > ORPHAN_S;
}

/* Its writer would have it locked; what is no folder was moved there to be removed. Where folders cannot be locked
 * (NFS), it is long since a writer made a file there. */
static void remove_orphan(int work, const char *name)
{
    int fd = loom_file_move_up(openat(work, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) (void)unlinkat(work, name, 0);
    if (fd < 0) return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 || (errno != EWOULDBLOCK && is_old(fd))) loom_cache_folder_remove(work, name);
    close(fd);
}

void loom_cache_folder_sweep(const struct loom_cache_root *root, int work)
{
    DIR *list = loom_cache_folder_list_of(loom_cache_folder_open(root, work, "."));
    if (list == NULL) return;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (loom_cache_folder_is_digits(entry->d_name)) remove_orphan(work, entry->d_name);
    closedir(list);
}

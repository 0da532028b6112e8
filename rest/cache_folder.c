/* SPDX-License-Identifier: BSD-3-Clause */
/* cache_folder.c - the folders of the local store (see cache_folder.h). */
#include "rest/cache_folder.h"

#include "base/fault.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST_TRIES = 100, WALK_DESCRIPTORS = 8, ORPHAN_S = 7 * 24 * 3600 };

static void join(char path[PARLOOM_CACHE_PATH_BYTES], const char *folder, const char *name)
{
    if (snprintf(path, PARLOOM_CACHE_PATH_BYTES, "%s/%s", folder, name) >= PARLOOM_CACHE_PATH_BYTES) path[0] = '\0';
}

/* Puts "/name" in the place of what stands behind the first length bytes. */
static bool append(char path[PARLOOM_CACHE_PATH_BYTES], size_t length, const char *name)
{
    size_t room = PARLOOM_CACHE_PATH_BYTES - length;
    return (size_t)snprintf(path + length, room, "/%s", name) < room;
}

/* -------------------------------------------------------------------------- make */

static bool make_folder(const char *path)
{
    return mkdir(path, 0777) == 0 || errno == EEXIST;
}

/* What is there already may forbid even to try; what is not tells why it could not be made. */
static bool make_or_have_folder(const char *path)
{
    if (make_folder(path)) return true;
    int failed = errno;
    if (access(path, F_OK) == 0) return true;
    errno = failed;
    return false;
}

/* Like mkdir -p. part: the folder that could not be made. */
static bool make_folders(const char *path, char part[PARLOOM_CACHE_PATH_BYTES])
{
    snprintf(part, PARLOOM_CACHE_PATH_BYTES, "%s", path);
    if (make_folder(path)) return true;
    if (errno != ENOENT) return false;
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (!make_or_have_folder(part)) return false;
        *slash = '/';
    }
    return make_folder(path);
}

/* So that results are not taken into a repository by accident. */
static void write_gitignore(const char *root)
{
    char path[PARLOOM_CACHE_PATH_BYTES];
    join(path, root, ".gitignore");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0) return;
    (void)loom_file_write_all(fd, "*\n", 2, 0);
    close(fd);
}

bool loom_cache_folder_prepare_or_say(const char *root, char failed_out[PARLOOM_CACHE_PATH_BYTES])
{
    join(failed_out, root, ".work");
    if (access(failed_out, X_OK) == 0) return true;
    if (!make_folders(root, failed_out)) return false;
    write_gitignore(root);
    join(failed_out, root, ".work");
    return make_folder(failed_out);
}

bool loom_cache_folder_prepare(const char *root)
{
    char failed[PARLOOM_CACHE_PATH_BYTES];
    return loom_cache_folder_prepare_or_say(root, failed);
}

/* 128 random bits: two machines that share a folder may have the same process ids. */
bool loom_cache_folder_choose(const char *root, char path[PARLOOM_CACHE_PATH_BYTES])
{
    uint64_t number[2];
    if (getrandom(number, sizeof number, 0) != (ssize_t)sizeof number) return false;
    return snprintf(path, PARLOOM_CACHE_PATH_BYTES, "%s/.work/%016llx%016llx", root, (unsigned long long)number[0],
                    (unsigned long long)number[1]) < PARLOOM_CACHE_PATH_BYTES;
}

/* ------------------------------------------------------------------------ remove */

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *place)
{
    (void)about;
    (void)place;
    if (kind == FTW_DP || kind == FTW_DNR)
        (void)rmdir(path);
    else
        (void)unlink(path);
    return 0;
}

void loom_cache_folder_remove(const char *path)
{
    (void)nftw(path, remove_one, WALK_DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}

bool loom_cache_folder_discard(const char *root, const char *path)
{
    char aside[PARLOOM_CACHE_PATH_BYTES];
    for (int k = 0; k < MOST_TRIES; k++) {
        if (!loom_cache_folder_choose(root, aside)) return false;
        if (rename(path, aside) == 0) {
            struct stat about;
            bool is_folder = lstat(aside, &about) == 0 && S_ISDIR(about.st_mode);
            if (is_folder)
                loom_cache_folder_remove(aside);
            else
                (void)unlink(aside);
            return true;
        }
        if (errno != ENOENT && errno != EEXIST && errno != ENOTEMPTY) return false;
        if (errno == ENOENT && access(path, F_OK) != 0) return true;
        if (!loom_cache_folder_prepare(root)) return false;
    }
    return false;
}

/* What is not to be removed begins with a dot. */
static DIR *open_list(const char *path)
{
    int fd = loom_file_move_up(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    if (list == NULL && fd >= 0) close(fd);
    return list;
}

bool loom_cache_folder_discard_all(const char *root)
{
    bool is_done = true;
    int failed = 0;
    DIR *list = open_list(root);
    if (list == NULL) return errno == ENOENT;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        char path[PARLOOM_CACHE_PATH_BYTES];
        if (entry->d_name[0] == '.') continue;
        join(path, root, entry->d_name);
        if (loom_cache_folder_discard(root, path)) continue;
        failed = errno;
        is_done = false;
    }
    closedir(list);
    loom_cache_folder_sweep(root);
    errno = failed;
    return is_done;
}

static bool is_old(int fd)
{
    struct stat about;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return fstat(fd, &about) == 0 && now.tv_sec - about.st_mtim.tv_sec > ORPHAN_S;
}

/* Its writer would have it locked. Where folders cannot be locked (NFS), it is long since a writer made a file there.
 */
static void remove_orphan(const char *path)
{
    int fd = loom_file_move_up(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd < 0) return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 || (errno != EWOULDBLOCK && is_old(fd))) loom_cache_folder_remove(path);
    close(fd);
}

void loom_cache_folder_sweep(const char *root)
{
    char path[PARLOOM_CACHE_PATH_BYTES];
    join(path, root, ".work");
    size_t length = strlen(path);
    DIR *list = open_list(path);
    if (list == NULL) return;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (entry->d_name[0] != '.' && append(path, length, entry->d_name)) remove_orphan(path);
    closedir(list);
}

/* -------------------------------------------------------------------------- list */

/* Bytes of its files; false: it is gone, or no folder. */
static bool measure(const char *path, parloom_cache_item *item)
{
    struct stat about;
    DIR *list = open_list(path);
    if (list == NULL) return false;
    item->nbytes = 0;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (fstatat(dirfd(list), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(about.st_mode))
            item->nbytes += (uint64_t)about.st_size;
    bool is_known = fstat(dirfd(list), &about) == 0;
    closedir(list);
    item->used_s = (double)about.st_mtim.tv_sec + (double)about.st_mtim.tv_nsec * 1e-9;
    return is_known;
}

static void list_function(const char *root, const char *function, void (*each)(const parloom_cache_item *, void *),
                          void *state)
{
    char path[PARLOOM_CACHE_PATH_BYTES];
    join(path, root, function);
    size_t length = strlen(path);
    DIR *list = open_list(path);
    if (list == NULL) return;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        parloom_cache_item item = { .path = path, .name = path + strlen(root) + 1 };
        if (entry->d_name[0] == '.' || !append(path, length, entry->d_name)) continue;
        if (measure(path, &item)) each(&item, state);
    }
    closedir(list);
}

bool loom_cache_folder_list(const char *root, void (*each)(const parloom_cache_item *, void *), void *state)
{
    DIR *list = open_list(root);
    if (list == NULL) return errno == ENOENT;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (entry->d_name[0] != '.') list_function(root, entry->d_name, each, state);
    closedir(list);
    return true;
}

/* -------------------------------------------------------------------------- sync */

bool loom_cache_folder_sync(const char *path)
{
    int fd = loom_file_move_up(open(path, O_RDONLY | O_CLOEXEC));
    if (fd < 0) return false;
    bool is_synced = fsync(fd) == 0;
    int failed = errno;
    close(fd);
    errno = failed;
    return is_synced;
}

bool loom_cache_folder_sync_files(const char *path)
{
    bool is_synced = true;
    DIR *list = open_list(path);
    if (list == NULL) return false;
    for (struct dirent *entry; is_synced && (entry = readdir(list)) != NULL;) {
        char file[PARLOOM_CACHE_PATH_BYTES];
        if (entry->d_name[0] == '.') continue;
        join(file, path, entry->d_name);
        is_synced = loom_cache_folder_sync(file);
    }
    int failed = errno;
    closedir(list);
    errno = failed;
    return is_synced && loom_cache_folder_sync(path);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache_store.c - the local store: items are folders below LOCATION/parloom (docs/cache.md).
 *
 * Whole or not  An item is written in a folder of its own below .work and renamed; what was there before is exchanged
 *               for it in one step and removed. To remove is to rename into .work first. So under its name an item is
 *               always whole, and who has it open keeps it, or finds files gone and asks again.
 * Orphans       A writer holds flock on its folder in .work as long as it lives. Whoever gets that lock knows that
 *               nobody writes there any more, and removes it: before each write, and when all is cleared.
 * Locks         One byte of .lock for each item, by the hash of its name: an open file description lock, which goes
 *               with its descriptor. Two items that share a byte wait for each other needlessly; nothing else happens.
 * Trust         cache_folder.h: names are looked up in folders that were opened, and no link is followed.
 * Used          The time of last change of the item's folder, set at each use.
 */
#include "base/fault.h"
#include "base/file.h"
#include "base/fnv.h"
#include "base/memory.h"
#include "base/status.h"
#include "rest/cache.h"
#include "rest/cache_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST_TRIES = 100 };

struct item_lock {
    int fd;
    struct flock region;
};

/* A folder of our own in .work. */
struct writing {
    int work;
    char name[LOOM_CACHE_DIGITS_BYTES];
};

static parloom_status fail(parloom_error *error, const char *what, const struct loom_cache_root *root, const char *item)
{
    int failed = errno;
    if (failed == EPERM && loom_cache_folder_check(root, error) != PARLOOM_OK) return error->status;
    return loom_status_fail(error, loom_status_of_errno(failed), failed, "could not %s %.300s/%.340s: %m%s", what,
                            root->path, item,
                            failed == EPERM ? " (is it another user's, or may others write there?)" : "");
}

static parloom_status open_local(void *state, const char *location, void **store_out, parloom_error *error)
{
    (void)state;
    struct loom_cache_root *root = loom_memory_zeroed(1, sizeof *root);
    if (root == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for a cache");
    int length = snprintf(root->path, sizeof root->path, "%s/parloom", location);
    if (length > 0 && (size_t)length + LOOM_CACHE_ITEM_BYTES + 128 < sizeof root->path) {
        *store_out = root;
        return PARLOOM_OK;
    }
    free(root);
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                            "the location of the cache, %.100s..., is too long for the names below it", location);
}

static void close_local(void *store)
{
    free(store);
}

parloom_status loom_cache_local_settle(void *store, const parloom_cache_options *options, parloom_error *error)
{
    struct loom_cache_root *root = store;
    root->is_durable = options->is_durable;
    root->is_shared = options->is_shared;
    return loom_cache_folder_check(root, error);
}

void loom_cache_local_sweep(const void *store)
{
    const struct loom_cache_root *root = store;
    int work = loom_cache_folder_open_in_root(root, ".work");
    if (work < 0) return;
    loom_cache_folder_sweep(root, work);
    close(work);
}

/* -------------------------------------------------------------------------- read */

static int open_item(const struct loom_cache_root *root, const char *item)
{
    char function[LOOM_CACHE_FOLDER_BYTES];
    const char *key = loom_cache_folder_split(item, function);
    if (loom_fault_hit(LOOM_FAULT_OPEN)) return -1;
    int folder = loom_cache_folder_open_in_root(root, function);
    if (folder < 0) return -1;
    int fd = loom_cache_folder_open(root, folder, key);
    int failed = errno;
    close(folder);
    errno = failed;
    return fd;
}

/* By descriptor all files are of one folder, also when it is replaced meanwhile. */
static void name_place(parloom_cache_place *place, const struct loom_cache_root *root, const char *folder,
                       const char *name)
{
    snprintf(place->path, sizeof place->path, "/proc/self/fd/%d", place->descriptor);
    if (access(place->path, X_OK) == 0) return;
    int length = snprintf(place->path, sizeof place->path, "%s", root->path);
    snprintf(place->path + length, sizeof place->path - (size_t)length, "%s/%s", folder, name);
}

static parloom_status fetch(void *opaque, const char *item, parloom_cache_place *place, bool *is_there_out,
                            parloom_error *error)
{
    const struct loom_cache_root *root = opaque;
    place->descriptor = open_item(root, item);
    *is_there_out = place->descriptor >= 0;
    if (*is_there_out)
        name_place(place, root, "", item);
    else if (errno != ENOENT && errno != ENOTDIR)
        return fail(error, "open", root, item);
    return PARLOOM_OK;
}

static void release(void *store, parloom_cache_place *place)
{
    (void)store;
    close(place->descriptor);
}

/* Used now. The kernel's own stamps are of the last tick: several uses share one, and a new entry is older than one
 * that was used before. */
static void stamp(int fd)
{
    struct timespec times[2];
    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[1] = times[0];
    if (futimens(fd, times) == 0) return;
    (void)futimens(fd, NULL); /* of another user; on a read-only disk it is not noted at all */
}

static void touch(void *store, const char *item, parloom_cache_place *place)
{
    (void)store;
    (void)item;
    stamp(place->descriptor);
}

/* ------------------------------------------------------------------------- write */

/* A folder of our own in .work; nobody else writes there, or removes it, until its descriptor is closed. */
static bool try_work_folder(const struct loom_cache_root *root, struct writing *writing, parloom_cache_place *place)
{
    struct stat about;
    if (!loom_cache_folder_choose(writing->name)) return false;
    if (mkdirat(writing->work, writing->name, loom_cache_folder_mode(root)) != 0) return false;
    place->descriptor = loom_cache_folder_open(root, writing->work, writing->name);
    if (place->descriptor < 0) return false;
    /* Between mkdir and here somebody may have taken it for an orphan. */
    bool is_locked = flock(place->descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    if (is_locked && fstat(place->descriptor, &about) == 0 && about.st_nlink > 0) return true;
    close(place->descriptor);
    errno = ENOENT;
    return false;
}

/* failed_out: the folder that could not be made, or "". */
static bool make_work_folder(const struct loom_cache_root *root, struct writing *writing, parloom_cache_place *place,
                             char failed_out[PARLOOM_CACHE_PATH_BYTES])
{
    for (int k = 0; k < MOST_TRIES; k++) {
        if (loom_fault_hit(LOOM_FAULT_OPEN)) return false;
        writing->work = loom_cache_folder_make_in_root_or_say(root, ".work", failed_out);
        if (writing->work < 0) return false;
        if (k == 0) loom_cache_folder_sweep(root, writing->work);
        if (try_work_folder(root, writing, place)) return true;
        int failed = errno;
        close(writing->work);
        errno = failed;
        if (failed != ENOENT && failed != EEXIST) return false;
    }
    return false;
}

static parloom_status fail_to_make(parloom_error *error, const char *path)
{
    int failed = errno;
    return loom_status_fail(error, loom_status_of_errno(failed), failed, "could not make the folder %.400s: %m", path);
}

static parloom_status begin(void *opaque, const char *item, parloom_cache_place *place, parloom_error *error)
{
    const struct loom_cache_root *root = opaque;
    char failed[PARLOOM_CACHE_PATH_BYTES] = "";
    (void)item;
    struct writing *writing = loom_memory_zeroed(1, sizeof *writing);
    if (writing == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short to keep a result");
    if (!make_work_folder(root, writing, place, failed)) {
        parloom_status status = failed[0] != '\0' && errno != EPERM ? fail_to_make(error, failed)
                                                                    : fail(error, "make a folder in", root, ".work");
        free(writing);
        return status;
    }
    place->state = writing;
    name_place(place, root, "/.work", writing->name);
    return PARLOOM_OK;
}

/* What is seen is what nobody else may write, and where that was asked for, on the disk. */
static bool settle_file(const struct loom_cache_root *root, int folder, const char *name)
{
    struct stat about = { .st_mode = 0 };
    int fd = loom_file_move_up(openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (fd < 0) return false;
    bool is_settled = fstat(fd, &about) == 0;
    mode_t mode = about.st_mode & 07777 & loom_cache_folder_mode(root);
    if (is_settled && mode != (about.st_mode & 07777)) is_settled = fchmod(fd, mode) == 0;
    is_settled = is_settled && (!root->is_durable || loom_cache_folder_sync(fd));
    int failed = errno;
    close(fd);
    errno = failed;
    return is_settled;
}

static bool settle_files(const struct loom_cache_root *root, int folder)
{
    bool is_settled = true;
    DIR *list = loom_cache_folder_list_of(loom_cache_folder_open(root, folder, "."));
    if (list == NULL) return false;
    for (struct dirent *entry; is_settled && (entry = readdir(list)) != NULL;)
        if (entry->d_name[0] != '.') is_settled = settle_file(root, folder, entry->d_name);
    int failed = errno;
    closedir(list);
    errno = failed;
    return is_settled && (!root->is_durable || loom_cache_folder_sync(folder));
}

/* The new one gets the name; what had it is then where the new one was, and nobody's. */
static bool put_in_place(const struct loom_cache_root *root, const struct writing *from, int folder, const char *key)
{
    if (renameat(from->work, from->name, folder, key) == 0) return true;
    if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR) return false;
    if (renameat2(from->work, from->name, folder, key, RENAME_EXCHANGE) == 0) {
        loom_cache_folder_remove(from->work, from->name);
        return true;
    }
    if (errno != EINVAL && errno != ENOSYS && errno != EPERM) return false;
    /* A file system, or a sandbox, that cannot exchange: for a moment there is none, and others may be as fast. */
    for (int k = 0; k < MOST_TRIES; k++) {
        if (!loom_cache_folder_discard(root, folder, key)) return false;
        if (renameat(from->work, from->name, folder, key) == 0) return true;
        if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR) return false;
    }
    return false;
}

/* Of the entry, of its function, and of all. */
static bool sync_names(const struct loom_cache_root *root, int folder)
{
    int top = loom_cache_folder_open_root(root);
    if (top < 0) return errno == ENOENT; /* somebody has removed everything */
    bool is_synced = loom_cache_folder_sync(folder) && loom_cache_folder_sync(top);
    int failed = errno;
    close(top);
    errno = failed;
    return is_synced && loom_cache_folder_sync_above(root);
}

/* 0, or an errno; ENOENT: somebody removed what is written to. */
static int try_to_publish(const struct loom_cache_root *root, const char *item, const struct writing *from)
{
    char function[LOOM_CACHE_FOLDER_BYTES];
    const char *key = loom_cache_folder_split(item, function);
    int folder = loom_cache_folder_make_in_root(root, function);
    if (folder < 0) return errno;
    bool is_done = put_in_place(root, from, folder, key) && (!root->is_durable || sync_names(root, folder));
    int failed = is_done ? 0 : errno;
    close(folder);
    return failed;
}

static parloom_status publish(const struct loom_cache_root *root, const char *item, const struct writing *from, int fd,
                              parloom_error *error)
{
    if (!settle_files(root, fd)) return fail(error, "write to the disk", root, item);
    /* Who clears the function may take its folder away at any time. */
    for (int k = 0; k < MOST_TRIES; k++) {
        errno = try_to_publish(root, item, from);
        if (errno == 0) return PARLOOM_OK;
        if (errno != ENOENT || faccessat(from->work, from->name, F_OK, AT_SYMLINK_NOFOLLOW) != 0) break;
    }
    return fail(error, "put in its place", root, item);
}

static parloom_status end(void *opaque, const char *item, parloom_cache_place *place, bool keep, parloom_error *error)
{
    struct writing *writing = place->state;
    parloom_status status = keep ? publish(opaque, item, writing, place->descriptor, error) : PARLOOM_OK;
    if (keep) stamp(place->descriptor);
    if (!keep || status != PARLOOM_OK) loom_cache_folder_remove(writing->work, writing->name);
    close(place->descriptor);
    close(writing->work);
    free(writing);
    return status;
}

/* ------------------------------------------------------------------------ remove */

static parloom_status remove_item(void *opaque, const char *item, parloom_error *error)
{
    const struct loom_cache_root *root = opaque;
    bool is_done = item[0] == '\0'             ? loom_cache_folder_discard_all(root)
                   : strchr(item, '/') == NULL ? loom_cache_folder_discard_function(root, item)
                                               : loom_cache_folder_discard_item(root, item);
    return is_done ? PARLOOM_OK : fail(error, "remove", root, item);
}

static parloom_status list(void *opaque, void (*each)(const parloom_cache_item *, void *), void *state,
                           parloom_error *error)
{
    const struct loom_cache_root *root = opaque;
    return loom_cache_folder_list(root, each, state) ? PARLOOM_OK : fail(error, "read", root, "");
}

/* ------------------------------------------------------------------------- locks */

/* Any number that follows from the name. */
static off_t place_of(const char *item)
{
    return (off_t)(loom_fnv(item, strlen(item)) >> 2);
}

/* command: F_OFD_SETLKW waits, F_OFD_SETLK does not. */
static bool take(struct item_lock *lock, int command)
{
    while (fcntl(lock->fd, command, &lock->region) != 0)
        if (errno != EINTR) return false;
    return true;
}

static int open_locks(const struct loom_cache_root *root)
{
    int parent = loom_cache_folder_make_root(root);
    if (parent < 0) return -1;
    int fd = openat(parent, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                    0666 & loom_cache_folder_mode(root));
    close(parent);
    return loom_file_move_up(fd);
}

/* NULL, and errno EAGAIN or EACCES: somebody has it. */
static void *lock_by(void *opaque, const char *item, int command)
{
    struct item_lock *lock = loom_memory_zeroed(1, sizeof *lock);
    if (lock == NULL) return NULL;
    lock->fd = open_locks(opaque);
    lock->region =
        (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = place_of(item), .l_len = 1, .l_pid = 0 };
    if (lock->fd >= 0 && take(lock, command)) return lock;
    int failed = lock->fd >= 0 ? errno : ENOLCK; /* a folder that may not be written is nobody's lock */
    if (lock->fd >= 0) close(lock->fd);
    free(lock);
    errno = failed;
    return NULL;
}

static void *lock_item(void *store, const char *item)
{
    return lock_by(store, item, F_OFD_SETLKW);
}

static void *try_lock_item(void *store, const char *item, bool *is_taken_out)
{
    void *lock = lock_by(store, item, F_OFD_SETLK);
    *is_taken_out = lock == NULL && (errno == EAGAIN || errno == EACCES);
    return lock;
}

static void unlock_item(void *store, void *opaque)
{
    struct item_lock *lock = opaque;
    (void)store;
    lock->region.l_type =
        F_UNLCK; /* a child that was forked meanwhile has the description too: closing is not enough */
    (void)fcntl(lock->fd, F_OFD_SETLK, &lock->region);
    close(lock->fd);
    free(lock);
}

const parloom_cache_store_ops loom_cache_local_ops = { .struct_size = sizeof loom_cache_local_ops,
                                                       .abi = PARLOOM_CACHE_STORE_ABI,
                                                       .open = open_local,
                                                       .close = close_local,
                                                       .fetch = fetch,
                                                       .release = release,
                                                       .begin = begin,
                                                       .end = end,
                                                       .remove = remove_item,
                                                       .list = list,
                                                       .touch = touch,
                                                       .lock = lock_item,
                                                       .unlock = unlock_item,
                                                       .try_lock = try_lock_item };

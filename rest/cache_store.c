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
 * Used          The time of last change of the item's folder, set at each use.
 */
#include "base/fault.h"
#include "base/file.h"
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

struct local {
    bool is_durable;
    char root[PARLOOM_CACHE_PATH_BYTES]; /* LOCATION/parloom */
};

struct item_lock {
    int fd;
    struct flock region;
};

/* False: too long. */
static bool join(char path[PARLOOM_CACHE_PATH_BYTES], const struct local *store, const char *name)
{
    int length = snprintf(path, PARLOOM_CACHE_PATH_BYTES, "%s%s%s", store->root, name[0] != '\0' ? "/" : "", name);
    return length > 0 && length < PARLOOM_CACHE_PATH_BYTES;
}

static parloom_status fail(parloom_error *error, const char *what, const char *path)
{
    int failed = errno;
    return loom_status_fail(error, loom_status_of_errno(failed), failed, "could not %s %.400s: %m", what, path);
}

static parloom_status open_local(void *state, const char *location, void **store_out, parloom_error *error)
{
    (void)state;
    struct local *store = loom_memory_zeroed(1, sizeof *store);
    if (store == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for a cache");
    int length = snprintf(store->root, sizeof store->root, "%s/parloom", location);
    if (length > 0 && (size_t)length + LOOM_CACHE_ITEM_BYTES + 128 < sizeof store->root) {
        *store_out = store;
        return PARLOOM_OK;
    }
    free(store);
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                            "the location of the cache, %.100s..., is too long for the names below it", location);
}

static void close_local(void *store)
{
    free(store);
}

void loom_cache_local_set_durable(void *store)
{
    ((struct local *)store)->is_durable = true;
}

void loom_cache_local_sweep(const void *store)
{
    loom_cache_folder_sweep(((const struct local *)store)->root);
}

/* -------------------------------------------------------------------------- read */

static parloom_status fetch(void *opaque, const char *item, parloom_cache_place *place, bool *is_there_out,
                            parloom_error *error)
{
    const struct local *store = opaque;
    char path[PARLOOM_CACHE_PATH_BYTES];
    if (!join(path, store, item)) errno = ENAMETOOLONG;
    int fd = loom_fault_hit(LOOM_FAULT_OPEN) ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    place->descriptor = loom_file_move_up(fd);
    *is_there_out = place->descriptor >= 0;
    if (!*is_there_out) return errno == ENOENT || errno == ENOTDIR ? PARLOOM_OK : fail(error, "open", path);
    /* By descriptor all files are of one item, also when it is replaced meanwhile. */
    snprintf(place->path, sizeof place->path, "/proc/self/fd/%d", place->descriptor);
    if (access(place->path, X_OK) != 0) memcpy(place->path, path, sizeof path);
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

/* A folder of our own below .work; nobody else writes there, or removes it, until its descriptor is closed. */
static bool try_work_folder(const struct local *store, parloom_cache_place *place)
{
    struct stat about;
    if (!loom_cache_folder_choose(store->root, place->path)) return false;
    if (mkdir(place->path, 0777) != 0) return false;
    place->descriptor = loom_file_move_up(open(place->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (place->descriptor < 0) return false;
    /* Between mkdir and here somebody may have taken it for an orphan. */
    bool is_locked = flock(place->descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    if (is_locked && fstat(place->descriptor, &about) == 0 && about.st_nlink > 0) return true;
    close(place->descriptor);
    errno = ENOENT;
    return false;
}

static parloom_status begin(void *opaque, const char *item, parloom_cache_place *place, parloom_error *error)
{
    const struct local *store = opaque;
    char failed[PARLOOM_CACHE_PATH_BYTES];
    (void)item;
    loom_cache_folder_sweep(store->root);
    for (int k = 0; k < MOST_TRIES; k++) {
        if (loom_fault_hit(LOOM_FAULT_OPEN)) break;
        if (!loom_cache_folder_prepare_or_say(store->root, failed)) return fail(error, "make the folder", failed);
        if (try_work_folder(store, place)) return PARLOOM_OK;
        if (errno != ENOENT && errno != EEXIST) break;
    }
    return fail(error, "make a folder in", store->root);
}

/* The new one gets the name; what had it is then where the new one was, and nobody's. */
static bool put_in_place(const struct local *store, const char *from, const char *to)
{
    if (rename(from, to) == 0) return true;
    if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR) return false;
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) == 0) {
        loom_cache_folder_remove(from);
        return true;
    }
    if (errno != EINVAL && errno != ENOSYS && errno != EPERM) return false;
    /* A file system, or a sandbox, that cannot exchange: for a moment there is none, and others may be as fast. */
    for (int k = 0; k < MOST_TRIES; k++) {
        if (!loom_cache_folder_discard(store->root, to)) return false;
        if (rename(from, to) == 0) return true;
        if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR) return false;
    }
    return false;
}

static bool make_parent(const char *path)
{
    char parent[PARLOOM_CACHE_PATH_BYTES];
    snprintf(parent, sizeof parent, "%s", path);
    *strrchr(parent, '/') = '\0';
    return mkdir(parent, 0777) == 0 || errno == EEXIST;
}

static bool sync_parent(const char *path)
{
    char parent[PARLOOM_CACHE_PATH_BYTES];
    snprintf(parent, sizeof parent, "%s", path);
    *strrchr(parent, '/') = '\0';
    return loom_cache_folder_sync(parent);
}

static parloom_status publish(const struct local *store, const char *item, const char *from, parloom_error *error)
{
    char path[PARLOOM_CACHE_PATH_BYTES];
    if (!join(path, store, item)) errno = ENAMETOOLONG;
    if (store->is_durable && !loom_cache_folder_sync_files(from)) return fail(error, "write to the disk", from);
    /* Who clears the function may take its folder away at any time. */
    for (int k = 0; k < MOST_TRIES; k++) {
        if (!make_parent(path) && errno != ENOENT) break;
        if (put_in_place(store, from, path)) {
            if (store->is_durable) (void)sync_parent(path);
            return PARLOOM_OK;
        }
        if (errno != ENOENT || access(from, F_OK) != 0) break;
        if (!loom_cache_folder_prepare(store->root)) break;
    }
    return fail(error, "put in its place", path);
}

static parloom_status end(void *opaque, const char *item, parloom_cache_place *place, bool keep, parloom_error *error)
{
    const struct local *store = opaque;
    parloom_status status = keep ? publish(store, item, place->path, error) : PARLOOM_OK;
    if (keep) stamp(place->descriptor);
    if (!keep || status != PARLOOM_OK) loom_cache_folder_remove(place->path);
    close(place->descriptor);
    return status;
}

/* ------------------------------------------------------------------------ remove */

static parloom_status remove_item(void *opaque, const char *item, parloom_error *error)
{
    const struct local *store = opaque;
    char path[PARLOOM_CACHE_PATH_BYTES];
    if (!join(path, store, item)) errno = ENAMETOOLONG;
    bool is_done =
        item[0] != '\0' ? loom_cache_folder_discard(store->root, path) : loom_cache_folder_discard_all(store->root);
    return is_done ? PARLOOM_OK : fail(error, "remove", path);
}

static parloom_status list(void *opaque, void (*each)(const parloom_cache_item *, void *), void *state,
                           parloom_error *error)
{
    const struct local *store = opaque;
    return loom_cache_folder_list(store->root, each, state) ? PARLOOM_OK : fail(error, "read", store->root);
}

/* ------------------------------------------------------------------------- locks */

/* FNV-1a: any number that follows from the name. */
static off_t place_of(const char *item)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char *c = item; *c != '\0'; c++) hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
    return (off_t)(hash >> 2);
}

/* command: F_OFD_SETLKW waits, F_OFD_SETLK does not. */
static bool take(struct item_lock *lock, int command)
{
    while (fcntl(lock->fd, command, &lock->region) != 0)
        if (errno != EINTR) return false;
    return true;
}

/* NULL, and errno EAGAIN or EACCES: somebody has it. */
static void *lock_by(void *opaque, const char *item, int command)
{
    const struct local *store = opaque;
    char path[PARLOOM_CACHE_PATH_BYTES];
    struct item_lock *lock = loom_memory_zeroed(1, sizeof *lock);
    if (lock == NULL || !join(path, store, ".lock") || !loom_cache_folder_prepare(store->root)) {
        free(lock);
        errno = ENOLCK;
        return NULL;
    }
    lock->fd = loom_file_move_up(open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666));
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

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * directory.c - the working directory as it travels (see directory.h).
 *
 * Locks     one, below the supervisor's start_lock and above its send_lock.
 * fork()    a child of the program keeps what was lent: it has copies of the descriptors, and lends them to its own
 *           supervisor.
 */
#include "backends/directory.h"

#include "backends/depot.h"
#include "backends/supervisor.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct loom_directory {
    struct loom_directory_identity identity;
    uint32_t number;
    int fd; /* -1: home, or it could not be opened */
    char *path;
    struct loom_directory *next; /* of those that are lent */
};

static struct {
    pthread_mutex_t lock;
    struct loom_directory_identity home;
    struct loom_directory *lent;
    uint32_t last_number;
} book = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Whoever held the lock is not in the child. */
static void renew_lock_in_child(void)
{
    book.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, renew_lock_in_child);
}

bool loom_directory_identify(struct loom_directory_identity *identity_out)
{
    struct statx found;
    memset(&found, 0, sizeof found);
    *identity_out = (struct loom_directory_identity){ 0, 0, 0 };
    /* Without a path to walk: it is asked in each call, and a quarter of its time was the path "." */
    if (statx(AT_FDCWD, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &found) != 0) return false;
    identity_out->device = makedev(found.stx_dev_major, found.stx_dev_minor);
    identity_out->inode = found.stx_ino;
    if ((found.stx_mask & STATX_BTIME) != 0) /* not every file system has it */
        identity_out->born_ns = (uint64_t)found.stx_btime.tv_sec * 1000000000u + found.stx_btime.tv_nsec;
    return true;
}

bool loom_directory_is_same(const struct loom_directory_identity *a, const struct loom_directory_identity *b)
{
    return a->inode == b->inode && a->device == b->device && a->born_ns == b->born_ns;
}

/* -------------------------------------------------------------- in the program */

static char *current_path(void)
{
    char *path = getcwd(NULL, 0); /* "(unreachable)/..." says that there is none */
    if (path != NULL && path[0] == '/') return path;
    free(path);
    return loom_memory_text("");
}

/* Under the lock. Before the first supervisor there is no home yet: it will be this directory. */
static void lend(struct loom_directory *directory)
{
    bool has_home = book.home.inode != 0;
    directory->fd = -1;
    directory->number = ++book.last_number;
    if (!has_home || loom_directory_is_same(&book.home, &directory->identity)) return;
    int fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return; /* workers try its path */
    directory->fd = loom_file_move_up(fd);
    directory->next = book.lent;
    book.lent = directory;
    loom_supervisor_lend(directory->number, directory->fd);
}

struct loom_directory *loom_directory_open(parloom_error *error)
{
    struct loom_directory *directory = loom_memory_zeroed(1, sizeof *directory);
    char *path = directory != NULL ? current_path() : NULL;
    if (path == NULL) {
        free(directory);
        loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory to note the working directory");
        return NULL;
    }
    directory->path = path;
    (void)loom_directory_identify(&directory->identity);
    pthread_mutex_lock(&book.lock);
    lend(directory);
    pthread_mutex_unlock(&book.lock);
    return directory;
}

void loom_directory_close(struct loom_directory *directory)
{
    if (directory == NULL) return;
    pthread_mutex_lock(&book.lock);
    for (struct loom_directory **at = &book.lent; *at != NULL; at = &(*at)->next) {
        if (*at != directory) continue;
        *at = directory->next;
        loom_supervisor_take_back(directory->number);
        (void)close(directory->fd);
        break;
    }
    pthread_mutex_unlock(&book.lock);
    free(directory->path);
    free(directory);
}

const struct loom_directory_identity *loom_directory_identity_of(const struct loom_directory *directory)
{
    return &directory->identity;
}

const char *loom_directory_path(const struct loom_directory *directory)
{
    return directory->path;
}

uint32_t loom_directory_number(const struct loom_directory *directory)
{
    return directory->number;
}

void loom_directory_note_home(void)
{
    pthread_mutex_lock(&book.lock);
    (void)loom_directory_identify(&book.home);
    pthread_mutex_unlock(&book.lock);
}

void loom_directory_lend_all(void)
{
    pthread_mutex_lock(&book.lock);
    for (const struct loom_directory *one = book.lent; one != NULL; one = one->next)
        loom_supervisor_lend(one->number, one->fd);
    pthread_mutex_unlock(&book.lock);
}

/* ----------------------------------------------------------------- in a worker */

static bool is_there(const struct loom_directory_identity *identity)
{
    struct loom_directory_identity here;
    return loom_directory_identify(&here) && loom_directory_is_same(&here, identity);
}

/* Kept open from the first move on: home is lent by nobody. */
static int home_fd = -1;

static bool enter_lent(uint32_t number, loom_segment_fetch fetch, void *fetch_state)
{
    uint32_t id = LOOM_DEPOT_DIRECTORY;
    int fd = -1;
    if (fetch == NULL || fetch(&id, &number, 1, &fd, fetch_state) != 0 || fd < 0) return false;
    bool is_entered = fchdir(fd) == 0;
    (void)close(fd);
    return is_entered;
}

parloom_status loom_directory_enter(const struct loom_directory_identity *identity, uint32_t number, const char *path,
                                    loom_segment_fetch fetch, void *fetch_state, parloom_error *error)
{
    if (is_there(identity)) return PARLOOM_OK;
    if (home_fd < 0) home_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    /* Each way is tried out: a task may have closed home, and opened another file under its number. */
    if (home_fd >= 0 && fchdir(home_fd) == 0 && is_there(identity)) return PARLOOM_OK;
    if (enter_lent(number, fetch, fetch_state) && is_there(identity)) return PARLOOM_OK;
    if (path[0] == '/' && chdir(path) == 0 && is_there(identity)) return PARLOOM_OK;
    int sys_errno = errno;
    return loom_status_fail(error, PARLOOM_ERR_IO, sys_errno, "a worker cannot enter the working directory %s: %m",
                            path[0] != '\0' ? path : "of the program, which has no path");
}

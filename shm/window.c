/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window.c - where the window lies, its header, and who owns which part of its addresses.
 *
 * Threads     any. base is published last; contains and base are one load.
 * Forks       a child of fork inherits the mapped header of its parent and must never write to it: it gets an empty one
 *             of its own when it first opens the window, and the files above notice by the serial.
 * Why so      reserving the range instead would break setrlimit(RLIMIT_AS), gcore, memcheck, mlockall and batch
 *             systems that limit virtual size.
 */
#include "shm/window.h"

#include "base/atomics.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/status.h"
#include "shm/memfd.h"
#include "shm/window_ranges.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define HEADER_MAGIC UINT64_C(0x776f646e69776d6f) /* "omwindow" */
enum { LAYOUT_VERSION = 2, LEVEL_MAX = 16 };

/*
 * Lives in shared memory at the base; layout version 2. The table of segments follows at LOOM_WINDOW_TABLE_OFFSET.
 *
 *  field   written by                       read by           order
 *  all     program, before the descriptor   worker, attach    set once
 *          leaves it
 */
struct header_shared {
    uint64_t magic;
    uint32_t layout_version;
    uint32_t header_nbytes;
    uint64_t base;
    uint64_t nbytes;
    uint64_t unused[4];
};
_Static_assert(sizeof(struct header_shared) == LOOM_WINDOW_TABLE_OFFSET, "layout version 2");

struct place {
    uint64_t base, nbytes;
};

/* Below any PIE, and free under ASan, MSan, DFSan, LSan, Python and gdb; for TSan and 39-bit address spaces; for
 * valgrind. */
static const struct place PLACES[] = {
    { UINT64_C(0x510000000000), UINT64_C(4) << 40 },
    { UINT64_C(0x2000000000), UINT64_C(256) << 30 },
    { UINT64_C(0x800000000), UINT64_C(32) << 30 },
};
enum { PLACE_COUNT = sizeof PLACES / sizeof PLACES[0] };

static struct {
    pthread_mutex_t lock;
    _Atomic uint64_t base; /* written last (release), so that who sees it sees nbytes; pairs with loom_window_base */
    _Atomic uint64_t nbytes;
    int header_fd; /* read-only description */
    int level;     /* 0: the process that chose the base */
    bool is_attached;
    bool is_inherited; /* after a fork: the header is the parent's */
    _Atomic uint32_t serial;
    _Atomic uint32_t fork_count;
    struct loom_window_ranges ranges;
} window = { .lock = PTHREAD_MUTEX_INITIALIZER, .header_fd = -1 };

/* -------------------------------------------------------------------- forks */

static void before_fork(void)
{
    pthread_mutex_lock(&window.lock);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&window.lock);
}

static void after_fork_in_child(void)
{
    loom_add_relaxed(&window.fork_count, 1u);
    if (loom_load_relaxed(&window.base) && !window.is_attached) window.is_inherited = true;
    pthread_mutex_unlock(&window.lock);
}

static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void loom_window_watch_forks(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
}

uint32_t loom_window_fork_count(void)
{
    return loom_load_relaxed(&window.fork_count); /* a child starts with one thread */
}

/* ------------------------------------------------------------------ mapping */

/* The raw call: interceptors of MSan and TSan drop the hint, map elsewhere or abort for addresses they refuse. */
static int map_raw(uint64_t address, size_t nbytes, int protection, int flags, int fd, uint64_t offset)
{
    if (loom_fault_hit(LOOM_FAULT_MMAP)) return errno;
    long got = syscall(SYS_mmap, address, nbytes, protection, flags, fd, (long)offset);
    if (got == -1) return errno;
    if ((uint64_t)got == address) return 0;
    /* A kernel before 4.17 takes the address as a hint. */
    syscall(SYS_munmap, got, nbytes);
    return EEXIST;
}

int loom_window_map(uint64_t address, size_t nbytes, int protection, int kind, int fd, uint64_t offset)
{
    return map_raw(address, nbytes, protection, kind | MAP_FIXED_NOREPLACE, fd, offset);
}

int loom_window_map_over(uint64_t address, size_t nbytes, int protection, int fd)
{
    return map_raw(address, nbytes, protection, MAP_SHARED | MAP_FIXED, fd, 0);
}

/* ------------------------------------------------------------------- header */

static void write_header(const struct place *place)
{
    struct header_shared *header = (struct header_shared *)(uintptr_t)place->base; // NOLINT(performance-no-int-to-ptr)
    *header = (struct header_shared){ .magic = HEADER_MAGIC,
                                      .layout_version = LAYOUT_VERSION,
                                      .header_nbytes = LOOM_WINDOW_HEADER_NBYTES,
                                      .base = place->base,
                                      .nbytes = place->nbytes };
}

/* Maps at the first place that is free; replaces what is there when flags say MAP_FIXED. */
static int map_header(int fd, const struct place *places, size_t count, int flags, const struct place **place_out)
{
    int failed = EEXIST;
    for (size_t i = 0; i < count; i++) {
        failed = map_raw(places[i].base, LOOM_WINDOW_HEADER_NBYTES, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);
        if (failed) continue;
        *place_out = &places[i];
        return 0;
    }
    return failed;
}

static parloom_status make_header(const struct place *places, size_t count, int flags, const struct place **place_out,
                                  int *read_fd_out, parloom_error *error)
{
    int fd = loom_memfd_open("parloom-window");
    if (fd < 0)
        return loom_status_fail(error, loom_status_of_errno(errno), errno, "could not make a file in memory: %m");
    parloom_status status = PARLOOM_OK;
    int read_fd = -1;
    int failed = loom_file_reserve(fd, 0, LOOM_WINDOW_HEADER_NBYTES);
    if (!failed && (read_fd = loom_file_reopen_read_only(fd)) < 0) failed = errno;
    if (failed) {
        status = loom_status_fail(
            error, loom_status_of_errno(failed), failed,
            "could not set up the table of shared segments: %m (it needs 256 KiB of memory, 2 descriptors "
            "and /proc)");
        goto out_close;
    }
    failed = map_header(fd, places, count, flags, place_out);
    if (failed) {
        status = loom_status_fail(
            error, failed == ENOMEM ? PARLOOM_ERR_MEMORY : PARLOOM_ERR_UNSUPPORTED, failed,
            "found no free range of addresses for shared memory: %m (tried 0x510000000000, 0x2000000000 "
            "and 0x800000000; another copy of parloom in this program may hold them)");
        goto out_close_read;
    }
    close(fd);
    write_header(*place_out);
    *read_fd_out = read_fd;
    return PARLOOM_OK;
out_close_read:
    close(read_fd);
out_close:
    close(fd);
    return status;
}

/* --------------------------------------------------------------------- open */

static bool set_level(const struct place *place, int level)
{
    struct loom_window_ranges ranges;
    uint64_t blocks = place->nbytes / LOOM_WINDOW_BLOCK;
    uint64_t begin = blocks - (blocks >> level);
    uint64_t end = blocks - (blocks >> (level + 1));
    if (!loom_window_ranges_init(&ranges, begin + (level == 0), end)) return false; /* block 0 holds the header */
    loom_window_ranges_fini(&window.ranges);
    window.ranges = ranges;
    window.level = level;
    return true;
}

static parloom_status open_first(parloom_error *error)
{
    const struct place *place = NULL;
    int fd = -1;
    parloom_status status = make_header(PLACES, PLACE_COUNT, MAP_FIXED_NOREPLACE, &place, &fd, error);
    if (status) return status;
    if (!set_level(place, 0)) {
        syscall(SYS_munmap, place->base, (size_t)LOOM_WINDOW_HEADER_NBYTES);
        close(fd);
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for the account of shared addresses");
    }
    window.header_fd = fd;
    loom_add_relaxed(&window.serial, 1u);
    loom_store_relaxed(&window.nbytes, place->nbytes);
    loom_store_release(&window.base, place->base); /* pairs with loom_window_base */
    return PARLOOM_OK;
}

/* After a fork: the parent's header makes way for an empty one at the same address. */
static parloom_status open_inherited(parloom_error *error)
{
    const struct place here = { loom_load_relaxed(&window.base), loom_load_relaxed(&window.nbytes) };
    const struct place *place = NULL;
    int fd = -1;
    parloom_status status = make_header(&here, 1, MAP_FIXED, &place, &fd, error);
    if (status) return status;
    close(window.header_fd);
    window.header_fd = fd;
    window.is_inherited = false;
    loom_add_relaxed(&window.serial, 1u);
    return PARLOOM_OK;
}

static bool is_forbidden; /* written while there is one thread */

void loom_window_forbid(bool forbidden)
{
    is_forbidden = forbidden;
}

parloom_status loom_window_open(parloom_error *error)
{
    parloom_status status = PARLOOM_OK;
    if (is_forbidden)
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                                "a constructor that runs again in the supervisor of worker processes asks for shared "
                                "memory or workers: that is for main and what it calls");
    loom_window_watch_forks();
    pthread_mutex_lock(&window.lock);
    if (window.is_inherited) {
        status = open_inherited(error);
    } else if (!loom_load_relaxed(&window.base)) { /* written under this lock */
        status = open_first(error);
    }
    pthread_mutex_unlock(&window.lock);
    return status;
}

/* ------------------------------------------------------------------- attach */

static const struct place *place_at(uint64_t base)
{
    for (size_t i = 0; i < PLACE_COUNT; i++) {
        if (PLACES[i].base == base) return &PLACES[i];
    }
    return NULL;
}

static parloom_status check_header(const struct place *place, parloom_error *error)
{
    const struct header_shared *header =
        (const struct header_shared *)(uintptr_t)place->base; // NOLINT(performance-no-int-to-ptr)
    if (header->magic == HEADER_MAGIC && header->layout_version == LAYOUT_VERSION &&
        header->header_nbytes == LOOM_WINDOW_HEADER_NBYTES && header->base == place->base &&
        header->nbytes == place->nbytes)
        return PARLOOM_OK;
    return loom_status_fail(
        error, PARLOOM_ERR_VERSION, 0,
        "the table of shared segments at 0x%llx is of another build: layout %u, this library has %d",
        (unsigned long long)place->base, header->layout_version, LAYOUT_VERSION);
}

static parloom_status attach_first(const struct place *place, int header_fd, int level, parloom_error *error)
{
    struct stat info;
    if (fstat(header_fd, &info) != 0 || info.st_size != LOOM_WINDOW_HEADER_NBYTES)
        return loom_status_fail(error, PARLOOM_ERR_VERSION, 0, "descriptor %d is no table of shared segments",
                                header_fd);
    int failed =
        map_raw(place->base, LOOM_WINDOW_HEADER_NBYTES, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, header_fd, 0);
    if (failed)
        return loom_status_fail(error, failed == EEXIST ? PARLOOM_ERR_UNSUPPORTED : loom_status_of_errno(failed),
                                failed, "could not map the table of shared segments at 0x%llx: %m",
                                (unsigned long long)place->base);
    parloom_status status = check_header(place, error);
    if (!status && !set_level(place, level))
        status = loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for the account of shared addresses");
    if (status) {
        syscall(SYS_munmap, place->base, (size_t)LOOM_WINDOW_HEADER_NBYTES);
        return status;
    }
    window.is_attached = true;
    loom_add_relaxed(&window.serial, 1u);
    loom_store_relaxed(&window.nbytes, place->nbytes);
    loom_store_release(&window.base, place->base); /* pairs with loom_window_base */
    return PARLOOM_OK;
}

parloom_status loom_window_attach(uint64_t base, int header_fd, int level, parloom_error *error)
{
    const struct place *place = place_at(base);
    if (!place || level < 1 || level > LEVEL_MAX)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no window at 0x%llx for level %d (1 to %d)",
                                (unsigned long long)base, level, LEVEL_MAX);
    parloom_status status = PARLOOM_OK;
    loom_window_watch_forks();
    pthread_mutex_lock(&window.lock);
    uint64_t here = loom_load_relaxed(&window.base); /* written under this lock */
    if (!here) {
        status = attach_first(place, header_fd, level, error);
    } else if (here != base || !window.is_attached) {
        status = loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "this process has a window of its own at 0x%llx",
                                  (unsigned long long)here);
    } else if (!set_level(place, level)) {
        status = loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for the account of shared addresses");
    }
    pthread_mutex_unlock(&window.lock);
    return status;
}

/* ---------------------------------------------------------------- questions */

uint64_t loom_window_base(void)
{
    return loom_load_acquire(&window.base); /* pairs with open and attach */
}

uint64_t loom_window_nbytes(void)
{
    return loom_window_base() ? loom_load_relaxed(&window.nbytes) : 0;
}

int loom_window_header_fd(void)
{
    /* Also a child of fork must not hand out its parent's table. */
    if (loom_window_base() && loom_window_open(NULL) != PARLOOM_OK) return -1;
    return window.header_fd;
}

bool loom_window_contains(const void *address)
{
    uint64_t base = loom_window_base();
    return base && (uint64_t)(uintptr_t)address - base < loom_load_relaxed(&window.nbytes);
}

bool loom_window_is_attached(void)
{
    return loom_window_base() && window.is_attached;
}

void *loom_window_table(void)
{
    return (void *)(uintptr_t)(loom_window_base() + LOOM_WINDOW_TABLE_OFFSET); // NOLINT(performance-no-int-to-ptr)
}

uint32_t loom_window_header_serial(void)
{
    return loom_load_relaxed(&window.serial); /* compared under the caller's lock */
}

/* ---------------------------------------------------------------- addresses */

static uint64_t blocks_of(size_t nbytes)
{
    return (uint64_t)nbytes / LOOM_WINDOW_BLOCK + (nbytes % LOOM_WINDOW_BLOCK != 0);
}

parloom_status loom_window_take(size_t nbytes, uint64_t *address_out, parloom_error *error)
{
    uint64_t block = 0;
    pthread_mutex_lock(&window.lock);
    /* One block more than was asked stays unmapped. */
    bool taken = nbytes > 0 && loom_window_ranges_take(&window.ranges, blocks_of(nbytes) + 1, &block);
    int level = window.level;
    pthread_mutex_unlock(&window.lock);
    if (!taken)
        return loom_status_fail(error, PARLOOM_ERR_LIMIT, 0,
                                "no free range of %zu bytes among the addresses of shared memory (level %d)", nbytes,
                                level);
    *address_out = loom_window_base() + block * LOOM_WINDOW_BLOCK;
    return PARLOOM_OK;
}

void loom_window_give(uint64_t address, size_t nbytes)
{
    pthread_mutex_lock(&window.lock);
    loom_window_ranges_give(&window.ranges, (address - loom_window_base()) / LOOM_WINDOW_BLOCK, blocks_of(nbytes) + 1);
    pthread_mutex_unlock(&window.lock);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fill.c - reserve the space of a file and copy into it by the fastest way its file system allows.
 *
 * In memory, per block of 2 MiB: reserve one page, touch it, MADV_COLLAPSE, memcpy. That makes one huge page and needs
 * no privilege and no setting: 9 GB/s where write(2) makes 3 and mmap + memcpy 1.5, and workers fault once per block.
 * What is read from a file is put there while the block is in the cache. Bytes that may vanish under a memcpy are
 * copied by process_vm_readv: nearly as fast, and EFAULT where they are gone. The page must be touched: Linux 6.1
 * answers EINVAL otherwise, though the huge page is made. Reserving the whole block first would give small pages that
 * are then copied: 1.9 GB/s. Half of the time goes into clearing the pages, so two threads take half as long; those
 * that write(2) to one file wait for each other.
 *
 * What a refusal means, and what must follow:
 *   EINVAL   no huge pages here, or the file system is full: reserving the block tells which (ENOSPC)
 *   EBUSY    the memory cgroup is full: another place, never fallocate, which would end in an OOM kill
 *   ENOMEM   no huge page free: write(2), or plain reservation
 *   EAGAIN   again
 * Fragmented memory refuses nothing but takes 5 ms a block, and so does memory that a virtual machine's host has to
 * find first. So huge blocks run on credit: a block is worth what write(2) needs for it plus what workers save at their
 * first touch and freeing it later, and while the blocks so far cost less than they are worth, and a little more, huge
 * pages go on. When the credit is used up, a stretch goes by write(2) and says what that really costs.
 */
#include "shm/fill.h"

#include "base/atomics.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/memory_policy.h"
#include "shm/window.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* Of one block of 2 MiB, measured (3 GB/s; first touch by two workers 15 instead of 430 ns a page; freeing). */
#define WRITE_NS  INT64_C(700000)
#define LATER_NS  INT64_C(700000)
#define CREDIT_NS INT64_C(10000000) /* that a file may lose to slow blocks before write(2) is tried */
enum { STRETCH_BLOCKS = 16, REFUSED_BLOCKS = 4, AGAIN_TRIES = 16, PAGE_NBYTES = 4096 };
enum { WRITE_NBYTES = 1 << 20, BLOCK = LOOM_WINDOW_BLOCK, SHARE_NBYTES = 16 * BLOCK };
enum { MOST_THREADS = 32 }; /* memory is not faster with more */

static _Atomic uint64_t huge_blocks; /* a count for tests and logs */
static _Atomic bool slow_before;     /* a hint: any order will do */

uint64_t loom_fill_huge_blocks(void)
{
    return loom_load_relaxed(&huge_blocks);
}

/* The part of the source's bytes that belongs to [begin, end) of the file; false: none. */
static bool part_of(const struct loom_fill *fill, uint64_t begin, uint64_t end, uint64_t *from_out, size_t *nbytes_out)
{
    uint64_t data_end = (uint64_t)fill->lead + fill->source.nbytes;
    uint64_t from = begin > fill->lead ? begin : fill->lead;
    uint64_t to = end < data_end ? end : data_end;
    if (!loom_fill_has_source(&fill->source) || from >= to) return false;
    *from_out = from;
    *nbytes_out = (size_t)(to - from);
    return true;
}

void loom_fill_bring(const struct loom_fill_source *source, char *into, size_t from, size_t nbytes)
{
    if (source->data)
        memcpy(into, source->data + from, nbytes);
    else
        source->put(source->state, into, from, nbytes);
}

/* ------------------------------------------------------------------------- share */

/* next: claimed by all, relaxed: the shares touch nothing in common; ending and joining threads orders the rest. */
struct crowd {
    void (*work)(void *state, size_t k);
    void *state;
    size_t count;
    _Atomic size_t next;
};

static void *work_along(void *opaque)
{
    struct crowd *crowd = opaque;
    for (size_t k = 0; (k = loom_add_relaxed(&crowd->next, 1u)) < crowd->count;) crowd->work(crowd->state, k);
    return NULL;
}

/* Signals are for the program's own threads. */
static int start_thread(pthread_t *thread, struct crowd *crowd)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(thread, NULL, work_along, crowd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

/* Calls work for each share of nbytes, with as many threads as there can be. */
static void share(int n_threads, uint64_t nbytes, void (*work)(void *state, size_t k), void *state)
{
    struct crowd crowd = { work, state, (size_t)((nbytes + SHARE_NBYTES - 1) / SHARE_NBYTES), 0 };
    pthread_t threads[MOST_THREADS];
    size_t most = n_threads < MOST_THREADS ? (size_t)n_threads : MOST_THREADS, started = 0;
    while (started + 1 < most && started + 1 < crowd.count && start_thread(&threads[started], &crowd) == 0) started++;
    work_along(&crowd);
    while (started > 0) pthread_join(threads[--started], NULL);
}

struct shared_bytes {
    const struct loom_fill_source *source;
    char *into;
};

static void bring_share(void *state, size_t k)
{
    const struct shared_bytes *shared = state;
    size_t begin = k * SHARE_NBYTES, left = shared->source->nbytes - begin;
    loom_fill_bring(shared->source, shared->into + begin, begin, left < SHARE_NBYTES ? left : SHARE_NBYTES);
}

void loom_fill_bring_all(const struct loom_fill_source *source, char *into)
{
    struct shared_bytes shared = { source, into };
    if (source->n_threads > 1)
        share(source->n_threads, source->nbytes, bring_share, &shared);
    else
        loom_fill_bring(source, into, 0, source->nbytes);
}

/* ------------------------------------------------------------------------- copy */

/* What is not in memory yet comes by way of a buffer: to put it where small pages are mapped takes longer. */
static int write_put(const struct loom_fill *fill, uint64_t from, size_t nbytes)
{
    char *buffer = loom_memory_zeroed(1, LOOM_FILL_PART_NBYTES);
    int failed = buffer ? 0 : ENOMEM;
    while (nbytes > 0 && !failed) {
        size_t piece = LOOM_FILL_PART_NBYTES - (size_t)(from - fill->lead) % LOOM_FILL_PART_NBYTES;
        if (piece > nbytes) piece = nbytes;
        loom_fill_bring(&fill->source, buffer, (size_t)(from - fill->lead), piece);
        failed = loom_file_write_all(fill->fd, buffer, piece, from);
        from += piece;
        nbytes -= piece;
    }
    free(buffer);
    return failed;
}

static int write_pieces(const struct loom_fill *fill, uint64_t begin, uint64_t end)
{
    uint64_t from = 0;
    size_t nbytes = 0;
    if (!part_of(fill, begin, end, &from, &nbytes)) return 0;
    if (!fill->source.data) return write_put(fill, from, nbytes);
    while (nbytes > 0) {
        size_t piece = nbytes < WRITE_NBYTES ? nbytes : WRITE_NBYTES;
        int failed = loom_file_write_all(fill->fd, fill->source.data + (from - fill->lead), piece, from);
        if (!failed && fill->source.told && !fill->source.told(fill->source.state, piece)) failed = ECANCELED;
        if (failed) return failed;
        from += piece;
        nbytes -= piece;
    }
    return 0;
}

/* Bytes [from, from + nbytes) of the file, by the kernel; a sandbox may forbid it. */
static int copy_vanishing(const struct loom_fill *fill, uint64_t from, size_t nbytes)
{
    const char *data = fill->source.data + (from - fill->lead);
    struct iovec to = { fill->address + from, nbytes };
    const struct iovec bytes = { (char *)(uintptr_t)data, nbytes };
    ssize_t copied = process_vm_readv(getpid(), &to, 1, &bytes, 1, 0);
    if (copied < 0 && errno != EFAULT) return write_pieces(fill, from, from + nbytes);
    if (copied != (ssize_t)nbytes) return EFAULT;
    return fill->source.told && !fill->source.told(fill->source.state, nbytes) ? ECANCELED : 0;
}

/* [begin, end) is mapped, and reserved. */
static int copy_mapped(const struct loom_fill *fill, uint64_t begin, uint64_t end)
{
    uint64_t from = 0;
    size_t nbytes = 0;
    if (!part_of(fill, begin, end, &from, &nbytes)) return 0;
    if (fill->source.may_vanish) return copy_vanishing(fill, from, nbytes);
    loom_fill_bring(&fill->source, fill->address + from, (size_t)(from - fill->lead), nbytes);
    return 0;
}

/* [begin, end) in small pages: write(2) reserves what it writes in memory, and only there. */
static int fill_plainly(const struct loom_fill *fill, uint64_t begin, uint64_t end)
{
    if (begin >= end) return 0;
    uint64_t data_end = (uint64_t)fill->lead + fill->source.nbytes;
    bool is_written = fill->is_in_memory && loom_fill_has_source(&fill->source);
    bool is_covered = is_written && data_end + PAGE_NBYTES > end; /* the last page by its first bytes */
    int failed = is_covered ? 0 : loom_file_reserve(fill->fd, begin, end - begin);
    return failed ? failed : write_pieces(fill, begin, end);
}

/* One page at the block's start, present in the file and in our page table. */
static int touch_block(const struct loom_fill *fill, uint64_t begin)
{
    int failed = loom_file_reserve(fill->fd, begin, PAGE_NBYTES);
    if (!failed) *(volatile char *)(fill->address + begin) = 0;
    return failed;
}

static int collapse(char *address)
{
    for (int i = 0;; i++) {
        if (!loom_fault_hit(LOOM_FAULT_COLLAPSE) && madvise(address, BLOCK, MADV_COLLAPSE) == 0) return 0;
        if (errno != EAGAIN || i == AGAIN_TRIES) return errno;
    }
}

/* How the huge way goes in one file. */
struct trouble {
    int refused;
    int64_t credit_ns; /* below 0: a stretch by write(2) comes next */
    int64_t worth_ns;  /* of a huge block */
    uint64_t stretch;  /* blocks of the next stretch */
};

/* Of this thread: a block that took long because somebody else had the core was not slow. */
static int64_t cpu_ns(void)
{
    struct timespec now = { 0, 0 };
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + (int64_t)now.tv_nsec;
}

static int fill_block(const struct loom_fill *fill, uint64_t begin, struct trouble *trouble)
{
    int64_t start = cpu_ns();
    int failed = touch_block(fill, begin);
    if (failed) return failed;
    failed = collapse(fill->address + begin);
    if (failed == EBUSY) return EBUSY;
    if (failed) {
        trouble->refused += failed == EINVAL ? REFUSED_BLOCKS : 1; /* a setting will not change in between */
        return fill_plainly(fill, begin, begin + BLOCK);
    }
    loom_add_relaxed(&huge_blocks, 1u);
    failed = copy_mapped(fill, begin, begin + BLOCK);
    trouble->credit_ns += trouble->worth_ns - (cpu_ns() - start);
    return failed;
}

/* Some blocks below end without huge pages, which say what a block is worth. */
static int fill_stretch(const struct loom_fill *fill, uint64_t begin, uint64_t end, struct trouble *trouble,
                        uint64_t *end_out)
{
    uint64_t left = (end - begin) / BLOCK;
    uint64_t blocks = trouble->stretch < left ? trouble->stretch : left;
    int64_t start = cpu_ns();
    int failed = fill_plainly(fill, begin, begin + blocks * BLOCK);
    trouble->worth_ns = (cpu_ns() - start) / (int64_t)blocks + LATER_NS;
    trouble->credit_ns = 0; /* one huge block more, and on if that was good */
    trouble->stretch *= 2;
    *end_out = begin + blocks * BLOCK;
    return failed;
}

static int fill_blocks(const struct loom_fill *fill, uint64_t begin, uint64_t end)
{
    /* Where write(2) was better for the file before, one slow block is enough to believe it; but threads that write(2)
     * wait for each other. */
    const bool is_shared = fill->source.n_threads > 1;
    struct trouble trouble = { .credit_ns = loom_load_relaxed(&slow_before) && !is_shared ? 0 : CREDIT_NS,
                               .worth_ns = (is_shared ? 2 : 1) * WRITE_NS + LATER_NS,
                               .stretch = STRETCH_BLOCKS };
    uint64_t done = begin;
    int failed = 0;
    while (!failed && done + BLOCK <= end && trouble.refused < REFUSED_BLOCKS) {
        if (trouble.credit_ns < 0) {
            failed = fill_stretch(fill, done, end, &trouble, &done);
        } else {
            failed = fill_block(fill, done, &trouble);
            done += BLOCK;
        }
    }
    loom_store_relaxed(&slow_before, trouble.credit_ns <= 0);
    return failed || done >= end ? failed : fill_plainly(fill, done, end);
}

/* failed: set by who fails, read by all who begin a share, relaxed: who sees it late has worked in vain. */
struct shared_fill {
    const struct loom_fill *fill;
    _Atomic int failed;
};

static void fill_share(void *state, size_t k)
{
    struct shared_fill *shared = state;
    uint64_t begin = (uint64_t)k * SHARE_NBYTES, end = begin + SHARE_NBYTES;
    if (loom_load_relaxed(&shared->failed) != 0) return;
    int failed = fill_blocks(shared->fill, begin, end < shared->fill->nbytes ? end : shared->fill->nbytes);
    if (failed) loom_store_relaxed(&shared->failed, failed);
}

static int fill_in_memory(const struct loom_fill *fill)
{
    struct shared_fill shared = { fill, 0 };
    if (fill->source.n_threads < 2) return fill_blocks(fill, 0, fill->nbytes);
    share(fill->source.n_threads, fill->nbytes, fill_share, &shared);
    return loom_load_relaxed(&shared.failed);
}

int loom_fill(const struct loom_fill *fill)
{
    /* The last byte first: the file has its size from now on, or RLIMIT_FSIZE said no before any work was done. */
    int failed = loom_file_reserve(fill->fd, fill->nbytes - 1, 1);
    if (failed) return failed;
    return fill->is_in_memory && fill->address ? fill_in_memory(fill) : fill_plainly(fill, 0, fill->nbytes);
}

/* ------------------------------------------------------- files that are not mapped */

struct lent_mapping {
    char *room; /* MAP_FAILED: none */
    size_t nbytes;
    char *address; /* in it, a multiple of 2 MiB */
};

/* Where it cannot be mapped (ulimit -v), it is filled without huge pages. */
static struct lent_mapping map_file(const struct loom_fill *fill)
{
    struct lent_mapping lent = { MAP_FAILED, loom_memory_round_up((size_t)fill->nbytes, BLOCK) + BLOCK, NULL };
    if (loom_fault_hit(LOOM_FAULT_MMAP)) return lent;
    lent.room = mmap(NULL, lent.nbytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (lent.room == MAP_FAILED) return lent;
    char *start = lent.room + (BLOCK - (uintptr_t)lent.room % BLOCK);
    void *mapped = mmap(start, (size_t)fill->nbytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fill->fd, 0);
    if (mapped == MAP_FAILED) return lent;
    (void)madvise(mapped, (size_t)fill->nbytes, MADV_DONTDUMP);
    (void)madvise(mapped, (size_t)fill->nbytes, MADV_DONTFORK); /* or a child would keep a file that is deleted */
    lent.address = mapped;
    return lent;
}

int loom_fill_file(const struct loom_fill *fill, parloom_memory_policy policy)
{
    if (!fill->is_in_memory || fill->nbytes > PTRDIFF_MAX / 2 ||
        (fill->nbytes < BLOCK && policy == PARLOOM_MEMORY_UNSET))
        return loom_fill(fill);
    struct loom_fill mapped = *fill;
    struct lent_mapping lent = map_file(fill);
    mapped.address = lent.address;
    if (mapped.address) loom_memory_policy_apply(mapped.address, (size_t)fill->nbytes, policy);
    int failed = loom_fill(&mapped);
    if (lent.room != MAP_FAILED) munmap(lent.room, lent.nbytes);
    return failed;
}
